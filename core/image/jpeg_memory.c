/* jpeg_memory.c - the method table of libjpeg's memory manager. Nothing is ever put to disk: an
 * array that the library would call virtual is simply there. */
#include "image/jpeg_memory.h"

#include <stdint.h>

#include <jerror.h>

/* Vector code of the library works on whole registers, beyond the end of a row if need be. */
enum { ROW_ALIGN = 64 };

static void *take_array(j_common_ptr info, size_t n, size_t bytes)
{
    const wispi_jpeg_client *client = info->client_data;
    void *memory = wispi_arena_array(client->arena, n, bytes);
    if (!memory) {
        info->err->msg_code = JERR_OUT_OF_MEMORY;
        info->err->error_exit(info);
    }
    return memory;
}

static void *take_piece(j_common_ptr info, int pool, size_t bytes)
{
    (void)pool;
    return take_array(info, 1, bytes);
}

/* Pointers to `n` rows in one piece of memory. */
static void *take_rows(j_common_ptr info, size_t row_bytes, size_t n)
{
    row_bytes = (row_bytes + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
    void **rows = take_array(info, n, sizeof *rows);
    uint8_t *data = take_array(info, n, row_bytes);
    for (size_t i = 0; i < n; i++)
        rows[i] = data + i * row_bytes;
    return rows;
}

static JSAMPARRAY take_samples(j_common_ptr info, int pool, JDIMENSION width, JDIMENSION n)
{
    (void)pool;
    return take_rows(info, (size_t)width * sizeof(JSAMPLE), n);
}

static JBLOCKARRAY take_blocks(j_common_ptr info, int pool, JDIMENSION width, JDIMENSION n)
{
    (void)pool;
    return take_rows(info, (size_t)width * sizeof(JBLOCK), n);
}

/* --- virtual arrays --- */

struct jvirt_sarray_control {
    JSAMPARRAY rows;
    JDIMENSION n;
};

struct jvirt_barray_control {
    JBLOCKARRAY rows;
    JDIMENSION n;
};

static jvirt_sarray_ptr request_samples(j_common_ptr info, int pool, boolean zeroed,
                                        JDIMENSION width, JDIMENSION n, JDIMENSION at_once)
{
    (void)zeroed; /* all of it is */
    (void)at_once;
    struct jvirt_sarray_control *array = take_array(info, 1, sizeof *array);
    array->rows = take_samples(info, pool, width, n);
    array->n = n;
    return array;
}

static jvirt_barray_ptr request_blocks(j_common_ptr info, int pool, boolean zeroed,
                                       JDIMENSION width, JDIMENSION n, JDIMENSION at_once)
{
    (void)zeroed;
    (void)at_once;
    struct jvirt_barray_control *array = take_array(info, 1, sizeof *array);
    array->rows = take_blocks(info, pool, width, n);
    array->n = n;
    return array;
}

static void nothing_to_realize(j_common_ptr info)
{
    (void)info;
}

static void check_access(j_common_ptr info, JDIMENSION there, JDIMENSION first, JDIMENSION n)
{
    if (first <= there && n <= there - first)
        return;
    info->err->msg_code = JERR_BAD_VIRTUAL_ACCESS;
    info->err->error_exit(info);
}

static JSAMPARRAY access_samples(j_common_ptr info, jvirt_sarray_ptr array, JDIMENSION first,
                                 JDIMENSION n, boolean writable)
{
    (void)writable;
    check_access(info, array->n, first, n);
    return array->rows + first;
}

static JBLOCKARRAY access_blocks(j_common_ptr info, jvirt_barray_ptr array, JDIMENSION first,
                                 JDIMENSION n, boolean writable)
{
    (void)writable;
    check_access(info, array->n, first, n);
    return array->rows + first;
}

static void keep_pool(j_common_ptr info, int pool)
{
    (void)info;
    (void)pool;
}

void wispi_jpeg_memory_install(struct jpeg_memory_mgr *memory)
{
    memory->alloc_small = take_piece;
    memory->alloc_large = take_piece;
    memory->alloc_sarray = take_samples;
    memory->alloc_barray = take_blocks;
    memory->request_virt_sarray = request_samples;
    memory->request_virt_barray = request_blocks;
    memory->realize_virt_arrays = nothing_to_realize;
    memory->access_virt_sarray = access_samples;
    memory->access_virt_barray = access_blocks;
    memory->free_pool = keep_pool;
}

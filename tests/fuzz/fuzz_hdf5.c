/* fuzz_hdf5.c - the layout of HDF5 files: records of any bytes, and files that libhdf5 has made of
 * what the input asks for, with every kind of object, type, link and name.
 *
 * Such a file is sound, so what is listed must be what was written: each image's bytes stand where
 * the index says. (Damaged files: fuzz_hdf5_damage.c.) */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/hdf5/layout_index.h"
#include "datasets/hdf5/layout_record.h"
#include "datasets/hdf5/layout_walk.h"
#include "loader/host_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODE_RECORDS, MODE_FILE, MODES, MOST_OBJECTS = 40, MOST_RECORD_BYTES = 1 << 20 };

/* --- the input, byte by byte; zeros behind its end --- */

typedef struct choices {
    const uint8_t *at, *end;
} choices;

static unsigned choose(choices *c, unsigned n)
{
    return c->at < c->end ? *c->at++ % n : 0;
}

/* Mostly short, so that names meet again; sometimes longer than is allowed. */
static const char *choose_name(choices *c)
{
    static char name[1200];
    const unsigned kind = choose(c, 16);
    const size_t length = kind == 15 ? 1000 + choose(c, 100) : kind >= 12 ? kind * 4 : 1 + kind % 2;
    for (size_t i = 0; i < length; i++) {
        const char letter = i < 8 ? (char)(1 + choose(c, 255)) : 'x';
        name[i] = letter == '/' ? '_' : letter;
    }
    name[length] = 0;
    return strcmp(name, ".") == 0 ? ".." : name;
}

/* --- a file of what the input asks for --- */

typedef struct maker {
    choices *from;
    hid_t file, group;
    unsigned n_images;
} maker;

/* The first byte tells of which image the others must be. */
static void fill_image(uint8_t *bytes, size_t n, uint8_t id)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(id + i * (2u * id + 1));
}

static hid_t choose_storage(choices *c, hsize_t n)
{
    const hid_t made = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[3] = {n ? n : 1, 1, 1};
    switch (choose(c, 12)) {
    case 0:
        H5Pset_layout(made, H5D_COMPACT);
        break;
    case 1:
        H5Pset_chunk(made, 1, chunk);
        break;
    case 2:
        H5Pset_chunk(made, 1, chunk);
        H5Pset_deflate(made, 1);
        break;
    case 3:
        H5Pset_external(made, "/nonexistent/raw", 0, n ? n : 1);
        break;
    case 4:
        H5Pset_alloc_time(made, H5D_ALLOC_TIME_LATE);
        break;
    default:
        H5Pset_alloc_time(made, H5D_ALLOC_TIME_EARLY);
    }
    return made;
}

static void make_image(maker *m, int opaque)
{
    uint8_t bytes[300];
    const hsize_t n = choose(m->from, 256) + (choose(m->from, 8) == 0 ? 40 : 0);
    const hid_t type = opaque ? H5Tcreate(H5T_OPAQUE, n ? n : 1) : H5Tcopy(H5T_NATIVE_UINT8);
    const hid_t space = opaque ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, NULL);
    const hid_t made = choose_storage(m->from, n);
    const hid_t set =
        H5Dcreate2(m->group, choose_name(m->from), type, space, H5P_DEFAULT, made, H5P_DEFAULT);
    if (set >= 0 && choose(m->from, 8) != 0) {
        fill_image(bytes, sizeof bytes, (uint8_t)(1 + m->n_images++));
        if (H5Pget_external_count(made) <= 0)
            H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes);
    }
    H5Dclose(set);
    H5Pclose(made);
    H5Sclose(space);
    H5Tclose(type);
}

static hid_t choose_type(choices *c)
{
    switch (choose(c, 8)) {
    case 0:
        return H5Tcopy(H5T_NATIVE_FLOAT);
    case 1:
        return H5Tvlen_create(H5T_NATIVE_UINT8);
    case 2:
        return H5Tcopy(H5T_C_S1);
    case 3:
        return H5Tenum_create(H5T_NATIVE_INT8);
    case 4:
        return H5Tcreate(H5T_COMPOUND, 1 + choose(c, 64));
    case 5:
        return H5Tcopy(H5T_NATIVE_B8);
    case 6:
        return H5Tcopy(H5T_NATIVE_INT8);
    default:
        return H5Tcopy(H5T_STD_I64BE);
    }
}

/* Data sets of any type and rank, without content. */
static void make_array(maker *m)
{
    const int rank = (int)choose(m->from, 5);
    hsize_t sizes[5];
    for (int i = 0; i < rank; i++)
        sizes[i] = choose(m->from, 6);
    const hid_t type = choose_type(m->from);
    const hid_t space = rank == 4 ? H5Screate(H5S_NULL) : H5Screate_simple(rank, sizes, NULL);
    H5Dclose(H5Dcreate2(m->group, choose_name(m->from), type, space, H5P_DEFAULT, H5P_DEFAULT,
                        H5P_DEFAULT));
    H5Sclose(space);
    H5Tclose(type);
}

static void make_link(maker *m)
{
    char target[64];
    const unsigned kind = choose(m->from, 4);
    snprintf(target, sizeof target, "/%.20s", choose_name(m->from));
    if (choose(m->from, 2)) {
        const size_t used = strlen(target);
        snprintf(target + used, sizeof target - used, "/%.20s", choose_name(m->from));
    }
    const char *name = choose_name(m->from);
    if (kind == 0)
        H5Lcreate_external("other.h5", target, m->group, name, H5P_DEFAULT, H5P_DEFAULT);
    else if (kind == 1)
        H5Lcreate_soft(target, m->group, name, H5P_DEFAULT, H5P_DEFAULT);
    else
        H5Lcreate_hard(m->file, target, m->group, name, H5P_DEFAULT, H5P_DEFAULT);
}

/* A new group in the present one, or back to the root; seldom a deeper one. */
static void make_group(maker *m)
{
    const unsigned where = choose(m->from, 8);
    if (where != 0) {
        H5Gclose(m->group);
        m->group = H5Gopen2(m->file, "/", H5P_DEFAULT);
    }
    const hid_t made = H5Pcreate(H5P_GROUP_CREATE);
    if (choose(m->from, 2))
        H5Pset_link_creation_order(made, H5P_CRT_ORDER_TRACKED);
    const hid_t group =
        where == 7 ? -1
                   : H5Gcreate2(m->group, choose_name(m->from), H5P_DEFAULT, made, H5P_DEFAULT);
    H5Pclose(made);
    if (group >= 0) {
        H5Gclose(m->group);
        m->group = group;
    }
}

static void make_object(maker *m)
{
    const unsigned kind = choose(m->from, 16);
    if (kind < 8) {
        make_image(m, kind == 7);
    } else if (kind < 12) {
        make_group(m);
    } else if (kind < 14) {
        make_link(m);
    } else if (kind == 14) {
        make_array(m);
    } else {
        const hid_t type = choose_type(m->from);
        H5Tcommit2(m->group, choose_name(m->from), type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Tclose(type);
    }
}

static hid_t make_file(choices *from)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    if (choose(from, 2))
        H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    maker m = {.from = from, .file = H5Fcreate("in memory", H5F_ACC_TRUNC, H5P_DEFAULT, access)};
    H5Pclose(access);
    m.group = H5Gopen2(m.file, "/", H5P_DEFAULT);
    for (unsigned i = 0; i < MOST_OBJECTS && from->at < from->end; i++)
        make_object(&m);
    H5Gclose(m.group);
    H5Fflush(m.file, H5F_SCOPE_LOCAL);
    return m.file;
}

/* --- what is listed --- */

typedef struct listing {
    layout_sink sink; /* first: the handle converts */
    uint8_t *bytes;
    size_t used;
} listing;

static int put(layout_sink *sink, const void *data, size_t bytes)
{
    listing *l = (listing *)(void *)sink;
    if (bytes > MOST_RECORD_BYTES - l->used)
        abort(); /* forty objects cannot have that much to tell */
    memcpy(l->bytes + l->used, data, bytes);
    l->used += bytes;
    return 0;
}

static void check_index(const layout_index *x)
{
    for (int64_t i = 0; i < x->n_images; i++) {
        const layout_image *image = &x->images[i];
        if (image->offset < 0 || image->bytes < 0 || image->label < -1 ||
            image->label >= x->n_classes || strlen(x->names + image->name) > LAYOUT_MAX_TEXT)
            abort();
        if (i > 0 && image->label < image[-1].label)
            abort();
        if (i > 0 && image->label == image[-1].label &&
            strcmp(x->names + image[-1].name, x->names + image->name) >= 0)
            abort();
    }
    for (int32_t k = 1; k < x->n_classes; k++)
        if (strcmp(x->names + x->classes[k - 1], x->names + x->classes[k]) >= 0)
            abort();
    if (x->n_empty < 0 || x->n_other < 0)
        abort();
}

/* Bytes that were written are those of one image, or none were and they are zeros. */
static void check_content(hid_t file, const layout_index *x)
{
    const ssize_t n = H5Fget_file_image(file, NULL, 0);
    uint8_t *whole = n > 0 ? malloc((size_t)n) : NULL;
    if (!whole || H5Fget_file_image(file, whole, (size_t)n) != n)
        abort();
    for (int64_t i = 0; i < x->n_images; i++) {
        const layout_image *image = &x->images[i];
        uint8_t expected[300] = {0};
        if (image->bytes > (int64_t)sizeof expected || image->offset + image->bytes > n)
            abort();
        const uint8_t *bytes = whole + image->offset;
        if (image->bytes > 0 && bytes[0] != 0)
            fill_image(expected, sizeof expected, bytes[0]);
        if (memcmp(bytes, expected, (size_t)image->bytes) != 0)
            abort();
    }
    free(whole);
}

static void list_records(const uint8_t *records, size_t bytes, hid_t file)
{
    layout_index index = {0};
    wisp_error err = {0};
    if (layout_index_fill(&index, wispi_host_table(), records, bytes, &err) == WISP_OK) {
        check_index(&index);
        if (file >= 0)
            check_content(file, &index);
    } else if (!err.message[0] || index.names || strstr(err.message, "makes no sense")) {
        if (file >= 0 || !err.message[0] || index.names)
            abort(); /* a refusal says why, and what the walk wrote makes sense */
    }
    layout_index_free(&index);
    if (wispi_live_blocks() != 0)
        abort();
}

static void list_file(choices *from)
{
    static uint8_t room[MOST_RECORD_BYTES];
    listing l = {.sink = {put}, .bytes = room};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const hid_t file = make_file(from);
    if (layout_walk(file, &l.sink) != 0)
        abort();
    list_records(room, l.used, file);
    if (H5Fget_obj_count(file, H5F_OBJ_ALL) != 1)
        abort(); /* something was left open */
    H5Fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    choices from = {data + 1, data + size};
    if (data[0] % MODES == MODE_FILE)
        list_file(&from);
    else
        list_records(data + 1, size - 1, -1);
    return 0;
}

/* fuzz_hdf5_damage.c - any bytes as an HDF5 file, read as the plugin reads it: by the program in a
 * process of its own, which may fail as it likes; this one must not. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "datasets/hdf5/layout_index.h"
#include "datasets/hdf5/layout_reader.h"
#include "loader/host_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SECONDS = 60 };

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

/* In memory where there is such a place; the program has to find it by its name. */
static void make_path(void)
{
    snprintf(path, sizeof path, "%s/wisp-fuzz-%ld.h5",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    atexit(remove_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    layout_bytes records = {0};
    layout_index index = {0};
    wisp_error err = {0};
    if (!path[0])
        make_path();
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
    wisp_status status = layout_reader_run(wispi_host_table(), WISP_LAYOUT_PROGRAM, path, SECONDS,
                                           4 * size + (1 << 20), &records, &err);
    if (status == WISP_OK) {
        status = layout_index_fill(&index, wispi_host_table(), records.data, records.used, &err);
        wispi_host_table()->free(wispi_host_table(), records.data);
    } else if (strstr(err.message, "has found nothing")) {
        abort(); /* a hang */
    }
    if (status != WISP_OK && (status != WISP_E_DATA || !err.message[0]))
        abort();
    layout_index_free(&index);
    if (wispi_live_blocks() != 0)
        abort();
    return 0;
}

/* fuzz_safetensors.c - any bytes as a safetensors file; what is accepted must be there to be read.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "train/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_all(const wispi_safetensors *file)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < wispi_safetensors_count(file); i++) {
        const wispi_stored_tensor *t = wispi_safetensors_at(file, i);
        const uint8_t *bytes = t->data;
        for (int64_t k = 0; k < wisp_desc_bytes(&t->desc); k++)
            sum += bytes[k];
        if (wispi_safetensors_find(file, t->name) != t)
            abort();
    }
    wispi_safetensors_text(file, "format");
    if (sum == UINT64_MAX)
        abort(); /* never; but the sum is needed, and so every byte is read */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    wispi_safetensors *file = NULL;
    wisp_error err = {0};
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (wispi_safetensors_open(path, 0, &file, &err) == WISP_OK)
        read_all(file);
    else if (file || !err.message[0])
        abort(); /* a refusal says why */
    wispi_safetensors_close(file);
    close(fd);
    if (wispi_live_blocks() != 0)
        abort();
    return 0;
}

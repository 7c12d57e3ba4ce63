/* safetensors_list.c - what a safetensors file holds, for scripts.
 *
 *   safetensors_list FILE          one line a tensor: name, type and shape; sorted by name
 *   safetensors_list FILE KEY      the text of this key */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/safetensors.h"

static int by_name(const void *a, const void *b)
{
    const wispi_stored_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void print_tensor(const wispi_stored_tensor *t)
{
    printf("%s %s ", t->name, wisp_dtype_name(t->desc.dtype));
    for (int32_t i = 0; i < t->desc.rank; i++)
        printf("%s%lld", i ? "x" : "", (long long)t->desc.shape[i]);
    printf("%s\n", t->desc.rank == 0 ? "scalar" : "");
}

static int print_tensors(const wispi_safetensors *file)
{
    const size_t n = (size_t)wispi_safetensors_count(file);
    const wispi_stored_tensor **sorted = calloc(n + 1, sizeof *sorted);
    if (!sorted)
        return 2;
    for (size_t i = 0; i < n; i++)
        sorted[i] = wispi_safetensors_at(file, (int64_t)i);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n; i++)
        print_tensor(sorted[i]);
    free(sorted);
    return 0;
}

int main(int argc, char **argv)
{
    wispi_safetensors *file = NULL;
    wisp_error err = {0};
    if (argc < 2 || argc > 3)
        return 2;
    if (wispi_safetensors_open(argv[1], 0, &file, &err) != WISP_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    int code = 0;
    const char *text = argc == 3 ? wispi_safetensors_text(file, argv[2]) : "";
    if (argc == 2)
        code = print_tensors(file);
    else if (text)
        printf("%s\n", text);
    else
        code = 1;
    wispi_safetensors_close(file);
    return code;
}

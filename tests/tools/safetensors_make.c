/* safetensors_make.c - a safetensors file from words, for scripts.
 *
 *   safetensors_make FILE NAME=SHAPE:VALUE ... NAME=int:VALUE ... KEY=TEXT ...
 *
 * SHAPE is 8,3,3; each element of such a tensor is VALUE, in f32. int: one i64 without a shape. A
 * word without a colon is a text of the header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/safetensors.h"

enum { MOST = 64 };

static wispi_stored_tensor tensors[MOST];
static wispi_stored_text texts[MOST];
static int64_t n_tensors, n_texts;

static int add_number(wispi_stored_tensor *t, const char *value)
{
    static int64_t numbers[MOST];
    numbers[n_tensors] = strtoll(value, NULL, 10);
    t->desc = wisp_desc0(WISP_I64);
    t->data = &numbers[n_tensors];
    return 0;
}

static int add_floats(wispi_stored_tensor *t, char *shape, const char *value)
{
    t->desc.dtype = WISP_F32;
    for (char *size = strtok(shape, ","); size; size = strtok(NULL, ","))
        t->desc.shape[t->desc.rank++] = strtoll(size, NULL, 10);
    const int64_t n = wisp_desc_count(&t->desc);
    float *values = malloc((size_t)n * sizeof *values);
    if (!values)
        return 2;
    for (int64_t i = 0; i < n; i++)
        values[i] = strtof(value, NULL);
    t->data = values;
    return 0;
}

static int add_word(char *word)
{
    char *equals = strchr(word, '='), *colon = equals ? strchr(equals, ':') : NULL;
    if (!equals || n_tensors == MOST || n_texts == MOST)
        return 2;
    *equals = '\0';
    if (!colon) {
        texts[n_texts++] = (wispi_stored_text){word, equals + 1};
        return 0;
    }
    *colon = '\0';
    wispi_stored_tensor *t = &tensors[n_tensors];
    t->name = word;
    const int code = strcmp(equals + 1, "int") == 0 ? add_number(t, colon + 1)
                                                    : add_floats(t, equals + 1, colon + 1);
    n_tensors++;
    return code;
}

int main(int argc, char **argv)
{
    wisp_error err = {0};
    if (argc < 2)
        return 2;
    for (int i = 2; i < argc; i++)
        if (add_word(argv[i]) != 0)
            return 2;
    if (wispi_safetensors_write(argv[1], tensors, n_tensors, texts, n_texts, &err) == WISP_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return 2;
}

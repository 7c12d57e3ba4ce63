/* golden_reader.h - tests only: a safetensors file of tests/golden, all values as doubles.
 *
 * It trusts the file, which is committed, and fails the running test when something is wrong. */
#ifndef WISP_TESTS_GOLDEN_READER_H
#define WISP_TESTS_GOLDEN_READER_H

#include <check.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wisp/tensor.h"

typedef struct golden_tensor {
    wisp_desc desc; /* dtype WISP_F32 for F32 and F64 alike; 0: not in the file */
    int64_t count;
    double *v;
} golden_tensor;

typedef struct golden_file {
    const char *path; /* the caller's */
    uint8_t *bytes;
    uint64_t data; /* where the tensors' bytes begin */
    uint64_t size;
    json_t *header;
} golden_file;

static inline golden_file golden_open(const char *path)
{
    golden_file g = {path, NULL, 0, 0, NULL};
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: cannot open", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    const long size = ftell(f);
    ck_assert_msg(size > 8, "%s: too short", path);
    rewind(f);
    g.size = (uint64_t)size;
    g.bytes = malloc((size_t)size);
    ck_assert_ptr_nonnull(g.bytes);
    ck_assert_uint_eq(fread(g.bytes, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    uint64_t n;
    memcpy(&n, g.bytes, 8);
    ck_assert_msg(n <= g.size - 8, "%s: header ends behind the file", path);
    json_error_t error;
    g.header = json_loadb((const char *)g.bytes + 8, (size_t)n, 0, &error);
    ck_assert_msg(g.header != NULL, "%s: header: %s", path, error.text);
    g.data = 8 + n;
    return g;
}

static inline void golden_close(golden_file *g)
{
    json_decref(g->header);
    free(g->bytes);
}

/* A metadata value; "" when there is none. Lives as long as the file. */
static inline const char *golden_metadata(const golden_file *g, const char *key)
{
    const char *value =
        json_string_value(json_object_get(json_object_get(g->header, "__metadata__"), key));
    return value ? value : "";
}

/* A metadata value that is itself JSON; the caller drops the reference. */
static inline json_t *golden_json(const golden_file *g, const char *key)
{
    json_error_t error;
    json_t *value = json_loads(golden_metadata(g, key), 0, &error);
    ck_assert_msg(value != NULL, "%s: metadata %s: %s", g->path, key, error.text);
    return value;
}

static inline double golden_value(const char *dtype, const uint8_t *bytes, int64_t i)
{
    double d;
    float f;
    int64_t l;
    int32_t n;
    if (!strcmp(dtype, "F64"))
        return memcpy(&d, bytes + 8 * i, 8), d;
    if (!strcmp(dtype, "F32"))
        return memcpy(&f, bytes + 4 * i, 4), (double)f;
    if (!strcmp(dtype, "I64"))
        return memcpy(&l, bytes + 8 * i, 8), (double)l;
    if (!strcmp(dtype, "I32"))
        return memcpy(&n, bytes + 4 * i, 4), (double)n;
    return (double)bytes[i];
}

/* The tensor of this name; desc.dtype 0 when the file has none. The caller frees v. */
static inline golden_tensor golden_get(const golden_file *g, const char *name)
{
    static const struct {
        const char *name;
        int32_t dtype;
        int64_t bytes;
    } types[] = {{"F64", WISP_F32, 8},
                 {"F32", WISP_F32, 4},
                 {"I64", WISP_I64, 8},
                 {"I32", WISP_I32, 4},
                 {"U8", WISP_U8, 1}};
    golden_tensor t = {{0, 0, {0}}, 0, NULL};
    const json_t *entry = json_object_get(g->header, name);
    if (!entry)
        return t;
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const uint64_t first = (uint64_t)json_integer_value(json_array_get(offsets, 0));
    const uint64_t last = (uint64_t)json_integer_value(json_array_get(offsets, 1));
    ck_assert_msg(dtype && first <= last && last <= g->size - g->data, "%s: %s", g->path, name);
    ck_assert_uint_le(json_array_size(shape), WISP_MAX_RANK);
    t.desc.rank = (int32_t)json_array_size(shape);
    for (int32_t i = 0; i < t.desc.rank; i++)
        t.desc.shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
    t.count = wisp_desc_count(&t.desc);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, dtype))
            continue;
        t.desc.dtype = types[i].dtype;
        ck_assert_int_eq(types[i].bytes * t.count, (int64_t)(last - first));
    }
    ck_assert_msg(t.desc.dtype != 0, "%s: %s has the unknown type %s", g->path, name, dtype);
    t.v = malloc(sizeof(double) * (size_t)(t.count + 1));
    ck_assert_ptr_nonnull(t.v);
    for (int64_t i = 0; i < t.count; i++)
        t.v[i] = golden_value(dtype, g->bytes + g->data + first, i);
    return t;
}

#endif

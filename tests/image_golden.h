/* image_golden.h - tests only: what tests/golden/make_image_golden.py and the image tests share.
 *
 * The files are committed and trusted; what is wrong with them fails the running test. */
#ifndef WISP_TESTS_IMAGE_GOLDEN_H
#define WISP_TESTS_IMAGE_GOLDEN_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_GOLDEN WISP_SOURCE_DIR "/tests/golden/image/"

/* The whole file, followed by a zero byte; freed by the caller. */
static inline uint8_t *image_golden_read(const char *name, size_t *n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s%s", IMAGE_GOLDEN, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: cannot open", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    ck_assert_int_ge(size, 0);
    rewind(f);
    uint8_t *data = malloc((size_t)size + 1);
    ck_assert_ptr_nonnull(data);
    *n = fread(data, 1, (size_t)size, f);
    ck_assert_uint_eq(*n, (size_t)size);
    data[size] = 0;
    fclose(f);
    return data;
}

/* The picture that the script draws from the same arguments; freed by the caller. */
static inline uint8_t *image_golden_picture(uint32_t seed, uint32_t width, uint32_t height)
{
    uint8_t *rgb = malloc((size_t)width * height * 3);
    ck_assert_ptr_nonnull(rgb);
    for (uint32_t y = 0, i = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            for (uint32_t c = 0; c < 3; c++, i++) {
                uint32_t n =
                    seed * 0x9E3779B1u + y * 0x85EBCA77u + x * 0xC2B2AE3Du + c * 0x27D4EB2Fu;
                n = (n ^ n >> 15) * 0x2C1B3C6Du;
                n = (n ^ n >> 12) * 0x297A2D39u;
                n = (n ^ n >> 15) >> 24;
                uint32_t ramp = x * 3 + y * 2 + c * 60 + (n & 15);
                uint32_t checks = (x / 5 + y / 3 + c) & 1 ? 255 : n & 3;
                rgb[i] = (uint8_t)(seed % 3 == 0 ? n : seed % 3 == 1 ? ramp : checks);
            }
        }
    }
    return rgb;
}

/* `at` counts the bytes that were hashed before. */
static inline uint64_t image_golden_hash(const uint8_t *v, size_t n, uint64_t at)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (v[i] + UINT64_C(1)) * ((at + i) * UINT64_C(0x9E3779B97F4A7C15) | 1);
    return sum;
}

/* Running count over the compared values. */
typedef struct image_gap {
    uint64_t cases, values, differ;
    int largest;
} image_gap;

/* Compares `n` bytes with the columns STEP OFFSET HASH of a case: every STEPth with the byte stored
 * in pixels.bin from OFFSET on, all by their hash. `label` is the line of the case. */
static inline void image_golden_compare(image_gap *gap, const char *label, const char *columns,
                                        const uint8_t *stored, size_t n_stored, const uint8_t *got,
                                        size_t n)
{
    unsigned long long step, offset, hash;
    ck_assert_int_eq(sscanf(columns, "%llu %llu %llu", &step, &offset, &hash), 3);
    ck_assert_uint_ge(step, 1);
    size_t used = (size_t)((n + step - 1) / step), differ = 0;
    ck_assert_uint_le(offset + used, n_stored);
    for (size_t i = 0; i < used; i++) {
        int d = abs((int)got[i * step] - (int)stored[offset + i]);
        differ += d != 0;
        gap->largest = d > gap->largest ? d : gap->largest;
        ck_assert_msg(d <= 1, "byte %zu is %d instead of %d in: %s", (size_t)(i * step),
                      got[i * step], stored[offset + i], label);
    }
    gap->cases++;
    gap->values += used;
    gap->differ += differ;
    /* One level would be within the tolerance; exactness is what is promised. */
    ck_assert_msg(differ == 0, "%zu of %zu stored bytes differ by one in: %s", differ, used, label);
    ck_assert_msg(image_golden_hash(got, n, 0) == hash,
                  "the stored bytes agree but others differ in: %s", label);
}

#endif

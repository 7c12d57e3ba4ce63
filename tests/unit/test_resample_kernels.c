/* test_resample_kernels.c - every family of resampling kernels that this processor can run gives
 * the bytes of the plain one, whatever the sizes, and touches nothing beside its buffers. (That the
 * plain one is right is for test_image_ops.c to say.) */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu_level.h"
#include "base/memory.h"
#include "image/resample.h"
#include "wisp/rng.h"

/* Bytes before and after a result that must stay as they are. */
enum { GUARD = 64, GUARD_BYTE = 0xA5 };

static const wisp_rng_key key = {.k = {2024, 5}};

static int32_t between(wisp_rng *rng, int32_t low, int32_t high)
{
    return low + (int32_t)wisp_rng_below(rng, (uint32_t)(high - low + 1));
}

/* Exactly as many bytes as pixels need, so that a sanitizer sees every step outside. The sizes 0
 * and 255 are frequent: overshoot is cut off between the passes. */
static wispi_image random_image(wisp_rng *rng, int32_t width, int32_t height)
{
    const size_t n = (size_t)width * (size_t)height * 3;
    uint8_t *pixels = malloc(n);
    ck_assert_ptr_nonnull(pixels);
    const uint32_t extreme = wisp_rng_below(rng, 2);
    for (size_t i = 0; i < n; i++) {
        const uint32_t word = wisp_rng_u32(rng);
        pixels[i] = (uint8_t)(extreme ? (word & 1) * 255 : word >> 24);
    }
    return (wispi_image){pixels, width, height};
}

/* What `kernels` makes of a job, between guards. */
static uint8_t *result_of(wispi_resampler *resampler, const wispi_image *image,
                          const wispi_resample_job *job)
{
    wisp_error err = {0};
    const size_t n = (size_t)job->window.w * (size_t)job->window.h * 3;
    uint8_t *bytes = malloc(n + 2 * GUARD);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, GUARD_BYTE, n + 2 * GUARD);
    ck_assert_msg(wispi_resample(resampler, image, job, bytes + GUARD, &err) == WISP_OK, "%s",
                  err.message);
    for (size_t i = 0; i < GUARD; i++)
        ck_assert_msg(bytes[i] == GUARD_BYTE && bytes[GUARD + n + i] == GUARD_BYTE,
                      "wrote outside of the result");
    return bytes;
}

typedef struct family_pair {
    wispi_resampler plain, vector;
    const char *name;
    int64_t bytes;
} family_pair;

static void compare(family_pair *pair, const wispi_image *image, const wispi_resample_job *job)
{
    const size_t n = (size_t)job->window.w * (size_t)job->window.h * 3;
    uint8_t *want = result_of(&pair->plain, image, job),
            *got = result_of(&pair->vector, image, job);
    for (size_t i = GUARD; i < n + GUARD; i++)
        ck_assert_msg(
            want[i] == got[i],
            "%s: byte %zu of %zu is %d instead of %d; box %d x %d to %d x %d, window %d x "
            "%d, filter %d, mirrored %d",
            pair->name, i - GUARD, n, got[i], want[i], job->box.w, job->box.h, job->out_w,
            job->out_h, job->window.w, job->window.h, job->filter, job->mirrored);
    pair->bytes += (int64_t)n;
    free(want);
    free(got);
}

static void compare_random(family_pair *pair, wisp_rng *rng, int32_t width, int32_t height,
                           int32_t out_w, int32_t out_h)
{
    const wispi_image image = random_image(rng, width, height);
    wispi_resample_job job = {.out_w = out_w, .out_h = out_h};
    job.box.w = wisp_rng_below(rng, 2) ? width : between(rng, 1, width);
    job.box.h = wisp_rng_below(rng, 2) ? height : between(rng, 1, height);
    job.box.x = between(rng, 0, width - job.box.w);
    job.box.y = between(rng, 0, height - job.box.h);
    job.window.w = wisp_rng_below(rng, 2) ? out_w : between(rng, 1, out_w);
    job.window.h = wisp_rng_below(rng, 2) ? out_h : between(rng, 1, out_h);
    job.window.x = between(rng, 0, out_w - job.window.w);
    job.window.y = between(rng, 0, out_h - job.window.h);
    job.filter = between(rng, WISP_FILTER_BICUBIC, WISP_FILTER_LANCZOS);
    job.mirrored = between(rng, 0, 1);
    compare(pair, &image, &job);
    free((void *)(uintptr_t)image.pixels);
}

static void compare_sizes(family_pair *pair)
{
    wisp_rng rng = wisp_rng_begin(key);
    for (int i = 0; i < 600; i++) /* tiny, odd */
        compare_random(pair, &rng, between(&rng, 1, 24), between(&rng, 1, 24), between(&rng, 1, 24),
                       between(&rng, 1, 24));
    for (int i = 0; i < 400; i++) /* crops as samplers draw them, few to many taps */
        compare_random(pair, &rng, between(&rng, 1, 400), between(&rng, 1, 60),
                       between(&rng, 1, 120), between(&rng, 1, 60));
    for (int i = 0; i < 60; i++) /* hundreds of taps */
        compare_random(pair, &rng, between(&rng, 300, 2000), between(&rng, 1, 20),
                       between(&rng, 1, 12), between(&rng, 1, 40));
    for (int i = 0; i < 60; i++)
        compare_random(pair, &rng, between(&rng, 1, 20), between(&rng, 300, 2000),
                       between(&rng, 1, 40), between(&rng, 1, 12));
    compare_random(pair, &rng, 10000, 1, 9999, 1);
    compare_random(pair, &rng, 10000, 3, 7, 5);
    compare_random(pair, &rng, 1, 10000, 1, 3);
    compare_random(pair, &rng, 5, 10000, 3, 10001);
    compare_random(pair, &rng, 1, 1, 4096, 2);
    compare_random(pair, &rng, 1, 1, 1, 1);
}

static void compare_line(family_pair *pair, wisp_rng *rng, int32_t in, int32_t out)
{
    const wispi_image image = random_image(rng, in, 5);
    for (int32_t filter = WISP_FILTER_BICUBIC; filter <= WISP_FILTER_LANCZOS; filter++) {
        for (int32_t mirrored = 0; mirrored < 2; mirrored++) {
            const wispi_resample_job job = {.box = {0, 0, in, 5},
                                            .out_w = out,
                                            .out_h = 3,
                                            .window = {0, 0, out, 3},
                                            .filter = filter,
                                            .mirrored = mirrored};
            compare(pair, &image, &job);
        }
    }
    free((void *)(uintptr_t)image.pixels);
}

/* Around the scales where the pixels for 16 bytes fill one vector or two. */
static void compare_scales(family_pair *pair)
{
    static const int32_t fifths[] = {16, 37};
    wisp_rng rng = wisp_rng_begin(wisp_rng_derive(key, 1, 0));
    for (int i = 0; i < 2; i++) {
        for (int32_t out = 1; out <= 60; out++) {
            const int32_t in = out * fifths[i] / 5;
            compare_line(pair, &rng, in - 1, out);
            compare_line(pair, &rng, in, out);
            compare_line(pair, &rng, in + 1, out);
        }
    }
}

START_TEST(families_agree)
{
    for (int32_t level = WISPI_CPU_PLAIN + 1; level < WISPI_CPU_LEVELS; level++) {
        const wispi_resample_kernels *kernels = wispi_resample_kernels_of(level);
        if (!kernels || !wispi_cpu_has(level))
            continue;
        family_pair pair = {.plain = {.kernels = &wispi_resample_plain},
                            .vector = {.kernels = kernels},
                            .name = wispi_cpu_level_name(level)};
        compare_sizes(&pair);
        compare_scales(&pair);
        printf("%s: %lld bytes equal plain C\n", pair.name, (long long)pair.bytes);
        wispi_resampler_free(&pair.plain);
        wispi_resampler_free(&pair.vector);
    }
}
END_TEST

/* A mirrored result is the result mirrored, also where nothing is resized. */
START_TEST(mirrors)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_derive(key, 2, 0));
    wispi_resampler resampler = {0};
    for (int i = 0; i < 200; i++) {
        const int32_t width = between(&rng, 1, 50), height = between(&rng, 1, 20);
        const int32_t out_w = i % 2 ? width : between(&rng, 1, 50), out_h = between(&rng, 1, 20);
        const wispi_image image = random_image(&rng, width, height);
        wispi_resample_job job = {{0, 0, width, height}, out_w, out_h, {0, 0, out_w, out_h},
                                  WISP_FILTER_BICUBIC,   0};
        uint8_t *want = result_of(&resampler, &image, &job);
        job.mirrored = 1;
        uint8_t *got = result_of(&resampler, &image, &job);
        for (int32_t y = 0; y < out_h; y++)
            for (int32_t x = 0; x < out_w; x++)
                ck_assert_mem_eq(want + GUARD + 3 * (y * out_w + x),
                                 got + GUARD + 3 * (y * out_w + out_w - 1 - x), 3);
        free(want);
        free(got);
        free((void *)(uintptr_t)image.pixels);
    }
    wispi_resampler_free(&resampler);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resampling kernels");
    TCase *cases = tcase_create("kernels");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, families_agree);
    tcase_add_test(cases, mirrors);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

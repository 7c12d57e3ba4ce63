/* test_pixel_kernels.c - every level of vector instructions that this processor has against the
 * plain kernels, byte for byte. Those are compared with Pillow by test_image_ops.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/pixel_kernels.h"

enum { LONGEST = 300 };

static const wispi_pixel_kernels *const plain = &wispi_pixels_plain;

/* The next level above plain that the processor has and the build too, or NULL at the end. */
static const wispi_pixel_kernels *next_level(int32_t *level)
{
    while (++*level < WISPI_CPU_LEVELS) {
        const wispi_pixel_kernels *kernels = wispi_pixel_kernels_of(*level);
        if (wispi_cpu_has(*level) && kernels)
            return kernels;
    }
    return NULL;
}

static uint32_t random_word(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Noise, with a share of gray and of extreme pixels. */
static void fill(uint8_t *rgb, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < 3 * n; i++)
        rgb[i] = (uint8_t)random_word(&seed);
    for (size_t i = 0; i < n; i++) {
        const uint32_t kind = random_word(&seed) % 8;
        for (size_t c = 1; kind == 0 && c < 3; c++)
            rgb[3 * i + c] = rgb[3 * i];
        for (size_t c = 0; kind == 1 && c < 3; c++)
            rgb[3 * i + c] = rgb[3 * i + c] < 128 ? 0 : 255;
    }
}

/* Bytes between two pages that nobody may touch: they end where the second begins or begin where
 * the first ends, so that a step outside is a fault, also one that a sanitizer does not see. */
typedef struct fenced {
    uint8_t *map, *bytes;
    size_t length;
} fenced;

static fenced fenced_make(size_t n, int at_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (n + page - 1) / page * page;
    fenced f = {.length = body + 2 * page};
    f.map = mmap(NULL, f.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(f.map, MAP_FAILED);
    ck_assert_int_eq(mprotect(f.map, page, PROT_NONE), 0);
    ck_assert_int_eq(mprotect(f.map + page + body, page, PROT_NONE), 0);
    f.bytes = f.map + page + (at_end ? body - n : 0);
    return f;
}

/* The same pixels twice. */
typedef struct pair {
    fenced fences[2];
    uint8_t *bytes[2];
    size_t n;
} pair;

static pair pair_make(size_t pixels, int at_end)
{
    pair p = {.n = 3 * pixels};
    for (int i = 0; i < 2; i++) {
        p.fences[i] = fenced_make(p.n, at_end);
        p.bytes[i] = p.fences[i].bytes;
        fill(p.bytes[i], pixels, (uint32_t)pixels * 7);
    }
    return p;
}

static void pair_end(pair *p, const char *what, int32_t level)
{
    ck_assert_msg(memcmp(p->bytes[0], p->bytes[1], p->n) == 0,
                  "%s of %zu bytes differs at level %s", what, p->n, wispi_cpu_level_name(level));
    for (int i = 0; i < 2; i++)
        munmap(p->fences[i].map, p->fences[i].length);
}

typedef void body(const wispi_pixel_kernels *k, uint8_t *rgb, size_t n, int variant);

static void run_map(const wispi_pixel_kernels *k, uint8_t *rgb, size_t n, int variant)
{
    uint8_t table[256];
    uint32_t seed = (uint32_t)variant;
    for (uint32_t v = 0; v < 256; v++)
        table[v] = variant == 0 ? (uint8_t)v : (uint8_t)random_word(&seed);
    k->map(rgb, 3 * n - (n > 1 ? (size_t)variant % 3 : 0), table);
}

static void run_gray(const wispi_pixel_kernels *k, uint8_t *rgb, size_t n, int variant)
{
    (void)variant;
    k->make_gray(rgb, n);
}

static void run_saturate(const wispi_pixel_kernels *k, uint8_t *rgb, size_t n, int variant)
{
    static const float factors[] = {0.0f, 1e-6f, 0.37f, 0.8f, 1.0f, 1.0000001f, 1.4f, 255.5f, 1e6f};
    k->saturate(rgb, n, factors[variant]);
}

static void run_hue(const wispi_pixel_kernels *k, uint8_t *rgb, size_t n, int variant)
{
    k->turn_hue(rgb, n, variant * 31 - 127);
}

static void compare(const char *what, body *run, int variants)
{
    const wispi_pixel_kernels *k;
    for (int32_t level = 0; (k = next_level(&level));) {
        for (size_t n = 1; n <= LONGEST; n++) {
            for (int variant = 0; variant < variants; variant++) {
                pair p = pair_make(n, (n + (size_t)variant) & 1);
                run(plain, p.bytes[0], n, variant);
                run(k, p.bytes[1], n, variant);
                pair_end(&p, what, level);
            }
        }
    }
}

START_TEST(levels_agree)
{
    compare("map", run_map, 5);
    compare("gray", run_gray, 1);
    compare("saturation", run_saturate, 9);
    compare("hue", run_hue, 9);
}
END_TEST

START_TEST(sums_agree)
{
    const wispi_pixel_kernels *k;
    const size_t n = (1u << 21) + 5;
    uint8_t *white = malloc(3 * n);
    memset(white, 255, 3 * n);
    for (int32_t level = 0; (k = next_level(&level));) {
        for (size_t i = 1; i <= LONGEST; i++) {
            pair p = pair_make(i, i & 1);
            ck_assert_uint_eq(plain->luma_sum(p.bytes[0], i), k->luma_sum(p.bytes[1], i));
            pair_end(&p, "luma", level);
        }
        ck_assert_uint_eq(k->luma_sum(white, n), 255 * n);
    }
    free(white);
}
END_TEST

enum { SLICE = 1 << 16 };

/* Colours of one red; the same again, changed by `run`, is compared. */
static void compare_slice(const wispi_pixel_kernels *k, uint32_t red, body *run, int variant)
{
    static uint8_t want[3 * SLICE], got[3 * SLICE];
    for (uint32_t i = 0; i < SLICE; i++) {
        want[3 * i] = (uint8_t)red;
        want[3 * i + 1] = (uint8_t)(i >> 8);
        want[3 * i + 2] = (uint8_t)i;
    }
    memcpy(got, want, sizeof got);
    run(plain, want, SLICE, variant);
    run(k, got, SLICE, variant);
    for (size_t i = 0; memcmp(want, got, sizeof got) != 0 && i < SLICE; i++)
        ck_assert_msg(memcmp(want + 3 * i, got + 3 * i, 3) == 0,
                      "colour (%u, %zu, %zu) becomes (%d, %d, %d) instead of (%d, %d, %d)", red,
                      i >> 8, i & 255, got[3 * i], got[3 * i + 1], got[3 * i + 2], want[3 * i],
                      want[3 * i + 1], want[3 * i + 2]);
}

START_TEST(all_colours_agree)
{
    const wispi_pixel_kernels *k;
    for (int32_t level = 0; (k = next_level(&level));) {
        for (uint32_t red = 0; red < 256; red++) {
            for (int variant = 0; variant < 9; variant++)
                compare_slice(k, red, run_hue, variant);
            compare_slice(k, red, run_saturate, 2);
            compare_slice(k, red, run_saturate, 6);
            compare_slice(k, red, run_gray, 0);
        }
    }
}
END_TEST

static const float moments[][6] = {
    {0.485f, 0.456f, 0.406f, 0.229f, 0.224f, 0.225f},
    {0.4914f, 0.4822f, 0.4465f, 0.2470f, 0.2435f, 0.2616f},
    {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f},
    {0, 0, 0, 1, 1, 1},
    {-3.5f, 1e9f, 0.1f, 1e-30f, 0.7f, 1e-43f},
};

static void check_numbers(const wispi_pixel_kernels *k, int32_t level, const wispi_number_tables *m,
                          size_t n, size_t at)
{
    pair p = pair_make(n, 1), f32 = pair_make(4 * n + at, 1), bf16 = pair_make(2 * n + at, 1);
    plain->to_f32(m, p.bytes[0], n, (float *)(void *)(f32.bytes[0] + 3 * at));
    k->to_f32(m, p.bytes[1], n, (float *)(void *)(f32.bytes[1] + 3 * at));
    plain->to_bf16(m, p.bytes[0], n, (uint16_t *)(void *)(bf16.bytes[0] + 3 * at));
    k->to_bf16(m, p.bytes[1], n, (uint16_t *)(void *)(bf16.bytes[1] + 3 * at));
    pair_end(&f32, "f32", level);
    pair_end(&bf16, "bf16", level);
    pair_end(&p, "source", level);
}

/* Small results, and such that are written past the caches. */
START_TEST(numbers_agree)
{
    const wispi_pixel_kernels *k;
    wispi_number_tables m;
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        wispi_number_tables_set(&m, moments[i], moments[i] + 3);
        ck_assert_msg(i > 3 || m.is_exact, "the numbers of row %zu are looked up", i);
        for (int32_t level = 0; (k = next_level(&level));) {
            for (size_t n = 1; n <= LONGEST; n++)
                check_numbers(k, level, &m, n, 0);
            for (size_t at = 0; at <= 40; at += 4) {
                check_numbers(k, level, &m, 5461 + at, at);
                check_numbers(k, level, &m, 10950 + at / 2, at);
            }
        }
    }
}
END_TEST

static void check_blur(const wispi_pixel_kernels *k, int32_t level, int32_t width, int32_t height,
                       float sigma)
{
    const wisp_box_blur box = wisp_box_blur_of(sigma);
    fenced scratch = fenced_make((wispi_box_blur_bytes(box, width, height) + 63) / 64 * 64, 1);
    pair p = pair_make((size_t)width * (size_t)height, width & 1);
    plain->box_blur(box, p.bytes[0], width, height, scratch.bytes);
    k->box_blur(box, p.bytes[1], width, height, scratch.bytes);
    pair_end(&p, "box blur", level);
    munmap(scratch.map, scratch.length);
}

START_TEST(box_blurs_agree)
{
    static const float sigmas[] = {0.0f, 0.1f,  0.6f,  1.1f,  1.41f, 1.42f, 2.0f,   2.5f,
                                   3.4f, 3.47f, 7.77f, 40.0f, 63.3f, 64.2f, 100.0f, 512.0f};
    const wispi_pixel_kernels *k;
    for (int32_t level = 0; (k = next_level(&level));) {
        for (size_t i = 0; i < sizeof sigmas / sizeof *sigmas; i++) {
            for (int32_t size = 1; size <= 67; size++) {
                check_blur(k, level, size, 1 + size * 7 % 13, sigmas[i]);
                check_blur(k, level, 1 + size * 5 % 13, size, sigmas[i]);
            }
            check_blur(k, level, 224, 224, sigmas[i]);
            check_blur(k, level, 300, 3, sigmas[i]);
        }
        for (float sigma = 0.01f; sigma < 2.6f; sigma += 0.01f)
            check_blur(k, level, 43, 21, sigma);
    }
}
END_TEST

static void check_gauss(const wispi_pixel_kernels *k, int32_t level, int32_t width, int32_t height,
                        float sigma)
{
    static wispi_gauss g;
    g.radius = wisp_gauss_weights(sigma, g.weights);
    fenced scratch =
        fenced_make((wispi_gauss_blur_bytes(g.radius, width, height) + 63) / 64 * 64, 1);
    pair p = pair_make((size_t)width * (size_t)height, width & 1);
    plain->gauss_blur(&g, p.bytes[0], width, height, scratch.bytes);
    k->gauss_blur(&g, p.bytes[1], width, height, scratch.bytes);
    pair_end(&p, "gaussian", level);
    munmap(scratch.map, scratch.length);
}

START_TEST(gaussians_agree)
{
    static const float sigmas[] = {0.0f, 0.1f, 0.33f, 0.5f, 0.9f, 1.3f, 2.0f, 5.0f, 17.0f, 100.0f};
    const wispi_pixel_kernels *k;
    for (int32_t level = 0; (k = next_level(&level));) {
        for (size_t i = 0; i < sizeof sigmas / sizeof *sigmas; i++) {
            for (int32_t size = 1; size <= 67; size++) {
                check_gauss(k, level, size, 1 + size * 7 % 13, sigmas[i]);
                check_gauss(k, level, 1 + size * 5 % 13, size, sigmas[i]);
            }
            check_gauss(k, level, 224, 64, sigmas[i]);
        }
        check_gauss(k, level, 5, 9, 512.0f);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pixel kernels");
    TCase *levels = tcase_create("levels");
    tcase_set_timeout(levels, 200);
    tcase_add_test(levels, levels_agree);
    tcase_add_test(levels, sums_agree);
    tcase_add_test(levels, all_colours_agree);
    tcase_add_test(levels, numbers_agree);
    tcase_add_test(levels, box_blurs_agree);
    tcase_add_test(levels, gaussians_agree);
    suite_add_tcase(suite, levels);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

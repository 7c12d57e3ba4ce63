/* number_avx2.c - normalisation for AVX2: looked up as everywhere, but written past the caches. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "image/streamed_numbers.h"

enum { LOOKED_UP = 32 }; /* pixels; at two bytes a value they are whole cache lines */

static inline void stream(void *to, const void *from, size_t bytes)
{
    const __m256i *source = from;
    __m256i *target = to;
    for (size_t i = 0; i < bytes / sizeof *source; i++)
        _mm256_stream_si256(target + i, _mm256_load_si256(source + i));
}

void wispi_to_f32_avx2(const wispi_number_tables *m, const uint8_t *rgb, size_t n, float *out)
{
    _Alignas(32) float values[3 * LOOKED_UP];
    if (numbers_are_streamed(out, n, sizeof *out)) {
        const size_t before = pixels_before_line(out, sizeof *out);
        wispi_to_f32_plain(m, rgb, before, out);
        rgb += 3 * before;
        out += 3 * before;
        for (n -= before; n >= LOOKED_UP; n -= LOOKED_UP) {
            wispi_to_f32_plain(m, rgb, LOOKED_UP, values);
            stream(out, values, sizeof values);
            rgb += 3 * LOOKED_UP;
            out += 3 * LOOKED_UP;
        }
        _mm_sfence();
    }
    wispi_to_f32_plain(m, rgb, n, out);
}

void wispi_to_bf16_avx2(const wispi_number_tables *m, const uint8_t *rgb, size_t n, uint16_t *out)
{
    _Alignas(32) uint16_t values[3 * LOOKED_UP];
    if (numbers_are_streamed(out, n, sizeof *out)) {
        const size_t before = pixels_before_line(out, sizeof *out);
        wispi_to_bf16_plain(m, rgb, before, out);
        rgb += 3 * before;
        out += 3 * before;
        for (n -= before; n >= LOOKED_UP; n -= LOOKED_UP) {
            wispi_to_bf16_plain(m, rgb, LOOKED_UP, values);
            stream(out, values, sizeof values);
            rgb += 3 * LOOKED_UP;
            out += 3 * LOOKED_UP;
        }
        _mm_sfence();
    }
    wispi_to_bf16_plain(m, rgb, n, out);
}
#endif

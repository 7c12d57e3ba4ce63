/* number_avx512.c - normalisation by arithmetic, which beats 16 look-ups, for AVX-512. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "image/streamed_numbers.h"

/* Constants of lanes whose channels are first, first + step, first + 2 step ... */
typedef struct lanes {
    __m512 mean, inverse, rest;
} lanes;

static lanes lanes_of(const wispi_number_tables *m, int first, int step)
{
    float mean[16], inverse[16], rest[16];
    for (int i = 0; i < 16; i++) {
        const int c = (first + i * step) % 3;
        mean[i] = m->mean[c];
        inverse[i] = m->inverse[c];
        rest[i] = m->inverse_rest[c];
    }
    return (lanes){_mm512_loadu_ps(mean), _mm512_loadu_ps(inverse), _mm512_loadu_ps(rest)};
}

static inline __m512 numbers(const lanes *k, __m512i bytes)
{
    const __m512 v = _mm512_cvtepi32_ps(bytes);
    const __m512 rest = _mm512_mul_ps(v, _mm512_set1_ps(WISPI_INVERSE_255_REST));
    const __m512 share =
        _mm512_sub_ps(_mm512_fmadd_ps(v, _mm512_set1_ps(WISPI_INVERSE_255), rest), k->mean);
    return _mm512_fmadd_ps(share, k->inverse, _mm512_mul_ps(share, k->rest));
}

static inline void write_register(void *out, __m512i v, int streamed)
{
    if (streamed)
        _mm512_stream_si512(out, v);
    else
        _mm512_storeu_si512(out, v);
}

static inline void f32_registers(const lanes k[3], const uint8_t *rgb, size_t n, float *out,
                                 int streamed)
{
    for (size_t i = 0; i < n; i += 48) {
        for (size_t j = 0; j < 3; j++) {
            const size_t at = i + 16 * j;
            const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(rgb + at));
            const __m512 x = numbers(&k[j], _mm512_cvtepu8_epi32(v));
            write_register(out + at, _mm512_castps_si512(x), streamed);
        }
    }
}

void wispi_to_f32_avx512(const wispi_number_tables *m, const uint8_t *rgb, size_t n, float *out)
{
    const lanes k[3] = {lanes_of(m, 0, 1), lanes_of(m, 1, 1), lanes_of(m, 2, 1)};
    const int streamed = numbers_are_streamed(out, n, sizeof *out);
    const size_t before = streamed ? pixels_before_line(out, sizeof *out) : 0;
    const size_t whole = m->is_exact ? (n - before) / 16 * 16 : 0, done = before + whole;
    wispi_to_f32_plain(m, rgb, before, out);
    if (streamed)
        f32_registers(k, rgb + 3 * before, 3 * whole, out + 3 * before, 1);
    else
        f32_registers(k, rgb, 3 * whole, out, 0);
    wispi_to_f32_plain(m, rgb + 3 * done, n - done, out + 3 * done);
    _mm_sfence();
}

/* The upper half of the bits, to nearest, ties to even; no number here is a NaN. */
static inline __m512i rounded(__m512 x)
{
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
}

/* 32 values; even and odd ones apart. */
static inline __m512i halves(const lanes *even, const lanes *odd, __m512i words)
{
    const __m512i low = _mm512_and_si512(words, _mm512_set1_epi32(0xffff));
    const __m512i e = rounded(numbers(even, low));
    const __m512i o = rounded(numbers(odd, _mm512_srli_epi32(words, 16)));
    return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(e, 16), o);
}

static inline void bf16_registers(const lanes k[3], const uint8_t *rgb, size_t n, uint16_t *out,
                                  int streamed)
{
    for (size_t i = 0; i < n; i += 96) {
        for (size_t j = 0; j < 3; j++) {
            const size_t first = 32 * j % 3, at = i + 32 * j;
            const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(rgb + at));
            const __m512i x = halves(&k[first], &k[(first + 1) % 3], _mm512_cvtepu8_epi16(v));
            write_register(out + at, x, streamed);
        }
    }
}

void wispi_to_bf16_avx512(const wispi_number_tables *m, const uint8_t *rgb, size_t n, uint16_t *out)
{
    const lanes k[3] = {lanes_of(m, 0, 2), lanes_of(m, 1, 2), lanes_of(m, 2, 2)};
    const int streamed = numbers_are_streamed(out, n, sizeof *out);
    const size_t before = streamed ? pixels_before_line(out, sizeof *out) : 0;
    const size_t whole = m->is_exact ? (n - before) / 32 * 32 : 0, done = before + whole;
    wispi_to_bf16_plain(m, rgb, before, out);
    if (streamed)
        bf16_registers(k, rgb + 3 * before, 3 * whole, out + 3 * before, 1);
    else
        bf16_registers(k, rgb, 3 * whole, out, 0);
    wispi_to_bf16_plain(m, rgb + 3 * done, n - done, out + 3 * done);
    _mm_sfence();
}
#endif

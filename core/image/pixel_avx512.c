/* pixel_avx512.c - the pixel kernels for AVX-512 with VBMI and VNNI.
 *
 * 16 pixels, 48 bytes, are spread over the 16 lanes of a register and gathered again by one byte
 * permutation each. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include "image/pixels_avx512.h"

static void map(uint8_t *values, size_t n, const uint8_t table[256])
{
    const __m512i part[4] = {_mm512_loadu_si512(table), _mm512_loadu_si512(table + 64),
                             _mm512_loadu_si512(table + 128), _mm512_loadu_si512(table + 192)};
    for (; n > 0; n -= n < 64 ? n : 64, values += 64) {
        const __mmask64 here = n < 64 ? ((__mmask64)1 << n) - 1 : ~(__mmask64)0;
        const __m512i v = _mm512_maskz_loadu_epi8(here, values);
        const __m512i low = _mm512_permutex2var_epi8(part[0], v, part[1]);
        const __m512i high = _mm512_permutex2var_epi8(part[2], v, part[3]);
        _mm512_mask_storeu_epi8(values, here,
                                _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), low, high));
    }
}

static uint64_t luma_sum(const uint8_t *rgb, size_t n)
{
    const wispi_luma512 k = wispi_luma512_constants();
    uint64_t total = 0;
    while (n > 0) {
        /* So many pixels that no lane overflows. */
        size_t part = n < 1u << 20 ? n : 1u << 20;
        __m512i sum = _mm512_setzero_si512();
        for (n -= part; part > 0; part -= part < 16 ? part : 16, rgb += 48) {
            const __m512i p = wispi_rgbg512(wispi_load512(rgb, part));
            sum = _mm512_add_epi32(sum, wispi_luma512_of(&k, p));
        }
        total += (uint64_t)(uint32_t)_mm512_reduce_add_epi32(sum);
    }
    return total;
}

static void make_gray(uint8_t *rgb, size_t n)
{
    const wispi_luma512 k = wispi_luma512_constants();
    const __m512i thrice = wispi_thrice512();
    __m512i next = wispi_load512(rgb, n);
    for (; n > 0; n -= n < 16 ? n : 16, rgb += 48) {
        const __mmask64 here = wispi_pixels_mask(n);
        const __m512i luma = wispi_luma512_of(&k, wispi_rgbg512(next));
        next = wispi_load_behind512(rgb, n);
        _mm512_mask_storeu_epi8(rgb, here, _mm512_permutexvar_epi8(thrice, luma));
    }
}

/* One channel: luma + factor * (v - luma), cut to a whole number; not yet to 8 bits. */
static inline __m512i blended(__m512i v, __m512i luma, __m512 from, __m512 factor)
{
    const __m512 step = _mm512_cvtepi32_ps(_mm512_sub_epi32(v, luma));
    return _mm512_cvttps_epi32(_mm512_add_ps(from, _mm512_mul_ps(factor, step)));
}

static void saturate(uint8_t *rgb, size_t n, float factor)
{
    const wispi_luma512 k = wispi_luma512_constants();
    const __m512i byte = _mm512_set1_epi32(255);
    const __m512 by = _mm512_set1_ps(factor);
    /* Packing leaves in each 16 bytes four of red, of green, and of blue twice. */
    const __m512i gather = wispi_gather_packed512();
    __m512i next = wispi_load512(rgb, n);
    for (; n > 0; n -= n < 16 ? n : 16, rgb += 48) {
        const __mmask64 here = wispi_pixels_mask(n);
        const __m512i p = wispi_rgbg512(next), luma = wispi_luma512_of(&k, p);
        next = wispi_load_behind512(rgb, n);
        const __m512 from = _mm512_cvtepi32_ps(luma);
        const __m512i r = blended(_mm512_and_si512(p, byte), luma, from, by);
        const __m512i g = blended(_mm512_srli_epi32(p, 24), luma, from, by);
        const __m512i b = blended(_mm512_and_si512(_mm512_srli_epi32(p, 16), byte), luma, from, by);
        const __m512i packed =
            _mm512_packus_epi16(_mm512_packs_epi32(r, g), _mm512_packs_epi32(b, b));
        _mm512_mask_storeu_epi8(rgb, here, _mm512_permutexvar_epi8(gather, packed));
    }
}

const wispi_pixel_kernels wispi_pixels_avx512 = {
    .map = map,
    .luma_sum = luma_sum,
    .make_gray = make_gray,
    .saturate = saturate,
    .turn_hue = wispi_turn_hue_avx512,
    .to_f32 = wispi_to_f32_avx512,
    .to_bf16 = wispi_to_bf16_avx512,
    .box_blur = wispi_box_blur_avx512,
    .gauss_blur = wispi_gauss_blur_avx512,
};
#endif

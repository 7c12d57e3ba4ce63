/* cpu_wide.h - powers of two, GELU and its slope, sixteen at a time.
 *
 * `rough` is for what becomes bf16: relative errors of 1e-4 instead of 1e-7, for half the work.
 * NaN in, NaN out. */
#ifndef CPU_WIDE_H
#define CPU_WIDE_H

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define CPU_WIDE_INLINE                                                                            \
    __attribute__((target("avx512f,avx512dq,fma"))) static inline __attribute__((always_inline))

/* c[0] + c[1] x + ... + c[n] x^n */
CPU_WIDE_INLINE __m512 cpu_wide_polynomial(__m512 x, const float *c, int n)
{
    __m512 p = _mm512_set1_ps(c[n]);
    for (int i = n - 1; i >= 0; i--)
        p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(c[i]));
    return p;
}

/* 2^x, 0 far below. */
CPU_WIDE_INLINE __m512 cpu_wide_exp2(__m512 x, int rough)
{
    static const float few[] = {0.99992522f, 0.695833529f, 0.226067168f, 0.0780245231f};
    static const float all[] = {1.0f,           0.693146984f,  0.240229836f,   0.055483342f,
                                0.00967884095f, 0.0012439688f, 0.000217022555f};
    const __m512 fraction = _mm512_reduce_ps(x, 9); /* x - floor(x) */
    const __m512 p =
        rough ? cpu_wide_polynomial(fraction, few, 3) : cpu_wide_polynomial(fraction, all, 6);
    return _mm512_scalef_ps(p, x);
}

/* Of a normal variable beyond a = |x|: e = exp(-a^2 / 2), and its probability over e. */
typedef struct cpu_wide_tail {
    __m512 a, e, ratio;
} cpu_wide_tail;

CPU_WIDE_INLINE cpu_wide_tail cpu_wide_tail_of(__m512 x, int rough)
{
    /* The ratio in powers of 1 / (1 + a * step): the second are those of cpu_normal. */
    static const float few[] = {-0.00111345661f, 0.194618898f, 0.1015934f, 0.331989045f,
                                -0.127106812f};
    static const float all[] = {1.77483631e-05f, 0.119265162f,   0.123913263f, 0.0847056937f,
                                0.173346519f,    -0.137466765f,  0.306105202f, -0.230230198f,
                                0.0655609371f,   -0.00521754735f};
    const __m512 limit = _mm512_set1_ps(rough ? 5.6f : 13.2f), one = _mm512_set1_ps(1.0f);
    cpu_wide_tail t;
    t.a = _mm512_min_ps(limit, _mm512_abs_ps(x)); /* a NaN stays */
    const __m512 half = _mm512_mul_ps(t.a, _mm512_set1_ps(-0.72134752f));
    t.e = cpu_wide_exp2(_mm512_mul_ps(half, t.a), rough);
    const __m512 d = _mm512_fmadd_ps(t.a, _mm512_set1_ps(rough ? 0.45f : 0.3f), one);
    __m512 u = _mm512_rcp14_ps(d);
    if (!rough)
        u = _mm512_mul_ps(u, _mm512_fnmadd_ps(d, u, _mm512_set1_ps(2.0f)));
    t.ratio = rough ? cpu_wide_polynomial(u, few, 4) : cpu_wide_polynomial(u, all, 9);
    return t;
}

/* x times the probability below x. */
CPU_WIDE_INLINE __m512 cpu_wide_gelu(__m512 x, int rough)
{
    const cpu_wide_tail t = cpu_wide_tail_of(x, rough);
    const __m512 positive = _mm512_max_ps(_mm512_setzero_ps(), x); /* a NaN stays */
    return _mm512_fnmadd_ps(_mm512_mul_ps(t.a, t.e), t.ratio, positive);
}

/* The probability below x plus x times the density. */
CPU_WIDE_INLINE __m512 cpu_wide_gelu_slope(__m512 x, int rough)
{
    const cpu_wide_tail t = cpu_wide_tail_of(x, rough);
    const __m512 density = _mm512_set1_ps(0.398942280f);
    const __m512 w = _mm512_mul_ps(t.e, _mm512_fnmadd_ps(density, t.a, t.ratio));
    const __mmask16 positive = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
    return _mm512_mask_sub_ps(w, positive, _mm512_set1_ps(1.0f), w);
}

#endif
#endif

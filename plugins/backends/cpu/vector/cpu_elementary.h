/* cpu_elementary.h - exp, log, tanh, the logistic function and the normal distribution, written so
 * that loops over them become vector code: no branches, no tables, no calls.
 *
 * The polynomials are own least-maximum fits (iterated reweighted least squares on Chebyshev
 * points, 40-digit function values). */
#ifndef CPU_ELEMENTARY_H
#define CPU_ELEMENTARY_H

#include <math.h>

#include "cpu_bits.h"

/* Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the sum. */
#define CPU_ROUNDER 12582912.0f

/* exp(r) for |r| <= ln(2) / 2. */
CPU_INLINE float cpu_exp_core(float r)
{
    float p = 0.001381454f;
    p = p * r + 0.00836874512f;
    p = p * r + 0.0416683908f;
    p = p * r + 0.166665204f;
    p = p * r + 0.499999934f;
    return (p * r) * r + r + 1.0f;
}

/* x = n * ln 2 + r; returns r, and n in the low bits of *n. The first part of ln 2 has so few bits
 * that its product with n is exact. */
CPU_INLINE float cpu_exp_reduce(float x, uint32_t *n)
{
    float shifted = x * 1.44269504f + CPU_ROUNDER;
    float whole = shifted - CPU_ROUNDER;
    *n = cpu_bits_of_float(shifted);
    return (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
}

/* exp over the whole range of float, denormals included: within 2 ulp. */
CPU_INLINE float cpu_exp(float x)
{
    float y = x > 89.0f ? 89.0f : x;
    y = y < -104.0f ? -104.0f : y;
    uint32_t n;
    float p = cpu_exp_core(cpu_exp_reduce(y, &n));
    /* 2^n in two factors, since n reaches beyond the exponents of normal numbers. */
    int32_t whole = (int32_t)(n << 9) >> 9;
    int32_t half = whole >> 1;
    p *= cpu_float_of_bits((uint32_t)(half + 127) << 23);
    return p * cpu_float_of_bits((uint32_t)(whole - half + 127) << 23);
}

/* exp(x) for x <= 88, within 2 ulp; what would be below 1e-38 is 0. */
CPU_INLINE float cpu_exp_low(float x)
{
    float y = x < -87.3f ? -87.3f : x;
    uint32_t n;
    float p = cpu_exp_core(cpu_exp_reduce(y, &n));
    p *= cpu_float_of_bits((n << 23) + 0x3f800000u);
    return x < -87.3f ? 0.0f : p;
}

/* Natural logarithm, within 2 ulp; -inf at 0, NaN below. */
CPU_INLINE float cpu_log(float x)
{
    float tiny = x < 1.17549435e-38f ? 8388608.0f : 1.0f;
    float bias = x < 1.17549435e-38f ? -23.0f : 0.0f;
    uint32_t bits = cpu_bits_of_float(x * tiny);
    /* m in [sqrt(1/2), sqrt(2)) */
    uint32_t shifted = bits - 0x3f3504f3u;
    float e = (float)((int32_t)shifted >> 23) + bias;
    float f = cpu_float_of_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float p = -0.0763438734f;
    p = p * f + 0.127654276f;
    p = p * f - 0.131620042f;
    p = p * f + 0.142013687f;
    p = p * f - 0.166231445f;
    p = p * f + 0.200012359f;
    p = p * f - 0.250008268f;
    p = p * f + 0.333333317f;
    float square = f * f;
    float tail = p * f * square + e * -2.12194440e-4f - 0.5f * square;
    float y = (tail + f) + e * 0.693359375f;
    y = x > 3.4028235e38f ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

CPU_INLINE float cpu_tanh(float x)
{
    float s = x * x;
    float p = -0.00567931238f;
    p = p * s + 0.0206181303f;
    p = p * s - 0.0537340026f;
    p = p * s + 0.133313837f;
    p = p * s - 0.333332802f;
    float small = p * s * x + x;
    float a = fabsf(x) > 10.0f ? 10.0f : fabsf(x);
    float large = 1.0f - 2.0f / (cpu_exp_low(2.0f * a) + 1.0f);
    large = copysignf(large, x);
    float y = a < 0.62f ? small : large;
    return x != x ? x : y;
}

CPU_INLINE float cpu_sigmoid(float x)
{
    float y = x < -88.0f ? -88.0f : x;
    return 1.0f / (1.0f + cpu_exp(-y));
}

/* Distribution function and density of the standard normal. With u = 1 / (1 + 0.3 |x|) the ratio
 * P(-|x|) / exp(-x^2 / 2) is a smooth function of u, so the tail is exact to a few ulp. */
CPU_INLINE float cpu_normal(float x, float *density)
{
    float a = fabsf(x) > 13.2f ? 13.2f : fabsf(x);
    float e = cpu_exp_low(-0.5f * a * a);
    float u = 1.0f / (1.0f + 0.3f * a);
    float p = -0.00521754735f;
    p = p * u + 0.0655609371f;
    p = p * u - 0.230230198f;
    p = p * u + 0.306105202f;
    p = p * u - 0.137466765f;
    p = p * u + 0.173346519f;
    p = p * u + 0.0847056937f;
    p = p * u + 0.123913263f;
    p = p * u + 0.119265162f;
    p = p * u + 1.77483631e-05f;
    float tail = p * e;
    *density = 0.398942280f * e;
    return x > 0.0f ? 1.0f - tail : tail;
}

#endif

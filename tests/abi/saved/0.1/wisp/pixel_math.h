/* pixel_math.h - what Pillow and torchvision do to one pixel, and the weights of their resizing.
 *
 * Functions of values alone, for the host's view engine, the reference kernel of make_views and the
 * kernels of devices: what shares them gives the same bytes. Every product is rounded on its own,
 * also where the device would fuse it with a sum, because the last bit decides how a value is
 * truncated to 8 bits. The mix of single and double precision is that of the originals. */
#ifndef WISP_PIXEL_MATH_H
#define WISP_PIXEL_MATH_H

#include <math.h>
#include <stdint.h>

#include "wisp/kernels.h"
#include "wisp/sampler.h"

#ifdef __CUDACC__
#define WISP_PIXEL_FUNCTION static __host__ __device__ inline
#else
#define WISP_PIXEL_FUNCTION static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

WISP_PIXEL_FUNCTION float wisp_product_f32(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

WISP_PIXEL_FUNCTION double wisp_product_f64(double a, double b)
{
#ifdef __CUDA_ARCH__
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

/* --- resizing a line of pixels ---
 *
 * The filter is stretched when shrinking (antialiased), sampled at pixel centres, normalised, and
 * rounded to fixed point. */

/* 32 bits hold 8-bit pixels times weights, with two bits to spare for overshoot. */
enum { WISP_WEIGHT_BITS = 32 - 8 - 2 };

WISP_PIXEL_FUNCTION double wisp_bilinear_at(double x)
{
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Cubic convolution with a = -0.5. */
WISP_PIXEL_FUNCTION double wisp_bicubic_at(double x)
{
    if (x < 1.0) {
        double slope = wisp_product_f64(wisp_product_f64(1.5, x) - 2.5, x);
        return wisp_product_f64(slope, x) + 1.0;
    }
    double inner = wisp_product_f64(wisp_product_f64(x - 5.0, x) + 8.0, x) - 4.0;
    return x < 2.0 ? wisp_product_f64(-0.5, inner) : 0.0;
}

WISP_PIXEL_FUNCTION double wisp_sinc_at(double x)
{
    double angle = wisp_product_f64(3.14159265358979323846, x);
    return x == 0.0 ? 1.0 : sin(angle) / angle;
}

WISP_PIXEL_FUNCTION double wisp_lanczos_at(double x)
{
    return x < 3.0 ? wisp_product_f64(wisp_sinc_at(x), wisp_sinc_at(x / 3.0)) : 0.0;
}

/* Half width at scale 1; 0 for a filter that there is not. */
WISP_PIXEL_FUNCTION double wisp_filter_support(int32_t filter)
{
    return filter == WISP_FILTER_BICUBIC    ? 2.0
           : filter == WISP_FILTER_BILINEAR ? 1.0
           : filter == WISP_FILTER_LANCZOS  ? 3.0
                                            : 0.0;
}

WISP_PIXEL_FUNCTION double wisp_filter_at(int32_t filter, double x)
{
    double distance = fabs(x);
    return filter == WISP_FILTER_BICUBIC    ? wisp_bicubic_at(distance)
           : filter == WISP_FILTER_BILINEAR ? wisp_bilinear_at(distance)
                                            : wisp_lanczos_at(distance);
}

/* A line of `in` pixels resized. */
typedef struct wisp_stretch {
    double scale;   /* source pixels per output pixel */
    double squeeze; /* what a distance in source pixels is multiplied by before the filter */
    double support; /* half width in source pixels */
    int32_t filter; /* WISP_FILTER_... */
    int32_t in;
} wisp_stretch;

WISP_PIXEL_FUNCTION wisp_stretch wisp_stretch_of(int32_t in, int32_t out, int32_t filter)
{
    wisp_stretch s;
    double widened;
    s.scale = (double)in / out;
    widened = s.scale < 1.0 ? 1.0 : s.scale; /* enlarging does not narrow the filter */
    s.squeeze = 1.0 / widened;
    s.support = wisp_product_f64(wisp_filter_support(filter), widened);
    s.filter = filter;
    s.in = in;
    return s;
}

/* The source pixels that make one output pixel. */
typedef struct wisp_taps {
    double center; /* in source pixels */
    int32_t first, count;
} wisp_taps;

WISP_PIXEL_FUNCTION wisp_taps wisp_taps_of(const wisp_stretch *s, int64_t x)
{
    wisp_taps t;
    int32_t low, high;
    t.center = wisp_product_f64((double)x + 0.5, s->scale);
    low = (int32_t)(t.center - s->support + 0.5);
    high = (int32_t)(t.center + s->support + 0.5);
    t.first = low < 0 ? 0 : low;
    t.count = (high > s->in ? s->in : high) - t.first;
    return t;
}

/* Weight of source pixel t->first + i before the weights are made to sum to 1. */
WISP_PIXEL_FUNCTION double wisp_tap_weight(const wisp_stretch *s, const wisp_taps *t, int32_t i)
{
    return wisp_filter_at(s->filter,
                          wisp_product_f64((t->first + i) - t->center + 0.5, s->squeeze));
}

WISP_PIXEL_FUNCTION double wisp_tap_sum(const wisp_stretch *s, const wisp_taps *t)
{
    double sum = 0.0;
    for (int32_t i = 0; i < t->count; i++)
        sum += wisp_tap_weight(s, t, i);
    return sum;
}

/* Fixed point, rounded half away from zero. */
WISP_PIXEL_FUNCTION int32_t wisp_fixed_weight(double weight, double sum)
{
    double share = sum != 0.0 ? weight / sum : weight;
    double scaled = wisp_product_f64(share, (double)(1 << WISP_WEIGHT_BITS));
    return (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* What a sum of pixels times weights begins with, so that cutting off the fraction rounds. */
enum { WISP_WEIGHT_HALF = 1 << (WISP_WEIGHT_BITS - 1) };

WISP_PIXEL_FUNCTION uint8_t wisp_weighted_byte(int32_t sum)
{
    int32_t v = sum >> WISP_WEIGHT_BITS; /* arithmetic on every compiler that we support */
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Rows come first unless the height loses more than twice what the width loses: Pillow's rule since
 * version 13. The order shows where an overshoot is cut off between the passes. */
WISP_PIXEL_FUNCTION int wisp_columns_first(int32_t in_w, int32_t in_h, int32_t out_w, int32_t out_h)
{
    int64_t fewer_rows = (int64_t)in_h - out_h, fewer_columns = (int64_t)in_w - out_w;
    return fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
}

/* --- colours --- */

/* Luma as Pillow computes it: ITU-R 601 weights in 16-bit fixed point, rounded. */
WISP_PIXEL_FUNCTION uint8_t wisp_luma(uint32_t r, uint32_t g, uint32_t b)
{
    return (uint8_t)((r * 19595u + g * 38470u + b * 7471u + 0x8000u) >> 16);
}

/* Mean luma of n pixels as contrast takes it. */
WISP_PIXEL_FUNCTION int32_t wisp_mean_luma(uint64_t sum, uint64_t n)
{
    return n ? (int32_t)((double)sum / (double)n + 0.5) : 0;
}

/* From `from` to `to` by `factor`, beyond `to` when it exceeds 1. */
WISP_PIXEL_FUNCTION uint8_t wisp_blend(int32_t from, int32_t to, float factor)
{
    float v = (float)from + wisp_product_f32(factor, (float)(to - from));
    v = v < 0.0f ? 0.0f : v > 255.0f ? 255.0f : v;
    return (uint8_t)(int32_t)v;
}

typedef struct wisp_rgb {
    int32_t r, g, b;
} wisp_rgb;

/* Hue runs over 0..254 with 255 as an overshoot, as Pillow scales it by 255. */
typedef struct wisp_hsv {
    int32_t h, s, v;
} wisp_hsv;

/* Hue of a pixel in sixths of the circle, from -1 to 5. */
WISP_PIXEL_FUNCTION float wisp_hue_sixths(wisp_rgb p, int32_t high, float range)
{
    float below_r = (float)(high - p.r) / range, below_g = (float)(high - p.g) / range,
          below_b = (float)(high - p.b) / range;
    float red = below_b - below_g;
    float green = (float)(2.0 + (double)below_r - (double)below_b);
    float blue = (float)(4.0 + (double)below_g - (double)below_r);
    return p.r == high ? red : p.g == high ? green : blue;
}

WISP_PIXEL_FUNCTION wisp_hsv wisp_hsv_of(wisp_rgb p)
{
    wisp_hsv hsv;
    int32_t most = p.r > p.g ? p.r : p.g, least = p.r < p.g ? p.r : p.g;
    int32_t high = most > p.b ? most : p.b, low = least < p.b ? least : p.b, range = high - low;
    float sixths = wisp_hue_sixths(p, high, (float)(range > 1 ? range : 1));
    float saturation = (float)range / (float)(high > 1 ? high : 1);
    double turns = (double)sixths / 6.0 + 1.0;
    float hue = (float)(turns >= 1.0 ? turns - 1.0 : turns);
    hsv.h = range ? (int32_t)((double)hue * 255.0) : 0;
    hsv.s = (int32_t)((double)saturation * 255.0);
    hsv.v = high;
    return hsv;
}

/* Values are never negative, so adding one half and truncating rounds to nearest. */
WISP_PIXEL_FUNCTION int32_t wisp_rounded_f32(float v)
{
    return (int32_t)(v + 0.5f);
}

WISP_PIXEL_FUNCTION wisp_rgb wisp_rgb_of(wisp_hsv hsv)
{
    wisp_rgb p;
    float sixths = (float)((double)hsv.h * 6.0 / 255.0);
    int32_t sector = (int32_t)sixths;
    float f = sixths - (float)sector, s = (float)hsv.s / 255.0f, v = (float)hsv.v;
    int32_t top = hsv.v, bottom = wisp_rounded_f32(wisp_product_f32(v, 1.0f - s));
    int32_t falling = wisp_rounded_f32(wisp_product_f32(v, 1.0f - wisp_product_f32(s, f)));
    int32_t rising = wisp_rounded_f32(wisp_product_f32(v, 1.0f - wisp_product_f32(s, 1.0f - f)));
    sector = sector == 6 ? 0 : sector;
    p.r = sector == 0 || sector == 5 ? top : sector == 1 ? falling : sector == 4 ? rising : bottom;
    p.g = sector == 1 || sector == 2 ? top : sector == 0 ? rising : sector == 3 ? falling : bottom;
    p.b = sector == 3 || sector == 4 ? top : sector == 2 ? rising : sector == 5 ? falling : bottom;
    return p;
}

/* A shift in turns as 8-bit hue: truncated; adding it wraps. */
WISP_PIXEL_FUNCTION int32_t wisp_hue_step(double shift)
{
    return (int32_t)wisp_product_f64(shift, 255.0);
}

WISP_PIXEL_FUNCTION wisp_rgb wisp_turn_hue(wisp_rgb p, int32_t step)
{
    wisp_hsv hsv = wisp_hsv_of(p);
    hsv.h = (hsv.h + step) & 255;
    return wisp_rgb_of(hsv);
}

/* --- blur: box blurs with a fractional radius, in fixed point ---
 *
 * A box of radius r + a weighs the 2r + 1 inner pixels by one and the two outer ones by a; the
 * picture is continued by its edge pixels. Three passes along rows, then three along columns. */

enum { WISP_BLUR_PASSES = 3, WISP_BLUR_BITS = 24 };

/* Largest sigma, in pixels. */
#define WISP_BLUR_MAX_SIGMA 512.0f

typedef struct wisp_box_blur {
    int32_t radius; /* of the pixels that count in full */
    uint32_t inner, outer;
} wisp_box_blur;

/* The box whose threefold repetition has the variance sigma^2. */
WISP_PIXEL_FUNCTION wisp_box_blur wisp_box_blur_of(float sigma)
{
    wisp_box_blur box;
    float variance = wisp_product_f32(sigma, sigma) / (float)WISP_BLUR_PASSES;
    float length = (float)sqrt(wisp_product_f64(12.0, (double)variance) + 1.0);
    float whole = (float)floor((length - 1.0) / 2.0);
    float part = wisp_product_f32(2 * whole + 1, wisp_product_f32(whole, whole + 1) -
                                                     wisp_product_f32(3, variance));
    float radius;
    part /= wisp_product_f32(6, variance - wisp_product_f32(whole + 1, whole + 1));
    radius = whole + part;
    box.radius = (int32_t)radius;
    box.inner = (uint32_t)((float)(1 << WISP_BLUR_BITS) / (radius * 2 + 1));
    box.outer = ((1u << WISP_BLUR_BITS) - (2 * (uint32_t)box.radius + 1) * box.inner) / 2;
    return box;
}

/* From the sums over the inner and the two outer pixels. */
WISP_PIXEL_FUNCTION uint8_t wisp_blurred_byte(wisp_box_blur box, uint32_t inner, uint32_t outer)
{
    return (uint8_t)((inner * box.inner + outer * box.outer + (1u << (WISP_BLUR_BITS - 1))) >>
                     WISP_BLUR_BITS);
}

/* --- blur: a sampled Gaussian ---
 *
 * Weights exp(-d^2 / (2 sigma^2)) up to 3 sigma, in fixed point with the sum 1; first along rows,
 * then along columns, with WISP_GAUSS_MORE_BITS more than 8 bits between. The picture is continued
 * by its reflection, whose axis is the edge pixel. Nothing here depends on a mathematical library,
 * so every device has the same weights. */

enum {
    WISP_GAUSS_BITS = 14,
    WISP_GAUSS_MORE_BITS = 7,
    WISP_GAUSS_MAX_RADIUS = 1536, /* 3 * WISP_BLUR_MAX_SIGMA */
    WISP_GAUSS_WEIGHTS = WISP_GAUSS_MAX_RADIUS + 2
};

/* exp(-x) for x >= 0, to 11 digits: a Taylor series at x / 128, then squares. */
WISP_PIXEL_FUNCTION double wisp_decay(double x)
{
    const double y = -x / 128.0;
    double sum = 1.0;
    if (x > 64.0)
        return 0.0;
    for (int32_t i = 12; i > 0; i--)
        sum = 1.0 + wisp_product_f64(sum, y) / i;
    for (int32_t i = 0; i < 7; i++)
        sum = wisp_product_f64(sum, sum);
    return sum;
}

WISP_PIXEL_FUNCTION int32_t wisp_gauss_radius(float sigma)
{
    return (int32_t)ceil(wisp_product_f64(3.0, (double)sigma));
}

/* At distance d before the sum is made 1; sigma > 0. */
WISP_PIXEL_FUNCTION double wisp_gauss_at(float sigma, int32_t d)
{
    const double x = (double)d / (double)sigma;
    return wisp_decay(wisp_product_f64(0.5, wisp_product_f64(x, x)));
}

/* The weights of distances 0 to the radius, which is returned, and a 0 behind them: at most
 * WISP_GAUSS_WEIGHTS. Rounded so that the sum over any tail is as near as can be. */
WISP_PIXEL_FUNCTION int32_t wisp_gauss_weights(float sigma, int16_t *weights)
{
    const int32_t radius = wisp_gauss_radius(sigma);
    double sum = 1.0, tail = 0.0;
    int32_t rounded = 0;
    for (int32_t d = radius; d > 0; d--)
        sum += wisp_product_f64(2.0, wisp_gauss_at(sigma, d));
    weights[radius + 1] = 0;
    for (int32_t d = radius; d > 0; d--) {
        const int32_t before = rounded;
        tail += wisp_gauss_at(sigma, d);
        rounded = (int32_t)(wisp_product_f64(tail, (double)(1 << WISP_GAUSS_BITS)) / sum + 0.5);
        weights[d] = (int16_t)(rounded - before);
    }
    weights[0] = (int16_t)((1 << WISP_GAUSS_BITS) - 2 * rounded);
    return radius;
}

/* The pixel of a line of n that stands for pixel i of the continued line. */
WISP_PIXEL_FUNCTION int32_t wisp_reflected(int32_t i, int32_t n)
{
    const int32_t period = n > 1 ? 2 * (n - 1) : 1, at = (i < 0 ? -i : i) % period;
    return at < n ? at : period - at;
}

/* From the weighted sum of a row's bytes. */
WISP_PIXEL_FUNCTION uint16_t wisp_gauss_between(int32_t sum)
{
    enum { CUT = WISP_GAUSS_BITS - WISP_GAUSS_MORE_BITS };
    return (uint16_t)((sum + (1 << (CUT - 1))) >> CUT);
}

/* From the weighted sum of those down a column. */
WISP_PIXEL_FUNCTION uint8_t wisp_gauss_byte(int32_t sum)
{
    enum { CUT = WISP_GAUSS_BITS + WISP_GAUSS_MORE_BITS };
    return (uint8_t)((sum + (1 << (CUT - 1))) >> CUT);
}

/* --- numbers --- */

WISP_PIXEL_FUNCTION float wisp_normalised(int32_t v, float mean, float std)
{
    return ((float)v / 255.0f - mean) / std;
}

/* --- the tables of make_views --- */

/* A part [at, at + size) of `whole`, without overflow. */
WISP_PIXEL_FUNCTION int wisp_part_fits(int64_t at, int64_t size, int64_t whole)
{
    return at >= 0 && size >= 1 && size <= whole && at <= whole - size;
}

/* Does this row of `views` describe a view of width x height whose picture lies in `bytes` bytes?
 */
WISP_PIXEL_FUNCTION int wisp_view_row_fits(const int64_t *row, int64_t bytes, int32_t width,
                                           int32_t height)
{
    int64_t w = row[WISP_VIEW_SOURCE_W], h = row[WISP_VIEW_SOURCE_H];
    int64_t resized_w = row[WISP_VIEW_RESIZED_W], resized_h = row[WISP_VIEW_RESIZED_H];
    return w >= 1 && h >= 1 && w <= INT32_MAX && h <= INT32_MAX && w <= bytes / 3 / h &&
           wisp_part_fits(row[WISP_VIEW_OFFSET], w * h * 3, bytes) &&
           wisp_part_fits(row[WISP_VIEW_BOX_X], row[WISP_VIEW_BOX_W], w) &&
           wisp_part_fits(row[WISP_VIEW_BOX_Y], row[WISP_VIEW_BOX_H], h) &&
           resized_w <= INT32_MAX && wisp_part_fits(row[WISP_VIEW_WINDOW_X], width, resized_w) &&
           resized_h <= INT32_MAX && wisp_part_fits(row[WISP_VIEW_WINDOW_Y], height, resized_h) &&
           row[WISP_VIEW_FILTER] >= WISP_FILTER_BICUBIC &&
           row[WISP_VIEW_FILTER] <= WISP_FILTER_LANCZOS && row[WISP_VIEW_N_OPS] >= 0 &&
           row[WISP_VIEW_N_OPS] <= WISP_MAX_PIXEL_OPS;
}

/* Is (kind, parameter) of `ops` a pixel operation? */
WISP_PIXEL_FUNCTION int wisp_view_op_fits(float kind, float parameter)
{
    float low = 0, high = 1e6f;
    if (!(kind >= WISP_PIXEL_BRIGHTNESS && kind <= WISP_PIXEL_GAUSSIAN))
        return 0;
    low = kind == WISP_PIXEL_HUE ? -255.0f : low;
    high = kind == WISP_PIXEL_HUE                                   ? 255.0f
           : kind == WISP_PIXEL_BLUR || kind == WISP_PIXEL_GAUSSIAN ? WISP_BLUR_MAX_SIGMA
                                                                    : high;
    return kind == WISP_PIXEL_GRAY || (parameter >= low && parameter <= high);
}

#ifdef __cplusplus
}
#endif
#endif

/* make_views.c - the views of a batch from its decoded pictures.
 *
 * The host's view engine (core/image) does the same in worker threads; this is what it does as an
 * operation of a device. Not differentiable. */
#include "ops/rule.h"

#include <math.h>

#include "wisp/pixel_math.h"
#include "wisp/sampler.h"

enum { MAX_SIDE = 4096 };

static const char *const in_names[] = {"pixels", "views", "ops"};
static const char *const out_names[] = {"y"};

static wisp_status judge_attrs(const wispi_rule *rule, const wisp_make_views_attrs *t)
{
    if (t->width < 1 || t->height < 1 || t->width > MAX_SIDE || t->height > MAX_SIDE)
        return wispi_rule_fail(rule, WISP_E_INVALID, "views of %d x %d px; sides go from 1 to %d",
                               t->width, t->height, MAX_SIDE);
    if (t->dtype != WISP_F32 && t->dtype != WISP_BF16)
        return wispi_rule_fail(rule, WISP_E_DTYPE, "attrs.dtype must be f32 or bf16");
    for (int c = 0; c < 3; c++)
        if (!isfinite(t->mean[c]) || !isfinite(t->std[c]) || t->std[c] <= 0)
            return wispi_rule_fail(rule, WISP_E_INVALID, "channel %d has mean %g and std %g", c,
                                   (double)t->mean[c], (double)t->std[c]);
    return WISP_OK;
}

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"make_views", in_names, in, n_in, err};
    const wisp_make_views_attrs *t = attrs;
    WISP_TRY(wispi_rule_dtype(&rule, 0, WISP_U8));
    WISP_TRY(wispi_rule_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_dtype(&rule, 1, WISP_I64));
    WISP_TRY(wispi_rule_rank(&rule, 1, 2));
    const wisp_desc views = wisp_desc2(WISP_I64, in[1]->shape[0], WISP_VIEW_COLUMNS);
    const wisp_desc ops = wisp_desc3(WISP_F32, in[1]->shape[0], WISP_MAX_PIXEL_OPS, 2);
    WISP_TRY(wispi_rule_shape(&rule, 1, &views));
    WISP_TRY(wispi_rule_f32(&rule, 2, &ops));
    WISP_TRY(judge_attrs(&rule, t));
    const wisp_desc y = wisp_desc4(t->dtype, views.shape[0], t->height, t->width, 3);
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

/* --- reference --- */

typedef struct view {
    int64_t row[WISP_VIEW_COLUMNS];
    const double *box; /* its first pixel */
    int64_t stride;    /* values from one row of the picture to the next */
    const double *ops; /* (n_ops,2) */
    double *y;         /* (height,width,3), bytes until it is normalised */
    int32_t width, height;
} view;

/* What one output row or column draws on. */
typedef struct line {
    wisp_stretch stretch;
    wisp_taps taps;
    double sum;
    int is_kept; /* sizes are equal: the pixel itself */
    int64_t step;
} line;

static line line_of(const view *v, int64_t in, int64_t out, int64_t at, int64_t step)
{
    line l = {.is_kept = in == out, .step = step};
    l.stretch = wisp_stretch_of((int32_t)in, (int32_t)out, (int32_t)v->row[WISP_VIEW_FILTER]);
    l.taps = wisp_taps_of(&l.stretch, at);
    if (l.is_kept)
        l.taps = (wisp_taps){0, (int32_t)at, 1};
    else
        l.sum = wisp_tap_sum(&l.stretch, &l.taps);
    return l;
}

static int32_t weight(const line *l, int32_t i)
{
    if (l->is_kept)
        return 1 << WISP_WEIGHT_BITS;
    return wisp_fixed_weight(wisp_tap_weight(&l->stretch, &l->taps, i), l->sum);
}

static void start(int32_t sum[3])
{
    sum[0] = sum[1] = sum[2] = WISP_WEIGHT_HALF;
}

/* The pass `first` for every tap of the pass `second`. */
static void resample(const view *v, const line *first, const line *second, double *out)
{
    int32_t whole[3], part[3];
    start(whole);
    for (int32_t i = 0; i < second->taps.count; i++) {
        start(part);
        for (int32_t j = 0; j < first->taps.count; j++) {
            const double *pixel = v->box + (second->taps.first + i) * second->step +
                                  (first->taps.first + j) * first->step;
            const int32_t w = weight(first, j);
            for (int c = 0; c < 3; c++)
                part[c] += (int32_t)pixel[c] * w;
        }
        const int32_t w = weight(second, i);
        for (int c = 0; c < 3; c++)
            whole[c] += wisp_weighted_byte(part[c]) * w;
    }
    for (int c = 0; c < 3; c++)
        out[c] = wisp_weighted_byte(whole[c]);
}

static void resize(const view *v)
{
    const int64_t *r = v->row;
    const int columns_first =
        wisp_columns_first((int32_t)r[WISP_VIEW_BOX_W], (int32_t)r[WISP_VIEW_BOX_H],
                           (int32_t)r[WISP_VIEW_RESIZED_W], (int32_t)r[WISP_VIEW_RESIZED_H]);
    for (int32_t x = 0; x < v->width; x++) {
        const line across =
            line_of(v, r[WISP_VIEW_BOX_W], r[WISP_VIEW_RESIZED_W], r[WISP_VIEW_WINDOW_X] + x, 3);
        const int32_t to = r[WISP_VIEW_FLIP] ? v->width - 1 - x : x;
        for (int32_t y = 0; y < v->height; y++) {
            const line down = line_of(v, r[WISP_VIEW_BOX_H], r[WISP_VIEW_RESIZED_H],
                                      r[WISP_VIEW_WINDOW_Y] + y, v->stride);
            resample(v, columns_first ? &down : &across, columns_first ? &across : &down,
                     v->y + ((int64_t)y * v->width + to) * 3);
        }
    }
}

static wisp_rgb rgb_at(const double *p)
{
    return (wisp_rgb){(int32_t)p[0], (int32_t)p[1], (int32_t)p[2]};
}

static int32_t luma_at(const double *p)
{
    return wisp_luma((uint32_t)p[0], (uint32_t)p[1], (uint32_t)p[2]);
}

static int32_t mean_luma(const view *v)
{
    const int64_t n = (int64_t)v->width * v->height;
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (uint64_t)luma_at(v->y + 3 * i);
    return wisp_mean_luma(sum, (uint64_t)n);
}

static void blend(double *p, int32_t from, float factor)
{
    for (int c = 0; c < 3; c++)
        p[c] = wisp_blend(from, (int32_t)p[c], factor);
}

static void change_pixel(double *p, int kind, float parameter, int32_t mean)
{
    switch (kind) {
    case WISP_PIXEL_BRIGHTNESS:
        blend(p, 0, parameter);
        break;
    case WISP_PIXEL_CONTRAST:
        blend(p, mean, parameter);
        break;
    case WISP_PIXEL_SATURATION:
        blend(p, luma_at(p), parameter);
        break;
    case WISP_PIXEL_HUE: {
        const wisp_rgb turned = wisp_turn_hue(rgb_at(p), (int32_t)parameter);
        p[0] = turned.r;
        p[1] = turned.g;
        p[2] = turned.b;
        break;
    }
    case WISP_PIXEL_GRAY:
        p[0] = p[1] = p[2] = luma_at(p);
        break;
    default:
        for (int c = 0; c < 3; c++)
            p[c] = p[c] < (double)parameter ? p[c] : 255 - p[c];
    }
}

/* One pass along n values that are `step` apart. */
static void blur_line(double *v, int32_t n, int64_t step, wisp_box_blur box)
{
    uint8_t was[MAX_SIDE];
    for (int32_t i = 0; i < n; i++)
        was[i] = (uint8_t)v[i * step];
    for (int32_t i = 0; i < n; i++) {
        uint32_t inner = 0, outer = 0;
        for (int32_t d = -box.radius - 1; d <= box.radius + 1; d++) {
            const int32_t at = i + d < 0 ? 0 : i + d >= n ? n - 1 : i + d;
            *(d < -box.radius || d > box.radius ? &outer : &inner) += was[at];
        }
        v[i * step] = wisp_blurred_byte(box, inner, outer);
    }
}

static void blur(const view *v, float sigma)
{
    const wisp_box_blur box = wisp_box_blur_of(sigma);
    const int64_t width = v->width, row = 3 * width;
    for (int pass = 0; pass < WISP_BLUR_PASSES; pass++)
        for (int32_t y = 0; y < v->height; y++)
            for (int c = 0; c < 3; c++)
                blur_line(v->y + y * row + c, v->width, 3, box);
    for (int pass = 0; pass < WISP_BLUR_PASSES; pass++)
        for (int64_t i = 0; i < row; i++)
            blur_line(v->y + i, v->height, row, box);
}

/* Along n values that are `step` apart: bytes to wisp_gauss_between, or those to bytes. */
static void gauss_line(double *v, int32_t n, int64_t step, const int16_t *weights, int32_t radius,
                       int to_bytes)
{
    int32_t was[MAX_SIDE];
    for (int32_t i = 0; i < n; i++)
        was[i] = (int32_t)v[i * step];
    for (int32_t i = 0; i < n; i++) {
        int32_t sum = 0;
        for (int32_t d = -radius; d <= radius; d++)
            sum += was[wisp_reflected(i + d, n)] * weights[d < 0 ? -d : d];
        v[i * step] = to_bytes ? wisp_gauss_byte(sum) : wisp_gauss_between(sum);
    }
}

static void blur_by_gaussian(const view *v, float sigma)
{
    int16_t weights[WISP_GAUSS_WEIGHTS];
    const int32_t radius = wisp_gauss_weights(sigma, weights);
    const int64_t width = v->width, row = 3 * width;
    for (int64_t y = 0; y < v->height; y++)
        for (int c = 0; c < 3; c++)
            gauss_line(v->y + y * row + c, v->width, 3, weights, radius, 0);
    for (int64_t i = 0; i < row; i++)
        gauss_line(v->y + i, v->height, row, weights, radius, 1);
}

static void run_ops(const view *v)
{
    const int64_t n = (int64_t)v->width * v->height;
    for (int64_t k = 0; k < v->row[WISP_VIEW_N_OPS]; k++) {
        const int kind = (int)v->ops[2 * k];
        const float parameter = (float)v->ops[2 * k + 1];
        if (kind == WISP_PIXEL_BLUR) {
            blur(v, parameter);
            continue;
        }
        if (kind == WISP_PIXEL_GAUSSIAN) {
            blur_by_gaussian(v, parameter);
            continue;
        }
        const int32_t mean = kind == WISP_PIXEL_CONTRAST ? mean_luma(v) : 0;
        for (int64_t i = 0; i < n; i++)
            change_pixel(v->y + 3 * i, kind, parameter, mean);
    }
}

static int makes_sense(const view *v, int64_t bytes)
{
    if (!wisp_view_row_fits(v->row, bytes, v->width, v->height))
        return 0;
    for (int64_t k = 0; k < v->row[WISP_VIEW_N_OPS]; k++)
        if (!wisp_view_op_fits((float)v->ops[2 * k], (float)v->ops[2 * k + 1]))
            return 0;
    return 1;
}

static void make_view(view *v, const double *pixels, int64_t bytes, const wisp_make_views_attrs *t)
{
    const int64_t n = 3 * (int64_t)v->width * v->height, *r = v->row;
    if (!makes_sense(v, bytes)) {
        for (int64_t i = 0; i < n; i++)
            v->y[i] = NAN;
        return;
    }
    v->stride = 3 * r[WISP_VIEW_SOURCE_W];
    v->box = pixels + r[WISP_VIEW_OFFSET] + r[WISP_VIEW_BOX_Y] * v->stride + 3 * r[WISP_VIEW_BOX_X];
    resize(v);
    run_ops(v);
    for (int64_t i = 0; i < n; i++)
        v->y[i] = (double)wisp_normalised((int32_t)v->y[i], t->mean[i % 3], t->std[i % 3]);
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_make_views_attrs *t = attrs;
    const int64_t N = in[1].desc->shape[0];
    (void)n_in;
    for (int64_t n = 0; n < N; n++) {
        view v = {.width = t->width, .height = t->height};
        v.ops = in[2].v + n * WISP_MAX_PIXEL_OPS * 2;
        v.y = out[0].v + n * t->width * t->height * 3;
        for (int c = 0; c < WISP_VIEW_COLUMNS; c++)
            v.row[c] = (int64_t)in[1].v[n * WISP_VIEW_COLUMNS + c];
        make_view(&v, in[0].v, in[0].count, t);
    }
}

/* --- cases --- */

/* Three pictures: 37 x 29 from byte 5 on, 9 x 61, and 64 x 48 behind it. */
enum { SECOND = 5 + 37 * 29 * 3, THIRD = SECOND + 9 * 61 * 3, BYTES = THIRD + 64 * 48 * 3 };

/* clang-format off */
static const double crops[] = {
    5, 37, 29,       3, 2, 30, 20,   16, 11,  0, 0,  0, WISP_FILTER_BICUBIC,  0,
    SECOND, 9, 61,   0, 0, 9, 61,    16, 11,  0, 0,  1, WISP_FILTER_LANCZOS,  0,
    THIRD, 64, 48,   60, 1, 4, 47,   16, 11,  0, 0,  0, WISP_FILTER_BILINEAR, 0,
    THIRD, 64, 48,   0, 40, 64, 3,   16, 11,  0, 0,  1, WISP_FILTER_BICUBIC,  0,
    THIRD, 64, 48,   5, 7, 16, 30,   16, 11,  0, 0,  0, WISP_FILTER_BICUBIC,  0,
};
static const double windows[] = {
    5, 37, 29,       0, 0, 37, 29,   51, 40,  9, 4,  0, WISP_FILTER_BICUBIC,  0,
    SECOND, 9, 61,   0, 0, 9, 61,    33, 224, 0, 90, 0, WISP_FILTER_BICUBIC,  0,
    THIRD, 64, 48,   0, 0, 64, 48,   64, 48,  31, 12, 1, WISP_FILTER_BICUBIC, 0,
};
static const double chains[] = {
    THIRD, 64, 48,   4, 3, 50, 40,   35, 37,  0, 0,  0, WISP_FILTER_BICUBIC,  6,
    5, 37, 29,       0, 0, 37, 29,   35, 37,  0, 0,  1, WISP_FILTER_BICUBIC,  12,
    SECOND, 9, 61,   1, 2, 7, 50,    35, 37,  0, 0,  0, WISP_FILTER_BILINEAR, 2,
    SECOND, 9, 61,   1, 2, 7, 50,    35, 37,  0, 0,  0, WISP_FILTER_BILINEAR, 1,
    5, 37, 29,       3, 2, 30, 20,   35, 37,  0, 0,  0, WISP_FILTER_BICUBIC,  3,
};
static const double chain_ops[] = {
    WISP_PIXEL_HUE, 18, WISP_PIXEL_BRIGHTNESS, 1.25, WISP_PIXEL_CONTRAST, 0.625,
    WISP_PIXEL_SATURATION, 1.375, WISP_PIXEL_BLUR, 1.25, WISP_PIXEL_SOLARIZE, 128,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,

    WISP_PIXEL_BLUR, 0.125, WISP_PIXEL_CONTRAST, 1.5, WISP_PIXEL_CONTRAST, 0.75,
    WISP_PIXEL_SOLARIZE, 77, WISP_PIXEL_BLUR, 7.5, WISP_PIXEL_BRIGHTNESS, 0.875,
    WISP_PIXEL_HUE, -127, WISP_PIXEL_SATURATION, 2.5, WISP_PIXEL_HUE, 127,
    WISP_PIXEL_CONTRAST, 2.75, WISP_PIXEL_GRAY, 0, WISP_PIXEL_SOLARIZE, 0,

    WISP_PIXEL_GRAY, 0, WISP_PIXEL_CONTRAST, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,

    WISP_PIXEL_BLUR, 40,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,

    WISP_PIXEL_GAUSSIAN, 1.25, WISP_PIXEL_CONTRAST, 1.5, WISP_PIXEL_GAUSSIAN, 20,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};
/* clang-format on */
static const double no_ops[5 * WISP_MAX_PIXEL_OPS * 2];

#define VIEWS_CASE(text, n, w, h, type, table, chain)                                              \
    {                                                                                              \
        .name = text,                                                                              \
        .attrs =                                                                                   \
            &(const wisp_make_views_attrs){                                                        \
                {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, w, h, type, 0},                \
        .n_in = 3, .n_out = 1,                                                                     \
        .in = {{WISP_U8, 1, {BYTES}},                                                              \
               {WISP_I64, 2, {n, WISP_VIEW_COLUMNS}},                                              \
               {WISP_F32, 3, {n, WISP_MAX_PIXEL_OPS, 2}}},                                         \
        .high = {256}, .skip_grad = 1, .no_bf16 = 1 << 2, .values = {                              \
            NULL,                                                                                  \
            table,                                                                                 \
            chain                                                                                  \
        }                                                                                          \
    }

static const wispi_op_case cases[] = {
    VIEWS_CASE("crops", 5, 16, 11, WISP_F32, crops, no_ops),
    VIEWS_CASE("windows", 3, 33, 36, WISP_F32, windows, no_ops),
    VIEWS_CASE("chains", 5, 35, 37, WISP_F32, chains, chain_ops),
    VIEWS_CASE("chains_to_bf16", 5, 35, 37, WISP_BF16, chains, chain_ops),
};

static const wispi_op make_views = {
    .name = "make_views",
    .attrs_bytes = sizeof(wisp_make_views_attrs),
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&make_views};
const wispi_op_family wispi_op_make_views = {family, sizeof family / sizeof *family};

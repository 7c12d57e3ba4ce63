/* cpu_conv_amx.c - gradient of a convolution's weights in bf16 on processors with matrix tiles.
 *
 *   dw[o, c, tap] = sum over output pixels p of dy[p, o] * x[p moved by tap, c]
 *
 * is one product of matrices per tap whose long side is the pixels. Maps are read as one long line
 * of pixels with zeros between rows and images, so that moving by a tap is a constant offset into
 * the line: x lies there as lines of a channel, dy in pairs of pixels as the tiles want them. A
 * line is handled in groups small enough for the caches; each pair of blocks (32 channels of x, 32
 * of dy) and tap is summed by one thread in the order of the pixels, so results do not depend on
 * their number.
 *
 * A stride of s cuts x into s * s planes, each of which has stride 1. Where x has few channels (the
 * first layer), the channels of all columns of the window stand side by side as if they were
 * channels, and only rows of the window are taps. */
#include <omp.h>

#include "cpu_amx.h"
#include "cpu_bias_grad.h"
#include "cpu_onednn.h"
#include "kernel_table.h"

#ifdef CPU_CAN_AMX

enum { BLOCK = 32, MAX_TAPS = 64, MAX_NARROW = 64, FEW_CHANNELS = 16 };
enum { GROUP_BYTES = 1024 * 1024, MIN_GROUP = 2048, MAX_GROUP = 8192 };

typedef struct tap {
    int32_t plane, ky, kx; /* kx -1: all columns of the window */
    int32_t offset;        /* in pixels of the line */
} tap;

typedef struct plane {
    int32_t dy, dx; /* of its pixel (0,0) in x, padding subtracted */
} plane;

typedef struct amx_conv {
    cpu_bias_grad bias;
    int64_t n, h, w, c, o, ho, wo, kh, kw;
    int64_t stride_h, stride_w;
    int64_t line_h, line_w;          /* rows of an image and pixels of a row in the line */
    int64_t pixels;                  /* of the whole line */
    int64_t lines, blocks, o_blocks; /* lines a plane; in blocks of 32 */
    int64_t group, pitch;            /* pixels of dy and of x in a group */
    int64_t n_groups, n_units;
    size_t dy_at, sum_at, total; /* offsets in scratch; x is at 0 */
    int32_t n_taps, n_planes, narrow, has_bias;
    tap taps[MAX_TAPS];
    plane planes[MAX_TAPS];
} amx_conv;

/* --- Plan --- */

static int32_t find_plane(amx_conv *s, int32_t dy, int32_t dx)
{
    for (int32_t i = 0; i < s->n_planes; i++)
        if (s->planes[i].dy == dy && s->planes[i].dx == dx)
            return i;
    s->planes[s->n_planes].dy = dy;
    s->planes[s->n_planes].dx = dx;
    return s->n_planes++;
}

/* Zero pixels before the first and after the last pixel of a plane's row (or column) of `size`
 * pixels are shared by neighbours in the line. */
static int64_t shared_zeros(int64_t first, int64_t size, int64_t stride, int64_t extent)
{
    int64_t before = 0, after = 0;
    while (before < size && first + before * stride < 0)
        before++;
    while (after < size && first + (size - 1 - after) * stride >= extent)
        after++;
    return before < after ? before : after;
}

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smallest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Length of the line's rows and columns: long enough that no tap of a pixel reaches a neighbour's
 * values. */
static void plan_line(amx_conv *s, const wisp_conv2d_attrs *a)
{
    int64_t reach_h = (s->kh - 1) * a->dilation_h / s->stride_h;
    int64_t reach_w = s->narrow ? 0 : (s->kw - 1) * a->dilation_w / s->stride_w;
    int64_t share_h = reach_h, share_w = reach_w;
    for (int32_t i = 0; i < s->n_planes; i++) {
        share_h =
            smallest(share_h, shared_zeros(s->planes[i].dy, s->ho + reach_h, s->stride_h, s->h));
        if (!s->narrow)
            share_w = smallest(share_w,
                               shared_zeros(s->planes[i].dx, s->wo + reach_w, s->stride_w, s->w));
    }
    s->line_h = s->ho + reach_h - share_h;
    s->line_w = s->wo + reach_w - share_w;
    s->pixels = s->n * s->line_h * s->line_w;
}

static void plan_taps(amx_conv *s, const wisp_conv2d_attrs *a)
{
    int32_t columns = s->narrow ? 1 : (int32_t)s->kw;
    for (int32_t ky = 0; ky < s->kh; ky++)
        for (int32_t kx = 0; kx < columns; kx++) {
            int32_t y = ky * a->dilation_h, x = kx * a->dilation_w;
            tap *t = &s->taps[s->n_taps++];
            t->plane = find_plane(s, y % a->stride_h - a->pad_h, x % a->stride_w - a->pad_w);
            t->ky = ky;
            t->kx = s->narrow ? -1 : kx;
        }
    plan_line(s, a);
    for (int32_t i = 0; i < s->n_taps; i++) {
        tap *t = &s->taps[i];
        int32_t kx = s->narrow ? 0 : t->kx;
        t->offset = (int32_t)(t->ky * a->dilation_h / a->stride_h * s->line_w +
                              kx * a->dilation_w / a->stride_w);
    }
}

static void plan_groups(amx_conv *s)
{
    int64_t reach = 0;
    for (int32_t i = 0; i < s->n_taps; i++)
        reach = largest(reach, s->taps[i].offset);
    s->lines = s->narrow ? s->kw * s->c : s->c;
    s->blocks = (s->lines + BLOCK - 1) / BLOCK;
    s->o_blocks = (s->o + BLOCK - 1) / BLOCK;
    int64_t width = BLOCK * (s->n_planes * s->blocks + s->o_blocks);
    int64_t group = GROUP_BYTES / 2 / width;
    group = smallest(largest(group, MIN_GROUP), MAX_GROUP);
    s->n_groups = (s->pixels + group - 1) / group;
    group = (s->pixels + s->n_groups - 1) / s->n_groups;
    s->group = (group + BLOCK - 1) / BLOCK * BLOCK;
    /* An odd number of cache lines, lest the rows of a tile fall on each other. */
    s->pitch = (s->group + reach + BLOCK - 1) / BLOCK;
    s->pitch = (s->pitch | 1) * BLOCK;
    s->n_units = s->blocks * s->o_blocks * s->n_taps;
    s->dy_at = (size_t)(s->n_planes * s->blocks * BLOCK * s->pitch) * 2;
    s->sum_at = s->dy_at + (size_t)(s->o_blocks * BLOCK * s->group) * 2;
    s->total = s->sum_at + (size_t)(s->n_units * BLOCK * BLOCK) * 4;
}

/* --- The lines of a group --- */

/* A place in the line, walked pixel by pixel. */
typedef struct place {
    int64_t n, i, j;
} place;

static place place_of(const amx_conv *s, int64_t pixel)
{
    int64_t image = s->line_h * s->line_w;
    place p = {pixel / image, pixel % image / s->line_w, pixel % s->line_w};
    return p;
}

static void step(const amx_conv *s, place *p)
{
    if (++p->j < s->line_w)
        return;
    p->j = 0;
    if (++p->i < s->line_h)
        return;
    p->i = 0;
    p->n++;
}

static const uint16_t zeros[MAX_NARROW] = {0};

/* The values of x at a place of a plane; NULL: all zero. */
static const uint16_t *x_at(const amx_conv *s, const uint16_t *x, const plane *q, const place *p)
{
    int64_t i = p->i * s->stride_h + q->dy, j = p->j * s->stride_w + q->dx;
    if (p->n >= s->n || i < 0 || i >= s->h || j < 0 || j >= s->w)
        return NULL;
    return x + ((p->n * s->h + i) * s->w + j) * s->c;
}

/* All columns of the window at a place, copied to `window` where it crosses the border. */
static const uint16_t *window_at(const amx_conv *s, const uint16_t *x, const plane *q,
                                 const place *p, uint16_t *window)
{
    int64_t i = p->i * s->stride_h + q->dy, j = p->j * s->stride_w + q->dx;
    if (p->n >= s->n || i < 0 || i >= s->h || p->j >= s->wo)
        return NULL;
    const uint16_t *row = x + (p->n * s->h + i) * s->w * s->c;
    if (j >= 0 && j + s->kw <= s->w)
        return row + j * s->c;
    int64_t first = largest(j, 0), last = smallest(j + s->kw, s->w);
    memset(window, 0, (size_t)s->lines * 2);
    if (first < last)
        memcpy(window + (first - j) * s->c, row + first * s->c,
               (size_t)((last - first) * s->c) * 2);
    return window;
}

/* 32 pixels of a block of up to 32 lines: rows of pixels become lines. */
CPU_AMX_TARGET static void transpose(const uint16_t *const *from, int64_t offset, int64_t n_lines,
                                     uint16_t *to, int64_t pitch)
{
    __mmask32 mask = (__mmask32)(n_lines >= 32 ? 0xffffffffu : (1u << n_lines) - 1);
    __m512i low[16], high[16];
    for (int i = 0; i < 16; i++) {
        __m512i a = _mm512_maskz_loadu_epi16(mask, from[2 * i] + offset);
        __m512i b = _mm512_maskz_loadu_epi16(mask, from[2 * i + 1] + offset);
        cpu_amx_pair(a, b, &low[i], &high[i]);
    }
    cpu_amx_transpose16(low);
    cpu_amx_transpose16(high);
    for (int i = 0; i < 16; i++) {
        _mm512_store_si512(to + i * pitch, low[i]);
        _mm512_store_si512(to + (i + 16) * pitch, high[i]);
    }
}

/* Lines of one plane, pixels first .. first+31 of the line, to column `at` of the group. */
CPU_AMX_TARGET static void fill_x(const amx_conv *s, const uint16_t *x, int32_t which,
                                  int64_t first, int64_t at, uint16_t *lines)
{
    const uint16_t *from[BLOCK];
    uint16_t windows[BLOCK][MAX_NARROW];
    place p = place_of(s, first);
    for (int k = 0; k < BLOCK; k++) {
        const plane *q = &s->planes[which];
        from[k] = s->narrow ? window_at(s, x, q, &p, windows[k]) : x_at(s, x, q, &p);
        step(s, &p);
    }
    for (int64_t b = 0; b < s->blocks; b++) {
        const uint16_t *block[BLOCK];
        for (int k = 0; k < BLOCK; k++)
            block[k] = from[k] ? from[k] + b * BLOCK : zeros;
        transpose(block, 0, s->lines - b * BLOCK,
                  lines + ((which * s->blocks + b) * BLOCK) * s->pitch + at, s->pitch);
    }
}

/* 32 pixels of dy as pairs. */
CPU_AMX_TARGET static void fill_dy(const amx_conv *s, const uint16_t *dy, int64_t first, int64_t at,
                                   uint16_t *pairs)
{
    const uint16_t *from[BLOCK];
    place p = place_of(s, first);
    for (int k = 0; k < BLOCK; k++) {
        int inside = p.n < s->n && p.i < s->ho && p.j < s->wo;
        from[k] = inside ? dy + ((p.n * s->ho + p.i) * s->wo + p.j) * s->o : NULL;
        step(s, &p);
    }
    for (int64_t b = 0; b < s->o_blocks; b++) {
        int64_t n = s->o - b * BLOCK;
        __mmask32 mask = (__mmask32)(n >= 32 ? 0xffffffffu : (1u << n) - 1);
        uint16_t *to = pairs + (b * s->group + at) * BLOCK;
        for (int k = 0; k < BLOCK; k += 2) {
            __m512i low, high;
            const uint16_t *f0 = from[k] ? from[k] + b * BLOCK : zeros;
            const uint16_t *f1 = from[k + 1] ? from[k + 1] + b * BLOCK : zeros;
            cpu_amx_pair(_mm512_maskz_loadu_epi16(mask, f0), _mm512_maskz_loadu_epi16(mask, f1),
                         &low, &high);
            _mm512_store_si512(to + k * BLOCK, low);
            _mm512_store_si512(to + k * BLOCK + BLOCK, high);
        }
    }
}

/* --- Run --- */

static int64_t cut(int64_t n, int64_t parts, int64_t i)
{
    return n * i / parts;
}

/* One thread's part of laying out a group. */
static void fill(const amx_conv *s, const uint16_t *x, const uint16_t *dy, int64_t group,
                 char *scratch, int64_t thread, int64_t n_threads)
{
    int64_t x_tasks = s->pitch / BLOCK * s->n_planes, dy_tasks = s->group / BLOCK;
    int64_t first = group * s->group;
    for (int64_t t = cut(x_tasks, n_threads, thread); t < cut(x_tasks, n_threads, thread + 1);
         t++) {
        int64_t at = t / s->n_planes * BLOCK;
        fill_x(s, x, (int32_t)(t % s->n_planes), first + at, at, (uint16_t *)scratch);
    }
    for (int64_t t = cut(dy_tasks, n_threads, thread); t < cut(dy_tasks, n_threads, thread + 1);
         t++)
        fill_dy(s, dy, first + t * BLOCK, t * BLOCK, (uint16_t *)(scratch + s->dy_at));
}

static float *sum_of(const amx_conv *s, char *scratch, int64_t unit)
{
    return (float *)(scratch + s->sum_at) + unit * BLOCK * BLOCK;
}

/* One thread's products of a group. Units: blocks of x, blocks of dy, taps, the last ones nearest.
 */
static void multiply(const amx_conv *s, int64_t group, char *scratch, int64_t thread,
                     int64_t n_threads)
{
    const uint16_t *x = (const uint16_t *)scratch;
    const uint16_t *dy = (const uint16_t *)(scratch + s->dy_at);
    for (int64_t u = cut(s->n_units, n_threads, thread); u < cut(s->n_units, n_threads, thread + 1);
         u++) {
        const tap *t = &s->taps[u % s->n_taps];
        int64_t ob = u / s->n_taps % s->o_blocks, b = u / s->n_taps / s->o_blocks;
        cpu_amx_product(x + ((t->plane * s->blocks + b) * BLOCK) * s->pitch + t->offset,
                        s->pitch * 2, dy + ob * s->group * BLOCK, s->group, sum_of(s, scratch, u),
                        group == 0);
    }
}

/* One thread's channels of dw out of the sums. */
static void unpack(const amx_conv *s, char *scratch, float *dw, int64_t thread, int64_t n_threads)
{
    int64_t window = s->kh * s->kw;
    for (int64_t o = cut(s->o, n_threads, thread); o < cut(s->o, n_threads, thread + 1); o++)
        for (int64_t line = 0; line < s->lines; line++) {
            int64_t unit = (line / BLOCK * s->o_blocks + o / BLOCK) * s->n_taps;
            const float *sum = sum_of(s, scratch, unit) + line % BLOCK * BLOCK + o % BLOCK;
            int64_t c = line % s->c, kx = line / s->c;
            for (int32_t t = 0; t < s->n_taps; t++) {
                const tap *at = &s->taps[t];
                dw[(o * s->c + c) * window + at->ky * s->kw + (s->narrow ? kx : at->kx)] =
                    sum[t * BLOCK * BLOCK];
            }
        }
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    cpu_device *device = cpu_kernel_device(kernel);
    const amx_conv *s = kernel->state;
#pragma omp parallel num_threads(device->n_threads)
    {
        int64_t n = omp_get_num_threads(), i = omp_get_thread_num();
        cpu_amx_begin();
        for (int64_t group = 0; group < s->n_groups; group++) {
            fill(s, in[0].data, in[1].data, group, scratch, i, n);
#pragma omp barrier
            multiply(s, group, scratch, i, n);
#pragma omp barrier
        }
        cpu_amx_end();
        unpack(s, scratch, out[0].data, i, n);
    }
    if (s->has_bias)
        cpu_bias_grad_run(device, &s->bias, in[1].data, out[1].data, scratch);
    return WISP_OK;
}

/* --- Prepare --- */

static wisp_status judge(const cpu_device *device, const wisp_kernel_request *request,
                         wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    const wisp_desc *x = request->in[0];
    int64_t c = x->shape[3];
    if (!device->has_amx)
        return cpu_refuse(request, err, "the own kernel needs AMX");
    if (x->dtype != WISP_BF16)
        return cpu_refuse(request, err, "the own kernel needs bf16");
    if (a->groups != 1)
        return cpu_refuse(request, err, "the own kernel knows no groups");
    if (wisp_desc_count(x) == 0 || wisp_desc_count(request->in[1]) == 0)
        return cpu_refuse(request, err, "the own kernel knows no empty batch");
    if ((int64_t)a->kernel_h * a->kernel_w > MAX_TAPS && c >= FEW_CHANNELS)
        return cpu_refuse(request, err, "the own kernel takes windows of up to %d pixels",
                          MAX_TAPS);
    if (c < FEW_CHANNELS &&
        (a->kernel_w * c > MAX_NARROW || a->dilation_w != 1 || a->kernel_h > MAX_TAPS))
        return cpu_refuse(request, err, "%d channels are few for the own kernel", (int)c);
    return WISP_OK;
}

static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(judge(device, request, err));
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "amx", run, sizeof(amx_conv), NULL, &made, err));
    amx_conv *s = made->state;
    const wisp_conv2d_attrs *a = request->attrs;
    const int64_t *x = request->in[0]->shape, *y = request->in[1]->shape;
    s->n = x[0], s->h = x[1], s->w = x[2], s->c = x[3];
    s->ho = y[1], s->wo = y[2], s->o = y[3];
    s->kh = a->kernel_h, s->kw = a->kernel_w;
    s->stride_h = a->stride_h, s->stride_w = a->stride_w;
    s->narrow = s->c < FEW_CHANNELS;
    plan_taps(s, a);
    plan_groups(s);
    s->has_bias = a->want_bias && request->n_out > 1 && request->out[1] && request->out[1]->dtype;
    if (s->has_bias)
        cpu_bias_grad_plan(device, request->in[1], &s->bias);
    made->scratch_bytes = s->total > s->bias.scratch_bytes ? s->total : s->bias.scratch_bytes;
    *kernel = made;
    return WISP_OK;
}

const cpu_kernel_entry cpu_conv_amx_kernels[] = {
    {"conv2d_grad_weight", prepare},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_conv_amx_kernels[] = {{NULL, NULL}};

#endif

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
 * Tiles of x must begin at cache lines, which halves the time of a product. So a tap's offset is
 * taken apart: a multiple of 32 pixels moves x, an even rest moves dy the other way (its pairs are
 * cache lines, with zeros around the group), and for odd offsets there is a copy of x moved by one.
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
    int32_t plane, ky, kx; /* narrow: kx is 0, all columns of the window at once */
    int32_t offset;        /* in pixels of the line: 32 * n + back + odd */
    int32_t back, odd;     /* even, below 32; 0 or 1 */
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
    size_t dy_at, sum_at, zeros_at, total; /* offsets in scratch; x is at 0 */
    int32_t n_taps, n_planes, n_copies, narrow, has_bias, adds;
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
            t->kx = kx;
        }
    plan_line(s, a);
    s->n_copies = 1;
    for (int32_t i = 0; i < s->n_taps; i++) {
        tap *t = &s->taps[i];
        t->offset = (int32_t)(t->ky * a->dilation_h / a->stride_h * s->line_w +
                              t->kx * a->dilation_w / a->stride_w);
        t->odd = t->offset % 2;
        t->back = t->offset % BLOCK - t->odd;
        if (t->odd)
            s->n_copies = 2;
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
    int64_t width = BLOCK * (s->n_planes * s->n_copies * s->blocks + s->o_blocks);
    int64_t group = GROUP_BYTES / 2 / width;
    group = smallest(largest(group, MIN_GROUP), MAX_GROUP);
    s->n_groups = (s->pixels + group - 1) / group;
    group = (s->pixels + s->n_groups - 1) / s->n_groups;
    s->group = (group + BLOCK - 1) / BLOCK * BLOCK;
    /* An odd number of cache lines, lest the rows of a tile fall on each other. */
    s->pitch = (s->group + reach + BLOCK - 1) / BLOCK + 1;
    s->pitch = (s->pitch | 1) * BLOCK;
    s->n_units = s->blocks * s->o_blocks * s->n_taps;
    s->dy_at = (size_t)(s->n_planes * s->n_copies * s->blocks * BLOCK * s->pitch) * 2;
    s->sum_at = s->dy_at + (size_t)(s->o_blocks * BLOCK * (s->group + 2 * BLOCK)) * 2;
    s->zeros_at = s->sum_at + (size_t)(s->n_units * BLOCK * BLOCK) * 4;
    s->total = s->zeros_at + cpu_align64((size_t)(largest(s->lines, s->o) + BLOCK) * 2);
}

/* Where the lines of a block of x, and the pairs of a block of dy, lie in the scratch. */
static uint16_t *x_block(const amx_conv *s, char *scratch, int64_t which, int64_t copy,
                         int64_t block)
{
    int64_t index = (which * s->n_copies + copy) * s->blocks + block;
    return (uint16_t *)scratch + index * BLOCK * s->pitch;
}

static uint16_t *dy_block(const amx_conv *s, char *scratch, int64_t block)
{
    return (uint16_t *)(scratch + s->dy_at) + (block * (s->group + 2 * BLOCK) + BLOCK) * BLOCK;
}

/* --- The lines of a group --- */

/* How the pixels of a map lie under the line: pixel (n, i, j) of the line is pixel
 * (n, i * stride_h + dy, j * stride_w + dx) of the map, or zero outside of it. */
typedef struct view {
    const uint16_t *data;
    int64_t h, w, width; /* of the map; elements of a pixel */
    int64_t stride_h, stride_w, dy, dx;
    int64_t first, last; /* columns of the line with values */
} view;

static view view_of_dy(const amx_conv *s, const uint16_t *dy)
{
    view v = {dy, s->ho, s->wo, s->o, 1, 1, 0, 0, 0, s->wo};
    return v;
}

/* In narrow convolutions a pixel stands for its whole window; those that cross the border are left
 * out here. */
static view view_of_x(const amx_conv *s, const uint16_t *x, const plane *q)
{
    view v = {x, s->h, s->w, s->c, s->stride_h, s->stride_w, q->dy, q->dx, 0, 0};
    int64_t last = s->narrow ? s->w - s->kw : s->w - 1;
    v.first = q->dx < 0 ? (-q->dx + s->stride_w - 1) / s->stride_w : 0;
    v.last = last < q->dx ? 0 : (last - q->dx) / s->stride_w + 1;
    v.last = smallest(v.last, s->narrow ? s->wo : s->line_w);
    return v;
}

/* Addresses of `count` pixels of the line from `pixel` on; `zeros` where there is no value. */
static void find_pixels(const amx_conv *s, const view *v, int64_t pixel, int64_t count,
                        const uint16_t *zeros, const uint16_t **from)
{
    int64_t row = pixel / s->line_w, column = pixel % s->line_w;
    while (count > 0) {
        int64_t n = row / s->line_h, i = row % s->line_h * v->stride_h + v->dy;
        int64_t run = smallest(count, s->line_w - column), step = v->stride_w * v->width;
        const uint16_t *at =
            v->data + (((n * v->h + i) * v->w + v->dx) + column * v->stride_w) * v->width;
        int inside = n < s->n && i >= 0 && i < v->h;
        int64_t first = inside ? v->first - column : run, last = v->last - column;
        for (int64_t k = 0; k < run; k++)
            from[k] = k >= first && k < last ? at + k * step : zeros;
        from += run;
        count -= run;
        column = 0;
        row++;
    }
}

/* The windows that cross the border, put together in `windows`. */
static void find_border(const amx_conv *s, const view *v, int64_t pixel, int64_t count,
                        uint16_t (*windows)[MAX_NARROW], const uint16_t **from)
{
    for (int64_t k = 0; k < count; k++) {
        int64_t column = (pixel + k) % s->line_w, row = (pixel + k) / s->line_w;
        int64_t n = row / s->line_h, i = row % s->line_h * v->stride_h + v->dy;
        if ((column >= v->first && column < v->last) || column >= s->wo || n >= s->n || i < 0 ||
            i >= v->h)
            continue;
        int64_t j = column * v->stride_w + v->dx;
        int64_t first = largest(j, 0), last = smallest(j + s->kw, s->w);
        memset(windows[k], 0, sizeof windows[k]);
        if (first < last)
            memcpy(windows[k] + (first - j) * s->c,
                   v->data + ((n * v->h + i) * v->w + first) * s->c,
                   (size_t)((last - first) * s->c) * 2);
        from[k] = windows[k];
    }
}

static __mmask32 first_lanes(int64_t n)
{
    return (__mmask32)(n >= 32 ? 0xffffffffu : (1u << n) - 1);
}

/* A line of 32 pixels without its first one, and with element `c` of the pixel that follows. */
CPU_AMX_TARGET static __m512i moved(__m512i line, __m512i follows, int c)
{
    const __m512i next =
        _mm512_set_epi16(32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14,
                         13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1);
    const __m512i index =
        _mm512_mask_add_epi16(next, 0x80000000u, next, _mm512_set1_epi16((short)c));
    return _mm512_permutex2var_epi16(line, index, follows);
}

/* 32 pixels (and the one that follows) of a block of up to 32 channels become 32 lines; `odd`, if
 * wanted, begins one pixel later. */
CPU_AMX_TARGET static void transpose(const uint16_t *const *from, int64_t channel, __mmask32 mask,
                                     uint16_t *even, uint16_t *odd, int64_t pitch)
{
    __m512i low[16], high[16];
    for (int i = 0; i < 16; i++) {
        __m512i a = _mm512_maskz_loadu_epi16(mask, from[2 * i] + channel);
        __m512i b = _mm512_maskz_loadu_epi16(mask, from[2 * i + 1] + channel);
        cpu_amx_pair(a, b, &low[i], &high[i]);
    }
    cpu_amx_transpose16(low);
    cpu_amx_transpose16(high);
    for (int i = 0; i < 16; i++) {
        _mm512_store_si512(even + i * pitch, low[i]);
        _mm512_store_si512(even + (i + 16) * pitch, high[i]);
    }
    if (!odd)
        return;
    __m512i follows = _mm512_maskz_loadu_epi16(mask, from[BLOCK] + channel);
    for (int i = 0; i < 16; i++) {
        _mm512_store_si512(odd + i * pitch, moved(low[i], follows, i));
        _mm512_store_si512(odd + (i + 16) * pitch, moved(high[i], follows, i + 16));
    }
}

/* Lines of one plane, pixels first .. first+31 of the line, to column `at` of the group. */
CPU_AMX_TARGET static void fill_x(const amx_conv *s, const uint16_t *x, int32_t which,
                                  int64_t first, int64_t at, char *scratch)
{
    const uint16_t *from[BLOCK + 1];
    uint16_t windows[BLOCK + 1][MAX_NARROW];
    const view v = view_of_x(s, x, &s->planes[which]);
    find_pixels(s, &v, first, BLOCK + 1, (const uint16_t *)(scratch + s->zeros_at), from);
    if (s->narrow)
        find_border(s, &v, first, BLOCK + 1, windows, from);
    for (int64_t b = 0; b < s->blocks; b++) {
        uint16_t *even = x_block(s, scratch, which, 0, b) + at;
        uint16_t *odd = s->n_copies == 2 ? x_block(s, scratch, which, 1, b) + at : NULL;
        transpose(from, b * BLOCK, first_lanes(s->lines - b * BLOCK), even, odd, s->pitch);
    }
}

/* 32 pixels of dy as pairs. */
CPU_AMX_TARGET static void fill_dy(const amx_conv *s, const uint16_t *dy, int64_t first, int64_t at,
                                   char *scratch)
{
    const uint16_t *from[BLOCK];
    const view v = view_of_dy(s, dy);
    find_pixels(s, &v, first, BLOCK, (const uint16_t *)(scratch + s->zeros_at), from);
    for (int64_t b = 0; b < s->o_blocks; b++) {
        __mmask32 mask = first_lanes(s->o - b * BLOCK);
        uint16_t *to = dy_block(s, scratch, b) + at * BLOCK;
        for (int k = 0; k < BLOCK; k += 2) {
            __m512i low, high;
            cpu_amx_pair(_mm512_maskz_loadu_epi16(mask, from[k] + b * BLOCK),
                         _mm512_maskz_loadu_epi16(mask, from[k + 1] + b * BLOCK), &low, &high);
            _mm512_store_si512(to + k * BLOCK, low);
            _mm512_store_si512(to + k * BLOCK + BLOCK, high);
        }
    }
}

/* The zeros before and after a group of dy, and a pixel of zeros; no group writes there. */
static void clear_margins(const amx_conv *s, char *scratch)
{
    memset(scratch + s->zeros_at, 0, s->total - s->zeros_at);
    for (int64_t b = 0; b < s->o_blocks; b++) {
        memset(dy_block(s, scratch, b) - BLOCK * BLOCK, 0, BLOCK * BLOCK * 2);
        memset(dy_block(s, scratch, b) + s->group * BLOCK, 0, BLOCK * BLOCK * 2);
    }
}

/* --- Run --- */

/* One thread's part of laying out a group. */
static void fill(const amx_conv *s, const uint16_t *x, const uint16_t *dy, int64_t group,
                 char *scratch, int64_t thread, int64_t n_threads)
{
    int64_t x_tasks = s->pitch / BLOCK * s->n_planes, dy_tasks = s->group / BLOCK;
    int64_t first = group * s->group;
    for (int64_t t = cpu_cut(x_tasks, n_threads, thread);
         t < cpu_cut(x_tasks, n_threads, thread + 1); t++) {
        int64_t at = t / s->n_planes * BLOCK;
        fill_x(s, x, (int32_t)(t % s->n_planes), first + at, at, scratch);
    }
    for (int64_t t = cpu_cut(dy_tasks, n_threads, thread);
         t < cpu_cut(dy_tasks, n_threads, thread + 1); t++)
        fill_dy(s, dy, first + t * BLOCK, t * BLOCK, scratch);
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
    for (int64_t u = cpu_cut(s->n_units, n_threads, thread);
         u < cpu_cut(s->n_units, n_threads, thread + 1); u++) {
        const tap *t = &s->taps[u % s->n_taps];
        int64_t ob = u / s->n_taps % s->o_blocks, b = u / s->n_taps / s->o_blocks;
        const uint16_t *x = x_block(s, scratch, t->plane, t->odd, b);
        const uint16_t *dy = dy_block(s, scratch, ob);
        cpu_amx_product(x + t->offset - t->back - t->odd, s->pitch * 2, dy - t->back * BLOCK,
                        s->group + (t->back ? BLOCK : 0), sum_of(s, scratch, u), group == 0);
    }
}

/* The sums of a pair of blocks to their places in dw. */
static void unpack_block(const amx_conv *s, const float *sum, int64_t ob, int64_t b, float *dw)
{
    int64_t window = s->kh * s->kw;
    int64_t o_end = smallest(s->o, (ob + 1) * BLOCK), end = smallest(s->lines, (b + 1) * BLOCK);
    for (int64_t o = ob * BLOCK; o < o_end; o++)
        for (int64_t line = b * BLOCK; line < end; line++) {
            int64_t kx = line / s->c, c = line - kx * s->c;
            float *to = dw + (o * s->c + c) * window + kx;
            const float *from = sum + line % BLOCK * BLOCK + o % BLOCK;
            for (int32_t t = 0; t < s->n_taps; t++) {
                float *place = &to[s->taps[t].ky * s->kw + s->taps[t].kx];
                *place = from[t * BLOCK * BLOCK] + (s->adds ? *place : 0.0f);
            }
        }
}

/* One thread's blocks of dw. */
static void unpack(const amx_conv *s, char *scratch, float *dw, int64_t thread, int64_t n_threads)
{
    int64_t n = s->blocks * s->o_blocks;
    for (int64_t i = cpu_cut(n, n_threads, thread); i < cpu_cut(n, n_threads, thread + 1); i++)
        unpack_block(s, sum_of(s, scratch, i * s->n_taps), i % s->o_blocks, i / s->o_blocks, dw);
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    cpu_device *device = cpu_kernel_device(kernel);
    const amx_conv *s = kernel->state;
    clear_margins(s, scratch);
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
        return wisp_refuse(request, err, "the own kernel needs AMX");
    if (x->dtype != WISP_BF16)
        return wisp_refuse(request, err, "the own kernel needs bf16");
    if (a->groups != 1)
        return wisp_refuse(request, err, "the own kernel knows no groups");
    if (wisp_desc_count(x) == 0 || wisp_desc_count(request->in[1]) == 0)
        return wisp_refuse(request, err, "the own kernel knows no empty batch");
    if ((int64_t)a->kernel_h * a->kernel_w > MAX_TAPS && c >= FEW_CHANNELS)
        return wisp_refuse(request, err, "the own kernel takes windows of up to %d pixels",
                           MAX_TAPS);
    if (c < FEW_CHANNELS &&
        (a->kernel_w * c > MAX_NARROW || a->dilation_w != 1 || a->kernel_h > MAX_TAPS))
        return wisp_refuse(request, err, "%d channels are few for the own kernel", (int)c);
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
    s->adds = request->n_in > 2 && request->in[2];
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

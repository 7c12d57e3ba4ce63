/* cpu_pool.c - largest values and means under a sliding window, and their gradients.
 *
 * The gradients gather: each element of dx adds up the windows it lies in. So every element is
 * written once, by one thread, and sums are in f32 whatever the type. */
#include <math.h>

#include "cpu_vector.h"

typedef struct pool_state {
    cpu_plan plan;
    int64_t in_h, in_w, out_h, out_w, channels;
    wisp_pool_attrs a;
} pool_state;

/* Channels are worked on in tiles that fit the nearest cache many times over. */
enum { TILE = 256, MAX_WINDOWS = 256 };

typedef struct range {
    int64_t first, last;
} range;

/* The positions of output `out`'s window that lie in the map. */
CPU_INLINE range taps_of(int64_t out, int64_t stride, int64_t pad, int64_t kernel, int64_t size)
{
    const int64_t start = out * stride - pad;
    range r = {cpu_max(0, -start), cpu_min(kernel, size - start)};
    return r;
}

/* The outputs whose windows hold input `in`. */
CPU_INLINE range windows_of(int64_t in, int64_t stride, int64_t pad, int64_t kernel, int64_t n_out)
{
    const int64_t low = in + pad - kernel + 1;
    range r = {low > 0 ? cpu_ceil_div(low, stride) : 0, cpu_min(n_out, (in + pad) / stride + 1)};
    return r;
}

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request, const wisp_desc *x,
                         const wisp_desc *y, wisp_kernel **kernel, wisp_error *err)
{
    CPU_NEED(cpu_is_float(x) && y->dtype == x->dtype, "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(pool_state), NULL, kernel, err));
    pool_state *s = (*kernel)->state;
    s->in_h = x->shape[1];
    s->in_w = x->shape[2];
    s->out_h = y->shape[1];
    s->out_w = y->shape[2];
    s->channels = x->shape[3];
    memcpy(&s->a, request->attrs, sizeof s->a);
    return WISP_OK;
}

/* --- Maximum --- */

/* One output pixel, channels c .. c+n-1. `x` is the first element of the map's channel c. The
 * running position is kept as wide as the value, so that both follow one comparison. */
CPU_INLINE void largest(const pool_state *s, const void *x, int64_t i, int64_t j, int64_t n,
                        float *restrict best, int32_t *restrict position, const int type)
{
    const range rows = taps_of(i, s->a.stride_h, s->a.pad_h, s->a.kernel_h, s->in_h);
    const range columns = taps_of(j, s->a.stride_w, s->a.pad_w, s->a.kernel_w, s->in_w);
    const int64_t top = i * s->a.stride_h - s->a.pad_h, left = j * s->a.stride_w - s->a.pad_w;
    for (int64_t c = 0; c < n; c++) {
        best[c] = -INFINITY;
        position[c] = (int32_t)(rows.first * s->a.kernel_w + columns.first);
    }
    for (int64_t ky = rows.first; ky < rows.last; ky++)
        for (int64_t kx = columns.first; kx < columns.last; kx++) {
            const void *tap =
                cpu_at_const(x, ((top + ky) * s->in_w + left + kx) * s->channels, type);
            const int32_t k = (int32_t)(ky * s->a.kernel_w + kx);
            CPU_SIMD
            for (int64_t c = 0; c < n; c++) {
                const float v = cpu_load(tap, c, type);
                const int wins = (v > best[c]) | (v != v);
                best[c] = wins ? v : best[c];
                position[c] = wins ? k : position[c];
            }
        }
}

/* The same for a whole window of 3x3, all nine taps in one loop; `x` is the window's corner.
 * Returns 0 when there may be a NaN among them, which plain comparisons miss. */
CPU_INLINE int largest_of_nine(const void *x, int64_t down, int64_t right, int64_t n,
                               float *restrict best, int32_t *restrict position, const int type)
{
#define NEXT_TAP(k)                                                                                \
    const float v##k = cpu_load(x, ((k) / 3) * down + ((k) % 3) * right + c, type);                \
    at = v##k > top ? (k) : at;                                                                    \
    top = v##k > top ? v##k : top;                                                                 \
    sum += v##k;
    float sum = 0;
    CPU_SIMD_SUM(sum)
    for (int64_t c = 0; c < n; c++) {
        float top = cpu_load(x, c, type);
        int32_t at = 0;
        sum += top;
        NEXT_TAP(1)
        NEXT_TAP(2)
        NEXT_TAP(3)
        NEXT_TAP(4)
        NEXT_TAP(5)
        NEXT_TAP(6)
        NEXT_TAP(7)
        NEXT_TAP(8)
        best[c] = top;
        position[c] = at;
    }
#undef NEXT_TAP
    return sum == sum;
}

/* Functions of their own: inlined beside other loops, their constants would not fit the registers.
 */
static __attribute__((noinline)) int nine_f32(const void *x, int64_t down, int64_t right, int64_t n,
                                              float *restrict best, int32_t *restrict position)
{
    return largest_of_nine(x, down, right, n, best, position, WISP_F32);
}

static __attribute__((noinline)) int nine_bf16(const void *x, int64_t down, int64_t right,
                                               int64_t n, float *restrict best,
                                               int32_t *restrict position)
{
    return largest_of_nine(x, down, right, n, best, position, WISP_BF16);
}

/* Is output pixel (i,j) a window of 3x3 that lies in the map? */
CPU_INLINE int is_whole_nine(const pool_state *s, int64_t i, int64_t j)
{
    const int64_t top = i * s->a.stride_h - s->a.pad_h, left = j * s->a.stride_w - s->a.pad_w;
    return s->a.kernel_h == 3 && s->a.kernel_w == 3 && top >= 0 && left >= 0 &&
           top + 3 <= s->in_h && left + 3 <= s->in_w;
}

CPU_INLINE void max_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const pool_state *s = call->state;
    uint8_t *index = call->out[1].data;
    float best[TILE];
    int32_t position[TILE];
    for (int64_t row = first; row < last; row++) {
        const int64_t image = row / s->out_h, i = row % s->out_h;
        const void *x =
            cpu_at_const(call->in[0].data, image * s->in_h * s->in_w * s->channels, type);
        for (int64_t j = 0; j < s->out_w; j++)
            for (int64_t c = 0; c < s->channels; c += TILE) {
                const int64_t n = cpu_min(TILE, s->channels - c);
                const int64_t at = (row * s->out_w + j) * s->channels + c;
                void *y = cpu_at(call->out[0].data, at, type);
                const int64_t corner =
                    ((i * s->a.stride_h - s->a.pad_h) * s->in_w + j * s->a.stride_w - s->a.pad_w) *
                        s->channels +
                    c;
                if (!is_whole_nine(s, i, j) ||
                    !CPU_PICK(nine, type)(cpu_at_const(x, corner, type), s->in_w * s->channels,
                                          s->channels, n, best, position))
                    largest(s, cpu_at_const(x, c, type), i, j, n, best, position, type);
                CPU_SIMD
                for (int64_t k = 0; k < n; k++)
                    cpu_store(y, k, best[k], type);
                if (!index)
                    continue;
                CPU_SIMD
                for (int64_t k = 0; k < n; k++)
                    index[at + k] = (uint8_t)position[k];
            }
    }
}
CPU_TYPED(max_rows)

CPU_PREPARE(max_pool)
{
    const wisp_desc *x = request->in[0], *y = request->out[0];
    WISP_TRY(begin(device, request, x, y, kernel, err));
    cpu_plan_add(*kernel, CPU_PICK(max_rows, x->dtype), y->shape[0] * y->shape[1],
                 2.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}

/* A window that holds an input pixel: its gradients, its choices, and the choice that means this
 * pixel. */
typedef struct window {
    const void *dy;
    const uint8_t *index;
    uint8_t position;
} window;

/* The windows of input pixel (h,w) in these output rows and columns; returns how many. */
CPU_INLINE int64_t find_windows(const pool_state *s, const void *dy, const uint8_t *index,
                                int64_t h, int64_t w, range rows, range columns, window *windows,
                                const int type)
{
    int64_t n = 0;
    for (int64_t i = rows.first; i < rows.last; i++)
        for (int64_t j = columns.first; j < columns.last; j++, n++) {
            const int64_t at = (i * s->out_w + j) * s->channels;
            const int64_t ky = h + s->a.pad_h - i * s->a.stride_h;
            const int64_t kx = w + s->a.pad_w - j * s->a.stride_w;
            windows[n].dy = cpu_at_const(dy, at, type);
            windows[n].index = index + at;
            windows[n].position = (uint8_t)(ky * s->a.kernel_w + kx);
        }
    return n;
}

/* dx of channels 0 .. channels-1 of a pixel in `count` windows, a constant. */
CPU_INLINE void sum_windows(const window *windows, int64_t channels, void *dx, const int type,
                            const int count)
{
    const window a = windows[0], b = windows[count > 1 ? 1 : 0], c = windows[count > 2 ? 2 : 0],
                 d = windows[count > 2 ? 3 : 0];
    CPU_SIMD
    for (int64_t i = 0; i < channels; i++) {
        float v = a.index[i] == a.position ? cpu_load(a.dy, i, type) : 0.0f;
        if (count > 1)
            v += b.index[i] == b.position ? cpu_load(b.dy, i, type) : 0.0f;
        if (count > 2) {
            v += c.index[i] == c.position ? cpu_load(c.dy, i, type) : 0.0f;
            v += d.index[i] == d.position ? cpu_load(d.dy, i, type) : 0.0f;
        }
        cpu_store(dx, i, v, type);
    }
}

#define DEFINE_SUM(count, text, type)                                                              \
    static __attribute__((noinline)) void sum_##count##_##text(const window *windows,              \
                                                               int64_t channels, void *dx)         \
    {                                                                                              \
        sum_windows(windows, channels, dx, type, count);                                           \
    }
DEFINE_SUM(1, f32, WISP_F32)
DEFINE_SUM(2, f32, WISP_F32)
DEFINE_SUM(4, f32, WISP_F32)
DEFINE_SUM(1, bf16, WISP_BF16)
DEFINE_SUM(2, bf16, WISP_BF16)
DEFINE_SUM(4, bf16, WISP_BF16)

/* The same for any number of windows. */
CPU_INLINE void sum_any_windows(const window *windows, int64_t n_windows, int64_t channels,
                                void *dx, const int type)
{
    float sum[TILE];
    for (int64_t c = 0; c < channels; c += TILE) {
        const int64_t n = cpu_min(TILE, channels - c);
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int64_t k = 0; k < n_windows; k++) {
            const void *g = cpu_at_const(windows[k].dy, c, type);
            const uint8_t *index = windows[k].index + c;
            const uint8_t position = windows[k].position;
            CPU_SIMD
            for (int64_t i = 0; i < n; i++)
                sum[i] += index[i] == position ? cpu_load(g, i, type) : 0.0f;
        }
        void *to = cpu_at(dx, c, type);
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            cpu_store(to, i, sum[i], type);
    }
}

CPU_INLINE void max_grad_row(const cpu_call *call, int64_t row, const range *columns,
                             const int type)
{
    const pool_state *s = call->state;
    const int64_t channels = s->channels, h = row % s->in_h;
    const int64_t map = row / s->in_h * s->out_h * s->out_w * channels;
    const void *dy = cpu_at_const(call->in[0].data, map, type);
    const uint8_t *index = (const uint8_t *)call->in[1].data + map;
    const range rows = windows_of(h, s->a.stride_h, s->a.pad_h, s->a.kernel_h, s->out_h);
    window windows[MAX_WINDOWS];
    for (int64_t w = 0; w < s->in_w; w++) {
        const int64_t n = find_windows(s, dy, index, h, w, rows, columns[w], windows, type);
        void *dx = cpu_at(call->out[0].data, (row * s->in_w + w) * channels, type);
        if (n == 1)
            CPU_PICK(sum_1, type)(windows, channels, dx);
        else if (n == 2)
            CPU_PICK(sum_2, type)(windows, channels, dx);
        else if (n == 4)
            CPU_PICK(sum_4, type)(windows, channels, dx);
        else
            sum_any_windows(windows, n, channels, dx, type);
    }
}

CPU_INLINE void max_grad_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    for (int64_t row = first; row < last; row++)
        max_grad_row(call, row, (const range *)call->scratch, type);
}
CPU_TYPED(max_grad_rows)

/* Scratch holds the output columns of every input column: dividing for every pixel would take as
 * long as its channels. */
static void list_columns(const cpu_call *call, int64_t first, int64_t last)
{
    const pool_state *s = call->state;
    range *columns = (range *)call->scratch;
    for (int64_t w = first; w < last; w++)
        columns[w] = windows_of(w, s->a.stride_w, s->a.pad_w, s->a.kernel_w, s->out_w);
}

CPU_PREPARE(max_pool_grad)
{
    const wisp_desc *dy = request->in[0], *dx = request->out[0];
    const wisp_pool_attrs *a = request->attrs;
    CPU_NEED((int64_t)a->kernel_h * a->kernel_w <= MAX_WINDOWS, "a window of more than %d elements",
             MAX_WINDOWS);
    WISP_TRY(begin(device, request, dx, dy, kernel, err));
    (*kernel)->scratch_bytes = (size_t)dx->shape[2] * sizeof(range);
    cpu_plan_add(*kernel, list_columns, dx->shape[2], 0.0);
    cpu_plan_add(*kernel, CPU_PICK(max_grad_rows, dx->dtype), dx->shape[0] * dx->shape[1],
                 2.0 * (double)wisp_desc_bytes(dx));
    return WISP_OK;
}

/* --- Mean --- */

/* 1 / the number of elements that output (i,j) is divided by. */
CPU_INLINE float share(const pool_state *s, int64_t i, int64_t j)
{
    int64_t n = (int64_t)s->a.kernel_h * s->a.kernel_w;
    if (!s->a.include_padding) {
        const range rows = taps_of(i, s->a.stride_h, s->a.pad_h, s->a.kernel_h, s->in_h);
        const range columns = taps_of(j, s->a.stride_w, s->a.pad_w, s->a.kernel_w, s->in_w);
        n = (rows.last - rows.first) * (columns.last - columns.first);
    }
    return 1.0f / (float)cpu_max(1, n);
}

CPU_INLINE void mean_of_window(const pool_state *s, const void *x, int64_t i, int64_t j, int64_t n,
                               float *restrict sum, const int type)
{
    const range rows = taps_of(i, s->a.stride_h, s->a.pad_h, s->a.kernel_h, s->in_h);
    const range columns = taps_of(j, s->a.stride_w, s->a.pad_w, s->a.kernel_w, s->in_w);
    const int64_t top = i * s->a.stride_h - s->a.pad_h, left = j * s->a.stride_w - s->a.pad_w;
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t ky = rows.first; ky < rows.last; ky++)
        for (int64_t kx = columns.first; kx < columns.last; kx++) {
            const void *tap =
                cpu_at_const(x, ((top + ky) * s->in_w + left + kx) * s->channels, type);
            CPU_SIMD
            for (int64_t c = 0; c < n; c++)
                sum[c] += cpu_load(tap, c, type);
        }
}

CPU_INLINE void mean_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const pool_state *s = call->state;
    float sum[TILE];
    for (int64_t row = first; row < last; row++) {
        const int64_t image = row / s->out_h, i = row % s->out_h;
        const void *x =
            cpu_at_const(call->in[0].data, image * s->in_h * s->in_w * s->channels, type);
        for (int64_t j = 0; j < s->out_w; j++) {
            const float factor = share(s, i, j);
            for (int64_t c = 0; c < s->channels; c += TILE) {
                const int64_t n = cpu_min(TILE, s->channels - c);
                void *y = cpu_at(call->out[0].data, (row * s->out_w + j) * s->channels + c, type);
                mean_of_window(s, cpu_at_const(x, c, type), i, j, n, sum, type);
                CPU_SIMD
                for (int64_t k = 0; k < n; k++)
                    cpu_store(y, k, sum[k] * factor, type);
            }
        }
    }
}
CPU_TYPED(mean_rows)

CPU_PREPARE(avg_pool)
{
    const wisp_desc *x = request->in[0], *y = request->out[0];
    WISP_TRY(begin(device, request, x, y, kernel, err));
    cpu_plan_add(*kernel, CPU_PICK(mean_rows, x->dtype), y->shape[0] * y->shape[1],
                 2.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}

CPU_INLINE void gather_mean(const pool_state *s, const void *dy, range rows, range columns,
                            int64_t n, float *restrict sum, const int type)
{
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = rows.first; i < rows.last; i++)
        for (int64_t j = columns.first; j < columns.last; j++) {
            const void *g = cpu_at_const(dy, (i * s->out_w + j) * s->channels, type);
            const float factor = share(s, i, j);
            CPU_SIMD
            for (int64_t c = 0; c < n; c++)
                sum[c] += cpu_load(g, c, type) * factor;
        }
}

CPU_INLINE void mean_grad_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const pool_state *s = call->state;
    float sum[TILE];
    for (int64_t row = first; row < last; row++) {
        const int64_t map = row / s->in_h * s->out_h * s->out_w * s->channels;
        const range rows =
            windows_of(row % s->in_h, s->a.stride_h, s->a.pad_h, s->a.kernel_h, s->out_h);
        for (int64_t w = 0; w < s->in_w; w++) {
            const range columns = windows_of(w, s->a.stride_w, s->a.pad_w, s->a.kernel_w, s->out_w);
            for (int64_t c = 0; c < s->channels; c += TILE) {
                const int64_t n = cpu_min(TILE, s->channels - c);
                void *dx = cpu_at(call->out[0].data, (row * s->in_w + w) * s->channels + c, type);
                gather_mean(s, cpu_at_const(call->in[0].data, map + c, type), rows, columns, n, sum,
                            type);
                CPU_SIMD
                for (int64_t k = 0; k < n; k++)
                    cpu_store(dx, k, sum[k], type);
            }
        }
    }
}
CPU_TYPED(mean_grad_rows)

CPU_PREPARE(avg_pool_grad)
{
    const wisp_desc *dy = request->in[0], *dx = request->out[0];
    WISP_TRY(begin(device, request, dx, dy, kernel, err));
    cpu_plan_add(*kernel, CPU_PICK(mean_grad_rows, dx->dtype), dx->shape[0] * dx->shape[1],
                 2.0 * (double)wisp_desc_bytes(dx));
    return WISP_OK;
}

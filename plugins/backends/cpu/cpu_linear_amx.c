/* cpu_linear_amx.c - linear layers over many rows, and their gradients, on matrix tiles.
 *
 * Weights are laid out anew in every call, which many rows make cheap. Then each thread takes
 * blocks of rows: they become a left matrix that stays in the cache while it meets every panel of
 * the weights, and a finished square gets its bias or its slope of GELU before it is stored. The
 * gradient of the weights cuts the rows among the threads, and the sums of the threads are added
 * in their order. */
#include <omp.h>

#include "cpu_amx_parts.h"
#include "cpu_onednn.h"
#include "kernel_table.h"

#ifdef CPU_CAN_AMX

/* From sum to sum: not a power of two, lest loads wait for stores to the same place in a page. */
enum { SQUARE = 32, AREA = SQUARE * SQUARE + 16, MIN_ROWS = 64, MIN_SIDE = 16 };
/* Weights that are laid out in every call, and sums that every thread keeps. */
enum { MAX_WEIGHTS = 1024 * 1024 };

static int64_t blocks_of(int64_t n)
{
    return (n + SQUARE - 1) / SQUARE;
}

/* Elements from row to row of a left matrix: an odd number of cache lines, lest the rows of a tile
 * fall on each other. */
static int64_t pitch_of(int64_t width)
{
    return (width / SQUARE | 1) * SQUARE;
}

/* x (M,I), w (O,I), y (M,O). */
typedef struct sizes {
    int64_t m, i, o;
    int32_t type, parts;
} sizes;

static sizes sizes_of(const wisp_desc *x, const wisp_desc *y)
{
    sizes z = {0};
    z.i = x->shape[x->rank - 1];
    z.o = y->shape[y->rank - 1];
    z.m = z.i ? wisp_desc_count(x) / z.i : 0;
    z.type = x->dtype;
    z.parts = cpu_parts_of(x->dtype);
    return z;
}

static wisp_status judge(const cpu_device *device, const wisp_kernel_request *request,
                         const sizes *z, wisp_error *err)
{
    if (!device->has_amx || !device->has_bf16)
        return wisp_refuse(request, err, "the own kernel needs AMX");
    if (z->m < MIN_ROWS)
        return wisp_refuse(request, err, "the own kernel wants %d rows or more", MIN_ROWS);
    if (z->i < MIN_SIDE || z->o < MIN_SIDE)
        return wisp_refuse(request, err, "the own kernel wants %d channels or more", MIN_SIDE);
    if (z->i * z->o > MAX_WEIGHTS)
        return wisp_refuse(request, err, "the own kernel wants fewer weights");
    return WISP_OK;
}

/* --- Rows times weights: linear, linear_grad_input --- */

typedef struct rows_state {
    sizes z;
    int64_t k, n, width, pitch, panels, blocks; /* y (m,n) = x (m,k) * b (k,n) */
    size_t left_at, left_bytes;                 /* in scratch; the panels are at 0 */
    int32_t w_type, is_gradient, has_bias, gelu;
} rows_state;

static int64_t panel_elements(const rows_state *s)
{
    return s->z.parts * s->width * SQUARE;
}

CPU_PARTS_INLINE void lay_out_panels(const rows_state *s, const void *w, uint16_t *panels,
                                     int64_t first, int64_t last, int parts)
{
    const cpu_parts_source from = {w, s->z.i, s->z.o, s->z.i, s->w_type, 0};
    for (int64_t p = first; p < last; p++) {
        uint16_t *to = panels + p * panel_elements(s);
        if (s->is_gradient)
            cpu_parts_panel(&from, 0, p * SQUARE, s->width, s->width, parts, to);
        else
            cpu_parts_panel_transposed(&from, p * SQUARE, 0, s->width, parts, to);
    }
}

CPU_PARTS_TARGET static void lay_out_weights(const rows_state *s, const void *w, uint16_t *panels,
                                             int64_t first, int64_t last)
{
    if (s->z.parts == 1)
        lay_out_panels(s, w, panels, first, last, 1);
    else
        lay_out_panels(s, w, panels, first, last, CPU_PARTS_F32);
}

/* The arguments of a call. */
typedef struct rows_call {
    const void *x, *w, *z; /* z: what GELU saw, in the gradient */
    const float *bias;
    void *y;
} rows_call;

/* Of 32 values from the i-th on, the first and the second 16. */
typedef struct halves {
    __m512 low, high;
} halves;

CPU_PARTS_INLINE halves load_halves(const void *p, int64_t i, __mmask32 mask, int32_t dtype)
{
    const halves v = {cpu_parts_load(p, i, (__mmask16)mask, dtype),
                      cpu_parts_load(p, i + 16, (__mmask16)(mask >> 16), dtype)};
    return v;
}

/* A finished square to its place. */
CPU_PARTS_INLINE void store_square(const rows_state *s, const rows_call *c, const float *sum,
                                   int64_t row, int64_t column, int32_t dtype)
{
    const int64_t rows = s->z.m - row < SQUARE ? s->z.m - row : SQUARE;
    const __mmask32 mask = cpu_parts_mask32(s->n - column);
    halves bias = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    if (c->bias)
        bias = load_halves(c->bias, column, mask, WISP_F32);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t i = (row + r) * s->n + column;
        __m512 low = _mm512_add_ps(_mm512_load_ps(sum + r * SQUARE), bias.low);
        __m512 high = _mm512_add_ps(_mm512_load_ps(sum + r * SQUARE + 16), bias.high);
        if (c->z) {
            const halves z = load_halves(c->z, i, mask, dtype);
            low = _mm512_mul_ps(low, cpu_wide_gelu_slope(z.low, dtype == WISP_BF16));
            high = _mm512_mul_ps(high, cpu_wide_gelu_slope(z.high, dtype == WISP_BF16));
        }
        cpu_parts_store_pair(c->y, i, mask, low, high, dtype);
    }
}

/* What a block of rows will read, and with one part, where the products are short, write. */
CPU_PARTS_INLINE cpu_fetch reach_of(const rows_state *s, const rows_call *c, int64_t block,
                                    int32_t dtype)
{
    const int64_t row = block * SQUARE, size = dtype == WISP_BF16 ? 2 : 4;
    const int64_t rows = s->z.m - row < SQUARE ? s->z.m - row : SQUARE;
    cpu_fetch f = {{NULL}, {NULL}, 0};
    if (rows <= 0)
        return f;
    cpu_fetch_add(&f, 0, (const char *)c->x + row * s->k * size, rows * s->k * size);
    if (c->z)
        cpu_fetch_add(&f, 1, (const char *)c->z + row * s->n * size, rows * s->n * size);
    if (dtype == WISP_BF16)
        cpu_fetch_add(&f, 2, (const char *)c->y + row * s->n * size, rows * s->n * size);
    cpu_fetch_plan(&f, s->panels * s->width / SQUARE);
    return f;
}

/* A square is stored while the tiles are at the next one. */
CPU_PARTS_INLINE void run_block(const rows_state *s, const rows_call *c, const uint16_t *panels,
                                uint16_t *left, int64_t block, int parts)
{
    _Alignas(64) float sum[2][AREA];
    const int32_t dtype = parts == 1 ? WISP_BF16 : WISP_F32;
    const cpu_parts_source from = {c->x, s->k, s->z.m, s->k, dtype, s->gelu && !c->z};
    cpu_fetch next = reach_of(s, c, block + 1, dtype);
    cpu_parts_rows(&from, block * SQUARE, SQUARE, s->width, parts, left, s->pitch);
    for (int64_t p = 0; p < s->panels; p++) {
        cpu_parts_product_ahead(left, s->pitch, SQUARE * s->pitch, panels + p * panel_elements(s),
                                s->width * SQUARE, s->width, parts, sum[p % 2], 1, &next);
        if (p > 0)
            store_square(s, c, sum[(p - 1) % 2], block * SQUARE, (p - 1) * SQUARE, dtype);
    }
    store_square(s, c, sum[(s->panels - 1) % 2], block * SQUARE, (s->panels - 1) * SQUARE, dtype);
}

CPU_PARTS_TARGET static void run_blocks(const rows_state *s, const rows_call *c,
                                        const uint16_t *panels, uint16_t *left, int64_t first,
                                        int64_t last)
{
    cpu_amx_begin();
    for (int64_t b = first; b < last; b++) {
        if (s->z.parts == 1)
            run_block(s, c, panels, left, b, 1);
        else
            run_block(s, c, panels, left, b, CPU_PARTS_F32);
    }
    cpu_amx_end();
}

static void run_rows(const wisp_kernel *kernel, const rows_call *c, char *scratch)
{
    const rows_state *s = kernel->state;
    uint16_t *panels = (uint16_t *)scratch;
#pragma omp parallel num_threads(cpu_kernel_device(kernel)->n_threads)
    {
        int64_t n = omp_get_num_threads(), i = omp_get_thread_num();
        uint16_t *left = (uint16_t *)(scratch + s->left_at + (size_t)i * s->left_bytes);
        lay_out_weights(s, c->w, panels, cpu_cut(s->panels, n, i), cpu_cut(s->panels, n, i + 1));
#pragma omp barrier
        run_blocks(s, c, panels, left, cpu_cut(s->blocks, n, i), cpu_cut(s->blocks, n, i + 1));
    }
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const rows_state *s = kernel->state;
    const rows_call c = {in[0].data, in[1].data, NULL, s->has_bias ? in[2].data : NULL,
                         out[0].data};
    run_rows(kernel, &c, scratch);
    return WISP_OK;
}

static wisp_status run_grad_input(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const rows_state *s = kernel->state;
    const rows_call c = {in[0].data, in[1].data, s->gelu ? in[2].data : NULL, NULL, out[0].data};
    run_rows(kernel, &c, scratch);
    return WISP_OK;
}

static wisp_status prepare_rows(cpu_device *device, const wisp_kernel_request *request,
                                int is_gradient, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *y = request->out[0];
    sizes z = is_gradient ? sizes_of(y, request->in[0]) : sizes_of(request->in[0], y);
    WISP_TRY(judge(device, request, &z, err));
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, z.parts == 1 ? "amx" : "amx:3xbf16",
                               is_gradient ? run_grad_input : run_forward, sizeof(rows_state), NULL,
                               &made, err));
    rows_state *s = made->state;
    s->z = z;
    s->is_gradient = is_gradient;
    s->gelu = ((const wisp_linear_attrs *)request->attrs)->activation == WISP_UNARY_GELU;
    s->has_bias = !is_gradient && request->n_in > 2 && request->in[2];
    s->w_type = request->in[1]->dtype;
    s->k = is_gradient ? z.o : z.i;
    s->n = is_gradient ? z.i : z.o;
    s->width = blocks_of(s->k) * SQUARE;
    s->pitch = pitch_of(s->width);
    s->panels = blocks_of(s->n);
    s->blocks = blocks_of(z.m);
    s->left_at = cpu_align64((size_t)(s->panels * panel_elements(s)) * 2);
    s->left_bytes = cpu_align64((size_t)(z.parts * SQUARE * s->pitch) * 2);
    made->scratch_bytes = s->left_at + s->left_bytes * (size_t)device->n_threads;
    *kernel = made;
    return WISP_OK;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return prepare_rows(device, request, 0, kernel, err);
}

static wisp_status prepare_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    return prepare_rows(device, request, 1, kernel, err);
}

/* --- linear_grad_weight: dw (O,I) = dy' (O,M) * x (M,I) --- */

enum { GROUP_BYTES = 640 * 1024, MIN_GROUP = 128, MAX_GROUP = 1024, THREADS_MAX = 64 };

typedef struct weight_state {
    sizes z;
    int64_t o_blocks, panels, group, pitch;
    size_t right_at, sum_at, bias_at, part_at, bytes; /* in a thread's part of scratch */
    int32_t want_bias, gelu, n_threads;
} weight_state;

/* One thread's memory: dy as a left matrix, x as panels, sums of squares, and of columns of dy in
 * double and (of the group) in f32. */
typedef struct weight_memory {
    uint16_t *left, *right;
    float *sum, *part;
    double *bias;
} weight_memory;

static weight_memory memory_of(const weight_state *s, void *scratch, int64_t thread)
{
    char *at = (char *)scratch + (size_t)thread * s->bytes;
    const weight_memory m = {(uint16_t *)at, (uint16_t *)(at + s->right_at),
                             (float *)(at + s->sum_at), (float *)(at + s->part_at),
                             (double *)(at + s->bias_at)};
    return m;
}

/* 32 rows of the group from `r` on, while the next 32 are on their way. */
CPU_PARTS_INLINE void lay_out_rows(const weight_state *s, const cpu_parts_source *x,
                                   const cpu_parts_source *dy, int64_t first, int64_t r,
                                   const weight_memory *mem, int parts)
{
    const int64_t rows = s->o_blocks * SQUARE, size = parts == 1 ? 2 : 4;
    const int64_t next = first + r + SQUARE, left = dy->rows - next;
    const int64_t n = left < 0 ? 0 : left < SQUARE ? left : SQUARE;
    const char *dy_next = n ? (const char *)dy->data + next * s->z.o * size : dy->data;
    const char *x_next = n ? (const char *)x->data + next * s->z.i * size : x->data;
    for (int64_t o = 0; o < rows; o += 16) {
        cpu_fetch_part(dy_next, n * s->z.o * size, o / 16, rows / 16);
        cpu_parts_lines(dy, first + r, o, parts, mem->left + o * s->pitch + r, rows, s->pitch,
                        s->want_bias ? mem->part + o : NULL);
    }
    for (int64_t p = 0; p < s->panels; p++) {
        cpu_fetch_part(x_next, n * s->z.i * size, p, s->panels);
        cpu_parts_panel(x, first + r, p * SQUARE, SQUARE, s->group, parts,
                        mem->right + (p * parts * s->group + r) * SQUARE);
    }
}

/* Row after row, as they lie in memory. */
CPU_PARTS_INLINE void lay_out_group(const weight_state *s, const cpu_parts_source *x,
                                    const cpu_parts_source *dy, int64_t first,
                                    const weight_memory *mem, int parts)
{
    memset(mem->part, 0, (size_t)(s->o_blocks * SQUARE) * sizeof(float));
    for (int64_t r = 0; r < s->group; r += SQUARE)
        lay_out_rows(s, x, dy, first, r, mem, parts);
    for (int64_t o = 0; s->want_bias && o < s->z.o; o++)
        mem->bias[o] += (double)mem->part[o];
}

CPU_PARTS_INLINE void multiply_group(const weight_state *s, const weight_memory *mem, int fresh,
                                     int parts)
{
    for (int64_t b = 0; b < s->o_blocks; b++)
        for (int64_t p = 0; p < s->panels; p++)
            cpu_parts_product(mem->left + b * SQUARE * s->pitch, s->pitch,
                              s->o_blocks * SQUARE * s->pitch,
                              mem->right + p * parts * s->group * SQUARE, s->group * SQUARE,
                              s->group, parts, mem->sum + (b * s->panels + p) * AREA, fresh);
}

/* One thread's rows first .. last - 1. */
CPU_PARTS_INLINE void sum_groups(const weight_state *s, const void *x, const void *dy,
                                 int64_t first, int64_t last, const weight_memory *mem, int parts)
{
    const int32_t dtype = parts == 1 ? WISP_BF16 : WISP_F32;
    const cpu_parts_source xs = {x, s->z.i, last, s->z.i, dtype, s->gelu};
    const cpu_parts_source dys = {dy, s->z.o, last, s->z.o, dtype, 0};
    for (int64_t at = first; at < last; at += s->group) {
        lay_out_group(s, &xs, &dys, at, mem, parts);
        multiply_group(s, mem, at == first, parts);
    }
}

CPU_PARTS_TARGET static void sum_rows(const weight_state *s, const void *x, const void *dy,
                                      int64_t first, int64_t last, const weight_memory *mem)
{
    memset(mem->bias, 0, (size_t)s->z.o * sizeof(double));
    cpu_amx_begin();
    if (s->z.parts == 1)
        sum_groups(s, x, dy, first, last, mem, 1);
    else
        sum_groups(s, x, dy, first, last, mem, CPU_PARTS_F32);
    cpu_amx_end();
}

/* The threads' sums of rows o of dw. */
CPU_PARTS_TARGET static void add_threads(const weight_state *s, void *scratch, float *dw,
                                         float *dbias, int64_t block)
{
    weight_memory mem[THREADS_MAX];
    for (int32_t t = 0; t < s->n_threads; t++)
        mem[t] = memory_of(s, scratch, t);
    const int64_t end = s->z.o < (block + 1) * SQUARE ? s->z.o : (block + 1) * SQUARE;
    for (int64_t o = block * SQUARE; o < end; o++)
        for (int64_t i = 0; i < s->z.i; i += 16) {
            const int64_t at = (block * s->panels + i / SQUARE) * AREA + o % SQUARE * SQUARE;
            __m512 v = _mm512_load_ps(mem[0].sum + at + i % SQUARE);
            for (int32_t t = 1; t < s->n_threads; t++)
                v = _mm512_add_ps(v, _mm512_load_ps(mem[t].sum + at + i % SQUARE));
            _mm512_mask_storeu_ps(dw + o * s->z.i + i, cpu_parts_mask(s->z.i - i), v);
        }
    for (int64_t o = block * SQUARE; s->want_bias && o < end; o++) {
        double v = 0;
        for (int32_t t = 0; t < s->n_threads; t++)
            v += mem[t].bias[o];
        dbias[o] = (float)v;
    }
}

static wisp_status run_grad_weight(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const weight_state *s = kernel->state;
    const int64_t n = s->n_threads;
#pragma omp parallel num_threads(s->n_threads)
    {
        /* However many threads there are, the cuts are the planned ones. */
#pragma omp for schedule(static, 1)
        for (int64_t i = 0; i < n; i++) {
            const weight_memory mem = memory_of(s, scratch, i);
            sum_rows(s, in[0].data, in[1].data, cpu_cut(s->z.m, n, i), cpu_cut(s->z.m, n, i + 1),
                     &mem);
        }
#pragma omp for schedule(static)
        for (int64_t b = 0; b < s->o_blocks; b++)
            add_threads(s, scratch, out[0].data, s->want_bias ? out[1].data : NULL, b);
    }
    return WISP_OK;
}

static void plan_weight(weight_state *s, int32_t n_threads)
{
    s->n_threads = n_threads < THREADS_MAX ? n_threads : THREADS_MAX;
    s->n_threads = s->z.m / MIN_ROWS < s->n_threads ? (int32_t)(s->z.m / MIN_ROWS) : s->n_threads;
    s->o_blocks = blocks_of(s->z.o);
    s->panels = blocks_of(s->z.i);
    const int64_t sides = (s->o_blocks + s->panels) * SQUARE;
    const int64_t rows = blocks_of((s->z.m + s->n_threads - 1) / s->n_threads) * SQUARE;
    int64_t group = GROUP_BYTES / 2 / s->z.parts / sides / SQUARE * SQUARE;
    group = group < MIN_GROUP ? MIN_GROUP : group > MAX_GROUP ? MAX_GROUP : group;
    s->group = blocks_of((rows + (rows + group - 1) / group - 1) / ((rows + group - 1) / group));
    s->group *= SQUARE;
    s->pitch = pitch_of(s->group);
    cpu_book(&s->bytes, (size_t)(s->z.parts * s->o_blocks * SQUARE * s->pitch) * 2);
    s->right_at = cpu_book(&s->bytes, (size_t)(s->z.parts * s->panels * SQUARE * s->group) * 2);
    s->sum_at = cpu_book(&s->bytes, (size_t)(s->o_blocks * s->panels * AREA) * 4);
    s->bias_at = cpu_book(&s->bytes, (size_t)(s->o_blocks * SQUARE) * sizeof(double));
    s->part_at = cpu_book(&s->bytes, (size_t)(s->o_blocks * SQUARE) * sizeof(float));
}

static wisp_status prepare_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    const wisp_linear_attrs *a = request->attrs;
    sizes z = sizes_of(request->in[0], request->in[1]);
    WISP_TRY(judge(device, request, &z, err));
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, z.parts == 1 ? "amx" : "amx:3xbf16", run_grad_weight,
                               sizeof(weight_state), NULL, &made, err));
    weight_state *s = made->state;
    s->z = z;
    s->gelu = a->activation == WISP_UNARY_GELU;
    s->want_bias = a->want_bias && request->n_out > 1 && request->out[1] && request->out[1]->dtype;
    plan_weight(s, device->n_threads);
    made->scratch_bytes = s->bytes * (size_t)s->n_threads;
    *kernel = made;
    return WISP_OK;
}

const cpu_kernel_entry cpu_linear_amx_kernels[] = {
    {"linear", prepare_forward},
    {"linear_grad_input", prepare_grad_input},
    {"linear_grad_weight", prepare_grad_weight},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_linear_amx_kernels[] = {{NULL, NULL}};

#endif

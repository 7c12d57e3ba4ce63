/* cpu_layer_norm.c - normalisation of every row; a row stays in the nearest cache from the first
 * sum to the last store. */
#include <math.h>

#include "cpu_row_sums.h"

typedef struct row_norm_state {
    cpu_plan plan;
    int64_t rows, channels, chunks;
    double eps;
} row_norm_state;

CPU_INLINE void scale_row(const void *x, void *y, int64_t n, float mean, float rstd,
                          const float *gamma, const float *beta, const int type, const int type_y)
{
    if (gamma && beta) {
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            cpu_store(y, i, (cpu_load(x, i, type) - mean) * rstd * gamma[i] + beta[i], type_y);
    } else if (gamma || beta) {
        CPU_SIMD
        for (int64_t i = 0; i < n; i++) {
            const float v = (cpu_load(x, i, type) - mean) * rstd;
            cpu_store(y, i, gamma ? v * gamma[i] : v + beta[i], type_y);
        }
    } else {
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            cpu_store(y, i, (cpu_load(x, i, type) - mean) * rstd, type_y);
    }
}

enum { WIDE_ROW = 2048 };

/* Rows of bf16 that are not too wide are widened once, since they are read three times. */
CPU_INLINE const void *widened(const void *x, int64_t n, float *wide, const int type)
{
    if (type != WISP_BF16 || n > WIDE_ROW)
        return NULL;
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        wide[i] = cpu_load(x, i, type);
    return wide;
}

CPU_INLINE void normalize_row(const cpu_call *call, int64_t r, const void *x, const int type,
                              const int type_y)
{
    const row_norm_state *s = call->state;
    const int64_t n = s->channels;
    const float *gamma = call->in[1].data, *beta = call->in[2].data;
    const float mean = (float)(cpu_row_sum(x, n, type) / (double)n);
    const double var = cpu_row_spread(x, n, mean, type) / (double)n;
    const float rstd = (float)(1.0 / sqrt(var + s->eps));
    ((float *)call->out[1].data)[r] = mean;
    ((float *)call->out[2].data)[r] = rstd;
    scale_row(x, cpu_at(call->out[0].data, r * n, type_y), n, mean, rstd, gamma, beta, type,
              type_y);
}

CPU_INLINE void normalize(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const row_norm_state *s = call->state;
    float wide[WIDE_ROW];
    for (int64_t r = first; r < last; r++) {
        const void *x = cpu_at_const(call->in[0].data, r * s->channels, type);
        const void *row = widened(x, s->channels, wide, type);
        if (row)
            normalize_row(call, r, row, WISP_F32, type);
        else
            normalize_row(call, r, x, type, type);
    }
}
CPU_TYPED(normalize)

CPU_PREPARE(layer_norm)
{
    const wisp_layer_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0];
    CPU_NEED(cpu_is_float(x) && request->out[0]->dtype == x->dtype, "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(row_norm_state), NULL, kernel, err));
    row_norm_state *s = (*kernel)->state;
    s->rows = cpu_rows(x);
    s->channels = cpu_last(x);
    s->eps = attrs->eps;
    cpu_plan_add(*kernel, CPU_PICK(normalize, x->dtype), s->rows, 2.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}

/* --- Gradient --- */

enum { IN_DY, IN_X, IN_GAMMA, IN_MEAN, IN_RSTD };
enum { ROWS_PER_FLUSH = 64 };

/* The part of scratch that belongs to a chunk of rows. */
typedef struct affine_part {
    double *dgamma, *dbeta;
    float *g, *b; /* sums of the last rows, in f32 */
} affine_part;

static int64_t part_bytes(const row_norm_state *s)
{
    return (int64_t)cpu_align64((size_t)s->channels * (2 * sizeof(double) + 2 * sizeof(float)));
}

static affine_part part_of(const cpu_call *call, int64_t chunk)
{
    const row_norm_state *s = call->state;
    affine_part p;
    p.dgamma = (double *)(call->scratch + chunk * part_bytes(s));
    p.dbeta = p.dgamma + s->channels;
    p.g = (float *)(p.dbeta + s->channels);
    p.b = p.g + s->channels;
    return p;
}

static void flush(const affine_part *p, int64_t n)
{
    double *restrict dgamma = p->dgamma, *restrict dbeta = p->dbeta;
    float *restrict g = p->g, *restrict b = p->b;
    CPU_SIMD
    for (int64_t i = 0; i < n; i++) {
        dgamma[i] += (double)g[i];
        dbeta[i] += (double)b[i];
        g[i] = 0.0f;
        b[i] = 0.0f;
    }
}

/* With h = dy * gamma: dx = rstd * (h - mean(h) - xhat * mean(h * xhat)). The first loop also sums
 * what the parameters get. */
CPU_INLINE void differentiate_row(const cpu_call *call, int64_t r, int64_t n, const affine_part *p,
                                  const int type, const int has_gamma, const int want_affine)
{
    const void *dy = cpu_at_const(call->in[IN_DY].data, r * n, type);
    const void *x = cpu_at_const(call->in[IN_X].data, r * n, type);
    void *dx = cpu_at(call->out[0].data, r * n, type);
    const float *restrict gamma = call->in[IN_GAMMA].data;
    const float mean = ((const float *)call->in[IN_MEAN].data)[r];
    const float rstd = ((const float *)call->in[IN_RSTD].data)[r];
    float *restrict g = p->g, *restrict b = p->b;
    float sum = 0, product = 0;
    CPU_SIMD_SUM(sum, product)
    for (int64_t i = 0; i < n; i++) {
        const float d = cpu_load(dy, i, type), hat = (cpu_load(x, i, type) - mean) * rstd;
        const float h = has_gamma ? d * gamma[i] : d;
        sum += h;
        product += h * hat;
        if (want_affine) {
            g[i] += d * hat;
            b[i] += d;
        }
    }
    sum /= (float)n;
    product /= (float)n;
    CPU_SIMD
    for (int64_t i = 0; i < n; i++) {
        const float d = cpu_load(dy, i, type), hat = (cpu_load(x, i, type) - mean) * rstd;
        const float h = has_gamma ? d * gamma[i] : d;
        cpu_store(dx, i, rstd * (h - sum - hat * product), type);
    }
}

CPU_INLINE void differentiate(const cpu_call *call, int64_t first, int64_t last, const int type,
                              const int has_gamma, const int want_affine)
{
    const row_norm_state *s = call->state;
    const int64_t n = s->channels;
    for (int64_t chunk = first; chunk < last; chunk++) {
        const affine_part p = part_of(call, chunk);
        const int64_t begin = cpu_cut(s->rows, s->chunks, chunk);
        const int64_t end = cpu_cut(s->rows, s->chunks, chunk + 1);
        if (want_affine)
            memset(p.dgamma, 0, (size_t)part_bytes(s));
        for (int64_t r = begin; r < end; r++) {
            differentiate_row(call, r, n, &p, type, has_gamma, want_affine);
            if (want_affine && ((r - begin) % ROWS_PER_FLUSH == ROWS_PER_FLUSH - 1 || r + 1 == end))
                flush(&p, n);
        }
    }
}

#define DEFINE_GRAD(name, has_gamma, want_affine)                                                  \
    CPU_INLINE void name(const cpu_call *call, int64_t first, int64_t last, const int type)        \
    {                                                                                              \
        differentiate(call, first, last, type, has_gamma, want_affine);                            \
    }                                                                                              \
    CPU_TYPED(name)
DEFINE_GRAD(grad_plain, 0, 0)
DEFINE_GRAD(grad_gamma, 1, 0)
DEFINE_GRAD(grad_plain_affine, 0, 1)
DEFINE_GRAD(grad_gamma_affine, 1, 1)

static void finish(const cpu_call *call, int64_t first, int64_t last)
{
    const row_norm_state *s = call->state;
    float *dgamma = call->out[1].data, *dbeta = call->out[2].data;
    for (int64_t i = first; i < last; i++) {
        double g = 0, b = 0;
        for (int64_t chunk = 0; chunk < s->chunks; chunk++) {
            const affine_part p = part_of(call, chunk);
            g += p.dgamma[i];
            b += p.dbeta[i];
        }
        if (dgamma)
            dgamma[i] = (float)g;
        if (dbeta)
            dbeta[i] = (float)b;
    }
}

CPU_PREPARE(layer_norm_grad)
{
    const wisp_desc *x = request->in[IN_X];
    const int has_gamma = cpu_in(request, IN_GAMMA) != NULL;
    const int affine = cpu_out(request, 1) || cpu_out(request, 2);
    CPU_NEED(cpu_is_float(x) && request->in[IN_DY]->dtype == x->dtype, "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(row_norm_state), NULL, kernel, err));
    row_norm_state *s = (*kernel)->state;
    s->rows = cpu_rows(x);
    s->channels = cpu_last(x);
    s->chunks = cpu_max(1, cpu_min(cpu_min(s->rows * s->channels / 16384, 64), s->rows));
    cpu_body body;
    if (has_gamma)
        body = affine ? CPU_PICK(grad_gamma_affine, x->dtype) : CPU_PICK(grad_gamma, x->dtype);
    else
        body = affine ? CPU_PICK(grad_plain_affine, x->dtype) : CPU_PICK(grad_plain, x->dtype);
    if (affine)
        (*kernel)->scratch_bytes = (size_t)(s->chunks * part_bytes(s));
    cpu_plan_add(*kernel, body, s->chunks, 3.0 * (double)wisp_desc_bytes(x));
    if (affine)
        cpu_plan_add(*kernel, finish, s->channels, 16.0 * (double)(s->chunks * s->channels));
    return WISP_OK;
}

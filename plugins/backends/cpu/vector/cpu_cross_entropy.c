/* cpu_cross_entropy.c - the mean cross-entropy against class labels, and its gradient. A label
 * that is no class makes the loss and its row of the gradient NaN. */
#include "cpu_logits.h"

typedef struct entropy_state {
    cpu_plan plan;
    int64_t rows, classes;
    float scale;
    int32_t reserved;
} entropy_state;

CPU_INLINE void measure_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const entropy_state *s = call->state;
    const int64_t *labels = call->in[1].data;
    float *lse = call->out[1].data;
    double *terms = (double *)call->scratch;
    cpu_logits row = {NULL, NULL, s->classes, s->scale};
    for (int64_t r = first; r < last; r++) {
        row.x = cpu_at_const(call->in[0].data, r * s->classes, type);
        const float max = cpu_logits_max(&row, type, 0);
        const double whole = (double)max + log(cpu_logits_sum(&row, max, type, 0));
        const int is_class = labels[r] >= 0 && labels[r] < s->classes;
        lse[r] = (float)whole;
        terms[r] = is_class ? whole - (double)cpu_logit(&row, labels[r], type, 0) : (double)NAN;
    }
}
CPU_TYPED(measure_rows)

static void finish(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const entropy_state *s = call->state;
    *(float *)call->out[0].data = (float)cpu_mean_of_terms((const double *)call->scratch, s->rows);
}

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request,
                         const wisp_desc *logits, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_cross_entropy_attrs *attrs = request->attrs;
    CPU_NEED(cpu_is_float(logits), "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(entropy_state), NULL, kernel, err));
    entropy_state *s = (*kernel)->state;
    s->rows = logits->shape[0];
    s->classes = logits->shape[1];
    s->scale = (float)attrs->scale;
    return WISP_OK;
}

CPU_PREPARE(cross_entropy)
{
    const wisp_desc *logits = request->in[0];
    WISP_TRY(begin(device, request, logits, kernel, err));
    const entropy_state *s = (*kernel)->state;
    (*kernel)->scratch_bytes = (size_t)s->rows * sizeof(double);
    cpu_plan_add(*kernel, CPU_PICK(measure_rows, logits->dtype), s->rows,
                 8.0 * (double)wisp_desc_count(logits));
    cpu_plan_add(*kernel, finish, 1, 0.0);
    return WISP_OK;
}

enum { IN_DLOSS, IN_LOGITS, IN_LABELS, IN_LSE };

CPU_INLINE void differentiate(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const entropy_state *s = call->state;
    const int64_t n = s->classes;
    const float scale = s->scale;
    const int64_t *labels = call->in[IN_LABELS].data;
    const float *lses = call->in[IN_LSE].data;
    const float dloss = *(const float *)call->in[IN_DLOSS].data;
    const float factor = (float)((double)dloss * (double)scale / (double)s->rows);
    for (int64_t r = first; r < last; r++) {
        const void *x = cpu_at_const(call->in[IN_LOGITS].data, r * n, type);
        void *dx = cpu_at(call->out[0].data, r * n, type);
        const int64_t label = labels[r];
        const float lse = label >= 0 && label < n ? lses[r] : NAN;
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            cpu_store(dx, i, factor * cpu_exp_low(cpu_load(x, i, type) * scale - lse), type);
        if (label >= 0 && label < n) {
            const float p = cpu_exp_low(cpu_load(x, label, type) * scale - lse);
            cpu_store(dx, label, factor * (p - 1.0f), type);
        }
    }
}
CPU_TYPED(differentiate)

CPU_PREPARE(cross_entropy_grad)
{
    const wisp_desc *logits = request->in[IN_LOGITS];
    WISP_TRY(begin(device, request, logits, kernel, err));
    cpu_plan_add(*kernel, CPU_PICK(differentiate, logits->dtype), logits->shape[0],
                 8.0 * (double)wisp_desc_count(logits));
    return WISP_OK;
}

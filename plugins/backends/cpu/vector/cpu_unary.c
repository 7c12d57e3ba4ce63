/* cpu_unary.c - one-argument functions of every element, and their gradients. */
#include "cpu_elementary.h"
#include "cpu_vector.h"

typedef struct unary_state {
    cpu_plan plan;
    int64_t n;
    float a, b;
} unary_state;

CPU_INLINE float apply(float x, float a, float b, const int kind)
{
    float unused;
    switch (kind) {
    case WISP_UNARY_RELU:
        return x < 0.0f ? 0.0f : x;
    case WISP_UNARY_RELU6:
        return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x);
    case WISP_UNARY_GELU:
        return x * cpu_normal(x, &unused);
    case WISP_UNARY_TANH:
        return cpu_tanh(x);
    case WISP_UNARY_SIGMOID:
        return cpu_sigmoid(x);
    case WISP_UNARY_EXP:
        return cpu_exp(x);
    case WISP_UNARY_LOG:
        return cpu_log(x);
    case WISP_UNARY_SQRT:
        return sqrtf(x);
    case WISP_UNARY_SQUARE:
        return x * x;
    case WISP_UNARY_ABS:
        return fabsf(x);
    case WISP_UNARY_AFFINE:
        return a * x + b;
    default:
        return x < a ? a : (x > b ? b : x);
    }
}

/* dy times the derivative at x, where the function's value is y. */
CPU_INLINE float slope(float dy, float x, float y, float a, float b, const int kind)
{
    float density, below;
    switch (kind) {
    case WISP_UNARY_RELU:
        return x > 0.0f ? dy : 0.0f;
    case WISP_UNARY_RELU6:
        return x > 0.0f ? (x < 6.0f ? dy : 0.0f) : 0.0f;
    case WISP_UNARY_GELU:
        below = cpu_normal(x, &density);
        return dy * (below + x * density);
    case WISP_UNARY_TANH:
        return dy * (1.0f - y * y);
    case WISP_UNARY_SIGMOID:
        return dy * (y * (1.0f - y));
    case WISP_UNARY_EXP:
        return dy * y;
    case WISP_UNARY_LOG:
        return dy / x;
    case WISP_UNARY_SQRT:
        return 0.5f * dy / y;
    case WISP_UNARY_SQUARE:
        return 2.0f * dy * x;
    case WISP_UNARY_ABS:
        return x > 0.0f ? dy : (x < 0.0f ? -dy : 0.0f);
    case WISP_UNARY_AFFINE:
        return dy * a;
    default:
        return x > a ? (x < b ? dy : 0.0f) : 0.0f;
    }
}

CPU_INLINE void forward(const cpu_call *call, int64_t first, int64_t last, const int type,
                        const int kind)
{
    const unary_state *s = call->state;
    const void *x = call->in[0].data;
    void *y = call->out[0].data;
    const float a = s->a, b = s->b;
    const int64_t end = cpu_min(last * CPU_BLOCK, s->n);
    CPU_SIMD
    for (int64_t i = first * CPU_BLOCK; i < end; i++)
        cpu_store(y, i, apply(cpu_load(x, i, type), a, b, kind), type);
}

/* A function needs x or y for its slope, not both; the compiler drops the load of the other. */
CPU_INLINE void backward(const cpu_call *call, int64_t first, int64_t last, const int type,
                         const int kind)
{
    const unary_state *s = call->state;
    const void *dy = call->in[0].data, *x = call->in[1].data, *y = call->in[2].data;
    void *dx = call->out[0].data;
    const float a = s->a, b = s->b;
    const int64_t end = cpu_min(last * CPU_BLOCK, s->n);
    CPU_SIMD
    for (int64_t i = first * CPU_BLOCK; i < end; i++)
        cpu_store(
            dx, i,
            slope(cpu_load(dy, i, type), cpu_load(x, i, type), cpu_load(y, i, type), a, b, kind),
            type);
}

#define FOR_KINDS(X)                                                                               \
    X(RELU)                                                                                        \
    X(RELU6)                                                                                       \
    X(GELU) X(TANH) X(SIGMOID) X(EXP) X(LOG) X(SQRT) X(SQUARE) X(ABS) X(AFFINE) X(CLAMP)

#define DEFINE_KIND(name)                                                                          \
    CPU_INLINE void forward_##name(const cpu_call *call, int64_t first, int64_t last,              \
                                   const int type)                                                 \
    {                                                                                              \
        forward(call, first, last, type, WISP_UNARY_##name);                                       \
    }                                                                                              \
    CPU_TYPED(forward_##name)                                                                      \
    CPU_INLINE void backward_##name(const cpu_call *call, int64_t first, int64_t last,             \
                                    const int type)                                                \
    {                                                                                              \
        backward(call, first, last, type, WISP_UNARY_##name);                                      \
    }                                                                                              \
    CPU_TYPED(backward_##name)
FOR_KINDS(DEFINE_KIND)

static cpu_body choose(int32_t kind, int32_t type, int is_gradient)
{
    switch (kind) {
#define KIND_CASE(name)                                                                            \
    case WISP_UNARY_##name:                                                                        \
        return is_gradient ? CPU_PICK(backward_##name, type) : CPU_PICK(forward_##name, type);
        FOR_KINDS(KIND_CASE)
    default:
        return NULL;
    }
}

static wisp_status prepare_unary(cpu_device *device, const wisp_kernel_request *request,
                                 int is_gradient, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_unary_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0];
    CPU_NEED(cpu_is_float(x) && request->out[0]->dtype == x->dtype, "needs f32 or bf16");
    cpu_body body = choose(attrs->kind, x->dtype, is_gradient);
    CPU_NEED(body, "function %d is not known", attrs->kind);
    WISP_TRY(cpu_plan_create(device, sizeof(unary_state), NULL, kernel, err));
    unary_state *s = (*kernel)->state;
    s->n = wisp_desc_count(x);
    s->a = (float)attrs->a;
    s->b = (float)attrs->b;
    cpu_plan_add(*kernel, body, cpu_blocks(s->n), 3.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}

CPU_PREPARE(unary)
{
    return prepare_unary(device, request, 0, kernel, err);
}

CPU_PREPARE(unary_grad)
{
    return prepare_unary(device, request, 1, kernel, err);
}

/* Pointwise operations, in float, by their formulas in the backend API's reference. */
#include "cd_run.h"
#include <math.h>

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

static float softplus(float x, float beta)
{
    float scaled = beta * x;
    return (scaled > 0 ? scaled + log1pf(expf(-scaled)) : log1pf(expf(scaled))) / beta;
}

static const float root_half = 0.70710678118654752F, tanh_root = 0.79788456080286536F;

static float unary(const cd_node *node, float x)
{
    const cd_activation *a = &node->activation;
    switch (node->mode) {
    case CUDNN_POINTWISE_SQRT:
        return sqrtf(x);
    case CUDNN_POINTWISE_ABS:
        return fabsf(x);
    case CUDNN_POINTWISE_CEIL:
        return ceilf(x);
    case CUDNN_POINTWISE_COS:
        return cosf(x);
    case CUDNN_POINTWISE_EXP:
        return expf(x);
    case CUDNN_POINTWISE_FLOOR:
        return floorf(x);
    case CUDNN_POINTWISE_LOG:
        return logf(x);
    case CUDNN_POINTWISE_NEG:
        return -x;
    case CUDNN_POINTWISE_RSQRT:
        return 1 / sqrtf(x);
    case CUDNN_POINTWISE_SIN:
        return sinf(x);
    case CUDNN_POINTWISE_TAN:
        return tanf(x);
    case CUDNN_POINTWISE_ERF:
        return erff(x);
    case CUDNN_POINTWISE_RECIPROCAL:
        return 1 / x;
    case CUDNN_POINTWISE_LOGICAL_NOT:
        return x == 0;
    case CUDNN_POINTWISE_RELU_FWD:
        if (x <= (float)a->lower_clip)
            return (float)a->lower_clip + (float)a->slope * (x - (float)a->lower_clip);
        return x > (float)a->upper_clip ? (float)a->upper_clip : x;
    case CUDNN_POINTWISE_TANH_FWD:
        return tanhf(x);
    case CUDNN_POINTWISE_SIGMOID_FWD:
        return sigmoid(x);
    case CUDNN_POINTWISE_ELU_FWD:
        return x > 0 ? x : (float)a->elu_alpha * expm1f(x);
    case CUDNN_POINTWISE_GELU_FWD:
        return 0.5F * x * (1 + erff(x * root_half));
    case CUDNN_POINTWISE_SOFTPLUS_FWD:
        return softplus(x, (float)a->softplus_beta);
    case CUDNN_POINTWISE_SWISH_FWD:
        return x * sigmoid((float)a->swish_beta * x);
    case CUDNN_POINTWISE_GELU_APPROX_TANH_FWD:
        return 0.5F * x * (1 + tanhf(tanh_root * (x + 0.044715F * x * x * x)));
    default:
        return x;
    }
}

/* The slope of an activation at its input. */
static float slope(const cd_node *node, float x)
{
    const cd_activation *a = &node->activation;
    float t, beta;
    switch (node->mode) {
    case CUDNN_POINTWISE_RELU_BWD:
        if (x <= (float)a->lower_clip)
            return (float)a->slope;
        return x < (float)a->upper_clip;
    case CUDNN_POINTWISE_TANH_BWD:
        t = tanhf(x);
        return 1 - t * t;
    case CUDNN_POINTWISE_SIGMOID_BWD:
        t = sigmoid(x);
        return t * (1 - t);
    case CUDNN_POINTWISE_ELU_BWD:
        return x > 0 ? 1 : (float)a->elu_alpha * expf(x);
    case CUDNN_POINTWISE_GELU_BWD:
        return 0.5F * (1 + erff(x * root_half)) + x * 0.39894228040143268F * expf(-0.5F * x * x);
    case CUDNN_POINTWISE_SOFTPLUS_BWD:
        return sigmoid((float)a->softplus_beta * x);
    case CUDNN_POINTWISE_SWISH_BWD:
        beta = (float)a->swish_beta;
        t = sigmoid(beta * x);
        return t + beta * x * t * (1 - t);
    default:
        t = tanhf(tanh_root * (x + 0.044715F * x * x * x));
        return 0.5F * (1 + t) + 0.5F * x * (1 - t * t) * tanh_root * (1 + 3 * 0.044715F * x * x);
    }
}

static float binary(const cd_node *node, float x, float b)
{
    switch (node->mode) {
    case CUDNN_POINTWISE_ADD:
        return x + b;
    case CUDNN_POINTWISE_ADD_SQUARE:
        return x + b * b;
    case CUDNN_POINTWISE_DIV:
        return x / b;
    case CUDNN_POINTWISE_MAX:
        return x > b ? x : b;
    case CUDNN_POINTWISE_MIN:
        return x < b ? x : b;
    case CUDNN_POINTWISE_MOD:
        return fmodf(x, b);
    case CUDNN_POINTWISE_MUL:
        return x * b;
    case CUDNN_POINTWISE_POW:
        return powf(x, b);
    case CUDNN_POINTWISE_SUB:
        return x - b;
    case CUDNN_POINTWISE_ATAN2:
        return atan2f(x, b);
    case CUDNN_POINTWISE_CMP_EQ:
        return x == b;
    case CUDNN_POINTWISE_CMP_NEQ:
        return x != b;
    case CUDNN_POINTWISE_CMP_GT:
        return x > b;
    case CUDNN_POINTWISE_CMP_GE:
        return x >= b;
    case CUDNN_POINTWISE_CMP_LT:
        return x < b;
    case CUDNN_POINTWISE_CMP_LE:
        return x <= b;
    case CUDNN_POINTWISE_LOGICAL_AND:
        return x != 0 && b != 0;
    case CUDNN_POINTWISE_LOGICAL_OR:
        return x != 0 || b != 0;
    default: /* a backward mode: b is dY */
        return b * slope(node, x);
    }
}

/* The places of an output's element in the inputs: a dimension of one element is not walked. */
typedef struct {
    int64_t index[CUDNN_DIM_MAX];
    int64_t at[3], steps[3][CUDNN_DIM_MAX];
} walk;

static walk first_place(const cd_step *step)
{
    walk w = {.at = {0}};
    for (int i = 0; i < 3; i++) {
        const cd_tensor *in = step->in[i] ? &step->graph->tensors[step->node->in[i]] : NULL;
        int64_t stride = 1;
        for (int d = in ? in->n_dims - 1 : -1; d >= 0; d--) {
            w.steps[i][d] = in->dims[d] == 1 ? 0 : stride;
            stride *= in->dims[d];
        }
    }
    return w;
}

static void next_place(const cd_tensor *out, walk *w)
{
    for (int d = out->n_dims - 1; d >= 0; d--) {
        for (int i = 0; i < 3; i++)
            w->at[i] += w->steps[i][d];
        if (++w->index[d] < out->dims[d])
            return;
        for (int i = 0; i < 3; i++)
            w->at[i] -= out->dims[d] * w->steps[i][d];
        w->index[d] = 0;
    }
}

static float element(const cd_step *step, const walk *w)
{
    const cd_node *node = step->node;
    float v[3] = {0};
    if (node->mode == CUDNN_POINTWISE_GEN_INDEX)
        return (float)w->index[node->activation.axis];
    for (int i = 0; i < 3 && step->in[i]; i++)
        v[i] = step->in[i][w->at[i]];
    if (node->mode == CUDNN_POINTWISE_BINARY_SELECT)
        return v[CD_PW_T] != 0 ? v[CD_PW_X] : v[CD_PW_B];
    float x = (float)node->alpha * v[CD_PW_X];
    if (!step->in[CD_PW_B])
        return unary(node, x);
    if (cd_is_backward(node->mode))
        return (float)node->alpha * binary(node, v[CD_PW_X], v[CD_PW_B]);
    return binary(node, x, (float)node->beta * v[CD_PW_B]);
}

void cd_run_pointwise(const cd_step *step)
{
    const cd_tensor *out = &step->graph->tensors[step->node->out[0]];
    int64_t n = cd_elements(out);
    walk w = first_place(step);
    for (int64_t i = 0; i < n; i++) {
        step->out[0][i] = element(step, &w);
        next_place(out, &w);
    }
}

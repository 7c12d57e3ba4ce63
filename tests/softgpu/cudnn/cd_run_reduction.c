/* Reductions, and views of a tensor's memory by other strides. */
#include "cd_run.h"
#include <math.h>
#include <stdlib.h>

/* Where X's element goes: a dimension of Y that is shorter takes neighbours together. */
static int64_t target(const cd_tensor *x, const cd_tensor *y, const int64_t *index)
{
    int64_t at = 0;
    for (int d = 0; d < x->n_dims; d++)
        at = at * y->dims[d] + index[d] / (x->dims[d] / y->dims[d]);
    return at;
}

static float start(int mode)
{
    switch (mode) {
    case CUDNN_REDUCE_TENSOR_MUL:
    case CUDNN_REDUCE_TENSOR_MUL_NO_ZEROS:
        return 1;
    case CUDNN_REDUCE_TENSOR_MIN:
        return INFINITY;
    case CUDNN_REDUCE_TENSOR_MAX:
        return -INFINITY;
    default:
        return 0;
    }
}

static float joined(int mode, float sum, float x)
{
    switch (mode) {
    case CUDNN_REDUCE_TENSOR_MUL:
        return sum * x;
    case CUDNN_REDUCE_TENSOR_MUL_NO_ZEROS:
        return x == 0 ? sum : sum * x;
    case CUDNN_REDUCE_TENSOR_MIN:
        return x < sum ? x : sum;
    case CUDNN_REDUCE_TENSOR_MAX:
        return x > sum ? x : sum;
    case CUDNN_REDUCE_TENSOR_AMAX:
        return fabsf(x) > sum ? fabsf(x) : sum;
    case CUDNN_REDUCE_TENSOR_NORM1:
        return sum + fabsf(x);
    case CUDNN_REDUCE_TENSOR_NORM2:
        return sum + x * x;
    default:
        return sum + x;
    }
}

void cd_run_reduction(const cd_step *step)
{
    const cd_tensor *x = &step->graph->tensors[step->node->in[0]];
    const cd_tensor *y = &step->graph->tensors[step->node->out[0]];
    int64_t index[CUDNN_DIM_MAX] = {0}, n = cd_elements(x), results = cd_elements(y);
    int mode = step->node->mode;
    float *out = step->out[0];
    for (int64_t i = 0; i < results; i++)
        out[i] = start(mode);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = target(x, y, index);
        out[at] = joined(mode, out[at], step->in[0][i]);
        for (int d = x->n_dims - 1; d >= 0 && ++index[d] == x->dims[d]; d--)
            index[d] = 0;
    }
    for (int64_t i = 0; i < results; i++) {
        if (mode == CUDNN_REDUCE_TENSOR_AVG)
            out[i] /= (float)(n / results);
        if (mode == CUDNN_REDUCE_TENSOR_NORM2)
            out[i] = sqrtf(out[i]);
    }
}

/* Y reads the memory that X would lie in, by Y's own dimensions and strides. */
void cd_run_reshape(const cd_step *step)
{
    cd_tensor x = step->graph->tensors[step->node->in[0]];
    cd_tensor y = step->graph->tensors[step->node->out[0]];
    int64_t extent = cd_extent(&x) > cd_extent(&y) ? cd_extent(&x) : cd_extent(&y);
    float *memory = soft_scratch((size_t)extent * sizeof *memory);
    x.type = y.type = CUDNN_DATA_FLOAT;
    cd_store(&x, step->in[0], memory);
    cd_load(&y, memory, step->out[0]);
    free(memory);
}

/* Sums of each channel, and of its squares; channels are the second dimension. */
void cd_run_statistics(const cd_step *step)
{
    const cd_tensor *x = &step->graph->tensors[step->node->in[0]];
    int64_t channels = x->dims[1], n = cd_elements(x), inner = 1;
    for (int d = 2; d < x->n_dims; d++)
        inner *= x->dims[d];
    for (int64_t c = 0; c < channels; c++)
        step->out[0][c] = step->out[1][c] = 0;
    for (int64_t i = 0; i < n; i++) {
        float value = step->in[0][i];
        step->out[0][i / inner % channels] += value;
        step->out[1][i / inner % channels] += value * value;
    }
}

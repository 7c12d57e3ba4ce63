/* Layouts that engines ask for. */
#include "cd_engine.h"

/* Strides of dimensions of one element say nothing. */
static int is_packed(const cd_tensor *tensor, const int *fastest_first)
{
    int64_t stride = 1;
    for (int i = 0; i < tensor->n_dims; i++) {
        int d = fastest_first[i];
        if (tensor->dims[d] > 1 && tensor->strides[d] != stride)
            return 0;
        stride *= tensor->dims[d];
    }
    return 1;
}

int cd_is_nhwc(const cd_tensor *tensor)
{
    int order[CUDNN_DIM_MAX] = {1};
    int n = 1;
    for (int d = tensor->n_dims - 1; d >= 2; d--)
        order[n++] = d;
    order[n] = 0;
    return tensor->n_dims >= 3 && is_packed(tensor, order);
}

int cd_is_nchw(const cd_tensor *tensor)
{
    int order[CUDNN_DIM_MAX];
    for (int d = 0; d < tensor->n_dims; d++)
        order[d] = tensor->n_dims - 1 - d;
    return is_packed(tensor, order);
}

/* Tensor descriptors. */
#include "cd_graph.h"
#include <string.h>

size_t cd_element_bytes(int type)
{
    switch (type) {
    case CUDNN_DATA_FLOAT:
    case CUDNN_DATA_INT32:
        return 4;
    case CUDNN_DATA_HALF:
    case CUDNN_DATA_BFLOAT16:
        return 2;
    case CUDNN_DATA_INT64:
    case CUDNN_DATA_DOUBLE:
        return 8;
    case CUDNN_DATA_BOOLEAN:
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_UINT8:
        return 1;
    default:
        return 0;
    }
}

int64_t cd_elements(const cd_tensor *tensor)
{
    int64_t n = 1;
    for (int i = 0; i < tensor->n_dims; i++)
        n *= tensor->dims[i];
    return n;
}

int64_t cd_extent(const cd_tensor *tensor)
{
    int64_t last = 0;
    for (int i = 0; i < tensor->n_dims; i++)
        last += (tensor->dims[i] - 1) * tensor->strides[i];
    return last + 1;
}

void cd_tensor_of(const cd_object *object, cd_tensor *tensor)
{
    const cd_slot *dims = cd_slot_of(object, CUDNN_ATTR_TENSOR_DIMENSIONS);
    const cd_slot *strides = cd_slot_of(object, CUDNN_ATTR_TENSOR_STRIDES);
    memset(tensor, 0, sizeof *tensor);
    tensor->uid = cd_integer(object, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0);
    tensor->type = (int32_t)cd_integer(object, CUDNN_ATTR_TENSOR_DATA_TYPE, 0);
    tensor->alignment = cd_integer(object, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0);
    tensor->is_virtual = cd_integer(object, CUDNN_ATTR_TENSOR_IS_VIRTUAL, 0) != 0;
    tensor->by_value = cd_integer(object, CUDNN_ATTR_TENSOR_IS_BY_VALUE, 0) != 0;
    tensor->n_dims = (int32_t)dims->count;
    memcpy(tensor->dims, dims->data, (size_t)dims->count * sizeof(int64_t));
    memcpy(tensor->strides, strides->data, (size_t)strides->count * sizeof(int64_t));
}

cudnnStatus_t cd_check_tensor(const cd_object *object)
{
    cd_tensor tensor;
    if (cd_count(object, CUDNN_ATTR_TENSOR_DIMENSIONS) !=
        cd_count(object, CUDNN_ATTR_TENSOR_STRIDES))
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "tensor: dimensions and strides differ in number");
    cd_tensor_of(object, &tensor);
    size_t bytes = cd_element_bytes(tensor.type);
    if (!bytes)
        return cd_fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "tensor %lld: data type %d",
                       (long long)tensor.uid, tensor.type);
    for (int i = 0; i < tensor.n_dims; i++)
        if (tensor.dims[i] < 1 || tensor.strides[i] < 1)
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "tensor %lld: a dimension or stride below 1",
                           (long long)tensor.uid);
    int64_t a = tensor.alignment;
    if (a < 1 || (a & (a - 1)) || a % (int64_t)bytes)
        return cd_fail(CUDNN_STATUS_BAD_PARAM,
                       "tensor %lld: the alignment is no power of two that holds an element",
                       (long long)tensor.uid);
    if (tensor.by_value && (tensor.is_virtual || cd_elements(&tensor) != 1))
        return cd_fail(CUDNN_STATUS_BAD_PARAM,
                       "tensor %lld: by value, but virtual or of several elements",
                       (long long)tensor.uid);
    return CUDNN_STATUS_SUCCESS;
}

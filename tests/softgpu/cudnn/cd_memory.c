/* Tensors in the device's memory and as floats: any type that is served, any strides. */
#include "cd_run.h"
#include "soft_number.h"

float cd_rounded(int type, float value)
{
    switch (type) {
    case CUDNN_DATA_BFLOAT16:
        return soft_of_bf16(soft_to_bf16(value));
    case CUDNN_DATA_BOOLEAN:
        return value != 0;
    case CUDNN_DATA_INT32:
    case CUDNN_DATA_INT64:
        return (float)(int64_t)value;
    default:
        return value;
    }
}

static float load(int type, const void *memory, int64_t i)
{
    switch (type) {
    case CUDNN_DATA_FLOAT:
        return ((const float *)memory)[i];
    case CUDNN_DATA_BFLOAT16:
        return soft_of_bf16(((const uint16_t *)memory)[i]);
    case CUDNN_DATA_INT32:
        return (float)((const int32_t *)memory)[i];
    case CUDNN_DATA_INT64:
        return (float)((const int64_t *)memory)[i];
    case CUDNN_DATA_DOUBLE:
        return (float)((const double *)memory)[i];
    default:
        return ((const uint8_t *)memory)[i];
    }
}

static void store(int type, void *memory, int64_t i, float value)
{
    switch (type) {
    case CUDNN_DATA_FLOAT:
        ((float *)memory)[i] = value;
        break;
    case CUDNN_DATA_BFLOAT16:
        ((uint16_t *)memory)[i] = soft_to_bf16(value);
        break;
    case CUDNN_DATA_INT32:
        ((int32_t *)memory)[i] = (int32_t)value;
        break;
    case CUDNN_DATA_INT64:
        ((int64_t *)memory)[i] = (int64_t)value;
        break;
    default:
        ((uint8_t *)memory)[i] = value != 0;
        break;
    }
}

/* The place in memory of the next element in the order of dimensions. */
static int64_t advance(const cd_tensor *tensor, int64_t *index, int64_t place)
{
    for (int d = tensor->n_dims - 1; d >= 0; d--) {
        place += tensor->strides[d];
        if (++index[d] < tensor->dims[d])
            break;
        place -= tensor->dims[d] * tensor->strides[d];
        index[d] = 0;
    }
    return place;
}

void cd_load(const cd_tensor *tensor, const void *memory, float *out)
{
    int64_t index[CUDNN_DIM_MAX] = {0}, place = 0, n = cd_elements(tensor);
    for (int64_t i = 0; i < n; i++) {
        out[i] = load(tensor->type, memory, place);
        place = advance(tensor, index, place);
    }
}

void cd_store(const cd_tensor *tensor, const float *values, void *memory)
{
    int64_t index[CUDNN_DIM_MAX] = {0}, place = 0, n = cd_elements(tensor);
    for (int64_t i = 0; i < n; i++) {
        store(tensor->type, memory, place, values[i]);
        place = advance(tensor, index, place);
    }
}

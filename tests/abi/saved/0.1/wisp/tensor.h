/* tensor.h - tensors as values: data types, shapes, handles.
 *
 * Shapes are row-major, outermost first. A feature map is (N,H,W,C), tokens are (N,T,C): a map is
 * tokens without a copy. All tensors are contiguous; a reshape or a slice of the leading dimension
 * shares its storage. */
#ifndef WISP_TENSOR_H
#define WISP_TENSOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { WISP_MAX_RANK = 6 };

enum {
    WISP_F32 = 1,
    WISP_BF16 = 2, /* statistics, softmax, losses and reductions accumulate in f32 */
    WISP_I32 = 3,
    WISP_I64 = 4,
    WISP_U8 = 5
};

/* Data type and shape. Rank 0 is a scalar. Frozen layout. */
typedef struct wisp_desc {
    int32_t dtype;
    int32_t rank;
    int64_t shape[WISP_MAX_RANK]; /* entries from `rank` on are 0 */
} wisp_desc;

/* A handle. A tensor made in a step lives until the step ends; method code frees nothing. */
typedef struct wisp_tensor wisp_tensor;

static inline int64_t wisp_dtype_bytes(int32_t dtype)
{
    switch (dtype) {
    case WISP_F32:
    case WISP_I32:
        return 4;
    case WISP_BF16:
        return 2;
    case WISP_I64:
        return 8;
    case WISP_U8:
        return 1;
    default:
        return 0;
    }
}

static inline const char *wisp_dtype_name(int32_t dtype)
{
    switch (dtype) {
    case WISP_F32:
        return "f32";
    case WISP_BF16:
        return "bf16";
    case WISP_I32:
        return "i32";
    case WISP_I64:
        return "i64";
    case WISP_U8:
        return "u8";
    default:
        return "?";
    }
}

/* Number of elements. */
static inline int64_t wisp_desc_count(const wisp_desc *desc)
{
    int64_t count = 1;
    for (int32_t i = 0; i < desc->rank; i++)
        count *= desc->shape[i];
    return count;
}

static inline int64_t wisp_desc_bytes(const wisp_desc *desc)
{
    return wisp_desc_count(desc) * wisp_dtype_bytes(desc->dtype);
}

static inline wisp_desc wisp_desc0(int32_t dtype)
{
    wisp_desc d = {dtype, 0, {0, 0, 0, 0, 0, 0}};
    return d;
}

static inline wisp_desc wisp_desc1(int32_t dtype, int64_t a)
{
    wisp_desc d = {dtype, 1, {a, 0, 0, 0, 0, 0}};
    return d;
}

static inline wisp_desc wisp_desc2(int32_t dtype, int64_t a, int64_t b)
{
    wisp_desc d = {dtype, 2, {a, b, 0, 0, 0, 0}};
    return d;
}

static inline wisp_desc wisp_desc3(int32_t dtype, int64_t a, int64_t b, int64_t c)
{
    wisp_desc d = {dtype, 3, {a, b, c, 0, 0, 0}};
    return d;
}

static inline wisp_desc wisp_desc4(int32_t dtype, int64_t a, int64_t b, int64_t c, int64_t e)
{
    wisp_desc d = {dtype, 4, {a, b, c, e, 0, 0}};
    return d;
}

#ifdef __cplusplus
}
#endif
#endif

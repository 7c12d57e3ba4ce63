/* attr_fields.h - tests only: the fields of the attribute structs of wisp/kernels.h by name, so
 * that a golden file can give them as JSON. */
#ifndef WISP_TESTS_ATTR_FIELDS_H
#define WISP_TESTS_ATTR_FIELDS_H

#include <check.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wisp/kernels.h"

typedef struct attr_field {
    const char *op; /* the operations whose names begin so */
    const char *name;
    size_t offset;
    size_t bytes;
    enum { ATTR_INTEGER, ATTR_REAL, ATTR_INTEGERS } kind;
} attr_field;

#define INTEGER(op, type, field)                                                                   \
    {                                                                                              \
        op, #field, offsetof(wisp_##type##_attrs, field),                                          \
            sizeof(((wisp_##type##_attrs *)0)->field), ATTR_INTEGER                                \
    }
#define REAL(op, type, field)                                                                      \
    {                                                                                              \
        op, #field, offsetof(wisp_##type##_attrs, field), sizeof(double), ATTR_REAL                \
    }
/* An array; `bytes` are those of one element. */
#define INTEGERS(op, type, field)                                                                  \
    {                                                                                              \
        op, #field, offsetof(wisp_##type##_attrs, field),                                          \
            sizeof(((wisp_##type##_attrs *)0)->field[0]), ATTR_INTEGERS                            \
    }

/* The first entry whose op is a prefix of the operation's name and whose name is the field's. */
static const attr_field attr_fields[] = {
    INTEGER("conv2d", conv2d, stride_h),
    INTEGER("conv2d", conv2d, stride_w),
    INTEGER("conv2d", conv2d, pad_h),
    INTEGER("conv2d", conv2d, pad_w),
    INTEGER("conv2d", conv2d, dilation_h),
    INTEGER("conv2d", conv2d, dilation_w),
    INTEGER("conv2d", conv2d, groups),
    INTEGER("conv2d", conv2d, in_h),
    INTEGER("conv2d", conv2d, in_w),
    INTEGER("conv2d", conv2d, kernel_h),
    INTEGER("conv2d", conv2d, kernel_w),
    INTEGER("conv2d", conv2d, want_bias),
    INTEGER("conv_norm", conv_norm, conv.stride_h),
    INTEGER("conv_norm", conv_norm, conv.stride_w),
    INTEGER("conv_norm", conv_norm, conv.pad_h),
    INTEGER("conv_norm", conv_norm, conv.pad_w),
    INTEGER("conv_norm", conv_norm, conv.dilation_h),
    INTEGER("conv_norm", conv_norm, conv.dilation_w),
    INTEGER("conv_norm", conv_norm, conv.groups),
    INTEGER("conv_norm", conv_norm, activation),
    INTEGER("conv_norm", conv_norm, want_stats),
    INTEGER("conv_norm", conv_norm, want_grads),
    REAL("norm_scale", norm_scale, eps),
    INTEGER("linear", linear, want_bias),
    INTEGER("linear", linear, activation),
    INTEGER("matmul", matmul, transpose_a),
    INTEGER("matmul", matmul, transpose_b),
    REAL("matmul", matmul, alpha),
    REAL("batch_norm", batch_norm, eps),
    INTEGER("batch_norm", batch_norm, count),
    INTEGER("batch_norm", batch_norm, activation),
    INTEGER("batch_norm", batch_norm, want_residual),
    REAL("running_update", running, momentum),
    INTEGER("running_update", running, count),
    REAL("layer_norm", layer_norm, eps),
    INTEGER("layer_norm", layer_norm, want_affine),
    REAL("unary", unary, a),
    REAL("unary", unary, b),
    INTEGER("unary", unary, kind),
    INTEGER("binary", binary, kind),
    INTEGER("reduce", reduce, kind),
    INTEGER("reduce", reduce, axes),
    INTEGER("reduce", reduce, keep),
    REAL("broadcast", broadcast, scale),
    INTEGERS("broadcast", broadcast, shape),
    INTEGER("broadcast", broadcast, rank),
    INTEGER("broadcast", broadcast, dtype),
    INTEGER("cast", cast, dtype),
    REAL("softmax", softmax, scale),
    INTEGER("softmax", softmax, log),
    INTEGER("softmax", softmax, out_f32),
    REAL("cross_entropy", cross_entropy, scale),
    REAL("pair_cross_entropy", pair_cross_entropy, scale),
    INTEGER("pair_cross_entropy", pair_cross_entropy, views),
    INTEGER("pair_cross_entropy", pair_cross_entropy, targets),
    REAL("l2_normalize", l2_normalize, eps),
    INTEGER("weight_norm", weight_norm, want_gain),
    INTEGER("max_pool", pool, kernel_h),
    INTEGER("max_pool", pool, kernel_w),
    INTEGER("max_pool", pool, stride_h),
    INTEGER("max_pool", pool, stride_w),
    INTEGER("max_pool", pool, pad_h),
    INTEGER("max_pool", pool, pad_w),
    INTEGER("max_pool", pool, in_h),
    INTEGER("max_pool", pool, in_w),
    INTEGER("avg_pool", pool, kernel_h),
    INTEGER("avg_pool", pool, kernel_w),
    INTEGER("avg_pool", pool, stride_h),
    INTEGER("avg_pool", pool, stride_w),
    INTEGER("avg_pool", pool, pad_h),
    INTEGER("avg_pool", pool, pad_w),
    INTEGER("avg_pool", pool, in_h),
    INTEGER("avg_pool", pool, in_w),
    INTEGER("avg_pool", pool, include_padding),
    REAL("attention", attention, scale),
    INTEGER("attention", attention, heads),
    REAL("self_attention", attention, scale),
    INTEGER("self_attention", attention, heads),
    INTEGER("concat", axis, axis),
    INTEGER("slice", axis, start),
    INTEGER("slice", axis, length),
    INTEGER("slice", axis, axis),
    INTEGERS("permute", permute, order),
    INTEGER("gather", gather, rows),
    REAL("drop_path", drop_path, p),
    INTEGER("drop_path", drop_path, stream),
    INTEGER("uniform", uniform, count),
    INTEGER("uniform", uniform, stream),
    REAL("resize", resize, scale_h),
    REAL("resize", resize, scale_w),
    INTEGER("resize", resize, in_h),
    INTEGER("resize", resize, in_w),
    INTEGER("resize", resize, out_h),
    INTEGER("resize", resize, out_w),
    INTEGER("top_k", top_k, k),
    REAL("clip_segments", clip, limit),
    INTEGER("clip_segments", clip, per_segment),
    REAL("sgd_update", sgd, momentum),
    REAL("sgd_update", sgd, trust),
    INTEGER("sgd_update", sgd, nesterov),
    REAL("lars_update", sgd, momentum),
    REAL("lars_update", sgd, trust),
    INTEGER("lars_update", sgd, nesterov),
    REAL("adamw_update", adamw, beta1),
    REAL("adamw_update", adamw, beta2),
    REAL("adamw_update", adamw, eps),
};
#undef INTEGER
#undef REAL
#undef INTEGERS

static inline void attr_put_integer(uint8_t *at, size_t bytes, json_int_t value)
{
    const int64_t wide = value;
    const int32_t narrow = (int32_t)value;
    memcpy(at, bytes == 8 ? (const void *)&wide : (const void *)&narrow, bytes);
}

/* Sets one field of the attributes of an operation; the test fails when there is none of the name.
 */
static inline void attr_set(const char *op, uint8_t *attrs, uint64_t attrs_bytes, const char *name,
                            const json_t *value)
{
    for (size_t i = 0; i < sizeof attr_fields / sizeof attr_fields[0]; i++) {
        const attr_field *f = &attr_fields[i];
        if (strncmp(op, f->op, strlen(f->op)) || strcmp(name, f->name))
            continue;
        ck_assert_uint_le(f->offset + f->bytes, attrs_bytes);
        if (f->kind == ATTR_REAL) {
            const double real = json_number_value(value);
            memcpy(attrs + f->offset, &real, sizeof real);
        } else if (f->kind == ATTR_INTEGER) {
            ck_assert(json_is_integer(value));
            attr_put_integer(attrs + f->offset, f->bytes, json_integer_value(value));
        } else {
            ck_assert_uint_le(json_array_size(value), WISP_MAX_RANK);
            for (size_t k = 0; k < json_array_size(value); k++)
                attr_put_integer(attrs + f->offset + k * f->bytes, f->bytes,
                                 json_integer_value(json_array_get(value, k)));
        }
        return;
    }
    ck_abort_msg("%s has no attribute %s", op, name);
}

#endif

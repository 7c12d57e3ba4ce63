/* op_call.h - calls of operations by their enum, so that core/nn does not depend on how the files
 * of core/ops order their families. Names are looked up once in the life of the process. */
#ifndef WISPI_NN_OP_CALL_H
#define WISPI_NN_OP_CALL_H

#include "tensor/step.h"

/* clang-format off */
#define WISPI_CALL_LIST(X)                                                                         \
    X(adamw_update) X(attention) X(avg_pool) X(batch_norm) X(binary) X(broadcast) X(cast)          \
    X(channel_stats) X(clip_segments) X(concat) X(conv2d) X(conv_norm) X(copy) X(cross_entropy) X(drop_path)    \
    X(ema_update) X(fill) X(gather_rows) X(gather_tokens) X(l2_normalize) X(lars_update)           \
    X(layer_norm) X(lerp) X(linear) X(matmul) X(max_pool) X(norm_scale) X(normed_linear)           \
    X(pair_cross_entropy) X(permute) X(reduce) X(resize_bicubic) X(ring_write) X(running_update)   \
    X(segment_norms)                                                                               \
    X(self_attention) X(sgd_update) X(slice) X(softmax) X(top_k) X(unary) X(uniform) X(weight_norm)
/* clang-format on */

enum {
#define WISPI_CALL_ENUM(name) WISPI_CALL_##name,
    WISPI_CALL_LIST(WISPI_CALL_ENUM)
#undef WISPI_CALL_ENUM
        WISPI_N_CALLS
};

/* Calls an operation; `out` has WISPI_MAX_OUT entries: NULL or a destination each. Returns out[0].
 */
wisp_tensor *wispi_call(wisp_step *s, int32_t call, const void *attrs, wisp_tensor *const *in,
                        int32_t n_in, wisp_tensor **out);
/* The same where only the first output matters. */
wisp_tensor *wispi_call1(wisp_step *s, int32_t call, const void *attrs, wisp_tensor *const *in,
                         int32_t n_in);

/* 1 when `x` may be looked at. After an error it may be NULL, which is passed on; without one a
 * NULL is the caller's mistake and fails the step. */
int wispi_usable(wisp_step *s, const char *function, const wisp_tensor *x);

#endif

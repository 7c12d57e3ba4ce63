/* cpu_vector_list.h - the operations that have an own vector kernel. */
#ifndef CPU_VECTOR_LIST_H
#define CPU_VECTOR_LIST_H

/* clang-format off */
#define CPU_VECTOR_OPS(X)                                                                          \
    X(channel_stats) X(batch_norm) X(batch_norm_grad_stats) X(batch_norm_grad_input)               \
    X(running_update) X(layer_norm) X(layer_norm_grad)                                             \
    X(unary) X(unary_grad) X(binary) X(reduce) X(reduce_max_grad) X(broadcast)                                        \
    X(cast) X(fill) X(copy) X(accumulate) X(lerp) X(ring_write)                                    \
    X(softmax) X(softmax_grad) X(cross_entropy) X(cross_entropy_grad)                              \
    X(pair_cross_entropy) X(pair_cross_entropy_grad)                                               \
    X(l2_normalize) X(l2_normalize_grad) X(weight_norm) X(weight_norm_grad)                        \
    X(normed_linear) X(normed_linear_grad_input) X(normed_linear_grad_weight)                      \
    X(max_pool) X(max_pool_grad) X(avg_pool) X(avg_pool_grad)                                      \
    X(concat) X(slice) X(slice_grad) X(permute)                                                    \
    X(gather_rows) X(gather_rows_grad) X(gather_tokens) X(gather_tokens_grad)                      \
    X(drop_path) X(drop_path_grad) X(uniform) X(resize_bicubic) X(resize_bicubic_grad) X(top_k)    \
    X(segment_norms) X(clip_segments) X(sgd_update) X(lars_update) X(adamw_update)                 \
    X(ema_update) X(adamw_ema_update)                                                              \
    X(conv_norm) X(conv_norm_grad) X(norm_scale) X(norm_scale_grad)
/* clang-format on */

#endif

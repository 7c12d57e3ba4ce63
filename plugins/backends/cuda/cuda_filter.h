/* cuda_filter.h - weights of convolutions as cuDNN reads them: channels last, in the type of the
 * maps; and maps and weights as tensors of its graphs. */
#ifndef CUDA_FILTER_H
#define CUDA_FILTER_H

#include "cuda_graph.h"

typedef struct cuda_filter {
    CUfunction read, write;
    int64_t o, c, taps;
    int32_t dtype;
    int32_t is_direct;  /* the parameter itself is what cuDNN reads and writes */
    size_t bytes;       /* of the copy in cuDNN's order */
    uint32_t alignment; /* of what cuDNN gets */
} cuda_filter;

/* w: f32(O,C/g,kh,kw); dtype: of the maps. [main] */
wisp_status cuda_filter_make(const cuda_device *device, const wisp_desc *w, int32_t dtype,
                             cuda_filter *filter, wisp_error *err);
wisp_status cuda_filter_read(const cuda_device *device, const cuda_filter *filter, const void *w,
                             void *copy, wisp_error *err);
/* From the copy to the parameter's gradient, or added to it. */
wisp_status cuda_filter_write(const cuda_device *device, const cuda_filter *filter,
                              const void *copy, void *dw, int add, wisp_error *err);

/* A map (N,H,W,C) and weights (O,C/g,kh,kw) in cuDNN's order, as tensors of a graph. */
cuda_graph_tensor cuda_map_tensor(int64_t id, const wisp_desc *map);
cuda_graph_tensor cuda_filter_tensor(int64_t id, const wisp_desc *w, const cuda_filter *filter);

/* What a run asks of engines for maps of this type. */
cuda_graph_rules cuda_conv_rules(const cuda_device *device, const wisp_kernel_request *request,
                                 int32_t dtype);

#endif

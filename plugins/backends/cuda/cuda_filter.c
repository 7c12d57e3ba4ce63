/* cuda_filter.c - weights of convolutions as cuDNN reads them. */
#include "cuda_filter.h"
#include "kernels/filter.h"

wisp_status cuda_filter_make(const cuda_device *device, const wisp_desc *w, int32_t dtype,
                             cuda_filter *filter, wisp_error *err)
{
    filter->o = w->shape[0];
    filter->c = w->shape[1];
    filter->taps = w->shape[2] * w->shape[3];
    filter->dtype = dtype;
    filter->is_direct = dtype == WISP_F32 && (filter->c == 1 || filter->taps == 1);
    filter->bytes = (size_t)(filter->o * filter->c * filter->taps * wisp_dtype_bytes(dtype));
    const uint32_t own = cuda_alignment(w);
    filter->alignment = filter->is_direct && own < 16 ? own : 16;
    WISP_TRY(cuda_function_for(device, "filter_read", dtype, &filter->read, err));
    return cuda_function_for(device, "filter_write", dtype, &filter->write, err);
}

static wisp_status launch(const cuda_device *device, const cuda_filter *f, CUfunction function,
                          const void *x, void *y, int add, wisp_error *err)
{
    const filter_args args = {.x = x, .y = y, .o = f->o, .c = f->c, .taps = f->taps, .add = add};
    return cuda_launch(device, function, cuda_grid_over(device, f->o * f->c * f->taps, 2), &args,
                       err);
}

wisp_status cuda_filter_read(const cuda_device *device, const cuda_filter *filter, const void *w,
                             void *copy, wisp_error *err)
{
    return launch(device, filter, filter->read, w, copy, 0, err);
}

wisp_status cuda_filter_write(const cuda_device *device, const cuda_filter *filter,
                              const void *copy, void *dw, int add, wisp_error *err)
{
    return launch(device, filter, filter->write, copy, dw, add, err);
}

cuda_graph_tensor cuda_map_tensor(int64_t id, const wisp_desc *map)
{
    const int64_t n = map->shape[0], h = map->shape[1], w = map->shape[2], c = map->shape[3];
    const uint32_t alignment = cuda_alignment(map);
    return (cuda_graph_tensor){
        .id = id,
        .dtype = map->dtype,
        .rank = 4,
        .size = {n, c, h, w},
        .stride = {h * w * c, 1, w * c, c},
        .alignment = alignment < 16 ? alignment : 16,
    };
}

cuda_graph_tensor cuda_filter_tensor(int64_t id, const wisp_desc *w, const cuda_filter *filter)
{
    const int64_t c = w->shape[1], kh = w->shape[2], kw = w->shape[3];
    return (cuda_graph_tensor){
        .id = id,
        .dtype = filter->dtype,
        .rank = 4,
        .size = {w->shape[0], c, kh, kw},
        .stride = {kh * kw * c, 1, kw * c, c},
        .alignment = filter->alignment,
    };
}

cuda_graph_rules cuda_conv_rules(const cuda_device *device, const wisp_kernel_request *request,
                                 int32_t dtype)
{
    return (cuda_graph_rules){
        .deterministic = request->deterministic,
        .strict_f32 = dtype == WISP_F32 && !device->allow_tf32,
        .workspace_limit = (size_t)1 << 30,
    };
}

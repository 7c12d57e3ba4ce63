/* cuda_capture.h - steps as CUDA graphs: the backend table's four calls. */
#ifndef CUDA_CAPTURE_H
#define CUDA_CAPTURE_H

#include "cuda_device.h"

wisp_status cuda_capture_begin(void *handle, wisp_error *err);
wisp_status cuda_capture_end(void *handle, void **graph, wisp_error *err);
wisp_status cuda_graph_launch(void *handle, void *graph, wisp_error *err);
void cuda_graph_release(void *handle, void *graph);

#endif

/* cuda_capture.c - what the stream is asked for between begin and end becomes one CUDA graph.
 *
 * Scheduled scalars lie in device memory, so the graph of one step is that of all steps. */
#include "cuda_capture.h"

wisp_status cuda_capture_begin(void *handle, wisp_error *err)
{
    const cuda_device *device = handle;
    /* Other threads (a library's, a data worker's) may call the driver meanwhile. */
    return cuda_check(
        device->driver,
        device->driver->StreamBeginCapture(device->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
        "beginning to capture a step", err);
}

wisp_status cuda_capture_end(void *handle, void **graph, wisp_error *err)
{
    const cuda_device *device = handle;
    const cuda_driver *driver = device->driver;
    CUgraph recorded = NULL;
    CUgraphExec made = NULL;
    WISP_TRY(cuda_check(driver, driver->StreamEndCapture(device->stream, &recorded),
                        "capturing a step", err));
    const wisp_status status =
        cuda_check(driver, driver->GraphInstantiate(&made, recorded, 0), "making a graph", err);
    driver->GraphDestroy(recorded);
    if (status == WISP_OK)
        *graph = made;
    return status;
}

wisp_status cuda_graph_launch(void *handle, void *graph, wisp_error *err)
{
    const cuda_device *device = handle;
    return cuda_check(device->driver, device->driver->GraphLaunch(graph, device->stream),
                      "starting a graph", err);
}

void cuda_graph_release(void *handle, void *graph)
{
    const cuda_device *device = handle;
    if (!graph)
        return;
    device->driver->StreamSynchronize(device->stream);
    device->driver->GraphExecDestroy(graph);
}

/* test_plans.c - does the real cuDNN have an engine for what the cuda backend asks of it?
 *
 * cuDNN plans for devices that are not here, from their properties: heuristics, the support checks
 * of engines, and the compilation of those that it compiles. So this needs cuDNN, and no GPU and no
 * driver. Nothing is computed. The properties are written down here from data sheets; what a real
 * device says of itself may differ in what does not matter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_device.h"
#include "cuda_table.h"
#include "wisp/kernels.h"

#define DEVICE_PROPERTIES ((cudnnBackendDescriptorType_t)38)
#define PROPERTIES_AS_TEXT ((cudnnBackendAttributeName_t)2702)

static int n_wrong, n_asked;

/* --- what the backend needs of a host and a driver to prepare kernels --- */

static void *host_alloc(const wisp_host *host, size_t bytes)
{
    (void)host;
    return calloc(1, bytes ? bytes : 1);
}

static void host_free(const wisp_host *host, void *memory)
{
    (void)host;
    free(memory);
}

static void host_log(const wisp_host *host, int32_t level, const char *line)
{
    (void)host;
    (void)level;
    puts(line);
}

static CUresult any_function(CUfunction *function, CUmodule module, const char *name)
{
    (void)module;
    (void)name;
    *function = NULL;
    return CUDA_SUCCESS;
}

static CUresult any_attribute(CUfunction function, CUfunction_attribute attribute, int value)
{
    (void)function;
    (void)attribute;
    (void)value;
    return CUDA_SUCCESS;
}

/* Products are not cuDNN's: whoever turns to them has not found what is asked for here. */
static cublasStatus_t no_layout(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                uint64_t cols, int64_t ld)
{
    (void)layout;
    (void)type;
    (void)rows;
    (void)cols;
    (void)ld;
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

static const char *status_text(cublasStatus_t status)
{
    (void)status;
    return "not here";
}

static const wisp_host host = {
    .struct_size = sizeof host, .alloc = host_alloc, .free = host_free, .log = host_log};
static const cuda_driver driver = {.ModuleGetFunction = any_function,
                                   .FuncSetAttribute = any_attribute};
static const cuda_cublaslt products = {.MatrixLayoutCreate = no_layout,
                                       .GetStatusString = status_text};
static cuda_cudnn dnn;
static cuda_device device = {
    .host = &host, .driver = &driver, .cudnn = &dnn, .cublaslt = &products};

/* --- asking --- */

static void ask(const char *op, const void *attrs, size_t attrs_bytes, const wisp_desc *in,
                int32_t n_in, const wisp_desc *out, int32_t n_out, const char *wanted)
{
    const wisp_desc *in_ptr[9], *out_ptr[4];
    for (int32_t i = 0; i < n_in; i++)
        in_ptr[i] = in[i].dtype ? &in[i] : NULL;
    for (int32_t i = 0; i < n_out; i++)
        out_ptr[i] = out[i].dtype ? &out[i] : NULL;
    const wisp_kernel_request request = {.struct_size = sizeof request,
                                         .n_in = n_in,
                                         .n_out = n_out,
                                         .deterministic = 1,
                                         .op = op,
                                         .attrs = attrs,
                                         .attrs_bytes = attrs_bytes,
                                         .in = in_ptr,
                                         .out = out_ptr};
    wisp_kernel *kernel = NULL;
    wisp_error err = {0};
    n_asked++;
    if (cuda_prepare(&device, &request, &kernel, &err) != WISP_OK) {
        printf("WRONG %s: %s\n", op, err.message);
        n_wrong++;
        return;
    }
    if (strcmp(kernel->implementation, wanted) != 0) {
        printf("WRONG %s of %s(%lld,%lld,%lld,...): %s, not %s\n", op, wisp_dtype_name(in[0].dtype),
               (long long)in[0].shape[0], (long long)in[0].shape[1], (long long)in[0].shape[2],
               kernel->implementation, wanted);
        n_wrong++;
    }
    kernel->release(kernel);
}

static void ask_conv(int32_t dtype, int64_t n, int64_t side, int64_t c, int64_t o, int32_t k,
                     int32_t stride)
{
    const int32_t pad = k == stride ? 0 : k / 2;
    const int64_t to = (side + 2 * pad - k) / stride + 1;
    wisp_conv2d_attrs a = {.stride_h = stride,
                           .stride_w = stride,
                           .pad_h = pad,
                           .pad_w = pad,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .groups = 1};
    const wisp_desc x = wisp_desc4(dtype, n, side, side, c), y = wisp_desc4(dtype, n, to, to, o);
    const wisp_desc w = wisp_desc4(WISP_F32, o, c, k, k), none = {0, 0, {0}};
    const wisp_desc forward[] = {x, w}, of_input[] = {y, w}, of_weight[] = {x, y}, dw[] = {w, none};
    ask("conv2d", &a, sizeof a, forward, 2, &y, 1, "cudnn");
    a.in_h = a.in_w = (int32_t)side;
    ask("conv2d_grad_input", &a, sizeof a, of_input, 2, &x, 1, "cudnn");
    a.in_h = a.in_w = 0;
    a.kernel_h = a.kernel_w = k;
    ask("conv2d_grad_weight", &a, sizeof a, of_weight, 2, dw, 2, "cudnn");
}

static void ask_link(int64_t n, int64_t side, int64_t c, int64_t o, int32_t activation)
{
    const wisp_conv_norm_attrs a = {
        .conv = {.stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .groups = 1},
        .activation = activation,
        .want_stats = 1};
    const wisp_desc in[] = {wisp_desc4(WISP_BF16, n, side, side, c), wisp_desc1(WISP_F32, c),
                            wisp_desc1(WISP_F32, c), wisp_desc4(WISP_F32, o, c, 1, 1)};
    const wisp_desc out[] = {wisp_desc4(WISP_BF16, n, side, side, o), wisp_desc1(WISP_F32, o),
                             wisp_desc1(WISP_F32, o)};
    ask("conv_norm", &a, sizeof a, in, 4, out, 3, "cudnn_fused");
}

static void ask_attention(int64_t n, int64_t tokens, int32_t heads, int64_t width)
{
    const wisp_attention_attrs a = {.scale = 0.125, .heads = heads};
    const int64_t c = heads * width;
    const wisp_desc qkv = wisp_desc3(WISP_BF16, n, tokens, 3 * c);
    const wisp_desc y = wisp_desc3(WISP_BF16, n, tokens, c);
    const wisp_desc lse = wisp_desc3(WISP_F32, n, heads, tokens);
    const wisp_desc out[] = {y, lse}, in[] = {y, qkv, y, lse};
    ask("self_attention", &a, sizeof a, &qkv, 1, out, 2, "cudnn_flash");
    ask("self_attention_grad", &a, sizeof a, in, 4, &qkv, 1, "cudnn_flash");
}

/* Layers of the networks at 224 and 96 pixels, of CIFAR's stem too. */
static void ask_all(void)
{
    static const int32_t types[] = {WISP_BF16, WISP_F32};
    for (int t = 0; t < 2; t++) {
        ask_conv(types[t], 64, 224, 3, 64, 7, 2);
        ask_conv(types[t], 64, 32, 3, 64, 3, 1);
        ask_conv(types[t], 64, 56, 64, 64, 3, 1);
        ask_conv(types[t], 64, 56, 64, 128, 3, 2);
        ask_conv(types[t], 64, 56, 64, 128, 1, 2);
        ask_conv(types[t], 384, 3, 512, 512, 3, 1);
        ask_conv(types[t], 64, 224, 3, 32, 3, 2);
        ask_conv(types[t], 64, 224, 3, 192, 16, 16);
        ask_conv(types[t], 2, 7, 3, 5, 3, 1); /* aligned to nothing */
    }
    ask_link(64, 112, 32, 16, WISP_ACT_RELU6);
    ask_link(64, 56, 24, 144, WISP_ACT_NONE);
    ask_link(384, 3, 320, 1280, WISP_ACT_RELU);
    ask_attention(64, 197, 3, 64);
    ask_attention(384, 37, 3, 64);
}

static int take_device(const char *name, int version, int processors, int shared)
{
    char text[1200];
    snprintf(
        text, sizeof text,
        "{\"maxGridSize\": [2147483647, 65535, 65535], \"maxBlockSize\": [1024, 1024, 64], "
        "\"regsPerBlock\": 65536, \"multiProcessorCount\": %d, \"warpSize\": 32, "
        "\"maxSharedMemoryPerBlock\": 49152, \"maxSharedMemoryPerBlockOptin\": %d, "
        "\"reservedSharedMemoryPerBlock\": 1024, \"maxRegistersPerSM\": 65536, "
        "\"maxCtasPerSM\": %d, \"maxThreadsPerBlock\": 1024, \"maxThreadsPerSM\": %d, "
        "\"pciDeviceId\": 0, \"isTccDriver\": 0, \"supportCoopLaunch\": 1, "
        "\"smClockRateKHz\": 1980000, \"memClockRateKHz\": 3201000, \"l2CacheSize\": 50331648, "
        "\"deviceName\": \"%s\", \"deviceVer\": %d, \"driverVer\": 13000, \"cudaDeviceId\": 0, "
        "\"totalGlobalMem\": 24000000000}",
        processors, shared, version == 890 ? 24 : 32, version == 890 ? 1536 : 2048, name, version);
    device.n_multiprocessors = processors;
    device.major = version / 100;
    device.minor = version / 10 % 10;
    return dnn.CreateDescriptor(DEVICE_PROPERTIES, &device.absent_cudnn) == CUDNN_STATUS_SUCCESS &&
           dnn.SetAttribute(device.absent_cudnn, PROPERTIES_AS_TEXT, CUDNN_TYPE_CHAR,
                            (int64_t)strlen(text) + 1, text) == CUDNN_STATUS_SUCCESS &&
           dnn.Finalize(device.absent_cudnn) == CUDNN_STATUS_SUCCESS;
}

int main(void)
{
    static const struct {
        const char *name;
        int version, processors, shared;
    } devices[] = {{"A100", 800, 108, 166912}, {"L4", 890, 58, 101376}, {"H200", 900, 132, 232448}};
    wisp_error err = {0};
    if (cuda_cudnn_open(&dnn, &err) != WISP_OK || dnn.GetVersion() < 90800) {
        printf("SKIPPED: %s\n", *err.message ? err.message : "cuDNN is older than 9.8");
        return 77;
    }
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (!take_device(devices[i].name, devices[i].version, devices[i].processors,
                         devices[i].shared)) {
            printf("SKIPPED: cuDNN %zu does not take the properties of a %s\n", dnn.GetVersion(),
                   devices[i].name);
            return 77;
        }
        ask_all();
        dnn.DestroyDescriptor(device.absent_cudnn);
    }
    printf("cuDNN %zu: %d kernels asked for, %d wrong\n", dnn.GetVersion(), n_asked, n_wrong);
    return n_wrong != 0;
}

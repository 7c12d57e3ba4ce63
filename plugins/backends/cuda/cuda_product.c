/* cuda_product.c - one product of matrices through cuBLASLt. */
#include "cuda_product.h"
#include "cuda_tune.h"

/* What NVIDIA's documentation of cublasSetWorkspace recommends for each architecture. */
static uint64_t workspace_limit(const cuda_device *device)
{
    return device->major >= 9 ? (uint64_t)32 << 20 : (uint64_t)4 << 20;
}

static wisp_status check(const cuda_device *device, cublasStatus_t status, const char *what,
                         wisp_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return WISP_OK;
    wisp_status code = WISP_E_DEVICE;
    if (status == CUBLAS_STATUS_NOT_SUPPORTED)
        code = WISP_E_UNSUPPORTED;
    if (status == CUBLAS_STATUS_ALLOC_FAILED)
        code = WISP_E_NOMEM;
    return wisp_fail(err, code, "cuBLASLt: %s: %s", what,
                     device->cublaslt->GetStatusString(status));
}

static cudaDataType type_of(int32_t dtype)
{
    return dtype == WISP_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

/* A matrix of rows x columns in our order; cuBLASLt sees columns x rows. */
static wisp_status make_layout(const cuda_device *device, int32_t dtype, int64_t batch,
                               int64_t rows, int64_t columns, cublasLtMatrixLayout_t *layout,
                               wisp_error *err)
{
    const cuda_cublaslt *lt = device->cublaslt;
    const int32_t count = (int32_t)batch;
    const int64_t stride = rows * columns;
    WISP_TRY(check(
        device,
        lt->MatrixLayoutCreate(layout, type_of(dtype), (uint64_t)columns, (uint64_t)rows, columns),
        "describing a matrix", err));
    if (batch == 1)
        return WISP_OK;
    WISP_TRY(check(device,
                   lt->MatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                                sizeof count),
                   "describing a batch", err));
    return check(device,
                 lt->MatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                              &stride, sizeof stride),
                 "describing a batch", err);
}

static wisp_status make_layouts(const cuda_device *device, const cuda_product_spec *s,
                                cuda_product *p, wisp_error *err)
{
    WISP_TRY(make_layout(device, s->in_dtype, s->batch, s->transpose_a ? s->k : s->m,
                         s->transpose_a ? s->m : s->k, &p->a, err));
    WISP_TRY(make_layout(device, s->in_dtype, s->batch, s->transpose_b ? s->n : s->k,
                         s->transpose_b ? s->k : s->n, &p->b, err));
    return make_layout(device, s->out_dtype, s->batch, s->m, s->n, &p->d, err);
}

static wisp_status set(const cuda_device *device, const cuda_product *p,
                       cublasLtMatmulDescAttributes_t name, const void *value, size_t bytes,
                       wisp_error *err)
{
    return check(device, device->cublaslt->MatmulDescSetAttribute(p->desc, name, value, bytes),
                 "describing a product", err);
}

static wisp_status make_desc(const cuda_device *device, const cuda_product_spec *s, cuda_product *p,
                             wisp_error *err)
{
    const cublasComputeType_t compute =
        s->tf32 && s->in_dtype == WISP_F32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    /* cuBLASLt's A is our b, its B our a. */
    const int32_t of_a = s->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t of_b = s->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t epilogue =
        s->vector == CUDA_PRODUCT_ADD_BIAS ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_BGRADB;
    /* The choice of the algorithm looks at how the vector's address is aligned. */
    const uintptr_t vector = 16;
    WISP_TRY(check(device, device->cublaslt->MatmulDescCreate(&p->desc, compute, CUDA_R_32F),
                   "describing a product", err));
    WISP_TRY(set(device, p, CUBLASLT_MATMUL_DESC_TRANSA, &of_a, sizeof of_a, err));
    WISP_TRY(set(device, p, CUBLASLT_MATMUL_DESC_TRANSB, &of_b, sizeof of_b, err));
    if (!s->vector)
        return WISP_OK;
    WISP_TRY(set(device, p, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue, err));
    return set(device, p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector, err);
}

static wisp_status set_preferences(const cuda_device *device, const cuda_product_spec *s,
                                   cublasLtMatmulPreference_t preference, wisp_error *err)
{
    const cuda_cublaslt *lt = device->cublaslt;
    const uint64_t workspace = workspace_limit(device);
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        const uint32_t *bytes;
    } alignments[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &s->align_b},
                      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &s->align_a},
                      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &s->align_d},
                      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &s->align_d}};
    WISP_TRY(
        check(device,
              lt->MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace, sizeof workspace),
              "limiting the workspace", err));
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++)
        WISP_TRY(check(device,
                       lt->MatmulPreferenceSetAttribute(preference, alignments[i].name,
                                                        alignments[i].bytes, sizeof(uint32_t)),
                       "saying how matrices are aligned", err));
    return WISP_OK;
}

/* --- choice --- */

/* Candidates, best first; at least one. */
static wisp_status ask(const cuda_device *device, const cuda_product_spec *s, const cuda_product *p,
                       int32_t most, cublasLtMatmulHeuristicResult_t *results, int *n,
                       wisp_error *err)
{
    const cuda_cublaslt *lt = device->cublaslt;
    cublasLtMatmulPreference_t preference = NULL;
    WISP_TRY(check(device, lt->MatmulPreferenceCreate(&preference), "stating preferences", err));
    wisp_status status = set_preferences(device, s, preference, err);
    if (status == WISP_OK)
        status = check(device,
                       lt->MatmulAlgoGetHeuristic(device->cublaslt_handle, p->desc, p->b, p->a,
                                                  p->d, p->d, preference, most, results, n),
                       "choosing an algorithm", err);
    lt->MatmulPreferenceDestroy(preference);
    while (status == WISP_OK && *n > 0 && results[*n - 1].state != CUBLAS_STATUS_SUCCESS)
        --*n;
    if (status == WISP_OK && (*n < 1 || results[0].state != CUBLAS_STATUS_SUCCESS))
        status = wisp_fail(err, WISP_E_UNSUPPORTED, "cuBLASLt has no algorithm for this product");
    return status;
}

typedef struct trial {
    const cuda_device *device;
    cuda_product *product;
    const cublasLtMatmulHeuristicResult_t *results;
    cuda_tune_memory memory; /* a, b, d, vector, workspace */
    int32_t has_vector;
} trial;

static void take(cuda_product *p, const cublasLtMatmulHeuristicResult_t *result)
{
    p->algo = result->algo;
    p->workspace_bytes = result->workspaceSize;
}

static wisp_status run_result(void *user, int32_t i, wisp_error *err)
{
    const trial *t = user;
    void *const *m = t->memory.data;
    if (t->results[i].state != CUBLAS_STATUS_SUCCESS)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "no algorithm");
    take(t->product, &t->results[i]);
    return cuda_product_run(t->device, t->product, m[0], m[1], m[2], t->has_vector ? m[3] : NULL,
                            m[4], err);
}

static int32_t time_results(const cuda_device *device, const cuda_product_spec *s, cuda_product *p,
                            const cublasLtMatmulHeuristicResult_t *results, int32_t n)
{
    trial t = {.device = device, .product = p, .results = results, .has_vector = s->vector != 0};
    const size_t in = (size_t)wisp_dtype_bytes(s->in_dtype);
    const size_t out = (size_t)wisp_dtype_bytes(s->out_dtype);
    const size_t m = (size_t)s->m, k = (size_t)s->k, columns = (size_t)s->n;
    const size_t batch = (size_t)s->batch;
    const size_t bytes[] = {batch * m * k * in, batch * k * columns * in, batch * m * columns * out,
                            (m > columns ? m : columns) * out, workspace_limit(device)};
    wisp_error reason = {0};
    wisp_status status = WISP_OK;
    for (int i = 0; i < 5 && status == WISP_OK; i++)
        status = cuda_tune_add(device, &t.memory, bytes[i], &reason);
    const int32_t best = status == WISP_OK ? cuda_tune_time(device, n, run_result, &t) : -1;
    cuda_tune_release(device, &t.memory);
    return best;
}

static uint64_t key_of(const cuda_product_spec *s)
{
    const int64_t sizes[] = {s->batch, s->m, s->n, s->k};
    const int32_t rest[] = {s->transpose_a,      s->transpose_b,      s->in_dtype,
                            s->out_dtype,        s->vector,           s->tf32,
                            (int32_t)s->align_a, (int32_t)s->align_b, (int32_t)s->align_d};
    return cuda_tune_hash(cuda_tune_hash(1, sizes, sizeof sizes), rest, sizeof rest);
}

static int32_t quickest(cuda_device *device, const cuda_product_spec *s, cuda_product *p,
                        const cublasLtMatmulHeuristicResult_t *results, int32_t n)
{
    const uint64_t key = key_of(s);
    int32_t best = cuda_tune_find(device, key);
    if (best >= 0 && best < n && results[best].state == CUBLAS_STATUS_SUCCESS)
        return best;
    best = n > 1 ? time_results(device, s, p, results, n) : 0;
    if (best >= 0)
        cuda_tune_keep(device, key, best);
    return best < 0 ? 0 : best;
}

static wisp_status choose(cuda_device *device, const cuda_product_spec *s, cuda_product *p,
                          wisp_error *err)
{
    cublasLtMatmulHeuristicResult_t results[CUDA_TUNE_CANDIDATES];
    int n = 0;
    memset(results, 0, sizeof results);
    WISP_TRY(ask(device, s, p, device->autotune ? CUDA_TUNE_CANDIDATES : 1, results, &n, err));
    take(p, &results[device->autotune ? quickest(device, s, p, results, n) : 0]);
    return WISP_OK;
}

/* --- products --- */

wisp_status cuda_product_make(cuda_device *device, const cuda_product_spec *spec,
                              cuda_product *product, wisp_error *err)
{
    if (spec->batch > INT32_MAX || spec->m > INT32_MAX || spec->n > INT32_MAX ||
        spec->k > INT32_MAX)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "cuBLASLt: a side is longer than 2^31 - 1");
    product->alpha = spec->alpha;
    WISP_TRY(make_layouts(device, spec, product, err));
    WISP_TRY(make_desc(device, spec, product, err));
    return choose(device, spec, product, err);
}

void cuda_product_free(const cuda_device *device, cuda_product *product)
{
    const cuda_cublaslt *lt = device->cublaslt;
    cublasLtMatrixLayout_t *const layouts[] = {&product->a, &product->b, &product->d};
    for (int i = 0; i < 3; i++) {
        if (*layouts[i])
            lt->MatrixLayoutDestroy(*layouts[i]);
        *layouts[i] = NULL;
    }
    if (product->desc)
        lt->MatmulDescDestroy(product->desc);
    product->desc = NULL;
}

wisp_status cuda_product_run(const cuda_device *device, const cuda_product *product, const void *a,
                             const void *b, void *d, void *vector, void *workspace, wisp_error *err)
{
    const float none = 0;
    if (vector)
        WISP_TRY(
            set(device, product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector, err));
    return check(device,
                 device->cublaslt->Matmul(device->cublaslt_handle, product->desc, &product->alpha,
                                          b, product->b, a, product->a, &none, d, product->d, d,
                                          product->d, &product->algo,
                                          product->workspace_bytes ? workspace : NULL,
                                          product->workspace_bytes, device->stream),
                 "multiplying", err);
}

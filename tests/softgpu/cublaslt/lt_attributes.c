/* Making cuBLASLt's descriptors and setting their attributes: each has one size, any other is
 * CUBLAS_STATUS_INVALID_VALUE (cuBLAS documentation, cublasLtMatmulDescSetAttribute). */
#include "lt_object.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    int name;
    size_t at, bytes;
} attribute;

#define LAYOUT(name, member)                                                                       \
    {                                                                                              \
        CUBLASLT_MATRIX_LAYOUT_##name, offsetof(lt_layout, member),                                \
            sizeof(((lt_layout *)0)->member)                                                       \
    }
#define DESC(name, member)                                                                         \
    {                                                                                              \
        CUBLASLT_MATMUL_DESC_##name, offsetof(lt_desc, member), sizeof(((lt_desc *)0)->member)     \
    }
#define PREF(name, member)                                                                         \
    {                                                                                              \
        CUBLASLT_MATMUL_PREF_##name, offsetof(lt_preference, member),                              \
            sizeof(((lt_preference *)0)->member)                                                   \
    }

static const attribute layout_attributes[] = {
    LAYOUT(TYPE, type),
    LAYOUT(ORDER, order),
    LAYOUT(ROWS, rows),
    LAYOUT(COLS, cols),
    LAYOUT(LD, ld),
    LAYOUT(BATCH_COUNT, batch),
    LAYOUT(STRIDED_BATCH_OFFSET, batch_stride),
    LAYOUT(PLANE_OFFSET, plane_offset),
};

static const attribute desc_attributes[] = {
    DESC(COMPUTE_TYPE, compute),
    DESC(SCALE_TYPE, scale),
    DESC(POINTER_MODE, pointer_mode),
    DESC(TRANSA, transa),
    DESC(TRANSB, transb),
    DESC(TRANSC, transc),
    DESC(FILL_MODE, fill),
    DESC(EPILOGUE, epilogue),
    DESC(BIAS_POINTER, bias),
    DESC(BIAS_BATCH_STRIDE, bias_stride),
    DESC(EPILOGUE_AUX_POINTER, aux),
    DESC(EPILOGUE_AUX_LD, aux_ld),
    DESC(EPILOGUE_AUX_BATCH_STRIDE, aux_stride),
    DESC(ALPHA_VECTOR_BATCH_STRIDE, alpha_stride),
    DESC(SM_COUNT_TARGET, sm_count),
    DESC(EPILOGUE_AUX_DATA_TYPE, aux_type),
    DESC(BIAS_DATA_TYPE, bias_type),
    DESC(FAST_ACCUM, fast_accumulation),
};

static const attribute preference_attributes[] = {
    PREF(SEARCH_MODE, search),
    PREF(MAX_WORKSPACE_BYTES, workspace),
    PREF(REDUCTION_SCHEME_MASK, reductions),
    PREF(MIN_ALIGNMENT_A_BYTES, align_a),
    PREF(MIN_ALIGNMENT_B_BYTES, align_b),
    PREF(MIN_ALIGNMENT_C_BYTES, align_c),
    PREF(MIN_ALIGNMENT_D_BYTES, align_d),
    PREF(MAX_WAVES_COUNT, waves),
    PREF(IMPL_MASK, implementations),
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const attribute *attribute_of(const attribute *table, size_t n, int name)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].name == name)
            return &table[i];
    return NULL;
}

static cublasStatus_t set(const attribute *table, size_t n, int name, void *object,
                          const void *value, size_t bytes)
{
    const attribute *found = attribute_of(table, n, name);
    if (!object || !value || !found || found->bytes != bytes)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy((char *)object + found->at, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

/* A room of 0 bytes asks how many there are. */
static cublasStatus_t get(const attribute *table, size_t n, int name, const void *object,
                          void *value, size_t bytes, size_t *written)
{
    const attribute *found = attribute_of(table, n, name);
    if (!object || !found || (bytes ? !value || found->bytes != bytes : !written))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (bytes)
        memcpy(value, (const char *)object + found->at, bytes);
    if (written)
        *written = found->bytes;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t create(void *object, const void *initial, size_t used, size_t bytes)
{
    void *memory = object ? calloc(1, bytes) : NULL;
    if (!memory)
        return object ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_INVALID_VALUE;
    memcpy(memory, initial, used);
    memcpy(object, &memory, sizeof memory);
    return CUBLAS_STATUS_SUCCESS;
}

SOFT_API cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout,
                                                   cudaDataType type, uint64_t rows, uint64_t cols,
                                                   int64_t ld)
{
    _Static_assert(sizeof(lt_layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "fits");
    lt_layout initial = {.type = (uint32_t)type, .rows = rows, .cols = cols, .ld = ld, .batch = 1};
    return create(layout, &initial, sizeof initial, sizeof **layout);
}

SOFT_API cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

SOFT_API cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                         cublasLtMatrixLayoutAttribute_t name,
                                                         const void *value, size_t bytes)
{
    return set(layout_attributes, COUNT(layout_attributes), (int)name, layout, value, bytes);
}

SOFT_API cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                         cublasLtMatrixLayoutAttribute_t name,
                                                         void *value, size_t bytes, size_t *written)
{
    return get(layout_attributes, COUNT(layout_attributes), (int)name, layout, value, bytes,
               written);
}

SOFT_API cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc,
                                                 cublasComputeType_t compute, cudaDataType_t scale)
{
    _Static_assert(sizeof(lt_desc) <= sizeof(cublasLtMatmulDescOpaque_t), "fits");
    lt_desc initial = {.compute = (int32_t)compute,
                       .scale = (int32_t)scale,
                       .fill = 2, /* CUBLAS_FILL_MODE_FULL */
                       .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                       .aux_type = -1,
                       .bias_type = -1};
    return create(desc, &initial, sizeof initial, sizeof **desc);
}

SOFT_API cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    free(desc);
    return CUBLAS_STATUS_SUCCESS;
}

SOFT_API cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                                       cublasLtMatmulDescAttributes_t name,
                                                       const void *value, size_t bytes)
{
    return set(desc_attributes, COUNT(desc_attributes), (int)name, desc, value, bytes);
}

SOFT_API cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc,
                                                       cublasLtMatmulDescAttributes_t name,
                                                       void *value, size_t bytes, size_t *written)
{
    return get(desc_attributes, COUNT(desc_attributes), (int)name, desc, value, bytes, written);
}

SOFT_API cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    _Static_assert(sizeof(lt_preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t), "fits");
    lt_preference initial = {.reductions = CUBLASLT_REDUCTION_SCHEME_MASK,
                             .align_a = 256,
                             .align_b = 256,
                             .align_c = 256,
                             .align_d = 256,
                             .implementations = UINT64_MAX};
    return create(preference, &initial, sizeof initial, sizeof **preference);
}

SOFT_API cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}

SOFT_API cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,
    const void *value, size_t bytes)
{
    return set(preference_attributes, COUNT(preference_attributes), (int)name, preference, value,
               bytes);
}

SOFT_API cublasStatus_t cublasLtMatmulPreferenceGetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name, void *value,
    size_t bytes, size_t *written)
{
    return get(preference_attributes, COUNT(preference_attributes), (int)name, preference, value,
               bytes, written);
}

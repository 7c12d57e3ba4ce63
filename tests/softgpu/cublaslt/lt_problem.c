/* Which products cuBLASLt takes. Descriptors that contradict each other are INVALID_VALUE, those
 * that make sense but have no kernel NOT_SUPPORTED. README.md says where each rule is from. */
#include "lt_object.h"

static cublasStatus_t refuse(cublasStatus_t status, const char *why)
{
    soft_say("cublasLt: %s", why);
    return status;
}

static cublasStatus_t check_layout(const lt_layout *layout, int64_t smallest_ld)
{
    if (layout->rows == 0 || layout->cols == 0 || layout->rows > INT32_MAX ||
        layout->cols > INT32_MAX || layout->batch < 1)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "a layout with no rows, columns or batches");
    if (layout->order != CUBLASLT_ORDER_COL && layout->order != CUBLASLT_ORDER_ROW)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "an order that is neither COL nor ROW");
    if (layout->plane_offset)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "planar complex layouts");
    if (layout->ld < smallest_ld)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "a leading dimension that overlaps");
    return CUBLAS_STATUS_SUCCESS;
}

static int64_t tight_ld(const lt_layout *layout)
{
    return (int64_t)(layout->order == CUBLASLT_ORDER_COL ? layout->rows : layout->cols);
}

/* Inputs of one type; bf16 into bf16 or f32, f32 into f32; sums in f32. */
static cublasStatus_t check_types(const lt_problem *p)
{
    int faster = p->desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32 ||
                 p->desc.compute == CUBLAS_COMPUTE_32F_FAST_16BF;
    if (p->desc.scale != CUDA_R_32F || !(faster || p->desc.compute == CUBLAS_COMPUTE_32F ||
                                         p->desc.compute == CUBLAS_COMPUTE_32F_PEDANTIC))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "a compute or scale type other than f32");
    if (p->a.type != p->b.type || p->c.type != p->d.type)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "A and B, or C and D, of different types");
    int f32 = p->a.type == CUDA_R_32F && p->d.type == CUDA_R_32F;
    int bf16 = p->a.type == CUDA_R_16BF && (p->d.type == CUDA_R_16BF || p->d.type == CUDA_R_32F);
    if (!f32 && !(bf16 && !faster))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "these types of A, B, C, D and compute type");
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_shapes(lt_problem *p)
{
    int ta = p->desc.transa != CUBLAS_OP_N, tb = p->desc.transb != CUBLAS_OP_N;
    p->m = (int64_t)(ta ? p->a.cols : p->a.rows);
    p->k = (int64_t)(ta ? p->a.rows : p->a.cols);
    p->n = (int64_t)(tb ? p->b.rows : p->b.cols);
    if (p->k != (int64_t)(tb ? p->b.cols : p->b.rows) || p->m != (int64_t)p->d.rows ||
        p->n != (int64_t)p->d.cols)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "rows and columns of A, B and D disagree");
    if (p->c.rows != p->d.rows || p->c.cols != p->d.cols || p->c.order != p->d.order)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "C is not shaped and ordered like D");
    if (p->a.batch != p->d.batch || p->b.batch != p->d.batch || p->c.batch != p->d.batch)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "different batch counts");
    return CUBLAS_STATUS_SUCCESS;
}

static int is_known(uint32_t epilogue)
{
    static const uint32_t all[] = {
        CUBLASLT_EPILOGUE_DEFAULT,  CUBLASLT_EPILOGUE_RELU,        CUBLASLT_EPILOGUE_RELU_AUX,
        CUBLASLT_EPILOGUE_BIAS,     CUBLASLT_EPILOGUE_RELU_BIAS,   CUBLASLT_EPILOGUE_RELU_AUX_BIAS,
        CUBLASLT_EPILOGUE_DRELU,    CUBLASLT_EPILOGUE_DRELU_BGRAD, CUBLASLT_EPILOGUE_GELU,
        CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_BIAS,   CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
        CUBLASLT_EPILOGUE_DGELU,    CUBLASLT_EPILOGUE_DGELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA,
        CUBLASLT_EPILOGUE_BGRADB,
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] == epilogue)
            return 1;
    return 0;
}

static cublasStatus_t check_aux(const lt_problem *p)
{
    int mask = p->desc.epilogue & (CUBLASLT_EPILOGUE_RELU | 8);
    int64_t unit = mask ? 128 : 8;
    if (p->desc.aux_ld < p->m || p->desc.aux_ld % unit || p->desc.aux_stride % unit)
        return refuse(CUBLAS_STATUS_INVALID_VALUE,
                      "EPILOGUE_AUX_LD is below the rows of D or no multiple of 8 (ReLU: 128)");
    if (!mask && p->desc.aux_type != -1 && p->desc.aux_type != (int32_t)p->d.type)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "an auxiliary type that is not D's");
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_epilogue(const lt_problem *p)
{
    uint32_t epilogue = p->desc.epilogue;
    if (!is_known(epilogue))
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "an epilogue that does not exist");
    if (epilogue == CUBLASLT_EPILOGUE_DEFAULT)
        return CUBLAS_STATUS_SUCCESS;
    if (p->d.order != CUBLASLT_ORDER_COL)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "an epilogue into a row-major D");
    if (p->desc.bias_type != -1 && p->desc.bias_type != (int32_t)p->d.type)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "a bias type that is not D's");
    if ((epilogue == CUBLASLT_EPILOGUE_BGRADA || epilogue == CUBLASLT_EPILOGUE_BGRADB) &&
        p->d.batch > 1)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "BGRADA or BGRADB of a batch");
    return epilogue & 128 ? check_aux(p) : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_desc(const lt_desc *desc)
{
    if (desc->transa < CUBLAS_OP_N || desc->transa > CUBLAS_OP_C || desc->transb < CUBLAS_OP_N ||
        desc->transb > CUBLAS_OP_C)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "a transposition that does not exist");
    if (desc->transc != CUBLAS_OP_N || desc->fill != 2)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "TRANSC or FILL_MODE");
    if (desc->pointer_mode != CUBLASLT_POINTER_MODE_HOST &&
        desc->pointer_mode != CUBLASLT_POINTER_MODE_DEVICE)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "vectors of alpha or beta");
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t lt_describe(cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                           cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                           cublasLtMatrixLayout_t d, lt_problem *problem)
{
    if (!desc || !a || !b || !d)
        return CUBLAS_STATUS_INVALID_VALUE;
    lt_problem p = {.desc = *(const lt_desc *)(const void *)desc,
                    .a = *(const lt_layout *)(const void *)a,
                    .b = *(const lt_layout *)(const void *)b,
                    .c = *(const lt_layout *)(const void *)(c ? c : d),
                    .d = *(const lt_layout *)(const void *)d};
    cublasStatus_t status = check_desc(&p.desc);
    if (!status)
        status = check_layout(&p.a, tight_ld(&p.a));
    if (!status)
        status = check_layout(&p.b, tight_ld(&p.b));
    if (!status && p.c.ld != 0)
        status = check_layout(&p.c, tight_ld(&p.c));
    if (!status)
        status = check_layout(&p.d, tight_ld(&p.d));
    if (!status)
        status = check_types(&p);
    if (!status)
        status = check_shapes(&p);
    if (!status)
        status = check_epilogue(&p);
    if (!status)
        *problem = p;
    return status;
}

size_t lt_element_bytes(uint32_t type)
{
    return type == CUDA_R_16BF ? 2 : 4;
}

size_t lt_layout_bytes(const lt_layout *layout)
{
    int64_t lines = (int64_t)(layout->order == CUBLASLT_ORDER_COL ? layout->cols : layout->rows);
    int64_t last = (lines - 1) * layout->ld + tight_ld(layout) - 1 +
                   (layout->batch - 1) * layout->batch_stride;
    return (size_t)(last + 1) * lt_element_bytes(layout->type);
}

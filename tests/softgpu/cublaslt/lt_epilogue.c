/* What becomes of the sums: scaling, bias, activation or its gradient, auxiliary buffers. */
#include "lt_object.h"
#include <math.h>
#include <stdlib.h>

/* cuBLASLt's GELU is the approximation by tanh. */
static const float root = 0.7978845608028654F, cubic = 0.044715F;

static float gelu(float x)
{
    return 0.5F * x * (1 + tanhf(root * (x + cubic * x * x * x)));
}

static float gelu_slope(float x)
{
    float t = tanhf(root * (x + cubic * x * x * x));
    return 0.5F * (1 + t) + 0.5F * x * (1 - t * t) * root * (1 + 3 * cubic * x * x);
}

/* ReLU's auxiliary buffer is one bit for each element, eight in a byte, the lowest first. */
static void write_bit(uint8_t *bits, int64_t at, int value)
{
    bits[at / 8] = (uint8_t)((bits[at / 8] & ~(1 << at % 8)) | value << at % 8);
}

static float activate(const lt_launch *launch, int64_t at, float x)
{
    const lt_desc *desc = &launch->problem.desc;
    uint32_t type = launch->problem.d.type, epilogue = desc->epilogue;
    const uint8_t *bits = desc->aux;
    switch (epilogue & ~(uint32_t)(CUBLASLT_EPILOGUE_BIAS | 16)) {
    case CUBLASLT_EPILOGUE_RELU_AUX:
        write_bit(desc->aux, at, x > 0);
        return x > 0 ? x : 0;
    case CUBLASLT_EPILOGUE_RELU:
        return x > 0 ? x : 0;
    case CUBLASLT_EPILOGUE_GELU_AUX:
        lt_store(type, desc->aux, at, x);
        return gelu(x);
    case CUBLASLT_EPILOGUE_GELU:
        return gelu(x);
    case CUBLASLT_EPILOGUE_DRELU:
        return bits[at / 8] >> at % 8 & 1 ? x : 0;
    case CUBLASLT_EPILOGUE_DGELU:
        return x * gelu_slope(lt_load(type, desc->aux, at));
    default:
        return x;
    }
}

static int64_t place(const lt_layout *layout, int64_t batch, int64_t row, int64_t col)
{
    int64_t inside =
        layout->order == CUBLASLT_ORDER_ROW ? row * layout->ld + col : col * layout->ld + row;
    return batch * layout->batch_stride + inside;
}

static float element(const lt_launch *launch, int64_t batch, int64_t i, int64_t j, float x)
{
    const lt_desc *desc = &launch->problem.desc;
    if (desc->epilogue & CUBLASLT_EPILOGUE_BIAS)
        x += lt_load(launch->problem.d.type, desc->bias, batch * desc->bias_stride + i);
    return activate(launch, batch * desc->aux_stride + j * desc->aux_ld + i, x);
}

void lt_epilogue(const lt_launch *launch, int64_t batch, const float *sums, float alpha, float beta)
{
    const lt_problem *p = &launch->problem;
    for (int64_t i = 0; i < p->m; i++) {
        float bias_gradient = 0;
        for (int64_t j = 0; j < p->n; j++) {
            float x = alpha * sums[i * p->n + j];
            if (beta != 0)
                x += beta * lt_load(p->c.type, launch->c, place(&p->c, batch, i, j));
            x = element(launch, batch, i, j, x);
            bias_gradient += x;
            lt_store(p->d.type, launch->d, place(&p->d, batch, i, j), x);
        }
        if (p->desc.epilogue & 16)
            lt_store(p->d.type, p->desc.bias, batch * p->desc.bias_stride + i, bias_gradient);
    }
}

/* BGRADA and BGRADB: sums of an input over k. */
void lt_input_sums(const lt_launch *launch, int64_t batch, const float *a, const float *b)
{
    const lt_problem *p = &launch->problem;
    int of_a = p->desc.epilogue == CUBLASLT_EPILOGUE_BGRADA;
    if (!of_a && p->desc.epilogue != CUBLASLT_EPILOGUE_BGRADB)
        return;
    for (int64_t i = 0; i < (of_a ? p->m : p->n); i++) {
        float sum = 0;
        for (int64_t k = 0; k < p->k; k++)
            sum += of_a ? a[i * p->k + k] : b[k * p->n + i];
        lt_store(p->d.type, p->desc.bias, batch * p->desc.bias_stride + i, sum);
    }
}

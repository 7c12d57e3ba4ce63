/* cpu_norm_scale.c - statistics to one multiply-add a channel, and back. */
#include <math.h>

#include "cpu_vector.h"

typedef struct scale_state {
    cpu_plan plan;
    double eps;
} scale_state;

static void make_scale(const cpu_call *call, int64_t first, int64_t last)
{
    const scale_state *s = call->state;
    const float *mean = call->in[0].data, *var = call->in[1].data;
    const float *gamma = call->in[2].data, *beta = call->in[3].data;
    float *scale = call->out[0].data, *shift = call->out[1].data;
    for (int64_t i = first; i < last; i++) {
        const double factor = (gamma ? (double)gamma[i] : 1.0) / sqrt((double)var[i] + s->eps);
        scale[i] = (float)factor;
        shift[i] = (float)((beta ? (double)beta[i] : 0.0) - (double)mean[i] * factor);
    }
}

static void differentiate(const cpu_call *call, int64_t first, int64_t last)
{
    const scale_state *s = call->state;
    const float *dscale = call->in[0].data, *dshift = call->in[1].data;
    const float *mean = call->in[2].data, *var = call->in[3].data, *gamma = call->in[4].data;
    float *dmean = call->out[0].data, *dvar = call->out[1].data;
    float *dgamma = call->out[2].data, *dbeta = call->out[3].data;
    for (int64_t i = first; i < last; i++) {
        const double rstd = 1.0 / sqrt((double)var[i] + s->eps);
        const double factor = (gamma ? (double)gamma[i] : 1.0) * rstd;
        const double total = (double)dscale[i] - (double)mean[i] * (double)dshift[i];
        dmean[i] = (float)(-(double)dshift[i] * factor);
        dvar[i] = (float)(-0.5 * total * factor * rstd * rstd);
        dgamma[i] = (float)(total * rstd);
        dbeta[i] = dshift[i];
    }
}

static wisp_status plan(cpu_device *device, const wisp_kernel_request *request, cpu_body body,
                        wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(cpu_plan_create(device, sizeof(scale_state), NULL, kernel, err));
    scale_state *s = (*kernel)->state;
    s->eps = ((const wisp_norm_scale_attrs *)request->attrs)->eps;
    cpu_plan_add(*kernel, body, wisp_desc_count(request->in[0]),
                 32.0 * (double)wisp_desc_count(request->in[0]));
    return WISP_OK;
}

CPU_PREPARE(norm_scale)
{
    return plan(device, request, make_scale, kernel, err);
}

CPU_PREPARE(norm_scale_grad)
{
    return plan(device, request, differentiate, kernel, err);
}

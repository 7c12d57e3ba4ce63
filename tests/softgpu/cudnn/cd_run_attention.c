/* Attention as one operation: a row of scores at a time, weights of the values in bf16. */
#include "cd_run.h"
#include "soft_number.h"
#include <math.h>
#include <stdlib.h>

typedef struct {
    int64_t rows, keys, features, width; /* of one head */
    float scale;
} head;

/* The row's weights before division, rounded as the product takes them; gives their sum. */
static float weigh(const head *h, const float *q, const float *k, float *weights, float *highest)
{
    float top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < h->keys; j++) {
        float score = 0;
        for (int64_t f = 0; f < h->features; f++)
            score += q[f] * k[j * h->features + f];
        weights[j] = score * h->scale;
        top = weights[j] > top ? weights[j] : top;
    }
    for (int64_t j = 0; j < h->keys; j++) {
        float power = expf(weights[j] - top);
        sum += power;
        weights[j] = soft_of_bf16(soft_to_bf16(power));
    }
    *highest = top;
    return sum;
}

static void run_row(const head *h, const float *q, const float *k, const float *v, float *o,
                    float *statistics, float *weights)
{
    float highest, sum = weigh(h, q, k, weights, &highest);
    for (int64_t f = 0; f < h->width; f++) {
        float value = 0;
        for (int64_t j = 0; j < h->keys; j++)
            value += weights[j] * v[j * h->width + f];
        o[f] = value / sum;
    }
    if (statistics)
        *statistics = highest + logf(sum);
}

void cd_run_attention(const cd_step *step)
{
    const cd_tensor *q = &step->graph->tensors[step->node->in[CD_Q]];
    const cd_tensor *k = &step->graph->tensors[step->node->in[CD_KEYS]];
    const cd_tensor *v = &step->graph->tensors[step->node->in[CD_VALUES]];
    head h = {.rows = q->dims[2],
              .keys = k->dims[2],
              .features = q->dims[3],
              .width = v->dims[3],
              .scale = step->in[CD_SCALE] ? step->in[CD_SCALE][0] : 1};
    float *weights = soft_scratch((size_t)h.keys * sizeof *weights);
    for (int64_t i = 0; i < q->dims[0] * q->dims[1]; i++) {
        int64_t batch = i / q->dims[1], of = i % q->dims[1];
        int64_t of_k = batch * k->dims[1] + of / (q->dims[1] / k->dims[1]);
        int64_t of_v = batch * v->dims[1] + of / (q->dims[1] / v->dims[1]);
        for (int64_t r = 0; r < h.rows; r++)
            run_row(&h, step->in[CD_Q] + (i * h.rows + r) * h.features,
                    step->in[CD_KEYS] + of_k * h.keys * h.features,
                    step->in[CD_VALUES] + of_v * h.keys * h.width,
                    step->out[CD_O] + (i * h.rows + r) * h.width,
                    step->out[CD_STATS] ? step->out[CD_STATS] + i * h.rows + r : NULL, weights);
    }
    free(weights);
}

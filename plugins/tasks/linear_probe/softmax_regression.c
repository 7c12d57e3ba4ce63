#include "softmax_regression.h"

#include <math.h>

/* A block of the inner loops: GROUP classes by LANES values, which fits the registers. */
enum { LANES = 8, GROUP = 4, ROW_BLOCK = 16, SUM_BLOCK = 64 };

/* Things of `work` operations each that are worth waking a thread for. */
static int64_t grain(int64_t work)
{
    return 1 + (1 << 18) / work;
}

static int64_t padded(int64_t n, int64_t block)
{
    return (n + block - 1) / block * block;
}

wisp_status regression_init(regression *r, const wisp_host *host, const regression_rule *rule,
                            int64_t dim, int32_t n_classes, int64_t capacity, wisp_error *err)
{
    memset(r, 0, sizeof *r);
    r->host = host;
    r->rule = *rule;
    r->dim = dim;
    r->stride = padded(dim, LANES);
    r->n_classes = n_classes;
    r->class_stride = (int32_t)padded(n_classes, GROUP);
    r->capacity = capacity;
    const size_t classes = (size_t)r->class_stride, weights = classes * (size_t)r->stride;
    const size_t rows = (size_t)capacity;
    r->weight = host->alloc(host, weights * sizeof(float));
    r->weight_gradient = host->alloc(host, weights * sizeof(float));
    r->weight_momentum = host->alloc(host, weights * sizeof(float));
    r->bias = host->alloc(host, classes * sizeof(float));
    r->bias_gradient = host->alloc(host, classes * sizeof(float));
    r->bias_momentum = host->alloc(host, classes * sizeof(float));
    r->x = host->alloc(host, rows * (size_t)r->stride * sizeof(float));
    r->labels = host->alloc(host, rows * sizeof(int32_t));
    r->scores = host->alloc(host, rows * classes * sizeof(float));
    r->losses = host->alloc(host, rows * sizeof(double));
    if (!r->weight || !r->weight_gradient || !r->weight_momentum || !r->bias || !r->bias_gradient ||
        !r->bias_momentum || !r->x || !r->labels || !r->scores || !r->losses)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a linear classifier of %d x %lld",
                         n_classes, (long long)dim);
    return WISP_OK;
}

void regression_free(regression *r)
{
    void *const blocks[] = {r->weight, r->weight_gradient, r->weight_momentum,
                            r->bias,   r->bias_gradient,   r->bias_momentum,
                            r->x,      r->labels,          r->scores,
                            r->losses};
    for (size_t i = 0; i < WISP_COUNT(blocks); i++)
        r->host->free(r->host, blocks[i]);
}

void regression_draw_weights(regression *r, wisp_rng_key key, double std)
{
    wisp_rng rng = wisp_rng_begin(key);
    for (int32_t c = 0; c < r->n_classes; c++)
        for (int64_t i = 0; i < r->dim; i++)
            r->weight[c * r->stride + i] = (float)(std * wisp_rng_normal(&rng));
}

/* --- scores --- */

/* Products of one row with the weights of GROUP classes. */
static void score_group(const float *x, const float *w, int64_t stride, float out[GROUP])
{
    float lanes[GROUP][LANES] = {{0}};
    for (int64_t i = 0; i < stride; i += LANES)
        for (int64_t c = 0; c < GROUP; c++)
            for (int64_t l = 0; l < LANES; l++)
                lanes[c][l] += x[i + l] * w[c * stride + i + l];
    for (int64_t c = 0; c < GROUP; c++) {
        float sum = 0;
        for (int64_t l = 0; l < LANES; l++)
            sum += lanes[c][l];
        out[c] = sum;
    }
}

static void score_rows(void *user, int64_t first, int64_t last)
{
    const regression *r = user;
    for (int64_t block = first; block < last; block += ROW_BLOCK) {
        const int64_t end = last - block < ROW_BLOCK ? last : block + ROW_BLOCK;
        for (int64_t c = 0; c < r->class_stride; c += GROUP)
            for (int64_t i = block; i < end; i++) {
                float *out = r->scores + i * r->class_stride + c;
                score_group(r->x + i * r->stride, r->weight + c * r->stride, r->stride, out);
                for (int64_t k = 0; k < GROUP; k++)
                    out[k] += r->bias[c + k];
            }
    }
}

void regression_score(regression *r, int64_t rows)
{
    r->rows = rows;
    r->host->parallel_for(r->host, rows, grain(r->stride * r->class_stride), score_rows, r);
}

/* --- gradient --- */

/* Scores of a row become the gradient of the mean loss: (softmax - one hot) / rows. */
static void softmax_rows(void *user, int64_t first, int64_t last)
{
    const regression *r = user;
    for (int64_t i = first; i < last; i++) {
        float *z = r->scores + i * r->class_stride;
        const double own = z[r->labels[i]];
        double highest = z[0], sum = 0;
        for (int32_t c = 1; c < r->n_classes; c++)
            highest = z[c] > highest ? z[c] : highest;
        for (int32_t c = 0; c < r->n_classes; c++)
            sum += exp(z[c] - highest);
        r->losses[i] = highest + log(sum) - own;
        for (int32_t c = 0; c < r->n_classes; c++)
            z[c] = (float)((exp(z[c] - highest) / sum - (c == r->labels[i])) / (double)r->rows);
        for (int32_t c = r->n_classes; c < r->class_stride; c++)
            z[c] = 0;
    }
}

/* Adds rows first ... last - 1 to LANES columns of the gradient of GROUP classes. */
static void add_group(const regression *r, int64_t first, int64_t last, int64_t c, int64_t column)
{
    float lanes[GROUP][LANES];
    float *gradient = r->weight_gradient + c * r->stride + column;
    for (int64_t k = 0; k < GROUP; k++)
        for (int64_t l = 0; l < LANES; l++)
            lanes[k][l] = gradient[k * r->stride + l];
    for (int64_t i = first; i < last; i++) {
        const float *x = r->x + i * r->stride + column, *z = r->scores + i * r->class_stride + c;
        for (int64_t k = 0; k < GROUP; k++)
            for (int64_t l = 0; l < LANES; l++)
                lanes[k][l] += z[k] * x[l];
    }
    for (int64_t k = 0; k < GROUP; k++)
        for (int64_t l = 0; l < LANES; l++)
            gradient[k * r->stride + l] = lanes[k][l];
}

/* Threads share columns, so every sum over rows runs in the order of the rows. */
static void weight_gradient(void *user, int64_t first, int64_t last)
{
    const regression *r = user;
    for (int64_t c = 0; c < r->class_stride; c++)
        memset(r->weight_gradient + c * r->stride + first * LANES, 0,
               (size_t)((last - first) * LANES) * sizeof(float));
    for (int64_t row = 0; row < r->rows; row += SUM_BLOCK) {
        const int64_t end = r->rows - row < SUM_BLOCK ? r->rows : row + SUM_BLOCK;
        for (int64_t c = 0; c < r->class_stride; c += GROUP)
            for (int64_t block = first; block < last; block++)
                add_group(r, row, end, c, block * LANES);
    }
}

static void bias_gradient(const regression *r)
{
    memset(r->bias_gradient, 0, (size_t)r->class_stride * sizeof(float));
    for (int64_t i = 0; i < r->rows; i++)
        for (int32_t c = 0; c < r->n_classes; c++)
            r->bias_gradient[c] += r->scores[i * r->class_stride + c];
}

/* --- update --- */

static double length(const float *a, const float *b, double factor, int64_t n)
{
    double lanes[LANES] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i += LANES)
        for (int64_t l = 0; l < LANES; l++) {
            const double v = a[i + l] + factor * b[i + l];
            lanes[l] += v * v;
        }
    for (int64_t l = 0; l < LANES; l++)
        sum += lanes[l];
    return sqrt(sum);
}

/* You et al. 2017: the step is in proportion to the weights' length. */
static double trust_ratio(const regression *r)
{
    const int64_t n = r->class_stride * r->stride;
    if (r->rule.optimizer != REGRESSION_LARS)
        return 1;
    const double weights = length(r->weight, r->weight, 0, n);
    const double step = length(r->weight_gradient, r->weight, r->rule.weight_decay, n);
    return weights > 0 && step > 0 ? 0.001 * weights / step : 1;
}

static void update(float *p, const float *gradient, float *momentum, int64_t n, double decay,
                   double ratio, double lr, const regression_rule *rule)
{
    const float wd = (float)decay, scale = (float)ratio, rate = (float)lr;
    const float mu = (float)rule->momentum;
    for (int64_t i = 0; i < n; i++) {
        const float d = scale * (gradient[i] + wd * p[i]);
        momentum[i] = mu * momentum[i] + d;
        p[i] -= rate * (rule->nesterov ? d + mu * momentum[i] : momentum[i]);
    }
}

double regression_step(regression *r, int64_t rows, double lr)
{
    const int64_t weights = r->class_stride * r->stride;
    double loss = 0;
    regression_score(r, rows);
    r->host->parallel_for(r->host, rows, grain(32 * r->class_stride), softmax_rows, r);
    for (int64_t i = 0; i < rows; i++)
        loss += r->losses[i];
    r->host->parallel_for(r->host, r->stride / LANES, grain(rows * r->class_stride * LANES),
                          weight_gradient, r);
    bias_gradient(r);
    /* Biases are neither decayed nor adapted. */
    update(r->weight, r->weight_gradient, r->weight_momentum, weights, r->rule.weight_decay,
           trust_ratio(r), lr, &r->rule);
    update(r->bias, r->bias_gradient, r->bias_momentum, r->class_stride, 0, 1, lr, &r->rule);
    return loss / (double)rows;
}

/* softmax_regression.h - a linear classifier with softmax cross-entropy, SGD or LARS, on the host.
 *
 * Every sum has one fixed order, whatever the number of threads: the same rows give the same bits.
 * Rows and weights are padded with zeros to whole blocks, so the loops have no remainders. */
#ifndef SOFTMAX_REGRESSION_H
#define SOFTMAX_REGRESSION_H

#include <wisp/host.h>
#include <wisp/rng.h>

enum { REGRESSION_SGD = 0, REGRESSION_LARS = 1 };

typedef struct regression_rule {
    int32_t optimizer; /* REGRESSION_... */
    int32_t nesterov;  /* SGD only */
    double momentum, weight_decay;
} regression_rule;

typedef struct regression {
    const wisp_host *host;
    regression_rule rule;
    int64_t dim, stride; /* values of a row; floats from one row to the next */
    int32_t n_classes, class_stride;
    int64_t capacity;                                  /* rows at once */
    float *weight, *weight_gradient, *weight_momentum; /* (class_stride, stride) */
    float *bias, *bias_gradient, *bias_momentum;       /* (class_stride) */
    float *x;                                          /* (capacity, stride), filled by the user */
    int32_t *labels;                                   /* (capacity), filled by the user */
    float *scores; /* (capacity, class_stride); after a step their gradient */
    double *losses;
    int64_t rows; /* in use */
} regression;

/* Weights and biases zero. `r` needs regression_free() after a failure too. */
wisp_status regression_init(regression *r, const wisp_host *host, const regression_rule *rule,
                            int64_t dim, int32_t n_classes, int64_t capacity, wisp_error *err);
void regression_free(regression *r); /* accepts one of zeroes with a host */

/* Weights N(0, std). */
void regression_draw_weights(regression *r, wisp_rng_key key, double std);

/* Scores of the first `rows` of x. */
void regression_score(regression *r, int64_t rows);
/* One step on the first `rows` of x; gives their mean loss before it. */
double regression_step(regression *r, int64_t rows, double lr);

#endif

/* optimizer.h - SGD, LARS and AdamW over the flat stores of a model.
 *
 * The learning rate and the weight decay are the model's scheduled scalars "lr" and "weight_decay";
 * both must exist when the optimizer is created. Each parameter has its own multipliers of both: by
 * its shape (vectors and depthwise weights, see the config), by WISP_PARAM_NO_DECAY, and by the
 * patterns that its path matches. A parameter without a gradient in the recorded step, or whose
 * gradient the method drops, is skipped entirely: no decay, no momentum, no count. Clipping and the
 * norm of all leave out networks that are apart (wispi_network_set_apart). */
#ifndef WISPI_NN_OPTIMIZER_H
#define WISPI_NN_OPTIMIZER_H

#include "nn/model.h"

typedef struct wispi_optimizer wispi_optimizer;

enum { WISPI_OPTIMIZER_SGD = 1, WISPI_OPTIMIZER_LARS = 2, WISPI_OPTIMIZER_ADAMW = 3 };

/* For parameters whose path matches `pattern`, as a shell's, besides all other rules. */
typedef struct wispi_optimizer_rule {
    const char *pattern;
    double lr, weight_decay; /* multipliers */
} wispi_optimizer_rule;

typedef struct wispi_optimizer_config {
    int32_t kind;
    int32_t nesterov;         /* SGD */
    double momentum;          /* SGD, LARS */
    double trust;             /* LARS */
    double beta1, beta2, eps; /* AdamW */
    double vector_decay;      /* multiplier of the decay of tensors with 1 dimension or none */
    double depthwise_decay;   /* and of depthwise weights */
    int32_t adapt_vectors;    /* LARS: the trust ratio applies to them */
    int32_t adapt_depthwise;
    double clip;                       /* largest norm of the gradient; 0: no limit */
    int32_t clip_per_tensor;           /* 1: of each tensor; 0: of all together */
    int32_t grad_norm;                 /* 1: metric "grad_norm", the norm of all before clipping */
    const wispi_optimizer_rule *rules; /* needed during create only */
    int32_t n_rules;
} wispi_optimizer_config;

/* The usual values of a kind: momentum 0.9, trust 0.001, betas 0.9 and 0.999, eps 1e-8; vectors and
 * depthwise weights are not decayed, and vectors not adapted (SSLight, table of section 6). */
wispi_optimizer_config wispi_optimizer_defaults(int32_t kind);

/* The first of the rules whose pattern matches no trained parameter of a finished model; -1: none.
 */
int32_t wispi_optimizer_idle_rule(const wispi_model *model, const wispi_optimizer_rule *rules,
                                  int32_t n_rules);

/* For all trained parameters of a finished model; to be called once. Its moments and counts become
 * tensors of the model. A pattern that matches nothing is an error. */
wisp_status wispi_optimizer_create(wispi_model *model, const wispi_optimizer_config *config,
                                   wispi_optimizer **optimizer, wisp_error *err);
void wispi_optimizer_destroy(wispi_optimizer *optimizer); /* before its model; accepts NULL */

/* Averages the gradients of all ranks; right after backward, so that all that looks at gradients
 * sees those of the whole batch. */
void wispi_optimizer_share_gradient(wisp_step *s, wispi_optimizer *optimizer);
/* Appends clipping and the update to a step, after backward and after the method's after_backward.
 * After recording, wispi_model_refresh() brings to the device which parameters it concerns. */
void wispi_optimizer_step(wisp_step *s, wispi_optimizer *optimizer);

#endif

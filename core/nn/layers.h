/* layers.h - what a module computes. */
#ifndef WISPI_NN_LAYERS_H
#define WISPI_NN_LAYERS_H

#include "nn/module.h"

/* Any module: a layer, or a group's children one after another. */
wisp_tensor *wispi_forward(wisp_step *s, wisp_module *m, wisp_tensor *x);
/* The linear layer m of act(x). */
wisp_tensor *wispi_act_linear(wisp_step *s, wisp_module *m, wisp_tensor *x, int32_t act);
/* A backbone with taps; a group or network stands for the one backbone among its children. Returns
 * the pooled embedding. */
wisp_tensor *wispi_forward_features(wisp_step *s, wisp_module *m, wisp_tensor *x,
                                    wisp_features *out);
wisp_tensor *wispi_batch_norm(wisp_step *s, const wisp_module *m, wisp_tensor *x,
                              wisp_tensor *residual, int32_t activation);

/* What batch norm m normalises a map with: of the batch, or running ones with count 0. */
typedef struct wispi_statistics {
    wisp_tensor *mean, *var;
    int64_t count;
} wispi_statistics;

/* 1 when m normalises with its running statistics in this step. */
int wispi_norm_is_fixed(wisp_step *s, const wisp_module *m);
/* The running ones. */
wispi_statistics wispi_running_statistics(wisp_step *s, const wisp_module *m);
/* Those of the batch, from mean and var of this rank's x: shared between ranks, and the running
 * ones moved towards them. */
wispi_statistics wispi_share_statistics(wisp_step *s, const wisp_module *m, const wisp_tensor *x,
                                        wisp_tensor *mean, wisp_tensor *var);
/* Normalises x with given statistics, which receive no gradient. */
wisp_tensor *wispi_normalize_with(wisp_step *s, const wisp_module *m, wisp_tensor *x,
                                  const wispi_statistics *stats, wisp_tensor *residual,
                                  int32_t activation);
/* A slot's value as a tensor of the step; NULL for NULL. */
wisp_tensor *wispi_value_of(wisp_step *s, wispi_slot *slot);

/* Chains of convolutions and batch norms (conv_chain.c). */
void wispi_conv_norm(wisp_step *s, wisp_module *conv, wisp_module *bn, const wisp_lazy_map *x,
                     int32_t activation, wisp_lazy_map *y);
wisp_tensor *wispi_settle(wisp_step *s, const wisp_lazy_map *x, wisp_tensor *residual);
/* 1 where drop path does nothing: evaluation, networks that follow others, frozen ones. */
int wispi_drop_path_is_off(wisp_step *s);

#endif

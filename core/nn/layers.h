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
/* 1 where drop path does nothing: evaluation, networks that follow others, frozen ones. */
int wispi_drop_path_is_off(wisp_step *s);

#endif

/* follower.h - networks that follow others, as steps and the model see them. */
#ifndef WISPI_NN_FOLLOWER_H
#define WISPI_NN_FOLLOWER_H

#include "nn/module.h"

/* Pairs the network's tensors with those of what it follows. */
wisp_status wispi_network_follow(wispi_model *model, wispi_network *network, wisp_error *err);
/* Takes over all values. */
wisp_status wispi_network_copy_source(wispi_model *model, wispi_network *network, wisp_error *err);
/* target = m * target + (1 - m) * source, as a part of a step. */
void wispi_ema_update(wisp_step *s, wisp_module *target, wisp_tensor *momentum);

#endif

/* optimizer_parts.h - an optimizer's memory: one part for each trained network. */
#ifndef WISPI_NN_OPTIMIZER_PARTS_H
#define WISPI_NN_OPTIMIZER_PARTS_H

#include "nn/module.h"
#include "nn/optimizer.h"

enum { WISPI_MAX_MOMENTS = 2 };

typedef struct wispi_optimizer_part {
    wispi_network *network;
    wispi_slot **slots; /* the trained ones, in the order of the store */
    int32_t n_slots;
    wispi_segments *segments;
    wispi_variable rules;                      /* f32(S,2) */
    wispi_variable moments[WISPI_MAX_MOMENTS]; /* the store's twins */
    wispi_variable *moment_slots;              /* one of each moment for each slot */
    wispi_variable counts;                     /* AdamW: i64(S) updates done */
    struct wispi_optimizer_part *next;
} wispi_optimizer_part;

struct wispi_optimizer {
    wispi_model *model;
    wispi_arena *arena;
    wispi_optimizer_config config;
    wisp_scalar *lr, *weight_decay;
    wispi_optimizer_part *parts;
};

/* Does the trust ratio of LARS apply to this parameter? */
int wispi_optimizer_adapts(const wispi_optimizer_config *config, const wispi_slot *slot);

#endif

/* module.h - what stands behind the handles of wisp/nn.h: modules, networks, scalars, states. */
#ifndef WISPI_NN_MODULE_H
#define WISPI_NN_MODULE_H

#include "nn/model.h"
#include "nn/segments.h"
#include "nn/store.h"

enum {
    WISPI_MODULE_GROUP = 1,
    WISPI_MODULE_NETWORK,
    WISPI_MODULE_BACKBONE,
    WISPI_MODULE_CUSTOM,
    /* leaves from here on: nothing can be put under them */
    WISPI_MODULE_LINEAR,
    WISPI_MODULE_CONV2D,
    WISPI_MODULE_BATCH_NORM,
    WISPI_MODULE_LAYER_NORM,
    WISPI_MODULE_ACTIVATION,
    WISPI_MODULE_L2_NORMALIZE,
    WISPI_MODULE_WEIGHT_NORM,
    WISPI_MODULE_PARAMETER
};

struct wispi_network;

struct wisp_module {
    int32_t kind;
    int32_t activation; /* WISP_UNARY_... of an activation, WISP_ACT_... of a batch norm */
    wispi_model *model;
    struct wispi_network *network;
    struct wisp_module *parent, *first, *last, *next;
    const char *name, *path;
    int64_t out_dim;         /* 0: that of what came before */
    wisp_freeze_desc frozen; /* its own switches; see wispi_module_frozen */
    wispi_slot *weight;      /* gamma of a norm, v of a weight norm, the value of a parameter */
    wispi_slot *bias;        /* beta of a norm, g of a weight norm */
    wispi_slot *running_mean, *running_var;
    wisp_conv2d_attrs conv;
    double eps, momentum;
    wispi_backbone_instance backbone;
    wisp_backbone_info info;
    wisp_tensor *first_pooled; /* of the step, since wispi_module_forget_pooled() */
    wisp_forward_fn forward;   /* of a custom layer */
    void *self;
};

typedef struct wispi_network {
    wisp_module *module;
    wispi_store parameters, buffers;
    const wisp_module *source; /* it follows this one; NULL: it does not */
    const char **exclude;      /* NULL-terminated, or NULL */
    int32_t average_buffers;
    int32_t apart; /* its gradient counts in no norm and is never clipped */
    int32_t finished;
    wispi_segments *pairs, *buffer_pairs; /* what follows what */
    struct wispi_network *next;
} wispi_network;

struct wisp_scalar {
    const char *name;
    wisp_schedule schedule;
    wispi_variable *variable; /* f32(), in the model's block */
    int32_t index;
    struct wisp_scalar *next;
};

struct wisp_state {
    const char *name;
    wispi_variable *variable;
    int32_t constant;
    struct wisp_state *next;
};

struct wispi_model {
    wispi_device *device;
    wispi_arena *arena; /* modules, slots, names: all that lives as long as the model */
    uint64_t seed;
    struct {
        wisp_build plugin; /* first: the handle converts */
        wispi_model *model;
    } build;
    wisp_status build_status;
    wisp_error build_error;
    wisp_init_override init_override; /* zeros: none */
    wispi_backbone_maker maker;
    void *maker_user;
    wispi_network *first_network, *last_network;
    wisp_scalar *first_scalar, *last_scalar;
    wisp_state *first_state, *last_state;
    int32_t n_scalars;
    wispi_variable scalar_block; /* one place of 64 bytes each; the step's key is the first */
    wispi_variable step_key;     /* i32(2) */
    wispi_segments *tables;
    wispi_model_tensor *tensors;
    int32_t n_tensors, tensor_capacity;
    wispi_metrics own_metrics, *metrics;
    const wisp_module *forwarding; /* innermost module that is being computed */
    int32_t eval;
    int32_t has_clock;
    int64_t trained_pixels; /* since wispi_model_forget_pixels() */
    wispi_sign signs[WISPI_MAX_SIGNS];
    int32_t n_signs;
};

static inline wispi_model *wispi_model_of(wisp_step *s)
{
    return wispi_step_of(s)->owner;
}

/* The switches of a module and of all it lies in. */
wisp_freeze_desc wispi_module_frozen(const wisp_module *module);
/* The next module in depth-first order below `top`; begin with m = top. NULL at the end. */
wisp_module *wispi_module_after(const wisp_module *top, wisp_module *m);

/* Makes an entry for a tensor that outlives steps. */
wisp_status wispi_model_add_tensor(wispi_model *model, wispi_variable *variable, int32_t role,
                                   wisp_error *err);
/* Removes the entries of a role, whose variables are about to go. */
void wispi_model_forget_tensors(wispi_model *model, int32_t role);
/* A table that wispi_model_refresh writes and the model frees. */
wisp_status wispi_model_add_table(wispi_model *model, const char *name, int32_t n,
                                  const void *owner, wispi_segments **table, wisp_error *err);

/* Replaces the initialisations that the method overrides (init_override.c). */
void wispi_network_override_init(wispi_network *network, const wisp_init_override *override);

/* Gives a scalar its place in the model's block. */
wisp_status wispi_model_add_scalar(wispi_model *model, wisp_scalar *scalar, wisp_error *err);

extern const wisp_builder wispi_builder_table;

#endif

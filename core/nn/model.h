/* model.h - all networks, states and scheduled scalars of one run on one device.
 *
 * Order: create -> set_backbone_maker -> plugins build through builder() -> build_status -> finish
 * -> record steps with owner = model and ops = wispi_ops_table() -> refresh -> for every step:
 * set_clock, run. A model belongs to one thread. */
#ifndef WISPI_NN_MODEL_H
#define WISPI_NN_MODEL_H

#include "nn/metrics.h"
#include "tensor/device.h"
#include "wisp/backbone.h"
#include "wisp/method.h"

typedef struct wispi_model wispi_model;

wisp_status wispi_model_create(wispi_device *device, uint64_t seed, wispi_model **model,
                               wisp_error *err);
void wispi_model_destroy(wispi_model *model); /* accepts NULL */

/* --- building --- */

/* The handle for plugins. Before it is handed out, the caller fills in its plain fields
 * (steps_per_epoch, epochs, batch, world_size, n_classes). */
wisp_build *wispi_model_builder(wispi_model *model);
/* The first error that stuck to the builder; to be asked after every plugin call. */
wisp_status wispi_model_build_status(const wispi_model *model, wisp_error *err);

/* One instance of the backbone plugin. */
typedef struct wispi_backbone_instance {
    const wisp_backbone_v0 *vtable;
    void *self;
    void (*release)(void *self); /* called by wispi_model_destroy; NULL: nothing to do */
} wispi_backbone_instance;

/* Makes an instance for every wisp_backbone() call; `path` is the module's, for messages. */
typedef wisp_status (*wispi_backbone_maker)(void *user, const char *path,
                                            wispi_backbone_instance *instance, wisp_error *err);
void wispi_model_set_backbone_maker(wispi_model *model, wispi_backbone_maker maker, void *user);

/* Gives memory and first values to every network built since the last call, and pairs followers
 * with what they follow. Returns what stuck to the builder, if anything did. */
wisp_status wispi_model_finish(wispi_model *model, wisp_error *err);
/* Copies parameters (and buffers) into the networks that follow others; `finish` does it, and
 * whoever loads weights into a followed network does it again. */
wisp_status wispi_model_copy_to_followers(wispi_model *model, wisp_error *err);

/* A network that learns beside the others must not touch them: the optimizer leaves its gradient
 * out of the norm and of clipping. Ignores NULL; before wispi_optimizer_step() is recorded. */
void wispi_network_set_apart(wisp_module *network);

/* --- steps --- */

/* The table that steps carry. Its functions expect a wispi_model as the step's owner; those that
 * need no model also work with owner NULL. */
const wisp_ops *wispi_ops_table(void);
/* The table that builders carry. */
const wisp_builder *wispi_builder_interface(void);

/* Writes what recording left for the device; after every wispi_program_record(). */
wisp_status wispi_model_refresh(wispi_model *model, wisp_error *err);
/* Evaluates every schedule and derives the step's key, in one transfer. */
wisp_status wispi_model_set_clock(wispi_model *model, const wisp_clock *clock, wisp_error *err);
/* 1: batch norm uses running statistics and drop path does nothing. It counts while a step is
 * recorded and must be the same when that step runs. */
void wispi_model_set_eval(wispi_model *model, int32_t eval);
/* Where wisp_metric() puts its entries while recording; NULL: the model's own list. One list for
 * each program; `n` is to be set to 0 before recording. */
void wispi_model_set_metrics(wispi_model *model, wispi_metrics *metrics);
wispi_metrics *wispi_model_metrics(wispi_model *model);

/* --- schedules --- */

wisp_scalar *wispi_model_scalar(const wispi_model *model, const char *name); /* NULL: none */
const wisp_schedule *wispi_model_schedule(const wispi_model *model, const char *name);
/* Replaces a schedule; an unknown name is an error that lists the known ones. */
wisp_status wispi_model_override_schedule(wispi_model *model, const char *name,
                                          const wisp_schedule *schedule, wisp_error *err);
/* Scalars in the order in which they were made; the value is that of the last set_clock. */
int32_t wispi_model_scalar_count(const wispi_model *model);
const char *wispi_model_scalar_name(const wispi_model *model, int32_t index);

/* --- what metrics say --- */

enum { WISPI_MAX_SIGNS = 16 };

/* A value of a metric at which the network has collapsed; from the method, or the host's own. */
typedef struct wispi_sign {
    const char *metric; /* as in metrics.jsonl */
    double value, within;
    const char *meaning, *remedy;
} wispi_sign;

int32_t wispi_model_sign_count(const wispi_model *model);
const wispi_sign *wispi_model_sign_at(const wispi_model *model, int32_t index);

/* --- tensors that outlive steps --- */

enum {
    WISPI_ROLE_PARAMETER = 1, /* "student.backbone.conv1.weight" */
    WISPI_ROLE_BUFFER = 2,    /* "student.backbone.bn1.running_mean" */
    WISPI_ROLE_STATE = 3,     /* "state.centre" */
    WISPI_ROLE_OPTIMIZER = 4  /* "optimizer.momentum.student.backbone.conv1.weight" */
};

typedef struct wispi_model_tensor {
    const char *name; /* unique; the variable's */
    const wisp_desc *desc;
    wispi_variable *variable;
    int32_t role;
    int32_t trained; /* parameters: 1 when it has a gradient */
} wispi_model_tensor;

/* Every tensor that a checkpoint must hold. Reading and writing goes through wispi_variable_read
 * and _write. Names below a network's path are those for exchange. */
int32_t wispi_model_tensor_count(const wispi_model *model);
const wispi_model_tensor *wispi_model_tensor_at(const wispi_model *model, int32_t index);
const wispi_model_tensor *wispi_model_tensor_named(const wispi_model *model, const char *name);

/* --- questions about modules --- */

const char *wispi_module_path(const wisp_module *module);
/* The backbone's description; NULL when the module was not made by wisp_backbone(). */
const wisp_backbone_info *wispi_module_backbone_info(const wisp_module *module);
/* The embedding that a backbone computed first in a step, of the first views that it was given:
 * what probes beside a method learn from. Forget at the step's beginning, ask after the method's
 * step. */
void wispi_module_forget_pooled(wisp_module *module);
wisp_tensor *wispi_module_first_pooled(const wisp_module *module);
/* Pixels that backbones in trained networks were given in a step: not those in networks that follow
 * others, nor in frozen ones. Forget at the step's beginning. */
void wispi_model_forget_pixels(wispi_model *model);
int64_t wispi_model_trained_pixels(const wispi_model *model);
/* Elements of all parameters below a module. */
int64_t wispi_module_parameter_count(const wisp_module *module, int32_t only_trained);

typedef struct wispi_module_census {
    int64_t tensors; /* parameters and buffers */
    int64_t convolutions, batch_norms, norm_channels;
} wispi_module_census;

/* What is below a module. */
void wispi_module_count(const wisp_module *module, wispi_module_census *census);
wisp_module *wispi_model_network(const wispi_model *model, const char *name); /* NULL: none */
int32_t wispi_model_network_count(const wispi_model *model);
wisp_module *wispi_model_network_at(const wispi_model *model, int32_t index);
wispi_device *wispi_model_device(const wispi_model *model);

#endif

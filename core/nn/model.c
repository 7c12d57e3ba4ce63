#include "nn/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "nn/follower.h"
#include "nn/schedule.h"
#include "tensor/transfer.h"
#include "wisp/rng.h"

enum {
    SCALAR_PLACE = 64,
    MAX_SCALARS = 63
}; /* bytes of one scalar; scalars after the step's key */

static wisp_status make_block(wispi_model *model, wisp_error *err)
{
    const wisp_desc bytes = wisp_desc1(WISP_U8, SCALAR_PLACE * (1 + MAX_SCALARS));
    const wisp_desc key = wisp_desc1(WISP_I32, 2);
    WISP_TRY(
        wispi_variable_init(model->device, &model->scalar_block, "schedules", &bytes, NULL, err));
    WISP_TRY(wispi_variable_init(model->device, &model->step_key, "step.key", &key,
                                 model->scalar_block.data, err));
    model->step_key.version = model->scalar_block.version;
    return WISP_OK;
}

wisp_status wispi_model_create(wispi_device *device, uint64_t seed, wispi_model **out,
                               wisp_error *err)
{
    wispi_model *model = wispi_alloc(sizeof *model);
    if (!model)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a model");
    model->device = device;
    model->seed = seed;
    model->build.plugin.table = &wispi_builder_table;
    model->build.plugin.world_size = 1;
    model->build.model = model;
    model->metrics = &model->own_metrics;
    model->arena = wispi_arena_create(1 << 18);
    wisp_status status = model->arena ? make_block(model, err)
                                      : wisp_fail(err, WISP_E_NOMEM, "no memory for a model");
    if (status == WISP_OK)
        *out = model;
    else
        wispi_model_destroy(model);
    return status;
}

static void release_network(wispi_model *model, wispi_network *network)
{
    for (wisp_module *m = network->module; m; m = wispi_module_after(network->module, m))
        if (m->kind == WISPI_MODULE_BACKBONE && m->backbone.release)
            m->backbone.release(m->backbone.self);
    wispi_store_release(model->device, &network->parameters);
    wispi_store_release(model->device, &network->buffers);
}

void wispi_model_destroy(wispi_model *model)
{
    if (!model)
        return;
    for (wispi_network *network = model->first_network; network; network = network->next)
        release_network(model, network);
    for (wisp_state *state = model->first_state; state; state = state->next)
        wispi_variable_fini(model->device, state->variable);
    for (wispi_segments *table = model->tables; table;) {
        wispi_segments *next = table->next;
        wispi_segments_destroy(model->device, table);
        table = next;
    }
    wispi_variable_fini(model->device, &model->scalar_block);
    wispi_free(model->tensors);
    wispi_arena_destroy(model->arena);
    wispi_free(model);
}

/* --- building --- */

wisp_build *wispi_model_builder(wispi_model *model)
{
    return &model->build.plugin;
}

wisp_status wispi_model_build_status(const wispi_model *model, wisp_error *err)
{
    if (model->build_status != WISP_OK && err) {
        memcpy(err->message, model->build_error.message, sizeof err->message);
        err->code = model->build_status;
    }
    return model->build_status;
}

void wispi_model_set_backbone_maker(wispi_model *model, wispi_backbone_maker maker, void *user)
{
    model->maker = maker;
    model->maker_user = user;
}

static int slot_trains(const wispi_slot *slot)
{
    return !(slot->flags & WISP_PARAM_NO_GRAD) && !slot->module->network->source &&
           !wispi_module_frozen(slot->module).gradient;
}

static wisp_status list_slots(wispi_model *model, const wispi_store *store, int32_t role,
                              wisp_error *err)
{
    for (wispi_slot *slot = store->first; slot; slot = slot->next)
        WISP_TRY(wispi_model_add_tensor(model, &slot->variable, role, err));
    return WISP_OK;
}

static wisp_status finish_network(wispi_model *model, wispi_network *network, wisp_error *err)
{
    char name[200];
    wispi_device *device = model->device;
    WISP_TRY(wispi_store_allocate(device, &network->parameters, network->module->path, err));
    snprintf(name, sizeof name, "%s.buffers", network->module->path);
    WISP_TRY(wispi_store_allocate(device, &network->buffers, name, err));
    wispi_network_override_init(network, &model->init_override);
    WISP_TRY(wispi_store_initialise(device, &network->parameters, model->seed, err));
    WISP_TRY(wispi_store_initialise(device, &network->buffers, model->seed, err));
    WISP_TRY(wispi_store_add_gradient(device, &network->parameters, slot_trains, err));
    WISP_TRY(list_slots(model, &network->parameters, WISPI_ROLE_PARAMETER, err));
    WISP_TRY(list_slots(model, &network->buffers, WISPI_ROLE_BUFFER, err));
    return WISP_OK;
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Siblings have different names, but a name may hold dots. */
static wisp_status check_names(const wispi_model *model, wisp_error *err)
{
    const char **names = wispi_alloc_array((size_t)model->n_tensors + 1, sizeof *names);
    if (!names)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare the names of tensors");
    for (int32_t i = 0; i < model->n_tensors; i++)
        names[i] = model->tensors[i].name;
    qsort(names, (size_t)model->n_tensors, sizeof *names, by_name);
    wisp_status status = WISP_OK;
    for (int32_t i = 1; i < model->n_tensors && status == WISP_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = wisp_fail(err, WISP_E_INVALID, "two tensors have the name %s: rename one",
                               names[i]);
    wispi_free(names);
    return status;
}

wisp_status wispi_model_finish(wispi_model *model, wisp_error *err)
{
    WISP_TRY(wispi_model_build_status(model, err));
    for (wispi_network *n = model->first_network; n; n = n->next)
        if (!n->finished)
            WISP_TRY(finish_network(model, n, err));
    for (wispi_network *n = model->first_network; n; n = n->next) {
        if (!n->finished && n->source) {
            WISP_TRY(wispi_network_follow(model, n, err));
            WISP_TRY(wispi_network_copy_source(model, n, err));
        }
        n->finished = 1;
    }
    WISP_TRY(check_names(model, err));
    return wispi_model_refresh(model, err);
}

void wispi_network_set_apart(wisp_module *network)
{
    if (network)
        network->network->apart = 1;
}

wisp_status wispi_model_copy_to_followers(wispi_model *model, wisp_error *err)
{
    for (wispi_network *n = model->first_network; n; n = n->next)
        if (n->source)
            WISP_TRY(wispi_network_copy_source(model, n, err));
    return WISP_OK;
}

wisp_status wispi_model_add_table(wispi_model *model, const char *name, int32_t n,
                                  const void *owner, wispi_segments **table, wisp_error *err)
{
    wispi_segments *made = NULL;
    WISP_TRY(wispi_segments_create(model->device, name, n, owner, &made, err));
    made->next = model->tables;
    model->tables = made;
    *table = made;
    return WISP_OK;
}

/* --- steps --- */

wisp_status wispi_model_refresh(wispi_model *model, wisp_error *err)
{
    for (wispi_segments *table = model->tables; table; table = table->next)
        WISP_TRY(wispi_segments_refresh(model->device, table, err));
    return WISP_OK;
}

static void put_step_key(const wispi_model *model, const wisp_clock *clock, uint8_t *block)
{
    const wisp_rng_key stream = wisp_rng_stream(model->seed, WISP_STREAM_STEP);
    const wisp_rng_key key = wisp_rng_derive(stream, (uint64_t)clock->step, 0);
    memcpy(block, key.k, sizeof key.k);
}

wisp_status wispi_model_set_clock(wispi_model *model, const wisp_clock *clock, wisp_error *err)
{
    uint8_t block[SCALAR_PLACE * (1 + MAX_SCALARS)] = {0};
    put_step_key(model, clock, block);
    for (const wisp_scalar *scalar = model->first_scalar; scalar; scalar = scalar->next) {
        const float value = (float)wispi_schedule_value(&scalar->schedule, clock);
        memcpy(block + SCALAR_PLACE * (1 + scalar->index), &value, sizeof value);
    }
    WISP_TRY(wispi_variable_put(model->device, &model->scalar_block, block, err));
    model->has_clock = 1;
    return WISP_OK;
}

void wispi_model_set_eval(wispi_model *model, int32_t eval)
{
    model->eval = eval;
}

void wispi_model_set_metrics(wispi_model *model, wispi_metrics *metrics)
{
    model->metrics = metrics ? metrics : &model->own_metrics;
}

wispi_metrics *wispi_model_metrics(wispi_model *model)
{
    return model->metrics;
}

/* --- schedules --- */

/* Called by the builder, which has checked name and schedule. */
wisp_status wispi_model_add_scalar(wispi_model *model, wisp_scalar *scalar, wisp_error *err)
{
    const wisp_desc desc = wisp_desc0(WISP_F32);
    char name[sizeof scalar->variable->name];
    if (model->n_scalars == MAX_SCALARS)
        return wisp_fail(err, WISP_E_INVALID, "scalar %s: a run has at most %d scheduled scalars",
                         scalar->name, MAX_SCALARS);
    uint8_t *block = model->scalar_block.data;
    snprintf(name, sizeof name, "schedule.%s", scalar->name);
    WISP_TRY(wispi_variable_init(model->device, scalar->variable, name, &desc,
                                 block + SCALAR_PLACE * (1 + model->n_scalars), err));
    scalar->variable->version = model->scalar_block.version;
    scalar->index = model->n_scalars++;
    if (model->last_scalar)
        model->last_scalar->next = scalar;
    else
        model->first_scalar = scalar;
    model->last_scalar = scalar;
    return WISP_OK;
}

wisp_scalar *wispi_model_scalar(const wispi_model *model, const char *name)
{
    for (wisp_scalar *scalar = model->first_scalar; scalar; scalar = scalar->next)
        if (strcmp(scalar->name, name) == 0)
            return scalar;
    return NULL;
}

const wisp_schedule *wispi_model_schedule(const wispi_model *model, const char *name)
{
    const wisp_scalar *scalar = wispi_model_scalar(model, name);
    return scalar ? &scalar->schedule : NULL;
}

static wisp_status unknown_schedule(const wispi_model *model, const char *name, wisp_error *err)
{
    wispi_text known = {0};
    for (const wisp_scalar *s = model->first_scalar; s; s = s->next)
        wispi_text_printf(&known, "%s%s", s == model->first_scalar ? "" : ", ", s->name);
    wisp_status status =
        wisp_fail(err, WISP_E_CONFIG, "[schedule.%s]: there is no scheduled scalar %s; known: %s",
                  name, name, known.data ? known.data : "none");
    wispi_text_free(&known);
    return status;
}

wisp_status wispi_model_override_schedule(wispi_model *model, const char *name,
                                          const wisp_schedule *schedule, wisp_error *err)
{
    wisp_scalar *scalar = wispi_model_scalar(model, name);
    if (!scalar)
        return unknown_schedule(model, name, err);
    WISP_TRY(wispi_schedule_check(name, schedule, err));
    scalar->schedule = *schedule;
    return WISP_OK;
}

int32_t wispi_model_scalar_count(const wispi_model *model)
{
    return model->n_scalars;
}

const char *wispi_model_scalar_name(const wispi_model *model, int32_t index)
{
    for (const wisp_scalar *s = model->first_scalar; s; s = s->next)
        if (s->index == index)
            return s->name;
    return NULL;
}

/* --- tensors --- */

wisp_status wispi_model_add_tensor(wispi_model *model, wispi_variable *variable, int32_t role,
                                   wisp_error *err)
{
    const size_t bytes = sizeof *model->tensors;
    if (model->n_tensors == model->tensor_capacity) {
        const int32_t capacity = model->tensor_capacity ? 2 * model->tensor_capacity : 256;
        void *grown =
            wispi_grow(model->tensors, (size_t)model->n_tensors * bytes, (size_t)capacity * bytes);
        if (!grown)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for the list of tensors");
        model->tensors = grown;
        model->tensor_capacity = capacity;
    }
    model->tensors[model->n_tensors++] = (wispi_model_tensor){
        variable->name, &variable->desc, variable, role, variable->grad != NULL};
    return WISP_OK;
}

void wispi_model_forget_tensors(wispi_model *model, int32_t role)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < model->n_tensors; i++)
        if (model->tensors[i].role != role)
            model->tensors[kept++] = model->tensors[i];
    model->n_tensors = kept;
}

int32_t wispi_model_tensor_count(const wispi_model *model)
{
    return model->n_tensors;
}

const wispi_model_tensor *wispi_model_tensor_at(const wispi_model *model, int32_t index)
{
    return index >= 0 && index < model->n_tensors ? &model->tensors[index] : NULL;
}

const wispi_model_tensor *wispi_model_tensor_named(const wispi_model *model, const char *name)
{
    for (int32_t i = 0; i < model->n_tensors; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            return &model->tensors[i];
    return NULL;
}

wispi_device *wispi_model_device(const wispi_model *model)
{
    return model->device;
}

wisp_module *wispi_model_network(const wispi_model *model, const char *name)
{
    for (const wispi_network *n = model->first_network; n; n = n->next)
        if (strcmp(n->module->name, name) == 0)
            return n->module;
    return NULL;
}

int32_t wispi_model_network_count(const wispi_model *model)
{
    int32_t count = 0;
    for (const wispi_network *n = model->first_network; n; n = n->next)
        count++;
    return count;
}

wisp_module *wispi_model_network_at(const wispi_model *model, int32_t index)
{
    for (const wispi_network *n = model->first_network; n; n = n->next)
        if (index-- == 0)
            return n->module;
    return NULL;
}

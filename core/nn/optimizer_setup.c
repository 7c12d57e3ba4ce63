/* optimizer_setup.c - an optimizer's memory and rules, made once. */
#include "nn/optimizer_parts.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

wispi_optimizer_config wispi_optimizer_defaults(int32_t kind)
{
    wispi_optimizer_config config;
    memset(&config, 0, sizeof config);
    config.kind = kind;
    config.momentum = 0.9;
    config.trust = 0.001;
    config.beta1 = 0.9;
    config.beta2 = 0.999;
    config.eps = 1e-8;
    config.adapt_depthwise = 1;
    return config;
}

static wisp_status check_config(const wispi_optimizer_config *c, wisp_error *err)
{
    const double values[] = {c->vector_decay, c->depthwise_decay, c->clip};
    if (c->kind < WISPI_OPTIMIZER_SGD || c->kind > WISPI_OPTIMIZER_ADAMW)
        return wisp_fail(err, WISP_E_INVALID, "there is no optimizer %d", c->kind);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!(values[i] >= 0) || !isfinite(values[i]))
            return wisp_fail(err, WISP_E_CONFIG,
                             "optimizer: multipliers of the decay and the clip limit must be 0 or "
                             "more, not %g",
                             values[i]);
    return WISP_OK;
}

/* --- rules --- */

static int is_vector(const wispi_slot *slot)
{
    return slot->variable.desc.rank <= 1;
}

int wispi_optimizer_adapts(const wispi_optimizer_config *config, const wispi_slot *slot)
{
    if (is_vector(slot))
        return config->adapt_vectors;
    return slot->flags & WISP_PARAM_DEPTHWISE ? config->adapt_depthwise : 1;
}

static int matches(const wispi_optimizer_rule *rule, const wispi_slot *slot)
{
    return fnmatch(rule->pattern, slot->variable.name, 0) == 0;
}

/* Multipliers of the learning rate and of the decay. */
static void rule_of(const wispi_optimizer_config *c, const wispi_slot *slot, float rule[2])
{
    double lr = 1, decay = 1;
    if (is_vector(slot))
        decay = c->vector_decay;
    else if (slot->flags & WISP_PARAM_DEPTHWISE)
        decay = c->depthwise_decay;
    if (slot->flags & WISP_PARAM_NO_DECAY)
        decay = 0;
    for (int32_t i = 0; i < c->n_rules; i++) {
        if (!matches(&c->rules[i], slot))
            continue;
        lr *= c->rules[i].lr;
        decay *= c->rules[i].weight_decay;
    }
    rule[0] = (float)lr;
    rule[1] = (float)decay;
}

static int matches_any(const wispi_optimizer_rule *rule, const wispi_model *model)
{
    for (const wispi_network *n = model->first_network; n; n = n->next)
        for (const wispi_slot *slot = n->parameters.first; slot; slot = slot->next)
            if (slot->variable.grad && matches(rule, slot))
                return 1;
    return 0;
}

int32_t wispi_optimizer_idle_rule(const wispi_model *model, const wispi_optimizer_rule *rules,
                                  int32_t n_rules)
{
    for (int32_t i = 0; i < n_rules; i++)
        if (!matches_any(&rules[i], model))
            return i;
    return -1;
}

static wisp_status write_rules(wispi_optimizer *o, wispi_optimizer_part *part, wisp_error *err)
{
    const wisp_desc desc = wisp_desc2(WISP_F32, part->n_slots, 2);
    char name[160];
    float *rules = wispi_arena_array(o->arena, (size_t)part->n_slots, 2 * sizeof *rules);
    if (!rules)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the optimizer's rules");
    for (int32_t i = 0; i < part->n_slots; i++)
        rule_of(&o->config, part->slots[i], rules + 2 * i);
    snprintf(name, sizeof name, "optimizer.rules.%s", part->network->module->path);
    WISP_TRY(wispi_variable_init(o->model->device, &part->rules, name, &desc, NULL, err));
    return wispi_variable_write(o->model->device, &part->rules, rules, err);
}

/* --- parts --- */

static wisp_status add_moment(wispi_optimizer *o, wispi_optimizer_part *part, int32_t index,
                              const char *word, wisp_error *err)
{
    wispi_device *device = o->model->device;
    wispi_variable *whole = &part->moments[index];
    char name[320];
    snprintf(name, sizeof name, "optimizer.%s.%s", word, part->network->module->path);
    WISP_TRY(wispi_store_twin(device, &part->network->parameters, name, whole, err));
    for (int32_t i = 0; i < part->n_slots; i++) {
        wispi_variable *slot = &part->moment_slots[index * part->n_slots + i];
        snprintf(name, sizeof name, "optimizer.%s.%s", word, part->slots[i]->variable.name);
        WISP_TRY(wispi_slot_twin(device, part->slots[i], whole, name, slot, err));
        WISP_TRY(wispi_model_add_tensor(o->model, slot, WISPI_ROLE_OPTIMIZER, err));
    }
    return WISP_OK;
}

static wisp_status add_counts(wispi_optimizer *o, wispi_optimizer_part *part, wisp_error *err)
{
    const wisp_desc desc = wisp_desc1(WISP_I64, part->n_slots);
    char name[160];
    void *zeros = wispi_arena_array(o->arena, (size_t)part->n_slots, sizeof(int64_t));
    if (!zeros)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the optimizer's counts");
    snprintf(name, sizeof name, "optimizer.updates.%s", part->network->module->path);
    WISP_TRY(wispi_variable_init(o->model->device, &part->counts, name, &desc, NULL, err));
    WISP_TRY(wispi_variable_write(o->model->device, &part->counts, zeros, err));
    return wispi_model_add_tensor(o->model, &part->counts, WISPI_ROLE_OPTIMIZER, err);
}

static wisp_status collect_slots(wispi_optimizer *o, wispi_optimizer_part *part, wisp_error *err)
{
    const wispi_store *store = &part->network->parameters;
    part->slots = wispi_arena_array(o->arena, (size_t)store->n_slots, sizeof *part->slots);
    part->moment_slots = wispi_arena_array(o->arena, (size_t)store->n_slots,
                                           WISPI_MAX_MOMENTS * sizeof *part->moment_slots);
    if (!part->slots || !part->moment_slots)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the optimizer's lists");
    for (wispi_slot *slot = store->first; slot; slot = slot->next)
        if (slot->variable.grad)
            part->slots[part->n_slots++] = slot;
    return WISP_OK;
}

static wisp_status make_part(wispi_optimizer *o, wispi_network *network, wisp_error *err)
{
    char name[160];
    wispi_optimizer_part *part = wispi_arena_alloc(o->arena, sizeof *part);
    if (!part)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an optimizer");
    part->network = network;
    part->next = o->parts;
    o->parts = part;
    WISP_TRY(collect_slots(o, part, err));
    snprintf(name, sizeof name, "optimizer.segments.%s", network->module->path);
    WISP_TRY(wispi_model_add_table(o->model, name, part->n_slots, part, &part->segments, err));
    WISP_TRY(write_rules(o, part, err));
    if (o->config.kind != WISPI_OPTIMIZER_ADAMW)
        return add_moment(o, part, 0, "momentum", err);
    WISP_TRY(add_moment(o, part, 0, "first_moment", err));
    WISP_TRY(add_moment(o, part, 1, "second_moment", err));
    return add_counts(o, part, err);
}

static wisp_status make_parts(wispi_optimizer *o, wisp_error *err)
{
    const wispi_optimizer_config *c = &o->config;
    const int32_t idle = wispi_optimizer_idle_rule(o->model, c->rules, c->n_rules);
    for (wispi_network *n = o->model->first_network; n; n = n->next)
        if (n->parameters.gradient.data)
            WISP_TRY(make_part(o, n, err));
    if (!o->parts)
        return wisp_fail(err, WISP_E_INVALID, "optimizer: no network has parameters to train");
    if (idle < 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CONFIG,
                     "optimizer: the pattern \"%s\" matches no trained parameter",
                     c->rules[idle].pattern);
}

static wisp_status find_scalars(wispi_optimizer *o, wisp_error *err)
{
    o->lr = wispi_model_scalar(o->model, "lr");
    o->weight_decay = wispi_model_scalar(o->model, "weight_decay");
    if (o->lr && o->weight_decay)
        return WISP_OK;
    return wisp_fail(err, WISP_E_STATE, "optimizer: the model has no scheduled scalar \"%s\"",
                     o->lr ? "weight_decay" : "lr");
}

wisp_status wispi_optimizer_create(wispi_model *model, const wispi_optimizer_config *config,
                                   wispi_optimizer **out, wisp_error *err)
{
    WISP_TRY(check_config(config, err));
    wispi_optimizer *o = wispi_alloc(sizeof *o);
    wispi_arena *arena = wispi_arena_create(1 << 16);
    if (!o || !arena) {
        wispi_free(o);
        wispi_arena_destroy(arena);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an optimizer");
    }
    o->model = model;
    o->arena = arena;
    o->config = *config;
    wisp_status status = find_scalars(o, err);
    if (status == WISP_OK)
        status = make_parts(o, err);
    o->config.rules = NULL;
    o->config.n_rules = 0;
    if (status == WISP_OK)
        *out = o;
    else
        wispi_optimizer_destroy(o);
    return status;
}

void wispi_optimizer_destroy(wispi_optimizer *o)
{
    if (!o)
        return;
    wispi_device *device = o->model->device;
    for (wispi_optimizer_part *part = o->parts; part; part = part->next) {
        wispi_variable_fini(device, &part->rules);
        wispi_variable_fini(device, &part->counts);
        for (int32_t i = 0; i < WISPI_MAX_MOMENTS; i++)
            wispi_variable_fini(device, &part->moments[i]);
    }
    wispi_model_forget_tensors(o->model, WISPI_ROLE_OPTIMIZER);
    wispi_arena_destroy(o->arena);
    wispi_free(o);
}

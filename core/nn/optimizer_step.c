/* optimizer_step.c - clipping and the update, as a part of a step. */
#include "nn/optimizer_parts.h"

#include "nn/collective.h"
#include "nn/op_call.h"

/* Known while recording: which gradients this step makes and nobody dropped. */
static void mark_segments(wisp_step *s, const wispi_optimizer *o, wispi_optimizer_part *part)
{
    for (int32_t i = 0; i < part->n_slots; i++) {
        const wispi_slot *slot = part->slots[i];
        const int64_t active = wispi_step_has_grad(s, &slot->variable) ? WISP_SEGMENT_ACTIVE : 0;
        const int64_t adapt = wispi_optimizer_adapts(&o->config, slot) ? WISP_SEGMENT_ADAPT : 0;
        const wispi_segment row = {slot->offset, slot->count, active | adapt, 0};
        wispi_segments_set(part->segments, i, &row);
    }
}

static wisp_tensor *gradient_of(wisp_step *s, const wispi_optimizer_part *part)
{
    return wispi_step_variable(s, &part->network->parameters.gradient);
}

static wisp_tensor *norms_of(wisp_step *s, wispi_optimizer_part *part)
{
    wisp_tensor *in[2] = {gradient_of(s, part), wispi_segments_tensor(s, part->segments)};
    return wispi_call1(s, WISPI_CALL_segment_norms, NULL, in, 2);
}

/* The norm over all parts but those of networks that are apart; f32(). */
static wisp_tensor *total_norm(wisp_step *s, const wispi_optimizer *o)
{
    const wisp_desc scalar = wisp_desc0(WISP_F32);
    wisp_tensor *total = NULL;
    for (wispi_optimizer_part *part = o->parts; part; part = part->next) {
        if (part->network->apart)
            continue;
        wisp_tensor *squares = wisp_unary(s, norms_of(s, part), WISP_UNARY_SQUARE);
        wisp_tensor *sum = wisp_sum(s, squares, 0, 0);
        total = total ? wisp_add(s, total, sum) : sum;
    }
    return total ? wisp_unary(s, total, WISP_UNARY_SQRT) : wisp_full(s, &scalar, 0);
}

/* With `total` every tensor is judged by the norm of all, else by its own. */
static void clip(wisp_step *s, const wispi_optimizer *o, wispi_optimizer_part *part,
                 wisp_tensor *total)
{
    const wisp_clip_attrs attrs = {o->config.clip, 1, 0};
    const wisp_desc row = wisp_desc1(WISP_F32, part->n_slots);
    wisp_tensor *gradient = gradient_of(s, part);
    wisp_tensor *norms = total ? wisp_broadcast_to(s, total, &row) : norms_of(s, part);
    wisp_tensor *in[3] = {gradient, wispi_segments_tensor(s, part->segments), norms};
    wisp_tensor *out[WISPI_MAX_OUT] = {gradient};
    wispi_call(s, WISPI_CALL_clip_segments, &attrs, in, 3, out);
}

static void clip_all(wisp_step *s, const wispi_optimizer *o)
{
    const wispi_optimizer_config *c = &o->config;
    const int by_total = c->clip > 0 && !c->clip_per_tensor;
    wisp_tensor *total = by_total || c->grad_norm ? total_norm(s, o) : NULL;
    if (c->grad_norm)
        wisp_metric(s, "grad_norm", total);
    for (wispi_optimizer_part *part = c->clip > 0 ? o->parts : NULL; part; part = part->next)
        if (!part->network->apart)
            clip(s, o, part, by_total ? total : NULL);
}

static void update_sgd(wisp_step *s, const wispi_optimizer *o, wispi_optimizer_part *part)
{
    const wispi_optimizer_config *c = &o->config;
    const wisp_sgd_attrs attrs = {c->momentum, c->trust, c->nesterov, 0};
    const int32_t call =
        c->kind == WISPI_OPTIMIZER_LARS ? WISPI_CALL_lars_update : WISPI_CALL_sgd_update;
    wisp_tensor *out[WISPI_MAX_OUT] = {
        wispi_step_variable(s, &part->network->parameters.whole),
        wispi_step_variable(s, &part->moments[0]),
    };
    wisp_tensor *in[7] = {out[0],
                          gradient_of(s, part),
                          out[1],
                          wispi_segments_tensor(s, part->segments),
                          wispi_step_variable(s, &part->rules),
                          wisp_scalar_value(s, o->lr),
                          wisp_scalar_value(s, o->weight_decay)};
    wispi_call(s, call, &attrs, in, 7, out);
}

static void update_adamw(wisp_step *s, const wispi_optimizer *o, wispi_optimizer_part *part)
{
    const wispi_optimizer_config *c = &o->config;
    const wisp_adamw_attrs attrs = {c->beta1, c->beta2, c->eps};
    wisp_tensor *out[WISPI_MAX_OUT] = {
        wispi_step_variable(s, &part->network->parameters.whole),
        wispi_step_variable(s, &part->moments[0]),
        wispi_step_variable(s, &part->moments[1]),
        wispi_step_variable(s, &part->counts),
    };
    wisp_tensor *in[9] = {out[0],
                          gradient_of(s, part),
                          out[1],
                          out[2],
                          wispi_segments_tensor(s, part->segments),
                          wispi_step_variable(s, &part->rules),
                          wisp_scalar_value(s, o->lr),
                          wisp_scalar_value(s, o->weight_decay),
                          out[3]};
    wispi_call(s, WISPI_CALL_adamw_update, &attrs, in, 9, out);
}

void wispi_optimizer_share_gradient(wisp_step *s, wispi_optimizer *o)
{
    for (wispi_optimizer_part *part = o->parts; part; part = part->next)
        if (wispi_step_of(s)->status == WISP_OK)
            wispi_collective_gradient(s, &part->network->parameters);
}

void wispi_optimizer_step(wisp_step *s, wispi_optimizer *o)
{
    if (wispi_step_of(s)->status != WISP_OK)
        return;
    for (wispi_optimizer_part *part = o->parts; part; part = part->next)
        if (wispi_step_is_recording(s))
            mark_segments(s, o, part);
    wisp_no_grad_begin(s);
    clip_all(s, o);
    for (wispi_optimizer_part *part = o->parts; part; part = part->next)
        if (o->config.kind == WISPI_OPTIMIZER_ADAMW)
            update_adamw(s, o, part);
        else
            update_sgd(s, o, part);
    wisp_no_grad_end(s);
}

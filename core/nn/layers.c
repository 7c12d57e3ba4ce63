#include "nn/layers.h"

#include <string.h>

#include "base/memory.h"
#include "nn/collective.h"
#include "nn/op_call.h"

wisp_tensor *wispi_value_of(wisp_step *s, wispi_slot *slot)
{
    return slot ? wispi_step_variable(s, &slot->variable) : NULL;
}

static wisp_tensor *linear(wisp_step *s, const wisp_module *m, wisp_tensor *x, int32_t act)
{
    const wisp_linear_attrs attrs = {0, act};
    wisp_tensor *in[3] = {x, wispi_value_of(s, m->weight), wispi_value_of(s, m->bias)};
    return wispi_call1(s, WISPI_CALL_linear, &attrs, in, 3);
}

/* Few rows pass by the weights so fast that making the normed ones first takes as long again. */
static int are_few(const wisp_tensor *x)
{
    enum { FEW_ROWS = 32 };
    const wisp_desc *d = wispi_tensor_desc(x);
    return d && d->rank > 0 && d->shape[d->rank - 1] > 0 &&
           wisp_desc_count(d) / d->shape[d->rank - 1] <= FEW_ROWS;
}

static wisp_tensor *weight_norm(wisp_step *s, const wisp_module *m, wisp_tensor *x)
{
    const wisp_weight_norm_attrs norm = {0, 0};
    const wisp_linear_attrs attrs = {0, 0};
    wisp_tensor *v[2] = {wispi_value_of(s, m->weight), wispi_value_of(s, m->bias)};
    const int trains_gain = v[1] && v[1]->wants_grad;
    if (are_few(x) && !trains_gain) {
        wisp_tensor *few[3] = {x, v[0], v[1]};
        return wispi_call1(s, WISPI_CALL_normed_linear, NULL, few, 3);
    }
    wisp_tensor *in[3] = {x, wispi_call1(s, WISPI_CALL_weight_norm, &norm, v, 2), NULL};
    return wispi_call1(s, WISPI_CALL_linear, &attrs, in, 3);
}

static wisp_tensor *conv2d(wisp_step *s, const wisp_module *m, wisp_tensor *x)
{
    wisp_tensor *in[3] = {x, wispi_value_of(s, m->weight), wispi_value_of(s, m->bias)};
    return wispi_call1(s, WISPI_CALL_conv2d, &m->conv, in, 3);
}

static wisp_tensor *layer_norm(wisp_step *s, const wisp_module *m, wisp_tensor *x)
{
    const wisp_layer_norm_attrs attrs = {m->eps, 0, 0};
    wisp_tensor *in[3] = {x, wispi_value_of(s, m->weight), wispi_value_of(s, m->bias)};
    return wispi_call1(s, WISPI_CALL_layer_norm, &attrs, in, 3);
}

static wisp_tensor *activation(wisp_step *s, const wisp_module *m, wisp_tensor *x)
{
    const wisp_unary_attrs attrs = {0, 0, m->activation, 0};
    return wispi_call1(s, WISPI_CALL_unary, &attrs, &x, 1);
}

static wisp_tensor *l2_normalize(wisp_step *s, const wisp_module *m, wisp_tensor *x)
{
    const wisp_l2_normalize_attrs attrs = {m->eps};
    return wispi_call1(s, WISPI_CALL_l2_normalize, &attrs, &x, 1);
}

/* --- batch norm --- */

int wispi_norm_is_fixed(wisp_step *s, const wisp_module *m)
{
    return wispi_model_of(s)->eval || wispi_module_frozen(m).batch_norm_eval;
}

wispi_statistics wispi_running_statistics(wisp_step *s, const wisp_module *m)
{
    const wispi_statistics stats = {wispi_value_of(s, m->running_mean),
                                    wispi_value_of(s, m->running_var), 0};
    return stats;
}

wispi_statistics wispi_share_statistics(wisp_step *s, const wisp_module *m, const wisp_tensor *x,
                                        wisp_tensor *mean, wisp_tensor *var)
{
    const wisp_desc *desc = wispi_tensor_desc(x);
    wispi_statistics stats = {mean, var, x ? wisp_desc_count(desc) : 0};
    stats.count /=
        x && desc->rank > 0 && desc->shape[desc->rank - 1] > 0 ? desc->shape[desc->rank - 1] : 1;
    wisp_no_grad_begin(s);
    wispi_collective_statistics(s, &stats.mean, &stats.var, &stats.count);
    if (!wispi_module_frozen(m).running_fixed) {
        wisp_running_attrs attrs = {m->momentum, stats.count};
        wisp_tensor *running[WISPI_MAX_OUT] = {wispi_value_of(s, m->running_mean),
                                               wispi_value_of(s, m->running_var)};
        wisp_tensor *in[4] = {stats.mean, stats.var, running[0], running[1]};
        wispi_collective_parts(s, &in[0], &in[1], &attrs.momentum);
        wispi_call(s, WISPI_CALL_running_update, &attrs, in, 4, running);
    }
    wisp_no_grad_end(s);
    return stats;
}

wisp_tensor *wispi_normalize_with(wisp_step *s, const wisp_module *m, wisp_tensor *x,
                                  const wispi_statistics *stats, wisp_tensor *residual, int32_t act)
{
    const wisp_batch_norm_attrs attrs = {m->eps, stats->count, act, 0};
    wisp_tensor *in[6] = {
        x,       stats->mean, stats->var, wispi_value_of(s, m->weight), wispi_value_of(s, m->bias),
        residual};
    return wispi_call1(s, WISPI_CALL_batch_norm, &attrs, in, 6);
}

wisp_tensor *wispi_batch_norm(wisp_step *s, const wisp_module *m, wisp_tensor *x,
                              wisp_tensor *residual, int32_t act)
{
    if (!wispi_usable(s, "batch_norm", x))
        return NULL;
    if (m->kind != WISPI_MODULE_BATCH_NORM) {
        wispi_step_fail(s, WISP_E_INVALID, "batch_norm: %s is no batch norm layer", m->path);
        return NULL;
    }
    wispi_statistics stats;
    if (wispi_norm_is_fixed(s, m)) {
        stats = wispi_running_statistics(s, m);
    } else {
        wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
        wisp_no_grad_begin(s);
        wispi_step_of(s)->in_statistics = 1;
        wispi_call(s, WISPI_CALL_channel_stats, NULL, &x, 1, out);
        wispi_step_of(s)->in_statistics = 0;
        wisp_no_grad_end(s);
        stats = wispi_share_statistics(s, m, x, out[0], out[1]);
    }
    return wispi_normalize_with(s, m, x, &stats, residual, act);
}

/* --- trees --- */

/* A GELU and the linear layer behind it are one call. */
static wisp_tensor *children(wisp_step *s, const wisp_module *m, wisp_tensor *x)
{
    for (wisp_module *child = m->first; child; child = child->next) {
        wisp_module *next = child->next;
        if (child->kind == WISPI_MODULE_ACTIVATION && child->activation == WISP_UNARY_GELU &&
            next && next->kind == WISPI_MODULE_LINEAR) {
            x = wispi_act_linear(s, next, x, child->activation);
            child = next;
        } else {
            x = wispi_forward(s, child, x);
        }
    }
    return x;
}

static wisp_tensor *backbone(wisp_step *s, wisp_module *m, wisp_tensor *x)
{
    wisp_features out;
    memset(&out, 0, sizeof out);
    out.struct_size = sizeof out;
    return wispi_forward_features(s, m, x, &out);
}

static wisp_tensor *forward_by_kind(wisp_step *s, wisp_module *m, wisp_tensor *x)
{
    switch (m->kind) {
    case WISPI_MODULE_GROUP:
    case WISPI_MODULE_NETWORK:
        return children(s, m, x);
    case WISPI_MODULE_BACKBONE:
        return backbone(s, m, x);
    case WISPI_MODULE_CUSTOM:
        return m->forward(m->self, s, x);
    case WISPI_MODULE_LINEAR:
        return linear(s, m, x, 0);
    case WISPI_MODULE_CONV2D:
        return conv2d(s, m, x);
    case WISPI_MODULE_BATCH_NORM:
        return wispi_batch_norm(s, m, x, NULL, m->activation);
    case WISPI_MODULE_LAYER_NORM:
        return layer_norm(s, m, x);
    case WISPI_MODULE_ACTIVATION:
        return activation(s, m, x);
    case WISPI_MODULE_L2_NORMALIZE:
        return l2_normalize(s, m, x);
    case WISPI_MODULE_WEIGHT_NORM:
        return weight_norm(s, m, x);
    default:
        wispi_step_fail(s, WISP_E_INVALID,
                        "forward: %s is a parameter; a group with parameters of its own needs a "
                        "custom layer",
                        m->path);
        return NULL;
    }
}

/* A step and a module must belong to one model. */
static int check_module(wisp_step *s, const char *function, const wisp_module *m)
{
    if (wispi_step_of(s)->status != WISP_OK)
        return 0;
    if (!m)
        wispi_step_fail(s, WISP_E_INVALID, "%s: the module is NULL", function);
    else if (wispi_model_of(s) != m->model || !m->network->finished)
        wispi_step_fail(s, WISP_E_STATE, "%s: the step does not run on the model of %s", function,
                        m->path);
    return wispi_step_of(s)->status == WISP_OK;
}

/* The plugin's message must tell where a shape did not fit. */
static void name_place(wisp_step *s, const wisp_module *m)
{
    wispi_step *step = wispi_step_of(s);
    char message[sizeof step->error.message];
    if (strstr(step->error.message, "(in "))
        return;
    memcpy(message, step->error.message, sizeof message);
    snprintf(step->error.message, sizeof step->error.message, "%.1200s (in %s)", message, m->path);
}

wisp_tensor *wispi_forward(wisp_step *s, wisp_module *m, wisp_tensor *x)
{
    if (!check_module(s, "forward", m) || !wispi_usable(s, "forward", x))
        return NULL;
    wispi_model *model = wispi_model_of(s);
    const wisp_module *outer = model->forwarding;
    model->forwarding = m;
    wisp_tensor *y = forward_by_kind(s, m, x);
    model->forwarding = outer;
    if (wispi_step_of(s)->status != WISP_OK) {
        name_place(s, m);
        return NULL;
    }
    return y;
}

wisp_tensor *wispi_act_linear(wisp_step *s, wisp_module *m, wisp_tensor *x, int32_t act)
{
    if (!check_module(s, "act_linear", m) || !wispi_usable(s, "act_linear", x))
        return NULL;
    if (m->kind != WISPI_MODULE_LINEAR)
        wispi_step_fail(s, WISP_E_INVALID, "act_linear: %s is no linear layer", m->path);
    wisp_tensor *y = wispi_step_of(s)->status == WISP_OK ? linear(s, m, x, act) : NULL;
    if (wispi_step_of(s)->status != WISP_OK) {
        name_place(s, m);
        return NULL;
    }
    return y;
}

/* --- backbones --- */

static wisp_module *find_backbone(wisp_step *s, wisp_module *m)
{
    wisp_module *found = m->kind == WISPI_MODULE_BACKBONE ? m : NULL;
    for (wisp_module *child = found ? NULL : m->first; child; child = child->next)
        if (child->kind == WISPI_MODULE_BACKBONE) {
            if (found)
                wispi_step_fail(s, WISP_E_INVALID, "forward_features: %s holds two backbones",
                                m->path);
            found = child;
        }
    if (!found)
        wispi_step_fail(s, WISP_E_INVALID, "forward_features: %s holds no backbone", m->path);
    return found;
}

/* As the caller built it, or longer: what it does not have is not asked for, and not given (ABI-4).
 */
static int read_features(wisp_step *s, const wisp_features *given, wisp_features *asked)
{
    if (!WISP_HAS(given, wisp_features, pooled)) {
        wispi_step_fail(s, WISP_E_ABI,
                        "forward_features: features.struct_size is %u: set it to "
                        "sizeof(wisp_features)",
                        (unsigned)given->struct_size);
        return 0;
    }
    wispi_read_sized(asked, sizeof *asked, given);
    return 1;
}

static void give_features(const wisp_features *made, wisp_features *out)
{
    const uint32_t size = out->struct_size;
    memcpy(out, made, size < sizeof *made ? size : sizeof *made);
    out->struct_size = size;
}

static int check_taps(wisp_step *s, const wisp_module *m, const wisp_features *out)
{
    static const char *const names[] = {"stages", "tokens", "blocks", "attention", "class tokens"};
    const uint32_t lacking = out->taps & ~m->info.taps;
    for (uint32_t i = 0; lacking && i < 32; i++)
        if (lacking >> i & 1) {
            wispi_step_fail(s, WISP_E_UNSUPPORTED, "%s: the backbone has no tap \"%s\"", m->path,
                            i < WISP_COUNT(names) ? names[i] : "that this host does not know");
            return 0;
        }
    if ((out->mask || out->keep_index) && !m->info.has_tokens) {
        wispi_step_fail(s, WISP_E_UNSUPPORTED,
                        "%s: the backbone has no tokens that could be hidden or left out", m->path);
        return 0;
    }
    return 1;
}

static void count_pixels(wispi_model *model, const wisp_module *backbone, const wisp_tensor *x)
{
    const wisp_desc *desc = wispi_tensor_desc(x);
    if (desc->rank == 4 && !backbone->network->source && !wispi_module_frozen(backbone).gradient)
        model->trained_pixels += desc->shape[0] * desc->shape[1] * desc->shape[2];
}

wisp_tensor *wispi_forward_features(wisp_step *s, wisp_module *m, wisp_tensor *x,
                                    wisp_features *out)
{
    if (!check_module(s, "forward_features", m) || !wispi_usable(s, "forward_features", x))
        return NULL;
    wisp_features asked;
    m = find_backbone(s, m);
    if (wispi_step_of(s)->status != WISP_OK || !read_features(s, out, &asked) ||
        !check_taps(s, m, &asked))
        return NULL;
    wisp_features made = {.struct_size = sizeof made,
                          .taps = asked.taps,
                          .mask = asked.mask,
                          .keep_index = asked.keep_index};
    wispi_model *model = wispi_model_of(s);
    const wisp_module *outer = model->forwarding;
    model->forwarding = m;
    m->backbone.vtable->forward(m->backbone.self, s, x, &made);
    model->forwarding = outer;
    give_features(&made, out);
    if (wispi_step_of(s)->status == WISP_OK && !made.pooled)
        wispi_step_fail(s, WISP_E_PLUGIN, "the backbone gave no pooled embedding");
    if (wispi_step_of(s)->status == WISP_OK) {
        count_pixels(model, m, x);
        if (!m->first_pooled)
            m->first_pooled = made.pooled;
        return made.pooled;
    }
    name_place(s, m);
    return NULL;
}

void wispi_module_forget_pooled(wisp_module *m)
{
    m->first_pooled = NULL;
}

wisp_tensor *wispi_module_first_pooled(const wisp_module *m)
{
    return m->first_pooled;
}

void wispi_model_forget_pixels(wispi_model *model)
{
    model->trained_pixels = 0;
}

int64_t wispi_model_trained_pixels(const wispi_model *model)
{
    return model->trained_pixels;
}

int wispi_drop_path_is_off(wisp_step *s)
{
    const wispi_model *model = wispi_model_of(s);
    const wisp_module *m = model ? model->forwarding : NULL;
    return !model || model->eval || (m && (m->network->source || wispi_module_frozen(m).gradient));
}

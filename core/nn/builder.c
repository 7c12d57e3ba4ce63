/* builder.c - the table behind wisp/nn.h: modules, networks, states and scalars as plugins make
 * them. The first error sticks; after it every call returns NULL. */
#include "nn/module.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/schedule.h"

typedef struct internal_build {
    wisp_build plugin;
    wispi_model *model;
} internal_build;

static wispi_model *model_of(wisp_build *b)
{
    return ((internal_build *)(void *)b)->model;
}

static void fail(wispi_model *model, wisp_status code, const char *format, ...) WISP_PRINTF(3, 4);
static void fail(wispi_model *model, wisp_status code, const char *format, ...)
{
    if (model->build_status != WISP_OK)
        return;
    va_list args;
    va_start(args, format);
    model->build_status = code;
    vsnprintf(model->build_error.message, sizeof model->build_error.message, format, args);
    va_end(args);
}

/* Makes the status of an inner call stick. */
static int ok(wispi_model *model, wisp_status status, const wisp_error *err)
{
    if (status != WISP_OK)
        fail(model, status, "%s", err->message);
    return status == WISP_OK;
}

/* Memory as long as the model's. */
static void *keep(wispi_model *model, size_t bytes)
{
    void *memory = model->build_status == WISP_OK ? wispi_arena_alloc(model->arena, bytes) : NULL;
    if (!memory)
        fail(model, WISP_E_NOMEM, "no memory to build networks");
    return memory;
}

static const char *keep_text(wispi_model *model, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = keep(model, bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

static int good_name(wispi_model *model, const char *what, const char *name)
{
    const size_t length = name ? strlen(name) : 0;
    int good = length > 0 && length < 100 && name[0] != '.' && name[length - 1] != '.';
    for (size_t i = 0; i < length && good; i++)
        good = isalnum((unsigned char)name[i]) || strchr("_-.", name[i]) != NULL;
    if (!good)
        fail(model, WISP_E_INVALID,
             "%s \"%s\": a name has 1 to 99 letters, digits, '_', '-' or inner dots", what,
             name ? name : "(null)");
    return good;
}

/* --- the tree --- */

static int check_place(wispi_model *model, const wisp_module *parent, const char *name)
{
    if (model->build_status != WISP_OK)
        return 0;
    if (!parent) {
        fail(model, WISP_E_INVALID, "module %s: its parent is NULL", name ? name : "(null)");
        return 0;
    }
    if (!good_name(model, "module", name))
        return 0;
    if (parent->kind >= WISPI_MODULE_LINEAR) {
        fail(model, WISP_E_INVALID, "module %s: %s is a layer and has no modules below it", name,
             parent->path);
        return 0;
    }
    if (parent->network->finished) {
        fail(model, WISP_E_STATE, "module %s: network %s is complete", name,
             parent->network->module->path);
        return 0;
    }
    for (const wisp_module *m = parent->first; m; m = m->next)
        if (strcmp(m->name, name) == 0) {
            fail(model, WISP_E_INVALID, "%s has two modules called %s: rename one", parent->path,
                 name);
            return 0;
        }
    return 1;
}

static const char *join(wispi_model *model, const char *parent, const char *name)
{
    const size_t bytes = strlen(parent) + strlen(name) + 2;
    if (bytes > sizeof((wispi_variable *)0)->name - 40) {
        fail(model, WISP_E_INVALID, "the path %s.%s is too long: shorten names", parent, name);
        return NULL;
    }
    char *path = keep(model, bytes);
    if (path)
        snprintf(path, bytes, "%s.%s", parent, name);
    return path;
}

static void link_child(wisp_module *parent, wisp_module *m)
{
    m->parent = parent;
    if (parent->last)
        parent->last->next = m;
    else
        parent->first = m;
    parent->last = m;
}

/* A module in its place, or NULL after an error. */
static wisp_module *add(wisp_build *b, wisp_module *parent, const char *name, int32_t kind)
{
    wispi_model *model = model_of(b);
    if (!check_place(model, parent, name))
        return NULL;
    const char *path = join(model, parent->path, name);
    wisp_module *m = keep(model, sizeof *m);
    if (!m || !path)
        return NULL;
    m->kind = kind;
    m->model = model;
    m->network = parent->network;
    m->name = path + strlen(parent->path) + 1;
    m->path = path;
    link_child(parent, m);
    return m;
}

/* A parameter or buffer of module m. `name` NULL: the module itself is the parameter. */
static wispi_slot *add_slot(wisp_module *m, wispi_store *store, const char *name,
                            const wisp_desc *desc, const wisp_init *init, uint32_t flags)
{
    wispi_model *model = m->model;
    wisp_error err;
    const char *path = name ? join(model, m->path, name) : m->path;
    wispi_slot *slot = path ? keep(model, sizeof *slot) : NULL;
    if (!slot || !ok(model, wispi_init_check(path, init, &err), &err))
        return NULL;
    snprintf(slot->variable.name, sizeof slot->variable.name, "%s", path);
    slot->variable.desc = *desc;
    slot->init = *init;
    slot->flags = flags;
    slot->module = m;
    slot->fan_in = slot->fan_out = 1;
    wispi_store_add(store, slot);
    return slot;
}

static wispi_slot *add_parameter(wisp_module *m, const char *name, const wisp_desc *desc,
                                 const wisp_init *init, uint32_t flags)
{
    return add_slot(m, &m->network->parameters, name, desc, init, flags);
}

static wispi_slot *add_vector(wisp_module *m, const char *name, int64_t n, double value)
{
    const wisp_desc desc = wisp_desc1(WISP_F32, n);
    const wisp_init init = {WISP_INIT_CONSTANT, 0, value};
    return add_parameter(m, name, &desc, &init, 0);
}

/* --- networks and groups --- */

static wisp_module *build_network(wisp_build *b, const char *name)
{
    wispi_model *model = model_of(b);
    if (model->build_status != WISP_OK || !good_name(model, "network", name))
        return NULL;
    if (wispi_model_network(model, name) || !strcmp(name, "state") || !strcmp(name, "optimizer")) {
        fail(model, WISP_E_INVALID, "network %s: the name is taken", name);
        return NULL;
    }
    wispi_network *network = keep(model, sizeof *network);
    wisp_module *m = network ? keep(model, sizeof *m) : NULL;
    const char *path = m ? keep_text(model, name) : NULL;
    if (!path)
        return NULL;
    m->kind = WISPI_MODULE_NETWORK;
    m->model = model;
    m->network = network;
    m->name = m->path = path;
    network->module = m;
    if (model->last_network)
        model->last_network->next = network;
    else
        model->first_network = network;
    model->last_network = network;
    return m;
}

static wisp_module *build_group(wisp_build *b, wisp_module *parent, const char *name)
{
    return add(b, parent, name, WISPI_MODULE_GROUP);
}

static wisp_module *build_custom_layer(wisp_build *b, wisp_module *parent, const char *name,
                                       void *self, wisp_forward_fn forward)
{
    wisp_module *m = add(b, parent, name, WISPI_MODULE_CUSTOM);
    if (m && !forward) {
        fail(m->model, WISP_E_INVALID, "%s: a custom layer needs a forward function", m->path);
        return NULL;
    }
    if (m) {
        m->self = self;
        m->forward = forward;
    }
    return m;
}

static wisp_module *build_backbone(wisp_build *b, wisp_module *parent, const char *name)
{
    wisp_error err = {0};
    wisp_module *m = add(b, parent, name, WISPI_MODULE_BACKBONE);
    if (!m)
        return NULL;
    wispi_model *model = m->model;
    if (!model->maker) {
        fail(model, WISP_E_STATE, "%s: this run has no backbone: add a [backbone] table", m->path);
        return NULL;
    }
    if (!ok(model, model->maker(model->maker_user, m->path, &m->backbone, &err), &err))
        return NULL;
    wisp_backbone_info info = {0};
    info.struct_size = sizeof info;
    wisp_status status = m->backbone.vtable->build(m->backbone.self, b, m, &info, &err);
    if (model->build_status != WISP_OK || !ok(model, status, &err))
        return NULL;
    if (info.dim < 1) {
        fail(model, WISP_E_PLUGIN, "%s: the backbone did not say how many values it gives",
             m->path);
        return NULL;
    }
    m->info = info;
    m->out_dim = info.dim;
    return m;
}

/* --- layers --- */

/* PyTorch's Linear: +-1 / sqrt(fan_in) for the weight and for the bias. */
static wisp_init bias_init(const wisp_init *weight, const wisp_init *given)
{
    const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
    if (given && given->kind)
        return *given;
    return weight->kind == WISP_INIT_LINEAR_DEFAULT ? *weight : zeros;
}

static wisp_init or_default(const wisp_init *init, int32_t kind)
{
    const wisp_init usual = {kind, 0, 0};
    return init->kind ? *init : usual;
}

static wisp_module *build_linear_layer(wisp_build *b, wisp_module *parent, const char *name,
                                       const wisp_linear_desc *d)
{
    wisp_module *m = add(b, parent, name, WISPI_MODULE_LINEAR);
    if (!m)
        return NULL;
    if (d->in < 1 || d->out < 1) {
        fail(m->model, WISP_E_INVALID, "%s: a linear layer from %lld to %lld values is impossible",
             m->path, (long long)d->in, (long long)d->out);
        return NULL;
    }
    const wisp_init weight = or_default(&d->weight, WISP_INIT_LINEAR_DEFAULT);
    const wisp_init bias = bias_init(&weight, &d->bias_init);
    const wisp_desc shape = wisp_desc2(WISP_F32, d->out, d->in);
    const wisp_desc row = wisp_desc1(WISP_F32, d->out);
    m->out_dim = d->out;
    m->weight = add_parameter(m, "weight", &shape, &weight, 0);
    m->bias = d->bias && m->weight ? add_parameter(m, "bias", &row, &bias, 0) : NULL;
    if (!m->weight || (d->bias && !m->bias))
        return NULL;
    m->weight->fan_in = d->in;
    m->weight->fan_out = d->out;
    if (m->bias)
        m->bias->fan_in = d->in;
    return m;
}

static int check_conv(wisp_module *m, const wisp_conv2d_desc *d, int32_t groups)
{
    if (d->in >= 1 && d->out >= 1 && d->kernel >= 1 && d->stride >= 1 && d->padding >= 0 &&
        groups >= 1 && d->in % groups == 0 && d->out % groups == 0)
        return 1;
    fail(m->model, WISP_E_INVALID,
         "%s: no convolution has %d to %d channels, kernel %d, stride %d, padding %d, %d groups",
         m->path, d->in, d->out, d->kernel, d->stride, d->padding, groups);
    return 0;
}

static wisp_conv2d_attrs conv_attrs(const wisp_conv2d_desc *d, int32_t groups)
{
    const int32_t dilation = d->dilation ? d->dilation : 1;
    wisp_conv2d_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.stride_h = attrs.stride_w = d->stride;
    attrs.pad_h = attrs.pad_w = d->padding;
    attrs.dilation_h = attrs.dilation_w = dilation;
    attrs.groups = groups;
    return attrs;
}

static wisp_module *build_conv2d_layer(wisp_build *b, wisp_module *parent, const char *name,
                                       const wisp_conv2d_desc *d)
{
    const int32_t groups = d->groups ? d->groups : 1;
    wisp_module *m = add(b, parent, name, WISPI_MODULE_CONV2D);
    if (!m || !check_conv(m, d, groups))
        return NULL;
    const int64_t area = (int64_t)d->kernel * d->kernel, depth = d->in / groups;
    const wisp_init weight = or_default(&d->weight, WISP_INIT_KAIMING_FAN_OUT);
    const wisp_init bias = bias_init(&weight, NULL);
    const wisp_desc shape = wisp_desc4(WISP_F32, d->out, depth, d->kernel, d->kernel);
    const wisp_desc row = wisp_desc1(WISP_F32, d->out);
    m->conv = conv_attrs(d, groups);
    m->out_dim = d->out;
    m->weight = add_parameter(m, "weight", &shape, &weight,
                              groups > 1 && depth == 1 ? WISP_PARAM_DEPTHWISE : 0);
    m->bias = d->bias && m->weight ? add_parameter(m, "bias", &row, &bias, 0) : NULL;
    if (!m->weight || (d->bias && !m->bias))
        return NULL;
    m->weight->fan_in = depth * area;
    m->weight->fan_out = d->out * area;
    if (m->bias)
        m->bias->fan_in = depth * area;
    return m;
}

static wisp_module *add_norm(wisp_build *b, wisp_module *parent, const char *name, int32_t kind,
                             const wisp_norm_desc *d)
{
    wisp_module *m = add(b, parent, name, kind);
    if (!m)
        return NULL;
    if (d->channels < 1 || d->eps < 0 || d->momentum < 0 || d->momentum > 1) {
        fail(m->model, WISP_E_INVALID,
             "%s: no normalisation has %lld channels, eps %g, momentum %g", m->path,
             (long long)d->channels, d->eps, d->momentum);
        return NULL;
    }
    m->eps = d->eps > 0 ? d->eps : 1e-5;
    m->momentum = d->momentum > 0 ? d->momentum : 0.1;
    m->activation = d->activation;
    m->out_dim = d->channels;
    if (d->affine < 0)
        return m;
    m->weight = add_vector(m, "weight", d->channels, d->zero_gamma ? 0 : 1);
    m->bias = m->weight ? add_vector(m, "bias", d->channels, 0) : NULL;
    return m->bias ? m : NULL;
}

static wisp_module *build_batch_norm_layer(wisp_build *b, wisp_module *parent, const char *name,
                                           const wisp_norm_desc *d)
{
    const wisp_init zero = {WISP_INIT_ZEROS, 0, 0}, one = {WISP_INIT_CONSTANT, 0, 1};
    wisp_module *m = add_norm(b, parent, name, WISPI_MODULE_BATCH_NORM, d);
    if (!m)
        return NULL;
    const wisp_desc row = wisp_desc1(WISP_F32, d->channels);
    wispi_store *buffers = &m->network->buffers;
    m->running_mean = add_slot(m, buffers, "running_mean", &row, &zero, WISP_PARAM_NO_GRAD);
    m->running_var = m->running_mean
                         ? add_slot(m, buffers, "running_var", &row, &one, WISP_PARAM_NO_GRAD)
                         : NULL;
    return m->running_var ? m : NULL;
}

static wisp_module *build_layer_norm_layer(wisp_build *b, wisp_module *parent, const char *name,
                                           const wisp_norm_desc *d)
{
    return add_norm(b, parent, name, WISPI_MODULE_LAYER_NORM, d);
}

static wisp_module *build_activation_layer(wisp_build *b, wisp_module *parent, const char *name,
                                           int32_t unary_kind)
{
    wisp_module *m = add(b, parent, name, WISPI_MODULE_ACTIVATION);
    if (m)
        m->activation = unary_kind;
    return m;
}

static wisp_module *build_l2_normalize_layer(wisp_build *b, wisp_module *parent, const char *name,
                                             double eps)
{
    wisp_module *m = add(b, parent, name, WISPI_MODULE_L2_NORMALIZE);
    if (m)
        m->eps = eps > 0 ? eps : 1e-12;
    return m;
}

static wisp_module *build_weight_norm_layer(wisp_build *b, wisp_module *parent, const char *name,
                                            const wisp_weight_norm_desc *d)
{
    const wisp_init v = {WISP_INIT_LINEAR_DEFAULT, 0, 0}, one = {WISP_INIT_CONSTANT, 0, 1};
    wisp_module *m = add(b, parent, name, WISPI_MODULE_WEIGHT_NORM);
    if (!m)
        return NULL;
    if (d->in < 1 || d->out < 1) {
        fail(m->model, WISP_E_INVALID, "%s: a linear layer from %lld to %lld values is impossible",
             m->path, (long long)d->in, (long long)d->out);
        return NULL;
    }
    const wisp_desc shape = wisp_desc2(WISP_F32, d->out, d->in);
    const wisp_desc gain = wisp_desc2(WISP_F32, d->out, 1);
    m->out_dim = d->out;
    m->bias = add_parameter(m, "weight_g", &gain, &one, d->train_gain ? 0 : WISP_PARAM_NO_GRAD);
    m->weight = m->bias ? add_parameter(m, "weight_v", &shape, &v, 0) : NULL;
    if (!m->weight)
        return NULL;
    m->weight->fan_in = d->in;
    m->weight->fan_out = d->out;
    return m;
}

static wisp_module *build_parameter(wisp_build *b, wisp_module *parent, const char *name,
                                    const wisp_desc *desc, const wisp_init *init, uint32_t flags)
{
    char text[96];
    wisp_module *m = add(b, parent, name, WISPI_MODULE_PARAMETER);
    if (!m)
        return NULL;
    if (desc->dtype != WISP_F32 || desc->rank < 0 || desc->rank > WISP_MAX_RANK ||
        wisp_desc_count(desc) < 1) {
        fail(m->model, WISP_E_INVALID, "%s: a parameter is f32 and not empty, not %s %s", m->path,
             wisp_dtype_name(desc->dtype),
             desc->rank >= 0 && desc->rank <= WISP_MAX_RANK
                 ? wispi_shape_text(desc, text, sizeof text)
                 : "of such a rank");
        return NULL;
    }
    m->weight = add_parameter(m, NULL, desc, init, flags);
    if (m->weight && desc->rank > 1) {
        m->weight->fan_out = desc->shape[0];
        m->weight->fan_in = wisp_desc_count(desc) / desc->shape[0];
    }
    return m->weight ? m : NULL;
}

/* --- multi-layer perceptron --- */

/* Children are numbered as in a torch.nn.Sequential, so that names agree: with batch norm 0 linear,
 * 1 norm, 2 activation, 3 linear ...; without it 0 linear, 1 activation, 2 linear ... */
static wisp_module *build_mlp(wisp_build *b, wisp_module *parent, const char *name,
                              const wisp_mlp_desc *d)
{
    wisp_module *group = build_group(b, parent, name);
    if (group && (d->n_dims < 2 || d->n_dims > 8))
        fail(group->model, WISP_E_INVALID, "%s: an mlp has 2 to 8 sizes, not %d", group->path,
             d->n_dims);
    int32_t index = 0;
    for (int32_t i = 0; group && i + 1 < d->n_dims; i++) {
        const int last = i + 2 == d->n_dims;
        const int norm = last ? d->last_batch_norm != 0 : d->batch_norm;
        const wisp_linear_desc linear = {
            d->dims[i], d->dims[i + 1], !(norm && d->no_bias) && !(last && d->no_last_bias),
            0,          d->weight,      {0, 0, 0}};
        const wisp_norm_desc bn = {d->dims[i + 1], 0, 0, last && d->last_batch_norm == 2 ? -1 : 0,
                                   WISP_ACT_NONE,  0, 0};
        char text[16];
        snprintf(text, sizeof text, "%d", index++);
        build_linear_layer(b, group, text, &linear);
        snprintf(text, sizeof text, "%d", index);
        index += norm;
        if (norm)
            build_batch_norm_layer(b, group, text, &bn);
        snprintf(text, sizeof text, "%d", index++);
        if (!last)
            build_activation_layer(
                b, group, text, d->activation == WISP_MLP_RELU ? WISP_UNARY_RELU : WISP_UNARY_GELU);
    }
    return group && group->model->build_status == WISP_OK ? group : NULL;
}

/* --- what modules give --- */

static int64_t output_dim_of(const wisp_module *m)
{
    int64_t dim = m->out_dim;
    for (const wisp_module *child = m->first; child && !m->out_dim; child = child->next) {
        const int64_t given = output_dim_of(child);
        dim = given ? given : dim;
    }
    return dim;
}

static int64_t build_output_dim(wisp_build *b, const wisp_module *m)
{
    wispi_model *model = model_of(b);
    if (model->build_status != WISP_OK)
        return 0;
    const int64_t dim = m ? output_dim_of(m) : 0;
    if (!dim)
        fail(model, WISP_E_INVALID, "%s: no layer says how many values it gives",
             m ? m->path : "NULL");
    return dim;
}

/* --- roles --- */

static const char **copy_list(wispi_model *model, const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    const char **copy = keep(model, (n + 1) * sizeof *copy);
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = keep_text(model, list[i]);
    return copy;
}

static void build_follow(wisp_build *b, wisp_module *target, const wisp_module *source,
                         const wisp_follow_desc *d)
{
    wispi_model *model = model_of(b);
    if (model->build_status != WISP_OK)
        return;
    if (!target || !source || target->kind != WISPI_MODULE_NETWORK ||
        target->network == source->network) {
        fail(model, WISP_E_INVALID, "follow: %s cannot follow %s: it must be a network of its own",
             target ? target->path : "NULL", source ? source->path : "NULL");
        return;
    }
    target->network->source = source;
    target->network->average_buffers = d ? d->average_buffers : 0;
    target->network->exclude = copy_list(model, d ? d->exclude : NULL);
}

static void build_freeze(wisp_build *b, wisp_module *m, const wisp_freeze_desc *d)
{
    wispi_model *model = model_of(b);
    if (model->build_status != WISP_OK)
        return;
    if (!m)
        fail(model, WISP_E_INVALID, "freeze: the module is NULL");
    else if (m->network->finished && d->gradient != m->frozen.gradient)
        fail(model, WISP_E_STATE, "freeze: network %s is complete", m->network->module->path);
    else
        m->frozen = *d;
}

static void build_fail(wisp_build *b, wisp_status code, const char *message)
{
    fail(model_of(b), code < 0 ? code : WISP_E_PLUGIN, "%s", message);
}

static void build_override_init(wisp_build *b, const wisp_init_override *override)
{
    wispi_model *model = model_of(b);
    wisp_error err = {0};
    if (model->build_status == WISP_OK &&
        ok(model, wispi_init_check("override_init: convolutions", &override->conv_weight, &err),
           &err) &&
        ok(model, wispi_init_check("override_init: linear layers", &override->linear_weight, &err),
           &err))
        model->init_override = *override;
}

/* --- signs of collapse --- */

static int good_sign(wispi_model *model, const char *metric, const wisp_collapse_sign *sign)
{
    if (model->build_status != WISP_OK || !good_name(model, "metric", metric))
        return 0;
    if (model->n_signs == WISPI_MAX_SIGNS)
        fail(model, WISP_E_INVALID, "collapse_at of %s: a run has at most %d of them", metric,
             WISPI_MAX_SIGNS);
    else if (!isfinite(sign->value) || !isfinite(sign->within) || sign->within < 0)
        fail(model, WISP_E_INVALID,
             "collapse_at of %s: value %g within %g; both must be finite, within at least 0",
             metric, sign->value, sign->within);
    else if (!sign->meaning || !sign->remedy)
        fail(model, WISP_E_INVALID, "collapse_at of %s: say what it means and what to change",
             metric);
    return model->build_status == WISP_OK;
}

static void build_collapse_at(wisp_build *b, const char *metric, const wisp_collapse_sign *sign)
{
    wispi_model *model = model_of(b);
    if (!good_sign(model, metric, sign))
        return;
    const wispi_sign kept = {keep_text(model, metric), sign->value, sign->within,
                             keep_text(model, sign->meaning), keep_text(model, sign->remedy)};
    if (model->build_status == WISP_OK)
        model->signs[model->n_signs++] = kept;
}

int32_t wispi_model_sign_count(const wispi_model *model)
{
    return model->n_signs;
}

const wispi_sign *wispi_model_sign_at(const wispi_model *model, int32_t index)
{
    return &model->signs[index];
}

/* --- scalars and states --- */

static wisp_scalar *build_scalar(wisp_build *b, const char *name, const wisp_schedule *schedule)
{
    wispi_model *model = model_of(b);
    wisp_error err = {0};
    if (model->build_status != WISP_OK || !good_name(model, "scalar", name))
        return NULL;
    if (wispi_model_scalar(model, name)) {
        fail(model, WISP_E_INVALID, "there are two scheduled scalars called %s: rename one", name);
        return NULL;
    }
    wisp_scalar *scalar = keep(model, sizeof *scalar);
    wispi_variable *variable = scalar ? keep(model, sizeof *variable) : NULL;
    const char *copy = variable ? keep_text(model, name) : NULL;
    if (!copy || !ok(model, wispi_schedule_check(name, schedule, &err), &err))
        return NULL;
    scalar->name = copy;
    scalar->variable = variable;
    scalar->schedule = *schedule;
    return ok(model, wispi_model_add_scalar(model, scalar, &err), &err) ? scalar : NULL;
}

static wisp_status write_values(wispi_model *model, wisp_state *state, const wisp_init *init,
                                const void *values, wisp_error *err)
{
    const wisp_desc *desc = &state->variable->desc;
    if (values)
        return wispi_variable_write(model->device, state->variable, values, err);
    WISP_TRY(wispi_init_check(state->name, init, err));
    if (desc->dtype != WISP_F32 && desc->dtype != WISP_BF16 && init->kind > WISP_INIT_CONSTANT)
        return wisp_fail(err, WISP_E_INVALID, "%s: integers begin as zeros or a constant",
                         state->name);
    const int64_t count = wisp_desc_count(desc);
    float *drawn = wispi_alloc_array((size_t)count, sizeof *drawn);
    double *wide = wispi_alloc_array((size_t)count, sizeof *wide);
    void *narrow = wispi_alloc((size_t)wisp_desc_bytes(desc));
    wisp_status status = drawn && wide && narrow
                             ? WISP_OK
                             : wisp_fail(err, WISP_E_NOMEM, "no memory for %s", state->name);
    if (status == WISP_OK) {
        wispi_initial_values(init, model->seed, state->variable->name, desc, 1, 1, drawn);
        wispi_widen(wide, drawn, WISP_F32, count);
        wispi_narrow(narrow, wide, desc->dtype, count);
        status = wispi_variable_write(model->device, state->variable, narrow, err);
    }
    wispi_free(drawn);
    wispi_free(wide);
    wispi_free(narrow);
    return status;
}

static int good_state(wispi_model *model, const char *name, const wisp_desc *desc)
{
    if (model->build_status != WISP_OK || !good_name(model, "state", name))
        return 0;
    for (const wisp_state *state = model->first_state; state; state = state->next)
        if (strcmp(state->name, name) == 0) {
            fail(model, WISP_E_INVALID, "there are two states called %s: rename one", name);
            return 0;
        }
    int good = wisp_dtype_bytes(desc->dtype) > 0 && desc->rank >= 0 && desc->rank <= WISP_MAX_RANK;
    int64_t room = INT64_C(1) << 40;
    for (int32_t i = 0; good && i < desc->rank; i++) {
        good = desc->shape[i] > 0 && desc->shape[i] <= room;
        room /= good ? desc->shape[i] : 1;
    }
    if (!good)
        fail(model, WISP_E_INVALID, "state %s: its description is no tensor", name);
    return good;
}

static wisp_state *add_state(wisp_build *b, const char *name, const wisp_desc *desc,
                             const wisp_init *init, const void *values)
{
    wispi_model *model = model_of(b);
    wisp_error err = {0};
    char full[160];
    if (!good_state(model, name, desc))
        return NULL;
    wisp_state *state = keep(model, sizeof *state);
    wispi_variable *variable = state ? keep(model, sizeof *variable) : NULL;
    const char *copy = variable ? keep_text(model, name) : NULL;
    snprintf(full, sizeof full, "state.%s", name);
    if (!copy ||
        !ok(model, wispi_variable_init(model->device, variable, full, desc, NULL, &err), &err))
        return NULL;
    state->name = copy;
    state->variable = variable;
    state->constant = values != NULL;
    if (model->last_state)
        model->last_state->next = state;
    else
        model->first_state = state;
    model->last_state = state;
    wisp_status status = write_values(model, state, init, values, &err);
    if (status == WISP_OK && !values)
        status = wispi_model_add_tensor(model, variable, WISPI_ROLE_STATE, &err);
    return ok(model, status, &err) ? state : NULL;
}

static wisp_state *build_state(wisp_build *b, const char *name, const wisp_desc *desc,
                               const wisp_init *init)
{
    const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
    return add_state(b, name, desc, init ? init : &zeros, NULL);
}

static wisp_state *build_constant(wisp_build *b, const char *name, const wisp_desc *desc,
                                  const void *values)
{
    wispi_model *model = model_of(b);
    if (!values)
        fail(model, WISP_E_INVALID, "constant %s: its values are NULL", name ? name : "(null)");
    return values ? add_state(b, name, desc, NULL, values) : NULL;
}

const wisp_builder wispi_builder_table = {
    .struct_size = sizeof(wisp_builder),
    .network = build_network,
    .new_scalar = build_scalar,
    .new_state = build_state,
    .new_constant = build_constant,
    .group = build_group,
    .backbone = build_backbone,
    .linear_layer = build_linear_layer,
    .conv2d_layer = build_conv2d_layer,
    .batch_norm_layer = build_batch_norm_layer,
    .layer_norm_layer = build_layer_norm_layer,
    .activation_layer = build_activation_layer,
    .l2_normalize_layer = build_l2_normalize_layer,
    .weight_norm_layer = build_weight_norm_layer,
    .mlp = build_mlp,
    .parameter = build_parameter,
    .custom_layer = build_custom_layer,
    .output_dim = build_output_dim,
    .follow = build_follow,
    .freeze = build_freeze,
    .build_fail = build_fail,
    .override_init = build_override_init,
    .collapse_at = build_collapse_at,
};

const wisp_builder *wispi_builder_interface(void)
{
    return &wispi_builder_table;
}

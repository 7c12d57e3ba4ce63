#include "train/validate_stand_in.h"

#include "nn/model.h"
#include "train/validate_sealed_device.h"
#include "wisp/sdk.h"

/* --- a backbone of two convolutions --- */

typedef struct tiny {
    const wisp_host *host;
    wisp_module *conv[2], *bn[2];
} tiny;

static wisp_status tiny_create(const wisp_host *host, const void *config, void **self,
                               wisp_error *err)
{
    (void)config;
    tiny *t = host->alloc(host, sizeof *t);
    if (!t)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a backbone");
    t->host = host;
    *self = t;
    return WISP_OK;
}

static void tiny_destroy(void *self)
{
    tiny *t = self;
    if (t)
        t->host->free(t->host, t);
}

static wisp_status tiny_build(void *self, wisp_build *b, wisp_module *parent,
                              wisp_backbone_info *info, wisp_error *err)
{
    static const char *const names[2][2] = {{"conv1", "bn1"}, {"conv2", "bn2"}};
    static const int32_t channels[3] = {3, 8, 16};
    tiny *t = self;
    (void)err;
    for (int i = 0; i < 2; i++) {
        const wisp_conv2d_desc conv = {
            .in = channels[i], .out = channels[i + 1], .kernel = 3, .stride = 2, .padding = 1};
        const wisp_norm_desc norm = {.channels = channels[i + 1]};
        t->conv[i] = wisp_conv2d_layer(b, parent, names[i][0], &conv);
        t->bn[i] = wisp_batch_norm_layer(b, parent, names[i][1], &norm);
    }
    info->dim = channels[2];
    info->taps = WISP_TAP_STAGES;
    return WISP_OK;
}

static void tiny_forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    const tiny *t = self;
    for (int i = 0; i < 2; i++) {
        x = wisp_forward(s, t->conv[i], x);
        x = wisp_batch_norm_act(s, t->bn[i], x, NULL, WISP_ACT_RELU);
        out->stages[i] = x;
    }
    out->n_stages = 2;
    out->map = x;
    out->pooled = wisp_mean(s, x, 1u << 1 | 1u << 2, 0);
}

static const wisp_backbone_v0 tiny_table = {
    .struct_size = sizeof tiny_table, .build = tiny_build, .forward = tiny_forward};

static const wisp_descriptor tiny_backbone = {
    .struct_size = sizeof tiny_backbone,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_BACKBONE,
    .name = WISPI_STAND_IN,
    .version = "0.1.0",
    .summary = "two convolutions",
    .doc = "For wisp validate: what a method is trained with.",
    .license = "Apache-2.0",
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = tiny_create,
    .destroy = tiny_destroy,
    .vtable = &tiny_table,
};

/* --- a method that asks a backbone for all that it has --- */

typedef struct asking {
    const wisp_host *host;
    wisp_module *backbone;
} asking;

static wisp_status asking_create(const wisp_host *host, const void *config, void **self,
                                 wisp_error *err)
{
    (void)config;
    asking *a = host->alloc(host, sizeof *a);
    if (!a)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a method");
    a->host = host;
    *self = a;
    return WISP_OK;
}

static void asking_destroy(void *self)
{
    asking *a = self;
    if (a)
        a->host->free(a->host, a);
}

static void asking_requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->min_global = 1;
}

static wisp_status asking_build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    asking *a = self;
    (void)batch, (void)err;
    a->backbone = wisp_backbone(b, wisp_network(b, "network"), "backbone");
    return WISP_OK;
}

/* A number that every value of x has a part in, each another one. */
static wisp_tensor *weigh(wisp_step *s, wisp_tensor *loss, wisp_tensor *x)
{
    if (!x)
        return loss;
    const wisp_desc flat = wisp_desc1(WISP_F32, wisp_desc_count(wisp_shape_of(s, x)));
    x = wisp_reshape(s, wisp_cast(s, x, WISP_F32), &flat);
    wisp_tensor *weighed = wisp_mul(s, x, wisp_uniform(s, flat.shape[0]));
    wisp_tensor *both = wisp_add(s, weighed, wisp_scale(s, wisp_mul(s, x, x), 0.5));
    wisp_tensor *part = wisp_mean(s, both, 0, 0);
    return loss ? wisp_add(s, loss, part) : part;
}

static wisp_tensor *asking_step(void *self, wisp_step *s, const wisp_batch *batch)
{
    const asking *a = self;
    wisp_tensor *loss = NULL;
    for (int32_t v = 0; v < batch->n_views; v++) {
        wisp_features out = {.struct_size = sizeof out,
                             .taps = wispi_module_backbone_info(a->backbone)->taps};
        loss = weigh(s, loss, wisp_forward_features(s, a->backbone, wisp_view(s, batch, v), &out));
        loss = weigh(s, loss, out.map);
        loss = weigh(s, loss, out.tokens);
        for (int32_t i = 0; i < out.n_stages && i < WISP_MAX_STAGES; i++)
            loss = weigh(s, loss, out.stages[i]);
    }
    return loss;
}

static wisp_module *asking_network(void *self)
{
    return ((asking *)self)->backbone;
}

static const wisp_method_v0 asking_table = {.struct_size = sizeof asking_table,
                                            .requirements = asking_requirements,
                                            .build = asking_build,
                                            .step = asking_step,
                                            .evaluated_network = asking_network};

static const wisp_descriptor asking_method = {
    .struct_size = sizeof asking_method,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_METHOD,
    .name = WISPI_STAND_IN,
    .version = "0.1.0",
    .summary = "a loss of all that a backbone gives",
    .doc = "For wisp validate: what a backbone is trained with.",
    .license = "Apache-2.0",
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = asking_create,
    .destroy = asking_destroy,
    .vtable = &asking_table,
};

wisp_status wispi_stand_ins_add(wispi_registry *registry, wisp_error *err)
{
    static const wisp_descriptor *const list[] = {&tiny_backbone, &asking_method,
                                                  &wispi_sealed_backend};
    static const wisp_bundle bundle = {{'w', 'i', 's', 'p', '\r', '\n', 0x1a, '\n'},
                                       sizeof(wisp_bundle),
                                       WISP_ABI_MAJOR,
                                       WISP_ABI_MINOR,
                                       list,
                                       WISP_COUNT(list),
                                       NULL,
                                       NULL};
    const wispi_plugin *there = NULL;
    if (wispi_registry_load(registry, "backend", WISPI_SEALED_DEVICE, &there, NULL) == WISP_OK)
        return WISP_OK;
    return wispi_registry_add_static(registry, &bundle, err);
}

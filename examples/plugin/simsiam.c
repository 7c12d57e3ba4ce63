/* simsiam - SimSiam (Chen and He, CVPR 2021) as a plugin of one file. */
#include <wisp/sdk.h>

typedef struct simsiam {
    int64_t dim, hidden_dim, layers; /* the options, filled in by the host */
    wisp_module *backbone, *projector, *predictor;
} simsiam;

#define SIZE(field, value, text)                                                                   \
    {                                                                                              \
        .key = #field, .type = WISP_OPTION_I64, .offset = offsetof(simsiam, field),                \
        .default_value = value, .min = 1, .max = 65536, .help = text                               \
    }
static const wisp_option options[] = {
    SIZE(dim, "2048", "width of the projector, and of what is compared"),
    SIZE(hidden_dim, "512", "width inside the predictor"),
    SIZE(layers, "3", "layers of the projector; the paper has 2 for CIFAR-10"),
};

static void requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->min_global = r->max_global = 2;
    r->max_local = -1; /* none */
}

/* Section 3 and its "baseline settings". The projector's last batch norm has no affine part. */
static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    simsiam *m = self;
    (void)batch, (void)err; /* what goes wrong below, the builder remembers */
    wisp_module *net = wisp_network(b, "online");
    m->backbone = wisp_backbone(b, net, "backbone");
    m->projector = wisp_projection_head(b, net, "projector", wisp_output_dim(b, m->backbone),
                                        m->dim, m->dim, (int32_t)m->layers, 1, 2);
    m->predictor =
        wisp_projection_head(b, net, "predictor", m->dim, m->hidden_dim, m->dim, 2, 1, 0);
    return WISP_OK;
}

static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    simsiam *m = self;
    wisp_tensor *z[2], *p[2];
    for (int v = 0; v < 2; v++) { /* one call a view: batch norm sees one view at a time */
        wisp_tensor *x = wisp_forward(s, m->backbone, wisp_view(s, batch, v));
        z[v] = wisp_forward(s, m->projector, x);
        p[v] = wisp_forward(s, m->predictor, z[v]);
    }
    wisp_tensor *a = wisp_mean_cosine(s, p[0], wisp_stop_gradient(s, z[1]));
    wisp_tensor *b = wisp_mean_cosine(s, p[1], wisp_stop_gradient(s, z[0]));
    return wisp_scale(s, wisp_add(s, a, b), -0.5); /* equation 2 */
}

static wisp_module *evaluated_network(void *self)
{
    return ((simsiam *)self)->backbone;
}

static const wisp_method_v0 vtable = {.struct_size = sizeof vtable,
                                      .requirements = requirements,
                                      .build = build,
                                      .step = step,
                                      .evaluated_network = evaluated_network};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_METHOD,
    .name = "simsiam",
    .version = "1.0.0",
    .summary = "SimSiam: two views predict each other; a stop-gradient keeps them apart",
    .doc = "Two views, one network, no negatives and no moving average.",
    .license = "Apache-2.0",
    .reference = "Chen and He, Exploring simple siamese representation learning, CVPR 2021",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(simsiam),
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

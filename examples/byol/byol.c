/* byol - BYOL (Grill et al., NeurIPS 2020) as a plugin of one file. */
#include <wisp/sdk.h>

typedef struct byol {
    int64_t dim, hidden_dim; /* the options, filled in by the host */
    double momentum;
    wisp_module *online, *target, *backbone, *projector, *predictor;
    wisp_module *target_backbone, *target_projector;
    wisp_scalar *share;
} byol;

static const wisp_option options[] = {
    {.key = "dim",
     .type = WISP_OPTION_I64,
     .offset = offsetof(byol, dim),
     .default_value = "256",
     .min = 1,
     .max = 65536,
     .help = "width of what is predicted"},
    {.key = "hidden_dim",
     .type = WISP_OPTION_I64,
     .offset = offsetof(byol, hidden_dim),
     .default_value = "4096",
     .min = 1,
     .max = 65536,
     .help = "width inside projector and predictor"},
    {.key = "momentum",
     .type = WISP_OPTION_F64,
     .offset = offsetof(byol, momentum),
     .default_value = "0.996",
     .min = 0,
     .max = 1,
     .help = "share of the target that stays at the first step; it rises to 1"},
};

static void requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->min_global = r->max_global = 2;
    r->max_local = -1; /* none */
}

static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    byol *m = self;
    const wisp_schedule rise = wisp_cosine_schedule(m->momentum, 1);
    (void)batch, (void)err; /* what goes wrong below, the builder remembers */

    m->online = wisp_network(b, "online");
    m->backbone = wisp_backbone(b, m->online, "backbone");
    const int64_t width = wisp_output_dim(b, m->backbone);
    m->projector =
        wisp_projection_head(b, m->online, "projector", width, m->hidden_dim, m->dim, 2, 1, 0);
    m->predictor =
        wisp_projection_head(b, m->online, "predictor", m->dim, m->hidden_dim, m->dim, 2, 1, 0);

    m->target = wisp_network(b, "target"); /* the same, without a predictor */
    m->target_backbone = wisp_backbone(b, m->target, "backbone");
    m->target_projector =
        wisp_projection_head(b, m->target, "projector", width, m->hidden_dim, m->dim, 2, 1, 0);
    wisp_follow(b, m->target, m->online, NULL); /* paired by name; it starts as a copy */
    m->share = wisp_new_scalar(b, "momentum", &rise);
    return WISP_OK;
}

static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    byol *m = self;
    wisp_tensor *prediction[2], *target[2];
    for (int v = 0; v < 2; v++) { /* one call a view: batch norm sees one view at a time */
        wisp_tensor *image = wisp_view(s, batch, v);
        wisp_tensor *z = wisp_forward(s, m->projector, wisp_forward(s, m->backbone, image));
        prediction[v] = wisp_forward(s, m->predictor, z);
        wisp_no_grad_begin(s);
        target[v] = wisp_forward(s, m->target_projector, /* (B,dim) */
                                 wisp_forward(s, m->target_backbone, image));
        wisp_no_grad_end(s);
    }
    wisp_tensor *a = wisp_mean_cosine(s, prediction[0], target[1]);
    wisp_tensor *b = wisp_mean_cosine(s, prediction[1], target[0]);
    return wisp_affine(s, wisp_add(s, a, b), -2, 4); /* equation 2, for both orders of the views */
}

static void after_step(void *self, wisp_step *s)
{
    byol *m = self;
    wisp_ema_update(s, m->target, m->share);
}

static wisp_module *evaluated_network(void *self)
{
    return ((byol *)self)->backbone;
}

static const wisp_method_v0 vtable = {
    .struct_size = sizeof vtable,
    .requirements = requirements,
    .build = build,
    .step = step,
    .after_step = after_step,
    .evaluated_network = evaluated_network,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_METHOD,
    .name = "byol",
    .version = "1.0.0",
    .summary = "BYOL: one view predicts what a slowly following network makes of the other",
    .doc = "Two views, an online network with a predictor, and a target network that is its moving "
           "average; no negatives.",
    .license = "Apache-2.0",
    .reference = "Grill et al., Bootstrap your own latent, NeurIPS 2020",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(byol),
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

/* supervised - cross-entropy with the labels on one view of each image: training from nothing, full
 * fine-tuning, and semi-supervised fine-tuning with the head that SSLight reuses (Huang et al.
 * 2023).
 *
 * Everything is trained, batch norm in train mode. The three-layer head is laid out as the first
 * layers of DINO's head, so that a run's weights fit by name: mlp.0, mlp.1, mlp.3 and mlp.4. */
#include <wisp/sdk.h>

enum { HEAD_LINEAR = 0, HEAD_MLP = 1 };

typedef struct supervised_config {
    int64_t hidden_dim;
    int32_t head;
    int32_t reserved;
} supervised_config;

typedef struct supervised {
    const wisp_host *host;
    const supervised_config *config;
    wisp_module *network, *backbone, *head;
} supervised;

static const wisp_choice heads[] = {
    {"linear", "one layer with bias; weights N(0, 0.01), biases 0", HEAD_LINEAR, 0},
    {"mlp",
     "three layers, batch norm and GELU between them, as DINO's head begins; the usual first "
     "values",
     HEAD_MLP, 0},
    {NULL, NULL, 0, 0}};

static const wisp_option options[] = {
    {.key = "head",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(supervised_config, head),
     .default_value = "\"linear\"",
     .choices = heads,
     .help = "from the embedding to the classes"},
    {.key = "hidden_dim",
     .type = WISP_OPTION_I64,
     .offset = offsetof(supervised_config, hidden_dim),
     .default_value = "2048",
     .min = 1,
     .max = 1 << 20,
     .help = "head = \"mlp\": width of its two hidden layers"},
};

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    supervised *m = host->alloc(host, sizeof *m);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for supervised training");
    m->host = host;
    m->config = config;
    *self = m;
    return WISP_OK;
}

static void destroy(void *self)
{
    supervised *m = self;
    if (m)
        m->host->free(m->host, m);
}

static void requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->needs = WISP_NEED_LABELS;
    r->min_global = r->max_global = 1;
    r->max_local = -1;
}

static void build_head(const supervised_config *c, wisp_build *b, wisp_module *head, int64_t dim)
{
    const wisp_linear_desc linear = {.in = dim,
                                     .out = b->n_classes,
                                     .bias = 1,
                                     .weight = {WISP_INIT_NORMAL, 0, 0.01},
                                     .bias_init = {WISP_INIT_ZEROS, 0, 0}};
    const wisp_mlp_desc mlp = {.dims = {dim, c->hidden_dim, c->hidden_dim, b->n_classes},
                               .n_dims = 4,
                               .activation = WISP_MLP_GELU,
                               .batch_norm = 1};
    if (c->head == HEAD_MLP)
        wisp_mlp(b, head, "mlp", &mlp);
    else
        wisp_linear_layer(b, head, "classifier", &linear);
}

static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    supervised *m = self;
    (void)batch;
    (void)err;
    m->network = wisp_network(b, "network");
    m->backbone = wisp_backbone(b, m->network, "backbone");
    m->head = wisp_group(b, m->network, "head");
    build_head(m->config, b, m->head, wisp_output_dim(b, m->backbone));
    return WISP_OK;
}

static wisp_tensor *predict(void *self, wisp_step *s, wisp_tensor *images)
{
    const supervised *m = self;
    return wisp_forward(s, m->head, wisp_forward(s, m->backbone, images));
}

static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    wisp_tensor *scores = predict(self, s, wisp_view(s, batch, 0));
    return wisp_cross_entropy(s, scores, wisp_batch_part(s, batch, "label"), 1);
}

static wisp_module *evaluated_network(void *self)
{
    return ((supervised *)self)->backbone;
}

static const wisp_method_v0 vtable = {
    .struct_size = sizeof vtable,
    .requirements = requirements,
    .build = build,
    .step = step,
    .evaluated_network = evaluated_network,
    .predict = predict,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_METHOD,
    .name = "supervised",
    .version = "0.1.0",
    .summary = "supervised training and fine-tuning: cross-entropy with the labels",
    .doc =
        "One view of each image, one head on the embedding, cross-entropy with the label; all of "
        "the network is trained. Started from another run's weights it is full fine-tuning; with "
        "head = \"mlp\" and few labels the semi-supervised protocol of SSLight, which takes the "
        "first two layers of the head from DINO's. Task classify judges it.",
    .license = "Apache-2.0",
    .reference = "SSLight, ICLR 2023 (semi-supervised fine-tuning)",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(supervised_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

/* dino - self-distillation with no labels (Caron et al. 2021, "Emerging properties in
 * self-supervised vision transformers"), with the pair weights of SSLight (Huang et al. 2023).
 *
 * The student sees all views, the teacher the global ones only; the student predicts the teacher's
 * centred and sharpened distribution of every other view. The teacher is a moving average of the
 * student's parameters; its batch norm runs in train mode on statistics of its own. */
#include <wisp/sdk.h>

typedef struct dino_config {
    int64_t out_dim, hidden_dim, bottleneck_dim, freeze_last_layer_epochs;
    int32_t head_batch_norm, train_gain;
    double student_temperature;
    double teacher_temperature, teacher_temperature_start, teacher_temperature_warmup;
    double teacher_momentum, teacher_momentum_end, centre_momentum;
    wisp_list pair_weights;
} dino_config;

typedef struct network {
    wisp_module *network, *backbone, *head, *last_layer;
} network;

typedef struct dino {
    const wisp_host *host;
    const dino_config *config;
    network student, teacher;
    wisp_state *centre; /* f32(K) */
    wisp_pairs pairs;
    wisp_scalar *teacher_temperature, *teacher_momentum;
    int32_t n_global;          /* G */
    int32_t freeze_last_layer; /* in this epoch */
    wisp_tensor *teacher_out;  /* of this step: T(G*B,K) */
} dino;

#define OFFSET(field) offsetof(dino_config, field)

static const wisp_option options[] = {
    {.key = "out_dim",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(out_dim),
     .default_value = "4096",
     .min = 2,
     .max = 1 << 24,
     .help = "K, outputs of the head: 4096 for convolutional networks, 65536 for transformers"},
    {.key = "hidden_dim",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(hidden_dim),
     .default_value = "2048",
     .min = 1,
     .max = 1 << 20,
     .help = "width of the head's two hidden layers"},
    {.key = "bottleneck_dim",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(bottleneck_dim),
     .default_value = "256",
     .min = 1,
     .max = 1 << 20,
     .help = "values of length 1 that the head's last layer sees"},
    {.key = "head_batch_norm",
     .type = WISP_OPTION_BOOL,
     .offset = OFFSET(head_batch_norm),
     .default_value = "true",
     .help = "batch norm in the head; true for convolutional networks, false for transformers"},
    {.key = "train_gain",
     .type = WISP_OPTION_BOOL,
     .offset = OFFSET(train_gain),
     .default_value = "false",
     .help = "the last layer's gain is trained (true for transformers), or stays 1"},
    {.key = "freeze_last_layer_epochs",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(freeze_last_layer_epochs),
     .default_value = "1",
     .min = 0,
     .max = 1 << 20,
     .unit = "epochs",
     .help = "the last layer does not move in the first epochs"},
    {.key = "student_temperature",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = OFFSET(student_temperature),
     .default_value = "0.1",
     .min = 0,
     .max = 100,
     .help = "divides the student's outputs"},
    {.key = "teacher_temperature",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = OFFSET(teacher_temperature),
     .default_value = "0.07",
     .min = 0,
     .max = 100,
     .help = "divides the teacher's centred outputs after the warm-up"},
    {.key = "teacher_temperature_start",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = OFFSET(teacher_temperature_start),
     .default_value = "0.04",
     .min = 0,
     .max = 100,
     .help = "the same in the first epoch"},
    {.key = "teacher_temperature_warmup",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(teacher_temperature_warmup),
     .default_value = "50",
     .min = 0,
     .max = 1 << 20,
     .unit = "epochs",
     .help = "epochs from one to the other, both included; 30 for transformers"},
    {.key = "teacher_momentum",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(teacher_momentum),
     .default_value = "0.996",
     .min = 0,
     .max = 1,
     .help = "share of the teacher that stays at the first step"},
    {.key = "teacher_momentum_end",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(teacher_momentum_end),
     .default_value = "1.0",
     .min = 0,
     .max = 1,
     .help = "the same at the end of the run; in between lies a half cosine"},
    {.key = "centre_momentum",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(centre_momentum),
     .default_value = "0.9",
     .min = 0,
     .max = 1,
     .help = "share of the centre that stays at each step"},
    WISP_PAIR_WEIGHTS_OPTION(dino_config, pair_weights),
};

static wisp_status check(const void *config, wisp_error *err)
{
    return wisp_pair_weights_check(&((const dino_config *)config)->pair_weights, err);
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    dino *m = host->alloc(host, sizeof *m);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for dino");
    m->host = host;
    m->config = config;
    *self = m;
    return WISP_OK;
}

static void destroy(void *self)
{
    dino *m = self;
    if (m)
        m->host->free(m->host, m);
}

static void requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->min_global = 2;
}

/* --- networks --- */

static network build_network(const dino_config *c, wisp_build *b, const char *name)
{
    network n;
    n.network = wisp_network(b, name);
    n.backbone = wisp_backbone(b, n.network, "backbone");
    const wisp_dino_head_desc head = {.in = wisp_output_dim(b, n.backbone),
                                      .hidden = c->hidden_dim,
                                      .bottleneck = c->bottleneck_dim,
                                      .out = c->out_dim,
                                      .batch_norm = c->head_batch_norm,
                                      .train_gain = c->train_gain};
    n.head = wisp_dino_head(b, n.network, "head", &head, &n.last_layer);
    return n;
}

/* Caron et al. 2021, section 3.1 and figure 7: without sharpening outputs become uniform, without
 * centring one takes all. */
static void build_signs(const dino_config *c, wisp_build *b)
{
    static const char sharpen[] =
        "lower teacher_temperature and teacher_temperature_start of [method] or lr of [optimizer], "
        "or raise freeze_last_layer_epochs or teacher_momentum";
    wisp_uniform_sign(b, "teacher_entropy", (double)c->out_dim,
                      "the teacher gives every output the same probability", sharpen);
    if (b->batch >= 8) /* fewer images may well have one output */
        wisp_single_sign(b, "teacher_marginal_entropy",
                         "the teacher gives every image the same output",
                         "lower centre_momentum of [method], so that the centre follows sooner, or "
                         "raise teacher_temperature");
    wisp_uniform_sign(b, "loss_global", (double)c->out_dim,
                      "the loss stays at ln(out_dim), that of uniform outputs", sharpen);
}

static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    dino *m = self;
    const dino_config *c = m->config;
    (void)err;
    m->n_global = batch->groups[0].count;
    m->student = build_network(c, b, "student");
    m->teacher = build_network(c, b, "teacher");
    wisp_follow(b, m->teacher.network, m->student.network, NULL);

    const wisp_schedule temperature = wisp_rise_schedule(
        c->teacher_temperature_start, c->teacher_temperature, c->teacher_temperature_warmup);
    const wisp_schedule momentum =
        wisp_cosine_schedule(c->teacher_momentum, c->teacher_momentum_end);
    m->teacher_temperature = wisp_new_scalar(b, "teacher_temperature", &temperature);
    m->teacher_momentum = wisp_new_scalar(b, "teacher_momentum", &momentum);
    m->centre = wisp_centre_build(b, "centre", c->out_dim);
    m->pairs = wisp_pairs_build(b, batch, m->n_global, &c->pair_weights);
    build_signs(c, b);
    return WISP_OK;
}

/* --- a step --- */

static wisp_status epoch_begin(void *self, const wisp_clock *clock, wisp_error *err)
{
    dino *m = self;
    (void)err;
    m->freeze_last_layer = clock->epoch < m->config->freeze_last_layer_epochs;
    return WISP_OK;
}

/* The head's output for the first views, view-major: T(n_views*B,K). The head runs once on all. */
static wisp_tensor *outputs(wisp_step *s, const network *n, const wisp_batch *batch,
                            int32_t n_views)
{
    return wisp_forward(s, n->head, wisp_embed_views(s, n->backbone, batch, 0, n_views));
}

static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    dino *m = self;
    wisp_no_grad_begin(s);
    m->teacher_out = outputs(s, &m->teacher, batch, m->n_global);
    wisp_tensor *temperature = wisp_scalar_value(s, m->teacher_temperature);
    wisp_tensor *targets = wisp_softmax_shifted(s, m->teacher_out, wisp_state_value(s, m->centre),
                                                wisp_div(s, wisp_constant(s, 1), temperature));
    wisp_no_grad_end(s);

    wisp_tensor *student_out = outputs(s, &m->student, batch, batch->n_views);
    wisp_metric(s, "teacher_entropy", wisp_mean_entropy(s, targets));
    wisp_metric(s, "teacher_marginal_entropy", wisp_entropy_of_mean(s, targets));
    return wisp_pairs_cross_entropy(s, &m->pairs, student_out, targets,
                                    1 / m->config->student_temperature);
}

static void after_backward(void *self, wisp_step *s)
{
    dino *m = self;
    if (m->freeze_last_layer)
        wisp_drop_gradient(s, m->student.last_layer);
}

static void after_step(void *self, wisp_step *s)
{
    dino *m = self;
    wisp_centre_update(s, m->centre, m->teacher_out, m->config->centre_momentum);
    wisp_ema_update(s, m->teacher.network, m->teacher_momentum);
}

static wisp_module *evaluated_network(void *self)
{
    return ((dino *)self)->student.backbone;
}

static const wisp_method_v0 vtable = {
    .struct_size = sizeof vtable,
    .requirements = requirements,
    .build = build,
    .epoch_begin = epoch_begin,
    .step = step,
    .after_backward = after_backward,
    .after_step = after_step,
    .evaluated_network = evaluated_network,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_METHOD,
    .name = "dino",
    .version = "0.1.0",
    .summary = "DINO: a student predicts its own moving average's view of the other crops",
    .doc = "Self-distillation over several crops. The student sees all views, the teacher the "
           "global ones; targets are the teacher's outputs, centred by their running mean and "
           "sharpened by a temperature. Two global views or more, any number of local ones. "
           "pair_weights = [0.4, 0.6] is the loss of SSLight. The student is evaluated.",
    .license = "Apache-2.0",
    .reference = "Caron et al., Emerging properties in self-supervised vision transformers, ICCV "
                 "2021, section 3.1, appendix C; SSLight, ICLR 2023 (pair weights, convolutional "
                 "networks)",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(dino_config),
    .flags = WISP_FLAG_DETERMINISTIC | WISP_FLAG_BATCH_COUPLED,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

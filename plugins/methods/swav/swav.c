/* swav - swapping assignments between views (Caron et al. 2020, "Unsupervised learning of visual
 * features by contrasting cluster assignments"), with the pair weights of SSLight (Huang et al.
 * 2023).
 *
 * Every view scores its embedding against prototypes. The scores of a global view, balanced over
 * the batch so that all prototypes are used alike, are its code; all other views predict it. There
 * is no teacher. In small batches a queue of earlier embeddings helps to balance. */
#include <wisp/sdk.h>

typedef struct swav_config {
    int64_t prototypes, hidden_dim, out_dim, freeze_prototypes_epochs;
    int64_t sinkhorn_iterations, queue_length, queue_start;
    int32_t head_batch_norm, override_init;
    double temperature, epsilon;
    wisp_list pair_weights;
} swav_config;

typedef struct swav {
    const wisp_host *host;
    const swav_config *config;
    wisp_module *backbone, *projection, *prototypes;
    wisp_pairs pairs;
    wisp_queue queues[WISP_MAX_VIEWS]; /* one a global view */
    int64_t queue_rows;                /* 0: there is none */
    int64_t batch;                     /* B */
    int32_t n_global;                  /* G */
    int32_t freeze_prototypes;         /* in this epoch */
    int32_t with_queue;                /* in this epoch */
    wisp_tensor *embeddings;           /* of this step: f32(V*B,D) */
} swav;

#define OFFSET(field) offsetof(swav_config, field)

static const wisp_option options[] = {
    {.key = "prototypes",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(prototypes),
     .default_value = "3000",
     .min = 2,
     .max = 1 << 20,
     .help = "K, clusters that the embeddings are shared out to"},
    {.key = "hidden_dim",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(hidden_dim),
     .default_value = "4096",
     .min = 1,
     .max = 1 << 20,
     .help = "width of the head's hidden layer"},
    {.key = "out_dim",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(out_dim),
     .default_value = "128",
     .min = 1,
     .max = 1 << 16,
     .help = "D, values of length 1 that embeddings and prototypes have"},
    {.key = "head_batch_norm",
     .type = WISP_OPTION_BOOL,
     .offset = OFFSET(head_batch_norm),
     .default_value = "true",
     .help = "batch norm in the head"},
    {.key = "override_init",
     .type = WISP_OPTION_BOOL,
     .offset = OFFSET(override_init),
     .default_value = "true",
     .help = "the published start of the whole run, joint probes included: convolutions normal by "
             "fan-out, batch norms plain, linear layers N(0, 0.01) and biases 0; false: as each "
             "plugin has it"},
    {.key = "freeze_prototypes_epochs",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(freeze_prototypes_epochs),
     .default_value = "1",
     .min = 0,
     .max = 1 << 20,
     .unit = "epochs",
     .help = "the prototypes do not move in the first epochs"},
    {.key = "temperature",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = OFFSET(temperature),
     .default_value = "0.1",
     .min = 0,
     .max = 100,
     .help = "divides the scores that predict"},
    {.key = "epsilon",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(epsilon),
     .default_value = "0.05",
     .min = 0.02,
     .max = 100,
     .help = "divides the scores that codes are made of; small makes codes sharp, and below 0.02 "
             "their sum might leave single precision"},
    {.key = "sinkhorn_iterations",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(sinkhorn_iterations),
     .default_value = "3",
     .min = 1,
     .max = 100,
     .help = "rounds of balancing"},
    {.key = "queue_length",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(queue_length),
     .default_value = "3840",
     .min = 0,
     .max = 1 << 24,
     .help = "embeddings of earlier steps in each global view's queue, over all ranks; cut down to "
             "a multiple of the batch, and to none by a larger batch"},
    {.key = "queue_start",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(queue_start),
     .default_value = "15",
     .min = 0,
     .max = 1 << 20,
     .unit = "epochs",
     .help = "epochs before the queue begins to fill; once full it is used"},
    WISP_PAIR_WEIGHTS_OPTION(swav_config, pair_weights),
};

static wisp_status check(const void *config, wisp_error *err)
{
    return wisp_pair_weights_check(&((const swav_config *)config)->pair_weights, err);
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    swav *m = host->alloc(host, sizeof *m);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for swav");
    m->host = host;
    m->config = config;
    *self = m;
    return WISP_OK;
}

static void destroy(void *self)
{
    swav *m = self;
    if (m)
        m->host->free(m->host, m);
}

static void requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->min_global = 2;
}

/* --- network --- */

static void build_network(swav *m, wisp_build *b)
{
    const swav_config *c = m->config;
    const wisp_init normal = {WISP_INIT_NORMAL, 0, 0.01};
    wisp_module *network = wisp_network(b, "network");
    m->backbone = wisp_backbone(b, network, "backbone");
    wisp_module *head = wisp_group(b, network, "head");
    const wisp_unit_head_desc projection = {.in = wisp_output_dim(b, m->backbone),
                                            .hidden = c->hidden_dim,
                                            .out = c->out_dim,
                                            .layers = 2,
                                            .batch_norm = c->head_batch_norm,
                                            .weight = normal};
    const wisp_linear_desc prototypes = {.in = c->out_dim, .out = c->prototypes, .weight = normal};
    m->projection = wisp_unit_head(b, head, "projection", &projection);
    m->prototypes = wisp_linear_layer(b, head, "prototypes", &prototypes);
}

static void override_init(wisp_build *b)
{
    const wisp_init_override everywhere = {.conv_weight = {WISP_INIT_KAIMING_FAN_OUT, 0, 0},
                                           .linear_weight = {WISP_INIT_NORMAL, 0, 0.01},
                                           .plain_batch_norm = 1};
    wisp_override_init(b, &everywhere);
}

/* Whole batches of all ranks: each rank holds the same queue. */
static void build_queues(swav *m, wisp_build *b)
{
    static const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
    const int64_t step_rows = m->batch * b->world_size;
    m->queue_rows = m->config->queue_length - m->config->queue_length % step_rows;
    for (int32_t g = 0; g < m->n_global && m->queue_rows; g++) {
        char name[32];
        snprintf(name, sizeof name, "queue.%d", g);
        m->queues[g] = wisp_queue_build(b, name, m->queue_rows, m->config->out_dim, &zeros);
    }
}

/* Balancing makes codes of equal scores uniform, so that codes of images that look the same are
 * uniform too. Over a batch codes use all prototypes by construction, whatever is learned: that
 * says nothing, but the predictions' use of them does. */
static void build_signs(const swav_config *c, wisp_build *b)
{
    static const char remedy[] =
        "lower lr of [optimizer] or epsilon of [method], or raise freeze_prototypes_epochs";
    wisp_uniform_sign(b, "code_entropy", (double)c->prototypes,
                      "codes give every prototype the same share: all images score alike", remedy);
    wisp_uniform_sign(b, "loss_global", (double)c->prototypes,
                      "the loss stays at ln(prototypes), that of uniform predictions", remedy);
    if (b->batch >= 8) /* fewer images may well be of one */
        wisp_single_sign(b, "prototype_entropy", "all images are predicted to be of one prototype",
                         remedy);
}

static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    swav *m = self;
    (void)err;
    m->n_global = batch->groups[0].count;
    m->batch = batch->size;
    build_network(m, b);
    if (m->config->override_init)
        override_init(b);
    build_queues(m, b);
    m->pairs = wisp_pairs_build(b, batch, m->n_global, &m->config->pair_weights);
    build_signs(m->config, b);
    return WISP_OK;
}

/* --- a step --- */

static wisp_status epoch_begin(void *self, const wisp_clock *clock, wisp_error *err)
{
    swav *m = self;
    (void)err;
    m->freeze_prototypes = clock->epoch < m->config->freeze_prototypes_epochs;
    m->with_queue = m->queue_rows && clock->epoch >= m->config->queue_start;
    return WISP_OK;
}

/* A queue fills in the middle of an epoch, where a step's calls must stay as they are: until then
 * its rows count nothing. Afterwards every rank counts its share of the rows that all hold. */
static wisp_tensor *queue_weights(const swav *m, wisp_step *s, const wisp_queue *queue)
{
    const wisp_desc queued = wisp_desc2(WISP_F32, m->queue_rows, 1);
    const wisp_desc own = wisp_desc2(WISP_F32, m->batch, 1);
    wisp_tensor *share = wisp_scale(s, wisp_queue_is_full(s, queue), 1.0 / wisp_world_size(s));
    wisp_tensor *both[2] = {wisp_broadcast_to(s, share, &queued), wisp_full(s, &own, 1)};
    return wisp_concat(s, both, 2, 0);
}

/* Codes f32(B,K) of one global view from its scores f32(B,K), below those of its queue. */
static wisp_tensor *codes(const swav *m, wisp_step *s, wisp_tensor *scores, int32_t view)
{
    const swav_config *c = m->config;
    const int32_t rounds = (int32_t)c->sinkhorn_iterations;
    if (!m->with_queue)
        return wisp_sinkhorn(s, scores, c->epsilon, rounds);
    const wisp_queue *queue = &m->queues[view];
    wisp_tensor *earlier = wisp_forward(s, m->prototypes, wisp_queue_rows(s, queue));
    wisp_tensor *all = wisp_concat(s, (wisp_tensor *[]){earlier, scores}, 2, 0);
    wisp_tensor *weights = queue_weights(m, s, queue);
    wisp_tensor *balanced = wisp_sinkhorn_weighted(s, all, weights, c->epsilon, rounds);
    return wisp_slice(s, balanced, 0, m->queue_rows, m->batch);
}

/* Codes of all global views, view-major; no gradient. f32(G*B,K) */
static wisp_tensor *all_codes(const swav *m, wisp_step *s, wisp_tensor *scores)
{
    wisp_tensor *views[WISP_MAX_VIEWS];
    wisp_no_grad_begin(s);
    for (int32_t g = 0; g < m->n_global; g++)
        views[g] = codes(m, s, wisp_slice(s, scores, 0, g * m->batch, m->batch), g);
    wisp_tensor *all = wisp_concat(s, views, m->n_global, 0);
    wisp_metric(s, "code_entropy", wisp_mean_entropy(s, all));
    if (m->with_queue)
        wisp_metric(s, "queue_used", wisp_queue_is_full(s, &m->queues[0]));
    wisp_no_grad_end(s);
    return all;
}

/* How many prototypes the predictions for the global views use, as an entropy. */
static void report_use(const swav *m, wisp_step *s, wisp_tensor *scores)
{
    wisp_no_grad_begin(s);
    wisp_tensor *global = wisp_slice(s, scores, 0, 0, m->n_global * m->batch);
    wisp_tensor *predictions = wisp_softmax(s, global, 1 / m->config->temperature);
    wisp_metric(s, "prototype_entropy", wisp_entropy_of_mean(s, predictions));
    wisp_no_grad_end(s);
}

/* Scores are cosines; in f32 whatever the run's precision, since codes are made of their
 * exponentials. */
static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    swav *m = self;
    wisp_normalize_rows_of(s, m->prototypes, 1e-12);
    wisp_tensor *features = wisp_embed_views(s, m->backbone, batch, 0, batch->n_views);
    m->embeddings = wisp_cast(s, wisp_forward(s, m->projection, features), WISP_F32);
    wisp_tensor *scores = wisp_forward(s, m->prototypes, m->embeddings);
    wisp_tensor *targets = all_codes(m, s, scores);
    report_use(m, s, scores);
    return wisp_pairs_cross_entropy(s, &m->pairs, scores, targets, 1 / m->config->temperature);
}

static void after_backward(void *self, wisp_step *s)
{
    swav *m = self;
    if (m->freeze_prototypes)
        wisp_drop_gradient(s, m->prototypes);
}

static void after_step(void *self, wisp_step *s)
{
    swav *m = self;
    for (int32_t g = 0; g < m->n_global && m->with_queue; g++)
        wisp_queue_push(s, &m->queues[g], wisp_slice(s, m->embeddings, 0, g * m->batch, m->batch));
}

static wisp_module *evaluated_network(void *self)
{
    return ((swav *)self)->backbone;
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
    .name = "swav",
    .version = "0.1.0",
    .summary = "SwAV: every view predicts the balanced cluster code of the other crops",
    .doc = "Online clustering over several crops. Scores against prototypes of length 1 are made "
           "codes by Sinkhorn's balancing, from a queue of earlier embeddings too where the batch "
           "is small; all other views predict a global view's code. Two global views or more, any "
           "number of local ones. pair_weights = [0.4, 0.6] is the loss of SSLight.",
    .license = "Apache-2.0",
    .reference = "Caron et al., Unsupervised learning of visual features by contrasting cluster "
                 "assignments, NeurIPS 2020, section 3, appendix A; SSLight, ICLR 2023 (pair "
                 "weights, small networks)",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(swav_config),
    .flags = WISP_FLAG_DETERMINISTIC | WISP_FLAG_BATCH_COUPLED,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

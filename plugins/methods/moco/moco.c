/* moco - momentum contrast (He et al. 2020; version 2: Chen et al. 2020), with the local views and
 * the pair weights of SSLight (Huang et al. 2023).
 *
 * A query must find the key of its own image among the keys of a queue. The key is the embedding
 * of the first global view by a moving average of the query encoder, queries are embeddings of all
 * other views; nothing is symmetric. The average runs in train mode, on batch-norm statistics of
 * its own, and moves before it is used.
 *
 * Where batch norm sees only a part of the batch, its statistics tell which query and which key
 * were normalised together, and so which belong together. Keys are therefore shuffled over the
 * parts and put back in order afterwards. The host's statistics are those of the whole batch, over
 * all ranks, and hide nothing: a shuffle would change nothing but rounding, and is left out unless
 * `batch_norm_groups` asks for parts. These are parts of the batch of all ranks, and so is the
 * order that keys are shuffled to: each rank has whole parts, and the run is that of one process.
 */
#include <wisp/sdk.h>

enum { MAX_PARTS = 64 };

typedef struct moco_config {
    int64_t out_dim, hidden_dim, head_layers, queue_length, batch_norm_groups;
    int32_t head_batch_norm, local_views;
    double temperature, key_momentum;
    wisp_list pair_weights;
} moco_config;

/* A module whose batch norms see a part of the samples at a time. */
typedef struct parts {
    wisp_module *inner;
    int64_t batch, groups; /* of this rank */
} parts;

typedef struct encoder {
    wisp_module *network, *backbone;
    wisp_module *embed, *project; /* backbone and head, or these by parts */
    parts backbone_parts, head_parts;
} encoder;

typedef struct moco {
    const wisp_host *host;
    const moco_config *config;
    encoder query, key;
    wisp_queue queue;
    wisp_pairs pairs;
    wisp_scalar *key_momentum;
    int32_t n_queries; /* views, from the second on */
    wisp_tensor *keys; /* of this step: T(B,D) */
} moco;

#define OFFSET(field) offsetof(moco_config, field)

static const wisp_option options[] = {
    {.key = "out_dim",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(out_dim),
     .default_value = "128",
     .min = 1,
     .max = 1 << 16,
     .help = "D, values of length 1 that queries and keys have"},
    {.key = "hidden_dim",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(hidden_dim),
     .default_value = "2048",
     .min = 1,
     .max = 1 << 20,
     .help = "width of the head's hidden layers"},
    {.key = "head_layers",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(head_layers),
     .default_value = "2",
     .min = 1,
     .max = 7,
     .help = "linear layers of the head, ReLU between them; version 1 has one"},
    {.key = "head_batch_norm",
     .type = WISP_OPTION_BOOL,
     .offset = OFFSET(head_batch_norm),
     .default_value = "false",
     .help = "batch norm before each ReLU of the head"},
    {.key = "queue_length",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(queue_length),
     .default_value = "65536",
     .min = 1,
     .max = 1 << 24,
     .help = "K, keys to tell apart from the right one; a multiple of the batch of all ranks"},
    {.key = "temperature",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = OFFSET(temperature),
     .default_value = "0.2",
     .min = 0,
     .max = 100,
     .help = "divides the cosines; version 1 has 0.07"},
    {.key = "key_momentum",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(key_momentum),
     .default_value = "0.999",
     .min = 0,
     .max = 1,
     .help = "share of the key encoder that stays at each step, the same in the whole run"},
    {.key = "local_views",
     .type = WISP_OPTION_BOOL,
     .offset = OFFSET(local_views),
     .default_value = "true",
     .help = "false: local views make no queries, whatever the sampler gives"},
    {.key = "batch_norm_groups",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(batch_norm_groups),
     .default_value = "1",
     .min = 1,
     .max = MAX_PARTS,
     .help = "parts of the batch that batch norm sees one at a time, the keys shuffled over them: "
             "so many devices without synchronised statistics. Ranks share them out evenly"},
    WISP_PAIR_WEIGHTS_OPTION(moco_config, pair_weights),
};

static wisp_status check(const void *config, wisp_error *err)
{
    return wisp_pair_weights_check(&((const moco_config *)config)->pair_weights, err);
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    moco *m = host->alloc(host, sizeof *m);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for moco");
    m->host = host;
    m->config = config;
    *self = m;
    return WISP_OK;
}

static void destroy(void *self)
{
    moco *m = self;
    if (m)
        m->host->free(m->host, m);
}

static void requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->min_global = 2;
}

/* --- batch norm by parts --- */

static wisp_tensor *reshape(wisp_step *s, wisp_tensor *x, int32_t rank, const int64_t *shape)
{
    wisp_desc desc = {0, rank, {0}};
    memcpy(desc.shape, shape, (size_t)rank * sizeof *shape);
    return wisp_reshape(s, x, &desc);
}

/* Samples [first, first + length) of each view: (n*B,...) -> (n*length,...), view-major. */
static wisp_tensor *take_samples(wisp_step *s, wisp_tensor *x, int64_t batch, int64_t first,
                                 int64_t length)
{
    const wisp_desc whole = *wisp_shape_of(s, x);
    int64_t shape[WISP_MAX_RANK + 1] = {whole.shape[0] / batch, batch};
    memcpy(shape + 2, whole.shape + 1, (WISP_MAX_RANK - 1) * sizeof *shape);
    wisp_tensor *samples = wisp_slice(s, reshape(s, x, whole.rank + 1, shape), 1, first, length);
    shape[1] = whole.shape[0] / batch * length;
    return reshape(s, samples, whole.rank, shape + 1);
}

/* (n*B,...) -> (n*B,D), view-major both. */
static wisp_tensor *forward_parts(void *self, wisp_step *s, wisp_tensor *x)
{
    const parts *p = self;
    const int64_t length = p->batch / p->groups, views = wisp_shape_of(s, x)->shape[0] / p->batch;
    wisp_tensor *y[MAX_PARTS];
    int64_t dim = 0;
    for (int64_t g = 0; g < p->groups; g++) {
        wisp_own_statistics_begin(s, (int32_t)g, (int32_t)p->groups);
        y[g] = wisp_forward(s, p->inner, take_samples(s, x, p->batch, g * length, length));
        wisp_own_statistics_end(s);
        dim = wisp_shape_of(s, y[g])->shape[1];
        y[g] = reshape(s, y[g], 3, (int64_t[]){views, length, dim});
    }
    wisp_tensor *all = wisp_concat(s, y, (int32_t)p->groups, 1);
    return reshape(s, all, 2, (int64_t[]){views * p->batch, dim});
}

/* --- networks --- */

static wisp_module *by_parts(const moco_config *c, wisp_build *b, wisp_module *parent,
                             const char *name, parts *p)
{
    return c->batch_norm_groups == 1 ? p->inner
                                     : wisp_custom_layer(b, parent, name, p, forward_parts);
}

static int64_t ranks_of(const wisp_build *b)
{
    return b->world_size > 1 ? b->world_size : 1;
}

/* The encoders do not move once they are built: layers by parts point into them. */
static void build_encoder(const moco_config *c, wisp_build *b, int64_t batch, const char *name,
                          encoder *e)
{
    e->network = wisp_network(b, name);
    e->backbone = wisp_backbone(b, e->network, "backbone");
    const wisp_unit_head_desc desc = {.in = wisp_output_dim(b, e->backbone),
                                      .hidden = c->hidden_dim,
                                      .out = c->out_dim,
                                      .layers = (int32_t)c->head_layers,
                                      .batch_norm = c->head_batch_norm,
                                      .weight = {WISP_INIT_NORMAL, 0, 0.02}};
    wisp_module *head = wisp_unit_head(b, e->network, "head", &desc);
    e->backbone_parts = (parts){e->backbone, batch, c->batch_norm_groups / ranks_of(b)};
    e->head_parts = (parts){head, batch, c->batch_norm_groups / ranks_of(b)};
    e->embed = by_parts(c, b, e->network, "backbone_parts", &e->backbone_parts);
    e->project = by_parts(c, b, e->network, "head_parts", &e->head_parts);
}

/* `batch`: images on this rank. */
static void judge_sizes(const moco_config *c, wisp_build *b, int64_t batch)
{
    char text[200];
    const int64_t ranks = ranks_of(b), all = batch * ranks, groups = c->batch_norm_groups;
    if (c->queue_length % all) {
        snprintf(text, sizeof text,
                 "queue_length = %lld is no multiple of the batch of %lld: change either",
                 (long long)c->queue_length, (long long)all);
        wisp_build_fail(b, WISP_E_CONFIG, text);
    }
    if (groups > 1 && groups % ranks) {
        snprintf(text, sizeof text,
                 "batch_norm_groups = %lld cannot be shared out evenly to %lld ranks, and none may "
                 "span two of them: take a multiple of the ranks, or 1 for the statistics of all",
                 (long long)groups, (long long)ranks);
        wisp_build_fail(b, WISP_E_CONFIG, text);
    }
    if (all % groups) {
        snprintf(text, sizeof text,
                 "batch_norm_groups = %lld cannot share out %lld images evenly: change either",
                 (long long)groups, (long long)all);
        wisp_build_fail(b, WISP_E_CONFIG, text);
    }
}

static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    moco *m = self;
    const moco_config *c = m->config;
    const wisp_schedule constant = {.kind = WISP_SCHEDULE_CONSTANT, .value = c->key_momentum};
    (void)err;
    judge_sizes(c, b, batch->size);
    m->n_queries = (c->local_views ? batch->n_views : batch->groups[0].count) - 1;
    build_encoder(c, b, batch->size, "encoder_q", &m->query);
    build_encoder(c, b, batch->size, "encoder_k", &m->key);
    wisp_follow(b, m->key.network, m->query.network, NULL);
    m->key_momentum = wisp_new_scalar(b, "key_momentum", &constant);
    m->queue = wisp_queue_build(b, "queue", c->queue_length, c->out_dim, NULL);
    const wisp_pairs_desc pairs = {.targets = 1, .first = 1, .count = m->n_queries};
    m->pairs = wisp_pairs_build_some(b, batch, &pairs, &c->pair_weights);
    wisp_uniform_sign(b, "loss_global", (double)c->queue_length + 1,
                      "the loss stays at ln(queue_length + 1): a query fits all keys equally well",
                      "lower lr of [optimizer], or raise key_momentum of [method]");
    return WISP_OK;
}

/* --- a step --- */

/* A random order of n rows, and the order that undoes it; i64(n). */
static void shuffle(wisp_step *s, int64_t n, wisp_tensor *order[2])
{
    const int64_t row[2] = {1, n};
    wisp_tensor *index = NULL;
    wisp_top_k(s, reshape(s, wisp_uniform(s, n), 2, row), n, &index);
    order[0] = reshape(s, index, 1, &n);
    wisp_top_k(s, wisp_scale(s, wisp_cast(s, index, WISP_F32), -1), n, &index);
    order[1] = reshape(s, index, 1, &n);
}

/* The rows of all ranks' x that `order` puts in this rank's place. */
static wisp_tensor *reorder(wisp_step *s, wisp_tensor *x, wisp_tensor *order, int64_t own)
{
    wisp_tensor *place = wisp_slice(s, order, 0, wisp_world_rank(s) * own, own);
    return wisp_gather_rows(s, wisp_all_gather(s, x, 0), place);
}

static wisp_tensor *encode_keys(const moco *m, wisp_step *s, const wisp_batch *batch)
{
    wisp_tensor *order[2] = {NULL, NULL}, *images = wisp_view(s, batch, 0);
    if (m->config->batch_norm_groups == 1)
        return wisp_forward(s, m->key.project, wisp_forward(s, m->key.embed, images));
    shuffle(s, batch->size * wisp_world_size(s), order);
    wisp_tensor *mixed = wisp_forward(s, m->key.embed, reorder(s, images, order[0], batch->size));
    return reorder(s, wisp_forward(s, m->key.project, mixed), order[1], batch->size);
}

/* Cosines of queries (V*B,D) and the keys of their images (B,D): (V*B,1) */
static wisp_tensor *cosines(wisp_step *s, wisp_tensor *queries, wisp_tensor *keys)
{
    const wisp_desc *q = wisp_shape_of(s, queries), *k = wisp_shape_of(s, keys);
    const int64_t rows = q->shape[0], batch = k->shape[0], dim = k->shape[1];
    if (!batch)
        return wisp_mul(s, queries, keys); /* an error has come before */
    wisp_tensor *by_view = reshape(s, queries, 3, (int64_t[]){rows / batch, batch, dim});
    wisp_tensor *products = wisp_mul(s, by_view, keys);
    return reshape(s, wisp_sum(s, products, 1u << 2, 0), 2, (int64_t[]){rows, 1});
}

/* The right key is class 0 of every query: f32(B,1+K) */
static wisp_tensor *right_answers(wisp_step *s, int64_t batch, int64_t queue_length)
{
    const wisp_desc right = wisp_desc2(WISP_F32, batch, 1);
    const wisp_desc wrong = wisp_desc2(WISP_F32, batch, queue_length);
    wisp_tensor *both[2] = {wisp_full(s, &right, 1), wisp_full(s, &wrong, 0)};
    return wisp_concat(s, both, 2, 1);
}

static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    moco *m = self;
    const moco_config *c = m->config;
    wisp_no_grad_begin(s);
    wisp_ema_update(s, m->key.network, m->key_momentum);
    m->keys = encode_keys(m, s, batch);
    wisp_tensor *answers = right_answers(s, batch->size, c->queue_length);
    wisp_no_grad_end(s);

    wisp_tensor *embeddings = wisp_embed_views(s, m->query.embed, batch, 1, m->n_queries);
    wisp_tensor *queries = wisp_forward(s, m->query.project, embeddings);
    wisp_tensor *right = cosines(s, queries, m->keys);
    wisp_tensor *wrong = wisp_linear(s, queries, wisp_queue_rows(s, &m->queue), NULL);
    wisp_tensor *logits = wisp_concat(s, (wisp_tensor *[]){right, wrong}, 2, 1);
    wisp_metric(s, "key_cosine", wisp_mean(s, wisp_stop_gradient(s, right), 0, 0));
    return wisp_pairs_cross_entropy(s, &m->pairs, logits, answers, 1 / c->temperature);
}

/* Only now: no query may find a key of its own batch in the queue. */
static void after_step(void *self, wisp_step *s)
{
    moco *m = self;
    wisp_queue_push(s, &m->queue, m->keys);
}

static wisp_module *evaluated_network(void *self)
{
    return ((moco *)self)->query.backbone;
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
    .name = "moco",
    .version = "0.1.0",
    .summary = "MoCo: a view finds its image's key in a queue of other images' keys",
    .doc =
        "Contrast with a queue. The key is the first global view in the eyes of a moving average "
        "of the encoder; queries are all other views. Two global views or more, any number of "
        "local ones. The defaults are version 2 with local views; pair_weights = [0.4, 0.6] is "
        "the loss of SSLight. local_views = false is version 2 as published, and with "
        "head_layers = 1, temperature = 0.07 version 1. The query encoder is evaluated.",
    .license = "Apache-2.0",
    .reference = "He et al., Momentum contrast for unsupervised visual representation learning, "
                 "CVPR 2020, section 3; Chen et al., Improved baselines with momentum contrastive "
                 "learning, 2020; SSLight, ICLR 2023 (local views, pair weights)",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(moco_config),
    .flags = WISP_FLAG_DETERMINISTIC | WISP_FLAG_BATCH_COUPLED,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

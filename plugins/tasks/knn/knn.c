/* knn - the weighted k nearest neighbours' vote on normalised embeddings.
 *
 * The bank is walked in chunks. Each query keeps a heap of its k best, so memory grows neither with
 * bank x queries nor with a second copy of the embeddings. */
#include <math.h>
#include <stdlib.h>

#include <wisp/host.h>
#include <wisp/task.h>

enum { TRAIN_TEST = 0, LEAVE_ONE_OUT = 1 };

/* Most rows of a product. Few enough that its result stays near the cores. */
enum { QUERY_ROWS = 512, BANK_ROWS = 4096 };

/* Values in a thread's piece of work, at least. */
enum { PIECE_WORK = 1 << 17 };

typedef struct knn {
    int64_t k, blocks;
    double temperature;
    int32_t protocol, features;
} knn;

static const wisp_choice protocols[] = {
    {"train_test", "the test split is judged by the labels of the training split", TRAIN_TEST, 0},
    {"leave_one_out", "each image of the test split is judged by the others' labels", LEAVE_ONE_OUT,
     0},
    {NULL, NULL, 0, 0}};

static const wisp_choice features[] = {
    {"pooled", "the backbone's pooled embedding", WISP_EMBED_POOLED, 0},
    {"class_tokens", "class tokens of the last `blocks` blocks, each through the final norm",
     WISP_EMBED_CLASS_TOKENS, 0},
    {NULL, NULL, 0, 0}};

static const wisp_option options[] = {
    {.key = "k",
     .type = WISP_OPTION_I64,
     .offset = offsetof(knn, k),
     .default_value = "20",
     .min = 1,
     .max = 4096,
     .help = "neighbours that vote"},
    {.key = "temperature",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = offsetof(knn, temperature),
     .default_value = "0.07",
     .min = 0,
     .max = 1000,
     .help = "a neighbour of cosine c votes with the weight exp(c / temperature)"},
    {.key = "protocol",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(knn, protocol),
     .default_value = "\"train_test\"",
     .choices = protocols,
     .help = "which images vote on which; numbers of different protocols do not compare"},
    {.key = "features",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(knn, features),
     .default_value = "\"pooled\"",
     .choices = features,
     .help = "what stands for an image"},
    {.key = "blocks",
     .type = WISP_OPTION_I64,
     .offset = offsetof(knn, blocks),
     .default_value = "1",
     .min = 1,
     .max = 64,
     .help = "features = \"class_tokens\": the last so many blocks"},
};

/* --- neighbours --- */

typedef struct neighbour {
    float cosine;
    int32_t index;
} neighbour;

/* Of two equally near ones the later in the bank is the worse. */
static int is_worse(neighbour a, neighbour b)
{
    return a.cosine < b.cosine || (a.cosine == b.cosine && a.index > b.index);
}

/* Puts `fresh` in the place of the worst, which is heap[0]. */
static void replace_worst(neighbour *heap, int64_t k, neighbour fresh)
{
    int64_t hole = 0;
    for (int64_t child = 1; child < k; child = 2 * hole + 1) {
        if (child + 1 < k && is_worse(heap[child + 1], heap[child]))
            child++;
        if (!is_worse(heap[child], fresh))
            break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = fresh;
}

static int any_above(const float *x, int64_t n, float bound)
{
    int any = 0;
    for (int64_t i = 0; i < n; i++)
        any |= x[i] > bound;
    return any;
}

/* Offers cosines with the bank's rows from `first` on. Rows come in rising order, so one that is
 * only as near as the worst never takes its place. */
static void offer(neighbour *heap, int64_t k, const float *cosines, int64_t n, int64_t first,
                  int64_t self)
{
    enum { PIECE = 64 };
    for (int64_t piece = 0; piece < n; piece += PIECE) {
        const int64_t end = n - piece < PIECE ? n : piece + PIECE;
        if (!any_above(cosines + piece, end - piece, heap[0].cosine))
            continue;
        for (int64_t i = piece; i < end; i++)
            if (cosines[i] > heap[0].cosine && first + i != self)
                replace_worst(heap, k, (neighbour){cosines[i], (int32_t)(first + i)});
    }
}

/* --- one evaluation --- */

/* A chunk of rows, normalised; rows behind the last are zero, so that all products have one size
 * and the host prepares one computation. */
typedef struct chunk {
    const wisp_embeddings *from;
    float *rows;
    int64_t size, first, used;
} chunk;

typedef struct search {
    const knn *config;
    wisp_task_context *context;
    wisp_embeddings bank_split, query_split;
    chunk bank, query;
    float *cosines;   /* (query.size, bank.size) */
    neighbour *heaps; /* (queries, k) */
    double *votes;    /* (query.size, n_classes) */
    int32_t *ranks;   /* (queries): classes with more votes than the right one */
    int32_t *winners; /* (queries): classes with the most votes */
} search;

static int64_t chunk_rows(int64_t count, int64_t most)
{
    const int64_t chunks = (count + most - 1) / most;
    return (count + chunks - 1) / chunks;
}

static void normalise_rows(void *user, int64_t first, int64_t last)
{
    enum { LANES = 8 };
    const chunk *c = user;
    const int64_t dim = c->from->dim;
    for (int64_t i = first; i < last; i++) {
        const float *x = c->from->values + (c->first + i) * dim;
        double lanes[LANES] = {0}, sum = 0;
        int64_t j = 0;
        for (; j + LANES <= dim; j += LANES)
            for (int64_t l = 0; l < LANES; l++)
                lanes[l] += (double)x[j + l] * (double)x[j + l];
        for (; j < dim; j++)
            sum += (double)x[j] * (double)x[j];
        for (int64_t l = 0; l < LANES; l++)
            sum += lanes[l];
        const double length = sqrt(sum), factor = 1 / (length > 1e-12 ? length : 1e-12);
        for (j = 0; j < dim; j++)
            c->rows[i * dim + j] = (float)(x[j] * factor);
    }
}

static void load_chunk(const wisp_host *host, chunk *c, int64_t first)
{
    const int64_t left = c->from->count - first, dim = c->from->dim;
    c->first = first;
    c->used = left < c->size ? left : c->size;
    host->parallel_for(host, c->used, 1 + PIECE_WORK / dim, normalise_rows, c);
    memset(c->rows + c->used * dim, 0, (size_t)((c->size - c->used) * dim) * sizeof *c->rows);
}

static void offer_rows(void *user, int64_t first, int64_t last)
{
    const search *s = user;
    const int64_t k = s->config->k;
    for (int64_t i = first; i < last; i++) {
        const int64_t query = s->query.first + i;
        offer(s->heaps + query * k, k, s->cosines + i * s->bank.size, s->bank.used, s->bank.first,
              s->config->protocol == LEAVE_ONE_OUT ? query : -1);
    }
}

static wisp_status find_neighbours(search *s, wisp_error *err)
{
    wisp_task_context *c = s->context;
    const int64_t queries = s->query_split.count, k = s->config->k;
    for (int64_t i = 0; i < queries * k; i++)
        s->heaps[i] = (neighbour){-INFINITY, INT32_MAX};
    for (int64_t bank = 0; bank < s->bank_split.count; bank += s->bank.size) {
        if (c->stopping(c))
            return wisp_fail(err, WISP_E_STOPPED, "stopped while searching for neighbours");
        load_chunk(c->host, &s->bank, bank);
        for (int64_t query = 0; query < queries; query += s->query.size) {
            load_chunk(c->host, &s->query, query);
            WISP_TRY(c->product(c, s->query.rows, s->query.size, s->bank.rows, s->bank.size,
                                s->bank_split.dim, s->cosines, err));
            c->host->parallel_for(c->host, s->query.used, 1 + PIECE_WORK / s->bank.size, offer_rows,
                                  s);
        }
    }
    for (int64_t i = 0; i < queries; i++)
        if (s->heaps[i * k].index == INT32_MAX)
            return wisp_fail(err, WISP_E_NONFINITE,
                             "k-NN: the cosines of image %lld are not finite", (long long)i);
    return WISP_OK;
}

/* --- the vote --- */

/* A class without a voter is behind all others; of equal ones the lower number leads. */
static int32_t rank_of(const double *votes, int32_t n_classes, int32_t label)
{
    int32_t ahead = 0;
    if (!(votes[label] > 0))
        return n_classes;
    for (int32_t c = 0; c < n_classes; c++)
        ahead += votes[c] > votes[label] || (votes[c] == votes[label] && c < label);
    return ahead;
}

static int32_t winner_of(const double *votes, int32_t n_classes)
{
    int32_t best = 0;
    for (int32_t c = 1; c < n_classes; c++)
        best = votes[c] > votes[best] ? c : best;
    return best;
}

/* Weights are taken relative to the nearest one's, so that no temperature overflows. */
static void vote_rows(void *user, int64_t first, int64_t last)
{
    const search *s = user;
    const int64_t k = s->config->k;
    const int32_t n_classes = s->bank_split.n_classes;
    for (int64_t i = first; i < last; i++) {
        const int64_t query = s->query.first + i;
        const neighbour *heap = s->heaps + query * k;
        double *votes = s->votes + i * n_classes;
        float nearest = heap[0].cosine;
        for (int64_t j = 1; j < k; j++)
            nearest = heap[j].cosine > nearest ? heap[j].cosine : nearest;
        memset(votes, 0, (size_t)n_classes * sizeof *votes);
        for (int64_t j = 0; j < k; j++)
            votes[s->bank_split.labels[heap[j].index]] +=
                exp(((double)heap[j].cosine - (double)nearest) / s->config->temperature);
        s->ranks[query] = rank_of(votes, n_classes, s->query_split.labels[query]);
        s->winners[query] = winner_of(votes, n_classes);
    }
}

static void vote(search *s)
{
    const wisp_host *host = s->context->host;
    for (int64_t query = 0; query < s->query_split.count; query += s->query.size) {
        const int64_t left = s->query_split.count - query;
        s->query.first = query;
        host->parallel_for(host, left < s->query.size ? left : s->query.size,
                           1 + PIECE_WORK / (16 * s->config->k), vote_rows, s);
    }
}

static wisp_status report_top(const search *s, const char *metric, int32_t top, wisp_error *err)
{
    const knn *c = s->config;
    char protocol[256];
    int64_t hits = 0;
    for (int64_t i = 0; i < s->query_split.count; i++)
        hits += s->ranks[i] < top;
    snprintf(protocol, sizeof protocol,
             "{\"k\": %lld, \"temperature\": %.9g, \"protocol\": \"%s\", \"features\": \"%s\", "
             "\"blocks\": %lld, \"bank\": %lld, \"queries\": %lld}",
             (long long)c->k, c->temperature, protocols[c->protocol].name,
             features[c->features].name,
             c->features == WISP_EMBED_CLASS_TOKENS ? (long long)c->blocks : 0LL,
             (long long)s->bank_split.count, (long long)s->query_split.count);
    return s->context->report(s->context, metric,
                              100.0 * (double)hits / (double)s->query_split.count, protocol, err);
}

/* --- what comes in --- */

static wisp_status check_split(const wisp_embeddings *e, const char *name, wisp_error *err)
{
    if (e->count < 1 || e->count > INT32_MAX || e->dim < 1)
        return wisp_fail(err, WISP_E_DATA, "k-NN: the %s split has %lld images of %lld values",
                         name, (long long)e->count, (long long)e->dim);
    if (!e->labels || e->n_classes < 1)
        return wisp_fail(err, WISP_E_CONFIG,
                         "k-NN needs labels, the %s split has none: give a data set with classes",
                         name);
    for (int64_t i = 0; i < e->count; i++)
        if (e->labels[i] < 0 || e->labels[i] >= e->n_classes)
            return wisp_fail(err, WISP_E_DATA,
                             "k-NN: image %lld of the %s split has the label %d, but there are "
                             "%d classes",
                             (long long)i, name, e->labels[i], e->n_classes);
    for (int64_t i = 0; i < e->count * e->dim; i++)
        if (!isfinite(e->values[i]))
            return wisp_fail(err, WISP_E_NONFINITE,
                             "k-NN: the embedding of image %lld of the %s split is not finite: the "
                             "network has diverged; take a smaller learning rate",
                             (long long)(i / e->dim), name);
    return WISP_OK;
}

static wisp_status check_splits(const search *s, wisp_error *err)
{
    const wisp_embeddings *bank = &s->bank_split, *query = &s->query_split;
    const int alone = s->config->protocol == LEAVE_ONE_OUT;
    WISP_TRY(check_split(query, "test", err));
    if (!alone)
        WISP_TRY(check_split(bank, "training", err));
    if (bank->dim != query->dim || bank->n_classes != query->n_classes)
        return wisp_fail(err, WISP_E_DATA,
                         "k-NN: the training split has %lld values and %d classes, the test split "
                         "%lld and %d",
                         (long long)bank->dim, bank->n_classes, (long long)query->dim,
                         query->n_classes);
    if (s->config->k > bank->count - alone)
        return wisp_fail(err, WISP_E_CONFIG,
                         "k = %lld, but only %lld images can vote: take a smaller k",
                         (long long)s->config->k, (long long)(bank->count - alone));
    return WISP_OK;
}

static wisp_status allocate(search *s, wisp_error *err)
{
    const wisp_host *h = s->context->host;
    const int64_t queries = s->query_split.count, dim = s->bank_split.dim;
    s->bank.from = &s->bank_split;
    s->bank.size = chunk_rows(s->bank_split.count, BANK_ROWS);
    s->query.from = &s->query_split;
    s->query.size = chunk_rows(queries, QUERY_ROWS);
    s->bank.rows = h->alloc(h, (size_t)(s->bank.size * dim) * sizeof(float));
    s->query.rows = h->alloc(h, (size_t)(s->query.size * dim) * sizeof(float));
    s->cosines = h->alloc(h, (size_t)(s->query.size * s->bank.size) * sizeof(float));
    s->heaps = h->alloc(h, (size_t)(queries * s->config->k) * sizeof(neighbour));
    s->votes = h->alloc(h, (size_t)(s->query.size * s->bank_split.n_classes) * sizeof(double));
    s->ranks = h->alloc(h, (size_t)queries * sizeof(int32_t));
    s->winners = h->alloc(h, (size_t)queries * sizeof(int32_t));
    if (!s->bank.rows || !s->query.rows || !s->cosines || !s->heaps || !s->votes || !s->ranks ||
        !s->winners)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the neighbours of %lld images",
                         (long long)queries);
    return WISP_OK;
}

static void release(search *s)
{
    const wisp_host *h = s->context->host;
    void *const blocks[] = {s->bank.rows, s->query.rows, s->cosines, s->heaps,
                            s->votes,     s->ranks,      s->winners};
    for (size_t i = 0; i < WISP_COUNT(blocks); i++)
        h->free(h, blocks[i]);
}

static void ask_for(const knn *c, wisp_embed_request *request)
{
    request->source = c->features;
    request->n_blocks = (int32_t)c->blocks;
}

static void reads(void *self, wisp_embed_request *request)
{
    ask_for(self, request);
}

static wisp_status embed(const search *s, int32_t split, wisp_embeddings *out, wisp_error *err)
{
    wisp_embed_request request = {.struct_size = sizeof request, .split = split};
    ask_for(s->config, &request);
    return s->context->embed(s->context, &request, out, err);
}

static wisp_status judge(search *s, wisp_error *err)
{
    const int alone = s->config->protocol == LEAVE_ONE_OUT;
    WISP_TRY(embed(s, WISP_SPLIT_TEST, &s->query_split, err));
    WISP_TRY(embed(s, alone ? WISP_SPLIT_TEST : WISP_SPLIT_TRAIN, &s->bank_split, err));
    WISP_TRY(check_splits(s, err));
    WISP_TRY(allocate(s, err));
    WISP_TRY(find_neighbours(s, err));
    vote(s);
    WISP_TRY(report_top(s, "k-NN top-1", 1, err));
    WISP_TRY(wisp_report_predictions(s->context, "k-NN top-1", s->query_split.labels, s->winners,
                                     s->query_split.count, s->bank_split.n_classes, err));
    return s->bank_split.n_classes > 5 ? report_top(s, "k-NN top-5", 5, err) : WISP_OK;
}

static wisp_status evaluate(void *self, wisp_task_context *context, wisp_error *err)
{
    search s = {.config = self, .context = context};
    wisp_status status = judge(&s, err);
    release(&s);
    return status;
}

static uint32_t needs(void *self)
{
    const knn *c = self;
    return c->protocol == TRAIN_TEST ? WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST
                                     : WISP_TASK_NEEDS_TEST;
}

static const wisp_task_v0 vtable = {
    .struct_size = sizeof vtable, .needs = needs, .evaluate = evaluate, .reads = reads};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_TASK,
    .name = "knn",
    .version = "0.1.0",
    .summary = "weighted k-NN vote on embeddings: top-1 and top-5",
    .doc = "Embeddings are scaled to length 1; the k nearest by cosine vote for their classes with "
           "the weight exp(cosine / temperature). Nothing is trained. protocol = \"train_test\" is "
           "the usual measure; \"leave_one_out\" judges the test split by itself, as SSLight does "
           "while training, and must not be compared with it. Top-5 is reported from six classes "
           "on.",
    .license = "Apache-2.0",
    .reference = "Wu et al., Unsupervised feature learning via non-parametric instance "
                 "discrimination, CVPR 2018, section 3.4; SSLight, ICLR 2023 (leave-one-out)",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(knn),
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

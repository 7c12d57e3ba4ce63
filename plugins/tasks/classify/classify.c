/* classify - how often the method's own classifier is right on the test split. */
#include <wisp/host.h>
#include <wisp/task.h>

static uint32_t needs(void *self)
{
    (void)self;
    return WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST;
}

static void reads(void *self, wisp_embed_request *request)
{
    (void)self;
    request->source = WISP_EMBED_SCORES;
}

static wisp_status check_scores(const wisp_embeddings *e, wisp_error *err)
{
    if (e->count < 1 || !e->labels || e->n_classes < 1 || e->dim != e->n_classes)
        return wisp_fail(err, WISP_E_DATA,
                         "classify: %lld scores of %lld images do not fit the %d classes of the "
                         "test split",
                         (long long)e->dim, (long long)e->count, e->labels ? e->n_classes : 0);
    for (int64_t i = 0; i < e->count; i++)
        if (e->labels[i] < 0 || e->labels[i] >= e->n_classes)
            return wisp_fail(err, WISP_E_DATA,
                             "classify: image %lld of the test split has the label %d, but there "
                             "are %d classes",
                             (long long)i, e->labels[i], e->n_classes);
    return WISP_OK;
}

/* Classes that are not below the right one; what cannot be compared counts against it. */
static int32_t rank_of(const float *scores, int32_t n_classes, int32_t label)
{
    int32_t ahead = 0;
    for (int32_t c = 0; c < n_classes; c++)
        ahead += c != label && !(scores[c] < scores[label]);
    return ahead;
}

static double share_of(const wisp_embeddings *e, int32_t top)
{
    int64_t hits = 0;
    for (int64_t i = 0; i < e->count; i++)
        hits += rank_of(e->values + i * e->dim, e->n_classes, e->labels[i]) < top;
    return 100.0 * (double)hits / (double)e->count;
}

/* The class of the highest score, for each image. */
static wisp_status report_winners(wisp_task_context *c, const wisp_embeddings *e, wisp_error *err)
{
    int32_t *winners = c->host->alloc(c->host, (size_t)e->count * sizeof *winners);
    if (!winners)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the classes of %lld images",
                         (long long)e->count);
    for (int64_t i = 0; i < e->count; i++)
        for (int32_t k = 1; k < e->n_classes; k++)
            if (e->values[i * e->dim + k] > e->values[i * e->dim + winners[i]])
                winners[i] = k;
    const wisp_status status = wisp_report_predictions(c, "classifier top-1", e->labels, winners,
                                                       e->count, e->n_classes, err);
    c->host->free(c->host, winners);
    return status;
}

static wisp_status evaluate(void *self, wisp_task_context *c, wisp_error *err)
{
    wisp_embed_request request = {.struct_size = sizeof request, .split = WISP_SPLIT_TEST};
    wisp_embeddings scores;
    char protocol[128];
    reads(self, &request);
    WISP_TRY(c->embed(c, &request, &scores, err));
    WISP_TRY(check_scores(&scores, err));
    snprintf(protocol, sizeof protocol,
             "{\"protocol\": \"the method's own classifier\", \"test\": %lld}",
             (long long)scores.count);
    WISP_TRY(c->report(c, "classifier top-1", share_of(&scores, 1), protocol, err));
    WISP_TRY(report_winners(c, &scores, err));
    if (scores.n_classes <= 5)
        return WISP_OK;
    return c->report(c, "classifier top-5", share_of(&scores, 5), protocol, err);
}

static const wisp_task_v0 vtable = {
    .struct_size = sizeof vtable, .needs = needs, .evaluate = evaluate, .reads = reads};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_TASK,
    .name = "classify",
    .version = "0.1.0",
    .summary = "the method's own classifier on the test split: top-1 and top-5",
    .doc =
        "For methods that learn from labels, such as supervised. Scores are those of the network "
        "in eval mode under the evaluation view; nothing is trained. As a [[probe]] it is asked "
        "each epoch, and the run's summary names the last epoch and the best one, which is "
        "chosen on the test split.",
    .license = "Apache-2.0",
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

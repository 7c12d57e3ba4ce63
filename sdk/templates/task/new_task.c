/* @NAME@ - a task for wisp: judges a network by its embeddings of images with labels.
 *
 * What stands here classifies each test image by the nearest class mean of the training images, by
 * cosine. Put your idea into evaluate().
 *
 * How it works: the host hands over the embeddings of a whole split, computed by the network in
 * eval mode, and the task reports numbers with the protocol by which they were measured. The same
 * plugin serves as a [[probe]], watched while training, and as a [[task]], run at the end. Nothing
 * of it reaches the network that is judged. */
#include <math.h>

#include <wisp/host.h>
#include <wisp/task.h>

/* The options of [[task]] and [[probe]], which the host fills in. */
typedef struct task {
    int32_t centred;
} task;

static const wisp_option options[] = {
    {.key = "centred",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(task, centred),
     .default_value = "true",
     .help = "the mean of all training embeddings is taken off first"},
};

/* What must be there; an experiment without it is refused before training. */
static uint32_t needs(void *self)
{
    (void)self;
    return WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Embedding `i` without `mean`, at length 1. */
static void direction(const wisp_embeddings *e, int64_t i, const double *mean, double *out)
{
    for (int64_t d = 0; d < e->dim; d++)
        out[d] = (double)e->values[i * e->dim + d] - mean[d];
    const double length = sqrt(dot(out, out, e->dim));
    for (int64_t d = 0; d < e->dim && length > 0; d++)
        out[d] /= length;
}

/* Sums of the classes' directions: a cosine does not ask how many there were. */
static void add_classes(const wisp_embeddings *e, const double *mean, double *row, double *classes)
{
    for (int64_t i = 0; i < e->count; i++) {
        direction(e, i, mean, row);
        for (int64_t d = 0; d < e->dim; d++)
            classes[e->labels[i] * e->dim + d] += row[d];
    }
    for (int32_t c = 0; c < e->n_classes; c++) {
        double *sum = classes + c * e->dim, length = sqrt(dot(sum, sum, e->dim));
        for (int64_t d = 0; d < e->dim && length > 0; d++)
            sum[d] /= length;
    }
}

static int32_t nearest(const double *row, const double *classes, const wisp_embeddings *e)
{
    int32_t best = 0;
    for (int32_t c = 1; c < e->n_classes; c++)
        if (dot(row, classes + c * e->dim, e->dim) > dot(row, classes + best * e->dim, e->dim))
            best = c;
    return best;
}

/* `memory` holds the mean, one row, and the classes' rows. */
static double top_1(const task *t, const wisp_embeddings *train, const wisp_embeddings *test,
                    double *memory)
{
    double *mean = memory, *row = mean + train->dim, *classes = row + train->dim;
    int64_t right = 0;
    for (int64_t i = 0; t->centred && i < train->count * train->dim; i++)
        mean[i % train->dim] += (double)train->values[i] / (double)train->count;
    add_classes(train, mean, row, classes);
    for (int64_t i = 0; i < test->count; i++) {
        direction(test, i, mean, row);
        right += nearest(row, classes, train) == test->labels[i];
    }
    return 100.0 * (double)right / (double)test->count;
}

static wisp_status evaluate(void *self, wisp_task_context *context, wisp_error *err)
{
    const task *t = self;
    const wisp_host *host = context->host;
    wisp_embeddings train, test;
    wisp_embed_request request = {.struct_size = sizeof request, .split = WISP_SPLIT_TRAIN};
    WISP_TRY(context->embed(context, &request, &train, err));
    request.split = WISP_SPLIT_TEST;
    WISP_TRY(context->embed(context, &request, &test, err));
    if (!train.labels || !test.labels || train.count < 1 || test.count < 1 ||
        train.n_classes != test.n_classes || train.dim != test.dim)
        return wisp_fail(err, WISP_E_DATA,
                         "both splits must have images, and labels of the same classes");
    const size_t values = (size_t)((2 + train.n_classes) * train.dim);
    double *memory = host->alloc(host, values * sizeof *memory); /* zeroed */
    if (!memory)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %d class means", train.n_classes);
    const double accuracy = top_1(t, &train, &test, memory);
    host->free(host, memory);
    /* A number without its protocol cannot be compared: JSON, stored beside the number. */
    return context->report(context, "class-mean top-1", accuracy,
                           t->centred ? "{\"centred\": true}" : "{\"centred\": false}", err);
}

static const wisp_task_v0 vtable = {
    .struct_size = sizeof vtable, .needs = needs, .evaluate = evaluate};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_TASK,
    .name = "@NAME@",
    .version = "0.1.0",
    .summary = "the nearest class mean, by cosine",
    .doc = "Each class is the mean of its training images' embeddings at length 1; a test image is "
           "given the class whose mean has the largest cosine with its embedding. Reports the "
           "share that is right, in per cent.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(task),
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

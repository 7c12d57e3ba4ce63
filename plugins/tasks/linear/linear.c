/* linear - a linear classifier that is trained beside the method and judged by its predictions.
 *
 * The host hands over detached embeddings and optimises the classifier with everything else, at the
 * method's learning rate: the number is for watching a run, not for tables. */
#include <wisp/host.h>
#include <wisp/task.h>

enum { INIT_DEFAULT = 0, INIT_NORMAL = 1 };

typedef struct linear_config {
    int32_t init;
} linear_config;

typedef struct linear {
    const wisp_host *host;
    const linear_config *config;
    wisp_module *classifier;
} linear;

static const wisp_choice inits[] = {
    {"default", "weights and biases uniform in +-1/sqrt(dim), as SSLight has it for DINO and MoCo",
     INIT_DEFAULT, 0},
    {"normal", "weights N(0, 0.01), biases 0, as SSLight has it for SwAV", INIT_NORMAL, 0},
    {NULL, NULL, 0, 0}};

static const wisp_option options[] = {
    {.key = "init",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(linear_config, init),
     .default_value = "\"default\"",
     .choices = inits,
     .help = "how the classifier starts"},
};

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    linear *p = host->alloc(host, sizeof *p);
    if (!p)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a linear probe");
    p->host = host;
    p->config = config;
    *self = p;
    return WISP_OK;
}

static void destroy(void *self)
{
    linear *p = self;
    if (p)
        p->host->free(p->host, p);
}

static uint32_t needs(void *self)
{
    (void)self;
    return WISP_TASK_LEARNS | WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST;
}

static wisp_status build(void *self, wisp_build *b, wisp_module *parent, int64_t dim,
                         wisp_error *err)
{
    linear *p = self;
    wisp_linear_desc desc = {.in = dim, .out = b->n_classes, .bias = 1};
    if (b->n_classes < 1)
        return wisp_fail(err, WISP_E_CONFIG,
                         "a linear probe needs labels, but the data set of [data] has none");
    if (p->config->init == INIT_NORMAL) {
        desc.weight = (wisp_init){WISP_INIT_NORMAL, 0, 0.01};
        desc.bias_init = (wisp_init){WISP_INIT_ZEROS, 0, 0};
    }
    p->classifier = wisp_linear_layer(b, parent, "classifier", &desc);
    return WISP_OK;
}

static wisp_tensor *predict(void *self, wisp_step *s, wisp_tensor *embedding)
{
    return wisp_forward(s, ((linear *)self)->classifier, embedding);
}

static wisp_tensor *step(void *self, wisp_step *s, wisp_tensor *embedding, wisp_tensor *labels)
{
    return wisp_cross_entropy(s, predict(self, s, embedding), labels, 1);
}

static const wisp_task_v0 vtable = {
    .struct_size = sizeof vtable, .needs = needs, .build = build, .step = step, .predict = predict};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_TASK,
    .name = "linear",
    .version = "0.1.0",
    .summary = "a linear classifier trained beside the method, as a [[probe]]",
    .doc = "One linear layer with bias learns the labels from the detached embedding of the first "
           "view, at the method's learning rate and under its optimizer; its gradient never "
           "reaches the backbone. Judged on the test split. It reads lower than a classifier "
           "trained afterwards (linear_probe) and is meant for watching a run.",
    .license = "Apache-2.0",
    .reference = "SSLight, ICLR 2023 (joint linear probe)",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(linear_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

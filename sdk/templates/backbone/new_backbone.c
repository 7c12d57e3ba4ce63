/* @NAME@ - a backbone for wisp: from images (N,H,W,3) to embeddings (N,dim).
 *
 * What stands here is a plain stack of stages, each a 3 x 3 convolution of stride 2, batch norm and
 * ReLU, with a mean over the last map. Put your idea into build() and forward().
 *
 * How it works: build() makes the layers under `parent`, whose names are the parameters' names in
 * checkpoints; forward() says how an image goes through them. A method may hold the backbone more
 * than once (student, teacher): each has an instance of its own, so the layers are kept in it.
 * There is no backward pass to write. A map is (N,H,W,C), channels last. */
#include <wisp/backbone.h>
#include <wisp/host.h>

enum { MOST_STAGES = 6 };

/* The options of [backbone], which the host fills in. */
typedef struct config {
    int64_t width, stages;
} config;

typedef struct backbone {
    const wisp_host *host;
    const config *config;
    wisp_module *conv[MOST_STAGES], *norm[MOST_STAGES];
} backbone;

static const wisp_option options[] = {
    {.key = "width",
     .type = WISP_OPTION_I64,
     .offset = offsetof(config, width),
     .default_value = "16",
     .min = 1,
     .max = 512,
     .unit = "channels",
     .help = "channels of the first stage; each stage doubles them"},
    {.key = "stages",
     .type = WISP_OPTION_I64,
     .offset = offsetof(config, stages),
     .default_value = "3",
     .min = 1,
     .max = MOST_STAGES,
     .help = "stages, each of which halves height and width"},
};

/* What a plugin allocates, it allocates and frees through the host. */
static wisp_status create(const wisp_host *host, const void *filled, void **self, wisp_error *err)
{
    backbone *net = host->alloc(host, sizeof *net);
    if (!net)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a backbone");
    net->host = host;
    net->config = filled; /* lives as long as this instance */
    *self = net;
    return WISP_OK;
}

static void destroy(void *self)
{
    backbone *net = self;
    if (net)
        net->host->free(net->host, net);
}

static wisp_status build(void *self, wisp_build *b, wisp_module *parent, wisp_backbone_info *info,
                         wisp_error *err)
{
    backbone *net = self;
    int32_t in = 3, out = (int32_t)net->config->width;
    (void)err; /* what goes wrong below, the builder remembers */
    for (int64_t i = 0; i < net->config->stages; i++) {
        char name[16];
        snprintf(name, sizeof name, "stage%d", (int)i + 1);
        wisp_module *stage = wisp_group(b, parent, name);
        const wisp_conv2d_desc conv = {
            .in = in, .out = out, .kernel = 3, .stride = 2, .padding = 1};
        const wisp_norm_desc norm = {.channels = out};
        net->conv[i] = wisp_conv2d_layer(b, stage, "conv", &conv);
        net->norm[i] = wisp_batch_norm_layer(b, stage, "norm", &norm);
        in = out;
        out *= 2;
    }
    info->dim = in; /* of the pooled embedding */
    info->taps = WISP_TAP_STAGES;
    return WISP_OK;
}

static void forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    const backbone *net = self;
    for (int64_t i = 0; i < net->config->stages; i++) {
        x = wisp_forward(s, net->conv[i], x);
        x = wisp_batch_norm_act(s, net->norm[i], x, NULL, WISP_ACT_RELU);
        out->stages[i] = x;
    }
    out->n_stages = (int32_t)net->config->stages;
    out->map = x;
    out->pooled = wisp_mean(s, x, 1u << 1 | 1u << 2, 0); /* over height and width */
}

static const wisp_backbone_v0 vtable = {
    .struct_size = sizeof vtable, .build = build, .forward = forward};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_BACKBONE,
    .name = "@NAME@",
    .version = "0.1.0",
    .summary = "a plain stack of convolutions",
    .doc = "Each stage is a 3 x 3 convolution of stride 2, batch norm and ReLU; the embedding is "
           "the mean of the last map and has width * 2^(stages - 1) values.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

/* resnet - ResNet18/34/50 (He et al. 2016), the same mathematics and names as torchvision's.
 *
 * Bottleneck blocks have their stride on the 3x3 convolution (v1.5). Maps are (N,H,W,C). */
#include <wisp/backbone.h>
#include <wisp/host.h>

enum { MAX_BLOCKS = 6, N_STAGES = 4 };

typedef struct resnet_config {
    int64_t depth;
    double width;
    int32_t stem, zero_init_last;
} resnet_config;

enum { STEM_IMAGENET = 0, STEM_CIFAR = 1 };

typedef struct block {
    wisp_module *conv[3], *bn[3];
    wisp_module *shortcut_conv, *shortcut_bn; /* NULL: the identity */
} block;

typedef struct resnet {
    const wisp_host *host;
    const resnet_config *config;
    wisp_module *stem_conv, *stem_bn;
    block blocks[N_STAGES][MAX_BLOCKS];
    int n_blocks[N_STAGES];
    int bottleneck;
} resnet;

static const wisp_choice stems[] = {
    {"imagenet", "7x7 convolution of stride 2, then 3x3 max pooling of stride 2", STEM_IMAGENET, 0},
    {"cifar", "3x3 convolution of stride 1, no pooling", STEM_CIFAR, 0},
    {NULL, NULL, 0, 0}};

static const wisp_option options[] = {
    {.key = "depth",
     .type = WISP_OPTION_I64,
     .offset = offsetof(resnet_config, depth),
     .default_value = "18",
     .min = 10,
     .max = 50,
     .help = "10 (one block a stage), 18, 34 or 50"},
    {.key = "width",
     .type = WISP_OPTION_F64,
     .offset = offsetof(resnet_config, width),
     .default_value = "1.0",
     .min = 0.03125,
     .max = 8,
     .help = "factor of all channel counts; the first stage has 64 * width"},
    {.key = "stem",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(resnet_config, stem),
     .default_value = "\"imagenet\"",
     .choices = stems,
     .help = "how the image enters"},
    {.key = "zero_init_last",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(resnet_config, zero_init_last),
     .default_value = "false",
     .help = "the last batch norm of each block starts at 0, so that blocks start as the identity"},
};

static const int *blocks_of(int64_t depth)
{
    static const int shallow[N_STAGES] = {1, 1, 1, 1}, r18[N_STAGES] = {2, 2, 2, 2},
                     deep[N_STAGES] = {3, 4, 6, 3};
    switch (depth) {
    case 10:
        return shallow;
    case 18:
        return r18;
    case 34:
    case 50:
        return deep;
    default:
        return NULL;
    }
}

static wisp_status check(const void *config, wisp_error *err)
{
    const resnet_config *c = config;
    if (!blocks_of(c->depth))
        return wisp_fail(err, WISP_E_CONFIG, "depth = %lld: take 10, 18, 34 or 50",
                         (long long)c->depth);
    return WISP_OK;
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    resnet *net = host->alloc(host, sizeof *net);
    if (!net)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a resnet");
    net->host = host;
    net->config = config;
    net->bottleneck = net->config->depth == 50;
    memcpy(net->n_blocks, blocks_of(net->config->depth), sizeof net->n_blocks);
    *self = net;
    return WISP_OK;
}

static void destroy(void *self)
{
    resnet *net = self;
    if (net)
        net->host->free(net->host, net);
}

static wisp_module *conv(wisp_build *b, wisp_module *parent, const char *name, int in, int out,
                         int kernel, int stride)
{
    wisp_conv2d_desc desc = {
        .in = in, .out = out, .kernel = kernel, .stride = stride, .padding = kernel / 2};
    return wisp_conv2d_layer(b, parent, name, &desc);
}

static wisp_module *norm(wisp_build *b, wisp_module *parent, const char *name, int channels,
                         int start_at_zero)
{
    wisp_norm_desc desc = {.channels = channels, .zero_gamma = start_at_zero};
    return wisp_batch_norm_layer(b, parent, name, &desc);
}

/* `mid` channels inside; a bottleneck gives 4 * mid. */
static void build_block(resnet *net, wisp_build *b, wisp_module *parent, block *blk, int in,
                        int mid, int stride)
{
    int out = net->bottleneck ? 4 * mid : mid, zero = net->config->zero_init_last;
    if (net->bottleneck) {
        blk->conv[0] = conv(b, parent, "conv1", in, mid, 1, 1);
        blk->bn[0] = norm(b, parent, "bn1", mid, 0);
        blk->conv[1] = conv(b, parent, "conv2", mid, mid, 3, stride);
        blk->bn[1] = norm(b, parent, "bn2", mid, 0);
        blk->conv[2] = conv(b, parent, "conv3", mid, out, 1, 1);
        blk->bn[2] = norm(b, parent, "bn3", out, zero);
    } else {
        blk->conv[0] = conv(b, parent, "conv1", in, mid, 3, stride);
        blk->bn[0] = norm(b, parent, "bn1", mid, 0);
        blk->conv[1] = conv(b, parent, "conv2", mid, mid, 3, 1);
        blk->bn[1] = norm(b, parent, "bn2", mid, zero);
    }
    if (stride != 1 || in != out) {
        wisp_module *shortcut = wisp_group(b, parent, "downsample");
        blk->shortcut_conv = conv(b, shortcut, "0", in, out, 1, stride);
        blk->shortcut_bn = norm(b, shortcut, "1", out, 0);
    }
}

static wisp_status build(void *self, wisp_build *b, wisp_module *parent, wisp_backbone_info *info,
                         wisp_error *err)
{
    resnet *net = self;
    int base = (int)(64 * net->config->width + 0.5);
    if (base < 1)
        return wisp_fail(err, WISP_E_CONFIG, "width = %g leaves no channel", net->config->width);
    int imagenet = net->config->stem == STEM_IMAGENET;
    net->stem_conv = conv(b, parent, "conv1", 3, base, imagenet ? 7 : 3, imagenet ? 2 : 1);
    net->stem_bn = norm(b, parent, "bn1", base, 0);
    int in = base;
    for (int s = 0; s < N_STAGES; s++) {
        char name[16];
        snprintf(name, sizeof name, "layer%d", s + 1);
        wisp_module *stage = wisp_group(b, parent, name);
        for (int i = 0; i < net->n_blocks[s]; i++) {
            snprintf(name, sizeof name, "%d", i);
            build_block(net, b, wisp_group(b, stage, name), &net->blocks[s][i], in, base << s,
                        i == 0 && s > 0 ? 2 : 1);
            in = net->bottleneck ? 4 * (base << s) : base << s;
        }
    }
    info->dim = in;
    info->taps = WISP_TAP_STAGES;
    return WISP_OK;
}

static wisp_tensor *run_block(const resnet *net, const block *blk, wisp_step *s, wisp_tensor *x)
{
    wisp_tensor *shortcut = x;
    if (blk->shortcut_conv)
        shortcut = wisp_batch_norm_act(s, blk->shortcut_bn, wisp_forward(s, blk->shortcut_conv, x),
                                       NULL, WISP_ACT_NONE);
    int last = net->bottleneck ? 2 : 1;
    for (int i = 0; i < last; i++)
        x = wisp_batch_norm_act(s, blk->bn[i], wisp_forward(s, blk->conv[i], x), NULL,
                                WISP_ACT_RELU);
    return wisp_batch_norm_act(s, blk->bn[last], wisp_forward(s, blk->conv[last], x), shortcut,
                               WISP_ACT_RELU);
}

static void forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    const resnet *net = self;
    x = wisp_batch_norm_act(s, net->stem_bn, wisp_forward(s, net->stem_conv, x), NULL,
                            WISP_ACT_RELU);
    if (net->config->stem == STEM_IMAGENET) {
        wisp_pool_attrs pool = {
            .kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1};
        x = wisp_max_pool(s, x, &pool);
    }
    for (int stage = 0; stage < N_STAGES; stage++) {
        for (int i = 0; i < net->n_blocks[stage]; i++)
            x = run_block(net, &net->blocks[stage][i], s, x);
        out->stages[stage] = x;
    }
    out->n_stages = N_STAGES;
    out->map = x;
    out->pooled = wisp_mean(s, x, 1u << 1 | 1u << 2, 0);
}

/* --- other libraries --- */

static const char *const libraries[] = {"torchvision", "timm", NULL};

static wisp_status judge_exchange(const resnet_config *c, const char *library, wisp_error *err)
{
    if (c->stem != STEM_IMAGENET)
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s has no resnet with stem = \"cifar\", only with \"imagenet\"", library);
    if (c->width != 1)
        return wisp_fail(err, WISP_E_CONFIG, "%s has no resnet of width = %g, only of width = 1",
                         library, c->width);
    if (c->depth == 10 && strcmp(library, "timm") == 0)
        return wisp_fail(err, WISP_E_CONFIG,
                         "timm has no such resnet of depth = 10, only of 18, 34 and 50");
    return WISP_OK;
}

static wisp_status exchange(void *self, const char *library, wisp_exchange *out, wisp_error *err)
{
    const resnet_config *c = ((const resnet *)self)->config;
    WISP_TRY(judge_exchange(c, library, err));
    const int timm = strcmp(library, "timm") == 0;
    if (timm)
        snprintf(out->model, sizeof out->model,
                 "timm.create_model(\"resnet%d\", num_classes={classes})", (int)c->depth);
    else if (c->depth == 10)
        snprintf(out->model, sizeof out->model,
                 "torchvision.models.resnet.ResNet(torchvision.models.resnet.BasicBlock, "
                 "[1, 1, 1, 1], num_classes={classes})");
    else
        snprintf(out->model, sizeof out->model,
                 "torchvision.models.resnet%d(num_classes={classes})", (int)c->depth);
    snprintf(out->headless, sizeof out->headless, "%s",
             timm ? "" : "model.fc = torch.nn.Identity()");
    snprintf(out->classifier, sizeof out->classifier, "fc");
    out->dim = c->depth == 50 ? 2048 : 512;
    return WISP_OK;
}

/* The names are theirs. */
static void exchange_name(void *self, const char *library, const char *name, char *out,
                          size_t bytes)
{
    (void)self;
    (void)library;
    snprintf(out, bytes, "%s", name);
}

static const wisp_backbone_v0 vtable = {.struct_size = sizeof vtable,
                                        .build = build,
                                        .forward = forward,
                                        .libraries = libraries,
                                        .exchange = exchange,
                                        .exchange_name = exchange_name};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_BACKBONE,
    .name = "resnet",
    .version = "0.1.0",
    .summary = "ResNet18/34/50 with a width factor and an ImageNet or CIFAR stem",
    .doc =
        "The residual networks of He et al. as torchvision has them (bottleneck stride on the 3x3 "
        "convolution), parameter for parameter and name for name, without the classifier. The "
        "embedding is the global average of the last map.",
    .license = "Apache-2.0",
    .reference =
        "He et al., Deep residual learning for image recognition, CVPR 2016, sections 3, 4",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(resnet_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

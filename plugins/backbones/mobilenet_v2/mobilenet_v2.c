/* mobilenet_v2 - MobileNetV2 (Sandler et al. 2018), the same mathematics and names as
 * torchvision's.
 *
 * Inverted residuals: 1x1 expansion, 3x3 depthwise, 1x1 projection without activation. Maps are
 * (N,H,W,C). */
#include <math.h>

#include <wisp/backbone.h>
#include <wisp/host.h>

enum { N_STAGES = 7, N_BLOCKS = 17, STEM_CHANNELS = 32, LAST_CHANNELS = 1280 };

typedef struct mobilenet_config {
    double width;
    int32_t stem;
} mobilenet_config;

enum { STEM_IMAGENET = 0, STEM_CIFAR = 1 };

/* Table 2 of the paper. */
static const struct {
    int expansion, channels, blocks, stride;
} stages[N_STAGES] = {
    {1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2},  {6, 64, 4, 2},
    {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
};

typedef struct conv_norm {
    wisp_module *conv, *bn;
} conv_norm;

typedef struct block {
    conv_norm expand; /* NULL: the block works on its input's channels */
    conv_norm depthwise, project;
    int skip; /* adds its input */
} block;

typedef struct mobilenet {
    const wisp_host *host;
    const mobilenet_config *config;
    conv_norm stem, last;
    block blocks[N_BLOCKS];
} mobilenet;

static const wisp_choice stems[] = {
    {"imagenet", "stride 2 in the stem and in the 24-channel stage: 1/32 in all", STEM_IMAGENET, 0},
    {"cifar", "stride 1 in both: 1/8 in all, for images of 32 px", STEM_CIFAR, 0},
    {NULL, NULL, 0, 0}};

static const wisp_option options[] = {
    {.key = "width",
     .type = WISP_OPTION_F64,
     .offset = offsetof(mobilenet_config, width),
     .default_value = "1.0",
     .min = 0.03125,
     .max = 8,
     .help = "factor of all channel counts, rounded to multiples of 8; the last convolution has "
             "1280 channels or more"},
    {.key = "stem",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(mobilenet_config, stem),
     .default_value = "\"imagenet\"",
     .choices = stems,
     .help = "how early the map shrinks"},
};

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    mobilenet *net = host->alloc(host, sizeof *net);
    if (!net)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a mobilenet_v2");
    net->host = host;
    net->config = config;
    *self = net;
    return WISP_OK;
}

static void destroy(void *self)
{
    mobilenet *net = self;
    if (net)
        net->host->free(net->host, net);
}

/* The nearest multiple of 8, but never more than a tenth below. */
static int scaled(int channels, double width)
{
    const double exact = channels * width;
    int rounded = (int)(exact + 4) / 8 * 8;
    if (rounded < 8)
        rounded = 8;
    return rounded < 0.9 * exact ? rounded + 8 : rounded;
}

/* --- modules: children are numbered, as torchvision's sequences are --- */

static wisp_module *numbered(wisp_build *b, wisp_module *parent, int number)
{
    char name[16];
    snprintf(name, sizeof name, "%d", number);
    return wisp_group(b, parent, name);
}

/* A convolution and its batch norm as children `first` and `first` + 1 of `parent`. */
static conv_norm build_pair(wisp_build *b, wisp_module *parent, int first,
                            const wisp_conv2d_desc *desc)
{
    const wisp_norm_desc norm = {.channels = desc->out};
    char name[16];
    conv_norm pair;
    snprintf(name, sizeof name, "%d", first);
    pair.conv = wisp_conv2d_layer(b, parent, name, desc);
    snprintf(name, sizeof name, "%d", first + 1);
    pair.bn = wisp_batch_norm_layer(b, parent, name, &norm);
    return pair;
}

static void build_block(wisp_build *b, wisp_module *parent, block *blk, int in, int out,
                        int expansion, int stride)
{
    const int inside = in * expansion;
    const wisp_conv2d_desc expand = {.in = in, .out = inside, .kernel = 1, .stride = 1};
    const wisp_conv2d_desc depthwise = {
        .in = inside, .out = inside, .kernel = 3, .stride = stride, .padding = 1, .groups = inside};
    const wisp_conv2d_desc project = {.in = inside, .out = out, .kernel = 1, .stride = 1};
    wisp_module *conv = wisp_group(b, parent, "conv");
    int next = 0;
    if (expansion != 1)
        blk->expand = build_pair(b, numbered(b, conv, next++), 0, &expand);
    blk->depthwise = build_pair(b, numbered(b, conv, next++), 0, &depthwise);
    blk->project = build_pair(b, conv, next, &project);
    blk->skip = stride == 1 && in == out;
}

static wisp_status build(void *self, wisp_build *b, wisp_module *parent, wisp_backbone_info *info,
                         wisp_error *err)
{
    mobilenet *net = self;
    const double width = net->config->width;
    const int small = net->config->stem == STEM_CIFAR;
    wisp_module *features = wisp_group(b, parent, "features");
    int in = scaled(STEM_CHANNELS, width), index = 0;
    (void)err;
    const wisp_conv2d_desc stem = {
        .in = 3, .out = in, .kernel = 3, .stride = small ? 1 : 2, .padding = 1};
    net->stem = build_pair(b, numbered(b, features, index++), 0, &stem);
    for (int s = 0; s < N_STAGES; s++) {
        const int out = scaled(stages[s].channels, width);
        const int first_stride = small && s == 1 ? 1 : stages[s].stride;
        for (int i = 0; i < stages[s].blocks; i++, index++) {
            build_block(b, numbered(b, features, index), &net->blocks[index - 1], in, out,
                        stages[s].expansion, i == 0 ? first_stride : 1);
            in = out;
        }
    }
    const wisp_conv2d_desc last = {
        .in = in, .out = scaled(LAST_CHANNELS, width > 1 ? width : 1), .kernel = 1, .stride = 1};
    net->last = build_pair(b, numbered(b, features, index), 0, &last);
    info->dim = last.out;
    info->taps = WISP_TAP_STAGES;
    return WISP_OK;
}

/* --- forward --- */

static void run_pair(const conv_norm *pair, wisp_step *s, int32_t activation, wisp_lazy_map *x)
{
    wisp_conv_norm(s, pair->conv, pair->bn, x, activation, x);
}

/* `x` goes through the block; the skipped one is a map of its own. */
static void run_block(const block *blk, wisp_step *s, wisp_lazy_map *x)
{
    wisp_tensor *skipped = blk->skip ? x->map : NULL;
    if (blk->expand.conv)
        run_pair(&blk->expand, s, WISP_ACT_RELU6, x);
    run_pair(&blk->depthwise, s, WISP_ACT_RELU6, x);
    run_pair(&blk->project, s, WISP_ACT_NONE, x);
    *x = (wisp_lazy_map){.map = wisp_settle(s, x, skipped)};
}

static void forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    const mobilenet *net = self;
    const block *blk = net->blocks;
    wisp_lazy_map y = {.map = x};
    run_pair(&net->stem, s, WISP_ACT_RELU6, &y);
    for (int stage = 0; stage < N_STAGES; stage++) {
        for (int i = 0; i < stages[stage].blocks; i++)
            run_block(blk++, s, &y);
        out->stages[stage] = y.map;
    }
    run_pair(&net->last, s, WISP_ACT_RELU6, &y);
    x = wisp_settle(s, &y, NULL);
    out->stages[N_STAGES] = x;
    out->n_stages = N_STAGES + 1;
    out->map = x;
    out->pooled = wisp_mean(s, x, 1u << 1 | 1u << 2, 0);
}

/* --- other libraries --- */

static const char *const libraries[] = {"torchvision", "timm", NULL};

/* timm's names of the widths that it has; NULL for others. */
static const char *timm_model(double width)
{
    static const struct {
        double width;
        const char *name;
    } known[] = {{0.35, "mobilenetv2_035"},
                 {0.5, "mobilenetv2_050"},
                 {0.75, "mobilenetv2_075"},
                 {1.0, "mobilenetv2_100"},
                 {1.4, "mobilenetv2_140"}};
    for (size_t i = 0; i < WISP_COUNT(known); i++)
        if (fabs(known[i].width - width) < 1e-9)
            return known[i].name;
    return NULL;
}

static wisp_status exchange_timm(const mobilenet_config *c, wisp_exchange *out, wisp_error *err)
{
    if (!timm_model(c->width))
        return wisp_fail(err, WISP_E_CONFIG,
                         "timm has no mobilenetv2 of width = %g, only of 0.35, 0.5, 0.75, 1 and "
                         "1.4; torchvision has all",
                         c->width);
    snprintf(out->model, sizeof out->model, "timm.create_model(\"%s\", num_classes={classes})",
             timm_model(c->width));
    snprintf(out->classifier, sizeof out->classifier, "classifier");
    return WISP_OK;
}

static wisp_status exchange(void *self, const char *library, wisp_exchange *out, wisp_error *err)
{
    const mobilenet_config *c = ((const mobilenet *)self)->config;
    if (c->stem != STEM_IMAGENET)
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s has no mobilenet_v2 with stem = \"cifar\": the shapes are the same, "
                         "but its strides are those of \"imagenet\"",
                         library);
    out->dim = scaled(LAST_CHANNELS, c->width > 1 ? c->width : 1);
    if (strcmp(library, "timm") == 0)
        return exchange_timm(c, out, err);
    snprintf(out->model, sizeof out->model,
             "torchvision.models.mobilenet_v2(width_mult=%.15g, num_classes={classes})", c->width);
    snprintf(out->headless, sizeof out->headless, "model.classifier = torch.nn.Identity()");
    snprintf(out->classifier, sizeof out->classifier, "classifier.1");
    return WISP_OK;
}

/* timm counts blocks within stages, and its layers have names of their own. */
static void name_in_timm(int index, const char *rest, char *out, size_t bytes)
{
    static const wisp_renaming ends[] = {
        {"0.0.", "conv_stem."}, {"0.1.", "bn1."}, {"18.0.", "conv_head."}, {"18.1.", "bn2."}};
    static const wisp_renaming first[] = {{"conv.0.0.", "conv_dw."},
                                          {"conv.0.1.", "bn1."},
                                          {"conv.1.", "conv_pw."},
                                          {"conv.2.", "bn2."}};
    static const wisp_renaming others[] = {{"conv.0.0.", "conv_pw."}, {"conv.0.1.", "bn1."},
                                           {"conv.1.0.", "conv_dw."}, {"conv.1.1.", "bn2."},
                                           {"conv.2.", "conv_pwl."},  {"conv.3.", "bn3."}};
    int stage = 0, place = index - 1;
    if (index < 1 || index > N_BLOCKS) {
        char name[96];
        snprintf(name, sizeof name, "%d.%s", index, rest);
        wisp_rename(ends, WISP_COUNT(ends), name, out, bytes);
        return;
    }
    while (place >= stages[stage].blocks)
        place -= stages[stage++].blocks;
    snprintf(out, bytes, "blocks.%d.%d.", stage, place);
    if (index == 1)
        wisp_rename(first, WISP_COUNT(first), rest, out, bytes);
    else
        wisp_rename(others, WISP_COUNT(others), rest, out, bytes);
}

/* The names are torchvision's: features.<index>.<rest>. */
static void exchange_name(void *self, const char *library, const char *name, char *out,
                          size_t bytes)
{
    int index = 0, rest = 0;
    (void)self;
    out[0] = '\0';
    if (strcmp(library, "timm") != 0)
        snprintf(out, bytes, "%s", name);
    else if (sscanf(name, "features.%d.%n", &index, &rest) == 1 && rest > 0)
        name_in_timm(index, name + rest, out, bytes);
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
    .name = "mobilenet_v2",
    .version = "0.1.0",
    .summary = "MobileNetV2 with a width factor and an ImageNet or CIFAR stem",
    .doc = "The inverted residual network of Sandler et al. as torchvision has it (ReLU6, no "
           "dropout), parameter for parameter and name for name, without the classifier. The "
           "embedding is the global average of the last map. Stages: the seven of the paper's "
           "table 2, then the last map.",
    .license = "Apache-2.0",
    .reference = "Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, CVPR "
                 "2018, sections 3, 4",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(mobilenet_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

/* vit - vision transformers (Dosovitskiy et al. 2021) in the layout of DeiT and DINO: the same
 * mathematics and names as timm's.
 *
 * Tokens are (N,T,C), token 0 the class token, the others row by row. Position embeddings for
 * other view sizes are interpolated as Caron et al. 2021 do it in their published code. */
#include <math.h>

#include <wisp/backbone.h>
#include <wisp/host.h>

typedef struct vit_config {
    int64_t dim, depth, heads; /* 0: as `size` says */
    int64_t patch_size, image_size;
    double mlp_ratio, drop_path, norm_eps;
    int32_t size, qkv_bias, mask_token;
} vit_config;

enum { SIZE_TINY = 0, SIZE_SMALL = 1, SIZE_BASE = 2 };

typedef struct block {
    wisp_module *norm1, *qkv, *proj, *norm2, *fc1, *fc2;
} block;

typedef struct vit {
    const wisp_host *host;
    const vit_config *config;
    int64_t dim, depth, heads, mlp_dim;
    int64_t grid; /* of the position embedding: grid x grid patches */
    wisp_module *class_token, *position, *mask_token, *patches, *norm;
    block blocks[WISP_MAX_BLOCKS];
} vit;

static const wisp_choice sizes[] = {{"tiny", "192 wide, 12 blocks, 3 heads", SIZE_TINY, 0},
                                    {"small", "384 wide, 12 blocks, 6 heads", SIZE_SMALL, 0},
                                    {"base", "768 wide, 12 blocks, 12 heads", SIZE_BASE, 0},
                                    {NULL, NULL, 0, 0}};

static const wisp_option options[] = {
    {.key = "size",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(vit_config, size),
     .default_value = "\"tiny\"",
     .choices = sizes,
     .help = "width, depth and heads together"},
    {.key = "dim",
     .type = WISP_OPTION_I64,
     .offset = offsetof(vit_config, dim),
     .default_value = "0",
     .max = 8192,
     .help = "values of a token, and of the embedding; 0: as size says"},
    {.key = "depth",
     .type = WISP_OPTION_I64,
     .offset = offsetof(vit_config, depth),
     .default_value = "0",
     .max = WISP_MAX_BLOCKS,
     .help = "number of blocks; 0: as size says"},
    {.key = "heads",
     .type = WISP_OPTION_I64,
     .offset = offsetof(vit_config, heads),
     .default_value = "0",
     .max = 1024,
     .help = "attention heads of a block, a divisor of the width; 0: as size says"},
    {.key = "mlp_ratio",
     .type = WISP_OPTION_F64,
     .offset = offsetof(vit_config, mlp_ratio),
     .default_value = "4.0",
     .min = 0.125,
     .max = 16,
     .help = "width of the hidden layer of a block's MLP, in widths of a token"},
    {.key = "patch_size",
     .type = WISP_OPTION_I64,
     .offset = offsetof(vit_config, patch_size),
     .default_value = "16",
     .min = 1,
     .max = 256,
     .unit = "px",
     .help = "side of the square that becomes one token; pixels left over at the right and below "
             "are not seen"},
    {.key = "image_size",
     .type = WISP_OPTION_I64,
     .offset = offsetof(vit_config, image_size),
     .default_value = "224",
     .min = 1,
     .max = 4096,
     .unit = "px",
     .help = "side of the view that the position embedding is made for; other sizes interpolate"},
    {.key = "drop_path",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MAX,
     .offset = offsetof(vit_config, drop_path),
     .default_value = "0.1",
     .max = 1,
     .help = "probability that a sample skips a branch of the last block, rising linearly from 0 "
             "at the first; only while training, never in a network that follows another"},
    {.key = "qkv_bias",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(vit_config, qkv_bias),
     .default_value = "true",
     .help = "queries, keys and values have a bias"},
    {.key = "norm_eps",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = offsetof(vit_config, norm_eps),
     .default_value = "1e-6",
     .max = 1,
     .help = "what the layer norms add to the variance"},
    {.key = "mask_token",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(vit_config, mask_token),
     .default_value = "false",
     .help = "hidden patches become a learned token that starts at 0; without it they stay 0"},
};

static void dims_of(const vit_config *c, vit *net)
{
    static const int64_t usual[][3] = {{192, 12, 3}, {384, 12, 6}, {768, 12, 12}};
    const int64_t *as_size = usual[c->size];
    net->dim = c->dim ? c->dim : as_size[0];
    net->depth = c->depth ? c->depth : as_size[1];
    net->heads = c->heads ? c->heads : as_size[2];
    net->mlp_dim = (int64_t)((double)net->dim * c->mlp_ratio + 0.5);
    net->grid = c->image_size / c->patch_size;
}

static wisp_status check(const void *config, wisp_error *err)
{
    const vit_config *c = config;
    vit net;
    dims_of(c, &net);
    if (net.dim % net.heads)
        return wisp_fail(err, WISP_E_CONFIG,
                         "heads = %lld do not divide a width of %lld: change heads or dim",
                         (long long)net.heads, (long long)net.dim);
    if (net.mlp_dim < 1)
        return wisp_fail(err, WISP_E_CONFIG, "mlp_ratio = %g leaves no hidden value", c->mlp_ratio);
    if (c->image_size % c->patch_size)
        return wisp_fail(err, WISP_E_CONFIG,
                         "image_size = %lld is no multiple of patch_size = %lld",
                         (long long)c->image_size, (long long)c->patch_size);
    return WISP_OK;
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    vit *net = host->alloc(host, sizeof *net);
    if (!net)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a vit");
    net->host = host;
    net->config = config;
    dims_of(net->config, net);
    *self = net;
    return WISP_OK;
}

static void destroy(void *self)
{
    vit *net = self;
    if (net)
        net->host->free(net->host, net);
}

/* --- building --- */

/* The published code cuts at +-2, a hundred standard deviations away: a plain normal. */
static const wisp_init normal = {WISP_INIT_NORMAL, 0, 0.02};

static wisp_module *linear(wisp_build *b, wisp_module *parent, const char *name, int64_t in,
                           int64_t out, int32_t bias)
{
    const wisp_linear_desc desc = {.in = in, .out = out, .bias = bias, .weight = normal};
    return wisp_linear_layer(b, parent, name, &desc);
}

static wisp_module *layer_norm(const vit *net, wisp_build *b, wisp_module *parent, const char *name)
{
    const wisp_norm_desc desc = {.channels = net->dim, .eps = net->config->norm_eps};
    return wisp_layer_norm_layer(b, parent, name, &desc);
}

static void build_block(const vit *net, wisp_build *b, wisp_module *parent, block *blk)
{
    blk->norm1 = layer_norm(net, b, parent, "norm1");
    wisp_module *attention = wisp_group(b, parent, "attn");
    blk->qkv = linear(b, attention, "qkv", net->dim, 3 * net->dim, net->config->qkv_bias);
    blk->proj = linear(b, attention, "proj", net->dim, net->dim, 1);
    blk->norm2 = layer_norm(net, b, parent, "norm2");
    wisp_module *mlp = wisp_group(b, parent, "mlp");
    blk->fc1 = linear(b, mlp, "fc1", net->dim, net->mlp_dim, 1);
    blk->fc2 = linear(b, mlp, "fc2", net->mlp_dim, net->dim, 1);
}

/* What turns an image into tokens. The patch projection keeps a convolution's default start. */
static void build_embedding(vit *net, wisp_build *b, wisp_module *parent)
{
    const int64_t tokens = net->grid * net->grid + 1;
    const wisp_desc one = wisp_desc3(WISP_F32, 1, 1, net->dim);
    const wisp_desc all = wisp_desc3(WISP_F32, 1, tokens, net->dim);
    const wisp_desc row = wisp_desc2(WISP_F32, 1, net->dim);
    const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
    const int32_t patch = (int32_t)net->config->patch_size;
    const wisp_conv2d_desc desc = {.in = 3,
                                   .out = (int32_t)net->dim,
                                   .kernel = patch,
                                   .stride = patch,
                                   .bias = 1,
                                   .weight = {WISP_INIT_LINEAR_DEFAULT, 0, 0}};
    net->class_token = wisp_parameter(b, parent, "cls_token", &one, &normal, 0);
    net->position = wisp_parameter(b, parent, "pos_embed", &all, &normal, 0);
    if (net->config->mask_token)
        net->mask_token = wisp_parameter(b, parent, "mask_token", &row, &zeros, 0);
    net->patches = wisp_conv2d_layer(b, wisp_group(b, parent, "patch_embed"), "proj", &desc);
}

static wisp_status build(void *self, wisp_build *b, wisp_module *parent, wisp_backbone_info *info,
                         wisp_error *err)
{
    vit *net = self;
    (void)err;
    build_embedding(net, b, parent);
    wisp_module *blocks = wisp_group(b, parent, "blocks");
    for (int64_t i = 0; i < net->depth; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)i);
        build_block(net, b, wisp_group(b, blocks, name), &net->blocks[i]);
    }
    net->norm = layer_norm(net, b, parent, "norm");
    info->dim = net->dim;
    info->taps = WISP_TAP_TOKENS | WISP_TAP_BLOCKS | WISP_TAP_ATTENTION | WISP_TAP_CLASS_TOKENS;
    info->has_tokens = 1;
    info->n_blocks = (int32_t)net->depth;
    return WISP_OK;
}

/* --- forward --- */

/* Position embedding (1,1+h*w,C) for h x w patches. The source step is grid / (h + 0.1), not
 * grid / h: the published code adds 0.1 so that rounding down gives h, and uses the sum. */
static wisp_tensor *positions(const vit *net, wisp_step *s, int64_t h, int64_t w)
{
    const int64_t g = net->grid, c = net->dim;
    wisp_tensor *all = wisp_parameter_value(s, net->position);
    if (h == g && w == g)
        return all;
    const wisp_desc map = wisp_desc4(WISP_F32, 1, g, g, c), row = wisp_desc3(WISP_F32, 1, h * w, c);
    wisp_tensor *patches = wisp_reshape(s, wisp_slice(s, all, 1, 1, g * g), &map);
    patches = wisp_resize_bicubic(s, patches, (int32_t)h, (int32_t)w, (double)g / ((double)h + 0.1),
                                  (double)g / ((double)w + 0.1));
    wisp_tensor *parts[2] = {wisp_slice(s, all, 1, 0, 1), wisp_reshape(s, patches, &row)};
    return wisp_concat(s, parts, 2, 1);
}

/* patches T(N,L,C) with those that mask (N,1+L) marks made the mask token, or 0. */
static wisp_tensor *hide(const vit *net, wisp_step *s, wisp_tensor *patches, wisp_tensor *mask)
{
    const wisp_desc d = *wisp_shape_of(s, patches);
    const wisp_desc column = wisp_desc3(0, d.shape[0], d.shape[1], 1);
    const int64_t tokens = wisp_shape_of(s, mask)->shape[1];
    mask = wisp_cast(s, wisp_slice(s, mask, 1, 1, tokens - 1), d.dtype);
    mask = wisp_reshape(s, mask, &column);
    patches = wisp_mul(s, patches, wisp_affine(s, mask, -1, 1));
    if (!net->mask_token)
        return patches;
    wisp_tensor *token = wisp_cast(s, wisp_parameter_value(s, net->mask_token), d.dtype);
    return wisp_add(s, patches, wisp_mul(s, mask, token));
}

/* x T(N,H,W,3) -> tokens T(N,T,C), with their positions; *patches says on what grid. */
static wisp_tensor *embed(const vit *net, wisp_step *s, wisp_tensor *x, const wisp_features *asked,
                          wisp_desc *patches)
{
    x = wisp_forward(s, net->patches, x);
    *patches = *wisp_shape_of(s, x);
    const int64_t n = patches->shape[0], h = patches->shape[1], w = patches->shape[2];
    const int32_t dtype = patches->dtype;
    const wisp_desc row = wisp_desc3(dtype, n, h * w, net->dim);
    const wisp_desc one = wisp_desc3(dtype, n, 1, net->dim);
    x = wisp_reshape(s, x, &row);
    if (asked->mask)
        x = hide(net, s, x, asked->mask);
    wisp_tensor *class_token = wisp_cast(s, wisp_parameter_value(s, net->class_token), dtype);
    wisp_tensor *parts[2] = {wisp_broadcast_to(s, class_token, &one), x};
    x = wisp_add(s, wisp_concat(s, parts, 2, 1), wisp_cast(s, positions(net, s, h, w), dtype));
    return asked->keep_index ? wisp_gather_tokens(s, x, asked->keep_index) : x;
}

static wisp_tensor *probabilities(const vit *net, wisp_step *s, wisp_tensor *qkv, double scale)
{
    wisp_tensor *q = wisp_slice(s, qkv, 2, 0, net->dim);
    wisp_tensor *k = wisp_slice(s, qkv, 2, net->dim, net->dim);
    return wisp_attention_probabilities(s, q, k, (int32_t)net->heads, scale);
}

static wisp_tensor *run_block(const vit *net, int64_t i, wisp_step *s, wisp_tensor *x,
                              wisp_features *out)
{
    const block *blk = &net->blocks[i];
    const double scale = 1 / sqrt((double)(net->dim / net->heads));
    const double drop = i ? net->config->drop_path * (double)i / (double)(net->depth - 1) : 0;
    wisp_tensor *y = wisp_forward(s, blk->qkv, wisp_forward(s, blk->norm1, x));
    if (out->taps & WISP_TAP_ATTENTION)
        out->attention[i] = probabilities(net, s, y, scale);
    y = wisp_forward(s, blk->proj, wisp_self_attention(s, y, (int32_t)net->heads, scale));
    x = wisp_add(s, x, wisp_drop_path(s, y, drop));
    y = wisp_forward(s, blk->fc1, wisp_forward(s, blk->norm2, x));
    y = wisp_act_linear(s, blk->fc2, y, WISP_UNARY_GELU);
    return wisp_add(s, x, wisp_drop_path(s, y, drop));
}

/* Token 0 of tokens (N,T,C): (N,C). */
static wisp_tensor *first_token(wisp_step *s, wisp_tensor *tokens)
{
    const wisp_desc *d = wisp_shape_of(s, tokens);
    const wisp_desc row = wisp_desc2(d->dtype, d->shape[0], d->shape[2]);
    return wisp_reshape(s, wisp_slice(s, tokens, 1, 0, 1), &row);
}

/* All tokens through the final norm, and as a map of patches where all of them are there. */
static void give_tokens(const vit *net, wisp_step *s, wisp_tensor *x, const wisp_desc *patches,
                        wisp_features *out)
{
    out->tokens = wisp_forward(s, net->norm, x);
    if (!out->keep_index)
        out->map = wisp_reshape(
            s, wisp_slice(s, out->tokens, 1, 1, patches->shape[1] * patches->shape[2]), patches);
}

static void forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    const vit *net = self;
    wisp_desc patches;
    x = embed(net, s, x, out, &patches);
    for (int64_t i = 0; i < net->depth; i++) {
        x = run_block(net, i, s, x, out);
        if (out->taps & WISP_TAP_BLOCKS)
            out->blocks[i] = x;
        if (out->taps & WISP_TAP_CLASS_TOKENS)
            out->class_tokens[i] = wisp_forward(s, net->norm, first_token(s, x));
    }
    out->n_blocks = (int32_t)net->depth;
    out->class_token_before_norm = first_token(s, x);
    if (out->taps & WISP_TAP_TOKENS)
        give_tokens(net, s, x, &patches, out);
    if (out->taps & WISP_TAP_CLASS_TOKENS)
        out->pooled = out->class_tokens[net->depth - 1];
    else
        out->pooled = wisp_forward(s, net->norm, out->class_token_before_norm);
}

/* --- other libraries --- */

static const char *const libraries[] = {"timm", "torchvision", NULL};

/* timm's name of a configuration that it has one for; NULL: it has not. */
static const char *timm_model(const vit *net)
{
    static const struct {
        int64_t dim, heads;
        const char *names[2];
    } known[] = {{192, 3, {"vit_tiny_patch16_224", NULL}},
                 {384, 6, {"vit_small_patch16_224", "vit_small_patch32_224"}},
                 {768, 12, {"vit_base_patch16_224", "vit_base_patch32_224"}}};
    const vit_config *c = net->config;
    if (net->depth != 12 || net->mlp_dim != 4 * net->dim || !c->qkv_bias || c->norm_eps != 1e-6 ||
        c->image_size != 224 || (c->patch_size != 16 && c->patch_size != 32))
        return NULL;
    for (size_t i = 0; i < WISP_COUNT(known); i++)
        if (known[i].dim == net->dim && known[i].heads == net->heads)
            return known[i].names[c->patch_size == 32];
    return NULL;
}

/* An argument for another epsilon than the usual one; else nothing. */
static void norm_argument(const vit *net, char out[96])
{
    out[0] = '\0';
    if (net->config->norm_eps != 1e-6)
        snprintf(out, 96, "norm_layer=functools.partial(torch.nn.LayerNorm, eps=%.15g), ",
                 net->config->norm_eps);
}

static void exchange_timm(const vit *net, wisp_exchange *out)
{
    const vit_config *c = net->config;
    char norm[96];
    norm_argument(net, norm);
    snprintf(out->classifier, sizeof out->classifier, "head");
    if (timm_model(net)) {
        snprintf(out->model, sizeof out->model, "timm.create_model(\"%s\", num_classes={classes})",
                 timm_model(net));
        return;
    }
    snprintf(out->model, sizeof out->model,
             "timm.models.vision_transformer.VisionTransformer(img_size=%lld, patch_size=%lld, "
             "embed_dim=%lld, depth=%lld, num_heads=%lld, mlp_ratio=%lld.5 / %lld, qkv_bias=%s, "
             "%snum_classes={classes})",
             (long long)c->image_size, (long long)c->patch_size, (long long)net->dim,
             (long long)net->depth, (long long)net->heads, (long long)net->mlp_dim,
             (long long)net->dim, c->qkv_bias ? "True" : "False", norm);
}

static void exchange_torchvision(const vit *net, wisp_exchange *out)
{
    const vit_config *c = net->config;
    char norm[96];
    norm_argument(net, norm);
    snprintf(out->classifier, sizeof out->classifier, "heads.head");
    snprintf(out->headless, sizeof out->headless, "model.heads = torch.nn.Identity()");
    snprintf(out->model, sizeof out->model,
             "torchvision.models.vision_transformer.VisionTransformer(image_size=%lld, "
             "patch_size=%lld, num_layers=%lld, num_heads=%lld, hidden_dim=%lld, mlp_dim=%lld, "
             "%snum_classes={classes})",
             (long long)c->image_size, (long long)c->patch_size, (long long)net->depth,
             (long long)net->heads, (long long)net->dim, (long long)net->mlp_dim, norm);
}

static wisp_status exchange(void *self, const char *library, wisp_exchange *out, wisp_error *err)
{
    const vit *net = self;
    const int timm = strcmp(library, "timm") == 0;
    if (!timm && !net->config->qkv_bias)
        return wisp_fail(err, WISP_E_CONFIG,
                         "torchvision has no vision transformer with qkv_bias = false; timm has");
    out->dim = net->dim;
    if (timm)
        exchange_timm(net, out);
    else
        exchange_torchvision(net, out);
    return WISP_OK;
}

static void name_in_torchvision(const char *name, char *out, size_t bytes)
{
    static const wisp_renaming outside[] = {{"cls_token", "class_token"},
                                            {"pos_embed", "encoder.pos_embedding"},
                                            {"patch_embed.proj.", "conv_proj."},
                                            {"norm.", "encoder.ln."}};
    static const wisp_renaming inside[] = {{"norm1.", "ln_1."},
                                           {"attn.qkv.", "self_attention.in_proj_"},
                                           {"attn.proj.", "self_attention.out_proj."},
                                           {"norm2.", "ln_2."},
                                           {"mlp.fc1.", "mlp.0."},
                                           {"mlp.fc2.", "mlp.3."}};
    int index = 0, rest = 0;
    if (sscanf(name, "blocks.%d.%n", &index, &rest) != 1 || rest == 0) {
        wisp_rename(outside, WISP_COUNT(outside), name, out, bytes);
        return;
    }
    snprintf(out, bytes, "encoder.layers.encoder_layer_%d.", index);
    wisp_rename(inside, WISP_COUNT(inside), name + rest, out, bytes);
}

/* The names are timm's; neither library has a mask token. */
static void exchange_name(void *self, const char *library, const char *name, char *out,
                          size_t bytes)
{
    (void)self;
    out[0] = '\0';
    if (strcmp(name, "mask_token") == 0)
        return;
    if (strcmp(library, "timm") == 0)
        snprintf(out, bytes, "%s", name);
    else
        name_in_torchvision(name, out, bytes);
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
    .name = "vit",
    .version = "0.1.0",
    .summary = "vision transformers: tiny, small, base, or any width, depth and patch size",
    .doc =
        "Pre-norm transformers over patches with a class token and a learned position embedding, "
        "in the layout of DeiT and DINO, parameter for parameter and name for name as timm has "
        "them, without the classifier. The embedding is the class token after the final norm. For "
        "views of another size than image_size the position embedding is interpolated "
        "(bicubic, without antialiasing) as in DINO's published code, whose grid step is "
        "grid / (n + 0.1) for n patches a side. A mask hides patches before positions are added; "
        "mask_token makes what takes their place trainable.",
    .license = "Apache-2.0",
    .reference = "Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, section 3; Touvron "
                 "et al., Training data-efficient image transformers, ICML 2021; Caron et al., "
                 "Emerging properties in self-supervised vision transformers, ICCV 2021",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(vit_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

/* @NAME@ - a self-supervised method for wisp: from two views of every image to one loss.
 *
 * What stands here is the smallest method that learns something: two views of an image shall have
 * the same embedding (alignment), and all embeddings together shall spread over the sphere
 * (uniformity), by Wang and Isola, ICML 2020. Put your idea into step().
 *
 * How it works: the host reads the experiment's TOML, fills `method` from the table `options`,
 * calls build() once and step() for every batch, computes the gradient of what step() returns, and
 * steps the optimizer. There is no backward pass to write and nothing to free. step() only says
 * what is to be computed: it never looks at a tensor's values. Whatever goes wrong in a call below
 * is remembered by `b` or `s`, with the shapes, and the host reports it. */
#include <wisp/sdk.h>

/* The options of [method], which the host fills in, and what build() makes. */
typedef struct method {
    int64_t dim;
    double uniformity;
    wisp_module *backbone, *head;
} method;

/* Every option has a default, a range and a line of help: `wisp inspect` shows them, and a TOML
 * file that does not keep to them is refused by line and column. */
static const wisp_option options[] = {
    {.key = "dim",
     .type = WISP_OPTION_I64,
     .offset = offsetof(method, dim),
     .default_value = "64",
     .min = 1,
     .max = 65536,
     .help = "width of the embedding that the loss compares"},
    {.key = "uniformity",
     .type = WISP_OPTION_F64,
     .offset = offsetof(method, uniformity),
     .default_value = "1.0",
     .min = 0,
     .max = 1000,
     .help = "weight of the uniformity loss; the alignment loss weighs 1"},
};

/* What the sampler must give. A sampler that cannot is refused before training. */
static void requirements(void *self, wisp_requirements *r)
{
    (void)self;
    r->min_global = r->max_global = 2; /* two views of full size */
    r->max_local = -1;                 /* and no small ones */
}

/* Makes the networks. The backbone is the one of the experiment's [backbone]. */
static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    method *m = self;
    (void)batch, (void)err;
    wisp_module *net = wisp_network(b, "online");
    m->backbone = wisp_backbone(b, net, "backbone");
    const int64_t width = wisp_output_dim(b, m->backbone);
    /* width -> width -> dim: two linear layers with batch norm and ReLU between them */
    m->head = wisp_projection_head(b, net, "head", width, width, m->dim, 2, 1, 0);
    return WISP_OK;
}

/* log mean exp(-2 |zi - zj|^2) over the pairs i != j of rows of unit length, z (B,dim). */
static wisp_tensor *spread(wisp_step *s, wisp_tensor *z)
{
    const double rows = (double)wisp_shape_of(s, z)->shape[0];
    wisp_tensor *cosines = wisp_matmul(s, z, z, 0, 1); /* (B,B) */
    wisp_tensor *kernel = wisp_unary(s, wisp_affine(s, cosines, 4, -4), WISP_UNARY_EXP);
    wisp_tensor *sum = wisp_affine(s, wisp_sum(s, kernel, 0, 0), 1, -rows); /* without i = j */
    const double pairs = rows > 1 ? rows * (rows - 1) : 1;
    return wisp_unary(s, wisp_affine(s, sum, 1 / pairs, 1e-6), WISP_UNARY_LOG);
}

/* Two views of B images -> the loss. */
static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    method *m = self;
    wisp_tensor *z[2];
    for (int v = 0; v < 2; v++) { /* one call a view: batch norm sees one view at a time */
        wisp_tensor *x = wisp_forward(s, m->backbone, wisp_view(s, batch, v)); /* (B,width) */
        z[v] = wisp_l2_normalize(s, wisp_forward(s, m->head, x), 1e-12);       /* (B,dim) */
    }
    /* |a - b|^2 = 2 - 2 cos(a, b), as both have length 1 */
    wisp_tensor *alignment = wisp_affine(s, wisp_mean_cosine(s, z[0], z[1]), -2, 2);
    wisp_tensor *uniformity = wisp_scale(s, wisp_add(s, spread(s, z[0]), spread(s, z[1])), 0.5);
    wisp_metric(s, "alignment", alignment); /* in metrics.jsonl and TensorBoard */
    wisp_metric(s, "uniformity", uniformity);
    return wisp_add(s, alignment, wisp_scale(s, uniformity, m->uniformity));
}

/* What probes and tasks judge, and `wisp export` writes. */
static wisp_module *evaluated_network(void *self)
{
    return ((method *)self)->backbone;
}

static const wisp_method_v0 vtable = {
    .struct_size = sizeof vtable,
    .requirements = requirements,
    .build = build,
    .step = step,
    .evaluated_network = evaluated_network,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_METHOD,
    .name = "@NAME@",
    .version = "0.1.0",
    .summary = "two views align, and all embeddings spread over the sphere",
    .doc = "The loss is the mean squared distance between two views' embeddings of length 1, plus "
           "`uniformity` times the log of the mean Gaussian potential between all pairs of a batch "
           "(of this rank).",
    .license = "Apache-2.0",
    .reference = "Wang and Isola, Understanding contrastive representation learning through "
                 "alignment and uniformity on the hypersphere, ICML 2020",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(method),
    .flags = WISP_FLAG_DETERMINISTIC | WISP_FLAG_BATCH_COUPLED,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

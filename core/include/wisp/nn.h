/* nn.h - networks, layers, named buffers and schedules, as a method or backbone builds them.
 *
 * A network is a named module tree with a role: trainable, EMA of another network, or frozen.
 * Modules are made once, in `build`, under a parent; forward calls happen in steps (ops.h).
 * Constructors return NULL after an error; the first error sticks to the builder, later calls with
 * a NULL parent do nothing, and the host reports it when the plugin returns. Names are unique under
 * their parent and form the parameter's path: "student.backbone.layer1.0.conv1.weight". All
 * functions are [setup]. */
#ifndef WISP_NN_H
#define WISP_NN_H

#include "wisp/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wisp_builder;

/* What plugins see of a builder; the rest is the host's. Frozen layout: what is new comes into the
 * table. */
typedef struct wisp_build {
    const struct wisp_builder *table;
    double steps_per_epoch; /* of this run */
    int64_t epochs;
    int64_t batch; /* source images of a step on this rank */
    int32_t world_size;
    int32_t n_classes; /* 0: no labels */
} wisp_build;

enum {
    WISP_INIT_ZEROS = 0,
    WISP_INIT_CONSTANT = 1,        /* a */
    WISP_INIT_NORMAL = 2,          /* standard deviation a */
    WISP_INIT_UNIFORM = 3,         /* [-a, a] */
    WISP_INIT_KAIMING_FAN_OUT = 4, /* normal, std = sqrt(2 / fan_out) (He et al. 2015) */
    WISP_INIT_LINEAR_DEFAULT = 5,  /* uniform, +-1 / sqrt(fan_in): PyTorch's default of Linear */
    WISP_INIT_UNIT_ROWS = 6,       /* normal, then each row to length 1 */
    WISP_INIT_TRUNCATED_NORMAL = 7 /* standard deviation a, cut at +-2 standard deviations */
};

/* First values. Frozen layout. */
typedef struct wisp_init {
    int32_t kind;
    int32_t reserved;
    double a;
} wisp_init;

enum {
    WISP_PARAM_NO_GRAD = 1,  /* saved and shown, never trained */
    WISP_PARAM_NO_DECAY = 2, /* besides what the parameter rules of the optimizer say */
    WISP_PARAM_DEPTHWISE = 4 /* set by the host for depthwise weights */
};

/* A linear layer. Frozen layout. */
typedef struct wisp_linear_desc {
    int64_t in, out;
    int32_t bias; /* 1: has one */
    int32_t reserved;
    wisp_init weight, bias_init; /* kind 0 for weight: WISP_INIT_LINEAR_DEFAULT is used for both */
} wisp_linear_desc;

/* A convolution. Frozen layout. */
typedef struct wisp_conv2d_desc {
    int32_t in, out;
    int32_t kernel, stride, padding, dilation, groups; /* dilation, groups 0: 1 */
    int32_t bias;
    wisp_init weight; /* kind 0: WISP_INIT_KAIMING_FAN_OUT */
} wisp_conv2d_desc;

/* A batch or layer norm. Frozen layout. */
typedef struct wisp_norm_desc {
    int64_t channels;
    double eps;         /* 0: 1e-5 */
    double momentum;    /* 0: 0.1; batch norm only */
    int32_t affine;     /* 0: has gamma and beta; -1: has none */
    int32_t activation; /* WISP_ACT_..., fused; batch norm only */
    int32_t zero_gamma; /* 1: gamma starts at 0 instead of 1 */
    int32_t reserved;
} wisp_norm_desc;

enum { WISP_MLP_GELU = 0, WISP_MLP_RELU = 1 };

/* Linear layers with activations between them: dims[0] -> dims[1] -> ... -> dims[n_dims - 1].
 * Frozen layout. */
typedef struct wisp_mlp_desc {
    int64_t dims[8];
    int32_t n_dims;
    int32_t activation;      /* WISP_MLP_... */
    int32_t batch_norm;      /* 1: batch norm before each activation */
    int32_t last_batch_norm; /* 1: one after the last layer too; 2: without affine */
    int32_t no_bias;         /* 1: layers followed by batch norm have no bias */
    int32_t no_last_bias;    /* 1: the last layer has no bias */
    wisp_init weight;        /* of every layer; kind 0: default of Linear. Biases: zeros if given */
} wisp_mlp_desc;

/* A weight-normalised linear layer without bias (Salimans and Kingma 2016): each row is
 * g * v / |v|. Frozen layout. */
typedef struct wisp_weight_norm_desc {
    int64_t in, out;
    int32_t train_gain; /* 1: g is trained; 0: it stays 1 */
    int32_t reserved;
} wisp_weight_norm_desc;

enum {
    WISP_SCHEDULE_CONSTANT = 0,
    WISP_SCHEDULE_COSINE = 1, /* value -> end over the rest of the run */
    WISP_SCHEDULE_LINEAR = 2, /* value -> end over the rest of the run */
    WISP_SCHEDULE_STEP = 3    /* times gamma at each milestone */
};

enum { WISP_PER_STEP = 0, WISP_PER_EPOCH = 1 };

/* A scalar as a function of time. Warm-up is linear with both ends included, as numpy.linspace.
 * Over the T steps or epochs that are left, t = 0 ... T - 1: the cosine is end + (value - end) / 2
 * * (1 + cos(pi * t / T)), the line value + (end - value) * t / T. A table [schedule.NAME] of the
 * experiment overrides any field. Frozen layout. */
typedef struct wisp_schedule {
    int32_t kind;
    int32_t per; /* WISP_PER_... */
    double value, end;
    double warmup_start, warmup_epochs;
    double gamma;
    double milestones[8]; /* epochs */
    int32_t n_milestones;
    int32_t reserved;
} wisp_schedule;

/* How one network follows another. Parameters are paired by their path below the network; a
 * parameter of `target` without a partner is an error unless excluded. Buffers are copied at the
 * start and not averaged unless asked for. Frozen layout. */
typedef struct wisp_follow_desc {
    const char *const *exclude; /* NULL-terminated path prefixes, or NULL */
    int32_t average_buffers;
    int32_t reserved;
} wisp_follow_desc;

/* "Frozen" is three switches. Frozen layout. */
typedef struct wisp_freeze_desc {
    int32_t gradient;        /* 1: parameters get none */
    int32_t batch_norm_eval; /* 1: batch norm normalises with the running statistics */
    int32_t running_fixed;   /* 1: running statistics are not updated */
    int32_t reserved;
} wisp_freeze_desc;

/* First values by kind of layer, in place of what the layers were made with. Weights of kind 0 stay
 * as they are; biases of linear layers become zeros with their weights, other biases stay. Frozen
 * layout. */
typedef struct wisp_init_override {
    wisp_init conv_weight, linear_weight;
    int32_t plain_batch_norm; /* 1: every batch norm starts at gamma 1, beta 0 */
    int32_t reserved;
} wisp_init_override;

/* A value at which a metric says that the network has collapsed: it no longer tells images apart.
 * One that passes by says nothing; the host judges one that stays (docs/health.md). */
typedef struct wisp_collapse_sign {
    uint32_t struct_size;
    uint32_t reserved;
    double value;
    double within;       /* how far from it still counts; at least 0 */
    const char *meaning; /* "the teacher gives every output the same probability" */
    const char
        *remedy; /* "lower teacher_temperature or lr"; names options as the user knows them */
} wisp_collapse_sign;

/* A module's own forward, for layers that the host does not have. `self` is the plugin's. [main] */
typedef wisp_tensor *(*wisp_forward_fn)(void *self, wisp_step *s, wisp_tensor *x);

/* X(return type, name, parameters, arguments); V(...) returns nothing. Wrappers are named
 * wisp_<name>. Append only (ABI-4). */
/* clang-format off */
#define WISP_BUILD_LIST(X, V)                                                                      \
    X(wisp_module *, network, (wisp_build *b, const char *name), (b, name))                        \
    X(wisp_scalar *, new_scalar, (wisp_build *b, const char *name, const wisp_schedule *schedule),     \
      (b, name, schedule))                                                                         \
    X(wisp_state *, new_state,                                                                         \
      (wisp_build *b, const char *name, const wisp_desc *desc, const wisp_init *init),             \
      (b, name, desc, init))                                                                       \
    X(wisp_state *, new_constant,                                                                  \
      (wisp_build *b, const char *name, const wisp_desc *desc, const void *values),                \
      (b, name, desc, values))                                                                     \
    X(wisp_module *, group, (wisp_build *b, wisp_module *parent, const char *name),                \
      (b, parent, name))                                                                           \
    X(wisp_module *, backbone, (wisp_build *b, wisp_module *parent, const char *name),             \
      (b, parent, name))                                                                           \
    X(wisp_module *, linear_layer,                                                                 \
      (wisp_build *b, wisp_module *parent, const char *name, const wisp_linear_desc *desc),        \
      (b, parent, name, desc))                                                                     \
    X(wisp_module *, conv2d_layer,                                                                 \
      (wisp_build *b, wisp_module *parent, const char *name, const wisp_conv2d_desc *desc),        \
      (b, parent, name, desc))                                                                     \
    X(wisp_module *, batch_norm_layer,                                                             \
      (wisp_build *b, wisp_module *parent, const char *name, const wisp_norm_desc *desc),          \
      (b, parent, name, desc))                                                                     \
    X(wisp_module *, layer_norm_layer,                                                             \
      (wisp_build *b, wisp_module *parent, const char *name, const wisp_norm_desc *desc),          \
      (b, parent, name, desc))                                                                     \
    X(wisp_module *, activation_layer,                                                             \
      (wisp_build *b, wisp_module *parent, const char *name, int32_t unary_kind),                  \
      (b, parent, name, unary_kind))                                                               \
    X(wisp_module *, l2_normalize_layer,                                                           \
      (wisp_build *b, wisp_module *parent, const char *name, double eps), (b, parent, name, eps))  \
    X(wisp_module *, weight_norm_layer,                                                            \
      (wisp_build *b, wisp_module *parent, const char *name, const wisp_weight_norm_desc *desc),   \
      (b, parent, name, desc))                                                                     \
    X(wisp_module *, mlp,                                                                          \
      (wisp_build *b, wisp_module *parent, const char *name, const wisp_mlp_desc *desc),           \
      (b, parent, name, desc))                                                                     \
    X(wisp_module *, parameter,                                                                    \
      (wisp_build *b, wisp_module *parent, const char *name, const wisp_desc *desc,                \
       const wisp_init *init, uint32_t flags),                                                     \
      (b, parent, name, desc, init, flags))                                                        \
    X(wisp_module *, custom_layer,                                                                 \
      (wisp_build *b, wisp_module *parent, const char *name, void *self, wisp_forward_fn forward), \
      (b, parent, name, self, forward))                                                            \
    X(int64_t, output_dim, (wisp_build *b, const wisp_module *module), (b, module))                \
    V(follow,                                                                                      \
      (wisp_build *b, wisp_module *target, const wisp_module *source,                              \
       const wisp_follow_desc *desc),                                                              \
      (b, target, source, desc))                                                                   \
    V(freeze, (wisp_build *b, wisp_module *module, const wisp_freeze_desc *desc),                  \
      (b, module, desc))                                                                           \
    V(build_fail, (wisp_build *b, wisp_status code, const char *message), (b, code, message))      \
    /* for every network of the run, whoever builds it and when: backbones and joint probes too */ \
    /* (Caron et al. 2020, and DeepCluster-v2, start like this) */                                 \
    V(override_init, (wisp_build *b, const wisp_init_override *override), (b, override))           \
    /* of a metric that the step reports by wisp_metric(), or of "loss"; several signs of one */   \
    /* metric are several calls. Texts are copied */                                               \
    V(collapse_at, (wisp_build *b, const char *metric, const wisp_collapse_sign *sign),          \
      (b, metric, sign))

typedef struct wisp_builder {
    uint32_t struct_size;
    uint32_t reserved;
#define WISP_BUILD_FIELD(type, name, parameters, arguments) type(*name) parameters;
#define WISP_BUILD_VOID_FIELD(name, parameters, arguments) void(*name) parameters;
    WISP_BUILD_LIST(WISP_BUILD_FIELD, WISP_BUILD_VOID_FIELD)
#undef WISP_BUILD_FIELD
#undef WISP_BUILD_VOID_FIELD
} wisp_builder;

/* A table of an older host that ends before a function fails the build by that function's name
 * (ABI-4). */
#define WISP_BUILD_LACKS(name)                                                                     \
    b->table->build_fail(b, WISP_E_ABI, "this host is too old for wisp_" #name "(): take a newer one")
#define WISP_BUILD_WRAPPER(type, name, parameters, arguments)                                      \
    static inline type wisp_##name parameters                                                      \
    {                                                                                              \
        if (WISP_HAS(b->table, wisp_builder, name))                                                \
            return b->table->name arguments;                                                       \
        WISP_BUILD_LACKS(name);                                                                    \
        return 0;                                                                                  \
    }
#define WISP_BUILD_VOID_WRAPPER(name, parameters, arguments)                                       \
    static inline void wisp_##name parameters                                                      \
    {                                                                                              \
        if (WISP_HAS(b->table, wisp_builder, name))                                                \
            b->table->name arguments;                                                              \
        else                                                                                       \
            WISP_BUILD_LACKS(name);                                                                \
    }
WISP_BUILD_LIST(WISP_BUILD_WRAPPER, WISP_BUILD_VOID_WRAPPER)
#undef WISP_BUILD_WRAPPER
#undef WISP_BUILD_VOID_WRAPPER
#undef WISP_BUILD_LACKS
/* clang-format on */

#ifdef __cplusplus
}
#endif
#endif

/* settings.h - the host's own tables of an experiment, as option tables like those of plugins. */
#ifndef WISPI_TRAIN_SETTINGS_H
#define WISPI_TRAIN_SETTINGS_H

#include "nn/optimizer.h"
#include "wisp/nn.h"
#include "wisp/options.h"

enum { WISPI_MAX_RULES = 64, WISPI_MAX_INITS = 16 };

enum { WISPI_CAPTURE_OFF = 0, WISPI_CAPTURE_AUTO = 1 };

/* f32, but for the factors of products; no data type, and the number of none. */
enum { WISPI_PRECISION_TF32 = 100 };

enum { WISPI_FALLBACK_NONE = 0, WISPI_FALLBACK_REFERENCE = 1 };

enum { WISPI_VIEWS_AUTO = 0, WISPI_VIEWS_DEVICE = 1, WISPI_VIEWS_HOST = 2, WISPI_VIEWS_BYTES = 3 };

enum { WISPI_COLLAPSE_IGNORE = 0, WISPI_COLLAPSE_WARN = 1, WISPI_COLLAPSE_STOP = 2 };

/* [run] */
typedef struct wispi_run_settings {
    const char *name, *device, *comm, *out;
    int64_t seed, epochs, batch, steps, workers, threads;
    int64_t checkpoint_epochs, probe_epochs, metric_steps;
    double checkpoint_minutes, log_seconds, bucket_mb, bad_samples;
    int32_t precision; /* WISP_F32, WISP_BF16 or WISPI_PRECISION_TF32 */
    int32_t resume, deterministic, autotune, fallback, capture, baselines, drop_last;
    int32_t views;       /* WISPI_VIEWS_... */
    int32_t on_collapse; /* WISPI_COLLAPSE_... */
    int32_t report;      /* report.html at the end */
} wispi_run_settings;

/* Of activations. */
static inline int32_t wispi_run_dtype(const wispi_run_settings *run)
{
    return run->precision == WISP_BF16 ? WISP_BF16 : WISP_F32;
}

enum { WISPI_ORIENTATION_STORED = 0, WISPI_ORIENTATION_EXIF = 1 };

/* [input] */
typedef struct wispi_input_settings {
    wisp_list mean, std;
    int64_t eval_resize, eval_size, eval_batch;
    int32_t orientation; /* WISPI_ORIENTATION_... */
} wispi_input_settings;

/* [optimizer] */
typedef struct wispi_optimizer_settings {
    int32_t kind; /* WISPI_OPTIMIZER_..., what `use` names */
    int32_t nesterov, clip_per_tensor;
    int32_t decay_1d, decay_depthwise, adapt_1d, adapt_depthwise;
    double lr, lr_per_256, weight_decay, momentum, trust, beta1, beta2, eps, clip;
    wispi_optimizer_rule *rules; /* [[optimizer.rule]] */
    int32_t n_rules;
} wispi_optimizer_settings;

/* "lars" and the like, and back; 0 for an unknown name. */
const char *wispi_optimizer_name(int32_t kind);
int32_t wispi_optimizer_kind(const char *name);

/* [[init]] */
typedef struct wispi_init_settings {
    const char *weights, *format, *from, *into;
    wisp_list skip;
    const struct wispi_node *node; /* where it stands, for messages; NULL: in no file */
} wispi_init_settings;

/* [schedule.NAME]. Only the keys that the table gives count; the others keep the method's value. */
typedef struct wispi_schedule_settings {
    int32_t kind, per;
    double value, end, warmup_start, warmup_epochs, gamma;
    wisp_list milestones;
} wispi_schedule_settings;

extern const wisp_option wispi_run_options_table[];
extern const uint64_t wispi_n_run_options;
extern const wisp_option wispi_input_options_table[];
extern const uint64_t wispi_n_input_options;
extern const wisp_option wispi_optimizer_options_table[];
extern const uint64_t wispi_n_optimizer_options;
extern const wisp_option wispi_rule_options_table[];
extern const uint64_t wispi_n_rule_options;
extern const wisp_option wispi_init_options_table[];
extern const uint64_t wispi_n_init_options;
extern const wisp_option wispi_schedule_options_table[];
extern const uint64_t wispi_n_schedule_options;

#endif

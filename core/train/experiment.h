/* experiment.h - an experiment: a checked TOML file with every plugin that it names. */
#ifndef WISPI_TRAIN_EXPERIMENT_H
#define WISPI_TRAIN_EXPERIMENT_H

#include "base/text.h"
#include "config/config.h"
#include "loader/registry.h"
#include "nn/model.h"
#include "tensor/ranks.h"
#include "train/settings.h"
#include "wisp/dataset.h"
#include "wisp/sampler.h"
#include "wisp/task.h"

enum { WISPI_MAX_TASKS = 32, WISPI_TASK_NAME = 80 };

typedef struct wispi_experiment {
    wispi_registry *registry;
    wispi_config *config;
    wispi_run_settings run;
    wispi_input_settings input;
    wispi_optimizer_settings optimizer;
    wispi_init_settings *inits;
    int32_t n_inits;
    wispi_instance data, test, sampler, backbone, method; /* test: zeroed when there is none */
    wispi_instance probes[WISPI_MAX_TASKS], tasks[WISPI_MAX_TASKS];
    int32_t n_probes, n_tasks;
    const wispi_ranks *ranks; /* that train it together; NULL: this process alone */
    const wispi_instance
        *lent; /* stands in the place of its kind, and stays its owner's; or NULL */
} wispi_experiment;

/* Loads, checks and creates everything; trains nothing. The registry must outlive the experiment.
 */
wisp_status wispi_experiment_load(wispi_registry *registry, const char *path,
                                  const char *const *overrides, int32_t n_overrides,
                                  wispi_experiment **experiment, wisp_error *err);
/* The experiment of a run's config.toml with the [[task]], [input], [data] and [test] tables of
 * another file in place of its own: for judging stored weights. Its probes are left out, and so is
 * what it began with. */
wisp_status wispi_experiment_load_for_eval(wispi_registry *registry, const char *run_config,
                                           const char *task_file, const char *const *overrides,
                                           int32_t n_overrides, wispi_experiment **experiment,
                                           wisp_error *err);
/* The experiment of a run's config.toml for looking at its weights: without probes, tasks and what
 * it began with. */
wisp_status wispi_experiment_load_stored(wispi_registry *registry, const char *run_config,
                                         wispi_experiment **experiment, wisp_error *err);
/* Only what views are made of: data, sampler and settings of run and input; the rest stays zeroed.
 * `path` may name data instead of a TOML file, which then come under the multicrop sampler's
 * defaults; `use` (may be NULL) says what plugin knows them. */
wisp_status wispi_experiment_load_views(wispi_registry *registry, const char *path, const char *use,
                                        const char *const *overrides, int32_t n_overrides,
                                        wispi_experiment **experiment, wisp_error *err);
/* What a text says, around one method, backbone or probe that is there already: the text has no
 * table for it. It outlives the experiment. */
wisp_status wispi_experiment_around(wispi_registry *registry, const wispi_instance *lent,
                                    const char *text, wispi_experiment **experiment,
                                    wisp_error *err);
void wispi_experiment_destroy(wispi_experiment *experiment); /* accepts NULL */

/* The fully resolved TOML: running it again is the same run. `model` (may be NULL) adds the
 * schedules. */
wisp_status wispi_experiment_resolved(const wispi_experiment *experiment, const wispi_model *model,
                                      wispi_text *out, wisp_error *err);

/* What the sampler says of itself, one line; empty when it says nothing. */
void wispi_experiment_describe_sampler(const wispi_experiment *experiment, char *line,
                                       size_t bytes);

/* What tells results apart: "knn" for the first table of a plugin among `tasks`, "knn.2" for the
 * second, and so on. Returns which one it is, counted from 1. */
int32_t wispi_task_name(const wispi_instance *tasks, int32_t index, char name[WISPI_TASK_NAME]);

static inline const wisp_dataset_v0 *wispi_dataset_of(const wispi_instance *instance)
{
    return instance->plugin ? instance->plugin->descriptor->vtable : NULL;
}

#endif

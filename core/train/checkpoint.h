/* checkpoint.h - everything that a run needs to go on as if nothing had happened, in one file.
 *
 * checkpoints/last.safetensors is replaced as a whole; the one before it is kept as
 * previous.safetensors and used when the last one is damaged. Weights that are not finite are never
 * written. */
#ifndef WISPI_TRAIN_CHECKPOINT_H
#define WISPI_TRAIN_CHECKPOINT_H

#include "nn/model.h"
#include "train/health_state.h"
#include "train/metric_log.h"

#define WISPI_CHECKPOINT_FORMAT "wisp.checkpoint/0" /* the text "format" */
#define WISPI_TEXT_EVALUATED "wisp.evaluated"       /* the text that says what is evaluated */

/* What is kept besides tensors. */
typedef struct wispi_checkpoint_facts {
    int64_t step;         /* of the whole run; the next one to take */
    int64_t pixels;       /* that trained backbones were given so far, on all ranks */
    double seconds;       /* of training and evaluation so far */
    double best;          /* best value of the first probe; NaN: none yet */
    int32_t probes_due;   /* an epoch ended at `step` and its probes have not been evaluated */
    int64_t tasks_step;   /* step after which the tasks were run; -1: not yet */
    uint64_t fingerprint; /* of the training data */
    wispi_health_state health;
    wispi_metric_log_position position;
    const char *evaluated; /* path of what is evaluated; written, but not read back; or NULL */
    char *results;         /* JSON text of all that was evaluated, freed with free(); or NULL */
} wispi_checkpoint_facts;

/* Writes checkpoints/<name>.safetensors below `folder`. What was there stays when anything fails.
 */
wisp_status wispi_checkpoint_write(const char *folder, const char *name, const wispi_model *model,
                                   const wispi_checkpoint_facts *facts, wisp_error *err);
/* Writes last.safetensors and keeps the former one as previous.safetensors. */
wisp_status wispi_checkpoint_advance(const char *folder, const wispi_model *model,
                                     const wispi_checkpoint_facts *facts, wisp_error *err);

/* Gives last.safetensors the second name healthy.safetensors. */
wisp_status wispi_checkpoint_keep_healthy(const char *folder, wisp_error *err);
/* Puts healthy.safetensors in the place of the last checkpoint and of the one before it, and tells
 * the step that it is of. WISP_E_NOT_FOUND when there is none: nothing is changed. */
wisp_status wispi_checkpoint_return_to_healthy(const char *folder, int64_t *step, wisp_error *err);

/* Loads the newest usable checkpoint. A damaged one is named in the log and renamed to
 * refused.safetensors. WISP_E_NOT_FOUND when there is none at all, WISP_E_CORRUPT when there are
 * some and none is usable: these stay as they are. */
wisp_status wispi_checkpoint_resume(const char *folder, wispi_model *model,
                                    wispi_checkpoint_facts *facts, wisp_error *err);

/* What last.safetensors below `folder` says, without its tensors. facts->results is the caller's to
 * free(). Changes nothing there. */
wisp_status wispi_checkpoint_read_facts(const char *folder, wispi_checkpoint_facts *facts,
                                        wisp_error *err);

/* Loads the parameters and buffers below one module, or all (NULL). What the module has and the
 * file lacks is an error, by name; what the file has beyond is ignored. */
wisp_status wispi_checkpoint_load_weights(const char *path, wispi_model *model,
                                          const wisp_module *module, wisp_error *err);

#endif

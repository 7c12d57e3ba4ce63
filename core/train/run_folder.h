/* run_folder.h - runs/<name>/<seed>/: who may write there, and what describes the run. */
#ifndef WISPI_TRAIN_RUN_FOLDER_H
#define WISPI_TRAIN_RUN_FOLDER_H

#include "wisp/status.h"

enum { WISPI_FOLDER_BYTES = 1024 };

typedef struct wispi_run_folder {
    char path[WISPI_FOLDER_BYTES];
    int lock; /* file descriptor that holds the lock; -1: none */
} wispi_run_folder;

/* Where the folder is, or will be; touches nothing. */
wisp_status wispi_run_folder_find(const char *out, const char *name, int64_t seed,
                                  wispi_run_folder *folder, wisp_error *err);
/* Makes the folder and locks it for this process; a second process is refused. Removes the
 * unfinished files of killed ones. */
wisp_status wispi_run_folder_open(const char *out, const char *name, int64_t seed,
                                  wispi_run_folder *folder, wisp_error *err);
void wispi_run_folder_close(wispi_run_folder *folder);
/* Is a process at work in the folder at `path`? Changes nothing there. */
int wispi_run_folder_is_locked(const char *path);

/* Writes config.toml. When there is one already and checkpoints with it, the two must agree but for
 * settings that do not change results (threads, workers, log and checkpoint cadence, out, resume,
 * steps, which of several devices); the error names the first line that differs. */
wisp_status wispi_run_folder_config(const wispi_run_folder *folder, const char *resolved,
                                    int has_checkpoint, wisp_error *err);
enum {
    WISPI_SAME_RUN = 0,
    WISPI_SAME_EXPERIMENT = 1 /* name and seed of the run may differ too */
};
/* The same check of two resolved texts; `folder` is for the message. */
wisp_status wispi_run_folder_compare(const char *folder, const char *before, const char *now,
                                     int as, wisp_error *err);
int wispi_run_folder_has_checkpoint(const wispi_run_folder *folder);

/* Replaces <folder>/<name>. */
wisp_status wispi_run_folder_write(const wispi_run_folder *folder, const char *name,
                                   const char *text, wisp_error *err);

#endif

/* stored_run.h - where the parts of a run lie that somebody names by its folder, or by one of its
 * checkpoints. */
#ifndef WISPI_TRAIN_STORED_RUN_H
#define WISPI_TRAIN_STORED_RUN_H

#include "wisp/status.h"

enum { WISPI_STORED_PATH = 1200 };

typedef struct wispi_stored_run {
    char weights[WISPI_STORED_PATH]; /* a safetensors file */
    char config[WISPI_STORED_PATH];  /* config.toml */
    int32_t is_folder;               /* the folder was named, so `weights` is its last checkpoint */
} wispi_stored_run;

/* `named` must be there; what a folder holds is not looked at. */
wisp_status wispi_stored_run_find(const char *named, wispi_stored_run *run, wisp_error *err);

#endif

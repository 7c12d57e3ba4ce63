/* arm_resolve.h - what an arm comes to: its whole experiment as TOML, checked as `wisp check` does.
 */
#ifndef WISPI_REPORT_ARM_RESOLVE_H
#define WISPI_REPORT_ARM_RESOLVE_H

#include "loader/registry.h"
#include "report/arms.h"

/* What is the same for all arms of a study, or follows from their names. */
typedef struct wispi_arm_frame {
    const char *out;    /* folder of the arms' folders */
    const char *device; /* run.device; NULL: as the arm has it */
    int32_t threads;    /* run.threads where the arm says none */
} wispi_arm_frame;

/* Reads run.seed, run.threads and run.workers as the arm's file and overrides have them. */
wisp_status wispi_arm_read_settings(wispi_registry *registry, wispi_arm *arm, wisp_error *err);

/* Fills `resolved`, `steps` and `judges`; builds the model once and trains nothing. */
wisp_status wispi_arm_resolve(wispi_registry *registry, const wispi_arm_frame *frame,
                              wispi_arena *arena, wispi_arm *arm, wisp_error *err);

#endif

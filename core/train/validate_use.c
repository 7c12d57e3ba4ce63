#include "train/validate_use.h"

#include <string.h>

#include "train/validate_kinds.h"
#include "train/validate_training.h"

static const struct {
    const char *kind;
    wisp_status (*use)(wispi_trial *t, wispi_subject *s, wisp_error *err);
} uses[] = {
    {"sampler", wispi_use_sampler}, {"dataset", wispi_use_dataset},
    {"task", wispi_use_task},       {"backend", wispi_use_backend},
    {"method", wispi_use_training}, {"backbone", wispi_use_training},
};

wisp_status wispi_trial_use(wispi_trial *t, wispi_subject *s, wisp_error *err)
{
    for (size_t i = 0; i < WISP_COUNT(uses); i++)
        if (strcmp(uses[i].kind, t->plugin->kind) == 0)
            return uses[i].use(t, s, err);
    return WISP_OK;
}

#include "train/validate_use.h"

#include <string.h>

#include "train/validate_kinds.h"

static const struct {
    const char *kind;
    wisp_status (*use)(wispi_trial *t, wispi_subject *s, wisp_error *err);
} uses[] = {
    {"sampler", wispi_use_sampler},
    {"dataset", wispi_use_dataset},
};

wisp_status wispi_trial_use(wispi_trial *t, wispi_subject *s, wisp_error *err)
{
    for (size_t i = 0; i < WISP_COUNT(uses); i++)
        if (strcmp(uses[i].kind, t->plugin->kind) == 0)
            return uses[i].use(t, s, err);
    return WISP_OK;
}

#include "nn/metrics.h"

#include <stdio.h>
#include <string.h>

static int is_scalar(const wisp_tensor *x)
{
    const wisp_desc *desc = wispi_tensor_desc(x);
    return desc->rank == 0 && desc->dtype == WISP_F32;
}

static wispi_metric *place_for(wispi_metrics *metrics, const char *name)
{
    for (int32_t i = 0; i < metrics->n; i++)
        if (strcmp(metrics->entries[i].name, name) == 0)
            return &metrics->entries[i];
    return metrics->n < WISPI_MAX_METRICS ? &metrics->entries[metrics->n++] : NULL;
}

void wispi_metrics_add(wispi_metrics *metrics, wisp_step *s, const char *name, wisp_tensor *value)
{
    char text[96];
    if (!is_scalar(value)) {
        wispi_step_fail(s, WISP_E_SHAPE, "metric %s must be a 0-d f32 tensor, not %s %s: reduce it",
                        name, wisp_dtype_name(wispi_tensor_desc(value)->dtype),
                        wispi_shape_text(wispi_tensor_desc(value), text, sizeof text));
        return;
    }
    if (strlen(name) >= sizeof metrics->entries[0].name) {
        wispi_step_fail(s, WISP_E_INVALID, "metric %s: the name is longer than 63 bytes", name);
        return;
    }
    wispi_step_keep(s, value);
    if (!wispi_step_is_recording(s))
        return;
    wispi_metric *metric = place_for(metrics, name);
    if (!metric) {
        wispi_step_fail(s, WISP_E_INVALID, "metric %s: a step has at most %d metrics", name,
                        WISPI_MAX_METRICS);
        return;
    }
    snprintf(metric->name, sizeof metric->name, "%s", name);
    metric->tensor = value;
}

wisp_status wispi_metrics_read(const wispi_metrics *metrics, wispi_program *program, double *values,
                               wisp_error *err)
{
    for (int32_t i = 0; i < metrics->n; i++) {
        float value = 0;
        WISP_TRY(wispi_program_read(program, metrics->entries[i].tensor, &value, err));
        values[i] = value;
    }
    return WISP_OK;
}

#include "nn/segments.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/program.h"

wisp_status wispi_segments_create(wispi_device *device, const char *name, int32_t n,
                                  const void *owner, wispi_segments **out, wisp_error *err)
{
    const wisp_desc desc = wisp_desc2(WISP_I64, n, 4);
    wispi_segments *segments = wispi_alloc(sizeof *segments);
    wispi_segment *rows = wispi_alloc_array((size_t)n, sizeof *rows);
    wisp_status status =
        segments && rows ? wispi_variable_init(device, &segments->variable, name, &desc, NULL, err)
                         : wisp_fail(err, WISP_E_NOMEM, "no memory for the table %s", name);
    if (status != WISP_OK) {
        wispi_free(segments);
        wispi_free(rows);
        return status;
    }
    segments->rows = rows;
    segments->n = n;
    segments->owner = owner;
    segments->stale = 1;
    *out = segments;
    return WISP_OK;
}

void wispi_segments_destroy(wispi_device *device, wispi_segments *segments)
{
    if (!segments)
        return;
    wispi_variable_fini(device, &segments->variable);
    wispi_free(segments->rows);
    wispi_free(segments);
}

void wispi_segments_set(wispi_segments *segments, int32_t row, const wispi_segment *value)
{
    if (memcmp(&segments->rows[row], value, sizeof *value) == 0)
        return;
    segments->rows[row] = *value;
    segments->stale = 1;
}

wisp_status wispi_segments_refresh(wispi_device *device, wispi_segments *segments, wisp_error *err)
{
    if (!segments->stale)
        return WISP_OK;
    WISP_TRY(wispi_variable_write(device, &segments->variable, segments->rows, err));
    segments->stale = 0;
    return WISP_OK;
}

wisp_tensor *wispi_segments_tensor(wisp_step *s, wispi_segments *segments)
{
    if (segments->stale && !wispi_step_is_recording(s))
        wispi_step_fail(s, WISP_E_STATE,
                        "the table %s is older than the recorded step: call wispi_model_refresh() "
                        "between recording and running",
                        segments->variable.name);
    return wispi_step_variable(s, &segments->variable);
}

/* bad_samples.c - a plain list: a run ends long before it could become long. */
#include "data/bad_samples.h"

#include "base/memory.h"

wisp_status wispi_bad_samples_add(wispi_bad_samples *bad, int64_t index, int32_t *is_new,
                                  wisp_error *err)
{
    for (int64_t i = 0; i < bad->n; i++) {
        if (bad->index[i] == index) {
            *is_new = 0;
            return WISP_OK;
        }
    }
    if (bad->n == bad->capacity) {
        int64_t capacity = bad->capacity ? 2 * bad->capacity : 64;
        void *grown = wispi_grow(bad->index, (size_t)bad->n * sizeof *bad->index,
                                 (size_t)capacity * sizeof *bad->index);
        if (!grown)
            return wisp_fail(err, WISP_E_NOMEM, "no memory to count %lld bad samples",
                             (long long)capacity);
        bad->index = grown;
        bad->capacity = capacity;
    }
    bad->index[bad->n++] = index;
    *is_new = 1;
    return WISP_OK;
}

void wispi_bad_samples_free(wispi_bad_samples *bad)
{
    wispi_free(bad->index);
    *bad = (wispi_bad_samples){0};
}

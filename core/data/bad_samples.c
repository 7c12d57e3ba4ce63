/* bad_samples.c - a sorted list, for a run may be told to go on with very many. */
#include "data/bad_samples.h"

#include <string.h>

#include "base/memory.h"

/* Where `index` stands, or belongs. */
static int64_t place_of(const wispi_bad_samples *bad, int64_t index)
{
    int64_t low = 0, high = bad->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (bad->index[middle] < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static wisp_status make_room(wispi_bad_samples *bad, wisp_error *err)
{
    if (bad->n < bad->capacity)
        return WISP_OK;
    const int64_t capacity = bad->capacity ? 2 * bad->capacity : 64;
    void *grown = wispi_grow(bad->index, (size_t)bad->n * sizeof *bad->index,
                             (size_t)capacity * sizeof *bad->index);
    if (!grown)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to count %lld bad samples",
                         (long long)capacity);
    bad->index = grown;
    bad->capacity = capacity;
    return WISP_OK;
}

wisp_status wispi_bad_samples_add(wispi_bad_samples *bad, int64_t index, int32_t *is_new,
                                  wisp_error *err)
{
    const int64_t place = place_of(bad, index);
    if (place < bad->n && bad->index[place] == index) {
        *is_new = 0;
        return WISP_OK;
    }
    WISP_TRY(make_room(bad, err));
    memmove(bad->index + place + 1, bad->index + place,
            (size_t)(bad->n - place) * sizeof *bad->index);
    bad->index[place] = index;
    bad->n++;
    *is_new = 1;
    return WISP_OK;
}

void wispi_bad_samples_free(wispi_bad_samples *bad)
{
    wispi_free(bad->index);
    *bad = (wispi_bad_samples){0};
}

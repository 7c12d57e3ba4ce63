#include "data/sample_memory.h"

#include <string.h>

#include "base/memory.h"
#include "image/pixels.h"

static uint8_t *reserve(wisp_sample_sink *sink, size_t bytes)
{
    wispi_sample_memory *m = (wispi_sample_memory *)(void *)sink;
    if (bytes > m->capacity) {
        size_t wanted = bytes + bytes / 2 + 4096;
        void *grown = wispi_grow(m->bytes, m->capacity, wanted);
        if (!grown)
            return NULL;
        m->bytes = grown;
        m->capacity = wanted;
    }
    return m->bytes;
}

void wispi_sample_memory_open(wispi_sample_memory *memory)
{
    memory->sink = (wisp_sample_sink){.struct_size = sizeof memory->sink, .reserve = reserve};
}

void wispi_sample_memory_free(wispi_sample_memory *memory)
{
    wispi_free(memory->bytes);
    memory->bytes = NULL;
    memory->capacity = 0;
}

static int is_good(const wispi_sample_memory *m, const wisp_sample *s)
{
    if (!s->data || s->data != m->bytes || s->bytes > m->capacity)
        return 0;
    if (s->form == WISP_SAMPLE_ENCODED)
        return 1;
    return s->form == WISP_SAMPLE_RGB8 && s->width >= 1 && s->height >= 1 &&
           s->width <= WISPI_IMAGE_MAX_SIDE && s->height <= WISPI_IMAGE_MAX_SIDE &&
           s->bytes == (size_t)s->width * (size_t)s->height * 3;
}

wisp_status wispi_sample_read(wispi_sample_memory *memory, const wisp_dataset_v0 *set,
                              const void *self, int64_t index, wisp_sample *sample, wisp_error *err)
{
    memset(sample, 0, sizeof *sample);
    WISP_TRY(set->read(self, index, &memory->sink, sample, err));
    if (!is_good(memory, sample))
        return wisp_fail(
            err, WISP_E_PLUGIN,
            "the data set gave sample %lld as form %d, %d x %d px, %zu bytes: these do not fit, or "
            "are not in the memory it was lent",
            (long long)index, sample->form, sample->width, sample->height, sample->bytes);
    return WISP_OK;
}

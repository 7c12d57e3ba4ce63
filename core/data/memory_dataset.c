#include "data/memory_dataset.h"

#include <string.h>

#include "base/memory.h"
#include "data/sample_memory.h"

struct wispi_memory_dataset {
    wisp_dataset_v0 table;
    const wisp_dataset_v0 *from;
    const void *from_self;
    wisp_sample *samples; /* data NULL: could not be read */
    int64_t n;
    size_t bytes;
};

/* --- as a data set --- */

static int64_t count(const void *self)
{
    return ((const wispi_memory_dataset *)self)->n;
}

static int32_t n_classes(const void *self)
{
    const wispi_memory_dataset *d = self;
    return d->from->n_classes(d->from_self);
}

static int32_t label(const void *self, int64_t index)
{
    const wispi_memory_dataset *d = self;
    return d->from->label(d->from_self, index);
}

static wisp_status read_kept(const void *self, int64_t index, wisp_sample_sink *sink,
                             wisp_sample *sample, wisp_error *err)
{
    const wisp_sample *kept = &((const wispi_memory_dataset *)self)->samples[index];
    if (!kept->data)
        return wisp_fail(err, WISP_E_DATA, "it could not be read when the data were loaded");
    uint8_t *data = sink->reserve(sink, kept->bytes);
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a sample of %zu bytes", kept->bytes);
    memcpy(data, kept->data, kept->bytes);
    *sample = *kept;
    sample->data = data;
    return WISP_OK;
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const wispi_memory_dataset *d = self;
    if (d->from->sample_name)
        d->from->sample_name(d->from_self, index, text, bytes);
}

/* --- loading --- */

/* 0 in *fits: the limit is reached. */
static wisp_status keep_one(wispi_memory_dataset *d, wispi_sample_memory *memory, size_t limit,
                            int *fits, wisp_error *err)
{
    wisp_sample sample;
    wisp_status status = wispi_sample_read(memory, d->from, d->from_self, d->n, &sample, err);
    if (status != WISP_OK && status != WISP_E_DATA)
        return status;
    if (status == WISP_E_DATA)
        sample.bytes = 0;
    *fits = sample.bytes <= limit - d->bytes;
    if (!*fits)
        return WISP_OK;
    uint8_t *kept = sample.bytes ? wispi_alloc(sample.bytes) : NULL;
    if (sample.bytes && !kept)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for sample %lld", (long long)d->n);
    if (kept)
        memcpy(kept, sample.data, sample.bytes);
    sample.data = kept;
    d->samples[d->n++] = sample;
    d->bytes += sample.bytes;
    return WISP_OK;
}

static wisp_status keep_all(wispi_memory_dataset *d, size_t limit, wisp_error *err)
{
    wispi_sample_memory memory = {0};
    const int64_t n = d->from->count(d->from_self);
    wisp_status status = WISP_OK;
    int fits = 1;
    d->samples = wispi_alloc_array((size_t)(n > 0 ? n : 1), sizeof *d->samples);
    if (!d->samples)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a list of %lld samples", (long long)n);
    wispi_sample_memory_open(&memory);
    while (status == WISP_OK && fits && d->n < n)
        status = keep_one(d, &memory, limit, &fits, err);
    wispi_sample_memory_free(&memory);
    return status;
}

wisp_status wispi_memory_dataset_create(const wisp_dataset_v0 *from, const void *self, size_t limit,
                                        wispi_memory_dataset **dataset, wisp_error *err)
{
    wispi_memory_dataset *d = wispi_alloc(sizeof *d);
    if (!d)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    d->table = (wisp_dataset_v0){.struct_size = sizeof d->table,
                                 .count = count,
                                 .n_classes = n_classes,
                                 .label = label,
                                 .read = read_kept,
                                 .sample_name = sample_name};
    d->from = from;
    d->from_self = self;
    wisp_status status = keep_all(d, limit, err);
    if (status == WISP_OK)
        *dataset = d;
    else
        wispi_memory_dataset_destroy(d);
    return status;
}

void wispi_memory_dataset_destroy(wispi_memory_dataset *d)
{
    if (!d)
        return;
    for (int64_t i = 0; i < d->n; i++)
        wispi_free(d->samples[i].data);
    wispi_free(d->samples);
    wispi_free(d);
}

const wisp_dataset_v0 *wispi_memory_dataset_table(const wispi_memory_dataset *d)
{
    return &d->table;
}

size_t wispi_memory_dataset_bytes(const wispi_memory_dataset *d)
{
    return d->bytes;
}

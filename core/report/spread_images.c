#include "report/spread_images.h"

#include <string.h>

int64_t wispi_spread_images_at(const wispi_spread_images *spread, int64_t index)
{
    if (spread->picked)
        return spread->picked[index];
    const int64_t whole = spread->of / spread->n, rest = spread->of % spread->n;
    return index * whole + index * rest / spread->n;
}

static int64_t count(const void *self)
{
    return ((const wispi_spread_images *)self)->n;
}

static int32_t n_classes(const void *self)
{
    const wispi_spread_images *s = self;
    return s->from->n_classes(s->from_self);
}

static int32_t label(const void *self, int64_t index)
{
    const wispi_spread_images *s = self;
    return s->from->label(s->from_self, wispi_spread_images_at(s, index));
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const wispi_spread_images *s = self;
    return s->from->read(s->from_self, wispi_spread_images_at(s, index), sink, sample, err);
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const wispi_spread_images *s = self;
    s->from->sample_name(s->from_self, wispi_spread_images_at(s, index), text, bytes);
}

static uint64_t fingerprint(const void *self)
{
    const wispi_spread_images *s = self;
    return s->from->fingerprint(s->from_self);
}

void wispi_spread_images_open(wispi_spread_images *spread, const wispi_instance *data, int64_t most)
{
    memset(spread, 0, sizeof *spread);
    spread->from = data->plugin->descriptor->vtable;
    spread->from_self = data->self;
    spread->of = spread->from->count(data->self);
    spread->n = spread->of < most ? spread->of : most;
    spread->table = (wisp_dataset_v0){
        .struct_size = sizeof spread->table,
        .count = count,
        .n_classes = n_classes,
        .label = spread->from->label ? label : NULL,
        .read = read_sample,
        .sample_name = spread->from->sample_name ? sample_name : NULL,
        .fingerprint = fingerprint,
    };
    spread->descriptor = *data->plugin->descriptor;
    spread->descriptor.vtable = &spread->table;
    spread->plugin = *data->plugin;
    spread->plugin.descriptor = &spread->descriptor;
    spread->instance = *data;
    spread->instance.plugin = &spread->plugin;
    spread->instance.self = spread;
}

void wispi_spread_images_pick(wispi_spread_images *spread, const wispi_instance *data,
                              const int64_t *picked, int64_t n)
{
    wispi_spread_images_open(spread, data, n);
    spread->picked = picked;
    spread->n = n;
}

int32_t wispi_spread_images_label(const wispi_spread_images *spread, int64_t index)
{
    return spread->from->label && n_classes(spread) > 0 ? label(spread, index) : -1;
}

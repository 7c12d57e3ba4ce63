/* runtime_pack.c - wisp_runtime_pack of wisp/runtime.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "data/pack.h"
#include "loader/host_table.h"
#include "train/data_source.h"
#include "train/json_text.h"
#include "train/progress.h"
#include "train/runtime_handle.h"

enum { DEFAULT_QUALITY = 95 };

static const double terminal_seconds = 0.5, other_seconds = 10;

/* --- progress --- */

typedef struct pack_progress {
    int32_t terminal, line_open;
    double began, last_time;
} pack_progress;

static void show(void *user, int64_t done, int64_t total, int64_t bytes)
{
    pack_progress *p = user;
    const double now = wispi_seconds(), passed = fmax(now - p->began, 1e-9);
    char eta[32];
    if (now - p->last_time < (p->terminal ? terminal_seconds : other_seconds) || done == 0)
        return;
    wispi_duration_text((double)(total - done) * passed / (double)done, eta, sizeof eta);
    printf("%spacked %lld/%lld  %.1f MB  %.1f samples/s  ETA %s%s", p->terminal ? "\r\033[K" : "",
           (long long)done, (long long)total, (double)bytes / 1e6, (double)done / passed, eta,
           p->terminal ? "" : "\n");
    p->line_open = p->terminal;
    p->last_time = now;
    fflush(stdout);
}

static void end_progress(const pack_progress *p)
{
    if (p->line_open)
        printf("\n");
    fflush(stdout);
}

/* --- result --- */

static wisp_status give_facts(const char *file, const wispi_pack_facts *f, int32_t format,
                              char **text, wisp_error *err)
{
    char fingerprint[32];
    wispi_text out = {0};
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)f->file.fingerprint);
    if (format == WISP_FORMAT_JSON)
        return wispi_json_give(
            json_pack("{s:o, s:I, s:i, s:I, s:I, s:I, s:s}", "file", wispi_json_string(file),
                      "samples", (json_int_t)f->file.count, "classes", (int)f->n_classes, "bytes",
                      (json_int_t)f->file.bytes, "made_smaller", (json_int_t)f->n_recoded,
                      "left_out", (json_int_t)f->n_broken, "fingerprint", fingerprint),
            text, err);
    wispi_text_printf(&out, "%s: %lld samples, %d classes, %lld bytes, fingerprint %s", file,
                      (long long)f->file.count, (int)f->n_classes, (long long)f->file.bytes,
                      fingerprint);
    if (f->n_recoded)
        wispi_text_printf(&out, "; %lld made smaller", (long long)f->n_recoded);
    if (f->n_broken)
        wispi_text_printf(&out, "; %lld broken ones left out", (long long)f->n_broken);
    wispi_text_append(&out, "\n");
    return wispi_runtime_give(&out, text, err);
}

/* --- the call --- */

static wisp_status pack(wisp_runtime *runtime, const wisp_experiment_source *source,
                        const char *file, const wisp_pack_options *o, wispi_pool *pool,
                        wispi_pack_facts *facts, wisp_error *err)
{
    const wispi_data_request data = {source->path, o->use, source->overrides, source->n_overrides};
    pack_progress progress = {.terminal = isatty(STDOUT_FILENO), .began = wispi_seconds()};
    wispi_data_source from = {0};
    progress.last_time = progress.began;
    WISP_TRY(wispi_data_source_open(runtime->registry, &data, &from, err));
    const wispi_pack_request request = {
        .dataset = from.instance.plugin->descriptor->vtable,
        .dataset_self = from.instance.self,
        .limit = o->limit,
        .recode = {o->short_side, o->quality ? o->quality : DEFAULT_QUALITY, o->unchecked},
        .skip_broken = o->skip_broken,
        .pool = pool,
        .stop = &runtime->stop,
        .progress = o->quiet ? NULL : show,
        .user = &progress};
    wisp_status status = wispi_pack(&request, file, facts, err);
    end_progress(&progress);
    wispi_data_source_close(&from);
    return status;
}

wisp_status wisp_runtime_pack(wisp_runtime *runtime, const wisp_experiment_source *source,
                              const char *file, const wisp_pack_options *options, int32_t format,
                              char **text, wisp_error *err)
{
    wisp_pack_options o;
    wispi_pack_facts facts = {0};
    wispi_read_sized(&o, sizeof o, options);
    if (o.short_side < 0 || o.quality < 0 || o.quality > 100 || o.limit < 0)
        return wisp_fail(err, WISP_E_INVALID,
                         "pack: short side %d, quality %d, limit %lld: none may be negative, and "
                         "the quality at most 100",
                         o.short_side, o.quality, (long long)o.limit);
    runtime->stop = 0;
    wispi_pool *pool = wispi_pool_create(o.jobs, err);
    if (!pool)
        return err ? err->code : WISP_E_NOMEM;
    wispi_host_set_pool(pool);
    wisp_status status = pack(runtime, source, file, &o, pool, &facts, err);
    wispi_host_set_pool(NULL);
    wispi_pool_destroy(pool);
    return status == WISP_OK ? give_facts(file, &facts, format, text, err) : status;
}

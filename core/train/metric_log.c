#include "train/metric_log.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "train/events.h"

enum { PATH_BYTES = 1200 };

/* TensorBoard knows event files by the second part of the name. Without a time in it, a run that
 * was killed before its first checkpoint leaves no second file behind. */
static const char events_name[] = "events.out.tfevents.0.wisp";

struct wispi_metric_log {
    FILE *lines, *events, *timing;
    char events_name[96];
};

static double wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Opens for appending behind the first `keep` bytes; keep < 0 starts an empty file. */
static wisp_status open_at(const char *folder, const char *name, int64_t keep, FILE **out,
                           wisp_error *err)
{
    char path[PATH_BYTES];
    if (wispi_path_join(path, sizeof path, folder, name) != WISP_OK)
        return wisp_fail(err, WISP_E_INVALID, "%s/%s: the path is too long", folder, name);
    struct stat info;
    if (keep > 0 && (stat(path, &info) != 0 || info.st_size < keep))
        return wisp_fail(
            err, WISP_E_CORRUPT,
            "%s is shorter than its checkpoint says: put it back, or start the run anew in "
            "another folder",
            path);
    if (keep >= 0 && truncate(path, keep) != 0 && errno != ENOENT)
        return wisp_fail(err, WISP_E_IO, "%s: %s", path, strerror(errno));
    FILE *file = fopen(path, keep < 0 ? "we" : "ae");
    if (!file)
        return wisp_fail(err, WISP_E_IO, "%s: %s", path, strerror(errno));
    *out = file;
    return WISP_OK;
}

static wisp_status open_all(wispi_metric_log *m, const char *folder,
                            const wispi_metric_log_position *from, wisp_error *err)
{
    WISP_TRY(open_at(folder, "metrics.jsonl", from ? from->metrics_bytes : -1, &m->lines, err));
    WISP_TRY(open_at(folder, "timing.jsonl", from ? from->timing_bytes : -1, &m->timing, err));
    if (from)
        snprintf(m->events_name, sizeof m->events_name, "%s", from->events_name);
    else
        snprintf(m->events_name, sizeof m->events_name, "%s", events_name);
    WISP_TRY(open_at(folder, m->events_name, from ? from->events_bytes : -1, &m->events, err));
    if (!from && wispi_events_begin(m->events, wall_time()))
        return wisp_fail(err, WISP_E_IO, "%s/%s: %s", folder, m->events_name, strerror(errno));
    return WISP_OK;
}

wisp_status wispi_metric_log_open(const char *folder, const wispi_metric_log_position *resume_from,
                                  wispi_metric_log **metrics, wisp_error *err)
{
    wispi_metric_log *m = wispi_alloc(sizeof *m);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the metrics");
    wisp_status status = open_all(m, folder, resume_from, err);
    if (status == WISP_OK)
        *metrics = m;
    else
        wispi_metric_log_close(m);
    return status;
}

void wispi_metric_log_close(wispi_metric_log *metrics)
{
    if (!metrics)
        return;
    FILE *const files[] = {metrics->lines, metrics->events, metrics->timing};
    for (int i = 0; i < 3; i++)
        if (files[i])
            fclose(files[i]);
    wispi_free(metrics);
}

static void append_values(wispi_text *line, const wispi_metric_value *values, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (isfinite(values[i].value))
            wispi_text_printf(line, ", \"%s\": %.9g", values[i].name, values[i].value);
        else
            wispi_text_printf(line, ", \"%s\": null", values[i].name);
    }
}

static wisp_status write_line(FILE *file, wispi_text *line, wisp_error *err)
{
    wisp_status status = WISP_OK;
    if (line->failed)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for a line of metrics");
    else if (fwrite(line->data, 1, line->length, file) != line->length || fflush(file) != 0)
        status = wisp_fail(err, WISP_E_IO, "writing the metrics: %s", strerror(errno));
    wispi_text_free(line);
    return status;
}

wisp_status wispi_metric_log_add(wispi_metric_log *m, const char *kind, int64_t epoch, int64_t step,
                                 const wispi_metric_value *values, int32_t n, const char *protocol,
                                 wisp_error *err)
{
    wispi_text line = {NULL, 0, 0, 0};
    wispi_text_printf(&line, "{\"kind\": \"%s\", \"epoch\": %lld, \"step\": %lld", kind,
                      (long long)epoch, (long long)step);
    append_values(&line, values, n);
    if (protocol)
        wispi_text_printf(&line, ", \"protocol\": %s", protocol);
    wispi_text_append(&line, "}\n");
    WISP_TRY(write_line(m->lines, &line, err));
    for (int32_t i = 0; i < n; i++) {
        char tag[200];
        snprintf(tag, sizeof tag, "%s/%s", kind, values[i].name);
        if (wispi_events_scalar(m->events, wall_time(), step, tag, (float)values[i].value))
            return wisp_fail(err, WISP_E_IO, "writing the events: %s", strerror(errno));
    }
    return fflush(m->events) ? wisp_fail(err, WISP_E_IO, "writing the events: %s", strerror(errno))
                             : WISP_OK;
}

wisp_status wispi_metric_log_add_timing(wispi_metric_log *m, int64_t epoch, int64_t step,
                                        const wispi_metric_value *values, int32_t n,
                                        wisp_error *err)
{
    wispi_text line = {NULL, 0, 0, 0};
    wispi_text_printf(&line, "{\"epoch\": %lld, \"step\": %lld", (long long)epoch, (long long)step);
    append_values(&line, values, n);
    wispi_text_append(&line, "}\n");
    return write_line(m->timing, &line, err);
}

wisp_status wispi_metric_log_sync(wispi_metric_log *m, wispi_metric_log_position *position,
                                  wisp_error *err)
{
    FILE *const files[] = {m->lines, m->events, m->timing};
    int64_t bytes[3];
    for (int i = 0; i < 3; i++) {
        if (fflush(files[i]) != 0 || fsync(fileno(files[i])) != 0)
            return wisp_fail(err, WISP_E_IO, "writing the metrics: %s", strerror(errno));
        if (fseeko(files[i], 0, SEEK_END) != 0)
            return wisp_fail(err, WISP_E_IO, "reading a file's length: %s", strerror(errno));
        bytes[i] = (int64_t)ftello(files[i]);
    }
    position->metrics_bytes = bytes[0];
    position->events_bytes = bytes[1];
    position->timing_bytes = bytes[2];
    snprintf(position->events_name, sizeof position->events_name, "%s", m->events_name);
    return WISP_OK;
}

#include "train/metric_log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "train/events.h"
#include "train/json_text.h"

enum { PATH_BYTES = 1200 };

/* TensorBoard knows event files by the second part of the name. Without a time in it, a run that
 * was killed before its first checkpoint leaves no second file behind. */
static const char events_name[] = "events.out.tfevents.0.wisp";

/* Lines go to the file at once, so that one for which there is no room can be taken back. */
struct wispi_metric_log {
    int lines, timing; /* -1: not open */
    FILE *events;
    char events_name[96];
};

static double wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static wisp_status file_path(const char *folder, const char *name, char path[PATH_BYTES],
                             wisp_error *err)
{
    if (wispi_path_join(path, PATH_BYTES, folder, name) != WISP_OK)
        return wisp_fail(err, WISP_E_INVALID, "%s/%s: the path is too long", folder, name);
    return WISP_OK;
}

/* All are checked before the first is cut. */
static wisp_status check_lengths(const char *folder, const wispi_metric_log_position *from,
                                 wisp_error *err)
{
    const struct {
        const char *name;
        int64_t keep;
    } files[] = {{"metrics.jsonl", from->metrics_bytes},
                 {"timing.jsonl", from->timing_bytes},
                 {from->events_name, from->events_bytes}};
    for (int i = 0; i < 3; i++) {
        char path[PATH_BYTES];
        struct stat info;
        WISP_TRY(file_path(folder, files[i].name, path, err));
        if (files[i].keep > 0 && (stat(path, &info) != 0 || info.st_size < files[i].keep))
            return wisp_fail(
                err, WISP_E_CORRUPT,
                "%s is shorter than its checkpoint says: put it back, or start the run anew in "
                "another folder",
                path);
    }
    return WISP_OK;
}

/* Opens for appending behind the first `keep` bytes; keep < 0 starts an empty file. */
static wisp_status open_at(const char *folder, const char *name, int64_t keep, int *out,
                           wisp_error *err)
{
    char path[PATH_BYTES];
    WISP_TRY(file_path(folder, name, path, err));
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, keep < 0 ? 0 : keep) != 0) {
        wisp_fail(err, WISP_E_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return WISP_E_IO;
    }
    *out = fd;
    return WISP_OK;
}

static wisp_status open_events(wispi_metric_log *m, const char *folder,
                               const wispi_metric_log_position *from, wisp_error *err)
{
    int fd = -1;
    snprintf(m->events_name, sizeof m->events_name, "%s", from ? from->events_name : events_name);
    WISP_TRY(open_at(folder, m->events_name, from ? from->events_bytes : -1, &fd, err));
    m->events = fdopen(fd, "a");
    if (!m->events) {
        close(fd);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the events");
    }
    if (!from && wispi_events_begin(m->events, wall_time()))
        return wisp_fail(err, WISP_E_IO, "%s/%s: %s", folder, m->events_name, strerror(errno));
    return WISP_OK;
}

static wisp_status open_all(wispi_metric_log *m, const char *folder,
                            const wispi_metric_log_position *from, wisp_error *err)
{
    if (from)
        WISP_TRY(check_lengths(folder, from, err));
    WISP_TRY(open_at(folder, "metrics.jsonl", from ? from->metrics_bytes : -1, &m->lines, err));
    WISP_TRY(open_at(folder, "timing.jsonl", from ? from->timing_bytes : -1, &m->timing, err));
    return open_events(m, folder, from, err);
}

wisp_status wispi_metric_log_open(const char *folder, const wispi_metric_log_position *resume_from,
                                  wispi_metric_log **metrics, wisp_error *err)
{
    wispi_metric_log *m = wispi_alloc(sizeof *m);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the metrics");
    m->lines = m->timing = -1;
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
    if (metrics->lines >= 0)
        close(metrics->lines);
    if (metrics->timing >= 0)
        close(metrics->timing);
    if (metrics->events)
        fclose(metrics->events);
    wispi_free(metrics);
}

void wispi_metric_key(const char *metric, char *key, size_t bytes)
{
    size_t n = 0;
    for (; *metric && n + 1 < bytes; metric++)
        key[n++] = (char)(isalnum((unsigned char)*metric) ? tolower((unsigned char)*metric) : '_');
    key[n] = '\0';
}

/* Nine digits hold a float. Counts, of pixels for one, have more, and a double holds them. */
static int is_large_count(double value)
{
    return fabs(value) >= 1e9 && fabs(value) < 9e15 && value == floor(value);
}

static void append_values(wispi_text *line, const wispi_metric_value *values, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const double value = values[i].value;
        if (!isfinite(value))
            wispi_text_printf(line, ", \"%s\": null", values[i].name);
        else if (is_large_count(value))
            wispi_text_printf(line, ", \"%s\": %.0f", values[i].name, value);
        else
            wispi_text_printf(line, ", \"%s\": %.9g", values[i].name, value);
    }
}

static wisp_status io_failure(const char *what, wisp_error *err)
{
    return wisp_fail(
        err, WISP_E_IO,
        "writing the %s: %s. Make room or mend the disk, then the same command goes on "
        "from the last checkpoint",
        what, strerror(errno));
}

/* Tells whether all of it could be written; else errno says why. */
static int write_fully(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t piece = write(fd, data, n);
        if (piece < 0 && errno != EINTR)
            return 0;
        data += piece > 0 ? piece : 0;
        n -= piece > 0 ? (size_t)piece : 0;
    }
    return 1;
}

/* All of the line or nothing of it. */
static wisp_status write_line(int fd, wispi_text *line, wisp_error *err)
{
    struct stat before;
    wisp_status status = WISP_OK;
    if (line->failed)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for a line of metrics");
    else if (fstat(fd, &before) != 0)
        status = io_failure("metrics", err);
    else if (!write_fully(fd, line->data, line->length)) {
        status = io_failure("metrics", err);
        if (ftruncate(fd, before.st_size) != 0)
            wispi_log(WISP_LOG_WARNING, "the last line of the metrics is not whole");
    }
    wispi_text_free(line);
    return status;
}

/* `json`: a value of its own under `key`, behind the others; or NULL. */
static wisp_status add_line(wispi_metric_log *m, const char *kind, int64_t epoch, int64_t step,
                            const wispi_metric_value *values, int32_t n, const char *key,
                            const char *json, wisp_error *err)
{
    wispi_text line = {NULL, 0, 0, 0};
    wispi_text_printf(&line, "{\"kind\": \"%s\", \"epoch\": %lld, \"step\": %lld", kind,
                      (long long)epoch, (long long)step);
    append_values(&line, values, n);
    if (json)
        wispi_text_printf(&line, ", \"%s\": %s", key, json);
    wispi_text_append(&line, "}\n");
    return write_line(m->lines, &line, err);
}

wisp_status wispi_metric_log_add(wispi_metric_log *m, const char *kind, int64_t epoch, int64_t step,
                                 const wispi_metric_value *values, int32_t n, const char *protocol,
                                 wisp_error *err)
{
    WISP_TRY(add_line(m, kind, epoch, step, values, n, "protocol", protocol, err));
    for (int32_t i = 0; i < n; i++) {
        char tag[200];
        snprintf(tag, sizeof tag, "%s/%s", kind, values[i].name);
        if (wispi_events_scalar(m->events, wall_time(), step, tag, (float)values[i].value))
            return io_failure("events", err);
    }
    return fflush(m->events) ? io_failure("events", err) : WISP_OK;
}

wisp_status wispi_metric_log_add_words(wispi_metric_log *m, const char *kind, int64_t epoch,
                                       int64_t step, const wispi_metric_value *values, int32_t n,
                                       const char *words, wisp_error *err)
{
    json_t *string = wispi_json_string(words);
    char *json = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    const wisp_status status = json ? add_line(m, kind, epoch, step, values, n, "words", json, err)
                                    : wisp_fail(err, WISP_E_NOMEM, "no memory for a line of words");
    free(json); /* jansson's own allocation */
    return status;
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
    if (fflush(m->events) != 0)
        return io_failure("events", err);
    const int files[] = {m->lines, fileno(m->events), m->timing};
    struct stat info[3];
    for (int i = 0; i < 3; i++)
        if (fsync(files[i]) != 0 || fstat(files[i], &info[i]) != 0)
            return io_failure("metrics", err);
    position->metrics_bytes = info[0].st_size;
    position->events_bytes = info[1].st_size;
    position->timing_bytes = info[2].st_size;
    snprintf(position->events_name, sizeof position->events_name, "%s", m->events_name);
    return WISP_OK;
}

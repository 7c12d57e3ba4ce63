/* shard_paths.c - folders and patterns become lists of files. */
#include "shard_paths.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_SHARDS = 1000000, MAX_BRACES = 16 };

int is_shard_name(const char *name)
{
    static const char *const endings[] = {".tar", ".tar.gz", ".tgz"};
    const size_t length = strlen(name);
    for (size_t i = 0; name[0] != '.' && i < 3; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcasecmp(name + length - n, endings[i]) == 0)
            return 1;
    }
    return 0;
}

static wisp_status add_path(shard_paths *p, const char *folder, const char *name, wisp_error *err)
{
    const size_t first = folder ? strlen(folder) : 0, second = strlen(name) + 1;
    const int slash = first > 0 && folder[first - 1] != '/';
    const size_t at = p->texts.used, bytes = first + (size_t)slash + second;
    if (p->n == MAX_SHARDS || bytes > PATH_MAX)
        return wisp_fail(err, WISP_E_CONFIG,
                         "path: more than %d shards, or a path that is too long", MAX_SHARDS);
    char *text = growing_add(&p->texts, bytes);
    size_t *start = text ? growing_add(&p->starts, sizeof *start) : NULL;
    if (!start)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a list of %lld shards", (long long)p->n);
    if (first)
        memcpy(text, folder, first);
    if (slash)
        text[first] = '/';
    memcpy(text + first + (size_t)slash, name, second);
    *start = at;
    p->n++;
    return WISP_OK;
}

/* --- folders --- */

static int by_text(const void *a, const void *b, void *texts)
{
    const size_t *x = a, *y = b;
    return strcmp((const char *)texts + *x, (const char *)texts + *y);
}

static wisp_status add_entries(shard_paths *p, const char *path, DIR *folder, wisp_error *err)
{
    char text[128];
    const struct dirent *entry;
    for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0)
        if (is_shard_name(entry->d_name))
            WISP_TRY(add_path(p, path, entry->d_name, err));
    if (errno)
        return wisp_fail(err, WISP_E_IO, "cannot read the folder \"%.700s\": %s", path,
                         strerror_r(errno, text, sizeof text));
    return WISP_OK;
}

/* Its shards, sorted by name. */
static wisp_status add_folder(shard_paths *p, const char *path, wisp_error *err)
{
    char text[128];
    const int64_t before = p->n;
    DIR *folder = opendir(path);
    if (!folder)
        return wisp_fail(err, WISP_E_IO, "cannot open the folder \"%.700s\": %s", path,
                         strerror_r(errno, text, sizeof text));
    wisp_status status = add_entries(p, path, folder, err);
    closedir(folder);
    WISP_TRY(status);
    if (p->n == before)
        return wisp_fail(err, WISP_E_DATA,
                         "\"%.700s\" holds no shard: looked for names that end in .tar, .tar.gz or "
                         ".tgz and do not begin with a dot",
                         path);
    qsort_r(p->starts.data + (size_t)before * sizeof(size_t), (size_t)(p->n - before),
            sizeof(size_t), by_text, p->texts.data);
    return WISP_OK;
}

/* --- braces --- */

/* One pair of braces: a range, or alternatives with commas between them. */
typedef struct brace {
    const char *begin, *end; /* within the braces */
    int64_t first, step, n;
    int32_t width; /* digits; 0: as many as it needs */
    int32_t is_range;
} brace;

typedef struct pattern {
    const char *text;
    brace braces[MAX_BRACES];
    int32_t n_braces;
    int32_t reserved;
} pattern;

static int take_number(const char **at, const char *end, int64_t *value, int32_t *width)
{
    int32_t n = 0;
    for (*value = 0; *at < end && **at >= '0' && **at <= '9' && n < 18; (*at)++, n++)
        *value = *value * 10 + (**at - '0');
    *width = n;
    return n > 0;
}

static int take_dots(const char **at, const char *end)
{
    if (end - *at < 2 || (*at)[0] != '.' || (*at)[1] != '.')
        return 0;
    *at += 2;
    return 1;
}

/* {first..last} or {first..last..step}; zeros in front of either say how wide all are. */
static int read_range(brace *b)
{
    const char *at = b->begin, *first = at, *second;
    int64_t last = 0, step = 1;
    int32_t width[2], step_width;
    if (!take_number(&at, b->end, &b->first, &width[0]) || !take_dots(&at, b->end))
        return 0;
    second = at;
    if (!take_number(&at, b->end, &last, &width[1]))
        return 0;
    if (at < b->end &&
        (!take_dots(&at, b->end) || !take_number(&at, b->end, &step, &step_width) || step == 0))
        return 0;
    if (at != b->end)
        return 0;
    if ((width[0] > 1 && first[0] == '0') || (width[1] > 1 && second[0] == '0'))
        b->width = width[0] > width[1] ? width[0] : width[1];
    b->step = last >= b->first ? step : -step;
    b->n = (last - b->first) / b->step + 1;
    b->is_range = 1;
    return 1;
}

static wisp_status read_brace(brace *b, const char *text, wisp_error *err)
{
    b->n = 1;
    for (const char *c = b->begin; c < b->end; c++) {
        b->n += *c == ',';
        if (*c == '{')
            return wisp_fail(err, WISP_E_CONFIG, "path = \"%.700s\": braces within braces", text);
    }
    if (b->n == 1 && !read_range(b))
        return wisp_fail(err, WISP_E_CONFIG,
                         "path = \"%.700s\": \"{%.*s}\" is neither a range such as {000..146} nor "
                         "alternatives such as {a,b}",
                         text, (int)(b->end - b->begin), b->begin);
    return WISP_OK;
}

static wisp_status read_pattern(pattern *p, int64_t *n, wisp_error *err)
{
    *n = 1;
    for (const char *open = strchr(p->text, '{'); open; open = strchr(open, '{')) {
        const char *end = strchr(open, '}');
        if (!end || p->n_braces == MAX_BRACES)
            return wisp_fail(err, WISP_E_CONFIG,
                             "path = \"%.700s\": a brace is not closed, or there are more than %d",
                             p->text, MAX_BRACES);
        brace *b = &p->braces[p->n_braces++];
        b->begin = open + 1;
        b->end = end;
        WISP_TRY(read_brace(b, p->text, err));
        if (b->n > MAX_SHARDS || *n > MAX_SHARDS / b->n)
            return wisp_fail(err, WISP_E_CONFIG, "path = \"%.700s\" names more than %d shards",
                             p->text, MAX_SHARDS);
        *n *= b->n;
        open = end + 1;
    }
    return WISP_OK;
}

/* What stands in the place of a brace for choice `k`; its length, or what it would need. */
static int write_choice(const brace *b, int64_t k, char *out, size_t room)
{
    if (b->is_range)
        return snprintf(out, room, "%0*lld", b->width, (long long)(b->first + k * b->step));
    const char *at = b->begin;
    for (; k > 0; at++)
        k -= *at == ',';
    const int length = (int)strcspn(at, ",}");
    return snprintf(out, room, "%.*s", length, at);
}

/* Path `k` of a pattern: the last brace runs fastest. 0 where it is too long. */
static int write_path(const pattern *p, int64_t k, char *out, size_t room)
{
    int64_t choice[MAX_BRACES];
    size_t used = 0;
    const char *at = p->text;
    for (int32_t i = p->n_braces - 1; i >= 0; i--) {
        choice[i] = k % p->braces[i].n;
        k /= p->braces[i].n;
    }
    for (int32_t i = 0; i <= p->n_braces; i++) {
        const brace *b = i < p->n_braces ? &p->braces[i] : NULL;
        const size_t plain = b ? (size_t)(b->begin - 1 - at) : strlen(at);
        if (plain >= room - used)
            return 0;
        memcpy(out + used, at, plain);
        used += plain;
        if (!b)
            break;
        const int length = write_choice(b, choice[i], out + used, room - used);
        if (length < 0 || (size_t)length >= room - used)
            return 0;
        used += (size_t)length;
        at = b->end + 1;
    }
    out[used] = 0;
    return 1;
}

/* A folder, or a file that need not be there. */
static wisp_status add_found(shard_paths *p, const char *path, wisp_error *err)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return add_folder(p, path, err);
    return add_path(p, NULL, path, err);
}

static wisp_status add_pattern(shard_paths *paths, const char *text, wisp_error *err)
{
    pattern p = {.text = text};
    char path[PATH_MAX];
    int64_t n = 0;
    WISP_TRY(read_pattern(&p, &n, err));
    for (int64_t k = 0; k < n; k++) {
        if (!write_path(&p, k, path, sizeof path))
            return wisp_fail(err, WISP_E_CONFIG, "path = \"%.200s...\" is too long", text);
        WISP_TRY(add_found(paths, path, err));
    }
    return WISP_OK;
}

/* --- all of it --- */

static wisp_status add_part(shard_paths *paths, const char *text, wisp_error *err)
{
    struct stat status;
    if (stat(text, &status) == 0)
        return add_found(paths, text, err);
    if (strchr(text, '{'))
        return add_pattern(paths, text, err);
    char reason[128];
    return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "cannot find path = \"%.700s\": %s", text,
                     strerror_r(errno, reason, sizeof reason));
}

wisp_status shard_paths_fill(shard_paths *paths, const wisp_host *host, const char *text,
                             wisp_error *err)
{
    char part[PATH_MAX];
    paths->texts.host = paths->starts.host = host;
    while (text) {
        const char *next = strstr(text, "::");
        const size_t length = next ? (size_t)(next - text) : strlen(text);
        if (length == 0 || length >= sizeof part)
            return wisp_fail(err, WISP_E_CONFIG, "path: a part of it is empty or too long");
        memcpy(part, text, length);
        part[length] = 0;
        WISP_TRY(add_part(paths, part, err));
        text = next ? next + 2 : NULL;
    }
    return WISP_OK;
}

void shard_paths_free(shard_paths *paths)
{
    growing_free(&paths->texts);
    growing_free(&paths->starts);
}

/* subset.h - a part of a data set: the images of a list, or a share of them that is drawn class by
 * class; header-only.
 *
 * Fine-tuning with few labels is measured on 1 % and 10 % of the images. A data set plugin puts a
 * wisp_subset_options into its config struct, lets WISP_SUBSET_OPTIONS fill it, chooses when it has
 * listed all of its images, and goes through wisp_subset_at() from then on. Labels and classes stay
 * those of the whole set. All functions are [setup], but wisp_subset_at() and wisp_subset_count(),
 * which are [any].
 *
 * A line of a list is `position,label,class,file`, of which the position in the data set's order
 * decides and the others, where they stand, must agree; or the image's path below the data set's
 * folder; or, without a "/", its file name, which only one image may have. Empty lines and those
 * that begin with # are passed over. */
#ifndef WISP_SUBSET_H
#define WISP_SUBSET_H

#include <errno.h>
#include <stdlib.h>

#include "wisp/dataset.h"
#include "wisp/host.h"
#include "wisp/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wisp_subset_options {
    const char *list; /* "": none */
    double fraction;
    int64_t seed;
} wisp_subset_options;

/* Entries of an option table; `at` is the wisp_subset_options' offset in the config struct. */
#define WISP_SUBSET_OPTIONS(at)                                                                    \
    {.key = "list",                                                                                \
     .type = WISP_OPTION_PATH,                                                                     \
     .offset = (at) + offsetof(wisp_subset_options, list),                                         \
     .default_value = "\"\"",                                                                      \
     .help = "file that lists the images to take, one a line: a path, a file name, or "            \
             "position,label,class,file; empty: all"},                                             \
        {.key = "fraction",                                                                        \
         .type = WISP_OPTION_F64,                                                                  \
         .flags = WISP_OPTION_OPEN_MIN,                                                            \
         .offset = (at) + offsetof(wisp_subset_options, fraction),                                 \
         .default_value = "1.0",                                                                   \
         .min = 0,                                                                                 \
         .max = 1,                                                                                 \
         .help = "share of the images to take, drawn, as many of each class as of the others"},    \
    {                                                                                              \
        .key = "list_seed", .type = WISP_OPTION_I64,                                               \
        .offset = (at) + offsetof(wisp_subset_options, seed), .default_value = "0", .min = 0,      \
        .max = 4294967295.0, .help = "fraction: which images are drawn, whatever the run's seed"   \
    }

/* Positions in the whole set, rising. NULL: everything. */
typedef struct wisp_subset {
    int64_t *index;
    int64_t count;
} wisp_subset;

static inline int64_t wisp_subset_at(const wisp_subset *s, int64_t i)
{
    return s->index ? s->index[i] : i;
}

static inline int64_t wisp_subset_count(const wisp_subset *s, int64_t whole)
{
    return s->index ? s->count : whole;
}

/* The fingerprint of the whole set, or another one for each part of it. */
static inline uint64_t wisp_subset_fingerprint(const wisp_subset *s, uint64_t whole)
{
    uint64_t hash = whole;
    for (int64_t i = 0; s->index && i < s->count; i++)
        hash = (hash ^ (uint64_t)s->index[i]) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

static inline void wisp_subset_free(const wisp_host *host, wisp_subset *s)
{
    host->free(host, s->index);
    s->index = NULL;
    s->count = 0;
}

/* --- what is chosen --- */

/* One byte for each image of the whole set, and what is known of the set. */
typedef struct wisp_subset_work {
    const wisp_host *host;
    const wisp_dataset_v0 *set;
    const void *self;
    int64_t whole;
    int32_t n_classes; /* 1 without labels */
    uint8_t *chosen;
} wisp_subset_work;

static inline int32_t wisp_subset_class(const wisp_subset_work *w, int64_t i)
{
    return w->set->n_classes(w->self) > 0 ? w->set->label(w->self, i) : 0;
}

static inline wisp_status wisp_subset_take(const wisp_subset_work *w, wisp_subset *out,
                                           wisp_error *err)
{
    int64_t n = 0;
    for (int64_t i = 0; i < w->whole; i++)
        n += w->chosen[i];
    int64_t *index = (int64_t *)w->host->alloc(w->host, (size_t)(n > 0 ? n : 1) * sizeof(int64_t));
    if (!index)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a list of %lld images", (long long)n);
    out->index = index;
    out->count = 0;
    for (int64_t i = 0; i < w->whole; i++)
        if (w->chosen[i])
            index[out->count++] = i;
    return WISP_OK;
}

/* --- a share, class by class --- */

typedef struct wisp_subset_classes {
    int64_t *members; /* positions, class by class */
    int64_t *first;   /* (n_classes + 1): where a class begins in `members` */
    int64_t *quota;   /* (n_classes) */
    int32_t *order;   /* (n_classes): who gets one more when it does not come out even */
} wisp_subset_classes;

static inline void wisp_subset_sort_members(const wisp_subset_work *w, wisp_subset_classes *c)
{
    for (int64_t i = 0; i < w->whole; i++)
        c->first[wisp_subset_class(w, i) + 1]++;
    for (int32_t k = 0; k < w->n_classes; k++)
        c->first[k + 1] += c->first[k];
    for (int64_t i = 0; i < w->whole; i++) {
        const int32_t k = wisp_subset_class(w, i);
        c->members[c->first[k] + c->quota[k]++] = i;
    }
    for (int32_t k = 0; k < w->n_classes; k++)
        c->quota[k] = 0;
}

/* One image to each class that has any left, again and again; in the last round to those that come
 * first in a random order. */
static inline void wisp_subset_share_out(const wisp_subset_work *w, wisp_subset_classes *c,
                                         wisp_rng_key key, int64_t left)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_derive(key, 1, 0));
    for (int32_t k = 0; k < w->n_classes; k++)
        c->order[k] = k;
    for (int32_t k = w->n_classes - 1; k > 0; k--) {
        const int32_t j = (int32_t)wisp_rng_below(&rng, (uint32_t)k + 1), other = c->order[j];
        c->order[j] = c->order[k];
        c->order[k] = other;
    }
    while (left > 0)
        for (int32_t o = 0; o < w->n_classes && left > 0; o++) {
            const int32_t k = c->order[o];
            if (c->quota[k] < c->first[k + 1] - c->first[k]) {
                c->quota[k]++;
                left--;
            }
        }
}

static inline void wisp_subset_draw(const wisp_subset_work *w, wisp_subset_classes *c,
                                    wisp_rng_key key)
{
    for (int32_t k = 0; k < w->n_classes; k++) {
        wisp_rng rng = wisp_rng_begin(wisp_rng_derive(key, 2, (uint64_t)k));
        int64_t *members = c->members + c->first[k];
        const int64_t n = c->first[k + 1] - c->first[k];
        for (int64_t i = 0; i < c->quota[k]; i++) {
            const int64_t j = i + (int64_t)wisp_rng_below(&rng, (uint32_t)(n - i));
            const int64_t picked = members[j];
            members[j] = members[i];
            w->chosen[picked] = 1;
        }
    }
}

static inline wisp_status wisp_subset_choose_share(const wisp_subset_work *w,
                                                   const wisp_subset_options *o, wisp_error *err)
{
    const wisp_host *h = w->host;
    const size_t classes = (size_t)w->n_classes;
    const int64_t wanted = (int64_t)(o->fraction * (double)w->whole + 1e-6);
    const wisp_rng_key key = wisp_rng_stream((uint64_t)o->seed, 0x737562736574u /* "subset" */);
    wisp_subset_classes c;
    c.members = (int64_t *)h->alloc(h, (size_t)w->whole * sizeof(int64_t));
    c.first = (int64_t *)h->alloc(h, (classes + 1) * sizeof(int64_t));
    c.quota = (int64_t *)h->alloc(h, classes * sizeof(int64_t));
    c.order = (int32_t *)h->alloc(h, classes * sizeof(int32_t));
    wisp_status status = WISP_OK;
    if (!c.members || !c.first || !c.quota || !c.order) {
        status =
            wisp_fail(err, WISP_E_NOMEM, "no memory to draw from %lld images", (long long)w->whole);
    } else if (wanted < 1) {
        status = wisp_fail(err, WISP_E_CONFIG, "fraction = %g of %lld images is less than one",
                           o->fraction, (long long)w->whole);
    } else {
        wisp_subset_sort_members(w, &c);
        wisp_subset_share_out(w, &c, key, wanted);
        wisp_subset_draw(w, &c, key);
    }
    h->free(h, c.members);
    h->free(h, c.first);
    h->free(h, c.quota);
    h->free(h, c.order);
    return status;
}

/* --- a list --- */

enum { WISP_SUBSET_LINE = 4096 };

/* A line that names its image by a path; `text` is one of many in a common block. */
typedef struct wisp_subset_name {
    const char *text;
    int64_t line;
    int64_t found; /* images of this name */
} wisp_subset_name;

typedef struct wisp_subset_list {
    const char *path;
    char *names; /* one behind the other */
    wisp_subset_name *entries;
    int64_t n_entries;
    size_t n_bytes;
} wisp_subset_list;

static inline const char *wisp_subset_file_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static inline wisp_status wisp_subset_mark(const wisp_subset_work *w, const char *path,
                                           int64_t line, int64_t i, wisp_error *err)
{
    if (w->chosen[i])
        return wisp_fail(err, WISP_E_DATA, "%s:%lld: this image is in the list already", path,
                         (long long)line);
    w->chosen[i] = 1;
    return WISP_OK;
}

/* Next field of a comma-separated line; NULL behind the last. */
static inline char *wisp_subset_field(char **rest)
{
    char *field = *rest;
    char *comma = field ? strchr(field, ',') : NULL;
    if (comma)
        *comma = 0;
    *rest = comma ? comma + 1 : NULL;
    return field;
}

/* The same file, with or without its ending. */
static inline int wisp_subset_same_file(const char *said, const char *file)
{
    const char *dot = strrchr(file, '.');
    const size_t stem = dot ? (size_t)(dot - file) : strlen(file);
    return !strcmp(said, file) || (strlen(said) == stem && !strncmp(said, file, stem));
}

static inline wisp_status wisp_subset_take_position(const wisp_subset_work *w, const char *path,
                                                    int64_t line, char *text, wisp_error *err)
{
    char name[1024], *rest = text, *end = NULL;
    errno = 0;
    const long long position = strtoll(wisp_subset_field(&rest), &end, 10);
    if (errno || position < 0 || position >= w->whole)
        return wisp_fail(err, WISP_E_DATA,
                         "%s:%lld: there is no image %.40s, the data set has %lld", path,
                         (long long)line, text, (long long)w->whole);
    const char *label = wisp_subset_field(&rest), *class_name = wisp_subset_field(&rest);
    const char *file = wisp_subset_field(&rest);
    const int32_t own = wisp_subset_class(w, position);
    const char *own_class = w->set->class_name ? w->set->class_name(w->self, own) : NULL;
    w->set->sample_name(w->self, position, name, sizeof name);
    if ((label && *label && strtoll(label, &end, 10) != own) ||
        (class_name && *class_name && own_class && strcmp(class_name, own_class) != 0) ||
        (file && *file && !wisp_subset_same_file(file, wisp_subset_file_of(name))))
        return wisp_fail(err, WISP_E_DATA,
                         "%s:%lld: image %lld is \"%.200s\" of class %d here: the list belongs to "
                         "another data set, or to another order of it",
                         path, (long long)line, position, name, own);
    return wisp_subset_mark(w, path, line, position, err);
}

static inline int wisp_subset_is_position(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits > 0 && (text[digits] == 0 || text[digits] == ',');
}

/* Positions are taken at once. Names are counted when there is no memory for them yet, else kept.
 */
static inline wisp_status wisp_subset_read_line(const wisp_subset_work *w, wisp_subset_list *l,
                                                int64_t line, char *text, wisp_error *err)
{
    text[strcspn(text, "\r\n")] = 0;
    if (text[0] == 0 || text[0] == '#')
        return WISP_OK;
    if (wisp_subset_is_position(text))
        return l->entries ? WISP_OK : wisp_subset_take_position(w, l->path, line, text, err);
    const size_t bytes = strlen(text) + 1;
    if (l->entries) {
        memcpy(l->names + l->n_bytes, text, bytes);
        wisp_subset_name *e = &l->entries[l->n_entries];
        e->text = l->names + l->n_bytes;
        e->line = line;
    }
    l->n_entries++;
    l->n_bytes += bytes;
    return WISP_OK;
}

static inline wisp_status wisp_subset_read_lines(const wisp_subset_work *w, wisp_subset_list *l,
                                                 FILE *file, wisp_error *err)
{
    char text[WISP_SUBSET_LINE];
    int64_t line = 0;
    l->n_entries = 0;
    l->n_bytes = 0;
    rewind(file);
    while (fgets(text, sizeof text, file)) {
        if (strlen(text) + 1 == sizeof text)
            return wisp_fail(err, WISP_E_DATA, "%s:%lld: the line is too long", l->path,
                             (long long)line + 1);
        WISP_TRY(wisp_subset_read_line(w, l, ++line, text, err));
    }
    if (ferror(file))
        return wisp_fail(err, WISP_E_IO, "cannot read \"%s\"", l->path);
    return WISP_OK;
}

static inline int wisp_subset_by_text(const void *a, const void *b)
{
    const wisp_subset_name *x = (const wisp_subset_name *)a, *y = (const wisp_subset_name *)b;
    const int order = strcmp(x->text, y->text);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static inline wisp_subset_name *wisp_subset_find(const wisp_subset_list *l, const char *text)
{
    int64_t low = 0, high = l->n_entries;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (strcmp(l->entries[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->n_entries && !strcmp(l->entries[low].text, text) ? &l->entries[low] : NULL;
}

/* Looks every image of the set up in the list. */
static inline wisp_status wisp_subset_match_names(const wisp_subset_work *w, wisp_subset_list *l,
                                                  wisp_error *err)
{
    char name[WISP_SUBSET_LINE];
    qsort(l->entries, (size_t)l->n_entries, sizeof *l->entries, wisp_subset_by_text);
    for (int64_t i = 1; i < l->n_entries; i++)
        if (!strcmp(l->entries[i].text, l->entries[i - 1].text))
            return wisp_fail(err, WISP_E_DATA, "%s:%lld: this image is in the list already",
                             l->path, (long long)l->entries[i].line);
    for (int64_t i = 0; i < w->whole; i++) {
        w->set->sample_name(w->self, i, name, sizeof name);
        wisp_subset_name *e = wisp_subset_find(l, name);
        if (!e)
            e = wisp_subset_find(l, wisp_subset_file_of(name));
        if (!e)
            continue;
        if (e->found++)
            return wisp_fail(err, WISP_E_DATA,
                             "%s:%lld: several images are called \"%.200s\": write their paths",
                             l->path, (long long)e->line, e->text);
        WISP_TRY(wisp_subset_mark(w, l->path, e->line, i, err));
    }
    for (int64_t i = 0; i < l->n_entries; i++)
        if (!l->entries[i].found)
            return wisp_fail(err, WISP_E_DATA, "%s:%lld: the data set has no image \"%.200s\"",
                             l->path, (long long)l->entries[i].line, l->entries[i].text);
    return WISP_OK;
}

static inline wisp_status wisp_subset_read_names(const wisp_subset_work *w, wisp_subset_list *l,
                                                 FILE *file, wisp_error *err)
{
    const wisp_host *h = w->host;
    const int64_t expected = l->n_entries;
    const size_t bytes = l->n_bytes;
    if (expected == 0)
        return WISP_OK;
    l->names = (char *)h->alloc(h, bytes);
    l->entries = (wisp_subset_name *)h->alloc(h, (size_t)expected * sizeof *l->entries);
    if (!l->names || !l->entries)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a list of %lld images",
                         (long long)expected);
    WISP_TRY(wisp_subset_read_lines(w, l, file, err));
    if (l->n_entries != expected || l->n_bytes != bytes)
        return wisp_fail(err, WISP_E_IO, "\"%s\" changes while it is read", l->path);
    return wisp_subset_match_names(w, l, err);
}

static inline wisp_status wisp_subset_choose_listed(const wisp_subset_work *w, const char *path,
                                                    wisp_error *err)
{
    const wisp_host *h = w->host;
    wisp_subset_list l;
    memset(&l, 0, sizeof l);
    l.path = path;
    FILE *file = fopen(path, "re");
    if (!file)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                         "cannot open list = \"%.500s\"", path);
    wisp_status status = wisp_subset_read_lines(w, &l, file, err);
    if (status == WISP_OK)
        status = wisp_subset_read_names(w, &l, file, err);
    fclose(file);
    h->free(h, l.names);
    h->free(h, l.entries);
    return status;
}

/* --- both --- */

/* `set` and `self` give the whole data set; `out` stays zeroed where everything is to be taken. */
static inline wisp_status wisp_subset_choose(const wisp_host *host, const wisp_dataset_v0 *set,
                                             const void *self, const wisp_subset_options *o,
                                             wisp_subset *out, wisp_error *err)
{
    const int listed = o->list && o->list[0], share = o->fraction < 1;
    wisp_subset_work w;
    memset(&w, 0, sizeof w);
    w.host = host;
    w.set = set;
    w.self = self;
    w.whole = set->count(self);
    w.n_classes = set->n_classes(self) > 0 ? set->n_classes(self) : 1;
    if (listed && share)
        return wisp_fail(err, WISP_E_CONFIG,
                         "list and fraction both choose images: give one of them");
    if (!listed && !share)
        return WISP_OK;
    if (w.whole < 1 || w.whole > UINT32_MAX)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "no part can be taken of %lld images",
                         (long long)w.whole);
    w.chosen = (uint8_t *)host->alloc(host, (size_t)w.whole);
    if (!w.chosen)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to choose from %lld images",
                         (long long)w.whole);
    wisp_status status =
        listed ? wisp_subset_choose_listed(&w, o->list, err) : wisp_subset_choose_share(&w, o, err);
    if (status == WISP_OK)
        status = wisp_subset_take(&w, out, err);
    if (status == WISP_OK && out->count == 0) {
        wisp_subset_free(host, out);
        status = wisp_fail(err, WISP_E_DATA, "list = \"%.500s\" names no image", o->list);
    }
    host->free(host, w.chosen);
    return status;
}

#ifdef __cplusplus
}
#endif
#endif

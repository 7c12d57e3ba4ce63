/* folder_cache.c - keeps an index, and tells whether a kept one still says the truth.
 *
 * A folder's times change when a name comes or goes. The outermost folder changes when the index
 * itself is written, so its names are compared instead. What nothing here can see is a file that
 * was changed in place: it is told apart by its size when it is read. */
#include "folder_cache.h"

#include <fcntl.h>
#include <time.h>

#include <wisp/cache_file.h>

#include "folder_build.h"
#include "folder_sort.h"

enum {
    VERSION = 1,
    LEAST_FILES = 10000 /* fewer are listed in no time, and get no file beside them */
};

/* What may pass without a change of a folder's time: full seconds are those of FAT, whose clock
 * counts two of them at once; other clocks tick a hundred times a second or more. */
#define SECOND_NS INT64_C(1000000000)
#define COARSE_TICK_NS (2 * SECOND_NS)
#define FINE_TICK_NS (SECOND_NS / 10)

static wisp_cache_file cache_of(const folder_request *r)
{
    return (wisp_cache_file){.host = r->host,
                             .plugin = "image_folder",
                             .where = r->path,
                             .key = wisp_hash64(&r->labels, sizeof r->labels, 0),
                             .folder = r->fd,
                             .version = VERSION};
}

/* --- is it still true? --- */

typedef struct comparison {
    const folder_index *index;
    int fd;
    uint8_t *changed; /* (n_folders - 1) */
} comparison;

static void compare_some(void *user, int64_t first, int64_t last)
{
    const comparison *c = user;
    for (int64_t i = first; i < last; i++) {
        struct stat status;
        const char *path = c->index->names + c->index->path[i + 1];
        c->changed[i] = 1;
        if (fstatat(c->fd, path, &status, 0) != 0)
            continue;
        const folder_stamp now = folder_stamp_of(&status);
        c->changed[i] = memcmp(&now, &c->index->stamps[i + 1], sizeof now) != 0;
    }
}

static int is_fresh(const folder_request *r, const folder_index *index)
{
    const int64_t n = index->counts->n_folders - 1;
    comparison c = {index, r->fd, r->host->alloc(r->host, (size_t)n + 1)};
    uint64_t names = 0;
    if (!c.changed || !folder_root_names(r->fd, &names) || names != index->counts->root_names) {
        r->host->free(r->host, c.changed);
        return 0;
    }
    r->host->parallel_for(r->host, n, 16, compare_some, &c);
    const int fresh = memchr(c.changed, 1, (size_t)n + 1) == NULL;
    r->host->free(r->host, c.changed);
    return fresh;
}

static int read_cache(const folder_request *r, const wisp_cache_file *cache, folder_index *index)
{
    void *block = NULL;
    size_t bytes = 0;
    folder_index found;
    if (!wisp_cache_read(cache, &block, &bytes))
        return 0;
    const int good = folder_index_take(&found, block, bytes);
    if (good && is_fresh(r, &found)) {
        *index = found;
        return 1;
    }
    wisp_cache_passed_over(cache, good ? "the folder has changed since" : "it is damaged");
    r->host->free(r->host, block);
    return 0;
}

/* --- listing --- */

static wisp_status list(const folder_request *r, folder_index *index, int64_t *n_dead,
                        wisp_error *err)
{
    folder_scan scan = {0};
    wisp_status status = folder_scan_run(&scan, r->host, r->fd, err);
    if (status == WISP_OK)
        status = folder_sort(&scan, err);
    if (status == WISP_OK)
        status = folder_build(&scan, r->labels, index, err);
    for (int64_t i = 0; i < scan.n_folders; i++)
        *n_dead += scan_folders(&scan)[i].n_dead;
    folder_scan_free(&scan);
    return status;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* Whether no folder had changed so shortly before the listing that one more change, right after it,
 * would show the same time. */
static int is_settled(const folder_index *index, int64_t began_ns)
{
    for (int64_t i = 1; i < index->counts->n_folders; i++) {
        const folder_stamp *s = &index->stamps[i];
        const int64_t tick = s->changed_ns || s->modified_ns ? FINE_TICK_NS : COARSE_TICK_NS;
        const int64_t last_s = (began_ns - tick) / SECOND_NS,
                      last_ns = (began_ns - tick) % SECOND_NS;
        if (s->changed_s > last_s || (s->changed_s == last_s && s->changed_ns >= last_ns))
            return 0;
    }
    return 1;
}

wisp_status folder_index_open(const folder_request *r, folder_index *index, folder_origin *origin,
                              wisp_error *err)
{
    const wisp_cache_file cache = cache_of(r);
    const int64_t began_ns = now_ns();
    int64_t n_dead = 0;
    wisp_cache_name(&cache, origin->file);
    origin->cached = r->source == FOLDER_CACHE && read_cache(r, &cache, index);
    if (origin->cached)
        return WISP_OK;
    WISP_TRY(list(r, index, &n_dead, err));
    /* A dead link may come to life without a trace in any folder. */
    if (r->source == FOLDER_CACHE && n_dead == 0 && index->counts->n_images > 0 &&
        index->counts->n_images + index->counts->n_other >= LEAST_FILES &&
        is_settled(index, began_ns))
        wisp_cache_write(&cache, index->block, index->block_bytes);
    return WISP_OK;
}

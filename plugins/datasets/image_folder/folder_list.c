/* folder_list.c - walks the folders, then sorts. */
#include "folder_list.h"
#include "folder_look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 32, ROOT_LABEL = -1 };

/* Path of the folder that is being walked, relative to the outermost. */
typedef struct walk {
    folder_list *list;
    wisp_error *err;
    size_t length;
    char path[PATH_MAX];
} walk;

static void *block_add(const wisp_host *host, folder_block *block, size_t bytes)
{
    if (bytes > block->capacity - block->used) {
        size_t capacity = 2 * block->capacity + bytes + 4096;
        char *data = host->alloc(host, capacity);
        if (!data)
            return NULL;
        if (block->used)
            memcpy(data, block->data, block->used);
        host->free(host, block->data);
        block->data = data;
        block->capacity = capacity;
    }
    block->used += bytes;
    return block->data + block->used - bytes;
}

static wisp_status no_memory(const walk *w)
{
    return wisp_fail(w->err, WISP_E_NOMEM, "no memory for a list of %lld images",
                     (long long)w->list->n_images);
}

static wisp_status io_failure(const walk *w, const char *what, const char *name)
{
    char text[128];
    return wisp_fail(w->err, WISP_E_IO, "cannot %s \"%.*s%s\": %s", what, (int)w->length, w->path,
                     name, strerror_r(errno, text, sizeof text));
}

/* Puts the path of `name` in the present folder behind the other names. */
static wisp_status add_name(const walk *w, const char *name, size_t *at)
{
    size_t length = strlen(name) + 1, begin = w->list->names.used;
    char *text = block_add(w->list->host, &w->list->names, w->length + length);
    if (!text)
        return no_memory(w);
    memcpy(text, w->path, w->length);
    memcpy(text + w->length, name, length);
    *at = begin;
    return WISP_OK;
}

static wisp_status add_image(const walk *w, const char *name, int64_t bytes, int32_t label)
{
    size_t at;
    WISP_TRY(add_name(w, name, &at));
    folder_image *image = block_add(w->list->host, &w->list->images, sizeof *image);
    if (!image)
        return no_memory(w);
    *image = (folder_image){at, bytes, label, 0};
    w->list->n_images++;
    return WISP_OK;
}

static wisp_status add_class(const walk *w, const char *name)
{
    size_t at;
    WISP_TRY(add_name(w, name, &at));
    size_t *class_name = block_add(w->list->host, &w->list->classes, sizeof *class_name);
    if (!class_name)
        return no_memory(w);
    *class_name = at;
    if (w->list->n_classes == INT32_MAX)
        return wisp_fail(w->err, WISP_E_DATA, "more than %d classes", INT32_MAX);
    w->list->n_classes++;
    return WISP_OK;
}

static wisp_status walk_folder(walk *w, int parent, const char *name, int32_t label, int depth);

/* One entry of the folder `fd`. Folders become classes where `depth` is 0 and labels are wanted,
 * else they are walked. A link that leads nowhere is passed over, as a file of another kind is. */
static wisp_status walk_entry(walk *w, int fd, const struct dirent *entry, int32_t label, int depth)
{
    struct stat status;
    int type = entry->d_type, known = 0;
    if (type == DT_LNK || type == DT_UNKNOWN) {
        known = fstatat(fd, entry->d_name, &status, 0) == 0;
        type = !known                    ? DT_SOCK
               : S_ISDIR(status.st_mode) ? DT_DIR
               : S_ISREG(status.st_mode) ? DT_REG
                                         : DT_SOCK;
    }
    if (type == DT_DIR)
        return label == ROOT_LABEL ? add_class(w, entry->d_name)
                                   : walk_folder(w, fd, entry->d_name, label, depth + 1);
    if (type != DT_REG || !folder_is_image_name(entry->d_name)) {
        w->list->n_other++;
        return WISP_OK;
    }
    if (!known && fstatat(fd, entry->d_name, &status, 0) != 0)
        return io_failure(w, "ask for the size of", entry->d_name);
    return add_image(w, entry->d_name, status.st_size, label);
}

static wisp_status walk_entries(walk *w, DIR *folder, int32_t label, int depth)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry)
            return errno ? io_failure(w, "read the folder", "") : WISP_OK;
        if (entry->d_name[0] != '.')
            WISP_TRY(walk_entry(w, dirfd(folder), entry, label, depth));
    }
}

static wisp_status walk_folder(walk *w, int parent, const char *name, int32_t label, int depth)
{
    size_t outer = w->length, length = strlen(name);
    if (depth > MAX_DEPTH || outer + length + 2 > sizeof w->path)
        return wisp_fail(
            w->err, WISP_E_DATA,
            "\"%.200s...\" lies more than %d folders deep: a link may lead in a circle", w->path,
            MAX_DEPTH);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        wisp_status status = io_failure(w, "open the folder", name);
        if (fd >= 0)
            close(fd);
        return status;
    }
    if (strcmp(name, ".") != 0) {
        memcpy(w->path + outer, name, length);
        w->path[outer + length] = '/';
        w->length = outer + length + 1;
    }
    wisp_status status = walk_entries(w, folder, label, depth);
    closedir(folder);
    w->length = outer;
    w->path[outer] = 0;
    return status;
}

static int by_class_name(const void *a, const void *b, void *names)
{
    const size_t *x = a, *y = b;
    return strcmp((const char *)names + *x, (const char *)names + *y);
}

static int by_path(const void *a, const void *b, void *names)
{
    const folder_image *x = a, *y = b;
    return strcmp((const char *)names + x->name, (const char *)names + y->name);
}

static void sort_images(folder_list *list, int64_t first)
{
    if (list->n_images > first)
        qsort_r(folder_images(list) + first, (size_t)(list->n_images - first), sizeof(folder_image),
                by_path, list->names.data);
}

static wisp_status walk_classes(walk *w, int fd)
{
    folder_list *list = w->list;
    if (list->n_classes > 0)
        qsort_r(list->classes.data, (size_t)list->n_classes, sizeof(size_t), by_class_name,
                list->names.data);
    for (int32_t label = 0; label < list->n_classes; label++) {
        char name[NAME_MAX + 1];
        int64_t first = list->n_images;
        snprintf(name, sizeof name, "%s", folder_name(list, folder_classes(list)[label]));
        WISP_TRY(walk_folder(w, fd, name, label, 1));
        list->n_empty += list->n_images == first;
        sort_images(list, first);
    }
    return WISP_OK;
}

/* Images beside the class folders belong to no class. */
static void drop_images(folder_list *list, int64_t n)
{
    folder_image *images = folder_images(list);
    list->n_images -= n;
    list->n_other += n;
    memmove(images, images + n, (size_t)list->n_images * sizeof *images);
}

static wisp_status walk_labelled(walk *w, int fd)
{
    folder_list *list = w->list;
    WISP_TRY(walk_folder(w, fd, ".", ROOT_LABEL, 0));
    int64_t beside = list->n_images;
    WISP_TRY(walk_classes(w, fd));
    if (list->n_images == beside) {
        list->n_classes = 0;
        sort_images(list, 0);
    } else if (beside) {
        drop_images(list, beside);
    }
    return WISP_OK;
}

wisp_status folder_list_fill(folder_list *list, const wisp_host *host, int fd, int labels,
                             wisp_error *err)
{
    walk w = {.list = list, .err = err};
    list->host = host;
    if (labels)
        return walk_labelled(&w, fd);
    WISP_TRY(walk_folder(&w, fd, ".", 0, 0));
    sort_images(list, 0);
    return WISP_OK;
}

void folder_list_free(folder_list *list)
{
    if (!list->host)
        return;
    list->host->free(list->host, list->names.data);
    list->host->free(list->host, list->images.data);
    list->host->free(list->host, list->classes.data);
}

/* folder_scan.c - lists folders in parallel, depth by depth. */
#include "folder_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "folder_look.h"

enum { MAX_DEPTH = 32, PIECE = 512 };

static const char NO_MEMORY[] = "memory", CIRCLE[] = "circle", TOO_MANY[] = "names";

/* Some of a folder's entries, whose files are asked for their sizes by one thread. */
typedef struct scan_piece {
    int64_t folder, first, last;
    int32_t error;
    uint32_t name; /* of the entry that failed */
    const char *failure;
} scan_piece;

/* The folders of one depth. */
typedef struct scan_level {
    folder_scan *scan;
    int64_t first, end;
    scan_piece *pieces;
    int64_t n_pieces;
} scan_level;

/* --- listing one folder --- */

static void fail(scan_folder *f, const char *what)
{
    f->error = errno;
    f->failure = what;
}

static int kind_of(const struct dirent *entry)
{
    switch (entry->d_type) {
    case DT_DIR:
        return SCAN_FOLDER;
    case DT_REG:
        return folder_is_image_name(entry->d_name) ? SCAN_IMAGE : SCAN_OTHER;
    case DT_LNK:
    case DT_UNKNOWN:
        return SCAN_UNKNOWN;
    default:
        return SCAN_OTHER;
    }
}

static int add_entry(const wisp_host *host, scan_folder *f, const char *name, int kind)
{
    const size_t bytes = strlen(name) + 1, begin = f->names.used;
    if (begin + bytes > UINT32_MAX) {
        f->failure = TOO_MANY;
        return 0;
    }
    char *text = folder_block_add(host, &f->names, bytes);
    scan_entry *entry = text ? folder_block_add(host, &f->entries, sizeof *entry) : NULL;
    if (!entry) {
        f->failure = NO_MEMORY;
        return 0;
    }
    memcpy(text, name, bytes);
    *entry = (scan_entry){.name = (uint32_t)begin, .kind = kind};
    f->n_entries++;
    return 1;
}

static void list_entries(const wisp_host *host, scan_folder *f, DIR *folder, uint64_t *names)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno)
                fail(f, "read the folder");
            return;
        }
        if (entry->d_name[0] == '.')
            continue;
        if (names)
            *names += folder_name_hash(entry->d_name);
        const int kind = kind_of(entry);
        if (kind == SCAN_OTHER)
            f->n_other++;
        else if (!add_entry(host, f, entry->d_name, kind))
            return;
    }
}

/* A folder that is its own ancestor: a link leads back. */
static int is_circle(const folder_scan *scan, const scan_folder *f)
{
    for (int64_t above = f->parent; above >= 0; above = scan_folders(scan)[above].parent) {
        const scan_folder *a = &scan_folders(scan)[above];
        if (a->device == f->device && a->inode == f->inode)
            return 1;
    }
    return 0;
}

static int open_below(int root, const char *path)
{
    return openat(root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The stamp is taken first: what comes while names are read makes it differ from the next one. */
static void list_folder(folder_scan *scan, scan_folder *f)
{
    struct stat status;
    const int fd = open_below(scan->root, scan_path(scan, f));
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder || fstat(fd, &status) != 0) {
        fail(f, "open the folder");
        if (folder)
            closedir(folder);
        else if (fd >= 0)
            close(fd);
        return;
    }
    f->stamp = folder_stamp_of(&status);
    f->device = status.st_dev;
    f->inode = status.st_ino;
    if (is_circle(scan, f))
        f->failure = CIRCLE;
    else
        list_entries(scan->host, f, folder, f->parent < 0 ? &scan->root_names : NULL);
    closedir(folder);
}

static void list_some(void *user, int64_t first, int64_t last)
{
    const scan_level *level = user;
    for (int64_t i = first; i < last; i++)
        list_folder(level->scan, &scan_folders(level->scan)[level->first + i]);
}

/* --- what the files are --- */

static int resolve(int fd, const char *name, scan_entry *entry)
{
    struct stat status;
    if (fstatat(fd, name, &status, 0) != 0) {
        const int known = entry->kind != SCAN_UNKNOWN;
        entry->kind = known ? entry->kind : SCAN_DEAD;
        return !known;
    }
    if (entry->kind == SCAN_UNKNOWN)
        entry->kind = S_ISDIR(status.st_mode)                                 ? SCAN_FOLDER
                      : S_ISREG(status.st_mode) && folder_is_image_name(name) ? SCAN_IMAGE
                                                                              : SCAN_OTHER;
    entry->value = status.st_size;
    return 1;
}

static void resolve_piece(const folder_scan *scan, scan_piece *piece)
{
    const scan_folder *f = &scan_folders(scan)[piece->folder];
    const int fd = open_below(scan->root, scan_path(scan, f));
    if (fd < 0) {
        piece->failure = "open the folder";
        piece->error = errno;
        return;
    }
    for (int64_t i = piece->first; i < piece->last && !piece->failure; i++) {
        scan_entry *entry = &scan_entries(f)[i];
        if (entry->kind == SCAN_FOLDER || resolve(fd, f->names.data + entry->name, entry))
            continue;
        piece->failure = "ask for the size of";
        piece->error = errno;
        piece->name = entry->name;
    }
    close(fd);
}

static void resolve_some(void *user, int64_t first, int64_t last)
{
    const scan_level *level = user;
    for (int64_t i = first; i < last; i++)
        resolve_piece(level->scan, &level->pieces[i]);
}

static int64_t count_pieces(const scan_level *level)
{
    int64_t n = 0;
    for (int64_t i = level->first; i < level->end; i++)
        n += (scan_folders(level->scan)[i].n_entries + PIECE - 1) / PIECE;
    return n;
}

static void cut_pieces(scan_level *level)
{
    level->n_pieces = 0;
    for (int64_t i = level->first; i < level->end; i++) {
        const int64_t n = scan_folders(level->scan)[i].n_entries;
        for (int64_t first = 0; first < n; first += PIECE)
            level->pieces[level->n_pieces++] = (scan_piece){
                .folder = i, .first = first, .last = first + PIECE < n ? first + PIECE : n};
    }
}

/* --- one depth after the other --- */

static wisp_status explain(const folder_scan *scan, const scan_folder *f, const char *failure,
                           int error, const char *name, wisp_error *err)
{
    char text[128];
    const char *path = scan_path(scan, f);
    if (failure == NO_MEMORY)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names in \"%.500s\"", path);
    if (failure == TOO_MANY)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "\"%.500s\" holds too many names", path);
    if (failure == CIRCLE)
        return wisp_fail(err, WISP_E_DATA,
                         "\"%.500s\" is one of the folders that it lies in: links must not lead in "
                         "a circle",
                         path);
    return wisp_fail(err, WISP_E_IO, "cannot %s \"%.500s%s%.200s\": %s", failure, path,
                     path[0] && name[0] ? "/" : "", name, strerror_r(error, text, sizeof text));
}

static wisp_status check_folders(const scan_level *level, wisp_error *err)
{
    for (int64_t i = level->first; i < level->end; i++) {
        const scan_folder *f = &scan_folders(level->scan)[i];
        if (f->failure)
            return explain(level->scan, f, f->failure, f->error, "", err);
    }
    return WISP_OK;
}

static wisp_status check_pieces(const scan_level *level, wisp_error *err)
{
    for (int64_t i = 0; i < level->n_pieces; i++) {
        const scan_piece *p = &level->pieces[i];
        const scan_folder *f = &scan_folders(level->scan)[p->folder];
        if (p->failure)
            return explain(level->scan, f, p->failure, p->error,
                           strcmp(p->failure, "open the folder") ? f->names.data + p->name : "",
                           err);
    }
    return WISP_OK;
}

static wisp_status resolve_level(scan_level *level, wisp_error *err)
{
    const wisp_host *host = level->scan->host;
    const int64_t n = count_pieces(level);
    if (n == 0)
        return WISP_OK;
    level->pieces = host->alloc(host, (size_t)n * sizeof *level->pieces);
    if (!level->pieces)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to list files");
    cut_pieces(level);
    host->parallel_for(host, n, 1, resolve_some, level);
    const wisp_status status = check_pieces(level, err);
    host->free(host, level->pieces);
    level->pieces = NULL;
    return status;
}

static wisp_status add_folder(folder_scan *scan, int64_t parent, const char *name, wisp_error *err)
{
    const scan_folder above = parent < 0 ? (scan_folder){.depth = -1} : scan_folders(scan)[parent];
    const size_t outer = parent < 0 ? 0 : strlen(scan_path(scan, &above)), inner = strlen(name);
    const size_t slash = outer > 0, begin = scan->paths.used;
    if (above.depth >= MAX_DEPTH || outer + inner + NAME_MAX + 3 > FOLDER_PATH_BYTES)
        return wisp_fail(err, WISP_E_DATA,
                         "\"%.200s...\" lies more than %d folders deep, or its "
                         "path is too long",
                         scan_path(scan, &above), MAX_DEPTH);
    if (scan->n_folders == INT32_MAX)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "more than %d folders", INT32_MAX);
    char *path = folder_block_add(scan->host, &scan->paths, outer + slash + inner + 1);
    scan_folder *f = path ? folder_block_add(scan->host, &scan->folders, sizeof *f) : NULL;
    if (!f)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a list of %lld folders",
                         (long long)scan->n_folders);
    if (outer)
        memcpy(path, scan->paths.data + above.path, outer);
    memcpy(path + outer, "/", slash);
    memcpy(path + outer + slash, name, inner + 1);
    *f = (scan_folder){.path = begin, .parent = parent, .depth = above.depth + 1};
    scan->n_folders++;
    return WISP_OK;
}

/* Keeps images and folders; the latter are listed next. Pointers to folders do not last here. */
static wisp_status keep_entries(folder_scan *scan, int64_t i, wisp_error *err)
{
    int64_t n_kept = 0;
    for (int64_t e = 0; e < scan_folders(scan)[i].n_entries; e++) {
        scan_folder *f = &scan_folders(scan)[i];
        scan_entry entry = scan_entries(f)[e];
        f->n_other += entry.kind == SCAN_OTHER || entry.kind == SCAN_DEAD;
        f->n_dead += entry.kind == SCAN_DEAD;
        f->n_images += entry.kind == SCAN_IMAGE;
        if (entry.kind == SCAN_FOLDER) {
            entry.value = scan->n_folders;
            WISP_TRY(add_folder(scan, i, f->names.data + entry.name, err));
        }
        if (entry.kind == SCAN_FOLDER || entry.kind == SCAN_IMAGE)
            scan_entries(&scan_folders(scan)[i])[n_kept++] = entry;
    }
    scan_folders(scan)[i].n_entries = n_kept;
    return WISP_OK;
}

static wisp_status run_level(scan_level *level, wisp_error *err)
{
    const wisp_host *host = level->scan->host;
    host->parallel_for(host, level->end - level->first, 1, list_some, level);
    WISP_TRY(check_folders(level, err));
    WISP_TRY(resolve_level(level, err));
    for (int64_t i = level->first; i < level->end; i++)
        WISP_TRY(keep_entries(level->scan, i, err));
    return WISP_OK;
}

wisp_status folder_scan_run(folder_scan *scan, const wisp_host *host, int root, wisp_error *err)
{
    scan->host = host;
    scan->root = root;
    WISP_TRY(add_folder(scan, -1, "", err));
    for (int64_t first = 0; first < scan->n_folders;) {
        scan_level level = {.scan = scan, .first = first, .end = scan->n_folders};
        WISP_TRY(run_level(&level, err));
        first = level.end;
    }
    return WISP_OK;
}

void folder_scan_free(folder_scan *scan)
{
    if (!scan->host)
        return;
    for (int64_t i = 0; i < scan->n_folders; i++) {
        folder_block_free(scan->host, &scan_folders(scan)[i].names);
        folder_block_free(scan->host, &scan_folders(scan)[i].entries);
    }
    folder_block_free(scan->host, &scan->folders);
    folder_block_free(scan->host, &scan->paths);
}

int folder_root_names(int root, uint64_t *sum)
{
    const int fd = open_below(root, "");
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    if (!folder) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    *sum = 0;
    errno = 0;
    while ((entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            *sum += folder_name_hash(entry->d_name);
    const int complete = errno == 0;
    closedir(folder);
    return complete;
}

/* file.c - reading whole files and replacing them in one step. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static wisp_status io_fail(wisp_error *err, const char *what, const char *path, int number)
{
    wisp_status code = number == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO;
    return wisp_fail(err, code, "%s: cannot %s: %s", path, what, strerror(number));
}

/* Reads until the end or until the buffer is full. */
static wisp_status read_fully(int fd, const char *path, uint8_t *data, size_t size, size_t *got,
                              wisp_error *err)
{
    size_t n = 0;
    while (n < size) {
        ssize_t piece = read(fd, data + n, size - n);
        if (piece < 0 && errno == EINTR)
            continue;
        if (piece < 0)
            return io_fail(err, "read", path, errno);
        if (piece == 0)
            break;
        n += (size_t)piece;
    }
    *got = n;
    return WISP_OK;
}

static wisp_status read_open_file(int fd, const char *path, size_t max_bytes, uint8_t **data,
                                  size_t *n, wisp_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return io_fail(err, "look at", path, errno);
    if (!S_ISREG(info.st_mode))
        return wisp_fail(err, WISP_E_INVALID, "%s: %s; give the name of a file", path,
                         S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
    if ((uint64_t)info.st_size > max_bytes || max_bytes == SIZE_MAX)
        return wisp_fail(err, WISP_E_DATA, "%s: %lld bytes, but at most %zu are read here", path,
                         (long long)info.st_size, max_bytes);
    size_t size = (size_t)info.st_size;
    uint8_t *block = wispi_alloc(size + 1);
    if (!block)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its %zu bytes", path, size);
    size_t got = 0;
    wisp_status status = read_fully(fd, path, block, size, &got, err);
    if (status != WISP_OK) {
        wispi_free(block);
        return status;
    }
    block[got] = 0;
    *data = block;
    *n = got;
    return WISP_OK;
}

wisp_status wispi_file_read(const char *path, size_t max_bytes, uint8_t **data, size_t *n,
                            wisp_error *err)
{
    /* Without O_NONBLOCK a pipe without a writer would hang here. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return io_fail(err, "open", path, errno);
    wisp_status status = read_open_file(fd, path, max_bytes, data, n, err);
    close(fd);
    return status;
}

static wisp_status write_fully(int fd, const char *path, const uint8_t *data, size_t n,
                               wisp_error *err)
{
    while (n) {
        ssize_t piece = write(fd, data, n);
        if (piece < 0 && errno == EINTR)
            continue;
        if (piece < 0)
            return io_fail(err, "write", path, errno);
        data += piece;
        n -= (size_t)piece;
    }
    return WISP_OK;
}

/* A rename is only durable once its folder is. Some file systems cannot sync a folder; they then
 * have nothing to sync. */
static wisp_status sync_folder(const char *path, wisp_error *err)
{
    char folder[PATH_MAX];
    WISP_TRY(wispi_path_folder(folder, sizeof folder, path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? WISP_OK : io_fail(err, "open the folder of", path, errno);
    int failure = fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
    close(fd);
    return failure ? io_fail(err, "sync the folder of", path, failure) : WISP_OK;
}

static wisp_status write_parts(int fd, const char *path, const wispi_file_part *parts,
                               size_t n_parts, wisp_error *err)
{
    struct stat old;
    if (stat(path, &old) == 0 && S_ISREG(old.st_mode) && fchmod(fd, old.st_mode & 07777) != 0)
        return io_fail(err, "set the mode of", path, errno);
    for (size_t i = 0; i < n_parts; i++)
        WISP_TRY(write_fully(fd, path, parts[i].data, parts[i].bytes, err));
    if (fsync(fd) != 0)
        return io_fail(err, "sync", path, errno);
    return WISP_OK;
}

wisp_status wispi_file_replace_parts(const char *path, const wispi_file_part *parts, size_t n_parts,
                                     wisp_error *err)
{
    static atomic_uint serial;
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp-%ld-%u", path, (long)getpid(),
                          atomic_fetch_add(&serial, 1));
    if (length < 0 || (size_t)length >= sizeof temporary)
        return wisp_fail(err, WISP_E_INVALID, "%.200s...: path too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return io_fail(err, "create a temporary file for", path, errno);
    wisp_status status = write_parts(fd, path, parts, n_parts, err);
    if (close(fd) != 0 && status == WISP_OK)
        status = io_fail(err, "close", path, errno);
    if (status == WISP_OK && rename(temporary, path) != 0)
        status = io_fail(err, "replace", path, errno);
    if (status != WISP_OK) {
        unlink(temporary);
        return status;
    }
    return sync_folder(path, err);
}

wisp_status wispi_file_replace(const char *path, const void *data, size_t n, wisp_error *err)
{
    wispi_file_part part = {data, n};
    return wispi_file_replace_parts(path, &part, 1, err);
}

wisp_status wispi_file_rename(const char *from, const char *to, wisp_error *err)
{
    if (rename(from, to) != 0)
        return io_fail(err, "rename", from, errno);
    return sync_folder(to, err);
}

int32_t wispi_file_remove_leftovers(const char *path)
{
    char folder[PATH_MAX], prefix[NAME_MAX + 1], victim[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = snprintf(prefix, sizeof prefix, "%s.tmp-", slash ? slash + 1 : path);
    if (length < 0 || (size_t)length >= sizeof prefix ||
        wispi_path_folder(folder, sizeof folder, path) != WISP_OK)
        return 0;
    DIR *entries = opendir(folder);
    if (!entries)
        return 0;
    int32_t removed = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (strncmp(entry->d_name, prefix, (size_t)length) == 0 &&
            wispi_path_join(victim, sizeof victim, folder, entry->d_name) == WISP_OK &&
            unlink(victim) == 0)
            removed++;
    }
    closedir(entries);
    return removed;
}

static wisp_status make_folder(const char *path, wisp_error *err)
{
    if (mkdir(path, 0777) == 0)
        return WISP_OK;
    int failure = errno;
    struct stat info;
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return WISP_OK;
        failure = ENOTDIR;
    }
    return wisp_fail(err, WISP_E_IO, "%s: cannot make this folder: %s", path, strerror(failure));
}

wisp_status wispi_make_folders(const char *path, wisp_error *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return wisp_fail(err, WISP_E_INVALID, "folder name %s: \"%.200s\"",
                         n ? "too long" : "empty", path);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/')
            continue;
        part[i] = 0;
        WISP_TRY(make_folder(part, err));
        part[i] = '/';
    }
    return make_folder(part, err);
}

wisp_status wispi_path_join(char *out, size_t n, const char *a, const char *b)
{
    size_t length = strlen(a);
    int alone = b[0] == '/' || length == 0;
    const char *between = length && a[length - 1] == '/' ? "" : "/";
    int needed = alone ? snprintf(NULL, 0, "%s", b) : snprintf(NULL, 0, "%s%s%s", a, between, b);
    if (needed < 0 || (size_t)needed >= n)
        return WISP_E_INVALID;
    if (alone)
        snprintf(out, n, "%s", b);
    else
        snprintf(out, n, "%s%s%s", a, between, b);
    return WISP_OK;
}

int wispi_file_is_there(const char *folder, const char *name)
{
    char path[4096];
    return wispi_path_join(path, sizeof path, folder, name) == WISP_OK && access(path, F_OK) == 0;
}

wisp_status wispi_path_folder(char *out, size_t n, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= n)
        return WISP_E_INVALID;
    memcpy(out, slash ? path : ".", length);
    out[length] = 0;
    return WISP_OK;
}

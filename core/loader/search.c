#include "loader/search.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "config/nearest.h"
#include "loader/trust.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define ABI TEXT(WISP_ABI_MAJOR)

static int is_known(const wispi_search *search, const struct stat *info)
{
    for (int32_t i = 0; i < search->n_folders; i++)
        if (search->devices[i] == info->st_dev && search->inodes[i] == info->st_ino)
            return 1;
    return 0;
}

static wisp_status add_folder(wispi_search *search, const char *folder, size_t length,
                              wisp_error *err)
{
    struct stat info = {0};
    if (length == 0)
        return WISP_OK;
    if (search->n_folders == WISPI_MAX_FOLDERS || length >= WISPI_PATH_BYTES)
        return wisp_fail(err, WISP_E_INVALID,
                         "the plugin path has more than %d folders, or one of them a name of more "
                         "than %d bytes",
                         WISPI_MAX_FOLDERS, WISPI_PATH_BYTES - 1);
    int32_t at = search->n_folders;
    memcpy(search->folders[at], folder, length);
    search->folders[at][length] = '\0';
    if (stat(search->folders[at], &info) != 0)
        wispi_log(WISP_LOG_WARNING, "plugin folder %s: %s", search->folders[at], strerror(errno));
    else if (is_known(search, &info))
        return WISP_OK;
    search->devices[at] = info.st_dev;
    search->inodes[at] = info.st_ino;
    search->n_folders++;
    return WISP_OK;
}

static wisp_status add_environment(wispi_search *search, wisp_error *err)
{
    /* A program that runs with more rights than its caller must not load the caller's code. */
    const char *path = wispi_is_elevated() ? NULL : getenv("WISP_PLUGIN_PATH");
    if (!path)
        return WISP_OK;
    while (*path) {
        size_t n = strcspn(path, ":");
        WISP_TRY(add_folder(search, path, n, err));
        path += n + (path[n] == ':');
    }
    return WISP_OK;
}

/* Where the host itself lies: the folder of libwisp, or of a program that it is linked into. */
static wisp_status own_folder(const void *inside, char folder[WISPI_PATH_BYTES])
{
    Dl_info info;
    char program[PATH_MAX], real[PATH_MAX];
    const char *own = program;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    /* For the program dladdr gives argv[0], which need not be a path. */
    if (dladdr(inside, &info) && info.dli_fname && strchr(info.dli_fname, '/') &&
        access(info.dli_fname, R_OK) == 0)
        own = info.dli_fname;
    /* Without links, and without the "bin/../lib" of a run path. */
    return wispi_path_folder(folder, WISPI_PATH_BYTES, realpath(own, real) ? real : own);
}

/* Beside the host: DIR/plugins in a build tree, DIR/wisp/<abi> where it is installed. */
static wisp_status add_own_folders(wispi_search *search, wisp_error *err)
{
    static const char *const below[] = {"plugins", "wisp/" ABI, "../" WISP_LIBDIR "/wisp/" ABI};
    char folder[WISPI_PATH_BYTES], path[WISPI_PATH_BYTES];
    if (own_folder(below, folder) != WISP_OK)
        return WISP_OK;
    for (size_t i = 0; i < WISP_COUNT(below); i++)
        if (wispi_path_join(path, sizeof path, folder, below[i]) == WISP_OK &&
            access(path, R_OK) == 0)
            WISP_TRY(add_folder(search, path, strlen(path), err));
    return WISP_OK;
}

wisp_status wispi_search_init(wispi_search *search, const wispi_registry_options *options,
                              wisp_error *err)
{
    search->n_folders = 0;
    for (const char *const *folder = options ? options->folders : NULL; folder && *folder; folder++)
        WISP_TRY(add_folder(search, *folder, strlen(*folder), err));
    if (!options || !options->ignore_environment)
        WISP_TRY(add_environment(search, err));
    return add_own_folders(search, err);
}

int wispi_plugin_file_name(const char *file, char kind[32], char name[128])
{
    size_t n = strlen(file);
    if (strncmp(file, "wisp-", 5) != 0 || n < 10 || strcmp(file + n - 3, ".so") != 0)
        return 0;
    const char *dash = strchr(file + 5, '-');
    if (!dash || dash - (file + 5) >= 32 || (size_t)(file + n - 3 - (dash + 1)) >= 128)
        return 0;
    snprintf(kind, 32, "%.*s", (int)(dash - (file + 5)), file + 5);
    snprintf(name, 128, "%.*s", (int)(file + n - 3 - (dash + 1)), dash + 1);
    return 1;
}

/* Plugins of the kind on the path, for "did you mean". */
static void nearest_name(const wispi_search *search, const char *wanted_kind, const char *wanted,
                         char best[128])
{
    int32_t best_distance = INT32_MAX;
    best[0] = '\0';
    for (int32_t i = 0; i < search->n_folders; i++) {
        DIR *folder = opendir(search->folders[i]);
        struct dirent *entry;
        while (folder && (entry = readdir(folder))) {
            char kind[32], name[128];
            if (!wispi_plugin_file_name(entry->d_name, kind, name) ||
                strcmp(kind, wanted_kind) != 0)
                continue;
            int32_t distance = wispi_edit_distance(wanted, name);
            if (distance < best_distance || (distance == best_distance && strcmp(name, best) < 0)) {
                best_distance = distance;
                memcpy(best, name, sizeof name);
            }
        }
        if (folder)
            closedir(folder);
    }
}

static wisp_status not_found(const wispi_search *search, const char *kind, const char *name,
                             wisp_error *err)
{
    char folders[700] = "", nearest[128];
    size_t used = 0;
    for (int32_t i = 0; i < search->n_folders && used < sizeof folders; i++)
        used += (size_t)snprintf(folders + used, sizeof folders - used, "%s%s", i ? ", " : "",
                                 search->folders[i]);
    nearest_name(search, kind, name, nearest);
    return wisp_fail(
        err, WISP_E_NOT_FOUND,
        "there is no %s plugin \"%s\": wisp-%s-%s.so is in none of these folders: %s%s%s%s", kind,
        name, kind, name, search->n_folders ? folders : "(none)",
        nearest[0] ? "; nearest known name: " : "", nearest,
        nearest[0] ? "" : "; name the right folder with --plugin-path or WISP_PLUGIN_PATH");
}

wisp_status wispi_search_find(const wispi_search *search, const char *kind, const char *name,
                              char path[WISPI_PATH_BYTES], wisp_error *err)
{
    int found = 0;
    for (int32_t i = 0; i < search->n_folders; i++) {
        char candidate[WISPI_PATH_BYTES + 256];
        int n = snprintf(candidate, sizeof candidate, "%s/wisp-%s-%s.so", search->folders[i], kind,
                         name);
        if (n < 0 || n >= WISPI_PATH_BYTES || access(candidate, F_OK) != 0)
            continue;
        if (found)
            wispi_log(WISP_LOG_DEBUG, "%s is shadowed by %s", candidate, path);
        else
            memcpy(path, candidate, (size_t)n + 1);
        found = 1;
    }
    return found ? WISP_OK : not_found(search, kind, name, err);
}

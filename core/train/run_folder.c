#include "train/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "wisp/options.h"

enum { MAX_CONFIG = 1 << 20 };

/* Who looks whether a folder is locked has its lock for a moment. */
enum { LOCK_TRIES = 20, LOCK_PAUSE_NS = 10 * 1000 * 1000 };

/* Settings of [run] that may change when a run goes on. */
static const char *const volatile_keys[] = {"out ",         "resume ",
                                            "threads ",     "workers ",
                                            "steps ",       "checkpoint_minutes ",
                                            "log_seconds ", "checkpoint_epochs ",
                                            "comm ",        "views ",
                                            "on_collapse ", "report "};

static int try_lock(int file)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(file, LOCK_EX | LOCK_NB) == 0)
            return 1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

int wispi_run_folder_is_locked(const char *path)
{
    char lock[WISPI_FOLDER_BYTES + 8];
    snprintf(lock, sizeof lock, "%.*s/.lock", WISPI_FOLDER_BYTES, path);
    const int file = open(lock, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    const int is_locked = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(file);
    return is_locked;
}

static wisp_status lock_folder(wispi_run_folder *folder, wisp_error *err)
{
    char path[WISPI_FOLDER_BYTES + 8];
    snprintf(path, sizeof path, "%s/.lock", folder->path);
    folder->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (folder->lock < 0)
        return wisp_fail(err, WISP_E_IO,
                         "cannot write to the run folder %s: %s; name another one with run.out=DIR",
                         folder->path, strerror(errno));
    if (!try_lock(folder->lock)) {
        close(folder->lock);
        folder->lock = -1;
        return wisp_fail(
            err, WISP_E_STATE,
            "the run folder %s is in use by another process: wait for it, or change run.name or "
            "run.seed",
            folder->path);
    }
    return WISP_OK;
}

/* What processes that were killed left of files they were about to replace. */
static void remove_leftovers(const char *folder)
{
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char path[WISPI_FOLDER_BYTES + 512];
        char *end = strstr(entry->d_name, ".tmp-");
        if (!end)
            continue;
        snprintf(path, sizeof path, "%s/%.*s", folder, (int)(end - entry->d_name), entry->d_name);
        wispi_file_remove_leftovers(path);
    }
    if (entries)
        closedir(entries);
}

wisp_status wispi_run_folder_find(const char *out, const char *name, int64_t seed,
                                  wispi_run_folder *folder, wisp_error *err)
{
    folder->lock = -1;
    int n = snprintf(folder->path, sizeof folder->path, "%s/%s/%lld", out, name, (long long)seed);
    if (n < 0 || n >= WISPI_FOLDER_BYTES - 200)
        return wisp_fail(err, WISP_E_CONFIG, "run.out and run.name make too long a path");
    return WISP_OK;
}

wisp_status wispi_run_folder_open(const char *out, const char *name, int64_t seed,
                                  wispi_run_folder *folder, wisp_error *err)
{
    char checkpoints[WISPI_FOLDER_BYTES + 16];
    WISP_TRY(wispi_run_folder_find(out, name, seed, folder, err));
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder->path);
    wisp_error cause = {0};
    wisp_status status = wispi_make_folders(checkpoints, &cause);
    if (status != WISP_OK)
        return wisp_fail(err, status,
                         "cannot make the run folder: %s; name another one with run.out=DIR",
                         cause.message);
    WISP_TRY(lock_folder(folder, err));
    remove_leftovers(folder->path);
    remove_leftovers(checkpoints);
    return WISP_OK;
}

void wispi_run_folder_close(wispi_run_folder *folder)
{
    if (folder->lock >= 0)
        close(folder->lock);
    folder->lock = -1;
}

int wispi_run_folder_has_checkpoint(const wispi_run_folder *folder)
{
    static const char *const names[] = {"last", "previous"};
    for (size_t i = 0; i < WISP_COUNT(names); i++) {
        char path[WISPI_FOLDER_BYTES + 64];
        snprintf(path, sizeof path, "%s/checkpoints/%s.safetensors", folder->path, names[i]);
        if (access(path, F_OK) == 0)
            return 1;
    }
    return 0;
}

static int is_volatile(const char *line, int as)
{
    if (as == WISPI_SAME_EXPERIMENT &&
        (strncmp(line, "name ", 5) == 0 || strncmp(line, "seed ", 5) == 0))
        return 1;
    for (size_t i = 0; i < WISP_COUNT(volatile_keys); i++)
        if (strncmp(line, volatile_keys[i], strlen(volatile_keys[i])) == 0)
            return 1;
    return 0;
}

/* From the first line on that must not differ. */
static const char *skip_volatile(const char *text, int as)
{
    while (is_volatile(text, as)) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

/* Where of several devices of a kind a run goes on does not matter. */
static int is_same_device(const char *before, const char *now)
{
    static const char key[] = "device = \"";
    const size_t n = strcspn(before, ":\n"), m = strcspn(now, ":\n");
    return strncmp(before, key, sizeof key - 1) == 0 && n == m && memcmp(before, now, n) == 0 &&
           before[n] == ':' && now[m] == ':';
}

/* Both texts come from the same writer, so lines correspond; [run] is the first table. */
wisp_status wispi_run_folder_compare(const char *folder, const char *before, const char *now,
                                     int as, wisp_error *err)
{
    int in_run = 1;
    for (int line = 0; *before || *now; line++) {
        in_run &= line == 0 || *before != '[';
        if (in_run) {
            before = skip_volatile(before, as);
            now = skip_volatile(now, as);
        }
        const size_t n = strcspn(before, "\n"), m = strcspn(now, "\n");
        if ((n != m || memcmp(before, now, n) != 0) && !(in_run && is_same_device(before, now)))
            return wisp_fail(
                err, WISP_E_CONFIG,
                "%s holds a run with another configuration: it has `%.*s`, this one `%.*s`; "
                "change run.name or run.seed, or remove the folder",
                folder, (int)(n < 300 ? n : 300), before, (int)(m < 300 ? m : 300), now);
        before += n + (before[n] == '\n');
        now += m + (now[m] == '\n');
    }
    return WISP_OK;
}

wisp_status wispi_run_folder_write(const wispi_run_folder *folder, const char *name,
                                   const char *text, wisp_error *err)
{
    char path[WISPI_FOLDER_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    return wispi_file_replace(path, text, strlen(text), err);
}

wisp_status wispi_run_folder_config(const wispi_run_folder *folder, const char *resolved,
                                    int has_checkpoint, wisp_error *err)
{
    char path[WISPI_FOLDER_BYTES + 64];
    snprintf(path, sizeof path, "%s/config.toml", folder->path);
    if (has_checkpoint && access(path, F_OK) == 0) {
        uint8_t *before = NULL;
        size_t n = 0;
        WISP_TRY(wispi_file_read(path, MAX_CONFIG, &before, &n, err));
        wisp_status status = wispi_run_folder_compare(folder->path, (const char *)before, resolved,
                                                      WISPI_SAME_RUN, err);
        wispi_free(before);
        WISP_TRY(status);
    }
    return wispi_file_replace(path, resolved, strlen(resolved), err);
}

/* trust.c - the way to a file, one folder after the other.
 *
 * dlopen takes a name, so the file that is judged and the one that is loaded could differ. They
 * cannot for the doing of those who are kept out here: where nobody else may write to a folder on
 * the way, a name leads to one file, until its owner or root say otherwise. */
#include "loader/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { MOST_LINKS = 40 }; /* as in the kernel */

typedef struct walk {
    const char *path;    /* as it was named */
    char here[PATH_MAX]; /* the folder that was reached, for messages; "" is the root */
    char rest[PATH_MAX]; /* what is left to go */
    struct stat folder;  /* of `here` */
    int at;              /* a descriptor of `here` */
    int n_links;
    int is_elevated;
} walk;

int wispi_is_elevated(void)
{
    return getauxval(AT_SECURE) != 0;
}

/* Root may change anything anyhow. With elevated rights the caller is who is kept out: then the
 * user counts only where these are another user's rights. */
static int is_trusted_owner(const walk *w, uid_t owner)
{
    return owner == 0 || (owner == geteuid() && (!w->is_elevated || geteuid() != getuid()));
}

static wisp_status fail_errno(const walk *w, wisp_error *err)
{
    return wisp_fail(err, errno == ENOENT || errno == ENOTDIR ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "%.700s: %s", w->path, strerror(errno));
}

static const char *shown(const char *folder)
{
    return folder[0] ? folder : "/";
}

/* --- the judgement --- */

/* What a set-user-ID program may load is not for its caller to choose. */
static wisp_status judge_elevated(const walk *w, const char *what, const struct stat *info,
                                  wisp_error *err)
{
    const unsigned mode = info->st_mode & 07777;
    if (!is_trusted_owner(w, info->st_uid))
        return wisp_fail(err, WISP_E_ABI,
                         "%.400s: this program has more rights than its caller, and %.400s (mode "
                         "%04o) belongs to user %u: it must belong to root (docs/trust.md)",
                         w->path, shown(what), mode, (unsigned)info->st_uid);
    if ((mode & S_IWGRP) && info->st_gid != 0)
        return wisp_fail(err, WISP_E_ABI,
                         "%.400s: this program has more rights than its caller, and the group %u "
                         "may change %.400s (mode %04o): chmod g-w it (docs/trust.md)",
                         w->path, (unsigned)info->st_gid, shown(what), mode);
    return WISP_OK;
}

static wisp_status judge_folder(const walk *w, wisp_error *err)
{
    const unsigned mode = w->folder.st_mode & 07777;
    if ((mode & S_IWOTH) && !(mode & S_ISVTX))
        return wisp_fail(err, WISP_E_ABI,
                         "%.400s: everybody may replace this plugin, for the folder %.400s is "
                         "writable for all (mode %04o): chmod o-w %.400s, or load it all the same "
                         "with --allow-insecure-plugins (docs/trust.md)",
                         w->path, shown(w->here), mode, shown(w->here));
    return w->is_elevated ? judge_elevated(w, w->here, &w->folder, err) : WISP_OK;
}

/* In a folder like /tmp everybody may make files, and only the owner may rename or remove them:
 * what others made there is not what the user meant. */
static wisp_status judge_place(const walk *w, const char *name, const struct stat *info,
                               wisp_error *err)
{
    if (!(w->folder.st_mode & S_IWOTH) || is_trusted_owner(w, info->st_uid))
        return WISP_OK;
    return wisp_fail(err, WISP_E_ABI,
                     "%.400s: everybody may put files into %.400s (mode %04o), and %.200s there "
                     "belongs to user %u, not to you or root: load a copy of your own, or this one "
                     "with --allow-insecure-plugins (docs/trust.md)",
                     w->path, shown(w->here), (unsigned)w->folder.st_mode & 07777, name,
                     (unsigned)info->st_uid);
}

static wisp_status judge_file(const walk *w, const char *name, const struct stat *info,
                              wisp_error *err)
{
    char file[PATH_MAX + NAME_MAX + 2];
    const unsigned mode = info->st_mode & 07777;
    snprintf(file, sizeof file, "%s/%s", w->here, name);
    if (mode & S_IWOTH)
        return wisp_fail(err, WISP_E_ABI,
                         "%.400s: everybody may change this plugin file (mode %04o): chmod o-w "
                         "%.400s, or load it all the same with --allow-insecure-plugins "
                         "(docs/trust.md)",
                         w->path, mode, file);
    return w->is_elevated ? judge_elevated(w, file, info, err) : WISP_OK;
}

/* --- the walk --- */

/* Takes `next`, a descriptor of the folder to stand in. */
static wisp_status enter(walk *w, int next, wisp_error *err)
{
    if (w->at >= 0)
        close(w->at);
    w->at = next;
    if (next < 0 || fstat(next, &w->folder) != 0)
        return fail_errno(w, err);
    return judge_folder(w, err);
}

static wisp_status enter_root(walk *w, wisp_error *err)
{
    w->here[0] = '\0';
    return enter(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), err);
}

static wisp_status leave(walk *w, wisp_error *err)
{
    char *slash = strrchr(w->here, '/');
    if (slash)
        *slash = '\0';
    return enter(w, openat(w->at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC), err);
}

static wisp_status descend(walk *w, const char *name, int next, wisp_error *err)
{
    const size_t n = strlen(w->here);
    if (n + strlen(name) + 2 > sizeof w->here) {
        close(next);
        errno = ENAMETOOLONG;
        return fail_errno(w, err);
    }
    snprintf(w->here + n, sizeof w->here - n, "/%s", name);
    return enter(w, next, err);
}

/* What a link says goes before what is left to go. */
static wisp_status follow(walk *w, int link, wisp_error *err)
{
    char rest[PATH_MAX], target[PATH_MAX];
    const ssize_t n = readlinkat(link, "", target, sizeof target - 1);
    close(link);
    if (n < 0)
        return fail_errno(w, err);
    target[n] = '\0';
    memcpy(rest, w->rest, sizeof rest);
    const int length = snprintf(w->rest, sizeof w->rest, "%s%s", target, rest);
    if (++w->n_links > MOST_LINKS || length < 0 || (size_t)length >= sizeof w->rest) {
        errno = ELOOP;
        return fail_errno(w, err);
    }
    return target[0] == '/' ? enter_root(w, err) : WISP_OK;
}

/* Cuts the next name off `rest`; empty at its end. */
static void take_name(walk *w, char name[PATH_MAX])
{
    const char *begin = w->rest + strspn(w->rest, "/");
    const size_t n = strcspn(begin, "/");
    memcpy(name, begin, n);
    name[n] = '\0';
    memmove(w->rest, begin + n, strlen(begin + n) + 1);
}

/* *arrived: the name was that of the file. */
static wisp_status step(walk *w, const char *name, int *arrived, wisp_error *err)
{
    struct stat info;
    if (strcmp(name, ".") == 0)
        return WISP_OK;
    if (strcmp(name, "..") == 0)
        return leave(w, err);
    const int next = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
        return fail_errno(w, err);
    wisp_status status =
        fstat(next, &info) == 0 ? judge_place(w, name, &info, err) : fail_errno(w, err);
    if (status == WISP_OK && S_ISLNK(info.st_mode))
        return follow(w, next, err);
    if (status == WISP_OK && S_ISDIR(info.st_mode))
        return descend(w, name, next, err);
    close(next);
    *arrived = 1;
    return status == WISP_OK ? judge_file(w, name, &info, err) : status;
}

static wisp_status go(walk *w, wisp_error *err)
{
    char name[PATH_MAX];
    int arrived = 0;
    WISP_TRY(enter_root(w, err));
    while (!arrived) {
        take_name(w, name);
        if (name[0] == '\0')
            return WISP_OK; /* a folder: not a plugin, which the gate says */
        WISP_TRY(step(w, name, &arrived, err));
    }
    if (w->rest[0] == '\0')
        return WISP_OK;
    errno = ENOTDIR;
    return fail_errno(w, err);
}

wisp_status wispi_trust_check(const char *path, wisp_error *err)
{
    char folder[PATH_MAX] = "";
    walk w = {.path = path, .at = -1, .is_elevated = wispi_is_elevated()};
    if (path[0] != '/' && !getcwd(folder, sizeof folder))
        return fail_errno(&w, err);
    if (wispi_path_join(w.rest, sizeof w.rest, folder, path) != WISP_OK) {
        errno = ENAMETOOLONG;
        return fail_errno(&w, err);
    }
    const wisp_status status = go(&w, err);
    if (w.at >= 0)
        close(w.at);
    return status;
}

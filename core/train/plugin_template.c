#include "train/plugin_template.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config/nearest.h"
#include "loader/gate.h"

static const char EVERY_KIND[] = "every_kind";

static int has_template(const char *kind)
{
    for (const wispi_template_file *f = wispi_template_files; f->kind; f++)
        if (strcmp(f->kind, kind) == 0 && strcmp(kind, EVERY_KIND) != 0)
            return 1;
    return 0;
}

static wisp_status unknown_kind(const char *kind, wisp_error *err)
{
    char kinds[200] = "";
    const char *nearest = "", *last = "";
    int32_t best = INT32_MAX;
    for (const wispi_template_file *f = wispi_template_files; f->kind; f++) {
        if (strcmp(f->kind, last) == 0 || strcmp(f->kind, EVERY_KIND) == 0)
            continue;
        last = f->kind;
        const size_t used = strlen(kinds);
        snprintf(kinds + used, sizeof kinds - used, "%s%s", used ? ", " : "", last);
        const int32_t distance = wispi_edit_distance(kind, last);
        if (distance < best) {
            best = distance;
            nearest = last;
        }
    }
    return wisp_fail(err, WISP_E_INVALID,
                     "there is no template for the kind \"%.60s\"; kinds are %s; the nearest is %s",
                     kind, kinds, nearest);
}

wisp_status wispi_new_plugin_check(const wispi_new_plugin *plugin, wisp_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz", more[] = "0123456789_";
    if (!has_template(plugin->kind))
        return unknown_kind(plugin->kind, err);
    const char *name = plugin->name;
    size_t n = strspn(name, letters);
    while (n > 0 && name[n] && (strchr(letters, name[n]) || strchr(more, name[n])))
        n++;
    if (n == 0 || name[n] || n > WISPI_LONGEST_NAME)
        return wisp_fail(err, WISP_E_INVALID,
                         "\"%.100s\" is no name for a plugin: take a small letter, then small "
                         "letters, digits and underscores, %d of them at most, such as my_idea",
                         name, WISPI_LONGEST_NAME);
    return WISP_OK;
}

int wispi_template_applies(const wispi_template_file *file, const wispi_new_plugin *plugin,
                           char *name, size_t bytes)
{
    if (strcmp(file->kind, plugin->kind) != 0 && strcmp(file->kind, EVERY_KIND) != 0)
        return 0;
    const int is_source = strncmp(file->name, "new_", 4) == 0; /* new_method.c */
    snprintf(name, bytes, "%s%s", is_source ? plugin->name : file->name, is_source ? ".c" : "");
    return 1;
}

void wispi_template_fill(const wispi_template_file *file, const wispi_new_plugin *plugin,
                         wispi_text *out)
{
    const struct {
        const char *mark, *value;
    } marks[] = {{"@NAME@", plugin->name}, {"@KIND@", plugin->kind}};
    enum { MARK_BYTES = 6 };
    const char *data = (const char *)file->data;
    size_t done = 0;
    for (size_t at = 0; at + MARK_BYTES <= file->bytes; at++) {
        for (size_t m = 0; m < sizeof marks / sizeof marks[0]; m++) {
            if (memcmp(data + at, marks[m].mark, MARK_BYTES) != 0)
                continue;
            wispi_text_append_bytes(out, data + done, at - done);
            wispi_text_append(out, marks[m].value);
            done = at + MARK_BYTES;
        }
    }
    wispi_text_append_bytes(out, data + done, file->bytes - done);
}

/* --- writing --- */

static wisp_status write_file(const wispi_template_file *file, const wispi_new_plugin *plugin,
                              const char *path, wisp_error *err)
{
    wispi_text text = {0};
    wispi_template_fill(file, plugin, &text);
    wisp_status status = text.failed ? wisp_fail(err, WISP_E_NOMEM, "%s: no memory for it", path)
                                     : wispi_file_replace(path, text.data, text.length, err);
    wispi_text_free(&text);
    return status;
}

static wisp_status write_files(const wispi_new_plugin *plugin, const char *folder, wisp_error *err)
{
    char name[100], path[PATH_MAX];
    for (const wispi_template_file *f = wispi_template_files; f->kind; f++) {
        if (!wispi_template_applies(f, plugin, name, sizeof name))
            continue;
        WISP_TRY(wispi_path_join(path, sizeof path, folder, name));
        WISP_TRY(write_file(f, plugin, path, err));
    }
    return WISP_OK;
}

static void remove_files(const wispi_new_plugin *plugin, const char *folder)
{
    char name[100], path[PATH_MAX];
    for (const wispi_template_file *f = wispi_template_files; f->kind; f++)
        if (wispi_template_applies(f, plugin, name, sizeof name) &&
            wispi_path_join(path, sizeof path, folder, name) == WISP_OK)
            unlink(path);
    rmdir(folder);
}

static wisp_status refuse(const char *folder, int number, wisp_error *err)
{
    if (number == EEXIST || number == ENOTEMPTY)
        return wisp_fail(err, WISP_E_INVALID,
                         "%.1000s is there already: nothing is overwritten; give another folder as "
                         "the last word, or remove it",
                         folder);
    return wisp_fail(err, number == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "cannot make the folder %.1000s: %s", folder, strerror(number));
}

/* Old file systems know no renaming that replaces nothing: `folder` was looked for before. */
static int rename_new(const char *from, const char *folder)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, folder, RENAME_NOREPLACE) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? rename(from, folder) : -1;
}

/* The folder gets its name when it is whole. */
wisp_status wispi_new_plugin_write(const wispi_new_plugin *plugin, wisp_error *err)
{
    const char *folder = plugin->folder ? plugin->folder : plugin->name;
    char part[PATH_MAX];
    struct stat there;
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    WISP_TRY(wispi_new_plugin_check(plugin, err));
    if (n == 0 || n > PATH_MAX - 200)
        return wisp_fail(err, WISP_E_INVALID, "the folder's name is %s", n ? "too long" : "empty");
    if (lstat(folder, &there) == 0)
        return refuse(folder, EEXIST, err);
    snprintf(part, sizeof part, "%.*s.part-%ld", (int)n, folder, (long)getpid());
    if (mkdir(part, 0777) != 0)
        return refuse(part, errno, err);
    wisp_status status = write_files(plugin, part, err);
    if (status == WISP_OK && rename_new(part, folder) != 0)
        status = refuse(folder, errno, err);
    if (status != WISP_OK)
        remove_files(plugin, part);
    return status;
}

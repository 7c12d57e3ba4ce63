/* folder_look.c - looks into a folder until the first image, but not for long. */
#include "folder_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Images lie in class folders, seldom deeper. Plugins of a more special form may be surer. */
enum { MOST_NAMES = 10000, MOST_FOLDERS_DOWN = 3, FOUND = 60 };

int folder_is_image_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    return 0;
}

static int holds_image(int parent, const char *name, int depth, int *names_left);

static int entry_holds_image(int fd, const char *name, int depth, int *names_left)
{
    struct stat status;
    if (name[0] == '.' || fstatat(fd, name, &status, 0) != 0)
        return 0;
    if (S_ISREG(status.st_mode))
        return folder_is_image_name(name);
    return S_ISDIR(status.st_mode) && depth < MOST_FOLDERS_DOWN &&
           holds_image(fd, name, depth + 1, names_left);
}

static int holds_image(int parent, const char *name, int depth, int *names_left)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry = NULL;
    if (!folder && fd >= 0)
        close(fd);
    while (folder && !found && *names_left > 0 && (entry = readdir(folder))) {
        --*names_left;
        found = entry_holds_image(fd, entry->d_name, depth, names_left);
    }
    if (folder)
        closedir(folder);
    return found;
}

int32_t folder_recognises(const char *path)
{
    int names_left = MOST_NAMES;
    return holds_image(AT_FDCWD, path, 0, &names_left) ? FOUND : 0;
}

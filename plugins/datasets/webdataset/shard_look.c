/* shard_look.c - a first look at a path, without an instance. */
#include "shard_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shard_paths.h"
#include "tar_reader.h"

enum { NAMES_MOST = 1000 };
enum { IS_ARCHIVE = 95, IS_NAMED = 60, IS_PATTERN = 90, IS_FOLDER = 75 };

/* A tar archive, or something compressed that is called like one. */
static int32_t look_at_file(const char *path)
{
    uint8_t block[TAR_BLOCK] = {0};
    const char *slash = strrchr(path, '/');
    const int named = is_shard_name(slash ? slash + 1 : path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return 0;
    const ssize_t n = read(fd, block, sizeof block);
    close(fd);
    if (n == TAR_BLOCK && tar_is_header(block))
        return IS_ARCHIVE;
    if (n > 2 && block[0] == 0x1f && block[1] == 0x8b && named)
        return IS_ARCHIVE;
    return named ? IS_NAMED : 0;
}

static int32_t look_at_folder(const char *path)
{
    DIR *folder = opendir(path);
    int32_t found = 0;
    for (int i = 0; folder && !found && i < NAMES_MOST; i++) {
        const struct dirent *entry = readdir(folder);
        if (!entry)
            break;
        found = is_shard_name(entry->d_name);
    }
    if (folder)
        closedir(folder);
    return found ? IS_FOLDER : 0;
}

/* A pattern, or several paths: what the last part is called must do. */
static int32_t look_at_text(const char *path)
{
    const char *slash = strrchr(path, '/');
    const int is_several = strstr(path, "::") != NULL || strpbrk(path, "{}") != NULL;
    return is_several && is_shard_name(slash ? slash + 1 : path) ? IS_PATTERN : 0;
}

int32_t shards_recognises(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return look_at_text(path);
    return S_ISDIR(status.st_mode) ? look_at_folder(path) : look_at_file(path);
}

#include "report/log_tail.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t read_end(const char *path, char *text, size_t bytes)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = 0;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        const off_t from = info.st_size > (off_t)bytes ? info.st_size - (off_t)bytes : 0;
        n = pread(fd, text, bytes, from);
    }
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

void wispi_log_tail(const char *path, int lines, char *text, size_t bytes)
{
    size_t n = read_end(path, text, bytes - 1);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    size_t first = n;
    for (int found = 0; first > 0; first--)
        if (text[first - 1] == '\n' && ++found == lines)
            break;
    memmove(text, text + first, n - first);
    text[n - first] = '\0';
}

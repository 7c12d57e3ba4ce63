/* corpus_driver.c - runs a fuzz target over the files and folders named on the command line, so
 * that every compiler can replay a corpus. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    uint8_t *data = NULL;
    size_t n = 0;
    for (int more = 1; more;) {
        uint8_t *larger = realloc(data, n + 65536);
        if (!larger)
            abort();
        data = larger;
        size_t got = fread(data + n, 1, 65536, file);
        n += got;
        more = got > 0;
    }
    fclose(file);
    /* A block of the exact size lets an address sanitizer see the first byte too many. */
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        abort();
    memcpy(exact, data, n);
    free(data);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

static int run_folder(const char *path)
{
    DIR *entries = opendir(path);
    if (!entries)
        return run_file(path);
    int total = 0;
    for (struct dirent *entry; total >= 0 && (entry = readdir(entries));) {
        char name[PATH_MAX];
        struct stat info;
        int length = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof name || stat(name, &info) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        total += run_file(name);
    }
    closedir(entries);
    return total;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int n = run_folder(argv[i]);
        if (n < 0)
            return EXIT_FAILURE;
        total += n;
    }
    printf("%d inputs\n", total);
    return total ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus shows nothing */
}

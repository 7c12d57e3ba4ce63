/* cuda_tune_cache.c - the file of choices: a line that says what it is, then a line for each key.
 *
 * It is read when the first choice is asked for, and written anew, beside itself and then in its
 * place, whenever one is added. A file that is not what it should be is left out with a line in the
 * log; so is one that cannot be written. */
#include "cuda_tune.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_CHOICES = 65536, LINE = 64 };
static const char title[] = "wisp cuda choices 1\n";

typedef struct choice {
    uint64_t key;
    int32_t chosen;
} choice;

struct cuda_tune_cache {
    char path[700]; /* empty: nowhere */
    choice *choices;
    int32_t n, room;
    int32_t is_damaged; /* the file, until it is written anew */
};

static void say(const cuda_device *device, const char *what, const char *path)
{
    char line[900];
    snprintf(line, sizeof line, "backend cuda: %s: %s", what, path);
    device->host->log(device->host, WISP_LOG_WARNING, line);
}

static int32_t find(const struct cuda_tune_cache *cache, uint64_t key)
{
    for (int32_t i = 0; i < cache->n; i++)
        if (cache->choices[i].key == key)
            return i;
    return -1;
}

/* 0: no memory, or too many. */
static int add(const cuda_device *device, struct cuda_tune_cache *cache, choice c)
{
    if (find(cache, c.key) >= 0)
        return 1;
    if (cache->n == cache->room) {
        const int32_t room = cache->room ? cache->room * 2 : 256;
        choice *grown =
            room <= MOST_CHOICES ? cuda_alloc(device, (size_t)room * sizeof *grown) : NULL;
        if (!grown)
            return 0;
        if (cache->n)
            memcpy(grown, cache->choices, (size_t)cache->n * sizeof *grown);
        cuda_free(device, cache->choices);
        cache->choices = grown;
        cache->room = room;
    }
    cache->choices[cache->n++] = c;
    return 1;
}

/* --- the file --- */

static int parse(const char *line, choice *c)
{
    char end = 0;
    int chosen = -1;
    if (sscanf(line, "%16" SCNx64 " %d%c", &c->key, &chosen, &end) != 3 || end != '\n' ||
        chosen < 0 || chosen >= 1000)
        return 0;
    c->chosen = chosen;
    return 1;
}

static void read_file(const cuda_device *device, struct cuda_tune_cache *cache)
{
    char line[LINE];
    const int32_t before = cache->n;
    FILE *file = *cache->path && !cache->is_damaged ? fopen(cache->path, "r") : NULL;
    if (!file)
        return;
    int good = fgets(line, sizeof line, file) && strcmp(line, title) == 0;
    while (good && fgets(line, sizeof line, file)) {
        choice c;
        good = parse(line, &c) && add(device, cache, c);
    }
    if (!good || ferror(file)) {
        say(device, "choices of kernels are measured anew, since this file is damaged",
            cache->path);
        cache->n = before;
        cache->is_damaged = 1;
    }
    fclose(file);
}

static int write_lines(const struct cuda_tune_cache *cache, FILE *file)
{
    int good = fputs(title, file) >= 0;
    for (int32_t i = 0; good && i < cache->n; i++)
        good = fprintf(file, "%016" PRIx64 " %d\n", cache->choices[i].key,
                       (int)cache->choices[i].chosen) > 0;
    return good && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

static void write_file(const cuda_device *device, struct cuda_tune_cache *cache)
{
    char beside[sizeof cache->path + 32];
    if (!*cache->path)
        return;
    snprintf(beside, sizeof beside, "%s.%ld", cache->path, (long)getpid());
    FILE *file = fopen(beside, "w");
    int good = file && write_lines(cache, file);
    if (file)
        good = fclose(file) == 0 && good;
    if (good && rename(beside, cache->path) == 0) {
        cache->is_damaged = 0;
        return;
    }
    say(device, "choices of kernels are not kept, since this file cannot be written", cache->path);
    if (file)
        unlink(beside);
    cache->path[0] = 0;
}

/* --- where it is --- */

static int make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

/* Letters, digits and dashes of a device's name. */
static void plain_name(char *name)
{
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
              (*name >= '0' && *name <= '9')))
            *name = '-';
}

static void find_path(const cuda_device *device, struct cuda_tune_cache *cache)
{
    const char *base = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
    char name[128] = "", folder[512];
    int version = 0;
    int used = base && *base == '/'   ? snprintf(folder, sizeof folder, "%s", base)
               : home && *home == '/' ? snprintf(folder, sizeof folder, "%s/.cache", home)
                                      : -1;
    if (used < 0 || used > (int)sizeof folder - 8 || !make_folder(folder))
        return;
    snprintf(folder + used, sizeof folder - (size_t)used, "/wisp");
    if (!make_folder(folder) ||
        device->driver->DeviceGetName(name, (int)sizeof name - 1, device->ordinal) !=
            CUDA_SUCCESS ||
        device->driver->DriverGetVersion(&version) != CUDA_SUCCESS)
        return;
    plain_name(name);
    snprintf(cache->path, sizeof cache->path, "%s/cuda-%s-driver%d-cudnn%zu-cublaslt%zu.txt",
             folder, name, version, device->cudnn->GetVersion(), device->cublaslt->GetVersion());
}

static struct cuda_tune_cache *cache_of(cuda_device *device)
{
    if (device->tuned)
        return device->tuned;
    device->tuned = cuda_alloc(device, sizeof *device->tuned);
    if (!device->tuned)
        return NULL;
    find_path(device, device->tuned);
    read_file(device, device->tuned);
    return device->tuned;
}

int32_t cuda_tune_find(cuda_device *device, uint64_t key)
{
    const struct cuda_tune_cache *cache = cache_of(device);
    const int32_t at = cache ? find(cache, key) : -1;
    return at < 0 ? -1 : cache->choices[at].chosen;
}

/* What other processes have found meanwhile is kept too. */
void cuda_tune_keep(cuda_device *device, uint64_t key, int32_t chosen)
{
    struct cuda_tune_cache *cache = cache_of(device);
    if (!cache)
        return;
    const int32_t at = find(cache, key);
    if (at >= 0)
        cache->choices[at].chosen = chosen;
    else if (!add(device, cache, (choice){key, chosen}))
        return;
    read_file(device, cache);
    write_file(device, cache);
}

void cuda_tune_close(cuda_device *device)
{
    if (!device->tuned)
        return;
    cuda_free(device, device->tuned->choices);
    cuda_free(device, device->tuned);
    device->tuned = NULL;
}

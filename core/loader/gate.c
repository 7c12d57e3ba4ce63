/* gate.c - the judgement, in the order in which it is safe to look. */
#include "loader/gate.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/nearest.h"
#include "loader/containment.h"
#include "loader/gate_options.h"
#include "loader/gate_vtable.h"
#include "loader/trust.h"

const char *const wispi_kinds[] = {"backend", "dataset", "sampler", "backbone",
                                   "method",  "task",    "comm",    NULL};

static const char *const kind_ids[] = {WISP_KIND_BACKEND,  WISP_KIND_DATASET, WISP_KIND_SAMPLER,
                                       WISP_KIND_BACKBONE, WISP_KIND_METHOD,  WISP_KIND_TASK,
                                       WISP_KIND_COMM};

const char *wispi_kind_short(const char *kind_id)
{
    for (size_t i = 0; kind_id && i < WISP_COUNT(kind_ids); i++)
        if (strcmp(kind_ids[i], kind_id) == 0)
            return wispi_kinds[i];
    return NULL;
}

wisp_status wispi_kind_check(const char *kind, wisp_error *err)
{
    wispi_nearest nearest = wispi_nearest_begin(kind ? kind : "");
    for (const char *const *known = wispi_kinds; *known; known++) {
        if (!kind || strcmp(*known, kind) == 0)
            return WISP_OK;
        wispi_nearest_offer(&nearest, *known);
    }
    return wisp_fail(err, WISP_E_INVALID,
                     "there is no plugin kind \"%s\"; the nearest known one is \"%s\"", kind,
                     nearest.found);
}

static int blank(const char *text)
{
    return !text || text[strspn(text, " \t\n")] == '\0';
}

static int good_name(const char *name)
{
    return !blank(name) && strlen(name) <= WISPI_LONGEST_NAME &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

wisp_status wispi_gate_version(const char *path, const wisp_bundle *bundle, wisp_error *err)
{
    if (memcmp(bundle->magic, WISP_ABI_MAGIC, sizeof bundle->magic) != 0)
        return wisp_fail(
            err, WISP_E_ABI,
            "%s: its entry does not return a wisp bundle (wrong magic): not a wisp plugin, or "
            "built from broken headers",
            path);
    unsigned major = bundle->abi_major, minor = bundle->abi_minor;
    int fits = major == WISP_ABI_MAJOR &&
               (WISP_ABI_MAJOR == 0 ? minor == WISP_ABI_MINOR : minor <= WISP_ABI_MINOR);
    if (!fits)
        return wisp_fail(
            err, WISP_E_ABI,
            "%s: built for plugin ABI %u.%u, this host offers %d.%d: build the plugin again with "
            "this host's headers%s (ABI-3)",
            path, major, minor, WISP_ABI_MAJOR, WISP_ABI_MINOR,
            major > WISP_ABI_MAJOR || minor > WISP_ABI_MINOR ? ", or take a newer host" : "");
    if (bundle->struct_size < offsetof(wisp_bundle, init))
        return wisp_fail(err, WISP_E_ABI,
                         "%s: its bundle is %u bytes long, too short to hold descriptors", path,
                         bundle->struct_size);
    return WISP_OK;
}

wisp_status wispi_gate_fields(const char *path, const wisp_descriptor *d, wisp_error *err)
{
    static const char *const labels[] = {"kind", "version", "summary", "doc", "license"};
    /* Nothing of the descriptor is read before its size is known to hold it. */
    if (!d || d->struct_size < offsetof(wisp_descriptor, vtable) + sizeof d->vtable)
        return wisp_fail(err, WISP_E_ABI, "%s: a descriptor is missing or too short (ABI-4)", path);
    if (!good_name(d->name))
        return wisp_fail(err, WISP_E_ABI,
                         "%s: the plugin's name must be made of a-z, 0-9 and _ and have at most %d "
                         "characters (ABI-7)",
                         path, WISPI_LONGEST_NAME);
    const char *const fields[] = {d->kind, d->version, d->summary, d->doc, d->license};
    for (size_t i = 0; i < WISP_COUNT(fields); i++)
        if (blank(fields[i]))
            return wisp_fail(err, WISP_E_ABI, "%s: %s: the mandatory field `%s` is blank (ABI-7)",
                             path, d->name, labels[i]);
    if (!wispi_kind_short(d->kind))
        return wisp_fail(err, WISP_E_ABI,
                         "%s: %s: this host has no plugin kind \"%s\": take a host that has it",
                         path, d->name, d->kind);
    if (d->create && !d->destroy)
        return wisp_fail(err, WISP_E_ABI, "%s: %s: create without destroy (ABI-9)", path, d->name);
    if (d->flags & WISP_FLAG_STATEFUL)
        return wisp_fail(err, WISP_E_ABI,
                         "%s: %s: WISP_FLAG_STATEFUL: no table of this host has save and load, so "
                         "a resumed run would have lost the state: keep it in named states "
                         "(wisp_new_state), and leave the flag out (ABI-21)",
                         path, d->name);
    return wispi_gate_vtable(path, d, err);
}

wisp_status wispi_gate_judge(const char *path, const wisp_bundle *bundle, wisp_error *err)
{
    if (!bundle)
        return wisp_fail(err, WISP_E_ABI, "%s: its entry returned nothing (ABI-1)", path);
    WISP_TRY(wispi_gate_version(path, bundle, err));
    if (bundle->n_descriptors == 0 || !bundle->descriptors)
        return wisp_fail(err, WISP_E_ABI, "%s: its bundle holds no plugin", path);
    for (uint64_t i = 0; i < bundle->n_descriptors; i++) {
        WISP_TRY(wispi_gate_fields(path, bundle->descriptors[i], err));
        WISP_TRY(wispi_gate_options(path, bundle->descriptors[i], err));
    }
    return WISP_OK;
}

/* dlopen's own message for a text file is cryptic, and it would run nothing good. */
static wisp_status check_elf(const char *path, wisp_error *err)
{
    char magic[4] = {0};
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO, "%s: %s", path,
                         strerror(errno));
    int regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    ssize_t n = regular ? read(fd, magic, sizeof magic) : 0;
    close(fd);
    if (n != (ssize_t)sizeof magic || memcmp(magic, "\177ELF", sizeof magic) != 0)
        return wisp_fail(err, WISP_E_ABI,
                         "%s: not a shared object (no ELF header): remove or rebuild it", path);
    return WISP_OK;
}

static void *open_at(const char *path)
{
    char local[PATH_MAX + 2];
    if (strchr(path, '/'))
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    /* A bare name would be looked for in the system's folders, not here. */
    snprintf(local, sizeof local, "./%s", path);
    return dlopen(local, RTLD_NOW | RTLD_LOCAL);
}

wisp_status wispi_gate_library(const char *path, void **library, wisp_error *err)
{
    WISP_TRY(check_elf(path, err));
    void *opened = open_at(path);
    if (!opened) {
        const char *reason = dlerror();
        return wisp_fail(err, WISP_E_ABI, "%s: cannot be loaded: %s", path,
                         reason ? reason : "no reason given");
    }
    *library = opened;
    return WISP_OK;
}

wisp_status wispi_gate_entry(const char *path, void *library, wisp_plugin_entry_fn *entry,
                             wisp_error *err)
{
    void *symbol = dlsym(library, WISP_ENTRY_SYMBOL);
    if (!symbol)
        return wisp_fail(err, WISP_E_ABI,
                         "%s: it does not export " WISP_ENTRY_SYMBOL
                         ": end its source with WISP_PLUGIN(descriptor) (ABI-1)",
                         path);
    memcpy(entry, &symbol, sizeof *entry); /* ISO C has no cast from object to function */
    return WISP_OK;
}

static wisp_status open_bundle(const char *path, int32_t allow_insecure, void **library,
                               const wisp_bundle **bundle, wisp_error *err)
{
    wisp_plugin_entry_fn entry = NULL;
    if (!allow_insecure)
        WISP_TRY(wispi_trust_check(path, err));
    WISP_TRY(wispi_gate_library(path, library, err));
    WISP_TRY(wispi_gate_entry(path, *library, &entry, err));
    *bundle = entry();
    return wispi_gate_judge(path, *bundle, err);
}

wisp_status wispi_gate_open(const char *path, int32_t allow_insecure, void **library,
                            const wisp_bundle **bundle, wisp_error *err)
{
    void *opened = NULL;
    const wisp_bundle *found = NULL;
    wispi_mark former = wispi_mark_enter_file(path);
    wisp_status status = open_bundle(path, allow_insecure, &opened, &found, err);
    if (status != WISP_OK && opened)
        dlclose(opened);
    wispi_mark_leave(former);
    if (status != WISP_OK)
        return status;
    *library = opened;
    *bundle = found;
    return WISP_OK;
}

/* abi.h - what a plugin file shows to the host: one function, one bundle, some descriptors.
 *
 * Rules are numbered in docs/abi.md and cited here. Thread classes, used as tags on every function
 * pointer of the public headers (ABI-12):
 *   [setup]  once, from a single thread, before training
 *   [main]   the training thread, one call at a time
 *   [worker] many threads at once, but never two inside one instance
 *   [any]    any thread at any time; the function is reentrant */
#ifndef WISP_ABI_H
#define WISP_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "wisp/options.h"
#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_ABI_MAGIC "wisp\r\n\x1a\n" /* 8 bytes without the terminator */
#define WISP_ABI_MAJOR 0
#define WISP_ABI_MINOR 1

/* Kind ids. A vtable whose meaning must change gets a new id; the old one may be served beside it
 * (ABI-4). */
#define WISP_KIND_BACKEND "wisp.backend/0"
#define WISP_KIND_DATASET "wisp.dataset/0"
#define WISP_KIND_SAMPLER "wisp.sampler/0"
#define WISP_KIND_BACKBONE "wisp.backbone/0"
#define WISP_KIND_METHOD "wisp.method/0"
#define WISP_KIND_TASK "wisp.task/0"
#define WISP_KIND_COMM "wisp.comm/0"

enum {
    WISP_FLAG_DETERMINISTIC = 1, /* same inputs, same bits: a word that `wisp inspect` prints */
    WISP_FLAG_NEEDS_DEVICE = 2,  /* useless without an accelerator: a word likewise */
    WISP_FLAG_STATEFUL = 4,      /* has state outside named states. Refused: no vtable has save and
                                    load yet, so a resumed run would go on without it */
    WISP_FLAG_BATCH_COUPLED = 8  /* loss couples the samples of a batch: all are of one size */
};

struct wisp_host;

/* Everything about one plugin, readable without running its code (ABI-7). A descriptor with a blank
 * mandatory field (marked *) is refused at load. */
typedef struct wisp_descriptor {
    uint32_t struct_size;  /* sizeof(wisp_descriptor) as the plugin was built */
    uint32_t option_size;  /* sizeof(wisp_option) as the plugin was built */
    const char *kind;      /* * one of WISP_KIND_... */
    const char *name;      /* * [a-z0-9_]+, 48 at most, unique in its kind, as in the file's name */
    const char *version;   /* * of the plugin */
    const char *summary;   /* * one line */
    const char *doc;       /* * some sentences: what it does, what it needs */
    const char *license;   /* * SPDX id */
    const char *reference; /* paper or specification, or NULL */
    const wisp_option *options;
    uint64_t n_options;
    uint64_t config_size;            /* bytes of the config struct; 0 without options */
    const char *const *requires_ids; /* NULL-terminated extension ids, or NULL */
    uint64_t flags;                  /* WISP_FLAG_... */

    /* Cross-field rules of the config; optional. [setup] */
    wisp_status (*check)(const void *config, wisp_error *err);
    /* Makes an instance; `config` lives until destroy. What fails leaves nothing behind. NULL: the
     * config pointer itself is the instance. [setup] */
    wisp_status (*create)(const struct wisp_host *host, const void *config, void **self,
                          wisp_error *err);
    /* Accepts a half-created instance and NULL. Mandatory where create is given. [setup] */
    void (*destroy)(void *self);

    const void *vtable; /* * the kind's table, e.g. a wisp_method_v0 */
} wisp_descriptor;

/* What wisp_plugin_entry returns. The first 16 bytes are frozen for ever: the host reads nothing
 * else before it has accepted the version (ABI-2, ABI-3). */
typedef struct wisp_bundle {
    char magic[8];
    uint32_t struct_size;
    uint16_t abi_major;
    uint16_t abi_minor;
    const wisp_descriptor *const *descriptors; /* array of pointers (ABI-4) */
    uint64_t n_descriptors;
    /* Once per library, before any create; `host` lives as long as the process. Optional. [setup]
     */
    wisp_status (*init)(const struct wisp_host *host, wisp_error *err);
    /* At exit, in reverse order of init. Optional. [setup] */
    void (*fini)(void);
} wisp_bundle;

/* The one exported symbol; returns a pointer to a static const bundle and does nothing else
 * (ABI-1). [setup] */
typedef const wisp_bundle *(*wisp_plugin_entry_fn)(void);
#define WISP_ENTRY_SYMBOL "wisp_plugin_entry"

#if defined(__GNUC__)
#define WISP_EXPORT __attribute__((visibility("default")))
#else
#define WISP_EXPORT
#endif

#ifdef __cplusplus
#define WISP_EXTERN_C extern "C"
#else
#define WISP_EXTERN_C
#endif

/* Defines the entry of a file with one descriptor and no init. Put it at the end of the file:
 *     WISP_PLUGIN(my_descriptor) */
#define WISP_PLUGIN(descriptor)                                                                    \
    WISP_EXTERN_C WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void);                          \
    WISP_EXTERN_C WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void)                           \
    {                                                                                              \
        static const wisp_descriptor *const list[] = {&(descriptor)};                              \
        static const wisp_bundle bundle = {{'w', 'i', 's', 'p', '\r', '\n', 0x1a, '\n'},           \
                                           sizeof(wisp_bundle),                                    \
                                           WISP_ABI_MAJOR,                                         \
                                           WISP_ABI_MINOR,                                         \
                                           list,                                                   \
                                           1,                                                      \
                                           NULL,                                                   \
                                           NULL};                                                  \
        return &bundle;                                                                            \
    }

/* True when `pointer`'s struct, as its maker built it, is long enough to hold `field` (ABI-4). */
#define WISP_HAS(pointer, type, field)                                                             \
    ((pointer)->struct_size >= offsetof(type, field) + sizeof((pointer)->field))

#ifdef __cplusplus
}
#endif
#endif

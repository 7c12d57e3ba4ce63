/* backbone.h - a backbone maps images to features; it is built under a network by wisp_backbone().
 *
 * `create` is called once per network that holds the backbone (student, teacher, ...), so the
 * modules that `build` makes may be kept in the instance. */
#ifndef WISP_BACKBONE_H
#define WISP_BACKBONE_H

#include <stdio.h>
#include <string.h>

#include "wisp/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wisp_backbone_info {
    uint32_t struct_size;
    uint32_t taps;      /* WISP_TAP_... that it can give */
    int64_t dim;        /* of the pooled embedding */
    int32_t has_tokens; /* forward accepts mask and keep_index */
    int32_t n_blocks;   /* class tokens that WISP_TAP_CLASS_TOKENS gives; 0 where it cannot */
} wisp_backbone_info;

/* The same network as another library has it. */
typedef struct wisp_exchange {
    uint32_t struct_size;
    uint32_t reserved;
    int64_t dim; /* of the embedding: what the classifier there takes */
    /* Python that makes it there, such as "torchvision.models.resnet18(num_classes={classes})" */
    char model[512];
    /* Python that takes its classifier away: "model.fc = torch.nn.Identity()"; empty: {classes} = 0
     * is enough */
    char headless[128];
    char classifier[64]; /* path of its classifier there: "fc" */
} wisp_exchange;

typedef struct wisp_backbone_v0 {
    uint32_t struct_size;
    uint32_t reserved;
    /* Makes its modules under `parent` and describes itself. [setup] */
    wisp_status (*build)(void *self, wisp_build *b, wisp_module *parent, wisp_backbone_info *info,
                         wisp_error *err);
    /* x T(N,H,W,3), normalised. Fills `out`: pooled always, the rest as out->taps asks. What was
     * asked for and is not in info.taps has been refused before. [main] */
    void (*forward)(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out);
    /* Optional, all three or none: names of its tensors in other libraries, by which weights are
     * exported and imported. Names of libraries, NULL-terminated: "torchvision", "timm". */
    const char *const *libraries;
    /* Describes what `library` has for this configuration; E_CONFIG says why it has nothing like it
     * and what would have to change. [setup] */
    wisp_status (*exchange)(void *self, const char *library, wisp_exchange *out, wisp_error *err);
    /* What the tensor `name` (from below the backbone) is called there, into `out`; an empty text:
     * it is not there. Statistics of batch norms keep their last word. [setup] */
    void (*exchange_name)(void *self, const char *library, const char *name, char *out,
                          size_t bytes);
} wisp_backbone_v0;

/* One beginning of a name and what stands for it elsewhere. Frozen layout. */
typedef struct wisp_renaming {
    const char *ours, *theirs;
} wisp_renaming;

/* For exchange_name: appends `name` to `out`, its beginning replaced by the first entry of `table`
 * that fits; returns 0 and appends nothing when none does. [any] */
static inline int wisp_rename(const wisp_renaming *table, uint64_t n, const char *name, char *out,
                              size_t bytes)
{
    for (uint64_t i = 0; i < n; i++) {
        const size_t length = strlen(table[i].ours), used = strlen(out);
        if (strncmp(name, table[i].ours, length) == 0) {
            snprintf(out + used, bytes - used, "%s%s", table[i].theirs, name + length);
            return 1;
        }
    }
    return 0;
}

#ifdef __cplusplus
}
#endif
#endif

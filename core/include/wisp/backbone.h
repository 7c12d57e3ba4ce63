/* backbone.h - a backbone maps images to features; it is built under a network by wisp_backbone().
 *
 * `create` is called once per network that holds the backbone (student, teacher, ...), so the
 * modules that `build` makes may be kept in the instance. */
#ifndef WISP_BACKBONE_H
#define WISP_BACKBONE_H

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

typedef struct wisp_backbone_v0 {
    uint32_t struct_size;
    uint32_t reserved;
    /* Makes its modules under `parent` and describes itself. [setup] */
    wisp_status (*build)(void *self, wisp_build *b, wisp_module *parent, wisp_backbone_info *info,
                         wisp_error *err);
    /* x T(N,H,W,3), normalised. Fills `out`: pooled always, the rest as out->taps asks. What was
     * asked for and is not in info.taps has been refused before. [main] */
    void (*forward)(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out);
} wisp_backbone_v0;

#ifdef __cplusplus
}
#endif
#endif

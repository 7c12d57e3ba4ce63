/* method.h - a self-supervised method: networks, a step from views to a loss, and what follows it.
 *
 * Order of the calls: requirements -> build -> for each epoch: epoch_begin -> for each batch: step,
 * the host's backward, after_backward, the host's optimizer, after_step. The host calls step,
 * after_backward and after_step once more with shapes only whenever their calls may have changed
 * (at the start of each epoch); they never read a tensor's value and never branch on one. A device
 * may do the calls of a step again without the host calling the plugin, so these three keep nothing
 * of their own from step to step: what lasts is in named buffers, what changes is scheduled. */
#ifndef WISP_METHOD_H
#define WISP_METHOD_H

#include "wisp/nn.h"
#include "wisp/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The batch, as a method sees it. Views are grouped by size, view-major: wisp_view(s, batch, v) is
 * view v of all B images, T(B,H,W,3); wisp_views(s, batch, first, n) is n consecutive views of one
 * size, T(n*B,H,W,3). Further parts by name through wisp_batch_part(): "index" i64(B), "boxes"
 * f32(V,B,4) as (x,y,w,h) in source pixels, "flip" f32(V,B). Labels never, unless the method asks
 * for them. */
struct wisp_batch {
    uint32_t struct_size;
    int32_t n_views;
    int32_t n_groups;
    int32_t reserved;
    int64_t size; /* B on this rank */
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
};

/* Side data that a method may require of the host; what cannot be given is refused at start, by
 * name. */
enum {
    WISP_NEED_INDEX = 1,
    WISP_NEED_BOXES = 2,
    WISP_NEED_LABELS = 4, /* supervised methods only: part "label" i64(B) */
    WISP_NEED_TOKENS = 8  /* a backbone with tokens */
};

typedef struct wisp_requirements {
    uint32_t struct_size;
    uint32_t needs;     /* WISP_NEED_... */
    int32_t min_global; /* views that it needs at least of the first group ("global") */
    int32_t max_global; /* 0: any number */
    int32_t min_local;  /* and of all further groups together */
    int32_t max_local;  /* -1: none allowed; 0: any number */
} wisp_requirements;

/* What time it is; everything that changes with it inside a step comes as a scheduled scalar.
 * Frozen layout. */
typedef struct wisp_clock {
    int64_t epoch, epochs;
    int64_t step, steps; /* over the whole run */
    int64_t steps_per_epoch;
} wisp_clock;

typedef struct wisp_method_v0 {
    uint32_t struct_size;
    uint32_t reserved;

    /* Writes into zeroed requirements. [setup] */
    void (*requirements)(void *self, wisp_requirements *requirements);
    /* Networks, heads, buffers, schedules. `batch` tells groups and sizes, without data. [setup] */
    wisp_status (*build)(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err);
    /* Optional. [main] */
    wisp_status (*epoch_begin)(void *self, const wisp_clock *clock, wisp_error *err);
    /* Returns the loss, f32(). Mandatory. [main] */
    wisp_tensor *(*step)(void *self, wisp_step *s, const wisp_batch *batch);
    /* Drop or clip gradients. Optional. [main] */
    void (*after_backward)(void *self, wisp_step *s);
    /* EMA, queues, centres. Optional. [main] */
    void (*after_step)(void *self, wisp_step *s);
    /* The module that is evaluated and exported: a backbone made by wisp_backbone(). [setup] */
    wisp_module *(*evaluated_network)(void *self);
    /* A place for a loop of the method's own (feature caching, mining, clustering, staged
     * training). Not served: this host never calls it. [main] */
    wisp_status (*phase)(void *self, int32_t index, wisp_error *err);
    /* Class scores T(N,n_classes) of images T(N,H,W,3) by the method's own classifier, in eval
     * mode: for methods that learn from labels. Optional. [main] */
    wisp_tensor *(*predict)(void *self, wisp_step *s, wisp_tensor *images);
} wisp_method_v0;

#ifdef __cplusplus
}
#endif
#endif

/* store.h - a network's tensors in one flat block of f32.
 *
 * Parameters lie one after another, each at a multiple of 64 bytes, with zeros in the gaps. The
 * gradient and the optimizer's moments have the same layout, so that an update, an average or a
 * norm is one pass over memory. Every tensor and the whole share one count of changes. */
#ifndef WISPI_NN_STORE_H
#define WISPI_NN_STORE_H

#include "tensor/device.h"
#include "wisp/nn.h"

/* One named tensor of a store. */
typedef struct wispi_slot {
    wispi_variable variable;
    wispi_variable gradient; /* what variable.grad points to where the slot trains */
    wisp_init init;
    int64_t fan_in, fan_out;
    uint32_t flags; /* WISP_PARAM_... */
    int64_t offset; /* into the store, in elements */
    int64_t count;
    const wisp_module *module;
    struct wispi_slot *next;
} wispi_slot;

typedef struct wispi_store {
    wispi_slot *first, *last;
    int32_t n_slots;
    int64_t count;           /* elements, gaps included */
    wispi_variable whole;    /* f32(count); no data in an empty store */
    wispi_variable gradient; /* the same; no data where nothing trains */
} wispi_store;

/* Puts a slot, whose variable has its name and description, at the end of the store. */
void wispi_store_add(wispi_store *store, wispi_slot *slot);
/* Memory for the store and its slots. */
wisp_status wispi_store_allocate(wispi_device *device, wispi_store *store, const char *name,
                                 wisp_error *err);
/* Draws every slot's first value from (seed, WISP_STREAM_INIT, its name). */
wisp_status wispi_store_initialise(wispi_device *device, wispi_store *store, uint64_t seed,
                                   wisp_error *err);
/* Gives a gradient of the same layout to the slots for which trains() is not 0; none: no memory. */
wisp_status wispi_store_add_gradient(wispi_device *device, wispi_store *store,
                                     int (*trains)(const wispi_slot *slot), wisp_error *err);
/* A block of zeros with the layout of the store. */
wisp_status wispi_store_twin(wispi_device *device, const wispi_store *store, const char *name,
                             wispi_variable *whole, wisp_error *err);
/* A view of `whole` with the name, shape and place of a slot; shares the count of changes. */
wisp_status wispi_slot_twin(wispi_device *device, const wispi_slot *slot, wispi_variable *whole,
                            const char *name, wispi_variable *part, wisp_error *err);
void wispi_store_release(wispi_device *device, wispi_store *store);

wispi_slot *wispi_store_find(const wispi_store *store, const char *name);

/* The values that a tensor of this name begins with (initial_values.c). */
void wispi_initial_values(const wisp_init *init, uint64_t seed, const char *name,
                          const wisp_desc *desc, int64_t fan_in, int64_t fan_out, float *values);
wisp_status wispi_init_check(const char *name, const wisp_init *init, wisp_error *err);

#endif

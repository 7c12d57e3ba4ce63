#include "nn/store.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

void wispi_store_add(wispi_store *store, wispi_slot *slot)
{
    const int64_t floats_of_64_bytes = 16;
    slot->count = wisp_desc_count(&slot->variable.desc);
    slot->offset = store->count;
    store->count +=
        (slot->count + floats_of_64_bytes - 1) / floats_of_64_bytes * floats_of_64_bytes;
    if (store->last)
        store->last->next = slot;
    else
        store->first = slot;
    store->last = slot;
    store->n_slots++;
}

/* variable_init copies the name into the variable: not out of the same one. */
static wisp_status place(wispi_device *device, wispi_variable *part, wispi_variable *whole,
                         const char *name, const wisp_desc *desc, int64_t offset, wisp_error *err)
{
    char text[sizeof part->name];
    const wisp_desc shape = *desc;
    snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, name);
    WISP_TRY(wispi_variable_init(device, part, text, &shape, (float *)whole->data + offset, err));
    part->version = whole->version;
    return WISP_OK;
}

static wisp_status zeros(wispi_device *device, wispi_variable *whole, wisp_error *err)
{
    const size_t bytes = (size_t)wisp_desc_bytes(&whole->desc);
    void *host = wispi_alloc(bytes);
    if (!host)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %zu zeros of %s", bytes, whole->name);
    wisp_status status = wispi_variable_write(device, whole, host, err);
    wispi_free(host);
    return status;
}

wisp_status wispi_store_twin(wispi_device *device, const wispi_store *store, const char *name,
                             wispi_variable *whole, wisp_error *err)
{
    const wisp_desc flat = wisp_desc1(WISP_F32, store->count);
    wispi_variable made = {0};
    WISP_TRY(wispi_variable_init(device, &made, name, &flat, NULL, err));
    wisp_status status = zeros(device, &made, err);
    if (status != WISP_OK) {
        wispi_variable_fini(device, &made);
        return status;
    }
    *whole = made;
    whole->version = &whole->own_version;
    return WISP_OK;
}

wisp_status wispi_slot_twin(wispi_device *device, const wispi_slot *slot, wispi_variable *whole,
                            const char *name, wispi_variable *part, wisp_error *err)
{
    return place(device, part, whole, name, &slot->variable.desc, slot->offset, err);
}

wisp_status wispi_store_allocate(wispi_device *device, wispi_store *store, const char *name,
                                 wisp_error *err)
{
    if (!store->count)
        return WISP_OK;
    WISP_TRY(wispi_store_twin(device, store, name, &store->whole, err));
    for (wispi_slot *slot = store->first; slot; slot = slot->next)
        WISP_TRY(place(device, &slot->variable, &store->whole, slot->variable.name,
                       &slot->variable.desc, slot->offset, err));
    return WISP_OK;
}

wisp_status wispi_store_initialise(wispi_device *device, wispi_store *store, uint64_t seed,
                                   wisp_error *err)
{
    if (!store->count)
        return WISP_OK;
    float *host = wispi_alloc_array((size_t)store->count, sizeof *host);
    if (!host)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to initialise %s", store->whole.name);
    for (const wispi_slot *slot = store->first; slot; slot = slot->next)
        wispi_initial_values(&slot->init, seed, slot->variable.name, &slot->variable.desc,
                             slot->fan_in, slot->fan_out, host + slot->offset);
    wisp_status status = wispi_variable_write(device, &store->whole, host, err);
    wispi_free(host);
    return status;
}

wisp_status wispi_store_add_gradient(wispi_device *device, wispi_store *store,
                                     int (*trains)(const wispi_slot *slot), wisp_error *err)
{
    char name[sizeof store->whole.name + 16];
    int any = 0;
    for (const wispi_slot *slot = store->first; slot; slot = slot->next)
        any |= trains(slot);
    if (!any)
        return WISP_OK;
    snprintf(name, sizeof name, "gradient.%s", store->whole.name);
    WISP_TRY(wispi_store_twin(device, store, name, &store->gradient, err));
    for (wispi_slot *slot = store->first; slot; slot = slot->next) {
        if (!trains(slot))
            continue;
        snprintf(name, sizeof name, "gradient.%s", slot->variable.name);
        WISP_TRY(wispi_slot_twin(device, slot, &store->gradient, name, &slot->gradient, err));
        slot->variable.grad = &slot->gradient;
    }
    return WISP_OK;
}

void wispi_store_release(wispi_device *device, wispi_store *store)
{
    wispi_variable_fini(device, &store->whole);
    wispi_variable_fini(device, &store->gradient);
}

wispi_slot *wispi_store_find(const wispi_store *store, const char *name)
{
    for (wispi_slot *slot = store->first; slot; slot = slot->next)
        if (strcmp(slot->variable.name, name) == 0)
            return slot;
    return NULL;
}

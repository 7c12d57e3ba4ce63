/* follower.c - networks that follow others: pairs by path, the copy at the start, the moving
 * average (Tarvainen and Valpola 2017; He et al. 2020, section 3.2). */
#include "nn/follower.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/op_call.h"
#include "tensor/program.h"

static const char *below(const char *path, const wisp_module *module)
{
    return path + strlen(module->path) + 1;
}

/* "head" excludes "head" and "head.mlp.0.weight", not "header". */
static int excluded(const wispi_network *network, const char *path)
{
    for (const char **prefix = network->exclude; prefix && *prefix; prefix++) {
        const size_t n = strlen(*prefix);
        if (strncmp(path, *prefix, n) == 0 && (path[n] == '\0' || path[n] == '.'))
            return 1;
    }
    return 0;
}

static wisp_status find_partner(const wispi_network *network, const wispi_store *store,
                                const wispi_slot *slot, const wispi_slot **partner, wisp_error *err)
{
    char name[2 * sizeof slot->variable.name], have[96], want[96];
    const char *path = below(slot->variable.name, network->module);
    *partner = NULL;
    if (excluded(network, path))
        return WISP_OK;
    snprintf(name, sizeof name, "%s.%s", network->source->path, path);
    const wispi_slot *found = wispi_store_find(store, name);
    if (!found)
        return wisp_fail(err, WISP_E_INVALID,
                         "%s follows %s, but %s has no partner %s: build both alike, or exclude it",
                         network->module->path, network->source->path, slot->variable.name, name);
    if (memcmp(&found->variable.desc, &slot->variable.desc, sizeof(wisp_desc)) != 0)
        return wisp_fail(err, WISP_E_SHAPE, "%s %s follows %s %s: build both alike, or exclude it",
                         slot->variable.name,
                         wispi_shape_text(&slot->variable.desc, have, sizeof have), name,
                         wispi_shape_text(&found->variable.desc, want, sizeof want));
    *partner = found;
    return WISP_OK;
}

/* A table of all pairs; NULL where there is none. */
static wisp_status make_pairs(wispi_model *model, const wispi_network *network,
                              const wispi_store *target, const wispi_store *source,
                              wispi_segments **pairs, wisp_error *err)
{
    char name[sizeof target->whole.name + 16];
    const wispi_slot *partner = NULL;
    int32_t n = 0;
    for (const wispi_slot *slot = target->first; slot; slot = slot->next) {
        WISP_TRY(find_partner(network, source, slot, &partner, err));
        n += partner != NULL;
    }
    if (!n)
        return WISP_OK;
    snprintf(name, sizeof name, "pairs.%s", target->whole.name);
    WISP_TRY(wispi_model_add_table(model, name, n, target, pairs, err));
    n = 0;
    for (const wispi_slot *slot = target->first; slot; slot = slot->next) {
        WISP_TRY(find_partner(network, source, slot, &partner, err));
        if (!partner)
            continue;
        const wispi_segment row = {slot->offset, slot->count, WISP_SEGMENT_ACTIVE, partner->offset};
        wispi_segments_set(*pairs, n++, &row);
    }
    return WISP_OK;
}

wisp_status wispi_network_follow(wispi_model *model, wispi_network *network, wisp_error *err)
{
    const wispi_network *source = network->source->network;
    if (source->source)
        return wisp_fail(err, WISP_E_INVALID, "%s follows %s, which itself follows %s",
                         network->module->path, source->module->path, source->source->path);
    WISP_TRY(make_pairs(model, network, &network->parameters, &source->parameters, &network->pairs,
                        err));
    return make_pairs(model, network, &network->buffers, &source->buffers, &network->buffer_pairs,
                      err);
}

static wisp_status copy_pairs(wispi_model *model, const wispi_store *source,
                              const wispi_segments *pairs, wispi_variable *target, wisp_error *err)
{
    if (!pairs)
        return WISP_OK;
    float *from = wispi_alloc_array((size_t)source->count, sizeof *from);
    float *to = wispi_alloc((size_t)wisp_desc_bytes(&target->desc));
    wisp_status status =
        from && to ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory to copy %s", target->name);
    if (status == WISP_OK)
        status = wispi_variable_read(model->device, &source->whole, from, err);
    if (status == WISP_OK)
        status = wispi_variable_read(model->device, target, to, err);
    for (int32_t i = 0; status == WISP_OK && i < pairs->n; i++) {
        const wispi_segment *row = &pairs->rows[i];
        memcpy(to + row->offset, from + row->source, (size_t)row->count * sizeof *to);
    }
    if (status == WISP_OK)
        status = wispi_variable_write(model->device, target, to, err);
    wispi_free(from);
    wispi_free(to);
    return status;
}

wisp_status wispi_network_copy_source(wispi_model *model, wispi_network *network, wisp_error *err)
{
    const wispi_network *source = network->source->network;
    WISP_TRY(
        copy_pairs(model, &source->parameters, network->pairs, &network->parameters.whole, err));
    return copy_pairs(model, &source->buffers, network->buffer_pairs, &network->buffers.whole, err);
}

static void average(wisp_step *s, wispi_store *target, wispi_store *source, wispi_segments *pairs,
                    wisp_tensor *momentum)
{
    if (!pairs)
        return;
    wisp_tensor *whole = wispi_step_variable(s, &target->whole);
    wisp_tensor *in[4] = {whole, wispi_step_variable(s, &source->whole),
                          wispi_segments_tensor(s, pairs), momentum};
    wisp_tensor *out[WISPI_MAX_OUT] = {whole};
    wispi_call(s, WISPI_CALL_ema_update, NULL, in, 4, out);
}

void wispi_ema_update(wisp_step *s, wisp_module *target, wisp_tensor *momentum)
{
    wispi_network *network = target ? target->network : NULL;
    if (!network || target != network->module || !network->source) {
        wispi_step_fail(s, WISP_E_INVALID,
                        "ema_update: %s is not a network that follows another: call wisp_follow() "
                        "in build",
                        target ? target->path : "NULL");
        return;
    }
    wispi_network *source = network->source->network;
    wisp_no_grad_begin(s);
    average(s, &network->parameters, &source->parameters, network->pairs, momentum);
    if (network->average_buffers)
        average(s, &network->buffers, &source->buffers, network->buffer_pairs, momentum);
    wisp_no_grad_end(s);
}

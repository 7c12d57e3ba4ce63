/* module.c - questions that are asked of module trees. */
#include "nn/module.h"

#include <string.h>

wisp_freeze_desc wispi_module_frozen(const wisp_module *module)
{
    wisp_freeze_desc all = {0, 0, 0, 0};
    for (; module; module = module->parent) {
        all.gradient |= module->frozen.gradient;
        all.batch_norm_eval |= module->frozen.batch_norm_eval;
        all.running_fixed |= module->frozen.running_fixed;
    }
    return all;
}

wisp_module *wispi_module_after(const wisp_module *top, wisp_module *m)
{
    if (m->first)
        return m->first;
    while (m != top && !m->next)
        m = m->parent;
    return m == top ? NULL : m->next;
}

const char *wispi_module_path(const wisp_module *module)
{
    return module->path;
}

const wisp_backbone_info *wispi_module_backbone_info(const wisp_module *module)
{
    return module->kind == WISPI_MODULE_BACKBONE ? &module->info : NULL;
}

static int lies_in(const wisp_module *m, const wisp_module *top)
{
    while (m && m != top)
        m = m->parent;
    return m != NULL;
}

int64_t wispi_module_parameter_count(const wisp_module *top, int32_t only_trained)
{
    int64_t count = 0;
    for (const wispi_slot *slot = top->network->parameters.first; slot; slot = slot->next)
        if (lies_in(slot->module, top) && (!only_trained || slot->variable.grad))
            count += slot->count;
    return count;
}

static int64_t slots_below(const wispi_store *store, const wisp_module *top)
{
    int64_t n = 0;
    for (const wispi_slot *slot = store->first; slot; slot = slot->next)
        n += lies_in(slot->module, top);
    return n;
}

void wispi_module_count(const wisp_module *top, wispi_module_census *census)
{
    *census = (wispi_module_census){0, 0, 0, 0};
    census->tensors =
        slots_below(&top->network->parameters, top) + slots_below(&top->network->buffers, top);
    for (wisp_module *m = top->first; m; m = wispi_module_after(top, m)) {
        census->convolutions += m->kind == WISPI_MODULE_CONV2D;
        if (m->kind == WISPI_MODULE_BATCH_NORM) {
            census->batch_norms++;
            census->norm_channels += m->running_mean->count;
        }
    }
}

#include "train/task_check.h"

#include <string.h>

#include "base/log.h"
#include "loader/containment.h"

enum { BOTH = WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST };

static const wisp_task_v0 *task_table(const wispi_instance *task)
{
    return task->plugin->descriptor->vtable;
}

uint32_t wispi_task_needs(const wispi_instance *task, int as_probe)
{
    uint32_t needs = 0;
    WISPI_VISIT(task->plugin, "needs", needs = task_table(task)->needs(task->self));
    return as_probe && (needs & WISP_TASK_LEARNS) ? needs | BOTH : needs;
}

static int32_t classes_of(const wispi_instance *data)
{
    return wispi_dataset_of(data)->n_classes(data->self);
}

/* The same classes in the same order? Names may differ by spelling, so this is no error. */
static void compare_class_names(const wispi_experiment *x)
{
    const wisp_dataset_v0 *data = wispi_dataset_of(&x->data), *test = wispi_dataset_of(&x->test);
    for (int32_t i = 0; i < classes_of(&x->data); i++) {
        const char *a = data->class_name ? data->class_name(x->data.self, i) : NULL;
        const char *b = test->class_name ? test->class_name(x->test.self, i) : NULL;
        if (!a || !b || strcmp(a, b) == 0)
            continue;
        wispi_log(WISP_LOG_WARNING,
                  "class %d is \"%s\" in [data] and \"%s\" in [test]: are these the same classes?",
                  i, a, b);
        return;
    }
}

/* What the host calls must be there, before hours of training rather than after them. */
static wisp_status check_entries(const wispi_instance *task, uint32_t needs, int as_probe,
                                 wisp_error *err)
{
    const wisp_task_v0 *t = task_table(task);
    const char *name = task->plugin->descriptor->name;
    if (as_probe && (needs & WISP_TASK_LEARNS)) {
        if (t->build && t->step && t->predict)
            return WISP_OK;
        return wisp_fail(err, WISP_E_PLUGIN,
                         "[[%s]] %s says that it learns: it needs build, step "
                         "and predict",
                         task->table_path, name);
    }
    if (t->evaluate)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CONFIG, "[[%s]] %s can only be used as a [[probe]]",
                     task->table_path, name);
}

/* The labels of [data] and [test], each where it is needed. */
static wisp_status check_labels(const wispi_experiment *x, const wispi_instance *task,
                                uint32_t needs, wisp_error *err)
{
    const char *path = task->table_path, *name = task->plugin->descriptor->name;
    if ((needs & WISP_TASK_NEEDS_LABELS) && classes_of(&x->data) == 0)
        return wisp_fail(
            err, WISP_E_CONFIG,
            "[[%s]] %s needs labels, but the data set of [data] has none (a flat folder?): "
            "remove it, or give data with classes, such as a folder with a sub-folder for each",
            path, name);
    if (!(needs & WISP_TASK_NEEDS_TEST))
        return WISP_OK;
    if (!x->test.plugin)
        return wisp_fail(err, WISP_E_CONFIG, "[[%s]] %s needs a table [test] with labelled images",
                         path, name);
    if (classes_of(&x->test) == 0)
        return wisp_fail(
            err, WISP_E_CONFIG,
            "[[%s]] %s needs labels, but the data set of [test] has none (a flat "
            "folder?): give data with classes, such as a folder with a sub-folder for each",
            path, name);
    return WISP_OK;
}

wisp_embed_request wispi_task_reads(const wispi_instance *task)
{
    const wisp_task_v0 *t = task_table(task);
    wisp_embed_request request;
    memset(&request, 0, sizeof request);
    request.struct_size = sizeof request;
    if (WISP_HAS(t, wisp_task_v0, reads) && t->reads)
        WISPI_VISIT(task->plugin, "reads", t->reads(task->self, &request));
    return request;
}

wisp_status wispi_embedding_check(const wispi_experiment *x, const wisp_backbone_info *backbone,
                                  const wisp_embed_request *r, wisp_error *err)
{
    const wisp_descriptor *method = x->method.plugin->descriptor;
    const wisp_method_v0 *vtable = method->vtable;
    if (r->source == WISP_EMBED_POOLED)
        return WISP_OK;
    if (r->source == WISP_EMBED_SCORES) {
        if (WISP_HAS(vtable, wisp_method_v0, predict) && vtable->predict)
            return WISP_OK;
        return wisp_fail(err, WISP_E_CONFIG, "method %s has no classifier to judge", method->name);
    }
    if (r->source != WISP_EMBED_CLASS_TOKENS)
        return wisp_fail(err, WISP_E_INVALID, "there are no embeddings of source %d", r->source);
    if (!(backbone->taps & WISP_TAP_CLASS_TOKENS))
        return wisp_fail(err, WISP_E_CONFIG,
                         "backbone %s has no class tokens: take the pooled embedding",
                         x->backbone.plugin->descriptor->name);
    if (r->n_blocks < 1 || r->n_blocks > backbone->n_blocks)
        return wisp_fail(err, WISP_E_CONFIG,
                         "class tokens of the last %d blocks are asked for, backbone %s has %d",
                         r->n_blocks, x->backbone.plugin->descriptor->name, backbone->n_blocks);
    return WISP_OK;
}

/* A probe that learns gets the pooled embedding. */
static wisp_status check_reads(const wispi_experiment *x, const wisp_backbone_info *backbone,
                               const wispi_instance *task, wisp_error *err)
{
    const wisp_embed_request request = wispi_task_reads(task);
    wisp_error cause = {0};
    const wisp_status status = wispi_embedding_check(x, backbone, &request, &cause);
    if (status == WISP_OK)
        return WISP_OK;
    return wisp_fail(err, status, "[[%s]] %s: %s", task->table_path, task->plugin->descriptor->name,
                     cause.message);
}

/* `*compares` becomes 1 when one data set's labels are judged by the other's: only then must their
 * classes be the same. */
static wisp_status check_one(const wispi_experiment *x, const wisp_backbone_info *backbone,
                             const wispi_instance *task, int as_probe, int *compares,
                             wisp_error *err)
{
    const uint32_t needs = wispi_task_needs(task, as_probe);
    WISP_TRY(check_entries(task, needs, as_probe, err));
    WISP_TRY(check_labels(x, task, needs, err));
    WISP_TRY(check_reads(x, backbone, task, err));
    if ((needs & BOTH) != BOTH)
        return WISP_OK;
    *compares = 1;
    if (classes_of(&x->data) != classes_of(&x->test))
        return wisp_fail(err, WISP_E_CONFIG,
                         "[data] and [test] have different numbers of classes: %d and %d",
                         classes_of(&x->data), classes_of(&x->test));
    return WISP_OK;
}

wisp_status wispi_tasks_check(const wispi_experiment *x, const wisp_backbone_info *backbone,
                              wisp_error *err)
{
    int compares = 0;
    for (int32_t i = 0; i < x->n_tasks; i++)
        WISP_TRY(check_one(x, backbone, &x->tasks[i], 0, &compares, err));
    for (int32_t i = 0; i < x->n_probes; i++)
        WISP_TRY(check_one(x, backbone, &x->probes[i], 1, &compares, err));
    if (compares)
        compare_class_names(x);
    return WISP_OK;
}

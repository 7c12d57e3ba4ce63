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
            "remove it, or give a folder with one sub-folder a class",
            path, name);
    if (!(needs & WISP_TASK_NEEDS_TEST))
        return WISP_OK;
    if (!x->test.plugin)
        return wisp_fail(err, WISP_E_CONFIG, "[[%s]] %s needs a table [test] with labelled images",
                         path, name);
    if (classes_of(&x->test) == 0)
        return wisp_fail(err, WISP_E_CONFIG,
                         "[[%s]] %s needs labels, but the data set of [test] has none (a flat "
                         "folder?): give a folder with one sub-folder a class",
                         path, name);
    return WISP_OK;
}

/* `*compares` becomes 1 when one data set's labels are judged by the other's: only then must their
 * classes be the same. */
static wisp_status check_one(const wispi_experiment *x, const wispi_instance *task, int as_probe,
                             int *compares, wisp_error *err)
{
    const uint32_t needs = wispi_task_needs(task, as_probe);
    WISP_TRY(check_entries(task, needs, as_probe, err));
    WISP_TRY(check_labels(x, task, needs, err));
    if ((needs & BOTH) != BOTH)
        return WISP_OK;
    *compares = 1;
    if (classes_of(&x->data) != classes_of(&x->test))
        return wisp_fail(err, WISP_E_CONFIG,
                         "[data] and [test] have different numbers of classes: %d and %d",
                         classes_of(&x->data), classes_of(&x->test));
    return WISP_OK;
}

wisp_status wispi_tasks_check(const wispi_experiment *x, wisp_error *err)
{
    int compares = 0;
    for (int32_t i = 0; i < x->n_tasks; i++)
        WISP_TRY(check_one(x, &x->tasks[i], 0, &compares, err));
    for (int32_t i = 0; i < x->n_probes; i++)
        WISP_TRY(check_one(x, &x->probes[i], 1, &compares, err));
    if (compares)
        compare_class_names(x);
    return WISP_OK;
}

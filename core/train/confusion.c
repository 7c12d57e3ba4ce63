#include "train/confusion.h"

#include <stdlib.h>

#include "base/memory.h"
#include "train/named_classes.h"

static int compare_pairs(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sorted, so that equal pairs stand together: no table of classes times classes is needed. */
static json_t *count_pairs(int64_t *pairs, int64_t count, int32_t n_classes)
{
    json_t *list = json_array();
    qsort(pairs, (size_t)count, sizeof *pairs, compare_pairs);
    for (int64_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && pairs[end] == pairs[i];)
            end++;
        json_array_append_new(list,
                              json_pack("[I, I, I]", (json_int_t)(pairs[i] / n_classes),
                                        (json_int_t)(pairs[i] % n_classes), (json_int_t)(end - i)));
    }
    return list;
}

wisp_status wispi_confusion_count(const char *task, const char *metric, const int32_t *labels,
                                  const int32_t *predicted, int64_t count, int32_t n_classes,
                                  json_t **out, wisp_error *err)
{
    int64_t *pairs = count > 0 ? wispi_alloc_array((size_t)count, sizeof *pairs) : NULL;
    if (count < 1 || !pairs)
        return wisp_fail(err, count < 1 ? WISP_E_INVALID : WISP_E_NOMEM,
                         "no room for the predictions of %lld images", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] < 0 || labels[i] >= n_classes || predicted[i] < 0 ||
            predicted[i] >= n_classes) {
            wispi_free(pairs);
            return wisp_fail(err, WISP_E_INVALID,
                             "image %lld of class %d was taken for class %d, but there are %d",
                             (long long)i, labels[i], predicted[i], n_classes);
        }
        pairs[i] = (int64_t)labels[i] * n_classes + predicted[i];
    }
    json_t *made = json_pack("{s:s, s:s, s:i, s:I, s:o}", "task", task, "metric", metric,
                             "n_classes", n_classes, "images", (json_int_t)count, "counts",
                             count_pairs(pairs, count, n_classes));
    wispi_free(pairs);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the predictions of %s", metric);
    *out = made;
    return WISP_OK;
}

static json_t *names_json(const wispi_instance *data)
{
    const wisp_dataset_v0 *set = wispi_dataset_of(data);
    return set ? wispi_class_names_json(set, data->self) : json_array();
}

wisp_status wispi_confusion_write(const wispi_run_folder *folder, const char *kind,
                                  const wisp_clock *clock, const wispi_instance *data,
                                  json_t *tasks, wisp_error *err)
{
    if (json_array_size(tasks) == 0)
        return WISP_OK;
    json_t *all =
        json_pack("{s:s, s:I, s:I, s:o, s:O}", "kind", kind, "epoch", (json_int_t)clock->epoch,
                  "step", (json_int_t)clock->step, "classes", names_json(data), "tasks", tasks);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    if (!text)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for " WISPI_CONFUSION_FILE);
    const wisp_status status = wispi_run_folder_write(folder, WISPI_CONFUSION_FILE, text, err);
    free(text);
    return status;
}

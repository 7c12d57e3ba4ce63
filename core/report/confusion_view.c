#include "report/confusion_view.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/confusion.h"

enum { MOST_BYTES = 1 << 28, MOST_CLASSES = 1 << 24 };

/* What the matrix is made of. */
typedef struct matrix {
    int64_t n_classes;
    int64_t *errors; /* of each class: taken for another, or another for it */
    int32_t *row_of; /* of each class; that of all others where it has none of its own */
    int64_t *cells;  /* (rows, rows) */
    int64_t rows;
} matrix;

static wisp_status corrupt(const char *folder, wisp_error *err)
{
    return wisp_fail(err, WISP_E_CORRUPT, "%.500s/" WISPI_CONFUSION_FILE " is damaged", folder);
}

static int entry_at(const json_t *counts, size_t i, int64_t n_classes, int64_t out[3])
{
    const json_t *entry = json_array_get(counts, i);
    for (size_t k = 0; k < 3; k++) {
        const json_t *number = json_array_get(entry, k);
        if (!json_is_integer(number))
            return 0;
        out[k] = json_integer_value(number);
    }
    return out[0] >= 0 && out[0] < n_classes && out[1] >= 0 && out[1] < n_classes && out[2] > 0 &&
           out[2] < INT32_MAX;
}

typedef struct ranked {
    int64_t errors;
    int32_t class;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->errors != y->errors ? (x->errors < y->errors ? 1 : -1) : x->class - y->class;
}

static int compare_classes(const void *a, const void *b)
{
    return ((const ranked *)a)->class - ((const ranked *)b)->class;
}

/* The most confused classes get rows of their own, in the order of the classes. */
static wisp_status give_rows(matrix *m, wisp_error *err)
{
    ranked *list = wispi_alloc_array((size_t)m->n_classes, sizeof *list);
    if (!list)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a confusion matrix");
    for (int64_t i = 0; i < m->n_classes; i++)
        list[i] = (ranked){m->errors[i], (int32_t)i};
    qsort(list, (size_t)m->n_classes, sizeof *list, compare_ranked);
    qsort(list, WISPI_MATRIX_OF_MANY, sizeof *list, compare_classes);
    for (int64_t i = 0; i < m->n_classes; i++)
        m->row_of[i] = WISPI_MATRIX_OF_MANY;
    for (int32_t i = 0; i < WISPI_MATRIX_OF_MANY; i++)
        m->row_of[list[i].class] = i;
    m->rows = WISPI_MATRIX_OF_MANY + 1;
    wispi_free(list);
    return WISP_OK;
}

static wisp_status choose_rows(matrix *m, wisp_error *err)
{
    if (m->n_classes > WISPI_MATRIX_CLASSES)
        return give_rows(m, err);
    for (int64_t i = 0; i < m->n_classes; i++)
        m->row_of[i] = (int32_t)i;
    m->rows = m->n_classes;
    return WISP_OK;
}

static wisp_status fill(matrix *m, const char *folder, const json_t *counts, wisp_error *err)
{
    int64_t entry[3];
    m->errors = wispi_alloc_array((size_t)m->n_classes, sizeof *m->errors);
    m->row_of = wispi_alloc_array((size_t)m->n_classes, sizeof *m->row_of);
    if (!m->errors || !m->row_of)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a confusion matrix");
    for (size_t i = 0; i < json_array_size(counts); i++) {
        if (!entry_at(counts, i, m->n_classes, entry))
            return corrupt(folder, err);
        if (entry[0] != entry[1]) {
            m->errors[entry[0]] += entry[2];
            m->errors[entry[1]] += entry[2];
        }
    }
    WISP_TRY(choose_rows(m, err));
    m->cells = wispi_alloc_array((size_t)(m->rows * m->rows), sizeof *m->cells);
    if (!m->cells)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a confusion matrix");
    for (size_t i = 0; i < json_array_size(counts); i++) {
        entry_at(counts, i, m->n_classes, entry);
        m->cells[m->row_of[entry[0]] * m->rows + m->row_of[entry[1]]] += entry[2];
    }
    return WISP_OK;
}

static json_t *name_of(const json_t *names, int64_t class)
{
    json_t *name = json_array_get(names, (size_t) class);
    return json_is_string(name) ? json_incref(name) : json_sprintf("%lld", (long long)class);
}

static json_t *names_json(const matrix *m, const json_t *names)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < m->n_classes; i++)
        if (m->rows == m->n_classes || m->row_of[i] < m->rows - 1)
            json_array_append_new(list, name_of(names, i));
    if (m->rows != m->n_classes)
        json_array_append_new(list,
                              json_sprintf("%lld others", (long long)(m->n_classes - m->rows + 1)));
    return list;
}

static json_t *cells_json(const matrix *m)
{
    json_t *rows = json_array();
    for (int64_t i = 0; i < m->rows; i++) {
        json_t *row = json_array();
        for (int64_t j = 0; j < m->rows; j++)
            json_array_append_new(row, json_integer(m->cells[i * m->rows + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static wisp_status make_view(const char *folder, const json_t *all, json_t **view, wisp_error *err)
{
    const json_t *task = json_array_get(json_object_get(all, "tasks"), 0);
    const json_t *counts = json_object_get(task, "counts");
    const char *name = json_string_value(json_object_get(task, "task"));
    const char *metric = json_string_value(json_object_get(task, "metric"));
    matrix m = {.n_classes = json_integer_value(json_object_get(task, "n_classes"))};
    if (!name || !metric || !json_is_array(counts) || m.n_classes < 1 || m.n_classes > MOST_CLASSES)
        return corrupt(folder, err);
    wisp_status status = fill(&m, folder, counts, err);
    json_t *made =
        status == WISP_OK
            ? json_pack("{s:s, s:s, s:O?, s:O?, s:I, s:o, s:o}", "task", name, "metric", metric,
                        "epoch", json_object_get(all, "epoch"), "images",
                        json_object_get(task, "images"), "of", (json_int_t)m.n_classes, "classes",
                        names_json(&m, json_object_get(all, "classes")), "counts", cells_json(&m))
            : NULL;
    wispi_free(m.errors);
    wispi_free(m.row_of);
    wispi_free(m.cells);
    WISP_TRY(status);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a confusion matrix");
    *view = made;
    return WISP_OK;
}

wisp_status wispi_confusion_view(const char *folder, json_t **view, wisp_error *err)
{
    char path[1200];
    uint8_t *data = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%.1100s/" WISPI_CONFUSION_FILE, folder);
    WISP_TRY(wispi_file_read(path, MOST_BYTES, &data, &n, err));
    json_t *all = json_loadb((const char *)data, n, 0, NULL);
    wispi_free(data);
    const wisp_status status =
        json_is_object(all) ? make_view(folder, all, view, err) : corrupt(folder, err);
    json_decref(all);
    return status;
}

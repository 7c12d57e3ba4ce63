/* gate_options.c - the table itself, its defaults, and where its fields lie in the config struct:
 * what the host is going to write must be inside and must not overlap (ABI-8). */
#include "loader/gate_options.h"

#include <stdlib.h>

#include "base/memory.h"
#include "config/options_fill.h"
#include "config/option_table.h"

enum { MOST_FIELDS = 4096 };

/* Bytes of the config struct that one option fills. */
typedef struct field {
    uint64_t first, end;
    const char *key;
} field;

typedef struct layout {
    field *fields;
    int32_t n;
} layout;

/* By type of the option. */
static const struct {
    uint64_t bytes, alignment;
} shapes[] = {
    [WISP_OPTION_BOOL] = {sizeof(int32_t), _Alignof(int32_t)},
    [WISP_OPTION_I64] = {sizeof(int64_t), _Alignof(int64_t)},
    [WISP_OPTION_F64] = {sizeof(double), _Alignof(double)},
    [WISP_OPTION_STRING] = {sizeof(char *), _Alignof(char *)},
    [WISP_OPTION_PATH] = {sizeof(char *), _Alignof(char *)},
    [WISP_OPTION_ENUM] = {sizeof(int32_t), _Alignof(int32_t)},
    [WISP_OPTION_I64_LIST] = {sizeof(wisp_list), _Alignof(wisp_list)},
    [WISP_OPTION_F64_LIST] = {sizeof(wisp_list), _Alignof(wisp_list)},
    [WISP_OPTION_STRING_LIST] = {sizeof(wisp_list), _Alignof(wisp_list)},
};

/* Leaves of the table; the table has been checked, so it nests only a few levels. */
static int collect(layout *out, wispi_option_table table, uint64_t base, uint64_t config_size)
{
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option option = wispi_option_at(table, i);
        if (option.offset > config_size || base + option.offset > config_size)
            return 0;
        if (option.type == WISP_OPTION_TABLE) {
            if (!collect(out, wispi_option_nested(table, &option), base + option.offset,
                         config_size))
                return 0;
            continue;
        }
        const uint64_t first = base + option.offset, end = first + shapes[option.type].bytes;
        if (out->n == MOST_FIELDS || end > config_size || first % shapes[option.type].alignment)
            return 0;
        out->fields[out->n++] = (field){first, end, option.key};
    }
    return 1;
}

static int by_place(const void *a, const void *b)
{
    const field *left = a, *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

static wisp_status check_places(const char *path, const wisp_descriptor *d, layout *found,
                                wisp_error *err)
{
    const wispi_option_table table = {d->options, d->n_options, d->option_size};
    if (!collect(found, table, 0, d->config_size))
        return wisp_fail(err, WISP_E_ABI,
                         "%s: %s: an option lies outside of its config struct of %llu bytes, or is "
                         "not aligned: take offsets with offsetof (ABI-8)",
                         path, d->name, (unsigned long long)d->config_size);
    qsort(found->fields, (size_t)found->n, sizeof *found->fields, by_place);
    for (int32_t i = 1; i < found->n; i++)
        if (found->fields[i].first < found->fields[i - 1].end)
            return wisp_fail(err, WISP_E_ABI,
                             "%s: %s: the options \"%s\" and \"%s\" overlap in its config struct: "
                             "take offsets with offsetof (ABI-8)",
                             path, d->name, found->fields[i - 1].key, found->fields[i].key);
    return WISP_OK;
}

wisp_status wispi_gate_options(const char *path, const wisp_descriptor *d, wisp_error *err)
{
    if (d->n_options == 0)
        return WISP_OK;
    if (!d->options || d->config_size == 0)
        return wisp_fail(err, WISP_E_ABI,
                         "%s: %s: it has options but no table of them, or config_size is 0 (ABI-8)",
                         path, d->name);
    wisp_error inner = {0};
    wisp_status status =
        wispi_options_check(d->name, d->options, d->n_options, d->option_size, &inner);
    if (status == WISP_E_NOMEM)
        return wisp_fail(err, status, "%s", inner.message);
    if (status != WISP_OK)
        return wisp_fail(err, WISP_E_ABI, "%s: %s (ABI-8)", path, inner.message);
    layout found = {wispi_alloc_array(MOST_FIELDS, sizeof(field)), 0};
    if (!found.fields)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory to judge its options", path);
    status = check_places(path, d, &found, err);
    wispi_free(found.fields);
    return status;
}

/* op_support.c - which ops a device has kernels for, asked with the cases of each op. */
#include "tensor/op_check.h"

#include <string.h>

#include "tensor/case_values.h"

static void add_implementation(wispi_op_support_row *row, const char *name)
{
    char *list = row->implementations;
    const size_t length = strlen(name);
    for (const char *at = list; *at;) {
        const size_t n = strcspn(at, ",");
        if (n == length && strncmp(at, name, n) == 0)
            return;
        at += at[n] == ',' ? n + 2 : n;
    }
    const size_t used = strlen(list);
    snprintf(list + used, sizeof row->implementations - used, "%s%s", used ? ", " : "", name);
}

static void add_refusal(wispi_op_support_row *row, const char *reason)
{
    if (!row->refusal[0])
        snprintf(row->refusal, sizeof row->refusal, "%s", reason);
}

static wisp_status ask(wispi_device *device, const wispi_op *op, const wispi_op_case *sample,
                       wispi_op_support_row *row, wisp_error *err)
{
    wispi_case_values values;
    wisp_error refusal = {0};
    const wisp_kernel *kernel = NULL;
    wispi_arena *arena = wispi_arena_create((size_t)1 << 16);
    if (!arena)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory", op->name);
    wisp_status status = wispi_case_begin(&values, op, sample, row->dtype, arena, &refusal);
    if (status == WISP_OK) {
        const wisp_kernel_request request = wispi_case_request(&values);
        status = wispi_device_kernel(device, op, &request, &kernel, &refusal);
    }
    wispi_arena_destroy(arena);
    row->n_cases++;
    if (status == WISP_E_NOMEM)
        return wisp_fail(err, status, "%s", refusal.message);
    if (status != WISP_OK) {
        add_refusal(row, refusal.message);
        return WISP_OK;
    }
    row->n_served++;
    add_implementation(row, kernel->implementation ? kernel->implementation : "?");
    return WISP_OK;
}

static wisp_status ask_op(wispi_device *device, const wispi_op *op, int32_t dtype,
                          const char *filter, wispi_op_support_row *row, wisp_error *err)
{
    memset(row, 0, sizeof *row);
    row->op = op->name;
    row->dtype = dtype;
    for (int32_t c = 0; c < op->n_cases; c++)
        if (wispi_case_runs_as(op, &op->cases[c], dtype) &&
            wispi_op_filter(filter, op->name, op->cases[c].name, wisp_dtype_name(dtype)))
            WISP_TRY(ask(device, op, &op->cases[c], row, err));
    return WISP_OK;
}

wisp_status wispi_op_support(wispi_device *device, const char *filter, wispi_op_support_sink sink,
                             void *user, wisp_error *err)
{
    static const int32_t dtypes[] = {WISP_F32, WISP_BF16};
    int n_rows = 0;
    for (const wispi_op_family *const *family = wispi_op_families; *family; family++)
        for (int32_t i = 0; i < (*family)->n_ops; i++)
            for (int32_t d = 0; d < 2; d++) {
                wispi_op_support_row row;
                WISP_TRY(ask_op(device, (*family)->ops[i], dtypes[d], filter, &row, err));
                if (row.n_cases == 0)
                    continue;
                sink(user, &row);
                n_rows++;
            }
    if (n_rows == 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "no op is called %s", filter ? filter : "");
    return WISP_OK;
}

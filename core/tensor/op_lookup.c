/* op_lookup.c - ops by name, shapes as text. */
#include "tensor/op.h"

#include <string.h>

const wispi_op *wispi_op_find(const char *name)
{
    for (const wispi_op_family *const *family = wispi_op_families; *family; family++)
        for (int32_t i = 0; i < (*family)->n_ops; i++)
            if (strcmp((*family)->ops[i]->name, name) == 0)
                return (*family)->ops[i];
    return NULL;
}

char *wispi_shape_text(const wisp_desc *desc, char *text, size_t bytes)
{
    size_t used = 0;
    int n = snprintf(text, bytes, "(");
    for (int32_t i = 0; n >= 0 && i <= desc->rank; i++) {
        used += (size_t)n;
        if (used >= bytes)
            break;
        if (i < desc->rank)
            n = snprintf(text + used, bytes - used, i ? ",%lld" : "%lld",
                         (long long)desc->shape[i]);
        else
            snprintf(text + used, bytes - used, ")");
    }
    return text;
}

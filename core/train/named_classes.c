#include "train/named_classes.h"

#include <stdio.h>

#include "train/json_text.h"

enum { MOST_NAMES = 30000 };

json_t *wispi_class_names_json(const wisp_dataset_v0 *set, const void *self)
{
    const int32_t n = set->n_classes(self);
    json_t *names = json_array();
    for (int32_t i = 0; i < n && i < MOST_NAMES; i++) {
        const char *name = set->class_name ? set->class_name(self, i) : NULL;
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        json_array_append_new(names, wispi_json_string(name ? name : number));
    }
    return names;
}

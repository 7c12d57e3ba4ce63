/* named_classes.h - what the classes of a data set are called, as JSON. */
#ifndef WISPI_TRAIN_NAMED_CLASSES_H
#define WISPI_TRAIN_NAMED_CLASSES_H

#include <jansson.h>

#include "wisp/dataset.h"

/* An array of texts; a class without a name is its number. At most 30,000: more names than a report
 * can show say nothing. */
json_t *wispi_class_names_json(const wisp_dataset_v0 *set, const void *self);

#endif

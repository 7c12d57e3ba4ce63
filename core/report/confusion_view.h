/* confusion_view.h - confusion.json of a run folder as a page shows it. */
#ifndef WISPI_REPORT_CONFUSION_VIEW_H
#define WISPI_REPORT_CONFUSION_VIEW_H

#include <jansson.h>

#include "wisp/status.h"

/* A matrix that is still read; of more classes the most confused ones are shown. */
enum { WISPI_MATRIX_CLASSES = 100, WISPI_MATRIX_OF_MANY = 40 };

/* {"task", "metric", "epoch", "images", "classes": [...], "counts": [[of a class ...] ...]} of the
 * first task. Of more than WISPI_MATRIX_CLASSES classes the WISPI_MATRIX_OF_MANY stay that have
 * most to do with mistakes, the last of "classes" stands for all others, and "of" says how many
 * there are. E_NOT_FOUND when the folder has no such file, E_CORRUPT for one that is not as a run
 * writes it. */
wisp_status wispi_confusion_view(const char *folder, json_t **view, wisp_error *err);

#endif

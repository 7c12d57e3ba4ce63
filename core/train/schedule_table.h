/* schedule_table.h - the [schedule.NAME] tables of an experiment. */
#ifndef WISPI_TRAIN_SCHEDULE_TABLE_H
#define WISPI_TRAIN_SCHEDULE_TABLE_H

#include "base/text.h"
#include "config/config.h"
#include "nn/model.h"

/* Lays every [schedule.NAME] over the schedule of that name; what a table does not give stays. */
wisp_status wispi_schedules_apply(const wispi_config *config, wispi_model *model, wisp_error *err);
/* Writes all schedules in full. */
void wispi_schedules_resolved(const wispi_model *model, wispi_text *out);

#endif

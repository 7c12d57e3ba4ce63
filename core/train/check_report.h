/* check_report.h - what `wisp check` tells of an experiment without training it. */
#ifndef WISPI_TRAIN_CHECK_REPORT_H
#define WISPI_TRAIN_CHECK_REPORT_H

#include "base/text.h"
#include "train/session.h"

/* Records the training step and the backbone by shapes only; appends text or JSON
 * (WISP_FORMAT_...). */
wisp_status wispi_check_report(wispi_session *session, int32_t format, wispi_text *out,
                               wisp_error *err);

#endif

/* validate_stand_in.h - the smallest method and backbone that there can be, to try another plugin
 * with. */
#ifndef WISPI_TRAIN_VALIDATE_STAND_IN_H
#define WISPI_TRAIN_VALIDATE_STAND_IN_H

#include "loader/registry.h"

/* The name of both. */
#define WISPI_STAND_IN "stand_in"

/* Lets them and the sealed device in, once for each registry. */
wisp_status wispi_stand_ins_add(wispi_registry *registry, wisp_error *err);

#endif

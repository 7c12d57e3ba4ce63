/* gradient_control.h - what a method may do to gradients after backward. */
#ifndef WISPI_NN_GRADIENT_CONTROL_H
#define WISPI_NN_GRADIENT_CONTROL_H

#include "nn/module.h"

/* The optimizer skips all parameters below m: no decay, no momentum. */
void wispi_drop_gradient(wisp_step *s, wisp_module *m);
/* Scales gradients below m by limit / (norm + 1e-6) where that is below 1; the norm is that of each
 * tensor, or of all below m together. */
void wispi_clip_gradient(wisp_step *s, wisp_module *m, double limit, int32_t per_tensor);
/* Rows of the weight of m to length 1, outside the tape. */
void wispi_normalize_rows(wisp_step *s, wisp_module *m, double eps);

#endif

/* state.h - named buffers inside a step: they change in place, outside the tape. */
#ifndef WISPI_NN_STATE_H
#define WISPI_NN_STATE_H

#include "nn/module.h"

wisp_tensor *wispi_state_value(wisp_step *s, const wisp_state *state);
void wispi_state_assign(wisp_step *s, wisp_state *state, wisp_tensor *x);
void wispi_state_lerp(wisp_step *s, wisp_state *state, wisp_tensor *x, wisp_tensor *momentum);
void wispi_state_push(wisp_step *s, wisp_state *ring, wisp_state *cursor, wisp_tensor *rows);

#endif

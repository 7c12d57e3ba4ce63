/* capture.h - a recorded step as one graph of the device.
 *
 * After a run call by call, in which every kernel has made what it makes only once, the calls of
 * the next run are captured, and from then on a run is one launch: neither the step function nor a
 * kernel is called. A graph holds addresses: when those of the step's memory or of a variable have
 * changed, it is dropped and made anew. Where the backend refuses, the log has one line and
 * programs of the device run call by call from then on. */
#ifndef WISPI_TENSOR_CAPTURE_H
#define WISPI_TENSOR_CAPTURE_H

#include "tensor/program.h"

/* Runs the program by a launch, or captures it and then launches it: 1, and `status` is that of the
 * run. 0: it is to be run call by call (and, the next time, perhaps captured). */
int wispi_capture_run(wispi_program *program, wispi_step_fn fn, void *user, wisp_status *status,
                      wisp_error *err);
void wispi_capture_drop(wispi_program *program);

#endif

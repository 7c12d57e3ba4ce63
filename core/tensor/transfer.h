/* transfer.h - values on their way between host and device while the device computes.
 *
 * What a step reads from the host (a batch, the schedules) is put or lent, and all of it goes to
 * the device together before the next program runs: beside the step before, into memory of its own,
 * from where the device copies it to its places when that step is done. On a device whose memory
 * the host sees, and on one that cannot do this, values are written at once. */
#ifndef WISPI_TENSOR_TRANSFER_H
#define WISPI_TENSOR_TRANSFER_H

#include "tensor/device.h"

/* 1: what is lent may be read after the call, and downloads are done only after a wait. */
int wispi_device_is_late(const wispi_device *device);

/* Host memory that the device reaches by itself; plain memory where it does not. */
wisp_status wispi_host_alloc(wispi_device *device, size_t bytes, void **memory, wisp_error *err);
void wispi_host_free(wispi_device *device, void *memory);

/* Counts a change of the variable. `values` may be reused at once. */
wisp_status wispi_variable_put(wispi_device *device, wispi_variable *variable, const void *values,
                               wisp_error *err);
/* The same, with `values` in memory of wispi_host_alloc, which stay as they are until
 * wispi_device_wait() for the ticket of the run that they are for. */
wisp_status wispi_variable_lend(wispi_device *device, wispi_variable *variable, const void *values,
                                wisp_error *err);
/* Sends what is waiting; every run of a program does it. */
wisp_status wispi_uploads_send(wispi_device *device, wisp_error *err);
/* Of what was sent last. */
uint64_t wispi_uploads_ticket(const wispi_device *device);

/* From device memory to device memory, in order. Only where wispi_device_is_late(). */
wisp_status wispi_device_copy(wispi_device *device, void *dst, const void *src, size_t bytes,
                              wisp_error *err);

/* Begins to copy device memory to memory of wispi_host_alloc. */
wisp_status wispi_device_download(wispi_device *device, void *dst, const void *src, size_t bytes,
                                  uint64_t *ticket, wisp_error *err);
/* Until the copies of this ticket are done; 0: none. */
wisp_status wispi_device_wait(wispi_device *device, uint64_t ticket, wisp_error *err);

#endif

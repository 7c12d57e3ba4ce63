/* validate_sealed_device.h - a backend whose memory nobody can touch but its own kernels.
 *
 * Its pages are closed except while a kernel or a copy runs, so a plugin that looks at a tensor's
 * values between two calls is stopped by the processor, as it would be wrong on a real device. The
 * kernels are the reference kernels: slow, and right. For `wisp validate`. */
#ifndef WISPI_TRAIN_VALIDATE_SEALED_DEVICE_H
#define WISPI_TRAIN_VALIDATE_SEALED_DEVICE_H

#include "wisp/backend.h"

#define WISPI_SEALED_DEVICE "sealed"

extern const wisp_descriptor wispi_sealed_backend;

#endif

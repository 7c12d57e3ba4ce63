/* events.h - TensorBoard's event files: length-delimited records of protocol buffers, each guarded
 * by masked CRC-32C (TensorFlow, core/lib/io/record_writer and core/util/event.proto). */
#ifndef WISPI_TRAIN_EVENTS_H
#define WISPI_TRAIN_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Both return 0 when the file took everything. */
int wispi_events_begin(FILE *file, double wall_time);
int wispi_events_scalar(FILE *file, double wall_time, int64_t step, const char *tag, float value);

uint32_t wispi_crc32c(const void *data, size_t bytes);

#endif

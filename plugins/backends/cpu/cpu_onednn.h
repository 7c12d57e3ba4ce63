/* cpu_onednn.h - the device's oneDNN engine and what it knows of the processor. */
#ifndef CPU_ONEDNN_H
#define CPU_ONEDNN_H

#include "cpu_device.h"

wisp_status cpu_onednn_open(cpu_device *device, wisp_error *err);
void cpu_onednn_close(cpu_device *device);
/* The instruction set that oneDNN will use, for people. */
const char *cpu_onednn_isa_name(void);
int32_t cpu_onednn_has_bf16(void);
int32_t cpu_onednn_has_amx(void);

#endif

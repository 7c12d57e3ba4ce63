/* gate_vtable.h - does a plugin's vtable hold what its kind must have? */
#ifndef WISPI_LOADER_GATE_VTABLE_H
#define WISPI_LOADER_GATE_VTABLE_H

#include "wisp/abi.h"

/* The kind must be one that the host knows. `path` names the file in messages. */
wisp_status wispi_gate_vtable(const char *path, const wisp_descriptor *descriptor, wisp_error *err);

#endif

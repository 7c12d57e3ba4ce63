/* gate_options.h - may the host fill a plugin's config struct by its table of options? */
#ifndef WISPI_LOADER_GATE_OPTIONS_H
#define WISPI_LOADER_GATE_OPTIONS_H

#include "wisp/abi.h"

/* `path` names the file in messages. */
wisp_status wispi_gate_options(const char *path, const wisp_descriptor *descriptor,
                               wisp_error *err);

#endif

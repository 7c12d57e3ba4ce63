/* onednn_shim.h - the only file pair that knows which oneDNN it is compiled against.
 *
 * oneDNN 2.x makes a primitive from an operation descriptor, 3.x straight from its arguments, and
 * memory descriptors became opaque between them. Here both look the same. */
#ifndef CPU_ONEDNN_SHIM_H
#define CPU_ONEDNN_SHIM_H

#include <dnnl.h>

#endif

/* layout_walk.h - reads the layout of an HDF5 file by libhdf5. */
#ifndef LAYOUT_WALK_H
#define LAYOUT_WALK_H

#include <hdf5.h>

/* Where records go; nonzero when they cannot be taken. */
typedef struct layout_sink {
    int (*put)(struct layout_sink *sink, const void *data, size_t bytes);
} layout_sink;

/* Puts what an open file holds, up to LAYOUT_END or LAYOUT_REFUSED. Nonzero when the sink refused.
 */
int layout_walk(hid_t file, layout_sink *sink);
/* The same for a file on disk. It is left open: after damage, closing may be what crashes. */
int layout_walk_path(const char *path, layout_sink *sink);

#endif

/* resize.h - arguments of the kernels of resize_bicubic. */
#ifndef CUDA_KERNELS_RESIZE_H
#define CUDA_KERNELS_RESIZE_H

#include "division.h"

enum { RESIZE_TAPS = 4 };

/* One axis. For an output pixel four taps: input pixels, clamped to the border, and weights. For an
 * input pixel the output pixels [begin, end) that may have it among their taps. */
typedef struct resize_axis {
    int32_t in, out;
    double step;          /* input pixels from one output pixel to the next */
    int32_t *at;          /* scratch (out, 4) */
    float *weight;        /* scratch (out, 4) */
    int32_t *begin, *end; /* scratch (in) each */
} resize_axis;

typedef struct resize_args {
    const void *from;                 /* x; gradient: dy */
    void *to;                         /* y; gradient: dx */
    int64_t n;                        /* elements of what is written */
    division channels, width, height; /* of what is written */
    resize_axis rows, columns;
} resize_args;

#endif

/* cpu_conv_tiles_panel.h - f32 weights of a convolution as panels for matrix tiles.
 *
 * A panel holds the weights of 32 outputs n, [bar][block of 32 channels k][tap][part][half][pairs
 * of k][16 n][2]: what cpu_conv_tiles.c reads one after the other. */
#ifndef CPU_CONV_TILES_PANEL_H
#define CPU_CONV_TILES_PANEL_H

#include "cpu_conv_tiles.h"

/* Values of a panel for a tap and 32 channels. */
enum { CPU_TILES_STEP = 3 * 2 * CPU_TILES_VALUES };

typedef struct cpu_tiles_weights {
    int64_t k_stride, n_stride; /* from channel to channel */
    int32_t window;             /* taps, which lie side by side */
} cpu_tiles_weights;

/* `shape` is (O,C,kh,kw); of a gradient of the input, n are the C and k the O. */
void cpu_tiles_weights_plan(const int64_t *shape, int is_gradient, cpu_tiles_weights *w);
void cpu_tiles_lay_panel(const cpu_tiles *t, const cpu_tiles_weights *w, const float *data,
                         int64_t panel, uint16_t *to);

static inline int64_t cpu_tiles_panel_values(const cpu_tiles *t)
{
    return t->n_taps * t->k_blocks * CPU_TILES_STEP;
}

#endif

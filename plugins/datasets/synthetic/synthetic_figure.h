/* synthetic_figure.h - the outlines and the fills that make up the classes. */
#ifndef SYNTHETIC_FIGURE_H
#define SYNTHETIC_FIGURE_H

enum {
    SYNTHETIC_OUTLINES = 10,
    SYNTHETIC_FILLS = 10,
    SYNTHETIC_CLASSES = SYNTHETIC_OUTLINES * SYNTHETIC_FILLS
};

/* Signed distance to outline `outline` at (x, y), negative inside. The figure lies within the unit
 * circle; all outlines cover about the same area. */
float synthetic_outline(int outline, float x, float y);

/* Fill `fill` at (x, y), in radians of its period: above 0 is the second colour. Slopes are about 1
 * where the sign changes, so that edges can be smoothed. */
float synthetic_fill(int fill, float x, float y);

/* "striped square"; the class goes from 0 to SYNTHETIC_OUTLINES * SYNTHETIC_FILLS - 1. */
const char *synthetic_class_name(int label);

/* Neighbouring classes differ in both, and no pair comes up twice. */
int synthetic_class_outline(int label);
int synthetic_class_fill(int label);

#endif

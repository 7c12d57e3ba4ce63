/* canvas.h - a white page for lines, rectangles, text and pictures, written as a PNG file.
 *
 * Coordinates are pixels from the top left corner. Failures while drawing are kept and told when
 * the file is made. */
#ifndef WISPI_REPORT_CANVAS_H
#define WISPI_REPORT_CANVAS_H

#include "image/pixels.h"
#include "wisp/status.h"

typedef struct wispi_canvas wispi_canvas;

enum { WISPI_CANVAS_MAX_SIDE = 32000 };

/* 0xRRGGBB and how much it covers. */
typedef struct wispi_ink {
    uint32_t rgb;
    double cover;
} wispi_ink;

typedef struct wispi_area {
    double x, y, w, h;
} wispi_area;

enum { WISPI_ALIGN_LEFT = 0, WISPI_ALIGN_CENTRE = 1, WISPI_ALIGN_RIGHT = 2 };

typedef struct wispi_font {
    double size; /* px */
    int32_t bold;
    wispi_ink ink;
} wispi_font;

wisp_status wispi_canvas_create(int32_t width, int32_t height, wispi_canvas **canvas,
                                wisp_error *err);
void wispi_canvas_destroy(wispi_canvas *canvas); /* accepts NULL */

void wispi_canvas_fill(wispi_canvas *canvas, wispi_area area, wispi_ink ink);
/* The line lies half inside and half outside of the area's edges. */
void wispi_canvas_frame(wispi_canvas *canvas, wispi_area area, double width, wispi_ink ink);
/* `dash` 0: drawn through. */
void wispi_canvas_line(wispi_canvas *canvas, double x0, double y0, double x1, double y1,
                       double width, double dash, wispi_ink ink);
/* Fills, and outlines the upper side of, columns of equal width that stand on the area's lower
 * edge; a height of 1 fills the area. */
void wispi_canvas_columns(wispi_canvas *canvas, wispi_area area, const double *heights, int32_t n,
                          wispi_ink ink);

/* `y` is the baseline. The letter behind a '_' is set as an index. Returns the width. */
double wispi_canvas_text(wispi_canvas *canvas, double x, double y, int32_t align,
                         const wispi_font *font, const char *text);
double wispi_canvas_text_width(wispi_canvas *canvas, const wispi_font *font, const char *text);
/* Cut with an ellipsis where it is wider than `width`. */
void wispi_canvas_text_within(wispi_canvas *canvas, double x, double y, double width,
                              const wispi_font *font, const char *text);
/* Broken between words into lines no wider than `width`, `leading` px apart; a newline breaks too.
 * Returns the number of lines. With `draw` 0 they are counted alone. */
int32_t wispi_canvas_paragraph(wispi_canvas *canvas, double x, double y, double width,
                               double leading, const wispi_font *font, const char *text,
                               int32_t draw);

/* Pixel for pixel. */
void wispi_canvas_picture(wispi_canvas *canvas, int32_t x, int32_t y, const wispi_image *image);

/* `*png` is freed with wispi_free. */
wisp_status wispi_canvas_png(wispi_canvas *canvas, uint8_t **png, size_t *bytes, wisp_error *err);

#endif

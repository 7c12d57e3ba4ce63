/* sheet_parts.h - what the files that draw a contact sheet share; for view_sheet.c. */
#ifndef WISPI_REPORT_SHEET_PARTS_H
#define WISPI_REPORT_SHEET_PARTS_H

#include "report/canvas.h"
#include "report/view_sheet.h"

/* Views of one group as a grid; px within the panel. */
typedef struct wispi_tiles {
    int32_t x, columns, rows;
    int32_t w, h; /* of a view as it is shown */
} wispi_tiles;

typedef struct wispi_sheet {
    const wispi_views *views;
    wispi_canvas *canvas;
    wispi_view_picture shown[WISPI_MOST_SHOWN];
    int32_t n_shown;
    int32_t width, height;
    int32_t panel_w;            /* of one arm; panels stand side by side */
    int32_t source_w, source_h; /* room for the source image */
    int32_t row_h;              /* of an image with its views, captions included */
    int32_t enlarged;           /* views are shown so many times larger; 1: maybe smaller, by */
    double shrunk;              /* this factor */
    wispi_tiles tiles[WISPI_MOST_ARMS][WISP_MAX_VIEW_GROUPS];
} wispi_sheet;

enum {
    WISPI_SHEET_MARGIN = 44,
    WISPI_SHEET_GUTTER = 48, /* between panels */
    WISPI_SHEET_GAP = 8,     /* between views */
    WISPI_SHEET_CAPTION = 17 /* below a view */
};

#define WISPI_INK ((wispi_ink){0x1b1f24, 1})
#define WISPI_INK_MUTED ((wispi_ink){0x59636e, 1})
#define WISPI_INK_RULE ((wispi_ink){0xd1d9e0, 1})
#define WISPI_INK_SHADE ((wispi_ink){0xf3f5f7, 1})

static inline wispi_font wispi_sheet_font(double size, int32_t bold, wispi_ink ink)
{
    return (wispi_font){size, bold, ink};
}

/* Left edge of an arm's panel. */
static inline int32_t wispi_sheet_panel_x(int32_t arm, int32_t panel_w)
{
    return WISPI_SHEET_MARGIN + arm * (panel_w + WISPI_SHEET_GUTTER);
}

/* The colour of a group: the first two are told apart by everybody, and in gray. */
wispi_ink wispi_sheet_group_ink(int32_t group);

/* Sizes of images and views and where they stand. */
void wispi_sheet_place(wispi_sheet *sheet);
/* One arm's panel of image `row`, its upper edge at y. */
struct wispi_view_pixels;
wisp_status wispi_sheet_draw_row(const wispi_sheet *sheet, struct wispi_view_pixels *pixels,
                                 int32_t arm, const wispi_view_picture *picture, int32_t y,
                                 wisp_error *err);

/* Histograms and bars of one arm. */
int32_t wispi_sheet_charts_height(const wispi_sheet *sheet);
void wispi_sheet_draw_charts(const wispi_sheet *sheet, int32_t arm, int32_t y);

/* The means beside the published recipes', and what the words mean. */
int32_t wispi_sheet_table_width(const wispi_sheet *sheet);
int32_t wispi_sheet_table_height(const wispi_sheet *sheet);
void wispi_sheet_draw_table(const wispi_sheet *sheet, int32_t y);

#endif

/* view_sheet.h - a contact sheet of views as a PNG file: source images with the boxes of what was
 * drawn, the views themselves as training gets them (but for normalisation), histograms and the
 * table of means. */
#ifndef WISPI_REPORT_VIEW_SHEET_H
#define WISPI_REPORT_VIEW_SHEET_H

#include "report/drawn_views.h"

typedef struct wispi_sheet_request {
    const wispi_views *views;
    int32_t images; /* shown, at most WISPI_MOST_SHOWN; fewer when there are fewer */
    int32_t small;  /* 1: images and views alone, for a page that tells the numbers itself */
    const volatile int *stop;
} wispi_sheet_request;

/* `*png` is freed with wispi_free. */
wisp_status wispi_view_sheet_png(const wispi_sheet_request *request, uint8_t **png, size_t *bytes,
                                 wisp_error *err);

#endif

/* view_pixels.h - a picture of a data set and the views that training gets of it, as bytes. */
#ifndef WISPI_REPORT_VIEW_PIXELS_H
#define WISPI_REPORT_VIEW_PIXELS_H

#include "image/pixels.h"
#include "report/drawn_views.h"

typedef struct wispi_view_pixels wispi_view_pixels;

/* One view of the picture that was made last. */
typedef struct wispi_pixel_view {
    wispi_image image; /* before normalisation; until the next picture is made */
    wisp_box box;      /* source px */
    int32_t flip;
} wispi_pixel_view;

/* The arm outlives it. */
wisp_status wispi_view_pixels_create(const wispi_view_arm *arm, wispi_view_pixels **pixels,
                                     wisp_error *err);
void wispi_view_pixels_destroy(wispi_view_pixels *pixels); /* accepts NULL */

/* Makes all views of a picture, as of the first epoch. */
wisp_status wispi_view_pixels_make(wispi_view_pixels *pixels, const wispi_view_picture *picture,
                                   wisp_error *err);
/* View k of group g; each call overwrites the image of the one before. */
void wispi_view_pixels_get(wispi_view_pixels *pixels, int32_t g, int32_t k, wispi_pixel_view *view);

/* The picture itself, resized to width x height, until the next call. */
wisp_status wispi_view_pixels_source(wispi_view_pixels *pixels, const wispi_view_picture *picture,
                                     int32_t width, int32_t height, wispi_image *image,
                                     wisp_error *err);
/* Another image resized, until the next call: made smaller with antialiasing, or whole times larger
 * with its pixels as they are. */
wisp_status wispi_view_pixels_resize(wispi_view_pixels *pixels, const wispi_image *from,
                                     int32_t width, int32_t height, wispi_image *image,
                                     wisp_error *err);

#endif

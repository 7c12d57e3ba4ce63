/* drawn_views.h - the views of one sampler or of several, on the same images and with the same
 * keys: drawn, counted, and told as text or JSON. view_sheet.h shows them.
 *
 * Images, seed and orientation are those of the first experiment, whatever the others say. The
 * images are the first ones of a run's first epoch, in its order; plans are drawn for them, epoch
 * after epoch, just as a run would. */
#ifndef WISPI_REPORT_DRAWN_VIEWS_H
#define WISPI_REPORT_DRAWN_VIEWS_H

#include "data/feed_check.h"
#include "report/view_numbers.h"
#include "train/experiment.h"

enum { WISPI_MOST_ARMS = 8, WISPI_MOST_SHOWN = 64, WISPI_SAID_OF_SAMPLER = 256 };

typedef struct wispi_views_request {
    const wispi_experiment *const *experiments; /* outlive what is made of them */
    const char *const *names;                   /* of files, say; outlive it too */
    int32_t n;                                  /* 1 to WISPI_MOST_ARMS */
    int32_t reserved;
    int64_t plans;            /* counted for each; 0: 10,000 */
    const volatile int *stop; /* NULL, or not 0: end with WISP_E_STOPPED */
} wispi_views_request;

typedef struct wispi_view_arm {
    const char *name, *sampler;
    char says[WISPI_SAID_OF_SAMPLER]; /* what the sampler says of itself, or "" */
    wispi_feed_options options;
    wispi_feed_shape shape;
    wispi_view_numbers numbers;
} wispi_view_arm;

typedef struct wispi_view_picture {
    int64_t index;
    int32_t width, height; /* px, the right way up if that is asked for */
} wispi_view_picture;

typedef struct wispi_views {
    wispi_view_arm *arms;
    int32_t n_arms;
    wispi_view_picture *pictures; /* that can be read */
    int64_t n_pictures, n_unreadable;
} wispi_views;

/* Samples that cannot be read are named in the log and passed over; WISP_E_DATA when none is left.
 */
wisp_status wispi_views_make(const wispi_views_request *request, wispi_views *views,
                             wisp_error *err);
void wispi_views_free(wispi_views *views); /* accepts a zeroed one */

/* {"samplers": [{"name", "sampler", "says", "seed", "images", "unreadable", and what
 * wispi_view_numbers_json has}], "published": [{"name", "means"}], "published_note",
 * "definitions"}; NULL for lack of memory. */
json_t *wispi_views_json(const wispi_views *views);
/* The table of means beside those of the published recipes. */
void wispi_views_text(const wispi_views *views, wispi_text *out);

#endif

/* normalise.h - bytes to the numbers of a finished view. */
#ifndef WISPI_IMAGE_NORMALISE_H
#define WISPI_IMAGE_NORMALISE_H

#include "image/number_tables.h"
#include "image/view_engine.h"

typedef struct wispi_normaliser {
    wispi_view_form form; /* what the tables were made for */
    int32_t ready;
    wispi_number_tables tables;
} wispi_normaliser;

/* Makes the tables unless they are those of `form` already. */
wisp_status wispi_normaliser_set(wispi_normaliser *normaliser, const wispi_view_form *form,
                                 wisp_error *err);

/* Writes `n` pixels in the form that was set. */
void wispi_normalise(const wispi_normaliser *normaliser, const uint8_t *rgb, size_t n, void *out);

#endif

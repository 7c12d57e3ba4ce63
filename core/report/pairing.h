/* pairing.h - which numbers of the arms' runs are held against each other, seed by seed. */
#ifndef WISPI_REPORT_PAIRING_H
#define WISPI_REPORT_PAIRING_H

#include "base/arena.h"
#include "report/comparison.h"

/* One metric of one arm against the first arm, read off at the same point of training. */
typedef struct wispi_question {
    const char *metric, *source; /* "task" or "probe" */
    const char *basis;           /* as in the JSON */
    double at;                   /* epochs or pixels; NaN */
    int32_t arm;
    double *a, *b;     /* one a seed: of the first arm and of this one; NaN: none */
    int32_t n_missing; /* pairs that lack a finished run */
    int32_t n_broken;  /* of the others, those that lack a finite value */
    const char *apart; /* what of the protocols differs between the arms; NULL: nothing */
} wispi_question;

typedef struct wispi_pairing {
    wispi_question *list;
    int32_t n, capacity;
    json_t *notes; /* an array, made by the caller; what cannot be asked and why */
} wispi_pairing;

/* Everything that can be asked. What it fills lies in the arena. */
wisp_status wispi_pairing_make(const wispi_comparison_request *request, wispi_arena *arena,
                               wispi_pairing *pairing, wisp_error *err);

/* NULL when it is missing or not done. */
const wispi_run_data *wispi_pairing_run(const wispi_comparison_request *request, int32_t arm,
                                        int32_t seed);
/* Was this metric asked for? */
int wispi_pairing_wants(const wispi_comparison_request *request, const char *metric);
/* Accuracies are judged. What is called a loss or an error is shown alone: the losses of two
 * methods are not the same quantity. */
int wispi_pairing_judges(const char *metric);

/* Pixels through the trained network for each image, over the whole training; NaN: not known. */
double wispi_pairing_pixels_per_image(const wispi_comparison_request *request, int32_t arm);

/* Appends to an array of notes. */
wisp_status wispi_pairing_note(json_t *notes, wisp_error *err, const char *format, ...)
    WISP_PRINTF(3, 4);

#endif

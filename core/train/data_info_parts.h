/* data_info_parts.h - what data_info.c finds out, for the two files that write it down. */
#ifndef WISPI_TRAIN_DATA_INFO_PARTS_H
#define WISPI_TRAIN_DATA_INFO_PARTS_H

#include "data/survey.h"
#include "train/data_info.h"

enum { WISPI_INFO_NAME = 256, WISPI_INFO_LISTED = 1000 };

/* One number of all samples that can be used. */
typedef struct wispi_spread {
    double mean, least, p5, median, p95, most;
} wispi_spread;

typedef struct wispi_broken_sample {
    int64_t index;
    char name[WISPI_INFO_NAME];
    char reason[WISPI_INFO_NAME];
} wispi_broken_sample;

struct wispi_data_info {
    wispi_data_info_request request;
    const wispi_instance *set;
    int64_t count;
    uint64_t fingerprint;

    int32_t n_classes, n_empty;
    int32_t fewest, most;  /* classes with the fewest and the most samples, the first of each */
    int64_t *class_counts; /* (n_classes) */
    int64_t n_unlabelled;  /* whose label is no class */

    wispi_survey survey;
    int64_t n_usable;     /* of those looked at */
    int64_t n_flagged[8]; /* with each flag of survey.h */
    wispi_spread bytes, width, height, megapixels;

    wispi_broken_sample *broken; /* the first ones */
    int32_t n_listed;
};

/* Name of a class, or its number written to `number`. */
const char *wispi_data_info_class(const wispi_data_info *info, int32_t label, char number[16]);

#endif

/* good_options.h - the config struct of the good_options plugin, for the test that reads it. */
#ifndef WISP_TESTS_GOOD_OPTIONS_H
#define WISP_TESTS_GOOD_OPTIONS_H

#include "wisp/options.h"

enum { COLOUR_RED = 3, COLOUR_BLUE = 7 };

typedef struct good_inner {
    double low, high;
} good_inner;

typedef struct good_options {
    int32_t on, colour;
    int64_t count;
    double rate;
    const char *word, *place;
    good_inner inner;
    wisp_list sizes, weights, words;
} good_options;

#endif

/* survey.h - looks at the samples of a data set, all or a share of them, before anybody trains on
 * them: what kind they are, how large, and which cannot be used. */
#ifndef WISPI_DATA_SURVEY_H
#define WISPI_DATA_SURVEY_H

#include "base/pool.h"
#include "wisp/dataset.h"

enum {
    WISPI_LOOK_JPEG = 1 << 0,
    WISPI_LOOK_PNG = 1 << 1,
    WISPI_LOOK_RAW = 1 << 2, /* pixels, not encoded */
    WISPI_LOOK_GRAY = 1 << 3,
    WISPI_LOOK_CMYK = 1 << 4,
    WISPI_LOOK_PROGRESSIVE = 1 << 5, /* or interlaced */
    WISPI_LOOK_DEEP = 1 << 6,        /* more than eight bits a channel */
    WISPI_LOOK_TURNED = 1 << 7,      /* an EXIF orientation other than upright */
    WISPI_LOOK_BROKEN = 1 << 8       /* sizes are 0 then */
};

/* One sample. */
typedef struct wispi_look {
    int64_t index, bytes;
    int32_t width, height; /* px, as stored */
    uint32_t flags;        /* WISPI_LOOK_...; 0: not looked at, the survey was stopped */
    uint32_t reserved;
} wispi_look;

typedef struct wispi_survey_options {
    const wisp_dataset_v0 *set;
    const void *self;
    wispi_pool *pool; /* or NULL */
    int64_t most;     /* samples; of a larger set, so many are drawn, always the same */
    int32_t decode;   /* all pixels, not headers alone */
    int32_t reserved;
    const volatile int *stop; /* not 0: end early */
} wispi_survey_options;

typedef struct wispi_survey {
    wispi_look *looks; /* by rising index */
    int64_t n, n_seen, n_broken;
} wispi_survey;

/* A sample that is broken is no failure; lack of memory is. Logs how far it is from time to time.
 */
wisp_status wispi_survey_run(const wispi_survey_options *options, wispi_survey *survey,
                             wisp_error *err);
void wispi_survey_free(wispi_survey *survey); /* accepts a zeroed one */

/* Looks at one sample again, for what is wrong with it: OK when nothing is. */
wisp_status wispi_survey_explain(const wispi_survey_options *options, int64_t index,
                                 wisp_error *err);

#endif

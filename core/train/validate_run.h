/* validate_run.h - runs tests of a plugin file, each in a child process with a time limit. */
#ifndef WISPI_TRAIN_VALIDATE_RUN_H
#define WISPI_TRAIN_VALIDATE_RUN_H

#include "train/validate_list.h"

typedef struct wispi_validate_request {
    const char *path;
    const char *const *overrides;
    int32_t n_overrides;
    const char *only; /* one id; NULL: all */
    int32_t in_process;
    double time_limit; /* seconds for one test */
    wispi_registry *registry;
    const volatile int *stop; /* 1: end with WISP_E_STOPPED; NULL: never */
} wispi_validate_request;

typedef struct wispi_validate_result {
    const wispi_validation *test;
    char plugin[64]; /* "method/dino"; empty: the file */
    wispi_verdict verdict;
    double seconds;
    const char
        *blocked_by; /* id of the test that it rests on and that did not pass; NULL: it was run */
} wispi_validate_result;

typedef struct wispi_validate_results {
    wispi_validate_result *list;
    int32_t n, capacity;
    int32_t n_passed, n_failed, n_skipped;
} wispi_validate_results;

/* A failure only when the tests themselves could not be run. */
wisp_status wispi_validate_file(const wispi_validate_request *request,
                                wispi_validate_results *results, wisp_error *err);
void wispi_validate_results_free(wispi_validate_results *results);

#endif

/* verdict.h - what a comparison says in words. */
#ifndef WISPI_REPORT_VERDICT_H
#define WISPI_REPORT_VERDICT_H

#include "base/text.h"
#include "report/pairing.h"
#include "report/statistics.h"

#define WISPI_VERDICT_NONE "no difference shown"

/* A question with its numbers. */
typedef struct wispi_answer {
    const wispi_question *question;
    const char *arm, *against; /* names */
    int32_t n_seeds;
    wispi_paired test; /* n 0: there is no whole pair */
    int32_t is_judged; /* there is a verdict, and p_adjusted with it */
    int32_t n_tests;   /* that are judged together */
    double level;      /* of all of them together */
    double p_adjusted;
    double detectable; /* at level / n_tests; NaN: not known */
} wispi_answer;

/* Why there is no verdict; 0: there is one. */
int wispi_verdict_withheld(const wispi_answer *answer, wispi_text *why);
/* The t test decides, but where the differences have no spread, which it cannot do without. */
int wispi_verdict_by_flips(const wispi_answer *answer);
/* 1: `arm` is better; -1: `against` is; 0: no difference is shown. */
int wispi_verdict_sign(const wispi_answer *answer);
/* The verdict with its numbers as one sentence. */
void wispi_verdict_words(const wispi_answer *answer, wispi_text *words);

#endif

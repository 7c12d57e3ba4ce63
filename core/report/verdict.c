#include "report/verdict.h"

#include <math.h>

int wispi_verdict_withheld(const wispi_answer *answer, wispi_text *why)
{
    const wispi_question *q = answer->question;
    const int whole = answer->n_seeds - q->n_missing;
    if (!wispi_pairing_judges(q->metric))
        wispi_text_append(why, "shown, not judged: losses of different arms are not comparable");
    else if (q->apart)
        wispi_text_printf(why, "no verdict: the arms were measured differently (%s)", q->apart);
    else if (q->n_missing)
        wispi_text_printf(why,
                          "no verdict yet: %d of %d pairs are done. A run that failed is not left "
                          "out, for that would favour its arm",
                          whole, answer->n_seeds);
    else if (q->n_broken)
        wispi_text_printf(why,
                          "no verdict: %d of %d pairs have no finite value here, and to leave them "
                          "out would favour the arm that failed",
                          q->n_broken, answer->n_seeds);
    else if (answer->n_seeds < 2)
        wispi_text_append(why, "no verdict: one seed says nothing of what another would give. Run "
                               "more, five or so");
    else
        return 0;
    return 1;
}

int wispi_verdict_by_flips(const wispi_answer *answer)
{
    return !answer->test.has_spread;
}

int wispi_verdict_sign(const wispi_answer *answer)
{
    if (!answer->is_judged || !(answer->p_adjusted <= answer->level))
        return 0;
    return (answer->test.mean > 0) - (answer->test.mean < 0);
}

static void say_interval(const wispi_answer *x, wispi_text *words)
{
    if (x->test.has_spread)
        wispi_text_printf(words, " (95 %% interval %+.2f to %+.2f)", x->test.low, x->test.high);
}

/* Two digits that count: 0.0034, 0.27. */
static void say_p(const char *before, double p, wispi_text *words)
{
    if (p < 1e-4)
        wispi_text_printf(words, "%sp < 0.0001", before);
    else
        wispi_text_printf(words, "%sp = %.2g", before, p);
}

/* --- each kind of outcome --- */

static void say_better(const wispi_answer *x, int sign, wispi_text *words)
{
    const wispi_paired *t = &x->test;
    wispi_text_printf(words, "%s better by %.2f points", sign > 0 ? x->arm : x->against,
                      fabs(t->mean));
    say_interval(x, words);
    if (wispi_verdict_by_flips(x))
        wispi_text_printf(words, ": the same difference in all %d seeds", t->n);
    say_p("; ", x->p_adjusted, words);
    if (x->n_tests > 1)
        wispi_text_printf(words, ", corrected for %d tests", x->n_tests);
    if (t->p_flip > x->level && t->p_flip_least <= x->level)
        say_p("; but the sign-flip test does not agree, look at the pairs: ", t->p_flip, words);
}

static void say_no_spread(const wispi_answer *x, wispi_text *words)
{
    const wispi_paired *t = &x->test;
    if (t->mean == 0) {
        wispi_text_printf(words, WISPI_VERDICT_NONE ": %s and %s have the same value in every seed",
                          x->against, x->arm);
        return;
    }
    wispi_text_printf(words,
                      WISPI_VERDICT_NONE ": all %d differences are %+.2f points, so there is no "
                                         "spread to reckon with, and %d sign flips alone give",
                      t->n, t->mean, t->n);
    say_p(" ", x->p_adjusted, words);
}

static void say_not_shown(const wispi_answer *x, wispi_text *words)
{
    wispi_text_printf(words, WISPI_VERDICT_NONE ": %+.2f points", x->test.mean);
    say_interval(x, words);
    if (x->test.p_t <= x->level)
        wispi_text_printf(words, ", as one of %d tests", x->n_tests);
    if (x->detectable > 100) /* percent */
        wispi_text_append(words, "; so few seeds could have seen no difference at all");
    else if (isfinite(x->detectable))
        wispi_text_printf(words, "; the run could have seen %.*f points",
                          x->detectable < 0.095 ? 2 : 1, x->detectable);
}

void wispi_verdict_words(const wispi_answer *answer, wispi_text *words)
{
    const int sign = wispi_verdict_sign(answer);
    if (answer->test.n > 0 && !answer->is_judged)
        wispi_text_printf(words, "%+.2f points; ", answer->test.mean);
    if (wispi_verdict_withheld(answer, words))
        return;
    if (sign)
        say_better(answer, sign, words);
    else if (wispi_verdict_by_flips(answer))
        say_no_spread(answer, words);
    else
        say_not_shown(answer, words);
}

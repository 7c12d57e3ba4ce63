#include "train/sentinel.h"

#include <math.h>
#include <string.h>

#include "nn/schedule.h"

/* docs/health.md says where the two numbers come from. */
static const wispi_sign own_signs[] = {
    {"embedding_std", 0, 0.01, "the embeddings of all images point the same way",
     "lower lr of [optimizer], give it a longer warm-up, or clip gradients"},
    {"embedding_rank", 0.6, 0.6, "the embeddings of all images lie on one line",
     "lower lr of [optimizer], give it a longer warm-up, or clip gradients"},
};

_Static_assert((int)WISPI_HEALTH_SIGNS >= (int)WISPI_MAX_SIGNS + (int)WISP_COUNT(own_signs),
               "every sign has its place in the state");

void wispi_sentinel_begin(wispi_sentinel *s, const wispi_model *model, int64_t steps_per_epoch,
                          wispi_health_state *state)
{
    const wisp_schedule *lr = wispi_model_schedule(model, "lr");
    memset(s, 0, sizeof *s);
    for (int32_t i = 0; i < wispi_model_sign_count(model); i++)
        s->signs[s->n_signs++] = *wispi_model_sign_at(model, i);
    for (size_t i = 0; i < WISP_COUNT(own_signs); i++)
        s->signs[s->n_signs++] = own_signs[i];
    s->first_verdict = lr ? (int64_t)ceil(lr->warmup_epochs * (double)steps_per_epoch) : 0;
    s->state = state;
    if (state->n != s->n_signs)
        *state = (wispi_health_state){.n = s->n_signs};
}

static const wispi_metric_value *value_of(const wispi_sign *sign, const wispi_metric_value *values,
                                          int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (strcmp(values[i].name, sign->metric) == 0)
            return &values[i];
    return NULL;
}

const wispi_sign *wispi_sentinel_judge(wispi_sentinel *s, int64_t step,
                                       const wispi_metric_value *values, int32_t n)
{
    const wispi_sign *found = NULL;
    int64_t longest = 0;
    for (int32_t i = 0; i < s->n_signs; i++) {
        int64_t *since = &s->state->stays[i].since, *count = &s->state->stays[i].count;
        const wispi_metric_value *own = value_of(&s->signs[i], values, n);
        if (!own) /* a step that does not report it says nothing of it */
            continue;
        /* A value that is not finite is nowhere. */
        *count = fabs(own->value - s->signs[i].value) <= s->signs[i].within ? *count + 1 : 0;
        if (*count <= 1)
            *since = *count ? step : 0;
        if (*count >= WISPI_SIGN_MEASUREMENTS && step - *since >= WISPI_SIGN_STEPS &&
            step >= s->first_verdict && *count > longest) {
            found = &s->signs[i];
            longest = *count;
        }
    }
    return found;
}

int64_t wispi_sentinel_since(const wispi_sentinel *s, const wispi_sign *sign)
{
    return s->state->stays[sign - s->signs].since;
}

int wispi_sentinel_is_calm(const wispi_sentinel *s)
{
    for (int32_t i = 0; i < s->n_signs; i++)
        if (s->state->stays[i].count > 0)
            return 0;
    return 1;
}

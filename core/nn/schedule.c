#include "nn/schedule.h"

#include <math.h>

static double after_warmup(const wisp_schedule *s, double u, double length, double epoch)
{
    static const double pi = 3.14159265358979323846;
    double value = s->value;
    if (s->kind == WISP_SCHEDULE_STEP) {
        for (int32_t i = 0; i < s->n_milestones; i++)
            value *= epoch >= s->milestones[i] ? s->gamma : 1;
        return value;
    }
    if (s->kind == WISP_SCHEDULE_CONSTANT || length <= 0)
        return value;
    if (u >= length)
        return s->end;
    if (s->kind == WISP_SCHEDULE_LINEAR)
        return value + (s->end - value) * u / length;
    return s->end + 0.5 * (value - s->end) * (1 + cos(pi * u / length));
}

double wispi_schedule_value(const wisp_schedule *s, const wisp_clock *clock)
{
    const int per_step = s->per == WISP_PER_STEP;
    const double per_epoch = clock->steps_per_epoch > 0 ? (double)clock->steps_per_epoch : 1;
    const double t = (double)(per_step ? clock->step : clock->epoch);
    const double length = (double)(per_step ? clock->steps : clock->epochs);
    const double warm = nearbyint(s->warmup_epochs * (per_step ? per_epoch : 1));
    if (t < warm)
        return warm > 1 ? s->warmup_start + (s->value - s->warmup_start) * (t / (warm - 1))
                        : s->warmup_start;
    return after_warmup(s, t - warm, length - warm, per_step ? t / per_epoch : t);
}

wisp_status wispi_schedule_check(const char *name, const wisp_schedule *s, wisp_error *err)
{
    const double values[] = {s->value, s->end, s->warmup_start, s->warmup_epochs, s->gamma};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!isfinite(values[i]))
            return wisp_fail(err, WISP_E_INVALID, "schedule %s: a value is not finite", name);
    if (s->kind < WISP_SCHEDULE_CONSTANT || s->kind > WISP_SCHEDULE_STEP)
        return wisp_fail(err, WISP_E_INVALID, "schedule %s: there is no kind %d", name, s->kind);
    if (s->per != WISP_PER_STEP && s->per != WISP_PER_EPOCH)
        return wisp_fail(err, WISP_E_INVALID, "schedule %s: `per` %d is neither step nor epoch",
                         name, s->per);
    if (s->warmup_epochs < 0)
        return wisp_fail(err, WISP_E_INVALID, "schedule %s: a warm-up of %g epochs is not possible",
                         name, s->warmup_epochs);
    if (s->n_milestones < 0 || s->n_milestones > 8)
        return wisp_fail(err, WISP_E_INVALID, "schedule %s: %d milestones are not in 0..8", name,
                         s->n_milestones);
    return WISP_OK;
}

#include "report/time_to_reach.h"

#include <math.h>
#include <string.h>

#include "train/json_number.h"
#include "report/pairing.h"
#include "train/json_text.h"

/* One arm over the seeds. */
typedef struct record {
    int32_t reached; /* in how many seeds */
    int32_t timed;   /* in how many of these minutes are known */
    double minutes;  /* of these, summed up */
} record;

/* The first evaluation that is good enough; NULL: none is. */
static const wispi_curve_point *first_as_good(const wispi_curve *curve, double target)
{
    for (int64_t i = 0; curve && i < curve->n; i++)
        if (curve->points[i].value >= target)
            return &curve->points[i];
    return NULL;
}

static json_t *look(const wispi_run_data *run, const char *name, double target, record *sum,
                    json_t **epoch)
{
    const wispi_curve *curve = wispi_run_data_curve(run, name);
    const wispi_curve_point *point = first_as_good(curve, target);
    const double minutes = point ? wispi_run_data_minutes(run, point->step) : NAN;
    sum->reached += point != NULL;
    if (isfinite(minutes)) {
        sum->timed++;
        sum->minutes += minutes;
    }
    *epoch = wispi_json_number(point ? point->epoch : NAN);
    return wispi_json_number(minutes);
}

static json_t *one_pair(int64_t seed, const wispi_run_data *a, const wispi_run_data *b,
                        const char *name, record sums[2])
{
    const wispi_curve *curve = wispi_run_data_curve(a, name);
    const double target = curve ? curve->points[curve->n - 1].value : NAN;
    json_t *epochs[2] = {NULL, NULL};
    json_t *first = look(a, name, target, &sums[0], &epochs[0]);
    json_t *second = look(b, name, target, &sums[1], &epochs[1]);
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "seed", (json_int_t)seed, "target",
                     wispi_json_number(target), "a", first, "b", second, "a_epoch", epochs[0],
                     "b_epoch", epochs[1]);
}

static void say_minutes(const record *sum, wispi_text *words)
{
    if (sum->timed > 0)
        wispi_text_printf(words, " after %.1f minutes on average", sum->minutes / sum->timed);
}

static json_t *say(const wispi_compared_arm *arm, const wispi_compared_arm *against,
                   const record sums[2], int32_t n)
{
    wispi_text words = {0};
    wispi_text_printf(&words, "%s reached %s's final value in %d of %d seeds", arm->name,
                      against->name, sums[1].reached, n);
    say_minutes(&sums[1], &words);
    wispi_text_printf(&words, "; %s itself first in %d", against->name, sums[0].reached);
    say_minutes(&sums[0], &words);
    json_t *text = words.failed ? NULL : wispi_json_string(words.data);
    wispi_text_free(&words);
    return text;
}

/* NULL: no memory. Pairs that lack a run are left out. */
static json_t *one_arm(const wispi_comparison_request *request, int32_t arm, const char *metric,
                       int32_t *n)
{
    char name[512];
    record sums[2] = {{0}, {0}};
    json_t *pairs = json_array();
    snprintf(name, sizeof name, "probe/%s", metric);
    *n = 0;
    for (int32_t i = 0; i < request->n_seeds; i++) {
        const wispi_run_data *a = wispi_pairing_run(request, 0, i);
        const wispi_run_data *b = wispi_pairing_run(request, arm, i);
        if (!a || !b || !wispi_run_data_curve(a, name) || !wispi_run_data_curve(b, name))
            continue;
        ++*n;
        if (json_array_append_new(pairs, one_pair(request->seeds[i], a, b, name, sums)) != 0) {
            json_decref(pairs);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "metric", metric, "arm", request->arms[arm].name,
                     "against", request->arms[0].name, "pairs", pairs, "words",
                     say(&request->arms[arm], &request->arms[0], sums, *n));
}

static wisp_status add_metric(const wispi_comparison_request *request, const char *metric,
                              json_t *time, wisp_error *err)
{
    for (int32_t arm = 1; arm < request->n_arms; arm++) {
        int32_t n;
        json_t *entry = one_arm(request, arm, metric, &n);
        if (entry && n == 0)
            json_decref(entry);
        else if (json_array_append_new(time, entry) != 0)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison");
    }
    return WISP_OK;
}

static const wispi_run_data *first_run(const wispi_comparison_request *request)
{
    for (int32_t i = 0; i < request->n_seeds; i++)
        if (wispi_pairing_run(request, 0, i))
            return wispi_pairing_run(request, 0, i);
    return NULL;
}

wisp_status wispi_time_to_reach(const wispi_comparison_request *request, json_t **time,
                                wisp_error *err)
{
    const wispi_run_data *run = first_run(request);
    json_t *made = json_array();
    wisp_status status =
        made ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison");
    for (int32_t i = 0; run && i < run->n_results && status == WISP_OK; i++) {
        const wispi_run_result *r = &run->results[i];
        if (strcmp(r->kind, "probe") == 0 && wispi_pairing_wants(request, r->metric) &&
            wispi_pairing_judges(r->metric))
            status = add_metric(request, r->metric, made, err);
    }
    if (status == WISP_OK)
        *time = made;
    else
        json_decref(made);
    return status;
}

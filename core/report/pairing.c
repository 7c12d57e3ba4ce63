#include "report/pairing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/json_text.h"

const wispi_run_data *wispi_pairing_run(const wispi_comparison_request *request, int32_t arm,
                                        int32_t seed)
{
    const wispi_run_data *run = request->arms[arm].runs[seed];
    return run && run->is_done ? run : NULL;
}

int wispi_pairing_wants(const wispi_comparison_request *request, const char *metric)
{
    for (int32_t i = 0; i < request->n_metrics; i++)
        if (strcmp(request->metrics[i], metric) == 0)
            return 1;
    return request->n_metrics == 0;
}

int wispi_pairing_judges(const char *metric)
{
    return !strstr(metric, "loss") && !strstr(metric, "error");
}

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison");
}

wisp_status wispi_pairing_note(json_t *notes, wisp_error *err, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return json_array_append_new(notes, wispi_json_string(text)) == 0 ? WISP_OK : no_memory(err);
}

/* --- a number of a run --- */

/* Where `metric` stands in a run, by the place that it is read at. */
typedef struct reading {
    const char *metric, *source, *basis;
    double at;
} reading;

static const wispi_curve *curve_of(const wispi_run_data *run, const char *source,
                                   const char *metric)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", source, metric);
    return run ? wispi_run_data_curve(run, name) : NULL;
}

/* Between the evaluations before and after; NaN before the first one. */
static double value_at_pixels(const wispi_curve *curve, double pixels)
{
    const wispi_curve_point *p = curve->points;
    for (int64_t i = 0; i < curve->n; i++) {
        if (!(p[i].pixels >= pixels))
            continue;
        if (p[i].pixels == pixels)
            return p[i].value;
        if (i == 0)
            return NAN;
        const double part = (pixels - p[i - 1].pixels) / (p[i].pixels - p[i - 1].pixels);
        return p[i - 1].value + part * (p[i].value - p[i - 1].value);
    }
    return NAN;
}

static double value_at_epoch(const wispi_curve *curve, double epoch)
{
    for (int64_t i = curve->n; i-- > 0;)
        if (curve->points[i].epoch == epoch)
            return curve->points[i].value;
    return NAN;
}

static double value_in(const wispi_run_data *run, const reading *r)
{
    const wispi_curve *curve = curve_of(run, r->source, r->metric);
    if (!curve)
        return NAN;
    if (strcmp(r->basis, "equal pixels") == 0)
        return value_at_pixels(curve, r->at);
    if (strcmp(r->basis, "equal epochs") == 0)
        return value_at_epoch(curve, r->at);
    return curve->points[curve->n - 1].value;
}

/* --- protocols --- */

/* The path of the network depends on the method, and says nothing of how it was judged. */
static const char *differing_key(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    if (!a || !b)
        return NULL;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        const json_t *other = json_object_get(b, key);
        if (strcmp(key, "network") != 0 && !json_equal(value, other))
            return key;
    }
    return NULL;
}

/* The first thing that differs, as "k: 20 and 5"; NULL: nothing does. */
static const char *protocols_apart(const json_t *a, const json_t *b, wispi_arena *arena)
{
    const char *key = differing_key(a, b);
    if (!key)
        key = differing_key(b, a);
    if (!key)
        return NULL;
    char *x = json_dumps(json_object_get(a, key), JSON_ENCODE_ANY | JSON_COMPACT);
    char *y = json_dumps(json_object_get(b, key), JSON_ENCODE_ANY | JSON_COMPACT);
    const char *words =
        wispi_arena_printf(arena, "%.60s: %.80s and %.80s", key, x ? x : "none", y ? y : "none");
    free(x);
    free(y);
    return words ? words : "protocol";
}

/* --- questions --- */

typedef struct maker {
    const wispi_comparison_request *request;
    wispi_arena *arena;
    wispi_pairing *pairing;
    json_t *seen;              /* {"task/k_nn_top_1": true} */
    const wispi_curve **found; /* room for one a run, and one more */
} maker;

static wisp_status new_question(maker *m, const reading *r, int32_t arm, wispi_question **out,
                                wisp_error *err)
{
    wispi_pairing *p = m->pairing;
    const size_t size = sizeof *p->list, seeds = (size_t)m->request->n_seeds;
    if (p->n == p->capacity) {
        const int32_t room = p->capacity ? 2 * p->capacity : 16;
        wispi_question *more = wispi_arena_array(m->arena, (size_t)room, size);
        if (!more)
            return no_memory(err);
        if (p->n)
            memcpy(more, p->list, (size_t)p->n * size);
        p->list = more;
        p->capacity = room;
    }
    wispi_question *q = &p->list[p->n];
    *q = (wispi_question){.metric = r->metric, .source = r->source, .basis = r->basis, .at = r->at};
    q->arm = arm;
    q->a = wispi_arena_array(m->arena, seeds, sizeof *q->a);
    q->b = wispi_arena_array(m->arena, seeds, sizeof *q->b);
    if (!q->a || !q->b)
        return no_memory(err);
    p->n++;
    *out = q;
    return WISP_OK;
}

static void fill(const maker *m, const reading *r, wispi_question *q)
{
    for (int32_t i = 0; i < m->request->n_seeds; i++) {
        const wispi_run_data *a = wispi_pairing_run(m->request, 0, i);
        const wispi_run_data *b = wispi_pairing_run(m->request, q->arm, i);
        const wispi_curve *first = curve_of(a, r->source, r->metric);
        const wispi_curve *second = curve_of(b, r->source, r->metric);
        q->a[i] = value_in(a, r);
        q->b[i] = value_in(b, r);
        if (!a || !b)
            q->n_missing++;
        else if (!isfinite(q->a[i]) || !isfinite(q->b[i]))
            q->n_broken++;
        if (first && second && !q->apart)
            q->apart = protocols_apart(first->protocol, second->protocol, m->arena);
    }
}

enum { NO_RUNS = -1, NOT_THERE = 0, THERE = 1 };

/* Has the arm the metric, as far as its finished runs tell? */
static int arm_has(const maker *m, int32_t arm, const reading *r)
{
    int answer = NO_RUNS;
    for (int32_t i = 0; i < m->request->n_seeds; i++) {
        const wispi_run_data *run = wispi_pairing_run(m->request, arm, i);
        if (run && curve_of(run, r->source, r->metric))
            return THERE;
        if (run)
            answer = NOT_THERE;
    }
    return answer;
}

static wisp_status say_one_sided(const maker *m, const reading *r, int32_t has, int32_t lacks,
                                 wisp_error *err)
{
    return wispi_pairing_note(m->pairing->notes, err,
                              "%.100s: %s has it and %s has not, so they cannot be compared by it.",
                              r->metric, m->request->arms[has].name, m->request->arms[lacks].name);
}

/* Asks it of each arm that has it, where the first one has it too. */
static wisp_status ask(maker *m, const reading *r, wisp_error *err)
{
    const int first = arm_has(m, 0, r);
    for (int32_t arm = 1; arm < m->request->n_arms; arm++) {
        const int second = arm_has(m, arm, r);
        wispi_question *q = NULL;
        if (first == THERE && second == THERE) {
            WISP_TRY(new_question(m, r, arm, &q, err));
            fill(m, r, q);
        } else if (first == THERE && second == NOT_THERE)
            WISP_TRY(say_one_sided(m, r, 0, arm, err));
        else if (first == NOT_THERE && second == THERE)
            WISP_TRY(say_one_sided(m, r, arm, 0, err));
    }
    return WISP_OK;
}

/* --- where to read --- */

/* The curves of all finished runs that have it, into m->found. */
static int32_t find_curves(maker *m, const char *source, const char *metric)
{
    int32_t n = 0;
    for (int32_t arm = 0; arm < m->request->n_arms; arm++)
        for (int32_t i = 0; i < m->request->n_seeds; i++) {
            m->found[n] = curve_of(wispi_pairing_run(m->request, arm, i), source, metric);
            n += m->found[n] != NULL;
        }
    return n;
}

/* The last epoch that is not behind `epoch` and was judged; NaN: there is none. */
static double judged_until(const wispi_curve *curve, double epoch)
{
    for (int64_t i = curve->n; i-- > 0;)
        if (curve->points[i].epoch <= epoch)
            return curve->points[i].epoch;
    return NAN;
}

/* The last epoch at which all were judged; NaN: there is none. */
static double last_equal_epoch(maker *m, const char *source, const char *metric)
{
    const int32_t n = find_curves(m, source, metric);
    double epoch = INFINITY, before = NAN;
    while (epoch != before && !isnan(epoch)) {
        before = epoch;
        for (int32_t i = 0; i < n; i++)
            epoch = judged_until(m->found[i], epoch);
    }
    return isfinite(epoch) ? epoch : NAN;
}

static int all_end_at(maker *m, const char *source, const char *metric, double epoch)
{
    const int32_t n = find_curves(m, source, metric);
    for (int32_t i = 0; i < n; i++)
        if (m->found[i]->points[m->found[i]->n - 1].epoch != epoch)
            return 0;
    return isfinite(epoch);
}

/* Known everywhere, and never falling. */
static int tells_pixels(const wispi_curve *curve)
{
    for (int64_t i = 0; i < curve->n; i++)
        if (!isfinite(curve->points[i].pixels) ||
            (i > 0 && curve->points[i].pixels < curve->points[i - 1].pixels))
            return 0;
    return 1;
}

/* The smallest and the largest number of pixels at the end; 0 when a run does not say. */
static int final_pixels(maker *m, const char *metric, double *least, double *most)
{
    const int32_t n = find_curves(m, "probe", metric);
    *least = INFINITY;
    *most = 0;
    for (int32_t i = 0; i < n; i++) {
        if (!tells_pixels(m->found[i]))
            return 0;
        const double pixels = m->found[i]->points[m->found[i]->n - 1].pixels;
        *least = fmin(*least, pixels);
        *most = fmax(*most, pixels);
    }
    return isfinite(*least);
}

double wispi_pairing_pixels_per_image(const wispi_comparison_request *request, int32_t arm)
{
    for (int32_t i = 0; i < request->n_seeds; i++) {
        const wispi_run_data *run = wispi_pairing_run(request, arm, i);
        for (int32_t k = 0; run && k < run->n_curves; k++) {
            const wispi_curve_point *last = &run->curves[k].points[run->curves[k].n - 1];
            const double images = (double)last->step * (double)run->batch;
            if (isfinite(last->pixels) && images > 0)
                return last->pixels / images;
        }
    }
    return NAN;
}

/* --- what there is to ask --- */

static wisp_status ask_task(maker *m, const char *metric, wisp_error *err)
{
    const double epoch = last_equal_epoch(m, "task", metric);
    const int together = all_end_at(m, "task", metric, epoch);
    const reading r = {metric, "task", together ? "equal epochs" : "end of training",
                       together ? epoch : NAN};
    return ask(m, &r, err);
}

/* A task that judged the same weights in the same way has said it already. */
static int task_says_it(const maker *m, const char *metric, double epoch)
{
    int same = 0;
    for (int32_t arm = 0; arm < m->request->n_arms; arm++)
        for (int32_t i = 0; i < m->request->n_seeds; i++) {
            const wispi_run_data *run = wispi_pairing_run(m->request, arm, i);
            const wispi_curve *task = curve_of(run, "task", metric);
            const wispi_curve *probe = curve_of(run, "probe", metric);
            if (!run)
                continue;
            if (!task || !probe || task->points[task->n - 1].epoch != epoch ||
                !json_equal(task->protocol, probe->protocol))
                return 0;
            same = 1;
        }
    return same;
}

static wisp_status ask_at_pixels(maker *m, const char *metric, wisp_error *err)
{
    double least, most;
    if (m->request->without_pixels)
        return WISP_OK;
    if (!final_pixels(m, metric, &least, &most))
        return wispi_pairing_note(m->pairing->notes, err,
                                  "%.100s: the runs do not tell their pixels, so there is nothing "
                                  "at equal pixels.",
                                  metric);
    if (most - least <= 1e-9 * most)
        return wispi_pairing_note(m->pairing->notes, err,
                                  "%.100s: all arms pushed the same pixels through the network, so "
                                  "equal epochs are equal pixels.",
                                  metric);
    const reading r = {metric, "probe", "equal pixels", least};
    return ask(m, &r, err);
}

static wisp_status ask_probe(maker *m, const char *metric, wisp_error *err)
{
    const double epoch = last_equal_epoch(m, "probe", metric);
    const reading r = {metric, "probe", "equal epochs", epoch};
    if (isnan(epoch))
        WISP_TRY(wispi_pairing_note(m->pairing->notes, err,
                                    "%.100s: there is no epoch after which all runs were judged.",
                                    metric));
    else if (m->request->source || !task_says_it(m, metric, epoch))
        WISP_TRY(ask(m, &r, err));
    return ask_at_pixels(m, metric, err);
}

/* The first time that it comes up. */
static int is_new(maker *m, const char *source, const char *metric)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", source, metric);
    if (json_object_get(m->seen, name))
        return 0;
    return json_object_set_new(m->seen, name, json_true()) == 0;
}

static wisp_status ask_all_of(maker *m, const char *source,
                              wisp_status (*ask_one)(maker *, const char *, wisp_error *),
                              wisp_error *err)
{
    if (m->request->source && strcmp(m->request->source, source) != 0)
        return WISP_OK;
    for (int32_t arm = 0; arm < m->request->n_arms; arm++)
        for (int32_t i = 0; i < m->request->n_seeds; i++) {
            const wispi_run_data *run = wispi_pairing_run(m->request, arm, i);
            for (int32_t k = 0; run && k < run->n_results; k++) {
                const wispi_run_result *r = &run->results[k];
                if (strcmp(r->kind, source) == 0 && wispi_pairing_wants(m->request, r->metric) &&
                    is_new(m, source, r->metric))
                    WISP_TRY(ask_one(m, r->metric, err));
            }
        }
    return WISP_OK;
}

/* A name that was asked for and is nowhere is misspelt, or its task was forgotten. */
static wisp_status say_unknown(const maker *m, wisp_error *err)
{
    for (int32_t i = 0; i < m->request->n_metrics; i++) {
        char task[512], probe[512];
        snprintf(task, sizeof task, "task/%s", m->request->metrics[i]);
        snprintf(probe, sizeof probe, "probe/%s", m->request->metrics[i]);
        if (!json_object_get(m->seen, task) && !json_object_get(m->seen, probe))
            WISP_TRY(wispi_pairing_note(m->pairing->notes, err,
                                        "%.100s: no run has a task or probe that reports it.",
                                        m->request->metrics[i]));
    }
    return WISP_OK;
}

wisp_status wispi_pairing_make(const wispi_comparison_request *request, wispi_arena *arena,
                               wispi_pairing *pairing, wisp_error *err)
{
    const size_t runs = (size_t)request->n_arms * (size_t)request->n_seeds;
    maker m = {request, arena, pairing, json_object(), NULL};
    m.found = wispi_arena_array(arena, runs + 1, sizeof(const wispi_curve *));
    wisp_status status = m.seen && m.found ? WISP_OK : no_memory(err);
    if (status == WISP_OK)
        status = ask_all_of(&m, "task", ask_task, err);
    if (status == WISP_OK)
        status = ask_all_of(&m, "probe", ask_probe, err);
    if (status == WISP_OK)
        status = say_unknown(&m, err);
    json_decref(m.seen);
    return status;
}

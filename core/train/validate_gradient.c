/* validate_gradient.c - the gradient of a whole step: against finite differences of its loss in
 * double, and against other backends.
 *
 * The differences go through the reference kernels in double, so steps are so small that a bend (of
 * a ReLU, of a maximum) hardly ever lies within one, and rounding does not show. What no gradient
 * passes through is held at its value: see double_engine.h. */
#include "train/validate_training.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "loader/containment.h"
#include "tensor/double_engine.h"
#include "train/validate_practice.h"
#include "train/validate_sealed_device.h"
#include "wisp/rng.h"

/* Tensors of which each has a direction of its own; and how often a step is made smaller where the
 * loss has a bend. */
enum { MOST_DIRECTIONS = 12, MOST_STEPS = 5 };

/* --- the gradient as the host derives it --- */

typedef struct gradients {
    wispi_practice *practice;
    wispi_feed_batch *batch;
    wispi_metrics metrics;
    wisp_tensor *loss;
    uint8_t *arrived; /* at each tensor of the model */
    float value;      /* of the loss */
    double *all; /* of every trained parameter, one after the other; zeros where none arrived */
    double length;
} gradients;

static const wispi_model_tensor *tensor_of(const gradients *g, int32_t i)
{
    return wispi_model_tensor_at(g->practice->session->model, i);
}

static int32_t count_tensors(const gradients *g)
{
    return wispi_model_tensor_count(g->practice->session->model);
}

/* Its values in `all`; 0: it has none. */
static int64_t trained_values(const wispi_model_tensor *tensor)
{
    const int is_trained = tensor->role == WISPI_ROLE_PARAMETER && tensor->trained;
    return is_trained ? wisp_desc_count(tensor->desc) : 0;
}

static int64_t count_values(const gradients *g)
{
    int64_t n = 0;
    for (int32_t i = 0; i < count_tensors(g); i++)
        n += trained_values(tensor_of(g, i));
    return n;
}

static wisp_tensor *ask_loss(const gradients *g, wisp_step *s)
{
    const wispi_instance *method = &g->practice->experiment->method;
    const wisp_method_v0 *vtable = method->plugin->descriptor->vtable;
    wisp_tensor *loss = NULL;
    WISPI_VISIT(method->plugin, "step",
                loss = vtable->step(method->self, s, &g->practice->session->whole.batch.plugin));
    return loss;
}

static void differentiate(wisp_step *s, void *user)
{
    gradients *g = user;
    g->loss = ask_loss(g, s);
    wispi_step_keep(s, g->loss);
    wispi_step_backward(s, g->loss);
    for (int32_t i = 0; i < count_tensors(g); i++)
        g->arrived[i] = trained_values(tensor_of(g, i)) > 0 &&
                        wispi_step_has_grad(s, tensor_of(g, i)->variable);
}

/* The first batch is put where the step finds it, by a step whose changes are taken back. */
static wisp_status bring_batch(gradients *g, wisp_error *err)
{
    wispi_practice *p = g->practice;
    WISP_TRY(wispi_practice_begin_epoch(p, err));
    uint8_t *state = wispi_practice_state(p);
    if (!state)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the state of a training");
    wisp_status status = wispi_practice_batch(p, &g->batch, err);
    if (status == WISP_OK)
        status = wispi_session_step(p->session, g->batch, NULL, err);
    if (status == WISP_OK)
        status = wispi_practice_restore(p, state, err);
    wispi_free(state);
    return status;
}

static wisp_status read_gradients(gradients *g, wisp_error *err)
{
    wispi_device *device = g->practice->session->device;
    double *at = g->all;
    for (int32_t i = 0; i < count_tensors(g); i++) {
        const wispi_model_tensor *tensor = tensor_of(g, i);
        const int64_t n = trained_values(tensor);
        float *raw = wispi_alloc((size_t)n * sizeof *raw + 1);
        wisp_status status = raw ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory");
        if (status == WISP_OK && g->arrived[i])
            status = wispi_variable_read(device, tensor->variable->grad, raw, err);
        for (int64_t k = 0; status == WISP_OK && k < n; k++) {
            at[k] = raw[k];
            g->length += at[k] * at[k];
        }
        wispi_free(raw);
        WISP_TRY(status);
        at += n;
    }
    g->length = sqrt(g->length);
    return WISP_OK;
}

static wisp_status run_once(gradients *g, wisp_error *err)
{
    wispi_session *s = g->practice->session;
    wispi_program *program = NULL;
    g->metrics.n = 0;
    wispi_model_set_metrics(s->model, &g->metrics);
    WISP_TRY(wispi_program_record(s->device, wispi_ops_table(), s->model, 0, differentiate, g,
                                  &program, err));
    wisp_status status = wispi_model_refresh(s->model, err);
    if (status == WISP_OK)
        status = wispi_program_run(program, differentiate, g, NULL, err);
    if (status == WISP_OK)
        status = wispi_program_read(program, g->loss, &g->value, err);
    wispi_program_destroy(program);
    return status;
}

/* With the first batch where the step finds it, and nothing changed yet. */
static wisp_status begin_measuring(wispi_practice *p, gradients *g, wisp_error *err)
{
    memset(g, 0, sizeof *g);
    g->practice = p;
    g->arrived = wispi_alloc((size_t)count_tensors(g) + 1);
    g->all = wispi_alloc_array((size_t)count_values(g) + 1, sizeof *g->all);
    if (!g->arrived || !g->all)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for gradients");
    WISP_TRY(bring_batch(g, err));
    wispi_model_set_metrics(p->session->model, &g->metrics);
    return WISP_OK;
}

/* Loss and gradient of the first step by the device's own kernels. */
static wisp_status measure(wispi_practice *p, gradients *g, wisp_error *err)
{
    WISP_TRY(begin_measuring(p, g, err));
    WISP_TRY(run_once(g, err));
    return read_gradients(g, err);
}

static void forget(gradients *g)
{
    if (g->batch)
        wispi_feed_release(g->practice->feed, g->batch);
    wispi_free(g->arrived);
    wispi_free(g->all);
    memset(g, 0, sizeof *g);
}

/* --- the loss in double --- */

/* A variable of the step as doubles: as it was found, and as it is now. */
typedef struct shadow {
    const wispi_variable *variable;
    double *found, *now;
    int64_t n;
    struct shadow *next;
} shadow;

typedef struct exact_loss {
    gradients *g;
    wispi_arena *arena; /* of shadows, and of what is held */
    shadow *shadows;
    wispi_double_hold hold;
    const double *direction; /* as gradients.all; NULL: nothing is moved */
    double step;
    double loss; /* where nothing is moved */
} exact_loss;

static void move(const exact_loss *x, shadow *w)
{
    const double *d = x->direction;
    memcpy(w->now, w->found, (size_t)w->n * sizeof *w->now);
    for (int32_t i = 0; d && i < count_tensors(x->g); i++) {
        const wispi_model_tensor *tensor = tensor_of(x->g, i);
        for (int64_t k = 0; tensor->variable == w->variable && k < trained_values(tensor); k++)
            w->now[k] += x->step * d[k];
        d += trained_values(tensor);
    }
}

static double *values_of(void *user, wispi_variable *variable)
{
    exact_loss *x = user;
    for (shadow *w = x->shadows; w; w = w->next)
        if (w->variable == variable)
            return w->now;
    shadow *w = wispi_arena_alloc(x->arena, sizeof *w);
    const int64_t n = wisp_desc_count(&variable->desc);
    void *raw = wispi_arena_alloc(x->arena, (size_t)wisp_desc_bytes(&variable->desc) + 1);
    double *both = wispi_arena_array(x->arena, 2 * (size_t)n + 1, sizeof *both);
    if (!w || !raw || !both ||
        wispi_variable_read(x->g->practice->session->device, variable, raw, NULL) != WISP_OK)
        return NULL;
    wispi_widen(both, raw, variable->desc.dtype, n);
    *w = (shadow){variable, both, both + n, n, x->shadows};
    x->shadows = w;
    move(x, w);
    return w->now;
}

/* Some steps begin by writing to a parameter (prototypes to length 1); its gradient is that of the
 * new value. */
static void settle_parameters(exact_loss *x)
{
    for (shadow *w = x->shadows; w; w = w->next)
        if (w->variable->grad)
            memcpy(w->found, w->now, (size_t)w->n * sizeof *w->found);
}

static const wisp_tensor *met(const wispi_double_engine *engine, const wispi_variable *variable)
{
    for (const wispi_double_variable *v = engine->variables; v; v = v->next)
        if (v->variable == variable)
            return v->tensor;
    return NULL;
}

/* Zeros where none arrived. */
static void take_gradient(const wispi_double_engine *engine, gradients *g)
{
    double *at = g->all;
    for (int32_t i = 0; i < count_tensors(g); i++) {
        const int64_t n = trained_values(tensor_of(g, i));
        const wisp_tensor *x = n ? met(engine, tensor_of(g, i)->variable) : NULL;
        for (int64_t k = 0; k < n; k++) {
            at[k] = x && x->grad_written ? x->grad_slot->values[k] : 0;
            g->length += at[k] * at[k];
        }
        at += n;
    }
    g->length = sqrt(g->length);
}

/* The loss with the parameters moved along `direction`; of the first call, which moves nothing, the
 * gradient too. */
static wisp_status evaluate(exact_loss *x, const double *direction, double step, double *value,
                            wisp_error *err)
{
    wispi_session *s = x->g->practice->session;
    wispi_double_engine engine;
    wispi_arena *arena = wispi_arena_create(1 << 20);
    if (!arena)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a step in double");
    x->direction = direction;
    x->step = step;
    for (shadow *w = x->shadows; w; w = w->next)
        move(x, w);
    x->g->metrics.n = 0;
    x->hold.cursor = x->hold.first;
    wispi_double_begin(&engine, wispi_ops_table(), arena);
    engine.step.owner = s->model;
    engine.values_of = values_of;
    engine.user = x;
    engine.hold = &x->hold;
    wisp_tensor *loss = ask_loss(x->g, &engine.step.plugin);
    *value = engine.step.status == WISP_OK ? loss->values[0] : NAN;
    if (!x->hold.is_kept)
        wispi_step_backward(&engine.step.plugin, loss);
    const wisp_status status = engine.step.status;
    if (status != WISP_OK && err)
        *err = engine.step.error;
    else if (!x->hold.is_kept)
        take_gradient(&engine, x->g);
    wispi_double_end(&engine);
    wispi_arena_destroy(arena);
    return status;
}

/* --- one against the other --- */

typedef struct findings {
    int32_t checked, bent;
    double worst; /* deviation, as a share of the gradient */
} findings;

/* Half the gradient's own direction and half chance, of length 1: a slope that is large enough to
 * be seen, and no component is left out. Elements beside [first, first + n) are 0. */
static void choose_direction(const gradients *g, int64_t first, int64_t n, double *d)
{
    wisp_rng rng = wisp_rng_begin(
        wisp_rng_derive(wisp_rng_stream(1, WISP_STREAM_STEP), (uint64_t)first, (uint64_t)n));
    double own = 0, length = 0;
    memset(d, 0, (size_t)count_values(g) * sizeof *d);
    for (int64_t i = first; i < first + n; i++)
        own += g->all[i] * g->all[i];
    own = sqrt(own);
    for (int64_t i = first; i < first + n; i++) {
        const double chance = (2 * wisp_rng_uniform(&rng) - 1) * sqrt(3 / (double)n);
        d[i] = chance + (own > 0 ? g->all[i] / own : 0);
        length += d[i] * d[i];
    }
    for (int64_t i = first; i < first + n; i++)
        d[i] /= sqrt(length);
}

/* The central difference, by a step that is made smaller until both sides agree. 0: they never do,
 * there is a bend. */
static int find_slope(exact_loss *x, const double *d, double first_step, double tolerance,
                      double *slope, wisp_error *err)
{
    double h = first_step;
    for (int i = 0; i < MOST_STEPS; i++, h /= 4) {
        double up = 0, down = 0;
        if (evaluate(x, d, h, &up, err) != WISP_OK || evaluate(x, d, -h, &down, err) != WISP_OK)
            return 0;
        *slope = (up - down) / (2 * h);
        if (fabs(up + down - 2 * x->loss) / h <= tolerance)
            return 1;
    }
    return 0;
}

static double length_of(const exact_loss *x, const wispi_variable *variable)
{
    double sum = 0;
    for (const shadow *w = x->shadows; w; w = w->next)
        for (int64_t i = 0; w->variable == variable && i < w->n; i++)
            sum += w->found[i] * w->found[i];
    return sqrt(sum);
}

/* The slope along one direction through values [first, first + n) of all; `size` is how long the
 * parameters there are. */
static void judge_direction(wispi_trial *t, exact_loss *x, int64_t first, int64_t n, double size,
                            const char *name, double *d, findings *f)
{
    const gradients *g = x->g;
    wisp_error err = {0};
    double slope = 0, dot = 0, own = 0;
    choose_direction(g, first, n, d);
    for (int64_t i = first; i < first + n; i++) {
        dot += g->all[i] * d[i];
        own += g->all[i] * g->all[i];
    }
    own = sqrt(own);
    const double tolerance = 1e-4 * own + 1e-6 * g->length + 1e-9;
    const int is_smooth =
        find_slope(x, d, 1e-5 * (size > 0.1 ? size : 0.1), tolerance / 4, &slope, &err);
    if (err.message[0])
        wispi_trial_fail(t, "a step in double: %s", err.message);
    else if (is_smooth && !(fabs(slope - dot) <= tolerance))
        wispi_trial_fail(t,
                         "%s: along a direction of its own the loss changes by %.6g, and the "
                         "gradient says %.6g",
                         name, slope, dot);
    f->checked += is_smooth;
    f->bent += !is_smooth;
    if (is_smooth && own > 0)
        f->worst = fmax(f->worst, fabs(slope - dot) / (own + 1e-2 * g->length));
}

static int32_t count_trained(const gradients *g)
{
    int32_t n = 0;
    for (int32_t i = 0; i < count_tensors(g); i++)
        n += trained_values(tensor_of(g, i)) > 0;
    return n;
}

static void judge_tensors(wispi_trial *t, exact_loss *x, double *d, findings *f)
{
    const gradients *g = x->g;
    const int32_t n_trained = count_trained(g), every = 1 + (n_trained - 1) / MOST_DIRECTIONS;
    int64_t first = 0;
    double size = 0;
    for (int32_t i = 0, k = 0; i < count_tensors(g); i++) {
        const wispi_model_tensor *tensor = tensor_of(g, i);
        const int64_t n = trained_values(tensor);
        const double own = n ? length_of(x, tensor->variable) : 0;
        if (n && k++ % every == 0 && !wispi_trial_is_decided(t))
            judge_direction(t, x, first, n, own, tensor->name, d, f);
        first += n;
        size += own * own;
    }
    if (!wispi_trial_is_decided(t))
        judge_direction(t, x, 0, first, sqrt(size), "all parameters together", d, f);
}

static void judge_gradient(wispi_trial *t, gradients *g)
{
    exact_loss x = {.g = g, .arena = wispi_arena_create(1 << 20)};
    double *d = wispi_alloc_array((size_t)count_values(g) + 1, sizeof *d);
    findings f = {0, 0, 0};
    wisp_error err = {0};
    x.hold.arena = x.arena;
    if (!x.arena || !d)
        wispi_trial_fail(t, "no memory for finite differences");
    else if (evaluate(&x, NULL, 0, &x.loss, &err) != WISP_OK)
        wispi_trial_fail(t, "a step in double: %s", err.message);
    if (!wispi_trial_is_decided(t)) {
        x.hold.is_kept = 1;
        settle_parameters(&x);
        judge_tensors(t, &x, d, &f);
    }
    if (!wispi_trial_is_decided(t) && f.checked == 0)
        wispi_trial_fail(t, "the loss has a bend wherever it was tried: no slope could be found");
    wispi_trial_note(t, "%d directions, at most %.2g off; %d with bends left out", f.checked,
                     f.worst, f.bent);
    wispi_free(d);
    wispi_arena_destroy(x.arena);
}

void wispi_validate_gradient_check(wispi_trial *t)
{
    const wispi_practice_plan plan = {.device = WISPI_SEALED_DEVICE};
    wispi_subject s;
    wispi_practice p;
    gradients g = {0};
    wisp_error err = {0};
    if (!wispi_trial_practise(t, &s, &plan, &p))
        return;
    if (begin_measuring(&p, &g, &err) != WISP_OK)
        wispi_trial_fail(t, "the first step: %s", err.message);
    else
        judge_gradient(t, &g);
    forget(&g);
    wispi_trial_end_practice(&s, &p);
}

/* --- on every backend --- */

typedef struct comparison {
    wispi_trial *trial;
    const gradients *reference;
    wispi_text notes;
} comparison;

static void compare(comparison *c, const char *backend, const gradients *g)
{
    const gradients *r = c->reference;
    int64_t at = 0;
    if (!(fabsf(g->value - r->value) <= 1e-3f * fabsf(r->value) + 1e-5f))
        wispi_trial_fail(c->trial, "%s: the first loss is %.7g, and %.7g by the reference kernels",
                         backend, (double)g->value, (double)r->value);
    for (int32_t i = 0; i < count_tensors(r); i++) {
        double off = 0, own = 0;
        for (const int64_t end = at + trained_values(tensor_of(r, i)); at < end; at++) {
            off += (g->all[at] - r->all[at]) * (g->all[at] - r->all[at]);
            own += r->all[at] * r->all[at];
        }
        if (!(sqrt(off) <= 1e-2 * sqrt(own) + 1e-4 * r->length))
            wispi_trial_fail(c->trial,
                             "%s: the first gradient of %s is %.3g off, and its length is %.3g",
                             backend, tensor_of(r, i)->name, sqrt(off), sqrt(own));
    }
}

static void try_backend(void *user, const char *name)
{
    comparison *c = user;
    const wispi_practice_plan plan = {.device = name};
    wispi_subject s;
    wispi_practice p;
    gradients g = {0};
    wisp_error err = {0};
    if (strcmp(name, WISPI_SEALED_DEVICE) == 0 || !wispi_trial_create(c->trial, &s))
        return;
    const wisp_status opened = wispi_practice_open(c->trial, &s, &plan, &p, &err);
    if (opened == WISP_OK) {
        if (measure(&p, &g, &err) != WISP_OK)
            wispi_trial_fail(c->trial, "%s: %s", name, err.message);
        else
            compare(c, name, &g);
        forget(&g);
        wispi_practice_close(&p);
        wispi_text_printf(&c->notes, "%s%s", c->notes.length ? ", " : "", name);
    } else if (opened != WISP_E_CONFIG && opened != WISP_E_DEVICE && opened != WISP_E_NOT_FOUND) {
        wispi_trial_fail(c->trial, "%s: %s", name, err.message);
    } else {
        wispi_text_printf(&c->notes, "%snot %s (%.200s)", c->notes.length ? ", " : "", name,
                          err.message);
    }
    wispi_subject_destroy(&s);
}

void wispi_validate_every_backend(wispi_trial *t)
{
    const wispi_practice_plan plan = {.device = WISPI_SEALED_DEVICE};
    wispi_subject s;
    wispi_practice p;
    gradients g = {0};
    wisp_error err = {0};
    comparison c = {t, &g, {0}};
    if (!wispi_trial_practise(t, &s, &plan, &p))
        return;
    if (measure(&p, &g, &err) != WISP_OK ||
        wispi_registry_names(t->registry, "backend", try_backend, &c, &err) != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
    else if (c.notes.length == 0)
        wispi_trial_skip(t, "no backend is here");
    wispi_trial_note(t, "%s", c.notes.data ? c.notes.data : "");
    forget(&g);
    wispi_text_free(&c.notes);
    wispi_trial_end_practice(&s, &p);
}

#include "train/validate_practice.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "loader/containment.h"
#include "train/validate_sealed_device.h"
#include "train/validate_stand_in.h"

/* Backbones under test are larger than the one that stands in. */
enum { METHOD_BATCH = 8, BACKBONE_BATCH = 4 };

/* Views of a method. A backbone is given the smallest of these that it takes. */
static const int32_t sides[] = {16, 32, 64, 128, 224};

static int is_method(const wispi_trial *t)
{
    return strcmp(t->plugin->kind, "method") == 0;
}

static int is_backbone(const wispi_trial *t)
{
    return strcmp(t->plugin->kind, "backbone") == 0;
}

/* --- the experiment --- */

typedef struct wants {
    int32_t n_global, n_local, needs_tokens;
} wants;

static int32_t within(int32_t usual, int32_t least, int32_t most)
{
    if (most < 0)
        return 0;
    if (most > 0 && usual > most)
        usual = most;
    return usual > least ? usual : least;
}

/* Two global and two local views, or as many as the method takes. */
static wants find_wants(const wispi_subject *s, const wispi_practice_plan *plan)
{
    const wispi_plugin *plugin = s->instance.plugin;
    wisp_requirements r;
    memset(&r, 0, sizeof r);
    r.struct_size = sizeof r;
    if (strcmp(plugin->kind, "method") == 0) {
        const wisp_method_v0 *vtable = plugin->descriptor->vtable;
        WISPI_VISIT(plugin, "requirements", vtable->requirements(s->instance.self, &r));
    } else {
        r.max_global = 1;
        r.max_local = -1;
    }
    const int tokens = (r.needs & WISP_NEED_TOKENS) != 0;
    if (plan->views == WISPI_PRACTICE_ONE)
        return (wants){1, 0, tokens};
    if (plan->views == WISPI_PRACTICE_FEWEST)
        return (wants){r.min_global > 1 ? r.min_global : 1, r.min_local, tokens};
    return (wants){within(2, r.min_global, r.max_global), within(2, r.min_local, r.max_local),
                   tokens};
}

static const char *usual_device(const wispi_trial *t)
{
    const wispi_plugin *cpu = NULL;
    const int is_there = wispi_registry_load(t->registry, "backend", "cpu", &cpu, NULL) == WISP_OK;
    return is_there ? "cpu" : WISPI_SEALED_DEVICE;
}

static void write_run(wispi_text *text, const wispi_trial *t, const wispi_practice_plan *plan)
{
    const int32_t usual = is_backbone(t) ? BACKBONE_BATCH : METHOD_BATCH;
    const int32_t batch = plan->batch ? plan->batch : usual;
    const int32_t workers = plan->workers < 0 ? 0 : plan->workers ? plan->workers : 1;
    wispi_text_printf(text, "[run]\nepochs = 2\nbatch = %d\nworkers = %d\nthreads = 1\n", batch,
                      workers);
    wispi_text_printf(text, "device = \"%s\"\nviews = \"host\"\non_collapse = \"ignore\"\n",
                      plan->device ? plan->device : usual_device(t));
    wispi_text_printf(text, "[data]\nuse = \"synthetic\"\ncount = %d\nsize = 24\n",
                      WISPI_PRACTICE_EPOCH * batch);
    wispi_text_append(text, "[test]\nuse = \"synthetic\"\ncount = 8\nsplit = \"test\"\n");
    wispi_text_append(text, "[optimizer]\nuse = \"adamw\"\nlr = 1e-3\n");
}

static void write_others(wispi_text *text, const wispi_trial *t, const wants *w, int32_t side)
{
    wispi_text_printf(text,
                      "[sampler]\nuse = \"multicrop\"\nglobal = { count = %d, size = %d }\n"
                      "local = { count = %d, size = %d }\n",
                      w->n_global, side, w->n_local, side / 2);
    if (!is_method(t))
        wispi_text_append(text, "[method]\nuse = \"" WISPI_STAND_IN "\"\n");
    if (is_backbone(t))
        return;
    if (w->needs_tokens)
        wispi_text_append(text, "[backbone]\nuse = \"vit\"\ndim = 16\ndepth = 2\nheads = 2\n"
                                "patch_size = 4\nimage_size = 16\n");
    else
        wispi_text_append(text, "[backbone]\nuse = \"" WISPI_STAND_IN "\"\n");
}

/* --- life --- */

static wisp_status open_with(wispi_trial *t, const wispi_subject *s,
                             const wispi_practice_plan *plan, int32_t side, wispi_practice *p,
                             wisp_error *err)
{
    const wants w = find_wants(s, plan);
    wispi_text text = {0};
    memset(p, 0, sizeof *p);
    p->spoil = plan->spoil;
    write_run(&text, t, plan);
    write_others(&text, t, &w, side);
    wisp_status status = text.failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for an experiment")
                                     : wispi_stand_ins_add(t->registry, err);
    if (status == WISP_OK)
        status = wispi_experiment_around(t->registry, &s->instance, text.data, &p->experiment, err);
    wispi_text_free(&text);
    if (status == WISP_OK)
        status = wispi_session_open(p->experiment, &p->session, err);
    if (status == WISP_OK && is_backbone(t))
        status = wispi_session_record(p->session, WISPI_RECORD_SHAPES_ONLY, err);
    if (status != WISP_OK)
        wispi_practice_close(p);
    return status;
}

wisp_status wispi_practice_open(wispi_trial *t, const wispi_subject *s,
                                const wispi_practice_plan *plan, wispi_practice *p, wisp_error *err)
{
    static const wispi_practice_plan usual;
    wisp_error first = {0}, later = {0};
    plan = plan ? plan : &usual;
    wisp_status status = open_with(t, s, plan, sides[0], p, &first);
    for (size_t i = 1; is_backbone(t) && i < WISP_COUNT(sides); i++) {
        if (status == WISP_OK || status == WISP_E_NOMEM)
            break;
        if (open_with(t, s, plan, sides[i], p, &later) == WISP_OK)
            return WISP_OK;
    }
    if (status != WISP_OK && err)
        *err = first;
    return status;
}

void wispi_practice_close(wispi_practice *p)
{
    wispi_feed_destroy(p->feed);
    wispi_session_close(p->session);
    wispi_experiment_destroy(p->experiment);
    memset(p, 0, sizeof *p);
}

int64_t wispi_practice_parameters(const wispi_practice *p)
{
    const wispi_model *model = p->session->model;
    int64_t n = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++)
        if (wispi_model_tensor_at(model, i)->role == WISPI_ROLE_PARAMETER)
            n += wisp_desc_count(wispi_model_tensor_at(model, i)->desc);
    return n;
}

int wispi_practice_is_large(const wispi_practice *p)
{
    enum { LARGE = 1000000 };
    return wispi_practice_parameters(p) > LARGE;
}

/* Returns 0 and skips the trial where the reference kernels would take minutes. */
static int fits_device(wispi_trial *t, const wispi_practice_plan *plan, const wispi_practice *p)
{
    if (!plan || !plan->device || strcmp(plan->device, WISPI_SEALED_DEVICE) != 0 ||
        !wispi_practice_is_large(p))
        return 1;
    wispi_trial_skip(t,
                     "its networks have %lld parameters, too many for the reference kernels: give "
                     "options behind the file that make it small, such as width=0.125",
                     (long long)wispi_practice_parameters(p));
    return 0;
}

int wispi_trial_practise(wispi_trial *t, wispi_subject *s, const wispi_practice_plan *plan,
                         wispi_practice *p)
{
    wisp_error err = {0};
    if (!wispi_trial_load(t))
        return 0;
    wispi_trial_shrink(t);
    if (!wispi_trial_create(t, s))
        return 0;
    const wisp_status status = wispi_practice_open(t, s, plan, p, &err);
    if (status == WISP_OK && fits_device(t, plan, p))
        return 1;
    wispi_practice_close(p);
    if (status == WISP_OK) {
        wispi_subject_destroy(s);
        return 0;
    }
    if (status == WISP_E_NOT_FOUND)
        wispi_trial_skip(t, "what a training needs is not here: %s", err.message);
    else
        wispi_trial_fail(t, "no training can begin: %s", err.message);
    wispi_subject_destroy(s);
    return 0;
}

void wispi_trial_end_practice(wispi_subject *s, wispi_practice *p)
{
    wispi_practice_close(p);
    wispi_subject_destroy(s);
}

/* --- steps --- */

wisp_status wispi_practice_begin_epoch(wispi_practice *p, wisp_error *err)
{
    wispi_session *s = p->session;
    const wispi_instance *method = &p->experiment->method;
    const wisp_method_v0 *vtable = method->plugin->descriptor->vtable;
    wisp_status status = WISP_OK;
    s->clock.step = p->step;
    s->clock.epoch = p->step / s->steps_per_epoch;
    if (vtable->epoch_begin)
        WISPI_CALL(status, method->plugin, "epoch_begin", err,
                   vtable->epoch_begin(method->self, &s->clock, err));
    WISP_TRY(status);
    p->is_ready = 1;
    return wispi_session_record(s, 0, err);
}

/* Every pixel of the batch. */
static void spoil(const wispi_session *s, wispi_feed_batch *batch)
{
    for (int32_t g = 0; g < s->n_groups; g++) {
        float *values = batch->groups[g];
        const int64_t n = wisp_desc_count(&s->whole.batch.views[g].desc);
        for (int64_t i = 0; i < n; i++)
            values[i] = NAN;
    }
}

wisp_status wispi_practice_batch(wispi_practice *p, wispi_feed_batch **batch, wisp_error *err)
{
    wispi_session *s = p->session;
    if (!p->feed) {
        WISP_TRY(wispi_session_feed(s, &p->experiment->data, WISPI_FEED_SAMPLED, s->local_batch,
                                    &p->feed, err));
        WISP_TRY(wispi_feed_seek(p->feed, p->step / s->steps_per_epoch,
                                 p->step % s->steps_per_epoch, err));
    }
    WISP_TRY(wispi_feed_next(p->feed, batch, err));
    if (p->spoil)
        spoil(s, *batch);
    return WISP_OK;
}

static wisp_status read_loss(wispi_practice *p, wisp_error *err)
{
    wispi_step_report *report = NULL;
    WISP_TRY(wispi_session_post(p->session, 0, &report, err));
    WISP_TRY(wispi_session_await(p->session, report, err));
    p->losses[p->step] = report->values[0];
    return WISP_OK;
}

static wisp_status one_step(wispi_practice *p, wisp_error *err)
{
    wispi_session *s = p->session;
    wispi_feed_batch *batch = NULL;
    if (!p->is_ready || p->step % s->steps_per_epoch == 0)
        WISP_TRY(wispi_practice_begin_epoch(p, err));
    WISP_TRY(wispi_practice_batch(p, &batch, err));
    s->clock.step = p->step;
    wisp_status status = wispi_session_step(s, batch, NULL, err);
    if (status == WISP_OK)
        status = read_loss(p, err);
    wispi_feed_release(p->feed, batch);
    p->step++;
    return status;
}

wisp_status wispi_practice_train(wispi_practice *p, int64_t end, wisp_error *err)
{
    while (p->step < end && p->step < WISPI_PRACTICE_STEPS)
        WISP_TRY(one_step(p, err));
    return WISP_OK;
}

/* --- its state --- */

static size_t state_bytes(const wispi_model *model)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++)
        bytes += (size_t)wisp_desc_bytes(wispi_model_tensor_at(model, i)->desc);
    return bytes;
}

uint8_t *wispi_practice_state(const wispi_practice *p)
{
    const wispi_model *model = p->session->model;
    uint8_t *state = wispi_alloc(state_bytes(model) + 1), *at = state;
    for (int32_t i = 0; state && i < wispi_model_tensor_count(model); i++) {
        const wispi_model_tensor *tensor = wispi_model_tensor_at(model, i);
        if (wispi_variable_read(p->session->device, tensor->variable, at, NULL) != WISP_OK) {
            wispi_free(state);
            return NULL;
        }
        at += wisp_desc_bytes(tensor->desc);
    }
    return state;
}

wisp_status wispi_practice_restore(const wispi_practice *p, const uint8_t *state, wisp_error *err)
{
    const wispi_model *model = p->session->model;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++) {
        const wispi_model_tensor *tensor = wispi_model_tensor_at(model, i);
        WISP_TRY(wispi_variable_write(p->session->device, tensor->variable, state, err));
        state += wisp_desc_bytes(tensor->desc);
    }
    return WISP_OK;
}

const char *wispi_practice_difference(const wispi_practice *p, const uint8_t *a, const uint8_t *b)
{
    const wispi_model *model = p->session->model;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++) {
        const wispi_model_tensor *tensor = wispi_model_tensor_at(model, i);
        const size_t bytes = (size_t)wisp_desc_bytes(tensor->desc);
        if (memcmp(a, b, bytes) != 0)
            return tensor->name;
        a += bytes;
        b += bytes;
    }
    return NULL;
}

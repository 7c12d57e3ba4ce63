#include "report/arm_resolve.h"

#include <string.h>

#include "base/text.h"
#include "config/options_fill.h"
#include "report/call_words.h"
#include "train/session.h"

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for the arms");
}

/* Says whose the failure is; what a plugin or a file said of itself stays. */
static wisp_status of_arm(const wispi_arm *arm, wisp_status status, wisp_error *err)
{
    if (status == WISP_OK || !err)
        return status;
    wisp_error cause = *err;
    snprintf(err->message, sizeof err->message, "arm %.60s: %.1300s", arm->name, cause.message);
    return status;
}

wisp_status wispi_arm_read_settings(wispi_registry *registry, wispi_arm *arm, wisp_error *err)
{
    wispi_experiment *x = NULL;
    WISP_TRY(of_arm(
        arm, wispi_experiment_load(registry, arm->path, arm->overrides, arm->n_overrides, &x, err),
        err));
    arm->file_seed = x->run.seed;
    arm->threads = (int32_t)x->run.threads;
    arm->workers = (int32_t)x->run.workers;
    wispi_experiment_destroy(x);
    return WISP_OK;
}

/* --- the overrides that make an arm's experiment one of the study --- */

static wisp_status frame_overrides(const wispi_arm_frame *frame, const wispi_arm *arm,
                                   wispi_arena *arena, wispi_call_words *out, wisp_error *err)
{
    wispi_call_words o = wispi_call_words_begin(arena, arm->n_overrides + 6);
    for (int32_t i = 0; i < arm->n_overrides; i++)
        wispi_call_words_add(&o, arm->overrides[i]);
    wispi_call_words_add(&o, "run.seed=0");
    wispi_call_words_add(&o, "run.resume=true");
    wispi_call_words_add_string(&o, "run.out", frame->out);
    wispi_call_words_add_string(&o, "run.name", arm->name);
    if (frame->device)
        wispi_call_words_add_string(&o, "run.device", frame->device);
    if (arm->threads == 0)
        wispi_call_words_add(&o, wispi_arena_printf(arena, "run.threads=%d", frame->threads));
    *out = o;
    return o.failed ? no_memory(err) : WISP_OK;
}

/* --- resolving --- */

static wisp_status take_session(const wispi_session *session, wispi_arena *arena, wispi_arm *arm,
                                wisp_error *err)
{
    const wispi_experiment *x = session->experiment;
    wispi_text text = {0};
    wisp_status status = wispi_experiment_resolved(x, session->model, &text, err);
    if (status == WISP_OK) {
        arm->resolved = wispi_arena_text(arena, text.data);
        arm->steps = session->total_steps;
        if (x->run.steps > 0 && x->run.steps < arm->steps)
            arm->steps = x->run.steps;
        arm->threads = (int32_t)x->run.threads;
        arm->judges = x->n_tasks + x->n_probes > 0;
        status = arm->resolved ? WISP_OK : no_memory(err);
    }
    wispi_text_free(&text);
    return status;
}

static wisp_status resolve(wispi_registry *registry, const wispi_call_words *o, wispi_arena *arena,
                           wispi_arm *arm, wisp_error *err)
{
    wispi_experiment *x = NULL;
    wispi_session *session = NULL;
    WISP_TRY(wispi_experiment_load(registry, arm->path, o->list, o->n, &x, err));
    wisp_status status = wispi_session_open(x, &session, err);
    if (status == WISP_OK)
        status = take_session(session, arena, arm, err);
    wispi_session_close(session);
    wispi_experiment_destroy(x);
    return status;
}

wisp_status wispi_arm_resolve(wispi_registry *registry, const wispi_arm_frame *frame,
                              wispi_arena *arena, wispi_arm *arm, wisp_error *err)
{
    wispi_call_words o = {0};
    WISP_TRY(frame_overrides(frame, arm, arena, &o, err));
    return of_arm(arm, resolve(registry, &o, arena, arm, err), err);
}

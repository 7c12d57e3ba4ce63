/* embedding_dump.c - what the weights of a run make of given images, for comparisons with other
 * programs.
 *
 *   embedding_dump PLUGINS RUN IN.safetensors OUT.safetensors
 *
 * PLUGINS is the folder of the plugins. IN holds "images", f32 (N,H,W,3), normalised already; OUT
 * gets "embedding" (N,D) of the network that the run evaluates. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "loader/host_table.h"
#include "train/checkpoint.h"
#include "train/safetensors.h"
#include "train/session.h"
#include "train/stored_run.h"

typedef struct forward {
    wispi_session *session;
    wispi_variable images;
    wisp_tensor *embedding;
} forward;

static void embed(wisp_step *step, void *user)
{
    forward *f = user;
    wisp_no_grad_begin(step);
    f->embedding = wisp_forward(step, f->session->evaluated, wispi_step_variable(step, &f->images));
    wisp_no_grad_end(step);
    wispi_step_keep(step, f->embedding);
}

static wisp_status run_forward(forward *f, float *values, wisp_error *err)
{
    wispi_session *s = f->session;
    wispi_program *program = NULL;
    wispi_model_set_eval(s->model, 1);
    WISP_TRY(
        wispi_program_record(s->device, wispi_ops_table(), s->model, 0, embed, f, &program, err));
    wisp_status status = wispi_model_refresh(s->model, err);
    if (status == WISP_OK)
        status = wispi_program_run(program, embed, f, NULL, err);
    if (status == WISP_OK)
        status = wispi_program_read(program, f->embedding, values, err);
    wispi_program_destroy(program);
    return status;
}

static wisp_status write_embedding(wispi_session *session, const wispi_stored_tensor *images,
                                   const char *path, wisp_error *err)
{
    forward f = {.session = session};
    const wisp_desc desc = wisp_desc2(WISP_F32, images->desc.shape[0], session->embedding_dim);
    float *values = malloc((size_t)wisp_desc_bytes(&desc));
    if (!values)
        return wisp_fail(err, WISP_E_NOMEM, "no memory");
    wisp_status status =
        wispi_variable_init(session->device, &f.images, "images", &images->desc, NULL, err);
    if (status == WISP_OK)
        status = wispi_variable_write(session->device, &f.images, images->data, err);
    if (status == WISP_OK)
        status = run_forward(&f, values, err);
    const wispi_stored_tensor out = {"embedding", desc, values};
    if (status == WISP_OK)
        status = wispi_safetensors_write(path, &out, 1, NULL, 0, err);
    wispi_variable_fini(session->device, &f.images);
    free(values);
    return status;
}

static wisp_status dump(wispi_registry *registry, char **argv, wisp_error *err)
{
    wispi_stored_run run;
    wispi_experiment *experiment = NULL;
    wispi_session *session = NULL;
    wispi_safetensors *images = NULL;
    WISP_TRY(wispi_stored_run_find(argv[2], &run, err));
    WISP_TRY(wispi_safetensors_open(argv[3], 0, &images, err));
    wisp_status status = wispi_experiment_load(registry, run.config, NULL, 0, &experiment, err);
    if (status == WISP_OK)
        status = wispi_session_open(experiment, &session, err);
    if (status == WISP_OK)
        status =
            wispi_checkpoint_load_weights(run.weights, session->model, session->evaluated, err);
    if (status == WISP_OK)
        status = write_embedding(session, wispi_safetensors_find(images, "images"), argv[4], err);
    wispi_session_close(session);
    wispi_experiment_destroy(experiment);
    wispi_safetensors_close(images);
    return status;
}

int main(int argc, char **argv)
{
    const char *const folders[] = {argc == 5 ? argv[1] : NULL, NULL};
    const wispi_registry_options options = {folders, 1, 0};
    wispi_registry *registry = NULL;
    wisp_error err = {0};
    if (argc != 5)
        return 2;
    wispi_log_set_level(WISP_LOG_ERROR);
    wisp_status status = wispi_registry_create(&options, wispi_host_table(), &registry, &err);
    if (status == WISP_OK)
        status = dump(registry, argv, &err);
    wispi_registry_destroy(registry);
    if (status != WISP_OK)
        fprintf(stderr, "%s\n", err.message);
    return status == WISP_OK ? 0 : 1;
}

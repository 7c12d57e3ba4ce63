#include "train/embedder.h"

#include <string.h>

#include "base/bf16.h"
#include "base/memory.h"
#include "loader/containment.h"

enum { MAX_PROGRAMS = 8, MAX_INPUTS = 2 };

enum { USE_EMBED = 1, USE_PRODUCT = 2, USE_PREDICT = 3, USE_ATTEND = 4 };

/* A recorded computation with its inputs; found again by use and shapes. */
typedef struct computation {
    int32_t use;
    int32_t source, n_blocks; /* as in wisp_embed_request */
    int32_t n_in;
    wispi_embedder *owner;
    const wispi_instance *probe;
    wisp_desc in[MAX_INPUTS];
    wispi_variable inputs[MAX_INPUTS];
    void *own[MAX_INPUTS];
    wispi_program *program;
    wispi_metrics metrics;
    const wisp_tensor *out;
    int64_t heads, tokens; /* of an attention */
} computation;

struct wispi_embedder {
    wispi_session *session;
    computation *slots[MAX_PROGRAMS];
    int32_t next;
};

wisp_status wispi_embedder_create(wispi_session *session, wispi_embedder **embedder,
                                  wisp_error *err)
{
    wispi_embedder *e = wispi_alloc(sizeof *e);
    if (!e)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to embed");
    e->session = session;
    *embedder = e;
    return WISP_OK;
}

static void destroy_computation(computation *c)
{
    if (!c)
        return;
    wispi_program_destroy(c->program);
    for (int32_t i = 0; i < c->n_in; i++) {
        c->inputs[i].data = c->own[i];
        wispi_variable_fini(c->owner->session->device, &c->inputs[i]);
    }
    wispi_free(c);
}

void wispi_embedder_destroy(wispi_embedder *e)
{
    if (!e)
        return;
    for (int32_t i = 0; i < MAX_PROGRAMS; i++)
        destroy_computation(e->slots[i]);
    wispi_free(e);
}

/* (N,C) of the last blocks, side by side: (N,n*C). */
static wisp_tensor *class_tokens(const wispi_session *s, wisp_step *step, int32_t n, wisp_tensor *x)
{
    wisp_features f;
    memset(&f, 0, sizeof f);
    f.struct_size = sizeof f;
    f.taps = WISP_TAP_CLASS_TOKENS;
    wisp_forward_features(step, s->evaluated, x, &f);
    if (n >= 1 && n <= f.n_blocks)
        return wisp_concat(step, f.class_tokens + f.n_blocks - n, n, 1);
    wispi_step_fail(step, WISP_E_PLUGIN, "class tokens of %d blocks are wanted, there are %d", n,
                    f.n_blocks);
    return NULL;
}

static wisp_tensor *embed_step(const computation *c, wisp_step *step, wisp_tensor *x)
{
    const wispi_session *s = c->owner->session;
    const wispi_instance *method = &s->experiment->method;
    const wisp_method_v0 *vtable = method->plugin->descriptor->vtable;
    wisp_tensor *out = NULL;
    if (c->source == WISP_EMBED_POOLED)
        return wisp_forward(step, s->evaluated, x);
    if (c->source == WISP_EMBED_CLASS_TOKENS)
        return class_tokens(s, step, c->n_blocks, x);
    WISPI_VISIT(method->plugin, "predict", out = vtable->predict(method->self, step, x));
    return out;
}

/* (N,heads,1,T): how the class token of the last block attends to all tokens. */
static wisp_tensor *class_attention(const wispi_session *s, wisp_step *step, wisp_tensor *x)
{
    wisp_features f;
    memset(&f, 0, sizeof f);
    f.struct_size = sizeof f;
    f.taps = WISP_TAP_ATTENTION;
    wisp_forward_features(step, s->evaluated, x, &f);
    wisp_tensor *last = f.n_blocks > 0 ? f.attention[f.n_blocks - 1] : NULL;
    const wisp_desc *d = last ? wisp_shape_of(step, last) : NULL;
    if (d && d->rank == 4 && d->shape[2] == d->shape[3])
        return wisp_slice(step, last, 2, 0, 1);
    wispi_step_fail(step, WISP_E_PLUGIN, "the backbone gave no attention of its last block");
    return NULL;
}

static int64_t embedded_dim(const wispi_session *s, int32_t source, int32_t n_blocks)
{
    const wispi_instance *data = &s->experiment->data;
    if (source == WISP_EMBED_SCORES)
        return wispi_dataset_of(data)->n_classes(data->self);
    return source == WISP_EMBED_CLASS_TOKENS ? n_blocks * s->embedding_dim : s->embedding_dim;
}

/* The memory that takes the values was made for this many. */
static void check_shape(const computation *c, wisp_step *step, const wisp_tensor *out)
{
    const int64_t rows = c->in[0].shape[0];
    const int64_t dim = embedded_dim(c->owner->session, c->source, c->n_blocks);
    const wisp_desc *d = out ? wisp_shape_of(step, out) : NULL;
    if (d && (d->rank != 2 || d->shape[0] != rows || d->shape[1] != dim))
        wispi_step_fail(step, WISP_E_PLUGIN,
                        "%lld images gave an embedding that is not (%lld, %lld)", (long long)rows,
                        (long long)rows, (long long)dim);
}

static void compute_step(wisp_step *step, void *user)
{
    computation *c = user;
    wisp_tensor *in[MAX_INPUTS] = {NULL};
    for (int32_t i = 0; i < c->n_in; i++)
        in[i] = wispi_step_variable(step, &c->inputs[i]);
    wisp_tensor *out = NULL;
    wisp_no_grad_begin(step);
    if (c->use == USE_EMBED) {
        out = embed_step(c, step, in[0]);
        check_shape(c, step, out);
    } else if (c->use == USE_ATTEND) {
        out = class_attention(c->owner->session, step, in[0]);
        c->heads = out ? wisp_shape_of(step, out)->shape[1] : 0;
        c->tokens = out ? wisp_shape_of(step, out)->shape[3] : 0;
    } else if (c->use == USE_PRODUCT) {
        out = wisp_linear(step, in[0], in[1], NULL);
    } else {
        const wisp_task_v0 *vtable = c->probe->plugin->descriptor->vtable;
        WISPI_VISIT(c->probe->plugin, "predict",
                    out = vtable->predict(c->probe->self, step, in[0]));
    }
    if (out && wisp_shape_of(step, out)->dtype != WISP_F32)
        out = wisp_cast(step, out, WISP_F32);
    wisp_no_grad_end(step);
    wispi_step_keep(step, out);
    c->out = out;
}

static wisp_status prepare(computation *c, wisp_error *err)
{
    wispi_session *s = c->owner->session;
    int visible = wispi_device_host_visible(s->device);
    static char unused[64];
    for (int32_t i = 0; i < c->n_in; i++) {
        /* Visible memory is lent by the caller at every run. */
        WISP_TRY(wispi_variable_init(s->device, &c->inputs[i], "input", &c->in[i],
                                     visible ? unused : NULL, err));
        c->own[i] = c->inputs[i].data;
    }
    wispi_model_set_eval(s->model, 1);
    wispi_model_set_metrics(s->model, &c->metrics);
    wisp_status status = wispi_program_record(s->device, wispi_ops_table(), s->model, 0,
                                              compute_step, c, &c->program, err);
    if (status == WISP_OK)
        status = wispi_model_refresh(s->model, err);
    wispi_model_set_eval(s->model, 0);
    wispi_model_set_metrics(s->model, &s->now->metrics);
    return status;
}

static wisp_status find(wispi_embedder *e, const computation *wanted, computation **out,
                        wisp_error *err)
{
    for (int32_t i = 0; i < MAX_PROGRAMS; i++) {
        computation *c = e->slots[i];
        if (c && c->use == wanted->use && c->probe == wanted->probe &&
            c->source == wanted->source && c->n_blocks == wanted->n_blocks &&
            memcmp(c->in, wanted->in, sizeof c->in) == 0) {
            *out = c;
            return WISP_OK;
        }
    }
    computation *made = wispi_alloc(sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a computation");
    *made = *wanted;
    made->owner = e;
    wisp_status status = prepare(made, err);
    if (status != WISP_OK) {
        destroy_computation(made);
        return status;
    }
    destroy_computation(e->slots[e->next]);
    e->slots[e->next] = made;
    e->next = (e->next + 1) % MAX_PROGRAMS;
    *out = made;
    return WISP_OK;
}

static wisp_status run(computation *c, const void *const *inputs, float *out, wisp_error *err)
{
    wispi_session *s = c->owner->session;
    for (int32_t i = 0; i < c->n_in; i++) {
        if (wispi_device_host_visible(s->device)) {
            memcpy(&c->inputs[i].data, &inputs[i], sizeof inputs[i]); /* the kernels only read it */
            ++*c->inputs[i].version;
        } else {
            WISP_TRY(wispi_variable_write(s->device, &c->inputs[i], inputs[i], err));
        }
    }
    wispi_model_set_eval(s->model, 1);
    wisp_status status = wispi_program_run(c->program, compute_step, c, NULL, err);
    wispi_model_set_eval(s->model, 0);
    WISP_TRY(status);
    return wispi_program_read(c->program, c->out, out, err);
}

/* --- embeddings --- */

static void widen_pixels(const wispi_session *s, const void *pixels, int64_t n, float *out)
{
    if (wispi_run_dtype(&s->experiment->run) == WISP_F32) {
        memcpy(out, pixels, (size_t)n * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = wispi_f32_from_bf16(((const uint16_t *)pixels)[i]);
}

static wisp_status embed_batch(wispi_embedder *e, const wispi_feed_batch *batch, int64_t side,
                               const wispi_embed_job *job, float *out, wisp_error *err)
{
    const wispi_session *s = e->session;
    if (job->raw) {
        widen_pixels(s, batch->groups[0], batch->size * side * side * 3, out);
        return WISP_OK;
    }
    computation wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.use = USE_EMBED;
    wanted.source = job->source;
    wanted.n_blocks = job->source == WISP_EMBED_CLASS_TOKENS ? job->n_blocks : 0;
    wanted.n_in = 1;
    wanted.in[0] = wisp_desc4(wispi_run_dtype(&s->experiment->run), batch->size, side, side, 3);
    computation *c = NULL;
    WISP_TRY(find(e, &wanted, &c, err));
    const void *inputs[1] = {batch->groups[0]};
    return run(c, inputs, out, err);
}

static wisp_status embed_all(wispi_embedder *e, wispi_feed *feed, int64_t side,
                             const wispi_embed_job *job, wispi_embedding *out, wisp_error *err)
{
    for (int64_t done = 0; done < job->count;) {
        wispi_feed_batch *batch = NULL;
        if (job->stop && *job->stop)
            return wisp_fail(err, WISP_E_STOPPED, "stopped while embedding");
        WISP_TRY(wispi_feed_next(feed, &batch, err));
        wisp_status status =
            embed_batch(e, batch, side, job, out->values + done * out->plugin.dim, err);
        for (int64_t i = 0; out->labels && i < batch->size; i++)
            out->labels[done + i] = (int32_t)batch->label[i];
        if (job->seen && status == WISP_OK)
            job->seen(job->user, batch, done);
        done += batch->size;
        wispi_feed_release(feed, batch);
        WISP_TRY(status);
    }
    return WISP_OK;
}

wisp_status wispi_embed(wispi_embedder *e, wispi_feed *feed, const wispi_embed_job *job,
                        wispi_embedding *out, wisp_error *err)
{
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    wispi_feed_groups(feed, groups);
    const int64_t side = groups[0].width;
    const size_t count = (size_t)job->count;
    wispi_embedding made;
    memset(&made, 0, sizeof made);
    made.plugin.count = job->count;
    made.plugin.dim =
        job->raw ? side * side * 3 : embedded_dim(e->session, job->source, job->n_blocks);
    made.plugin.n_classes = job->n_classes;
    made.values = wispi_alloc_array(count, (size_t)made.plugin.dim * sizeof(float));
    made.labels = job->n_classes > 0 ? wispi_alloc_array(count, sizeof(int32_t)) : NULL;
    made.plugin.values = made.values;
    made.plugin.labels = made.labels;
    wisp_status status = WISP_OK;
    if (!made.values || (job->n_classes > 0 && !made.labels))
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for the embeddings of %lld images",
                           (long long)job->count);
    if (status == WISP_OK)
        status = embed_all(e, feed, side, job, &made, err);
    if (status == WISP_OK)
        *out = made;
    else
        wispi_embedding_free(&made);
    return status;
}

void wispi_embedding_free(wispi_embedding *embedding)
{
    wispi_free(embedding->values);
    wispi_free(embedding->labels);
    memset(embedding, 0, sizeof *embedding);
}

/* --- small computations --- */

wisp_status wispi_attend(wispi_embedder *e, const void *images, int64_t n, int64_t side,
                         wispi_attention *out, wisp_error *err)
{
    const wispi_session *s = e->session;
    if (!(wispi_module_backbone_info(s->evaluated)->taps & WISP_TAP_ATTENTION))
        return wisp_fail(err, WISP_E_UNSUPPORTED, "this backbone has no attention");
    computation wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.use = USE_ATTEND;
    wanted.n_in = 1;
    wanted.in[0] = wisp_desc4(wispi_run_dtype(&s->experiment->run), n, side, side, 3);
    computation *c = NULL;
    WISP_TRY(find(e, &wanted, &c, err));
    float *values = wispi_alloc_array((size_t)n, (size_t)(c->heads * c->tokens) * sizeof *values);
    if (!values)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the attention of %lld images",
                         (long long)n);
    const void *inputs[1] = {images};
    const wisp_status status = run(c, inputs, values, err);
    if (status == WISP_OK)
        *out = (wispi_attention){values, c->heads, c->tokens};
    else
        wispi_free(values);
    return status;
}

wisp_status wispi_product(wispi_embedder *e, const float *a, int64_t m, const float *b, int64_t n,
                          int64_t k, float *y, wisp_error *err)
{
    computation wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.use = USE_PRODUCT;
    wanted.n_in = 2;
    wanted.in[0] = wisp_desc2(WISP_F32, m, k);
    wanted.in[1] = wisp_desc2(WISP_F32, n, k);
    computation *c = NULL;
    WISP_TRY(find(e, &wanted, &c, err));
    const void *inputs[2] = {a, b};
    return run(c, inputs, y, err);
}

wisp_status wispi_predict(wispi_embedder *e, const wispi_instance *probe,
                          const wisp_embeddings *embeddings, int32_t n_classes, float *scores,
                          wisp_error *err)
{
    const int64_t chunk = 512;
    for (int64_t first = 0; first < embeddings->count; first += chunk) {
        int64_t rows = embeddings->count - first < chunk ? embeddings->count - first : chunk;
        computation wanted;
        memset(&wanted, 0, sizeof wanted);
        wanted.use = USE_PREDICT;
        wanted.n_in = 1;
        wanted.probe = probe;
        wanted.in[0] = wisp_desc2(WISP_F32, rows, embeddings->dim);
        computation *c = NULL;
        WISP_TRY(find(e, &wanted, &c, err));
        const void *inputs[1] = {embeddings->values + first * embeddings->dim};
        WISP_TRY(run(c, inputs, scores + first * n_classes, err));
    }
    return WISP_OK;
}

#include "train/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "loader/containment.h"
#include "tensor/transfer.h"
#include "train/device_choice.h"
#include "train/embedding_statistics.h"
#include "train/feed_settings.h"
#include "train/metric_log.h"
#include "train/schedule_table.h"
#include "train/task_check.h"

static int32_t world_of(const wispi_session *s)
{
    return wispi_ranks_size(s->experiment->ranks);
}

/* --- device --- */

/* Ranks on one machine share its processors, unless their launcher has shared them out already. */
static int32_t usual_threads(const wispi_session *s, int32_t n)
{
    const wispi_ranks *ranks = s->experiment->ranks;
    const int64_t online = sysconf(_SC_NPROCESSORS_ONLN);
    if (!ranks || ranks->on_machine < 2 || (int64_t)n * ranks->on_machine <= online)
        return n;
    return n / ranks->on_machine > 1 ? n / ranks->on_machine : 1;
}

static const wisp_backend_v0 *backend_table(const wispi_session *s)
{
    return wispi_backend_of(&s->backend);
}

static wisp_status describe_device(wispi_session *s, int32_t index, wisp_device_info *info,
                                   wisp_error *err)
{
    wisp_status status;
    memset(info, 0, sizeof *info);
    WISPI_CALL(status, s->backend.plugin, "device_info", err,
               backend_table(s)->device_info(s->backend.self, index, info, err));
    WISP_TRY(status);
    snprintf(s->device_name, sizeof s->device_name, "%s: %s", s->backend.plugin->descriptor->name,
             info->name);
    if (s->experiment->run.precision == WISP_BF16 && !info->has_bf16)
        return wisp_fail(
            err, WISP_E_CONFIG,
            "run.precision = \"bf16\": %s has no bf16 arithmetic; take precision = \"f32\"",
            s->device_name);
    return WISP_OK;
}

/* Does the communicator work on this device's memory itself? */
static int ranks_meet_there(const wispi_session *s)
{
    const wispi_ranks *ranks = s->experiment->ranks;
    return ranks && ranks->comm &&
           strcmp(ranks->comm->memory_kind, s->backend.plugin->descriptor->name) == 0;
}

static wisp_status meet_there(wispi_session *s, wisp_error *err)
{
    const wispi_ranks *ranks = s->experiment->ranks;
    const int is_there = ranks_meet_there(s);
    wispi_device_set_ranks_on_device(s->device, is_there);
    if (ranks && !is_there && strcmp(ranks->comm->memory_kind, "host") != 0)
        return wisp_fail(err, WISP_E_CONFIG,
                         "run.comm = \"%s\" works on memory of %s, and this run is on %s: take "
                         "another device, or run.comm = \"mpi\"",
                         s->experiment->run.comm, ranks->comm->memory_kind, s->device_name);
    if (!is_there || !ranks->comm->attach)
        return WISP_OK;
    void *queue = wispi_device_queue(s->device);
    if (!queue)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "%s has no queue to give to run.comm = \"%s\"",
                         s->device_name, s->experiment->run.comm);
    return ranks->comm->attach(ranks->self, queue, err);
}

static void leave_device(const wispi_session *s)
{
    const wispi_ranks *ranks = s->experiment->ranks;
    wisp_error unused;
    if (s->device && ranks && ranks->comm && ranks->comm->attach)
        ranks->comm->attach(ranks->self, NULL, &unused);
}

static wisp_status open_device(wispi_session *s, wisp_error *err)
{
    const wispi_run_settings *run = &s->experiment->run;
    int32_t index = 0;
    wisp_device_info info;
    WISP_TRY(wispi_device_choose(s->experiment->registry, wispi_config_arena(s->experiment->config),
                                 "run.device =", run->device, s->experiment->ranks, &s->backend,
                                 &index, err));
    WISP_TRY(describe_device(s, index, &info, err));
    s->n_threads = run->threads > 0 ? (int32_t)run->threads : usual_threads(s, info.n_threads);
    wispi_device_options options = {s->n_threads, run->deterministic,
                                    run->fallback == WISPI_FALLBACK_REFERENCE};
    wisp_status status;
    WISPI_CALL(
        status, s->backend.plugin, "open", err,
        wispi_device_open(backend_table(s), s->backend.self, index, &options, &s->device, err));
    WISP_TRY(status);
    wispi_device_set_capture(s->device, run->capture == WISPI_CAPTURE_AUTO);
    wispi_device_set_choice(s->device, run->precision == WISPI_PRECISION_TF32, run->autotune);
    if (run->precision == WISPI_PRECISION_TF32 && wispi_device_host_visible(s->device))
        wispi_log(WISP_LOG_INFO,
                  "run.precision = \"tf32\": %s has no such products and computes in "
                  "f32",
                  s->device_name);
    return meet_there(s, err);
}

/* --- data --- */

static wisp_status alloc_batch(void *user, size_t bytes, void **memory, wisp_error *err)
{
    return wispi_host_alloc(user, bytes, memory, err);
}

static void free_batch(void *user, void *memory)
{
    wispi_host_free(user, memory);
}

static wispi_feed_options feed_options(const wispi_session *s, const wispi_instance *data,
                                       int64_t batch)
{
    const int32_t processors = usual_threads(s, wispi_processors());
    wispi_feed_options o = wispi_feed_settings(s->experiment, data, batch, processors);
    if (wispi_device_is_late(s->device))
        o.memory = (wispi_feed_memory){s->device, alloc_batch, free_batch};
    o.take_turns = !wispi_device_is_late(s->device) && s->n_threads > 1 &&
                   s->n_threads + o.workers > processors;
    return o;
}

wisp_status wispi_session_feed(const wispi_session *s, const wispi_instance *data, int how,
                               int64_t batch, wispi_feed **feed, wisp_error *err)
{
    wispi_feed_options o = feed_options(s, data, batch);
    if (how == WISPI_FEED_SAMPLED) {
        wispi_feed_settings_sampled(&o, s->experiment);
        o.as_plans = s->view_maker != NULL;
        o.as_bytes = o.as_plans && s->experiment->run.views == WISPI_VIEWS_BYTES;
        o.world = world_of(s);
        o.rank = o.world > 1 ? s->experiment->ranks->rank : 0;
    }
    return wispi_feed_create(&o, feed, err);
}

wisp_status wispi_session_crop_feed(const wispi_session *s, const wispi_instance *data,
                                    const double scale[2], wispi_feed **feed, wisp_error *err)
{
    wispi_feed_options o = feed_options(s, data, s->experiment->input.eval_batch);
    o.crop_scale[0] = scale[0];
    o.crop_scale[1] = scale[1];
    return wispi_feed_create(&o, feed, err);
}

static wisp_status find_steps(wispi_session *s, int64_t images, wisp_error *err)
{
    const wispi_run_settings *run = &s->experiment->run;
    s->local_batch = run->batch / world_of(s);
    if (run->batch % world_of(s))
        return wisp_fail(err, WISP_E_CONFIG,
                         "run.batch = %lld cannot be shared out evenly to %d ranks: change either",
                         (long long)run->batch, (int)world_of(s));
    if (world_of(s) > 1 && !run->drop_last)
        return wisp_fail(err, WISP_E_CONFIG,
                         "run.drop_last = false: the rest of an epoch cannot be shared out to %d "
                         "ranks; take drop_last = true, or one process",
                         (int)world_of(s));
    s->rest_size = run->drop_last ? 0 : images % run->batch;
    s->steps_per_epoch = images / run->batch + (s->rest_size > 0);
    if (s->steps_per_epoch < 1)
        return wisp_fail(
            err, WISP_E_CONFIG,
            "run.batch = %lld is larger than the data set, which has %lld images: take a smaller "
            "batch",
            (long long)run->batch, (long long)images);
    s->total_steps = s->steps_per_epoch * run->epochs;
    return WISP_OK;
}

static wisp_status find_shapes(wispi_session *s, wisp_error *err)
{
    const wispi_experiment *x = s->experiment;
    const wisp_sampler_v0 *sampler = x->sampler.plugin->descriptor->vtable;
    wisp_status status;
    WISPI_CALL(status, x->sampler.plugin, "groups", err,
               sampler->groups(x->sampler.self, s->groups, &s->n_groups, err));
    WISP_TRY(status);
    return find_steps(s, wispi_dataset_of(&x->data)->count(x->data.self), err);
}

static const wisp_method_v0 *method_table(const wispi_session *s)
{
    return s->experiment->method.plugin->descriptor->vtable;
}

/* A bit that only a later interface knows asks for what this host cannot give. */
static wisp_status check_needs(const wispi_session *s, uint32_t needs, wisp_error *err)
{
    const uint32_t known = WISP_NEED_INDEX | WISP_NEED_BOXES | WISP_NEED_LABELS | WISP_NEED_TOKENS;
    const wispi_experiment *x = s->experiment;
    const char *name = x->method.plugin->descriptor->name;
    if (needs & ~known)
        return wisp_fail(err, WISP_E_ABI,
                         "method %s needs 0x%x of the host, which this one does not know: take a "
                         "newer host",
                         name, (unsigned)(needs & ~known));
    if ((needs & WISP_NEED_LABELS) && wispi_dataset_of(&x->data)->n_classes(x->data.self) == 0)
        return wisp_fail(err, WISP_E_CONFIG, "method %s needs labels, data set %s has none", name,
                         x->data.plugin->descriptor->name);
    return WISP_OK;
}

static wisp_status need_views(const wispi_session *s, const char *what, int32_t have, int32_t least,
                              int32_t most, wisp_error *err)
{
    if (have >= least && (most == 0 || have <= (most < 0 ? 0 : most)))
        return WISP_OK;
    char bounds[64];
    if (most == 0)
        snprintf(bounds, sizeof bounds, "at least %d", least);
    else if (most < 0)
        snprintf(bounds, sizeof bounds, "no");
    else
        snprintf(bounds, sizeof bounds, "%d to %d", least, most);
    return wisp_fail(err, WISP_E_CONFIG,
                     "method %s needs %s %s views, sampler %s gives %d: change [sampler]",
                     s->experiment->method.plugin->descriptor->name, bounds, what,
                     s->experiment->sampler.plugin->descriptor->name, have);
}

/* What the method requires and sampler or data set cannot give is refused here, by name. */
static wisp_status check_requirements(const wispi_session *s, uint32_t *needs, wisp_error *err)
{
    const wispi_experiment *x = s->experiment;
    wisp_requirements r;
    memset(&r, 0, sizeof r);
    r.struct_size = sizeof r;
    if (method_table(s)->requirements)
        WISPI_VISIT(x->method.plugin, "requirements",
                    method_table(s)->requirements(x->method.self, &r));
    int32_t local = 0;
    for (int32_t g = 1; g < s->n_groups; g++)
        local += s->groups[g].count;
    WISP_TRY(need_views(s, "global", s->groups[0].count, r.min_global, r.max_global, err));
    WISP_TRY(need_views(s, "local", local, r.min_local, r.max_local, err));
    WISP_TRY(check_needs(s, r.needs, err));
    if (s->rest_size > 0 && (x->method.plugin->descriptor->flags & WISP_FLAG_BATCH_COUPLED))
        return wisp_fail(
            err, WISP_E_CONFIG,
            "run.drop_last = false: method %s compares the images of a batch with each "
            "other, so the last batch of an epoch cannot be smaller",
            x->method.plugin->descriptor->name);
    *needs = r.needs;
    return WISP_OK;
}

static wisp_status make_step(wispi_session *s, wispi_sized_step *step, int64_t size, uint32_t needs,
                             wisp_error *err)
{
    const wisp_desc labels = wisp_desc1(WISP_I64, size);
    WISP_TRY(wispi_batch_init(s->device, &step->batch, s->groups, s->n_groups, size,
                              wispi_run_dtype(&s->experiment->run), needs, err));
    for (int32_t g = 0; g < s->n_groups; g++)
        step->own_views[g] = step->batch.views[g].data;
    if (!s->any_learning)
        return WISP_OK;
    return wispi_variable_init(s->device, &step->probe_labels, "probe.labels", &labels, NULL, err);
}

static wisp_status make_batches(wispi_session *s, uint32_t needs, wisp_error *err)
{
    s->now = &s->whole;
    WISP_TRY(make_step(s, &s->whole, s->local_batch, needs, err));
    return s->rest_size > 0 ? make_step(s, &s->rest, s->rest_size, needs, err) : WISP_OK;
}

static wisp_status create_view_maker(wispi_session *s, wisp_error *err)
{
    const wispi_input_settings *input = &s->experiment->input;
    wispi_view_maker_options o = {.device = s->device,
                                  .groups = s->groups,
                                  .n_groups = s->n_groups,
                                  .batch = s->local_batch,
                                  .dtype = wispi_run_dtype(&s->experiment->run)};
    for (int i = 0; i < 3; i++) {
        o.mean[i] = (float)((const double *)input->mean.items)[i];
        o.std[i] = (float)((const double *)input->std.items)[i];
    }
    return wispi_view_maker_create(&o, &s->view_maker, err);
}

static wisp_status make_view_maker(wispi_session *s, wisp_error *err)
{
    const int32_t wanted = s->experiment->run.views;
    wisp_error cause = {0};
    if (wanted == WISPI_VIEWS_HOST ||
        (wanted == WISPI_VIEWS_AUTO && wispi_device_host_visible(s->device)))
        return WISP_OK;
    const wisp_status status = create_view_maker(s, &cause);
    if (status == WISP_E_UNSUPPORTED && wanted == WISPI_VIEWS_AUTO) {
        wispi_log(WISP_LOG_INFO, "views are made on the host: %s", cause.message);
        return WISP_OK;
    }
    if (status == WISP_E_UNSUPPORTED)
        return wisp_fail(err, WISP_E_CONFIG, "run.views = \"%s\": %s",
                         wanted == WISPI_VIEWS_BYTES ? "bytes" : "device", cause.message);
    return status == WISP_OK ? status : wisp_fail(err, status, "%s", cause.message);
}

static void release_step(wispi_session *s, wispi_sized_step *step)
{
    for (int32_t g = 0; g < s->n_groups; g++)
        step->batch.views[g].data = step->own_views[g];
    wispi_program_destroy(step->program);
    if (!s->device)
        return;
    wispi_batch_fini(s->device, &step->batch);
    wispi_variable_fini(s->device, &step->probe_labels);
}

/* --- model --- */

static void release_backbone(void *self)
{
    (void)self; /* the session destroys its instances */
}

static wisp_status make_backbone(void *user, const char *path, wispi_backbone_instance *out,
                                 wisp_error *err)
{
    wispi_session *s = user;
    if (s->n_backbones == (int32_t)WISP_COUNT(s->backbones))
        return wisp_fail(err, WISP_E_UNSUPPORTED, "%s: more than %zu backbones", path,
                         WISP_COUNT(s->backbones));
    wispi_instance *instance = &s->backbones[s->n_backbones];
    WISP_TRY(
        wispi_instance_again(s->experiment->registry, &s->experiment->backbone, instance, err));
    s->n_backbones++;
    *out = (wispi_backbone_instance){instance->plugin->descriptor->vtable, instance->self,
                                     release_backbone};
    return WISP_OK;
}

static void describe_run(wispi_session *s, wisp_build *b)
{
    const wispi_experiment *x = s->experiment;
    b->steps_per_epoch = (double)s->steps_per_epoch;
    b->epochs = x->run.epochs;
    b->batch = s->local_batch;
    b->world_size = world_of(s);
    b->n_classes = wispi_dataset_of(&x->data)->n_classes(x->data.self);
}

static wisp_status build_method(wispi_session *s, wisp_build *b, uint32_t needs, wisp_error *err)
{
    const wispi_instance *method = &s->experiment->method;
    wisp_batch shape;
    memset(&shape, 0, sizeof shape);
    shape.struct_size = sizeof shape;
    shape.size = s->local_batch;
    shape.n_groups = s->n_groups;
    for (int32_t g = 0; g < s->n_groups; g++) {
        shape.groups[g] = s->groups[g];
        shape.n_views += s->groups[g].count;
    }
    wisp_status status;
    WISPI_CALL(status, method->plugin, "build", err,
               method_table(s)->build(method->self, b, &shape, err));
    WISP_TRY(status);
    status = wispi_model_build_status(s->model, err);
    if (status != WISP_OK)
        return wispi_mark_error(method->plugin, "build", status, err);
    WISPI_VISIT(method->plugin, "evaluated_network",
                s->evaluated = method_table(s)->evaluated_network(method->self));
    const wisp_backbone_info *info = s->evaluated ? wispi_module_backbone_info(s->evaluated) : NULL;
    if (!info)
        return wisp_fail(
            err, WISP_E_PLUGIN,
            "method %s: evaluated_network() must return a module made by wisp_backbone()",
            method->plugin->descriptor->name);
    if ((needs & WISP_NEED_TOKENS) && !info->has_tokens)
        return wisp_fail(err, WISP_E_CONFIG,
                         "method %s needs a backbone with tokens, %s has none: take one that has "
                         "them, such as vit",
                         method->plugin->descriptor->name,
                         s->experiment->backbone.plugin->descriptor->name);
    s->embedding_dim = info->dim;
    return WISP_OK;
}

static wisp_status build_probes(wispi_session *s, wisp_build *b, wisp_error *err)
{
    WISP_TRY(wispi_tasks_check(s->experiment, wispi_module_backbone_info(s->evaluated), err));
    for (int32_t i = 0; i < s->experiment->n_probes; i++) {
        const wispi_instance *probe = &s->experiment->probes[i];
        const wisp_task_v0 *vtable = probe->plugin->descriptor->vtable;
        if (!(wispi_task_needs(probe, 1) & WISP_TASK_LEARNS))
            continue;
        char name[32];
        snprintf(name, sizeof name, "probe%d", i);
        s->learning[i] = (wispi_learning_probe){probe, wisp_network(b, name)};
        wispi_network_set_apart(s->learning[i].network);
        wisp_status status;
        WISPI_CALL(status, probe->plugin, "build", err,
                   vtable->build(probe->self, b, s->learning[i].network, s->embedding_dim, err));
        WISP_TRY(status);
        WISP_TRY(wispi_model_build_status(s->model, err));
        s->any_learning = 1;
    }
    return WISP_OK;
}

/* Both are constant unless [schedule.lr] or [schedule.weight_decay] say otherwise. */
static void make_rates(wispi_session *s, wisp_build *b, double lr)
{
    wisp_schedule schedule;
    memset(&schedule, 0, sizeof schedule);
    schedule.kind = WISP_SCHEDULE_CONSTANT;
    schedule.value = lr;
    wisp_new_scalar(b, "lr", &schedule);
    schedule.value = s->experiment->optimizer.weight_decay;
    wisp_new_scalar(b, "weight_decay", &schedule);
}

static const char *some_trained_parameter(const wispi_model *model)
{
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++)
        if (wispi_model_tensor_at(model, i)->trained)
            return wispi_model_tensor_at(model, i)->name;
    return "";
}

/* The optimizer would refuse it too, but only here its place in the file is known. */
static wisp_status check_rules(const wispi_session *s, wisp_error *err)
{
    const wispi_optimizer_settings *o = &s->experiment->optimizer;
    const int32_t idle = wispi_optimizer_idle_rule(s->model, o->rules, o->n_rules);
    if (idle < 0)
        return WISP_OK;
    const wispi_node *optimizer =
        wispi_node_find(wispi_config_root(s->experiment->config), "optimizer");
    const wispi_node *rule = wispi_node_at(wispi_node_find(optimizer, "rule"), idle);
    char hint[300];
    snprintf(hint, sizeof hint, "one that is trained is called %.200s",
             some_trained_parameter(s->model));
    return wispi_node_fail(wispi_node_find(rule, "pattern"), err, hint,
                           "[optimizer.rule.%d]: the pattern \"%.200s\" matches no trained "
                           "parameter",
                           idle, o->rules[idle].pattern);
}

static wisp_status build_optimizer(wispi_session *s, wisp_error *err)
{
    const wispi_optimizer_settings *o = &s->experiment->optimizer;
    wispi_optimizer_config config = {
        .kind = o->kind,
        .nesterov = o->nesterov,
        .momentum = o->momentum,
        .trust = o->trust,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->eps,
        .vector_decay = o->decay_1d,
        .depthwise_decay = o->decay_depthwise,
        .adapt_vectors = o->adapt_1d,
        .adapt_depthwise = o->adapt_depthwise,
        .clip = o->clip,
        .clip_per_tensor = o->clip_per_tensor,
        .grad_norm = 1,
        .rules = o->rules,
        .n_rules = o->n_rules,
    };
    WISP_TRY(check_rules(s, err));
    return wispi_optimizer_create(s->model, &config, &s->optimizer, err);
}

static wisp_status build_model(wispi_session *s, uint32_t needs, wisp_error *err)
{
    WISP_TRY(wispi_model_create(s->device, (uint64_t)s->experiment->run.seed, &s->model, err));
    wispi_model_set_backbone_maker(s->model, make_backbone, s);
    const wispi_optimizer_settings *o = &s->experiment->optimizer;
    double lr = o->lr > 0 ? o->lr : o->lr_per_256 * (double)s->experiment->run.batch / 256.0;
    if (lr <= 0)
        return wisp_fail(
            err, WISP_E_CONFIG,
            "[optimizer] has no learning rate: give lr, or lr_per_256 to scale with the batch");
    wisp_build *b = wispi_model_builder(s->model);
    describe_run(s, b);
    make_rates(s, b, lr);
    WISP_TRY(build_method(s, b, needs, err));
    WISP_TRY(build_probes(s, b, err));
    WISP_TRY(wispi_model_finish(s->model, err));
    WISP_TRY(build_optimizer(s, err));
    return wispi_schedules_apply(s->experiment->config, s->model, err);
}

/* --- the step --- */

/* What the embedding's statistics are computed from, for the host to read; without another
 * computation, and without a trace in what is trained. */
static const wisp_tensor *keep_embedding(wispi_session *s, wisp_step *step)
{
    wisp_tensor *pooled = wispi_module_first_pooled(s->evaluated);
    if (!pooled || s->experiment->run.on_collapse == WISPI_COLLAPSE_IGNORE)
        return NULL;
    const int64_t batch = s->now->batch.plugin.size, all = wisp_shape_of(step, pooled)->shape[0];
    int64_t rows = all < batch ? all : batch;
    rows = rows < WISPI_STATISTICS_ROWS ? rows : WISPI_STATISTICS_ROWS;
    if (rows < WISPI_STATISTICS_LEAST)
        return NULL;
    wisp_no_grad_begin(step);
    wisp_tensor *first = rows < all ? wisp_slice(step, pooled, 0, 0, rows) : pooled;
    wisp_tensor *embedding = wisp_cast(step, first, WISP_F32);
    wisp_no_grad_end(step);
    wispi_step_keep(step, embedding);
    return embedding;
}

/* The detached embedding of the first view that the evaluated network saw in this step; of the
 * first images when it saw only a part of the batch at a time. */
static wisp_tensor *first_embedding(wispi_session *s, wisp_step *step)
{
    wisp_tensor *pooled = wispi_module_first_pooled(s->evaluated);
    if (!pooled) {
        wispi_step_fail(step, WISP_E_PLUGIN, "the method's step never ran its evaluated network");
        return NULL;
    }
    const int64_t rows = wisp_shape_of(step, pooled)->shape[0], batch = s->now->batch.plugin.size;
    wisp_tensor *first = wisp_slice(step, pooled, 0, 0, rows < batch ? rows : batch);
    return wisp_stop_gradient(step, first);
}

static wisp_tensor *add_probe_losses(wispi_session *s, wisp_step *step, wisp_tensor *loss)
{
    if (!s->any_learning)
        return loss;
    wisp_tensor *embedding = first_embedding(s, step);
    wisp_tensor *labels = wisp_slice(step, wispi_step_variable(step, &s->now->probe_labels), 0, 0,
                                     wisp_shape_of(step, embedding)->shape[0]);
    for (int32_t i = 0; i < s->experiment->n_probes; i++) {
        const wispi_instance *probe = s->learning[i].instance;
        if (!probe)
            continue;
        const wisp_task_v0 *vtable = probe->plugin->descriptor->vtable;
        wisp_tensor *own = NULL;
        WISPI_VISIT(probe->plugin, "step",
                    own = vtable->step(probe->self, step, embedding, labels));
        char table[WISPI_TASK_NAME], words[WISPI_TASK_NAME + 16], name[64];
        wispi_task_name(s->experiment->probes, i, table);
        snprintf(words, sizeof words, "%s probe loss", table);
        wispi_metric_key(words, name, sizeof name);
        wisp_metric(step, name, own);
        loss = wisp_add(step, loss, own);
    }
    return loss;
}

static void train_step(wisp_step *step, void *user)
{
    wispi_session *s = user;
    const wispi_instance *method = &s->experiment->method;
    const wisp_method_v0 *vtable = method_table(s);
    wispi_step_join(step, s->experiment->ranks);
    wispi_module_forget_pooled(s->evaluated);
    wispi_model_forget_pixels(s->model);
    wisp_tensor *loss = NULL;
    WISPI_VISIT(method->plugin, "step",
                loss = vtable->step(method->self, step, &s->now->batch.plugin));
    wispi_step_keep(step, loss);
    s->now->loss = loss;
    s->now->pixels = wispi_model_trained_pixels(s->model);
    s->now->embedding = keep_embedding(s, step);
    wispi_step_backward(step, add_probe_losses(s, step, loss));
    wispi_optimizer_share_gradient(step, s->optimizer);
    if (vtable->after_backward)
        WISPI_VISIT(method->plugin, "after_backward", vtable->after_backward(method->self, step));
    wispi_optimizer_step(step, s->optimizer);
    if (vtable->after_step)
        WISPI_VISIT(method->plugin, "after_step", vtable->after_step(method->self, step));
}

static wisp_status record_step(wispi_session *s, wispi_sized_step *which, uint32_t flags,
                               wisp_error *err)
{
    const wispi_instance *method = &s->experiment->method;
    wispi_program *fresh = NULL;
    s->now = which;
    which->metrics.n = 0;
    wispi_model_set_metrics(s->model, &which->metrics);
    wisp_status status = wispi_program_record(s->device, wispi_ops_table(), s->model, flags,
                                              train_step, s, &fresh, err);
    if (status != WISP_OK)
        return wispi_mark_error(method->plugin, "step", status, err);
    wispi_program_destroy(which->program);
    which->program = fresh;
    return WISP_OK;
}

wisp_status wispi_session_record(wispi_session *s, uint32_t flags, wisp_error *err)
{
    wispi_model_set_eval(s->model, 0);
    if (s->rest_size > 0)
        WISP_TRY(record_step(s, &s->rest, flags, err));
    WISP_TRY(record_step(s, &s->whole, flags, err));
    return wispi_model_refresh(s->model, err);
}

/* On a device whose memory the host sees, the step reads the feed's memory as it is. */
static wisp_status put(wispi_session *s, wispi_variable *variable, const void *values,
                       wisp_error *err)
{
    if (!values || !variable->data)
        return WISP_OK;
    return wispi_variable_put(s->device, variable, values, err);
}

static wisp_status bind_views(wispi_session *s, const wispi_feed_batch *batch, wisp_error *err)
{
    wispi_variable *views = s->now->batch.views;
    if (s->view_maker)
        return wispi_view_maker_run(s->view_maker, batch, views, err);
    for (int32_t g = 0; g < s->n_groups; g++) {
        if (wispi_device_host_visible(s->device))
            views[g].data = batch->groups[g];
        else if (batch->groups[g]) /* else what lies there: bench/train_step */
            WISP_TRY(wispi_variable_lend(s->device, &views[g], batch->groups[g], err));
    }
    return WISP_OK;
}

/* Views come last: making them sends all that is waiting. */
static wisp_status bind_batch(wispi_session *s, const wispi_feed_batch *batch, wisp_error *err)
{
    wispi_batch *own = &s->now->batch;
    WISP_TRY(put(s, &own->index, batch->index, err));
    WISP_TRY(put(s, &own->boxes, batch->boxes, err));
    WISP_TRY(put(s, &own->flip, batch->flip, err));
    WISP_TRY(put(s, &own->label, batch->label, err));
    WISP_TRY(put(s, &s->now->probe_labels, batch->label, err));
    return bind_views(s, batch, err);
}

wisp_status wispi_session_step(wispi_session *s, const wispi_feed_batch *batch,
                               const wispi_run_options *options, wisp_error *err)
{
    s->now = batch->size == s->local_batch ? &s->whole : &s->rest;
    if (batch->size != s->now->batch.plugin.size)
        return wisp_fail(err, WISP_E_INTERNAL, "no step for a batch of %lld images",
                         (long long)batch->size);
    WISP_TRY(wispi_model_set_clock(s->model, &s->clock, err));
    WISP_TRY(bind_batch(s, batch, err));
    return wispi_program_run(s->now->program, train_step, s, options, err);
}

int64_t wispi_session_step_pixels(const wispi_session *s)
{
    return s->now->pixels * world_of(s);
}

wispi_device *wispi_session_uploads_device(const wispi_session *s)
{
    return s->view_maker ? wispi_view_maker_device(s->view_maker) : s->device;
}

/* --- what became of it --- */

static wisp_status begin_reading_embedding(wispi_session *s, wispi_step_report *r, wisp_error *err)
{
    const wisp_tensor *embedding = s->now->embedding;
    void *memory = r->embedding;
    if (!memory)
        WISP_TRY(wispi_host_alloc(
            s->device, WISPI_STATISTICS_ROWS * (size_t)s->embedding_dim * sizeof *r->embedding,
            &memory, err));
    r->embedding = memory;
    r->embedding_rows = (int32_t)wispi_tensor_desc(embedding)->shape[0];
    return wispi_program_download(s->now->program, embedding, r->embedding, &r->ticket, err);
}

static wisp_status begin_reading(wispi_session *s, wispi_step_report *r, wisp_error *err)
{
    wispi_sized_step *step = s->now;
    WISP_TRY(wispi_program_download(step->program, step->loss, r->values, &r->ticket, err));
    for (int32_t i = 0; i < r->n_metrics; i++)
        WISP_TRY(wispi_program_download(step->program, step->metrics.entries[i].tensor,
                                        r->values + 1 + i, &r->ticket, err));
    return WISP_OK;
}

wisp_status wispi_session_post(wispi_session *s, int with_metrics, wispi_step_report **report,
                               wisp_error *err)
{
    wispi_step_report *r = &s->reports[s->next_report];
    if (!r->values) {
        void *values = NULL;
        WISP_TRY(
            wispi_host_alloc(s->device, (1 + WISPI_MAX_METRICS) * sizeof *r->values, &values, err));
        r->values = values;
    }
    r->metrics = &s->now->metrics;
    r->n_metrics = with_metrics ? s->now->metrics.n : 0;
    r->embedding_rows = 0;
    r->clock = s->clock;
    WISP_TRY(begin_reading(s, r, err));
    if (with_metrics && s->now->embedding)
        WISP_TRY(begin_reading_embedding(s, r, err));
    s->next_report = !s->next_report;
    *report = r;
    return WISP_OK;
}

wisp_status wispi_session_await(wispi_session *s, wispi_step_report *report, wisp_error *err)
{
    const wispi_ranks *ranks = s->experiment->ranks;
    WISP_TRY(wispi_device_wait(s->device, report->ticket, err));
    /* What a lost rank has left unfinished is no result. */
    return ranks && ranks->comm->progress ? ranks->comm->progress(ranks->self, err) : WISP_OK;
}

/* --- life --- */

static wisp_status open_session(wispi_session *s, wisp_error *err)
{
    uint32_t needs = 0;
    WISP_TRY(open_device(s, err));
    WISP_TRY(find_shapes(s, err));
    WISP_TRY(check_requirements(s, &needs, err));
    WISP_TRY(build_model(s, needs, err));
    WISP_TRY(make_batches(s, needs, err));
    WISP_TRY(make_view_maker(s, err));
    const wispi_run_settings *run = &s->experiment->run;
    s->clock = (wisp_clock){0, run->epochs, 0, s->total_steps, s->steps_per_epoch};
    return WISP_OK;
}

wisp_status wispi_session_open(wispi_experiment *experiment, wispi_session **session,
                               wisp_error *err)
{
    wispi_session *s = wispi_alloc(sizeof *s);
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a session");
    s->experiment = experiment;
    wisp_status status = open_session(s, err);
    if (status == WISP_OK)
        *session = s;
    else
        wispi_session_close(s);
    return status;
}

void wispi_session_close(wispi_session *s)
{
    if (!s)
        return;
    wispi_view_maker_destroy(s->view_maker);
    release_step(s, &s->whole);
    release_step(s, &s->rest);
    wispi_optimizer_destroy(s->optimizer);
    wispi_model_destroy(s->model);
    for (int32_t i = 0; i < s->n_backbones; i++)
        wispi_instance_destroy(&s->backbones[i]);
    for (size_t i = 0; s->device && i < WISP_COUNT(s->reports); i++) {
        wispi_host_free(s->device, s->reports[i].values);
        wispi_host_free(s->device, s->reports[i].embedding);
    }
    leave_device(s);
    wispi_device_close(s->device);
    wispi_instance_destroy(&s->backend);
    wispi_free(s->starts);
    wispi_free(s);
}

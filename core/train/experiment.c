#include "train/experiment.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "config/options_fill.h"
#include "config/resolved.h"
#include "loader/containment.h"
#include "train/data_source.h"
#include "train/schedule_table.h"

static const char *const top_level[] = {"run",      "input",  "data",      "test",     "sampler",
                                        "backbone", "method", "optimizer", "schedule", "init",
                                        "probe",    "task",   NULL};

/* A table of the host itself, through the same checks as a plugin's. */
static wisp_status fill_own(const wispi_node *root, const char *name, const wisp_option *options,
                            uint64_t n, void *settings, wispi_arena *arena, wisp_error *err)
{
    return wispi_options_fill(wispi_node_find(root, name), name, options, n, sizeof(wisp_option),
                              settings, arena, NULL, err);
}

static wisp_status fill_rules(wispi_optimizer_settings *o, const wispi_node *array,
                              wispi_arena *arena, wisp_error *err)
{
    if (!array)
        return WISP_OK;
    if (array->type != WISPI_NODE_ARRAY)
        return wispi_node_fail(array, err, "write it with two brackets: [[optimizer.rule]]",
                               "optimizer.rule must be an array of tables");
    if (array->n_children > WISPI_MAX_RULES)
        return wispi_node_fail(array, err, NULL, "more than %d [[optimizer.rule]] tables",
                               WISPI_MAX_RULES);
    o->rules = wispi_arena_alloc(arena, ((size_t)array->n_children + 1) * sizeof *o->rules);
    if (!o->rules)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the optimizer's rules");
    for (int32_t i = 0; i < array->n_children; i++) {
        char path[64];
        snprintf(path, sizeof path, "optimizer.rule.%d", i);
        WISP_TRY(wispi_options_fill(wispi_node_at(array, i), path, wispi_rule_options_table,
                                    wispi_n_rule_options, sizeof(wisp_option), &o->rules[i], arena,
                                    NULL, err));
    }
    o->n_rules = array->n_children;
    return WISP_OK;
}

static wisp_status fill_optimizer(wispi_experiment *x, const wispi_node *root, wispi_arena *arena,
                                  wisp_error *err)
{
    static const char *const also_allowed[] = {"use", "rule", NULL};
    const wispi_node *table = wispi_node_find(root, "optimizer");
    const char *use = NULL;
    if (!table)
        return wispi_node_fail(
            root, err, NULL,
            "the experiment has no table [optimizer]: add one with use = \"adamw\", "
            "\"lars\" or \"sgd\"");
    WISP_TRY(wispi_node_use(table, "optimizer", &use, err));
    WISP_TRY(wispi_options_fill(table, "optimizer", wispi_optimizer_options_table,
                                wispi_n_optimizer_options, sizeof(wisp_option), &x->optimizer,
                                arena, also_allowed, err));
    WISP_TRY(fill_rules(&x->optimizer, wispi_node_find(table, "rule"), arena, err));
    x->optimizer.kind = wispi_optimizer_kind(use);
    if (!x->optimizer.kind)
        return wispi_node_fail(wispi_node_find(table, "use"), err,
                               "known optimizers: adamw, lars, sgd", "there is no optimizer \"%s\"",
                               use);
    if (x->optimizer.lr > 0 && x->optimizer.lr_per_256 > 0)
        return wispi_node_fail(table, err, "give one of the two",
                               "optimizer.lr and optimizer.lr_per_256 are both set");
    if (x->optimizer.lr <= 0 && x->optimizer.lr_per_256 <= 0)
        return wispi_node_fail(table, err, "give lr, or lr_per_256 to scale with the batch",
                               "[optimizer] has no learning rate");
    return WISP_OK;
}

static wisp_status fill_inits(wispi_experiment *x, const wispi_node *array, wispi_arena *arena,
                              wisp_error *err)
{
    if (!array)
        return WISP_OK;
    if (array->type != WISPI_NODE_ARRAY)
        return wispi_node_fail(array, err, "write it with two brackets: [[init]]",
                               "init must be an array of tables");
    if (array->n_children > WISPI_MAX_INITS)
        return wispi_node_fail(array, err, NULL, "more than %d [[init]] tables", WISPI_MAX_INITS);
    for (int32_t i = 0; i < array->n_children; i++) {
        char path[64];
        snprintf(path, sizeof path, "init.%d", i);
        WISP_TRY(wispi_options_fill(wispi_node_at(array, i), path, wispi_init_options_table,
                                    wispi_n_init_options, sizeof(wisp_option), &x->inits[i], arena,
                                    NULL, err));
        x->inits[i].node = wispi_node_at(array, i);
    }
    x->n_inits = array->n_children;
    return WISP_OK;
}

static wisp_status fill_settings(wispi_experiment *x, const wispi_node *root, wispi_arena *arena,
                                 wisp_error *err)
{
    WISP_TRY(
        fill_own(root, "run", wispi_run_options_table, wispi_n_run_options, &x->run, arena, err));
    WISP_TRY(fill_own(root, "input", wispi_input_options_table, wispi_n_input_options, &x->input,
                      arena, err));
    WISP_TRY(fill_optimizer(x, root, arena, err));
    x->inits = wispi_arena_alloc(arena, WISPI_MAX_INITS * sizeof *x->inits);
    if (!x->inits)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for [[init]]");
    WISP_TRY(fill_inits(x, wispi_node_find(root, "init"), arena, err));
    const wispi_node *run = wispi_node_find(root, "run");
    if (x->run.name[0] == '\0' || strchr(x->run.name, '/') || x->run.name[0] == '.')
        return wispi_node_fail(wispi_node_find(run, "name"), err, "the name becomes a folder",
                               "run.name = \"%s\" cannot name a folder", x->run.name);
    return WISP_OK;
}

static wisp_status need(wispi_experiment *x, const wispi_node *root, const char *kind,
                        const char *table, wispi_arena *arena, wispi_instance *instance,
                        wisp_error *err)
{
    const wispi_node *node = wispi_node_find(root, table);
    if (x->lent && strcmp(x->lent->plugin->kind, kind) == 0) {
        *instance = *x->lent;
        return WISP_OK;
    }
    if (!node)
        return wispi_node_fail(
            root, err, NULL,
            "the experiment has no table [%s]: add one with use = \"...\"; `wisp list "
            "%s` shows what there is",
            table, kind);
    return wispi_instance_create(x->registry, kind, node, table, arena, instance, err);
}

static wisp_status load_tasks(wispi_experiment *x, const wispi_node *root, const char *table,
                              wispi_arena *arena, wispi_instance *list, int32_t *n, wisp_error *err)
{
    const wispi_node *array = wispi_node_find(root, table);
    if (!array)
        return WISP_OK;
    if (array->type != WISPI_NODE_ARRAY)
        return wispi_node_fail(array, err, "write it with two brackets: [[probe]], [[task]]",
                               "%s must be an array of tables", table);
    if (array->n_children > WISPI_MAX_TASKS)
        return wispi_node_fail(array, err, NULL, "more than %d [[%s]] tables", WISPI_MAX_TASKS,
                               table);
    for (int32_t i = 0; i < array->n_children; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s.%d", table, i);
        WISP_TRY(wispi_instance_create(x->registry, "task", wispi_node_at(array, i), path, arena,
                                       &list[i], err));
        *n = i + 1;
    }
    return WISP_OK;
}

static wisp_status load_plugins(wispi_experiment *x, wisp_error *err)
{
    const wispi_node *root = wispi_config_root(x->config);
    wispi_arena *arena = wispi_config_arena(x->config);
    WISP_TRY(wispi_node_check_keys(root, "", top_level, err));
    WISP_TRY(fill_settings(x, root, arena, err));
    WISP_TRY(need(x, root, "sampler", "sampler", arena, &x->sampler, err));
    WISP_TRY(need(x, root, "backbone", "backbone", arena, &x->backbone, err));
    WISP_TRY(need(x, root, "method", "method", arena, &x->method, err));
    WISP_TRY(load_tasks(x, root, "probe", arena, x->probes, &x->n_probes, err));
    WISP_TRY(load_tasks(x, root, "task", arena, x->tasks, &x->n_tasks, err));
    if (x->lent && strcmp(x->lent->plugin->kind, "task") == 0)
        x->probes[x->n_probes++] = *x->lent;
    WISP_TRY(need(x, root, "dataset", "data", arena, &x->data, err));
    if (wispi_node_find(root, "test"))
        WISP_TRY(need(x, root, "dataset", "test", arena, &x->test, err));
    return WISP_OK;
}

static wisp_status load_views(wispi_experiment *x, wisp_error *err)
{
    const wispi_node *root = wispi_config_root(x->config);
    wispi_arena *arena = wispi_config_arena(x->config);
    WISP_TRY(wispi_node_check_keys(root, "", top_level, err));
    WISP_TRY(
        fill_own(root, "run", wispi_run_options_table, wispi_n_run_options, &x->run, arena, err));
    WISP_TRY(fill_own(root, "input", wispi_input_options_table, wispi_n_input_options, &x->input,
                      arena, err));
    WISP_TRY(need(x, root, "sampler", "sampler", arena, &x->sampler, err));
    return need(x, root, "dataset", "data", arena, &x->data, err);
}

/* Takes the configuration over. */
static wisp_status load_with(wispi_registry *registry, wispi_config *config,
                             const wispi_instance *lent,
                             wisp_status (*load)(wispi_experiment *, wisp_error *),
                             wispi_experiment **experiment, wisp_error *err)
{
    wispi_experiment *x = wispi_alloc(sizeof *x);
    if (!x) {
        wispi_config_destroy(config);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an experiment");
    }
    x->registry = registry;
    x->config = config;
    x->lent = lent;
    wisp_status status = load(x, err);
    if (status == WISP_OK)
        *experiment = x;
    else
        wispi_experiment_destroy(x);
    return status;
}

static wisp_status finish_loading(wispi_registry *registry, wispi_config *config,
                                  wisp_status (*load)(wispi_experiment *, wisp_error *),
                                  wispi_experiment **experiment, wisp_error *err)
{
    return load_with(registry, config, NULL, load, experiment, err);
}

wisp_status wispi_experiment_load(wispi_registry *registry, const char *path,
                                  const char *const *overrides, int32_t n_overrides,
                                  wispi_experiment **experiment, wisp_error *err)
{
    wispi_config *config = NULL;
    WISP_TRY(wispi_config_load(path, overrides, n_overrides, &config, err));
    return finish_loading(registry, config, load_plugins, experiment, err);
}

wisp_status wispi_experiment_around(wispi_registry *registry, const wispi_instance *lent,
                                    const char *text, wispi_experiment **experiment,
                                    wisp_error *err)
{
    wispi_config *config = NULL;
    WISP_TRY(wispi_config_parse_text("the experiment", text, NULL, 0, &config, err));
    return load_with(registry, config, lent, load_plugins, experiment, err);
}

static void append_string(wispi_text *text, const char *key, const char *value)
{
    wispi_text_printf(text, "%s = \"", key);
    for (const char *c = value; *c; c++)
        wispi_text_printf(text, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    wispi_text_append(text, "\"\n");
}

/* Data by their path alone. */
static wisp_status config_of_data(const char *path, const char *use, const char *const *overrides,
                                  int32_t n_overrides, wispi_config **config, wisp_error *err)
{
    wispi_text text = {0};
    wispi_text_append(&text, "[run]\nbatch = 32\n[sampler]\nuse = \"multicrop\"\n[data]\n");
    append_string(&text, "use", use);
    append_string(&text, "path", path);
    wisp_status status =
        text.failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for a configuration")
                    : wispi_config_parse_text(path, text.data, overrides, n_overrides, config, err);
    wispi_text_free(&text);
    return status;
}

wisp_status wispi_experiment_load_views(wispi_registry *registry, const char *path, const char *use,
                                        const char *const *overrides, int32_t n_overrides,
                                        wispi_experiment **experiment, wisp_error *err)
{
    char found[WISPI_DATA_PLUGIN_NAME];
    wispi_config *config = NULL;
    if (wispi_data_is_experiment(path)) {
        WISP_TRY(wispi_config_load(path, overrides, n_overrides, &config, err));
        return finish_loading(registry, config, load_views, experiment, err);
    }
    if (!use) {
        WISP_TRY(wispi_data_plugin_find(registry, path, found, err));
        use = found;
    }
    WISP_TRY(config_of_data(path, use, overrides, n_overrides, &config, err));
    return finish_loading(registry, config, load_views, experiment, err);
}

wisp_status wispi_experiment_load_for_eval(wispi_registry *registry, const char *run_config,
                                           const char *task_file, const char *const *overrides,
                                           int32_t n_overrides, wispi_experiment **experiment,
                                           wisp_error *err)
{
    static const char *const taken[] = {"task", "input", "data", "test", NULL};
    wispi_config *config = NULL, *tasks = NULL;
    WISP_TRY(wispi_config_load(task_file, overrides, n_overrides, &tasks, err));
    if (!wispi_node_find(wispi_config_root(tasks), "task")) {
        wisp_status status = wispi_node_fail(wispi_config_root(tasks), err, NULL,
                                             "the file has no [[task]] table: nothing to judge");
        wispi_config_destroy(tasks);
        return status;
    }
    wisp_status status = wispi_config_load(run_config, NULL, 0, &config, err);
    if (status != WISP_OK) {
        wispi_config_destroy(tasks);
        return status;
    }
    static const char *const not_needed[] = {"probe", "init", NULL};
    wispi_config_drop_tables(config, not_needed);
    wispi_config_take_tables(config, tasks, taken);
    for (const wispi_node *rest = wispi_config_root(tasks)->first; rest; rest = rest->next)
        wispi_log(WISP_LOG_INFO, "%s: table %s is not used: the weights come with their own",
                  task_file, rest->key);
    WISP_TRY(finish_loading(registry, config, load_plugins, experiment, err));
    (*experiment)->optimizer.n_rules = 0; /* they may name the parameters of probes */
    return WISP_OK;
}

wisp_status wispi_experiment_load_stored(wispi_registry *registry, const char *run_config,
                                         wispi_experiment **experiment, wisp_error *err)
{
    static const char *const not_needed[] = {"probe", "task", "init", NULL};
    wispi_config *config = NULL;
    WISP_TRY(wispi_config_load(run_config, NULL, 0, &config, err));
    wispi_config_drop_tables(config, not_needed);
    WISP_TRY(finish_loading(registry, config, load_plugins, experiment, err));
    (*experiment)->optimizer.n_rules = 0; /* they may name the parameters of probes */
    return WISP_OK;
}

void wispi_experiment_destroy(wispi_experiment *x)
{
    if (!x)
        return;
    for (int32_t i = 0; i < x->n_tasks; i++)
        wispi_instance_destroy(&x->tasks[i]);
    for (int32_t i = 0; i < x->n_probes; i++)
        if (!x->lent || x->probes[i].plugin != x->lent->plugin)
            wispi_instance_destroy(&x->probes[i]);
    wispi_instance *const others[] = {&x->method, &x->backbone, &x->sampler, &x->test, &x->data};
    for (size_t i = 0; i < WISP_COUNT(others); i++)
        if (!x->lent || others[i]->plugin != x->lent->plugin)
            wispi_instance_destroy(others[i]);
    wispi_config_destroy(x->config);
    wispi_free(x);
}

void wispi_experiment_describe_sampler(const wispi_experiment *x, char *line, size_t bytes)
{
    const wisp_sampler_v0 *sampler = x->sampler.plugin->descriptor->vtable;
    line[0] = '\0';
    if (WISP_HAS(sampler, wisp_sampler_v0, describe) && sampler->describe)
        WISPI_VISIT(x->sampler.plugin, "describe", sampler->describe(x->sampler.self, line, bytes));
}

int32_t wispi_task_name(const wispi_instance *tasks, int32_t index, char name[WISPI_TASK_NAME])
{
    const char *plugin = tasks[index].plugin->descriptor->name;
    int32_t which = 1;
    for (int32_t i = 0; i < index; i++)
        which += strcmp(tasks[i].plugin->descriptor->name, plugin) == 0;
    if (which == 1)
        snprintf(name, WISPI_TASK_NAME, "%.60s", plugin);
    else
        snprintf(name, WISPI_TASK_NAME, "%.60s.%d", plugin, which);
    return which;
}

/* --- resolved text --- */

static void resolve_own(wispi_text *out, const char *name, const wisp_option *options, uint64_t n,
                        const void *settings)
{
    wispi_resolved_table(out, name, NULL, options, n, sizeof(wisp_option), settings);
}

static void resolve_instance(wispi_text *out, const char *table, const wispi_instance *instance,
                             int in_array)
{
    if (!instance->plugin)
        return;
    const wisp_descriptor *d = instance->plugin->descriptor;
    if (in_array)
        wispi_resolved_array_table(out, table, d->name, d->options, d->n_options, d->option_size,
                                   instance->config);
    else
        wispi_resolved_table(out, table, d->name, d->options, d->n_options, d->option_size,
                             instance->config);
}

wisp_status wispi_experiment_resolved(const wispi_experiment *x, const wispi_model *model,
                                      wispi_text *out, wisp_error *err)
{
    resolve_own(out, "run", wispi_run_options_table, wispi_n_run_options, &x->run);
    resolve_own(out, "input", wispi_input_options_table, wispi_n_input_options, &x->input);
    resolve_instance(out, "data", &x->data, 0);
    resolve_instance(out, "test", &x->test, 0);
    resolve_instance(out, "sampler", &x->sampler, 0);
    resolve_instance(out, "backbone", &x->backbone, 0);
    resolve_instance(out, "method", &x->method, 0);
    wispi_resolved_table(out, "optimizer", wispi_optimizer_name(x->optimizer.kind),
                         wispi_optimizer_options_table, wispi_n_optimizer_options,
                         sizeof(wisp_option), &x->optimizer);
    for (int32_t i = 0; i < x->optimizer.n_rules; i++)
        wispi_resolved_array_table(out, "optimizer.rule", NULL, wispi_rule_options_table,
                                   wispi_n_rule_options, sizeof(wisp_option),
                                   &x->optimizer.rules[i]);
    if (model)
        wispi_schedules_resolved(model, out);
    for (int32_t i = 0; i < x->n_inits; i++)
        wispi_resolved_array_table(out, "init", NULL, wispi_init_options_table,
                                   wispi_n_init_options, sizeof(wisp_option), &x->inits[i]);
    for (int32_t i = 0; i < x->n_probes; i++)
        resolve_instance(out, "probe", &x->probes[i], 1);
    for (int32_t i = 0; i < x->n_tasks; i++)
        resolve_instance(out, "task", &x->tasks[i], 1);
    return out->failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for the resolved experiment")
                       : WISP_OK;
}

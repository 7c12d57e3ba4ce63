#include "train/weights_export.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/text.h"
#include "config/config.h"
#include "config/options_fill.h"
#include "config/resolved.h"
#include "tensor/op.h"
#include "train/checkpoint.h"
#include "train/exchange.h"
#include "train/safetensors.h"
#include "train/settings.h"
#include "train/stored_run.h"

/* One export at work. */
typedef struct transfer {
    const wispi_export_request *request;
    wispi_export_facts *facts;
    wispi_config *config;
    wispi_input_settings input;
    wispi_instance backbone;
    wispi_exchange names;
    wispi_safetensors *file;
    wispi_arena *arena; /* of the names that are written */
    wispi_stored_tensor *out;
    int64_t n_out;
} transfer;

/* A batch norm of PyTorch counts its batches. Nobody counted here, and with the usual momentum
 * nobody asks. */
static const int64_t no_count = 0;

/* --- what is to be exported --- */

static wisp_status open_run(transfer *t, wispi_registry *registry, wisp_error *err)
{
    wispi_stored_run run;
    WISP_TRY(wispi_stored_run_find(t->request->run, &run, err));
    snprintf(t->facts->weights, sizeof t->facts->weights, "%s", run.weights);
    WISP_TRY(wispi_config_load(run.config, NULL, 0, &t->config, err));
    const wispi_node *root = wispi_config_root(t->config);
    wispi_arena *arena = wispi_config_arena(t->config);
    WISP_TRY(wispi_options_fill(wispi_node_find(root, "input"), "input", wispi_input_options_table,
                                wispi_n_input_options, sizeof(wisp_option), &t->input, arena, NULL,
                                err));
    WISP_TRY(wispi_instance_create(registry, "backbone", wispi_node_find(root, "backbone"),
                                   "backbone", arena, &t->backbone, err));
    WISP_TRY(wispi_exchange_open(&t->backbone, t->request->library, &t->names, err));
    return wispi_safetensors_open(run.weights, 1, &t->file, err);
}

/* The run evaluates "student.backbone": network "teacher" means "teacher.backbone". */
static wisp_status find_path(transfer *t, wisp_error *err)
{
    const char *evaluated = wispi_safetensors_text(t->file, WISPI_TEXT_EVALUATED);
    const char *network = t->request->network;
    const char *part = evaluated ? strchr(evaluated, '.') : NULL;
    int n;
    if (!evaluated && !network)
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s does not say which of its networks is evaluated: name one with "
                         "--network NETWORK.backbone",
                         t->facts->weights);
    if (!network)
        n = snprintf(t->facts->path, sizeof t->facts->path, "%s", evaluated);
    else
        n = snprintf(t->facts->path, sizeof t->facts->path, "%s%s", network,
                     part && !strchr(network, '.') ? part : "");
    if (n < 0 || n >= (int)sizeof t->facts->path)
        return wisp_fail(err, WISP_E_CONFIG, "the path of the network is too long");
    return WISP_OK;
}

static const char *below(const char *name, const char *path)
{
    const size_t n = strlen(path);
    return strncmp(name, path, n) == 0 && name[n] == '.' ? name + n + 1 : NULL;
}

static wisp_status nothing_below(const transfer *t, wisp_error *err)
{
    char known[300] = "";
    const char *former = "";
    for (int64_t i = 0; i < wispi_safetensors_count(t->file); i++) {
        const char *name = wispi_safetensors_at(t->file, i)->name;
        const size_t n = strcspn(name, "."), used = strlen(known);
        if (strncmp(name, former, n + 1) != 0 && n + 3 < sizeof known - used)
            snprintf(known + used, sizeof known - used, "%s%.*s", used ? ", " : "", (int)n, name);
        former = name;
    }
    return wisp_fail(err, WISP_E_CONFIG, "%s holds no weights below \"%s\"; it holds: %s",
                     t->facts->weights, t->facts->path, known);
}

/* --- collecting --- */

static wisp_status put(transfer *t, const char *name, const wisp_desc *desc, const void *data,
                       wisp_error *err)
{
    char *copy = wispi_arena_printf(t->arena, "%s", name);
    if (!copy)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names of tensors");
    t->out[t->n_out++] = (wispi_stored_tensor){copy, *desc, data};
    return WISP_OK;
}

static wisp_status put_count(transfer *t, const char *name, wisp_error *err)
{
    static const char mean[] = ".running_mean";
    const wisp_desc scalar = wisp_desc0(WISP_I64);
    const size_t n = strlen(name), m = sizeof mean - 1;
    char count[WISPI_EXCHANGE_NAME + 32];
    if (t->names.own || n < m || strcmp(name + n - m, mean) != 0)
        return WISP_OK;
    snprintf(count, sizeof count, "%.*s.num_batches_tracked", (int)(n - m), name);
    return put(t, count, &scalar, &no_count, err);
}

static wisp_status collect_backbone(transfer *t, wisp_error *err)
{
    for (int64_t i = 0; i < wispi_safetensors_count(t->file); i++) {
        const wispi_stored_tensor *stored = wispi_safetensors_at(t->file, i);
        const char *rest = below(stored->name, t->facts->path);
        char name[WISPI_EXCHANGE_NAME];
        if (!rest)
            continue;
        wispi_exchange_name(&t->names, rest, name);
        t->facts->n_left += name[0] == '\0';
        if (name[0] == '\0')
            continue;
        WISP_TRY(put(t, name, &stored->desc, stored->data, err));
        WISP_TRY(put_count(t, name, err));
    }
    return t->n_out ? WISP_OK : nothing_below(t, err);
}

/* A linear layer: weight (classes, dim) and bias (classes). */
static wisp_status find_classifier(transfer *t, const wispi_stored_tensor *found[2],
                                   wisp_error *err)
{
    static const char *const parts[2] = {"weight", "bias"};
    for (int i = 0; i < 2; i++) {
        char name[WISPI_EXCHANGE_NAME];
        snprintf(name, sizeof name, "%.400s.%s", t->request->classifier, parts[i]);
        found[i] = wispi_safetensors_find(t->file, name);
        if (!found[i])
            return wisp_fail(err, WISP_E_CONFIG,
                             "%s holds no %s: --classifier takes the path of a linear layer, such "
                             "as probe0.classifier",
                             t->facts->weights, name);
    }
    const wisp_desc *weight = &found[0]->desc, *bias = &found[1]->desc;
    const int64_t dim = t->names.facts.dim;
    char shape[96];
    if (weight->dtype == WISP_F32 && bias->dtype == WISP_F32 && weight->rank == 2 &&
        bias->rank == 1 && weight->shape[0] == bias->shape[0] && weight->shape[1] == dim)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CONFIG,
                     "%s of %s is no classifier of the embedding: its weight is %s instead of "
                     "(classes,%lld)",
                     t->request->classifier, t->facts->weights,
                     wispi_shape_text(weight, shape, sizeof shape), (long long)dim);
}

static wisp_status collect_classifier(transfer *t, wisp_error *err)
{
    const wispi_stored_tensor *found[2];
    char name[96];
    if (!t->request->classifier)
        return WISP_OK;
    if (t->names.own)
        return wisp_fail(err, WISP_E_CONFIG,
                         "--classifier goes with the names of a library that has a place for it, "
                         "not with --format wisp");
    WISP_TRY(find_classifier(t, found, err));
    t->facts->classes = found[0]->desc.shape[0];
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s.%s", t->names.facts.classifier, i ? "bias" : "weight");
        WISP_TRY(put(t, name, &found[i]->desc, found[i]->data, err));
    }
    return WISP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const wispi_stored_tensor *)a)->name, ((const wispi_stored_tensor *)b)->name);
}

/* Two tensors of one name would be a file that nobody reads. */
static wisp_status check_names(transfer *t, wisp_error *err)
{
    qsort(t->out, (size_t)t->n_out, sizeof *t->out, by_name);
    for (int64_t i = 1; i < t->n_out; i++)
        if (strcmp(t->out[i - 1].name, t->out[i].name) == 0)
            return wisp_fail(err, WISP_E_PLUGIN,
                             "backbone %s: exchange_name() gives two tensors the name %s",
                             t->backbone.plugin->descriptor->name, t->out[i].name);
    return WISP_OK;
}

static wisp_status collect(transfer *t, wisp_error *err)
{
    const size_t n = (size_t)wispi_safetensors_count(t->file);
    t->arena = wispi_arena_create(1 << 16);
    t->out = wispi_alloc_array(2 * n + 2, sizeof *t->out);
    if (!t->arena || !t->out)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to export %zu tensors", n);
    WISP_TRY(find_path(t, err));
    WISP_TRY(collect_backbone(t, err));
    WISP_TRY(collect_classifier(t, err));
    return check_names(t, err);
}

/* --- writing --- */

static void describe_input(const transfer *t, wispi_text *out)
{
    const double *mean = t->input.mean.items, *std = t->input.std.items;
    wispi_text_printf(out,
                      "{\"mean\": [%.9g, %.9g, %.9g], \"std\": [%.9g, %.9g, %.9g], "
                      "\"resize\": %lld, \"size\": %lld}",
                      mean[0], mean[1], mean[2], std[0], std[1], std[2],
                      (long long)t->input.eval_resize, (long long)t->input.eval_size);
}

static void describe_backbone(const transfer *t, wispi_text *out)
{
    const wisp_descriptor *d = t->backbone.plugin->descriptor;
    wispi_resolved_table(out, "backbone", d->name, d->options, d->n_options, d->option_size,
                         t->backbone.config);
}

static wisp_status write_file(transfer *t, wisp_error *err)
{
    wispi_text input = {0}, backbone = {0};
    describe_input(t, &input);
    describe_backbone(t, &backbone);
    const wispi_stored_text texts[] = {
        {"format", "pt"}, /* what readers for PyTorch ask for */
        {"wisp.version", WISP_VERSION},
        {"wisp.names", t->request->library},
        {"wisp.network", t->facts->path},
        {"wisp.input", input.data},
        {"wisp.toml", backbone.data},
        {"wisp.model", t->facts->model},
    };
    wisp_status status =
        input.failed || backbone.failed
            ? wisp_fail(err, WISP_E_NOMEM, "no memory to describe the weights")
            : wispi_safetensors_write(t->request->file, t->out, t->n_out, texts,
                                      (int64_t)WISP_COUNT(texts) - t->names.own, err);
    wispi_text_free(&input);
    wispi_text_free(&backbone);
    return status;
}

/* The file is written from the checkpoint's own pages, and replacing that would lose a run. */
static wisp_status check_target(const transfer *t, wisp_error *err)
{
    struct stat from, to;
    if (stat(t->facts->weights, &from) != 0 || stat(t->request->file, &to) != 0)
        return WISP_OK;
    if (from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return wisp_fail(err, WISP_E_CONFIG, "%s is the checkpoint itself: name another file",
                         t->request->file);
    if (S_ISDIR(to.st_mode))
        return wisp_fail(err, WISP_E_CONFIG, "%s is a folder: name a file", t->request->file);
    return WISP_OK;
}

static wisp_status export_all(transfer *t, wispi_registry *registry, wisp_error *err)
{
    WISP_TRY(open_run(t, registry, err));
    WISP_TRY(check_target(t, err));
    WISP_TRY(collect(t, err));
    t->facts->n_tensors = (int32_t)t->n_out;
    if (!t->names.own) {
        wispi_exchange_model(&t->names, t->facts->classes, t->facts->model, sizeof t->facts->model);
        if (t->facts->classes == 0)
            memcpy(t->facts->headless, t->names.facts.headless, sizeof t->facts->headless);
    }
    return write_file(t, err);
}

wisp_status wispi_weights_export(wispi_registry *registry, const wispi_export_request *request,
                                 wispi_export_facts *facts, wisp_error *err)
{
    transfer t;
    wispi_export_facts made;
    memset(&t, 0, sizeof t);
    memset(&made, 0, sizeof made);
    t.request = request;
    t.facts = &made;
    wisp_status status = export_all(&t, registry, err);
    if (status == WISP_OK)
        *facts = made;
    wispi_free(t.out);
    wispi_arena_destroy(t.arena);
    wispi_safetensors_close(t.file);
    wispi_instance_destroy(&t.backbone);
    wispi_config_destroy(t.config);
    return status;
}

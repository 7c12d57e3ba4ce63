/* runtime_ops.c - wisp_runtime_ops: the checks of tensor/op_check.h on a device. */
#include "train/runtime_handle.h"

#include "config/config.h"
#include "tensor/op_check.h"
#include "train/device_choice.h"

/* A backend with its default options, open. Zeroed: the host's own reference kernels. */
typedef struct bench {
    wispi_config *config;
    wispi_instance instance;
    wispi_device *device;
} bench;

static void close_bench(bench *b)
{
    wispi_device_close(b->device);
    wispi_instance_destroy(&b->instance);
    wispi_config_destroy(b->config);
}

/* By its file. */
static wisp_status open_file(wisp_runtime *runtime, const char *path, bench *b, wisp_error *err)
{
    char table[256];
    snprintf(table, sizeof table, "use = \"%s\"", path);
    WISP_TRY(wispi_config_parse_text("--device", table, NULL, 0, &b->config, err));
    WISP_TRY(wispi_instance_create(runtime->registry, "backend", wispi_config_root(b->config),
                                   "backend", wispi_config_arena(b->config), &b->instance, err));
    wisp_error reason = {0};
    if (wispi_backend_of(&b->instance)->n_devices(b->instance.self, &reason) > 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "backend %s finds no device here: %s", path,
                     reason.message[0] ? reason.message : "it gave no reason");
}

static wisp_status open_backend(wisp_runtime *runtime, const char *name, bench *b, int32_t *index,
                                wisp_error *err)
{
    if (strlen(name) >= 240 || strpbrk(name, "\"\\\n"))
        return wisp_fail(err, WISP_E_INVALID, "%.80s is no name of a backend", name);
    if (strchr(name, '/'))
        return open_file(runtime, name, b, err);
    WISP_TRY(wispi_config_parse_text("--device", "", NULL, 0, &b->config, err));
    return wispi_device_choose(runtime->registry, wispi_config_arena(b->config), "--device", name,
                               NULL, &b->instance, index, err);
}

static wisp_status open_bench(wisp_runtime *runtime, const char *name, bench *b, wisp_error *err)
{
    const wispi_device_options options = {.deterministic = 1};
    const wisp_backend_v0 *backend = NULL;
    int32_t index = 0;
    wisp_status status = WISP_OK;
    if (strcmp(name, "reference") != 0) {
        status = open_backend(runtime, name, b, &index, err);
        if (status == WISP_OK)
            backend = wispi_backend_of(&b->instance);
    }
    if (status == WISP_OK)
        status = wispi_device_open(backend, b->instance.self, index, &options, &b->device, err);
    if (status != WISP_OK)
        close_bench(b);
    return status;
}

/* Where results go: lines of text, or members of a JSON array. */
typedef struct report {
    wispi_text text;
    int json;
    int32_t n_rows, n_failed;
} report;

static void begin_row(report *r)
{
    if (r->json)
        wispi_text_append(&r->text, r->n_rows ? ",\n    " : "\n    ");
    r->n_rows++;
}

static void add_result(void *user, const wispi_op_result *result)
{
    report *r = user;
    begin_row(r);
    (r->json ? wispi_op_result_json : wispi_op_result_text)(&r->text, result);
}

static void add_support(void *user, const wispi_op_support_row *row)
{
    report *r = user;
    begin_row(r);
    (r->json ? wispi_op_support_json : wispi_op_support_text)(&r->text, row);
}

static void add_perf(void *user, const wispi_op_perf_row *row)
{
    report *r = user;
    begin_row(r);
    r->n_failed += row->outcome == WISPI_CHECK_FAIL;
    (r->json ? wispi_op_perf_json : wispi_op_perf_text)(&r->text, row);
}

static void add_summary(report *r, const wispi_op_summary *s)
{
    /* A kernel that is missing is a gap that `support` shows, not a wrong result. */
    r->n_failed = s->n_fail;
    if (r->json)
        wispi_text_printf(&r->text,
                          ",\n  \"pass\": %d, \"fail\": %d, \"skip\": %d, \"missing\": %d",
                          s->n_pass, s->n_fail, s->n_skip, s->n_missing);
    else
        wispi_text_printf(&r->text, "%d passed, %d failed, %d skipped, %d without a kernel\n",
                          s->n_pass, s->n_fail, s->n_skip, s->n_missing);
}

static wisp_status check_all(int32_t what, wispi_device *device, const char *filter, report *r,
                             wisp_error *err)
{
    const wispi_op_options options = {.filter = filter};
    wispi_op_summary summary = {0};
    int counted = what == WISP_OPS_TEST || what == WISP_OPS_GRAD;
    wisp_status status;
    if (what == WISP_OPS_TEST)
        status = wispi_op_test_all(device, &options, add_result, r, &summary, err);
    else if (what == WISP_OPS_GRAD)
        status = wispi_op_grad_all(&options, add_result, r, &summary, err);
    else if (what == WISP_OPS_SUPPORT)
        status = wispi_op_support(device, filter, add_support, r, err);
    else
        status = wispi_op_perf(device, filter, add_perf, r, err);
    if (r->json)
        wispi_text_append(&r->text, "\n  ]");
    if (status == WISP_OK && counted)
        add_summary(r, &summary);
    if (r->json)
        wispi_text_append(&r->text, "\n}\n");
    return status;
}

wisp_status wisp_runtime_ops(wisp_runtime *runtime, int32_t what, const char *backend,
                             const char *filter, int32_t format, char **text, int32_t *n_failed,
                             wisp_error *err)
{
    bench b = {0};
    report r = {.json = format == WISP_FORMAT_JSON};
    if (what < WISP_OPS_TEST || what > WISP_OPS_PERF)
        return wisp_fail(err, WISP_E_INVALID, "there is no check of operations number %d", what);
    /* Gradient rules are the host's: no backend is asked. */
    if (what == WISP_OPS_GRAD)
        backend = "reference";
    WISP_TRY(open_bench(runtime, backend ? backend : "cpu", &b, err));
    if (r.json)
        wispi_text_append(&r.text, "{\n  \"results\": [");
    wisp_status status = check_all(what, b.device, filter, &r, err);
    close_bench(&b);
    if (status != WISP_OK) {
        wispi_text_free(&r.text);
        return status;
    }
    WISP_TRY(wispi_runtime_give(&r.text, text, err));
    *n_failed = r.n_failed;
    return WISP_OK;
}

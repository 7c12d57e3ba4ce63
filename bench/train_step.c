/* train_step - one complete DINO training step on views that are ready in memory.
 *
 *   train_step PLUGIN_FOLDER [--shape imagenet|cifar|tiny] [--backbone NAME] [--depth 18|34|50]
 *              [--batch N] [--bf16] [--device NAME] [--threads N] [--steps N] [--seconds S]
 *              [--json] [--profile implementation|op|shape] [KEY=VALUE ...]
 *
 * KEY=VALUE overrides the experiment, as backbone.width=0.5 does; --depth is for resnet alone.
 * --profile adds one line for each operation, by implementation, as a whole, or by shapes, with the
 * bytes of its arguments and results.
 * Prints images/s (source images), GFLOP/s and their share of the matrix product's rate measured in
 * the same process, the time of each phase, the peak memory, and the host's own overhead an
 * operation. On a device that works on its own, a time is that of ten steps and one wait for it.
 * FLOPs are twice the multiply-adds of convolutions, linear layers and products that the step
 * carries out. bench/compare_train_step.sh runs it in turn with PyTorch. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "loader/host_table.h"
#include "train/session.h"

enum { MAX_OVERRIDES = 16 };

typedef struct arguments {
    const char *plugins, *shape, *backbone, *device;
    int depth, batch, bf16, threads, steps, json;
    const char *profile;
    double seconds;
    int n_overrides;
    const char *overrides[MAX_OVERRIDES];
} arguments;

typedef struct shape {
    const char *name, *stem;
    int global, local, n_local, out_dim, hidden, bottleneck;
    double width;
} shape;

static const shape shapes[] = {
    {"imagenet", "imagenet", 224, 96, 6, 65536, 2048, 256, 1.0},
    {"cifar", "cifar", 32, 16, 4, 4096, 2048, 256, 1.0},
    {"tiny", "cifar", 8, 4, 4, 64, 32, 32, 0.0625},
};

static const shape *find_shape(const char *name)
{
    for (size_t i = 0; i < WISP_COUNT(shapes); i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

static int32_t profile_by(const char *name)
{
    static const char *const names[] = {"implementation", "op", "shape"};
    for (int32_t i = 0; name && i < (int32_t)WISP_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static int parse(int argc, char **argv, arguments *a)
{
    *a = (arguments){.shape = "imagenet",
                     .backbone = "resnet",
                     .device = "cpu",
                     .depth = 18,
                     .batch = 16,
                     .steps = 5,
                     .seconds = 60};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--shape") == 0)
            a->shape = value, i++;
        else if (strcmp(argv[i], "--backbone") == 0)
            a->backbone = value, i++;
        else if (strcmp(argv[i], "--device") == 0)
            a->device = value, i++;
        else if (strcmp(argv[i], "--depth") == 0)
            a->depth = (int)strtol(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--batch") == 0)
            a->batch = (int)strtol(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--threads") == 0)
            a->threads = (int)strtol(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--steps") == 0)
            a->steps = (int)strtol(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--seconds") == 0)
            a->seconds = strtod(value, NULL), i++;
        else if (strcmp(argv[i], "--bf16") == 0)
            a->bf16 = 1;
        else if (strcmp(argv[i], "--json") == 0)
            a->json = 1;
        else if (strcmp(argv[i], "--profile") == 0)
            a->profile = value, i++;
        else if (!a->plugins && argv[i][0] != '-')
            a->plugins = argv[i];
        else if (strchr(argv[i], '=') && a->n_overrides < MAX_OVERRIDES)
            a->overrides[a->n_overrides++] = argv[i];
        else
            return 0;
    }
    if (a->profile && profile_by(a->profile) < 0)
        return 0;
    return a->plugins && find_shape(a->shape) && a->batch > 0 && a->steps > 0;
}

static void write_backbone(FILE *file, const arguments *a, const shape *s)
{
    const int resnet = strcmp(a->backbone, "resnet") == 0;
    fprintf(file, "[backbone]\nuse = \"%s\"\n", a->backbone);
    if (resnet)
        fprintf(file, "depth = %d\n", a->depth);
    if (resnet || strcmp(a->backbone, "mobilenet_v2") == 0)
        fprintf(file, "width = %g\nstem = \"%s\"\n", s->width, s->stem);
}

/* The same experiment as a TOML text, in a file of its own. */
static void write_experiment(const arguments *a, const char *path)
{
    const shape *s = find_shape(a->shape);
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    fprintf(file,
            "[run]\nbatch = %d\nprecision = \"%s\"\ndevice = \"%s\"\n"
            "threads = %d\nviews = \"host\"\n"
            "[data]\nuse = \"synthetic\"\ncount = %d\n"
            "[sampler]\nuse = \"multicrop\"\nglobal = { count = 2, size = %d }\n"
            "local = { count = %d, size = %d }\n"
            "[method]\nuse = \"dino\"\nout_dim = %d\nhidden_dim = %d\nbottleneck_dim = %d\n"
            "head_batch_norm = false\nfreeze_last_layer_epochs = 0\n"
            "[optimizer]\nuse = \"adamw\"\nlr = 1e-4\nweight_decay = 0.04\n",
            a->batch, a->bf16 ? "bf16" : "f32", a->device, a->threads, a->batch * 4, s->global,
            s->n_local, s->local, s->out_dim, s->hidden, s->bottleneck);
    write_backbone(file, a, s);
    fclose(file);
}

/* --- views --- */

static void fill_views(void *memory, int64_t count, int bf16)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(0, WISP_STREAM_DATA));
    for (int64_t i = 0; i < count; i++) {
        float value = (float)wisp_rng_range(&rng, -1.7, 1.7);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (bf16)
            ((uint16_t *)memory)[i] = (uint16_t)(bits >> 16);
        else
            ((float *)memory)[i] = value;
    }
}

static wisp_status make_views(const arguments *a, const wispi_session *s, wispi_feed_batch *batch,
                              wisp_error *err)
{
    memset(batch, 0, sizeof *batch);
    batch->size = a->batch;
    for (int32_t g = 0; g < s->n_groups; g++) {
        int64_t count =
            (int64_t)s->groups[g].count * a->batch * s->groups[g].width * s->groups[g].height * 3;
        batch->groups[g] = wispi_alloc((size_t)count * (a->bf16 ? 2 : 4));
        if (!batch->groups[g])
            return wisp_fail(err, WISP_E_NOMEM, "no memory for the views");
        fill_views(batch->groups[g], count, a->bf16);
    }
    return WISP_OK;
}

/* --- the roofline: a product of two square matrices --- */

/* Large enough to fill the device, small enough to end. */
static int product_side(const arguments *a, const wispi_session *s)
{
    if (wispi_device_host_visible(s->device))
        return 2048;
    return strcmp(a->shape, "tiny") == 0 ? 256 : 8192;
}

typedef struct product {
    wispi_variable a, b;
} product;

static void product_step(wisp_step *step, void *user)
{
    product *p = user;
    wisp_no_grad_begin(step);
    wispi_step_keep(step, wisp_linear(step, wispi_step_variable(step, &p->a),
                                      wispi_step_variable(step, &p->b), NULL));
    wisp_no_grad_end(step);
}

static wisp_status fill_variable(wispi_session *s, wispi_variable *variable, int bf16,
                                 wisp_error *err)
{
    void *values = wispi_alloc((size_t)wisp_desc_bytes(&variable->desc));
    if (!values)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a matrix");
    fill_views(values, wisp_desc_count(&variable->desc), bf16);
    const wisp_status status = wispi_variable_write(s->device, variable, values, err);
    wispi_free(values);
    return status;
}

static wisp_status measure_peak(wispi_session *s, int side, int bf16, double *gflops,
                                wisp_error *err)
{
    product p;
    memset(&p, 0, sizeof p);
    wisp_desc desc = wisp_desc2(bf16 ? WISP_BF16 : WISP_F32, side, side);
    WISP_TRY(wispi_variable_init(s->device, &p.a, "a", &desc, NULL, err));
    WISP_TRY(wispi_variable_init(s->device, &p.b, "b", &desc, NULL, err));
    WISP_TRY(fill_variable(s, &p.a, bf16, err));
    WISP_TRY(fill_variable(s, &p.b, bf16, err));
    wispi_program *program = NULL;
    WISP_TRY(wispi_program_record(s->device, wispi_ops_table(), s->model, 0, product_step, &p,
                                  &program, err));
    double best = 0;
    for (int i = 0; i < 12; i++) {
        double start = wispi_seconds();
        WISP_TRY(wispi_program_run(program, product_step, &p, NULL, err));
        WISP_TRY(wispi_device_sync(s->device, err));
        double rate = 2e-9 * side * side * side / (wispi_seconds() - start);
        best = rate > best ? rate : best;
    }
    *gflops = best;
    wispi_program_destroy(program);
    wispi_variable_fini(s->device, &p.a);
    wispi_variable_fini(s->device, &p.b);
    return WISP_OK;
}

/* --- measuring --- */

static double peak_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (file)
        fclose(file);
    return kib / 1024;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct figures {
    double median, least, most; /* seconds a step */
    double phases[3];           /* seconds a step: forward, backward, update */
    double overhead;            /* seconds an operation outside kernels */
    double peak, memory, gflop; /* matrix peak GFLOP/s; MiB; GFLOP a step */
    int n, side;                /* of the product behind `peak` */
} figures;

/* A device with memory of its own gets the views once. */
static wisp_status place_views(wispi_session *s, wispi_feed_batch *batch, wisp_error *err)
{
    if (wispi_device_host_visible(s->device))
        return WISP_OK;
    for (int32_t g = 0; g < s->n_groups; g++) {
        WISP_TRY(wispi_variable_write(s->device, &s->whole.batch.views[g], batch->groups[g], err));
        wispi_free(batch->groups[g]);
        batch->groups[g] = NULL;
    }
    return WISP_OK;
}

static wisp_status measure(const arguments *a, wispi_session *s, figures *f, wisp_error *err)
{
    double times[1024];
    wispi_feed_batch batch;
    wispi_run_options plain = {.profile = 0}, profiled = {.profile = 1};
    WISP_TRY(make_views(a, s, &batch, err));
    WISP_TRY(wispi_session_record(s, 0, err));
    WISP_TRY(place_views(s, &batch, err));
    const int at_once = wispi_device_host_visible(s->device) ? 1 : 10;
    for (int i = 0; i < (at_once > 1 ? 5 : 1); i++) /* a graph is made of the third step */
        WISP_TRY(wispi_session_step(s, &batch, &plain, err));
    WISP_TRY(wispi_device_sync(s->device, err));
    double begin = wispi_seconds();
    for (f->n = 0; f->n < a->steps && f->n < 1024; f->n++) {
        if (f->n >= 2 && wispi_seconds() - begin > a->seconds)
            break;
        double start = wispi_seconds();
        for (int i = 0; i < at_once; i++)
            WISP_TRY(wispi_session_step(s, &batch, &plain, err));
        WISP_TRY(wispi_device_sync(s->device, err));
        times[f->n] = (wispi_seconds() - start) / at_once;
    }
    f->memory = peak_mib();
    qsort(times, (size_t)f->n, sizeof *times, ascending);
    f->median = times[f->n / 2];
    f->least = times[0];
    f->most = times[f->n - 1];
    double start = wispi_seconds();
    const int n = a->profile ? a->steps : 1;
    for (int i = 0; i < n; i++)
        WISP_TRY(wispi_session_step(s, &batch, &profiled, err));
    double whole = (wispi_seconds() - start) / n;
    wispi_program_facts facts;
    wispi_program_facts_of(s->whole.program, &facts);
    wispi_program_phases(s->whole.program, f->phases);
    for (int i = 0; i < 3; i++)
        f->phases[i] /= n;
    f->gflop = 2e-9 * facts.total_macs;
    f->overhead = (whole - f->phases[0] - f->phases[1] - f->phases[2]) / facts.n_calls;
    for (int32_t g = 0; g < s->n_groups; g++)
        wispi_free(batch.groups[g]);
    f->side = product_side(a, s);
    return measure_peak(s, f->side, a->bf16, &f->peak, err);
}

static void print_row(const wispi_profile_row *row, int32_t by, int n_steps, double whole)
{
    const wisp_desc *descs[] = {row->in[0], row->in[1], row->out};
    char text[96];
    printf("  %8.2f ms %5.1f %%  %4lld calls %7.1f GFLOP/s %8.1f MB  %s",
           1e3 * row->seconds / n_steps, 100 * row->seconds / n_steps / whole,
           (long long)row->calls / n_steps, 2e-9 * row->macs / row->seconds,
           1e-6 * row->bytes / n_steps, row->op);
    if (by != WISPI_PROFILE_OP)
        printf(", %s", row->implementation);
    for (size_t i = 0; by == WISPI_PROFILE_SHAPE && i < WISP_COUNT(descs); i++)
        printf(" %s", descs[i] ? wispi_shape_text(descs[i], text, sizeof text) : "-");
    printf("\n");
}

static void print_profile(const wispi_session *s, int32_t by, int n_steps, double whole)
{
    static wispi_profile_row rows[1024];
    const int32_t n = wispi_program_profile(s->whole.program, by, rows, 1024);
    for (int32_t i = 0; i < n; i++)
        print_row(&rows[i], by, n_steps, whole);
}

static void print(const arguments *a, const wispi_session *s, const figures *f)
{
    double rate = f->gflop / f->median;
    if (a->json) {
        printf("{\"bench\": \"train_step\", \"shape\": \"%s\", \"backbone\": \"%s\", "
               "\"depth\": %d, \"batch\": %d, "
               "\"dtype\": "
               "\"%s\", \"threads\": %d, \"steps\": %d, \"images_per_s\": %.3f, "
               "\"images_per_s_min\": %.3f, "
               "\"images_per_s_max\": %.3f, \"ms_step\": %.3f, \"ms_fwd\": %.3f, \"ms_bwd\": %.3f, "
               "\"ms_opt_ema\": %.3f, \"gflops\": %.1f, \"peak_gflops\": %.1f, \"peak_rss_mib\": "
               "%.0f, "
               "\"overhead_us_per_op\": %.3f}\n",
               a->shape, a->backbone, a->depth, a->batch, a->bf16 ? "bf16" : "f32", s->n_threads,
               f->n, a->batch / f->median, a->batch / f->most, a->batch / f->least, 1e3 * f->median,
               1e3 * f->phases[0], 1e3 * f->phases[1], 1e3 * f->phases[2], rate, f->peak, f->memory,
               1e6 * f->overhead);
        return;
    }
    printf("%s", a->backbone);
    if (strcmp(a->backbone, "resnet") == 0)
        printf("%d", a->depth);
    printf(" %s batch %d %s, %d threads, %s\n", a->shape, a->batch, a->bf16 ? "bf16" : "f32",
           s->n_threads, s->device_name);
    printf("  %.2f images/s (%.2f - %.2f over %d steps), %.1f ms a step\n", a->batch / f->median,
           a->batch / f->most, a->batch / f->least, f->n, 1e3 * f->median);
    printf("  forward %.1f ms, backward %.1f ms, optimizer and EMA %.1f ms\n", 1e3 * f->phases[0],
           1e3 * f->phases[1], 1e3 * f->phases[2]);
    printf("  %.1f GFLOP/s, %.0f %% of the %.0f GFLOP/s of a %d^3 product\n", rate,
           100 * rate / f->peak, f->peak, f->side);
    printf("  peak memory %.0f MiB, overhead %.2f us an operation\n", f->memory, 1e6 * f->overhead);
    if (a->profile)
        print_profile(s, profile_by(a->profile), a->steps,
                      f->phases[0] + f->phases[1] + f->phases[2]);
}

static wisp_status run(const arguments *a, const char *path, wisp_error *err)
{
    const char *folders[] = {a->plugins, NULL};
    wispi_registry_options options = {folders, 0, 0};
    wispi_registry *registry = NULL;
    wispi_experiment *experiment = NULL;
    wispi_session *session = NULL;
    figures f;
    memset(&f, 0, sizeof f);
    WISP_TRY(wispi_registry_create(&options, wispi_host_table(), &registry, err));
    wisp_status status =
        wispi_experiment_load(registry, path, a->overrides, a->n_overrides, &experiment, err);
    if (status == WISP_OK)
        status = wispi_session_open(experiment, &session, err);
    if (status == WISP_OK)
        status = measure(a, session, &f, err);
    if (status == WISP_OK)
        print(a, session, &f);
    wispi_session_close(session);
    wispi_experiment_destroy(experiment);
    wispi_registry_destroy(registry);
    return status;
}

int main(int argc, char **argv)
{
    arguments a;
    if (!parse(argc, argv, &a)) {
        fprintf(stderr,
                "usage: train_step PLUGIN_FOLDER [--shape imagenet|cifar|tiny] "
                "[--backbone NAME] [--depth N] [--batch N] [--bf16] [--device NAME] "
                "[--threads N] [--steps N] [--seconds S] [--json] [--profile] [KEY=VALUE ...]\n");
        return 2;
    }
    char path[] = "/tmp/wisp-train-step-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    write_experiment(&a, path);
    wisp_error err = {0};
    wisp_status status = run(&a, path, &err);
    unlink(path);
    if (status != WISP_OK)
        fprintf(stderr, "train_step: %s\n", err.message);
    return status != WISP_OK;
}

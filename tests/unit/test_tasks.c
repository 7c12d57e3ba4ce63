/* k-NN and the linear probes against PyTorch (tests/golden/tasks.safetensors, made by
 * tests/golden/make_tasks_golden.py), against a naive vote, and at their limits. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/pool.h"
#include "built_plugin.h"
#include "golden_reader.h"
#include "model_fixture.h"
#include "task_context.h"
#include "wisp/rng.h"

/* The arithmetic of the linear probe, which its plugin keeps to itself. */
#include "../../plugins/tasks/linear_probe/softmax_regression.c"

static const char golden_path[] = "tests/golden/tasks.safetensors";

/* --- one evaluation --- */

typedef struct bench {
    built_plugins plugins;
    const wispi_instance *task;
} bench;

static void open_bench(bench *b, const char *use, const char *task_options)
{
    char toml[512];
    snprintf(toml, sizeof toml, "[task]\nuse = \"%s\"\n%s\n", use, task_options);
    b->plugins = built_plugins_open(toml);
    b->task = built_plugin(&b->plugins, "task", "task");
}

static wisp_status run_task(const char *use, const char *task_options, fake_context *f,
                            wisp_error *err)
{
    bench b;
    open_bench(&b, use, task_options);
    const wisp_task_v0 *vtable = b.task->plugin->descriptor->vtable;
    const int64_t live = wispi_live_blocks();
    const wisp_status status = vtable->evaluate(b.task->self, &f->plugin, err);
    ck_assert_int_eq(wispi_live_blocks(), live);
    built_plugins_close(&b.plugins);
    return status;
}

static void judge(const char *use, const char *task_options, fake_context *f)
{
    wisp_error err = {0};
    const wisp_status status = run_task(use, task_options, f, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
}

/* The task fails with this status, a message with `text` in it, and no result. */
static void refuse(const char *use, const char *task_options, fake_context *f, wisp_status expected,
                   const char *text)
{
    wisp_error err = {0};
    const wisp_status status = run_task(use, task_options, f, &err);
    ck_assert_msg(status == expected, "%s instead of %s: %s", wisp_status_name(status),
                  wisp_status_name(expected), err.message);
    ck_assert_msg(strstr(err.message, text) != NULL, "no \"%s\" in: %s", text, err.message);
}

/* --- embeddings --- */

static wisp_embeddings new_split(int64_t count, int64_t dim, int32_t n_classes)
{
    float *values = calloc((size_t)(count * dim), sizeof *values);
    int32_t *labels = calloc((size_t)count, sizeof *labels);
    ck_assert(values && labels);
    return (wisp_embeddings){count, dim, values, labels, n_classes, 0};
}

static float *values_of(const wisp_embeddings *e)
{
    return (float *)(uintptr_t)e->values;
}

static int32_t *labels_of(const wisp_embeddings *e)
{
    return (int32_t *)(uintptr_t)e->labels;
}

static void free_split(wisp_embeddings *e)
{
    free(values_of(e));
    free(labels_of(e));
}

/* Rows around `spread` times their class's own axis; random labels when spread is 0. */
static wisp_embeddings random_split(uint64_t seed, int64_t count, int64_t dim, int32_t n_classes,
                                    double spread)
{
    wisp_embeddings e = new_split(count, dim, n_classes);
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(seed, 77));
    for (int64_t i = 0; i < count; i++) {
        labels_of(&e)[i] = (int32_t)wisp_rng_below(&rng, (uint32_t)n_classes);
        for (int64_t j = 0; j < dim; j++)
            values_of(&e)[i * dim + j] =
                (float)(wisp_rng_normal(&rng) + (j == e.labels[i] % dim ? spread : 0));
    }
    return e;
}

static wisp_embeddings golden_split(const golden_file *g, const char *name, int32_t n_classes)
{
    char labels_name[64];
    snprintf(labels_name, sizeof labels_name, "%s.labels", name);
    golden_tensor x = golden_get(g, name), labels = golden_get(g, labels_name);
    ck_assert(x.desc.rank == 2 && labels.count == x.desc.shape[0]);
    wisp_embeddings e = new_split(x.desc.shape[0], x.desc.shape[1], n_classes);
    for (int64_t i = 0; i < x.count; i++)
        values_of(&e)[i] = (float)x.v[i];
    for (int64_t i = 0; i < labels.count; i++)
        labels_of(&e)[i] = (int32_t)labels.v[i];
    free(x.v);
    free(labels.v);
    return e;
}

/* --- k-NN --- */

static void check_predictions(const golden_file *g, size_t number, const char *task_options,
                              const wisp_embeddings *bank, const wisp_embeddings *queries)
{
    char name[64];
    fake_context f;
    snprintf(name, sizeof name, "predictions.%zu", number);
    golden_tensor predictions = golden_get(g, name);
    ck_assert_int_eq(predictions.count, queries->count);
    wisp_embeddings judged = new_split(queries->count, queries->dim, queries->n_classes);
    memcpy(values_of(&judged), queries->values,
           (size_t)(queries->count * queries->dim) * sizeof(float));
    for (int64_t i = 0; i < judged.count; i++)
        labels_of(&judged)[i] = (int32_t)predictions.v[i];
    fake_open(&f, bank, &judged);
    judge("knn", task_options, &f);
    ck_assert_double_eq(fake_value(&f, "k-NN top-1"), 100.0);
    labels_of(&judged)[3] = (judged.labels[3] + 1) % judged.n_classes;
    fake_open(&f, bank, &judged);
    judge("knn", task_options, &f);
    ck_assert_double_lt(fake_value(&f, "k-NN top-1"), 99.9);
    free(predictions.v);
    free_split(&judged);
}

START_TEST(knn_votes_as_pytorch)
{
    golden_file g = golden_open(golden_path);
    json_t *cases = golden_json(&g, "knn"), *row;
    wisp_embeddings bank = golden_split(&g, "bank", 7), queries = golden_split(&g, "queries", 7);
    size_t i;
    ck_assert_uint_ge(json_array_size(cases), 6);
    json_array_foreach(cases, i, row)
    {
        fake_context f;
        char text[256];
        const char *protocol = json_string_value(json_object_get(row, "protocol"));
        snprintf(text, sizeof text, "k = %lld\ntemperature = %g\nprotocol = \"%s\"",
                 (long long)json_integer_value(json_object_get(row, "k")),
                 json_number_value(json_object_get(row, "temperature")), protocol);
        fake_open(&f, &bank, &queries);
        judge("knn", text, &f);
        ck_assert_double_eq_tol(fake_value(&f, "k-NN top-1"),
                                json_number_value(json_object_get(row, "top1")), 1e-9);
        ck_assert_double_eq_tol(fake_value(&f, "k-NN top-5"),
                                json_number_value(json_object_get(row, "top5")), 1e-9);
        if (!strcmp(protocol, "train_test"))
            check_predictions(&g, i + 1, text, &bank, &queries);
    }
    json_decref(cases);
    free_split(&bank);
    free_split(&queries);
    golden_close(&g);
}
END_TEST

typedef struct candidate {
    double cosine;
    int64_t index;
} candidate;

static int by_nearness(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->cosine != y->cosine)
        return x->cosine < y->cosine ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

/* Top-1 in per cent: everything in double, everything sorted. */
static double naive_knn(const wisp_embeddings *bank, const wisp_embeddings *queries, int64_t k,
                        double temperature, int alone)
{
    candidate *list = calloc((size_t)bank->count, sizeof *list);
    int64_t hits = 0;
    ck_assert_ptr_nonnull(list);
    for (int64_t q = 0; q < queries->count; q++) {
        const float *x = queries->values + q * queries->dim;
        double votes[16] = {0};
        for (int64_t i = 0; i < bank->count; i++) {
            const float *y = bank->values + i * bank->dim;
            double xy = 0, xx = 0, yy = 0;
            for (int64_t j = 0; j < bank->dim; j++) {
                xy += (double)x[j] * (double)y[j];
                xx += (double)x[j] * (double)x[j];
                yy += (double)y[j] * (double)y[j];
            }
            list[i] = (candidate){alone && i == q ? -INFINITY : xy / sqrt(xx * yy), i};
        }
        qsort(list, (size_t)bank->count, sizeof *list, by_nearness);
        for (int64_t i = 0; i < k; i++)
            votes[bank->labels[list[i].index]] += exp(list[i].cosine / temperature);
        int32_t best = 0;
        for (int32_t c = 1; c < bank->n_classes; c++)
            best = votes[c] > votes[best] ? c : best;
        hits += best == queries->labels[q];
    }
    free(list);
    return 100.0 * (double)hits / (double)queries->count;
}

/* More rows than a chunk of either side, and chunks with a ragged end. */
START_TEST(knn_equals_a_naive_vote)
{
    static const struct {
        int64_t bank, queries, dim, k;
        int alone;
    } sizes[] = {{4500, 61, 9, 20, 0},  {33, 1100, 5, 7, 0}, {4099, 520, 3, 1, 0},
                 {700, 700, 11, 31, 1}, {5, 3, 1, 5, 0},     {1, 1, 2, 1, 0}};
    const int64_t k = sizes[_i].k;
    wisp_embeddings bank = random_split(1, sizes[_i].bank, sizes[_i].dim, 9, 1.5);
    wisp_embeddings queries = random_split(2, sizes[_i].queries, sizes[_i].dim, 9, 1.5);
    fake_context f;
    char text[128];
    snprintf(text, sizeof text, "k = %lld\n%s", (long long)k,
             sizes[_i].alone ? "protocol = \"leave_one_out\"" : "");
    fake_open(&f, &bank, &queries);
    judge("knn", text, &f);
    const double expected =
        naive_knn(sizes[_i].alone ? &queries : &bank, &queries, k, 0.07, sizes[_i].alone);
    ck_assert_double_eq_tol(fake_value(&f, "k-NN top-1"), expected, 1e-9);
    ck_assert_int_le(f.largest_product, 512 * 4096);
    free_split(&bank);
    free_split(&queries);
}
END_TEST

START_TEST(knn_says_how_it_was_measured)
{
    wisp_embeddings bank = random_split(1, 40, 4, 6, 1), queries = random_split(2, 30, 4, 6, 1);
    wisp_embeddings few = random_split(3, 30, 4, 5, 1);
    fake_context f;
    fake_open(&f, &bank, &queries);
    judge("knn", "temperature = 0.1", &f);
    json_t *protocol = json_loads(fake_result_of(&f, "k-NN top-5")->protocol, 0, NULL);
    ck_assert_ptr_nonnull(protocol);
    ck_assert_int_eq(json_integer_value(json_object_get(protocol, "k")), 20);
    ck_assert_double_eq(json_number_value(json_object_get(protocol, "temperature")), 0.1);
    ck_assert_str_eq(json_string_value(json_object_get(protocol, "protocol")), "train_test");
    ck_assert_int_eq(json_integer_value(json_object_get(protocol, "bank")), 40);
    ck_assert_int_eq(json_integer_value(json_object_get(protocol, "queries")), 30);
    json_decref(protocol);
    fake_open(&f, &few, &few);
    judge("knn", "protocol = \"leave_one_out\"", &f);
    ck_assert_int_eq(f.n_results, 1); /* top-5 of five classes says nothing */
    ck_assert_ptr_nonnull(strstr(f.results[0].protocol, "\"leave_one_out\""));
    free_split(&bank);
    free_split(&queries);
    free_split(&few);
}
END_TEST

/* Each image has a class of its own: only one that votes for itself is right. */
START_TEST(knn_leaves_the_image_itself_out)
{
    wisp_embeddings e = random_split(5, 600, 6, 600, 0);
    fake_context f;
    for (int32_t i = 0; i < 600; i++)
        labels_of(&e)[i] = i;
    memcpy(values_of(&e) + 6, e.values, 6 * sizeof(float)); /* a double, which comes later */
    fake_open(&f, &e, &e);
    judge("knn", "protocol = \"leave_one_out\"", &f);
    ck_assert_double_eq(fake_value(&f, "k-NN top-1"), 0.0);
    fake_open(&f, &e, &e);
    judge("knn", "k = 1", &f); /* the double's votes go to the first of the two */
    ck_assert_double_eq_tol(fake_value(&f, "k-NN top-1"), 100.0 * 599 / 600, 1e-9);
    free_split(&e);
}
END_TEST

START_TEST(knn_breaks_ties_by_the_lower_index)
{
    wisp_embeddings bank = new_split(9000, 2, 3), query = new_split(1, 2, 3);
    fake_context f;
    for (int32_t i = 0; i < 9000; i++) {
        values_of(&bank)[2 * i] = 0.3f;
        values_of(&bank)[2 * i + 1] = 0.7f;
        labels_of(&bank)[i] = i < 3 ? 2 : i % 2;
    }
    values_of(&query)[0] = 1;
    labels_of(&query)[0] = 2;
    fake_open(&f, &bank, &query);
    judge("knn", "k = 3", &f);
    ck_assert_double_eq(fake_value(&f, "k-NN top-1"), 100.0);
    fake_open(&f, &bank, &query);
    judge("knn", "k = 9", &f); /* 3 votes for class 2, 3 for 0, 3 for 1: the lowest class leads */
    ck_assert_double_eq(fake_value(&f, "k-NN top-1"), 0.0);
    labels_of(&query)[0] = 0;
    fake_open(&f, &bank, &query);
    judge("knn", "k = 9", &f);
    ck_assert_double_eq(fake_value(&f, "k-NN top-1"), 100.0);
    free_split(&bank);
    free_split(&query);
}
END_TEST

/* Of two equally far ones the later goes when a nearer one comes. */
START_TEST(knn_keeps_the_earlier_of_two_equals)
{
    static const float cosines[] = {0.5f, 0.5f, 0.5f, 0.9f, 0.8f};
    wisp_embeddings bank = new_split(5, 2, 6), query = new_split(1, 2, 6);
    values_of(&query)[0] = 1;
    for (int32_t i = 0; i < 5; i++) {
        values_of(&bank)[2 * i] = cosines[i];
        values_of(&bank)[2 * i + 1] = sqrtf(1 - cosines[i] * cosines[i]);
        labels_of(&bank)[i] = i;
    }
    for (int32_t label = 0; label < 5; label++) {
        fake_context f;
        labels_of(&query)[0] = label;
        fake_open(&f, &bank, &query);
        judge("knn", "k = 3", &f); /* the classes 0, 3 and 4 have votes */
        ck_assert_double_eq(fake_value(&f, "k-NN top-5"), label % 3 == 0 || label == 4 ? 100 : 0);
    }
    free_split(&bank);
    free_split(&query);
}
END_TEST

/* The zeros that fill the last chunk would be nearer than any of the bank's rows. */
START_TEST(knn_never_asks_the_padding)
{
    enum { BANK = 4097 };
    wisp_embeddings bank = new_split(BANK + 64, 2, 3), query = new_split(1, 2, 3);
    fake_context f;
    for (int32_t i = 0; i < BANK + 64; i++) {
        values_of(&bank)[2 * i] = -1;
        labels_of(&bank)[i] = i < BANK ? 1 : 2;
    }
    values_of(&query)[0] = 1;
    labels_of(&query)[0] = 1;
    bank.count = BANK;
    fake_open(&f, &bank, &query);
    judge("knn", "", &f);
    ck_assert_double_eq(fake_value(&f, "k-NN top-1"), 100.0);
    free_split(&bank);
    free_split(&query);
}
END_TEST

/* exp(1 / temperature) is far beyond a double; the nearest alone decides. */
START_TEST(knn_bears_any_temperature)
{
    wisp_embeddings bank = random_split(1, 300, 5, 7, 1), queries = random_split(2, 90, 5, 7, 1);
    fake_context f, nearest;
    fake_open(&f, &bank, &queries);
    judge("knn", "temperature = 1e-7", &f);
    fake_open(&nearest, &bank, &queries);
    judge("knn", "k = 1", &nearest);
    ck_assert_double_eq(fake_value(&f, "k-NN top-1"), fake_value(&nearest, "k-NN top-1"));
    memset(values_of(&bank), 0, 300 * 5 * sizeof(float)); /* embeddings without a direction */
    fake_open(&f, &bank, &queries);
    judge("knn", "", &f);
    free_split(&bank);
    free_split(&queries);
}
END_TEST

/* --- linear probe --- */

static void linear_options(const json_t *row, char *text, size_t bytes)
{
    const char *name;
    const json_t *value;
    size_t n = 0;
    text[0] = '\0';
    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        char *literal = json_dumps(value, JSON_ENCODE_ANY);
        n += (size_t)snprintf(text + n, bytes - n, "%s = %s\n", name, literal);
        ck_assert_uint_lt(n, bytes);
        free(literal);
    }
}

static void expect_series(const golden_file *g, const char *key, const char *what,
                          const double *got, int32_t n, double tolerance)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", key, what);
    golden_tensor want = golden_get(g, name);
    ck_assert_int_eq(want.count, n);
    for (int32_t i = 0; i < n; i++)
        ck_assert_msg(fabs(got[i] - want.v[i]) <= tolerance * fabs(want.v[i]),
                      "%s of epoch %d: %.9g, PyTorch has %.9g", name, i + 1, got[i], want.v[i]);
    free(want.v);
}

static double last_of(const golden_file *g, const char *key, const char *what, int best)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", key, what);
    golden_tensor series = golden_get(g, name);
    double value = series.v[series.count - 1];
    for (int64_t i = 0; best && i < series.count; i++)
        value = fmax(value, series.v[i]);
    free(series.v);
    return value;
}

/* Draws, order, schedule, arithmetic and judgement in one: the plugin as it is loaded. */
START_TEST(linear_probe_trains_as_pytorch)
{
    golden_file g = golden_open(golden_path);
    json_t *cases = golden_json(&g, "linear");
    wisp_embeddings bank = golden_split(&g, "bank", 7), queries = golden_split(&g, "queries", 7);
    const char *name;
    const json_t *row;
    ck_assert_uint_eq(json_object_size(cases), 4);
    json_object_foreach(cases, name, row)
    {
        fake_context f;
        char text[512];
        linear_options(row, text, sizeof text - 32);
        strcat(text, "augment = false");
        fake_open(&f, &bank, &queries);
        judge("linear_probe", text, &f);
        expect_series(&g, name, "loss", f.losses, f.n_epochs, 1e-4);
        expect_series(&g, name, "top1", f.top1, f.n_epochs, 1e-3); /* the log has two digits */
        ck_assert_double_eq_tol(fake_value(&f, "linear top-1"), last_of(&g, name, "top1", 0), 1e-4);
        ck_assert_double_eq_tol(fake_value(&f, "linear top-5"), last_of(&g, name, "top5", 0), 1e-4);
        ck_assert_double_eq_tol(fake_value(&f, "linear top-1 best epoch"),
                                last_of(&g, name, "top1", 1), 1e-4);
        ck_assert_int_eq(f.crop_calls, 0);
        ck_assert_int_eq(f.warnings, !strcmp(name, "whole")); /* one step an epoch */
    }
    json_decref(cases);
    free_split(&bank);
    free_split(&queries);
    golden_close(&g);
}
END_TEST

typedef struct path {
    const json_t *row;
    wisp_embeddings train;
    golden_tensor order, first;
} path;

static double number_of(const path *p, const char *key)
{
    return json_number_value(json_object_get(p->row, key));
}

static void step_on(regression *r, const path *p, int64_t epoch, int64_t first)
{
    const int64_t left = p->train.count - first, batch = (int64_t)number_of(p, "batch");
    const int64_t rows = left < batch ? left : batch, epochs = (int64_t)number_of(p, "epochs");
    const double start = number_of(p, "lr_per_256") * (double)batch / 256;
    const double end = number_of(p, "lr_end");
    for (int64_t i = 0; i < rows; i++) {
        const int64_t source = (int64_t)p->order.v[epoch * p->train.count + first + i];
        memcpy(r->x + i * r->stride, p->train.values + source * p->train.dim,
               (size_t)p->train.dim * sizeof(float));
        r->labels[i] = p->train.labels[source];
    }
    regression_step(r, rows,
                    end + (start - end) * 0.5 *
                              (1 + cos(3.141592653589793 * (double)epoch / (double)epochs)));
}

static void open_path(regression *r, const path *p)
{
    const char *optimizer = json_string_value(json_object_get(p->row, "optimizer"));
    const regression_rule rule = {!strcmp(optimizer, "lars") ? REGRESSION_LARS : REGRESSION_SGD,
                                  json_is_true(json_object_get(p->row, "nesterov")),
                                  number_of(p, "momentum"), number_of(p, "weight_decay")};
    wisp_error err = {0};
    ck_assert_int_eq(
        regression_init(r, wispi_host_table(), &rule, p->train.dim, 7, p->train.count, &err),
        WISP_OK);
    for (int64_t c = 0; c < 7; c++)
        for (int64_t j = 0; j < p->train.dim; j++)
            r->weight[c * r->stride + j] = (float)p->first.v[c * p->train.dim + j];
}

static void compare_classifier(const regression *r, const golden_file *g, const char *name,
                               int64_t epoch)
{
    char key[64];
    snprintf(key, sizeof key, "%s.weight", name);
    golden_tensor weight = golden_get(g, key);
    snprintf(key, sizeof key, "%s.bias", name);
    golden_tensor bias = golden_get(g, key);
    double got[7 * 64], own[7];
    ck_assert_int_le(r->dim, 64);
    for (int64_t c = 0; c < 7; c++) {
        own[c] = r->bias[c];
        for (int64_t j = 0; j < r->dim; j++)
            got[c * r->dim + j] = r->weight[c * r->stride + j];
    }
    fixture_near("weight", got, weight.v + epoch * 7 * r->dim, 7 * r->dim, 1e-4);
    fixture_near("bias", own, bias.v + epoch * 7, 7, 1e-4);
    free(weight.v);
    free(bias.v);
}

START_TEST(classifier_follows_pytorch)
{
    static const char *const names[] = {"sgd", "nesterov", "lars"};
    golden_file g = golden_open(golden_path);
    json_t *cases = golden_json(&g, "linear");
    path p = {json_object_get(cases, names[_i]), golden_split(&g, "bank", 7),
              golden_get(&g, "order"), golden_get(&g, "first_weights")};
    regression r;
    open_path(&r, &p);
    for (int64_t epoch = 0; epoch < (int64_t)number_of(&p, "epochs"); epoch++) {
        for (int64_t at = 0; at < p.train.count; at += (int64_t)number_of(&p, "batch"))
            step_on(&r, &p, epoch, at);
        compare_classifier(&r, &g, names[_i], epoch);
    }
    regression_free(&r);
    free(p.order.v);
    free(p.first.v);
    free_split(&p.train);
    json_decref(cases);
    golden_close(&g);
}
END_TEST

static const char quick[] = "augment = false\noptimizer = \"sgd\"\nbatch = 64\nlr_per_256 = 1.0\n";

START_TEST(separable_classes_are_learned)
{
    static const char *const how[] = {
        "epochs = 30\noptimizer = \"sgd\"\nbatch = 64\nlr_per_256 = 0.4\naugment = false",
        "epochs = 30\noptimizer = \"lars\"\nbatch = 64\nlr_per_256 = 16.0\naugment = false",
        "epochs = 30\noptimizer = \"sgd\"\nbatch = 64\nlr_per_256 = 0.4\nstandardize = true",
    };
    wisp_embeddings train = random_split(1, 700, 10, 10, 12);
    wisp_embeddings test = random_split(2, 400, 10, 10, 12);
    fake_context f;
    fake_open(&f, &train, &test);
    judge("linear_probe", how[_i], &f);
    ck_assert_double_eq(fake_value(&f, "linear top-1"), 100.0);
    ck_assert_int_eq(f.n_predictions, 1);
    ck_assert_double_eq(fake_value(&f, "linear top-5"), 100.0);
    ck_assert_double_lt(f.losses[f.n_epochs - 1], 0.1);
    free_split(&train);
    free_split(&test);
}
END_TEST

START_TEST(random_labels_give_chance)
{
    wisp_embeddings train = random_split(1, 500, 20, 10, 0);
    wisp_embeddings test = random_split(2, 4000, 20, 10, 0);
    fake_context f;
    char text[256];
    snprintf(text, sizeof text, "%sepochs = 5", quick);
    fake_open(&f, &train, &test);
    judge("linear_probe", text, &f);
    ck_assert_double_eq_tol(fake_value(&f, "linear top-1"), 10.0, 2.5);
    ck_assert_double_eq_tol(fake_value(&f, "linear top-5"), 50.0, 4.0);
    fake_open(&f, &train, &test);
    judge("knn", "", &f);
    ck_assert_double_eq_tol(fake_value(&f, "k-NN top-1"), 10.0, 2.5);
    free_split(&train);
    free_split(&test);
}
END_TEST

START_TEST(crops_are_drawn_for_each_epoch)
{
    wisp_embeddings train = random_split(1, 60, 4, 3, 2), test = random_split(2, 40, 4, 3, 2);
    wisp_embeddings crops[4];
    fake_context f;
    for (uint64_t i = 0; i < 4; i++)
        crops[i] = random_split(10 + i, 60, 4, 3, 2);
    fake_open(&f, &train, &test);
    f.crops = crops;
    judge("linear_probe", "epochs = 4\nbatch = 16\ncrop_scale = [0.2, 0.9]", &f);
    ck_assert_int_eq(f.crop_calls, 4);
    for (int64_t i = 0; i < 4; i++)
        ck_assert_int_eq(f.crop_epochs[i], i);
    ck_assert_double_eq(f.crop_scale[0], 0.2);
    ck_assert_double_eq(f.crop_scale[1], 0.9);
    ck_assert_int_eq(f.embeds, 1); /* the test split */
    ck_assert_int_eq(f.n_results, 2);
    json_t *protocol = json_loads(fake_result_of(&f, "linear top-1")->protocol, 0, NULL);
    ck_assert_ptr_nonnull(protocol);
    ck_assert_str_eq(json_string_value(json_object_get(protocol, "optimizer")), "lars");
    ck_assert_int_eq(json_integer_value(json_object_get(protocol, "epoch")), 4);
    ck_assert_uint_eq(json_array_size(json_object_get(protocol, "random_crop")), 2);
    json_decref(protocol);
    crops[2].count = 59;
    fake_open(&f, &train, &test);
    f.crops = crops;
    refuse("linear_probe", "epochs = 4", &f, WISP_E_DATA, "had 60 images, now it has 59");
    for (int i = 0; i < 4; i++)
        free_split(&crops[i]);
    free_split(&train);
    free_split(&test);
}
END_TEST

/* --- threads --- */

/* The same bits whatever the number of threads, k-NN and classifier alike. */
START_TEST(threads_change_nothing)
{
    static const int32_t threads[] = {1, 2, 5};
    wisp_embeddings train = random_split(1, 3000, 37, 11, 1);
    wisp_embeddings test = random_split(2, 1500, 37, 11, 1);
    char text[256];
    double losses[3][FAKE_EPOCHS] = {{0}};
    fake_result results[3][FAKE_RESULTS];
    snprintf(text, sizeof text, "%sepochs = 3", quick);
    for (int i = 0; i < 3; i++) {
        wisp_error err = {0};
        wispi_pool *pool = wispi_pool_create(threads[i], &err);
        ck_assert_ptr_nonnull(pool);
        wispi_host_set_pool(pool);
        fake_context f;
        fake_open(&f, &train, &test);
        judge("linear_probe", text, &f);
        judge("knn", "", &f);
        ck_assert_int_eq(f.n_results, 6);
        memcpy(losses[i], f.losses, sizeof f.losses);
        memcpy(results[i], f.results, sizeof f.results);
        wispi_host_set_pool(NULL);
        wispi_pool_destroy(pool);
    }
    for (int i = 1; i < 3; i++) {
        ck_assert_mem_eq(losses[i], losses[0], sizeof losses[0]);
        ck_assert_mem_eq(results[i], results[0], sizeof results[0]);
    }
    free_split(&train);
    free_split(&test);
}
END_TEST

static void train_weights(int32_t n_threads, const wisp_embeddings *e, float *weights)
{
    const regression_rule rule = {REGRESSION_LARS, 0, 0.9, 1e-3};
    wisp_error err = {0};
    wispi_pool *pool = wispi_pool_create(n_threads, &err);
    regression r;
    ck_assert_ptr_nonnull(pool);
    wispi_host_set_pool(pool);
    ck_assert_int_eq(
        regression_init(&r, wispi_host_table(), &rule, e->dim, e->n_classes, e->count, &err),
        WISP_OK);
    regression_draw_weights(&r, wisp_rng_stream(3, WISP_STREAM_TASK), 0.01);
    for (int64_t i = 0; i < e->count; i++)
        memcpy(r.x + i * r.stride, e->values + i * e->dim, (size_t)e->dim * sizeof(float));
    memcpy(r.labels, e->labels, (size_t)e->count * sizeof(int32_t));
    for (int step = 0; step < 20; step++)
        regression_step(&r, e->count, 5);
    memcpy(weights, r.weight, (size_t)(e->dim * e->n_classes) * sizeof(float));
    regression_free(&r);
    wispi_host_set_pool(NULL);
    wispi_pool_destroy(pool);
}

START_TEST(weights_keep_their_bits)
{
    enum { DIM = 200, CLASSES = 23 };
    static float one[DIM * CLASSES], many[DIM * CLASSES];
    wisp_embeddings e = random_split(4, 777, DIM, CLASSES, 1);
    train_weights(1, &e, one);
    train_weights(4, &e, many);
    ck_assert_mem_eq(one, many, sizeof one);
    free_split(&e);
}
END_TEST

/* --- what goes wrong --- */

START_TEST(stop_is_heard)
{
    wisp_embeddings train = random_split(1, 9000, 4, 3, 2), test = random_split(2, 40, 4, 3, 2);
    fake_context f;
    fake_open(&f, &train, &test);
    f.stop_after = 2;
    refuse("linear_probe", "epochs = 50\naugment = false", &f, WISP_E_STOPPED,
           "stopped after 2 of 50 epochs");
    ck_assert_int_eq(f.n_epochs, 2);
    ck_assert_int_eq(f.n_results, 0);
    fake_open(&f, &train, &test);
    f.stop_after = 1;
    refuse("knn", "", &f, WISP_E_STOPPED, "stopped");
    ck_assert_int_eq(f.products, 1);
    ck_assert_int_eq(f.n_results, 0);
    free_split(&train);
    free_split(&test);
}
END_TEST

START_TEST(failures_are_passed_on)
{
    static const struct {
        const char *use, *text, *fails;
    } cases[] = {
        {"knn", "", "embed_train"},
        {"knn", "", "embed_test"},
        {"knn", "", "first_product"},
        {"knn", "", "later_product"},
        {"knn", "", "report k-NN top-1"},
        {"knn", "", "report k-NN top-5"},
        {"knn", "", "predictions"},
        {"linear_probe", "epochs = 2", "predictions"},
        {"linear_probe", "augment = false", "embed_train"},
        {"linear_probe", "", "embed_test"},
        {"linear_probe", "", "first_crops"},
        {"linear_probe", "", "later_crops"},
        {"linear_probe", "epochs = 2", "report linear top-1"},
        {"linear_probe", "epochs = 2", "report linear top-1 best epoch"},
        {"linear_probe", "epochs = 2", "report linear top-5"},
        {"linear_probe", "epochs = 2", "report linear top-5 best epoch"},
    };
    wisp_embeddings train = random_split(1, 60, 4, 6, 2), test = random_split(2, 600, 4, 6, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_context f;
        fake_open(&f, &train, &test);
        f.fails = cases[i].fails;
        char text[80];
        snprintf(text, sizeof text, "%s failed", cases[i].fails);
        refuse(cases[i].use, cases[i].text, &f, WISP_E_IO, text);
    }
    free_split(&train);
    free_split(&test);
}
END_TEST

/* `both` tasks look at what they are given before they use it. */
static void refuse_both(wisp_embeddings *train, wisp_embeddings *test, wisp_status status,
                        const char *text)
{
    fake_context f;
    fake_open(&f, train, test);
    refuse("knn", "k = 3", &f, status, text);
    fake_open(&f, train, test);
    refuse("linear_probe", "augment = false", &f, status, text);
}

START_TEST(unusable_splits_are_refused)
{
    wisp_embeddings train = random_split(1, 50, 4, 6, 2), test = random_split(2, 40, 4, 6, 2);
    wisp_embeddings bad = test;
    bad.labels = NULL;
    refuse_both(&train, &bad, WISP_E_CONFIG, "the test split has none");
    refuse_both(&bad, &test, WISP_E_CONFIG, "the training split has none");
    bad = test;
    bad.count = 0;
    refuse_both(&train, &bad, WISP_E_DATA, "the test split has 0 images");
    bad = test;
    bad.n_classes = 7;
    refuse_both(&train, &bad, WISP_E_DATA, "4 values and 6 classes, the test split 4 and 7");
    bad = test;
    bad.dim = 2;
    refuse_both(&train, &bad, WISP_E_DATA, "the test split 2 and 6");
    labels_of(&train)[7] = 6;
    refuse_both(&train, &test, WISP_E_DATA, "image 7 of the training split has the label 6");
    labels_of(&train)[7] = -1;
    refuse_both(&train, &test, WISP_E_DATA, "image 7 of the training split has the label -1");
    labels_of(&train)[7] = 5;
    values_of(&train)[30] = NAN;
    refuse_both(&train, &test, WISP_E_NONFINITE, "not finite");
    free_split(&train);
    free_split(&test);
}
END_TEST

START_TEST(limits_of_knn)
{
    wisp_embeddings train = random_split(1, 50, 4, 6, 2), test = random_split(2, 40, 4, 6, 2);
    fake_context f;
    fake_open(&f, &train, &test);
    refuse("knn", "k = 51", &f, WISP_E_CONFIG, "only 50 images can vote");
    fake_open(&f, &train, &test);
    judge("knn", "k = 50", &f);
    fake_open(&f, &train, &test);
    refuse("knn", "k = 40\nprotocol = \"leave_one_out\"", &f, WISP_E_CONFIG,
           "only 39 images can vote");
    fake_open(&f, &train, &test);
    judge("knn", "k = 39\nprotocol = \"leave_one_out\"", &f);
    ck_assert_int_eq(f.embeds, 2);
    f.splits[WISP_SPLIT_TRAIN].labels = NULL; /* the training split has no part in it */
    judge("knn", "protocol = \"leave_one_out\"", &f);
    fake_open(&f, &train, &test);
    f.poison = NAN;
    refuse("knn", "", &f, WISP_E_NONFINITE, "cosines of image 0");
    free_split(&train);
    free_split(&test);
}
END_TEST

START_TEST(divergence_is_no_result)
{
    wisp_embeddings train = random_split(1, 50, 4, 6, 2), test = random_split(2, 40, 4, 6, 2);
    fake_context f;
    fake_open(&f, &train, &test);
    refuse("linear_probe",
           "augment = false\noptimizer = \"sgd\"\nbatch = 1\nlr_per_256 = 1e6\nweight_decay = 1e3",
           &f, WISP_E_NONFINITE, "lower lr_per_256");
    ck_assert_int_eq(f.n_results, 0);
    free_split(&train);
    free_split(&test);
}
END_TEST

/* --- the method's own classifier --- */

/* The fifth class comes fifth only where nothing ties with it; what is no number is never right. */
START_TEST(classify_counts_the_highest_scores)
{
    static const float scores[6][7] = {{9, 1, 2, 3, 4, 5, 6}, {1, 9, 2, 3, 4, 5, 6},
                                       {9, 8, 7, 6, 5, 4, 3}, {9, 8, 7, 6, 5, 5, 3},
                                       {1, 1, 1, 1, 1, 1, 1}, {9, 8, 7, 6, NAN, 1, 2}};
    static const int32_t labels[6] = {0, 0, 4, 4, 2, 4}; /* first, seventh, fifth, sixth, -, - */
    wisp_embeddings test = new_split(6, 7, 7);
    memcpy(values_of(&test), scores, sizeof scores);
    memcpy(labels_of(&test), labels, sizeof labels);
    fake_context f;
    fake_open(&f, &test, &test);
    f.source = WISP_EMBED_SCORES;
    judge("classify", "", &f);
    ck_assert_double_eq_tol(fake_value(&f, "classifier top-1"), 100.0 / 6, 1e-9);
    ck_assert_double_eq_tol(fake_value(&f, "classifier top-5"), 200.0 / 6, 1e-9);
    ck_assert_ptr_nonnull(strstr(f.results[0].protocol, "\"test\": 6"));
    ck_assert_int_eq(f.embeds, 1); /* the training split has no part in it */
    free_split(&test);
}
END_TEST

START_TEST(limits_of_classify)
{
    wisp_embeddings test = random_split(2, 40, 5, 5, 2), bad = test;
    fake_context f;
    fake_open(&f, &test, &test);
    f.source = WISP_EMBED_SCORES;
    judge("classify", "", &f);
    ck_assert_int_eq(f.n_results, 1); /* top-5 of five classes says nothing */
    bad.dim = 4;
    fake_open(&f, &test, &bad);
    f.source = WISP_EMBED_SCORES;
    refuse("classify", "", &f, WISP_E_DATA, "4 scores of 40 images do not fit the 5 classes");
    bad = test;
    bad.labels = NULL;
    fake_open(&f, &test, &bad);
    f.source = WISP_EMBED_SCORES;
    refuse("classify", "", &f, WISP_E_DATA, "do not fit");
    labels_of(&test)[7] = 5;
    fake_open(&f, &test, &test);
    f.source = WISP_EMBED_SCORES;
    refuse("classify", "", &f, WISP_E_DATA, "image 7 of the test split has the label 5");
    free_split(&test);
}
END_TEST

/* What a task asks embed() for is what it said at start that it would. */
START_TEST(features_are_those_asked_for)
{
    static const struct {
        const char *use, *text;
        int32_t source, n_blocks;
    } cases[] = {
        {"knn", "k = 3", WISP_EMBED_POOLED, 0},
        {"knn", "k = 3\nfeatures = \"class_tokens\"", WISP_EMBED_CLASS_TOKENS, 1},
        {"knn", "k = 3\nfeatures = \"class_tokens\"\nblocks = 3", WISP_EMBED_CLASS_TOKENS, 3},
        {"linear_probe", "epochs = 2", WISP_EMBED_POOLED, 0},
        {"linear_probe", "epochs = 2\nfeatures = \"class_tokens\"", WISP_EMBED_CLASS_TOKENS, 4},
        {"linear_probe", "epochs = 2\naugment = false\nfeatures = \"class_tokens\"\nblocks = 2",
         WISP_EMBED_CLASS_TOKENS, 2},
        {"classify", "", WISP_EMBED_SCORES, 0},
    };
    wisp_embeddings train = random_split(1, 50, 6, 6, 2), test = random_split(2, 40, 6, 6, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_context f;
        bench b;
        wisp_embed_request said;
        memset(&said, 0, sizeof said);
        open_bench(&b, cases[i].use, cases[i].text);
        const wisp_task_v0 *vtable = b.task->plugin->descriptor->vtable;
        vtable->reads(b.task->self, &said);
        ck_assert_int_eq(said.source, cases[i].source);
        ck_assert(said.source != WISP_EMBED_CLASS_TOKENS || said.n_blocks == cases[i].n_blocks);
        built_plugins_close(&b.plugins);
        fake_open(&f, &train, &test);
        f.source = cases[i].source;
        f.n_blocks = cases[i].n_blocks;
        judge(cases[i].use, cases[i].text, &f); /* fake_embed() compares */
        ck_assert_int_gt(f.embeds, 0);
    }
    free_split(&train);
    free_split(&test);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    static const struct {
        const char *use, *text, *message;
    } wrong[] = {
        {"knn", "k = 0", "k"},
        {"knn", "k = 20.0", "k"},
        {"knn", "temperature = 0.0", "temperature"},
        {"knn", "protocol = \"leave_two_out\"", "leave_one_out"},
        {"knn", "neighbours = 5", "neighbours"},
        {"linear", "init = \"zero\"", "init"},
        {"linear", "epochs = 3", "epochs"},
        {"knn", "features = \"tokens\"", "class_tokens"},
        {"knn", "blocks = 0", "blocks"},
        {"classify", "k = 5", "k"},
        {"linear_probe", "features = \"map\"", "class_tokens"},
        {"linear_probe", "epochs = 0", "epochs"},
        {"linear_probe", "batch = 0", "batch"},
        {"linear_probe", "optimizer = \"adam\"", "lars"},
        {"linear_probe", "lr_per_256 = 0.0", "lr_per_256"},
        {"linear_probe", "momentum = 1.0", "momentum"},
        {"linear_probe", "weight_decay = -1.0", "weight_decay"},
        {"linear_probe", "nesterov = true", "needs optimizer = \"sgd\""},
        {"linear_probe", "optimizer = \"sgd\"\nmomentum = 0.0\nnesterov = true", "above 0"},
        {"linear_probe", "crop_scale = [0.9, 0.1]", "must not be above the second"},
        {"linear_probe", "crop_scale = [0.0, 1.0]", "crop_scale"},
        {"linear_probe", "crop_scale = [0.5]", "crop_scale"},
        {"linear_probe", "lr_end = 1.0", "lr_end = 1 is above"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char toml[256];
        snprintf(toml, sizeof toml, "[task]\nuse = \"%s\"\n%s\n", wrong[i].use, wrong[i].text);
        built_plugins p = built_plugins_open(toml);
        const wispi_node *node = wispi_node_find(wispi_config_root(p.config), "task");
        wispi_instance instance;
        wisp_error err = {0};
        memset(&instance, 0, sizeof instance);
        const wisp_status status = wispi_instance_create(
            p.registry, "task", node, "task", wispi_config_arena(p.config), &instance, &err);
        ck_assert_msg(status != WISP_OK, "%s is accepted", wrong[i].text);
        ck_assert_msg(strstr(err.message, wrong[i].message) != NULL, "%s: %s", wrong[i].text,
                      err.message);
        built_plugins_close(&p);
    }
}
END_TEST

/* Every allocation of an evaluation fails once; run_task looks for leaks. */
START_TEST(lack_of_memory_is_survived)
{
    static const char *const uses[] = {"knn", "linear_probe"};
    static const char *const texts[] = {"k = 3", "augment = false\nepochs = 2\nstandardize = true"};
    wisp_embeddings train = random_split(1, 50, 4, 6, 2), test = random_split(2, 40, 4, 6, 2);
    bench b;
    open_bench(&b, uses[_i], texts[_i]);
    const wisp_task_v0 *vtable = b.task->plugin->descriptor->vtable;
    const int64_t live = wispi_live_blocks();
    wisp_status status = WISP_E_NOMEM;
    int64_t nth = 0;
    while (status == WISP_E_NOMEM) {
        fake_context f;
        wisp_error err = {0};
        fake_open(&f, &train, &test);
        wispi_fail_allocation(++nth);
        status = vtable->evaluate(b.task->self, &f.plugin, &err);
        wispi_fail_allocation(-1);
        ck_assert_int_eq(wispi_live_blocks(), live);
        ck_assert(status == WISP_OK || strstr(err.message, "no memory") != NULL);
        ck_assert(status == WISP_OK || f.n_results == 0);
    }
    ck_assert_int_eq(status, WISP_OK);
    ck_assert_int_gt(nth, 5);
    built_plugins_close(&b.plugins);
    free_split(&train);
    free_split(&test);
}
END_TEST

START_TEST(tasks_say_what_they_need)
{
    static const struct {
        const char *use, *text;
        uint32_t needs;
    } cases[] = {
        {"knn", "", WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST},
        {"knn", "protocol = \"leave_one_out\"", WISP_TASK_NEEDS_TEST},
        {"linear", "", WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST | WISP_TASK_LEARNS},
        {"linear_probe", "", WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST},
        {"classify", "", WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        open_bench(&b, cases[i].use, cases[i].text);
        const wisp_task_v0 *vtable = b.task->plugin->descriptor->vtable;
        const int learns = (cases[i].needs & WISP_TASK_LEARNS) != 0;
        ck_assert_uint_eq(vtable->needs(b.task->self), cases[i].needs);
        ck_assert_int_eq(vtable->evaluate == NULL, learns);
        ck_assert_int_eq(vtable->build && vtable->step && vtable->predict, learns);
        built_plugins_close(&b.plugins);
    }
}
END_TEST

/* --- joint probe --- */

enum { JOINT_DIM = 24, JOINT_CLASSES = 5, JOINT_BATCH = 6 };

typedef struct joint {
    fixture f;
    bench b;
    const wisp_task_v0 *vtable;
    wispi_variable embedding, labels;
    float x[JOINT_BATCH * JOINT_DIM];
    int64_t y[JOINT_BATCH];
    wisp_tensor *loss, *scores;
} joint;

static void joint_step(wisp_step *s, void *user)
{
    joint *j = user;
    wisp_tensor *x = wispi_step_variable(s, &j->embedding);
    j->loss = j->vtable->step(j->b.task->self, s, x, wispi_step_variable(s, &j->labels));
    j->scores = j->vtable->predict(j->b.task->self, s, x);
    wispi_step_keep(s, j->loss);
    wispi_step_keep(s, j->scores);
}

static joint *open_joint(const char *text)
{
    joint *j = calloc(1, sizeof *j);
    ck_assert_ptr_nonnull(j);
    wisp_desc x = wisp_desc2(WISP_F32, JOINT_BATCH, JOINT_DIM),
              y = wisp_desc1(WISP_I64, JOINT_BATCH);
    fixture_open(&j->f, 3);
    open_bench(&j->b, "linear", text);
    j->vtable = j->b.task->plugin->descriptor->vtable;
    j->f.b->n_classes = JOINT_CLASSES;
    FIXTURE_OK(&j->f, j->vtable->build(j->b.task->self, j->f.b, wisp_network(j->f.b, "probe0"),
                                       JOINT_DIM, &j->f.err));
    FIXTURE_OK(&j->f, wispi_model_build_status(j->f.model, &j->f.err));
    FIXTURE_OK(&j->f, wispi_model_finish(j->f.model, &j->f.err));
    FIXTURE_OK(&j->f,
               wispi_variable_init(j->f.device, &j->embedding, "embedding", &x, NULL, &j->f.err));
    FIXTURE_OK(&j->f, wispi_variable_init(j->f.device, &j->labels, "labels", &y, NULL, &j->f.err));
    for (int i = 0; i < JOINT_BATCH * JOINT_DIM; i++)
        j->x[i] = sinf((float)i);
    for (int i = 0; i < JOINT_BATCH; i++)
        j->y[i] = i % JOINT_CLASSES;
    FIXTURE_OK(&j->f, wispi_variable_write(j->f.device, &j->embedding, j->x, &j->f.err));
    FIXTURE_OK(&j->f, wispi_variable_write(j->f.device, &j->labels, j->y, &j->f.err));
    return j;
}

static void close_joint(joint *j)
{
    wispi_variable_fini(j->f.device, &j->embedding);
    wispi_variable_fini(j->f.device, &j->labels);
    fixture_close(&j->f);
    built_plugins_close(&j->b.plugins);
    free(j);
}

/* Scores and mean cross-entropy from the layer's weights, in double. */
START_TEST(joint_probe_is_a_linear_layer_with_cross_entropy)
{
    joint *j = open_joint("");
    int64_t n = 0;
    float loss = 0, scores[JOINT_BATCH * JOINT_CLASSES];
    double expected = 0;
    wispi_program *program = fixture_record(&j->f, joint_step, j);
    fixture_run(&j->f, program, joint_step, j, 0, 1, 1);
    FIXTURE_OK(&j->f, wispi_program_read(program, j->loss, &loss, &j->f.err));
    FIXTURE_OK(&j->f, wispi_program_read(program, j->scores, scores, &j->f.err));
    double *w = fixture_read(&j->f, "probe0.classifier.weight", &n);
    ck_assert_int_eq(n, JOINT_CLASSES * JOINT_DIM);
    double *bias = fixture_read(&j->f, "probe0.classifier.bias", &n);
    ck_assert_int_eq(n, JOINT_CLASSES);
    for (int i = 0; i < JOINT_BATCH; i++) {
        double z[JOINT_CLASSES], sum = 0;
        for (int c = 0; c < JOINT_CLASSES; c++) {
            z[c] = bias[c];
            for (int d = 0; d < JOINT_DIM; d++)
                z[c] += w[c * JOINT_DIM + d] * (double)j->x[i * JOINT_DIM + d];
            ck_assert_double_eq_tol((double)scores[i * JOINT_CLASSES + c], z[c], 1e-5);
            sum += exp(z[c]);
        }
        expected += (log(sum) - z[j->y[i]]) / JOINT_BATCH;
    }
    ck_assert_double_eq_tol((double)loss, expected, 1e-5);
    free(w);
    free(bias);
    wispi_program_destroy(program);
    close_joint(j);
}
END_TEST

START_TEST(joint_probe_starts_as_asked)
{
    const double bound = 1 / sqrt(JOINT_DIM);
    for (int normal = 0; normal < 2; normal++) {
        joint *j = open_joint(normal ? "init = \"normal\"" : "init = \"default\"");
        double *w = fixture_read(&j->f, "probe0.classifier.weight", NULL), square = 0;
        double *bias = fixture_read(&j->f, "probe0.classifier.bias", NULL), largest = 0;
        for (int i = 0; i < JOINT_CLASSES * JOINT_DIM; i++) {
            square += w[i] * w[i] / (JOINT_CLASSES * JOINT_DIM);
            ck_assert_double_le(fabs(w[i]), bound);
        }
        for (int i = 0; i < JOINT_CLASSES; i++)
            largest = fmax(largest, fabs(bias[i]));
        ck_assert_double_eq_tol(sqrt(square), normal ? 0.01 : bound / sqrt(3),
                                normal ? 2e-3 : 2e-2);
        ck_assert(normal ? largest == 0 : largest > 0 && largest <= bound);
        free(w);
        free(bias);
        close_joint(j);
    }
}
END_TEST

START_TEST(joint_probe_without_classes_is_refused)
{
    bench b;
    open_bench(&b, "linear", "");
    const wisp_task_v0 *vtable = b.task->plugin->descriptor->vtable;
    fixture f;
    fixture_open(&f, 1);
    wisp_error err = {0};
    wisp_module *parent = wisp_network(f.b, "probe0");
    ck_assert_int_eq(vtable->build(b.task->self, f.b, parent, 8, &err), WISP_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "needs labels"));
    fixture_close(&f);
    built_plugins_close(&b.plugins);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tasks");
    TCase *tests = tcase_create("tasks");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, knn_votes_as_pytorch);
    tcase_add_loop_test(tests, knn_equals_a_naive_vote, 0, 6);
    tcase_add_test(tests, knn_says_how_it_was_measured);
    tcase_add_test(tests, knn_leaves_the_image_itself_out);
    tcase_add_test(tests, knn_breaks_ties_by_the_lower_index);
    tcase_add_test(tests, knn_keeps_the_earlier_of_two_equals);
    tcase_add_test(tests, knn_never_asks_the_padding);
    tcase_add_test(tests, knn_bears_any_temperature);
    tcase_add_test(tests, linear_probe_trains_as_pytorch);
    tcase_add_loop_test(tests, classifier_follows_pytorch, 0, 3);
    tcase_add_loop_test(tests, separable_classes_are_learned, 0, 3);
    tcase_add_test(tests, random_labels_give_chance);
    tcase_add_test(tests, crops_are_drawn_for_each_epoch);
    tcase_add_test(tests, threads_change_nothing);
    tcase_add_test(tests, weights_keep_their_bits);
    tcase_add_test(tests, stop_is_heard);
    tcase_add_test(tests, failures_are_passed_on);
    tcase_add_test(tests, unusable_splits_are_refused);
    tcase_add_test(tests, limits_of_knn);
    tcase_add_test(tests, divergence_is_no_result);
    tcase_add_test(tests, classify_counts_the_highest_scores);
    tcase_add_test(tests, limits_of_classify);
    tcase_add_test(tests, features_are_those_asked_for);
    tcase_add_test(tests, wrong_options_are_refused);
    tcase_add_loop_test(tests, lack_of_memory_is_survived, 0, 2);
    tcase_add_test(tests, tasks_say_what_they_need);
    tcase_add_test(tests, joint_probe_is_a_linear_layer_with_cross_entropy);
    tcase_add_test(tests, joint_probe_starts_as_asked);
    tcase_add_test(tests, joint_probe_without_classes_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

/* The reference kernels against PyTorch: every file of tests/golden/ops is one call, made by
 * tests/golden/make_ops_golden.py in double precision. */
#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr_fields.h"
#include "golden_reader.h"
#include "tensor/op.h"

enum { MAX_FILES = 1024 };

static char files[MAX_FILES][256];
static int n_files;

static const wispi_op *find_op(const char *name)
{
    for (int f = 0; wispi_op_families[f]; f++)
        for (int32_t i = 0; i < wispi_op_families[f]->n_ops; i++)
            if (!strcmp(wispi_op_families[f]->ops[i]->name, name))
                return wispi_op_families[f]->ops[i];
    return NULL;
}

/* The attributes as the struct that the operation expects; the caller frees them. */
static uint8_t *read_attrs(const golden_file *g, const wispi_op *op)
{
    uint8_t *attrs = calloc(1, op->attrs_bytes + 1);
    json_t *given = golden_json(g, "attrs");
    const char *name;
    json_t *value;
    ck_assert_ptr_nonnull(attrs);
    json_object_foreach(given, name, value) attr_set(op->name, attrs, op->attrs_bytes, name, value);
    json_decref(given);
    return attrs;
}

/* Largest difference, relative to the largest expected value: elements near 0 are sums that
 * cancel, and have no digits of their own. */
static void compare(const char *path, int32_t output, const wispi_ref *got,
                    const golden_tensor *want)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < want->count; i++) {
        ck_assert_msg(isfinite(got->v[i]) && isfinite(want->v[i]), "%s: output %d at %lld: %g",
                      path, output, (long long)i, got->v[i]);
        largest = fmax(largest, fabs(want->v[i]));
        worst = fmax(worst, fabs(want->v[i] - got->v[i]));
    }
    ck_assert_msg(worst <= 1e-9 * fmax(largest, 1e-30), "%s: output %d is off by %.3g of %.3g",
                  path, output, worst, largest);
}

static void check_shape(const char *path, int32_t output, const wisp_desc *got,
                        const wisp_desc *want)
{
    char a[128], b[128];
    wispi_shape_text(got, a, sizeof a);
    wispi_shape_text(want, b, sizeof b);
    ck_assert_msg(!strcmp(a, b), "%s: output %d is %s, PyTorch's %s", path, output, a, b);
}

static void check_file(const char *path)
{
    golden_file g = golden_open(path);
    const wispi_op *op = find_op(golden_metadata(&g, "op"));
    ck_assert_msg(op != NULL, "%s: no operation %s", path, golden_metadata(&g, "op"));
    const int32_t n_in = atoi(golden_metadata(&g, "n_in"));
    ck_assert_msg(n_in >= op->min_in && n_in <= op->max_in, "%s: %d inputs", path, n_in);
    uint8_t *attrs = read_attrs(&g, op);
    json_t *inout = golden_json(&g, "inout");

    golden_tensor in[WISPI_MAX_IN], want[WISPI_MAX_OUT];
    const wisp_desc *in_desc[WISPI_MAX_IN];
    wispi_ref in_ref[WISPI_MAX_IN], out_ref[WISPI_MAX_OUT];
    for (int32_t i = 0; i < n_in; i++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        in[i] = golden_get(&g, name);
        in_desc[i] = in[i].desc.dtype ? &in[i].desc : NULL;
        in_ref[i] = (wispi_ref){in_desc[i], in[i].count, in[i].v};
    }
    wisp_desc out[WISPI_MAX_OUT];
    wisp_error err = {0};
    memset(out, 0, sizeof out);
    ck_assert_msg(op->infer(attrs, in_desc, n_in, out, &err) == WISP_OK, "%s: %s", path,
                  err.message);
    for (int32_t i = 0; i < op->n_out; i++) {
        const int64_t count = out[i].dtype ? wisp_desc_count(&out[i]) : 0;
        out_ref[i] = (wispi_ref){&out[i], count, NULL};
        if (!out[i].dtype)
            continue;
        out_ref[i].v = calloc((size_t)count + 1, sizeof(double));
        ck_assert_ptr_nonnull(out_ref[i].v);
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        const json_t *from = json_object_get(inout, key);
        if (from)
            memcpy(out_ref[i].v, in[json_integer_value(from)].v, sizeof(double) * (size_t)count);
    }
    op->reference(attrs, in_ref, n_in, out_ref);
    int32_t compared = 0;
    for (int32_t i = 0; i < op->n_out; i++) {
        char name[16];
        snprintf(name, sizeof name, "out%d", i);
        want[i] = golden_get(&g, name);
        if (want[i].desc.dtype) {
            ck_assert_msg(out[i].dtype != 0, "%s: output %d is absent", path, i);
            check_shape(path, i, &out[i], &want[i].desc);
            compare(path, i, &out_ref[i], &want[i]);
            compared++;
        }
        free(want[i].v);
        free(out_ref[i].v);
    }
    ck_assert_msg(compared > 0, "%s: nothing to compare", path);
    for (int32_t i = 0; i < n_in; i++)
        free(in[i].v);
    json_decref(inout);
    free(attrs);
    golden_close(&g);
}

START_TEST(reference_agrees_with_pytorch)
{
    check_file(files[_i]);
}
END_TEST

static void list_files(void)
{
    const char *folder = WISP_SOURCE_DIR "/tests/golden/ops";
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (const struct dirent *e; (e = readdir(d)) != NULL && n_files < MAX_FILES;) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ".safetensors"))
            continue;
        if ((size_t)snprintf(files[n_files], sizeof files[0], "%s/%s", folder, e->d_name) <
            sizeof files[0])
            n_files++;
    }
    closedir(d);
}

int main(void)
{
    list_files();
    if (n_files == 0 || n_files == MAX_FILES) {
        fprintf(stderr, "tests/golden/ops holds no dumps, or too many\n");
        return 1;
    }
    Suite *suite = suite_create("ops_golden");
    TCase *group = tcase_create("pytorch");
    tcase_add_loop_test(group, reference_agrees_with_pytorch, 0, n_files);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

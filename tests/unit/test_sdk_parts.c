/* What SimCLR and masked autoencoders take from wisp/sdk.h: the loss and the patches are compared
 * with PyTorch (tests/golden/make_nn_golden.py), values and gradients; random orders and masks are
 * judged by what they promise and by how they are distributed. */
#include "distribution.h"
#include "model_fixture.h"

#include "wisp/sdk.h"

#define GOLDEN WISP_SOURCE_DIR "/tests/golden/nn/"

/* A variable with a gradient and the values of a tensor of the file. */
typedef struct input {
    wispi_variable value, grad;
} input;

static golden_tensor get(const golden_file *g, const char *prefix, const char *name)
{
    char path[80];
    snprintf(path, sizeof path, "%s%s", prefix, name);
    golden_tensor t = golden_get(g, path);
    ck_assert_msg(t.desc.dtype != 0, "there is no %s", path);
    return t;
}

static void open_input(fixture *f, input *in, const char *name, const golden_tensor *t)
{
    memset(in, 0, sizeof *in);
    FIXTURE_OK(f, wispi_variable_init(f->device, &in->value, name, &t->desc, NULL, &f->err));
    FIXTURE_OK(f, wispi_variable_init(f->device, &in->grad, "grad", &t->desc, NULL, &f->err));
    in->value.grad = &in->grad;
    fixture_write(f, &in->value, t->v, t->count);
}

static void close_input(fixture *f, input *in)
{
    wispi_variable_fini(f->device, &in->value);
    wispi_variable_fini(f->device, &in->grad);
}

static void compare(const char *what, const float *got, const golden_tensor *want, double tolerance)
{
    double values[512];
    ck_assert_int_le(want->count, 512);
    for (int64_t i = 0; i < want->count; i++)
        values[i] = (double)got[i];
    fixture_near(what, values, want->v, want->count, tolerance);
}

static void compare_gradient(fixture *f, const char *what, const input *in,
                             const golden_tensor *want)
{
    float values[512];
    ck_assert_int_le(want->count, 512);
    FIXTURE_OK(f, wispi_variable_read(f->device, &in->grad, values, &f->err));
    compare(what, values, want, 5e-5);
}

/* --- SimCLR's loss --- */

typedef struct views {
    input a, b;
    double temperature;
    wisp_tensor *loss, *of_rank[2];
} views;

static void nt_xent_step(wisp_step *s, void *user)
{
    views *v = user;
    v->loss = wisp_nt_xent(s, wispi_step_variable(s, &v->a.value),
                           wispi_step_variable(s, &v->b.value), v->temperature);
    wispi_step_keep(s, v->loss);
    wispi_step_backward(s, v->loss);
}

static const char *const losses[] = {"plain/", "sharp/", "pair/"};

START_TEST(nt_xent_is_that_of_pytorch)
{
    const char *name = losses[_i];
    golden_file g = golden_open(GOLDEN "nt_xent.safetensors");
    golden_tensor a = get(&g, name, "a"), b = get(&g, name, "b");
    golden_tensor da = get(&g, name, "a.grad"), db = get(&g, name, "b.grad");
    golden_tensor loss = get(&g, name, "loss"), temperature = get(&g, name, "temperature");
    fixture f;
    views v = {.temperature = temperature.v[0]};
    float got;
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    open_input(&f, &v.a, "a", &a);
    open_input(&f, &v.b, "b", &b);
    wispi_program *program = fixture_record(&f, nt_xent_step, &v);
    fixture_run(&f, program, nt_xent_step, &v, 0, 1, 1);
    FIXTURE_OK(&f, wispi_program_read(program, v.loss, &got, &f.err));
    compare("loss", &got, &loss, 5e-6);
    compare_gradient(&f, "gradient of a", &v.a, &da);
    compare_gradient(&f, "gradient of b", &v.b, &db);
    wispi_program_destroy(program);
    close_input(&f, &v.a);
    close_input(&f, &v.b);
    fixture_close(&f);
    free(a.v), free(b.v), free(da.v), free(db.v), free(loss.v), free(temperature.v);
    golden_close(&g);
}
END_TEST

/* Two ranks in one process: each is answered what both of them would have gathered. */
static wisp_ops two_ranks;
static int32_t rank;
static wisp_tensor *rows_of[2];

static wisp_tensor *gather_both(wisp_step *s, wisp_tensor *x, int32_t with_gradient)
{
    ck_assert_int_eq(with_gradient, 1); /* the others' rows learn from this rank's, too */
    ck_assert_mem_eq(wisp_shape_of(s, x), wisp_shape_of(s, rows_of[rank]), sizeof(wisp_desc));
    return wisp_concat(s, rows_of, 2, 0);
}

static int32_t two(wisp_step *s)
{
    (void)s;
    return 2;
}

static int32_t this_rank(wisp_step *s)
{
    (void)s;
    return rank;
}

static void two_ranks_step(wisp_step *s, void *user)
{
    views *v = user;
    wisp_tensor *half[2][2];
    for (int i = 0; i < 2; i++) {
        wisp_tensor *whole = wispi_step_variable(s, i ? &v->b.value : &v->a.value);
        for (int r = 0; r < 2; r++)
            half[r][i] = wisp_slice(s, whole, 0, 2 * r, 2);
    }
    for (int r = 0; r < 2; r++) {
        wisp_tensor *unit[2] = {wisp_l2_normalize(s, half[r][0], 1e-12),
                                wisp_l2_normalize(s, half[r][1], 1e-12)};
        rows_of[r] = wisp_concat(s, unit, 2, 0);
    }
    for (rank = 0; rank < 2; rank++) {
        v->of_rank[rank] = wisp_nt_xent(s, half[rank][0], half[rank][1], v->temperature);
        wispi_step_keep(s, v->of_rank[rank]);
    }
}

START_TEST(nt_xent_compares_with_the_rows_of_all_ranks)
{
    golden_file g = golden_open(GOLDEN "nt_xent.safetensors");
    golden_tensor a = get(&g, "plain/", "a"), b = get(&g, "plain/", "b");
    golden_tensor want = get(&g, "plain/", "rank_losses");
    fixture f;
    views v = {.temperature = 0.5};
    wispi_program *program = NULL;
    float got[2];
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    open_input(&f, &v.a, "a", &a);
    open_input(&f, &v.b, "b", &b);
    two_ranks = *wispi_ops_table();
    two_ranks.all_gather = gather_both;
    two_ranks.world_size = two;
    two_ranks.world_rank = this_rank;
    FIXTURE_OK(&f, wispi_program_record(f.device, &two_ranks, f.model, 0, two_ranks_step, &v,
                                        &program, &f.err));
    FIXTURE_OK(&f, wispi_model_refresh(f.model, &f.err));
    fixture_run(&f, program, two_ranks_step, &v, 0, 1, 1);
    for (int r = 0; r < 2; r++)
        FIXTURE_OK(&f, wispi_program_read(program, v.of_rank[r], &got[r], &f.err));
    compare("losses of the ranks", got, &want, 5e-6);
    wispi_program_destroy(program);
    close_input(&f, &v.a);
    close_input(&f, &v.b);
    fixture_close(&f);
    free(a.v), free(b.v), free(want.v);
    golden_close(&g);
}
END_TEST

/* --- patches --- */

typedef struct pictures {
    input x, weights;
    wisp_tensor *y;
} pictures;

static void patches_step(wisp_step *s, void *user)
{
    pictures *p = user;
    p->y = wisp_patches(s, wispi_step_variable(s, &p->x.value), 2);
    wisp_tensor *squares = wisp_mul(s, p->y, p->y);
    wispi_step_keep(s, p->y);
    wispi_step_backward(
        s, wisp_sum(s, wisp_mul(s, squares, wispi_step_variable(s, &p->weights.value)), 0, 0));
}

START_TEST(patches_are_those_of_pytorch)
{
    golden_file g = golden_open(GOLDEN "patches.safetensors");
    golden_tensor x = get(&g, "", "x"), y = get(&g, "", "y");
    golden_tensor weights = get(&g, "", "weights"), dx = get(&g, "", "x.grad");
    fixture f;
    pictures p = {.y = NULL};
    float got[512];
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    open_input(&f, &p.x, "x", &x);
    open_input(&f, &p.weights, "weights", &weights);
    wispi_program *program = fixture_record(&f, patches_step, &p);
    fixture_run(&f, program, patches_step, &p, 0, 1, 1);
    FIXTURE_OK(&f, wispi_program_read(program, p.y, got, &f.err));
    ck_assert_int_eq(y.count, 2 * 6 * 12);
    for (int64_t i = 0; i < y.count; i++)
        ck_assert_double_eq((double)got[i], y.v[i]); /* moved, not computed */
    compare_gradient(&f, "gradient of the images", &p.x, &dx);
    wispi_program_destroy(program);
    close_input(&f, &p.x);
    close_input(&f, &p.weights);
    fixture_close(&f);
    free(x.v), free(y.v), free(weights.v), free(dx.v);
    golden_close(&g);
}
END_TEST

/* --- shapes and ranges --- */

enum { LONGEST = 300 };

static const int64_t lengths[] = {1, 2, 7, LONGEST};

typedef struct range {
    int64_t n;
    wisp_tensor *all, *column;
} range;

static void range_step(wisp_step *s, void *user)
{
    range *r = user;
    const int64_t shape[3] = {r->n, 1, 1};
    r->all = wisp_range(s, r->n);
    r->column = wisp_reshape_to(s, r->all, 3, shape);
    if (wispi_step_is_recording(s)) {
        const wisp_desc *flat = wisp_shape_of(s, r->all), *column = wisp_shape_of(s, r->column);
        ck_assert(flat->dtype == WISP_I64 && flat->rank == 1 && flat->shape[0] == r->n);
        ck_assert(column->dtype == WISP_I64 && column->rank == 3 && column->shape[0] == r->n);
    }
    wispi_step_keep(s, r->all);
    wispi_step_keep(s, r->column);
}

START_TEST(a_range_counts_from_zero)
{
    fixture f;
    range r = {.n = lengths[_i]};
    int64_t all[LONGEST], column[LONGEST];
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    wispi_program *program = fixture_record(&f, range_step, &r);
    fixture_run(&f, program, range_step, &r, 0, 1, 1);
    FIXTURE_OK(&f, wispi_program_read(program, r.all, all, &f.err));
    FIXTURE_OK(&f, wispi_program_read(program, r.column, column, &f.err));
    for (int64_t i = 0; i < r.n; i++)
        ck_assert(all[i] == i && column[i] == i);
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

static void wrong_shape_step(wisp_step *s, void *user)
{
    static const int64_t shape[2] = {2, 4};
    (void)user;
    wisp_reshape_to(s, wisp_range(s, 7), 2, shape);
}

START_TEST(another_number_of_elements_is_refused)
{
    fixture f;
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    const char *message = fixture_refused(&f, wrong_shape_step, NULL);
    ck_assert_msg(strstr(message, "(7)") && strstr(message, "(2,4)"), "%s", message);
    fixture_close(&f);
}
END_TEST

/* --- random orders and masks --- */

enum { ROWS = 12000, MOST_PLACES = 16 };

typedef struct draws {
    int64_t n, hidden; /* places of a row; of these */
    wisp_tensor *order[2], *back, *mask;
} draws;

static void draws_step(wisp_step *s, void *user)
{
    draws *d = user;
    wisp_random_order(s, ROWS, d->n, d->order);
    const int64_t shape[3] = {ROWS, d->n, 1};
    wisp_tensor *tokens = wisp_reshape_to(s, wisp_cast(s, d->order[0], WISP_F32), 3, shape);
    d->back = wisp_gather_tokens(s, tokens, d->order[1]);
    d->mask = wisp_random_mask(s, ROWS, d->n, d->hidden);
    wispi_step_keep(s, d->order[0]);
    wispi_step_keep(s, d->order[1]);
    wispi_step_keep(s, d->back);
    wispi_step_keep(s, d->mask);
}

typedef struct drawn {
    int64_t order[ROWS * MOST_PLACES], undo[ROWS * MOST_PLACES];
    float back[ROWS * MOST_PLACES], mask[ROWS * MOST_PLACES];
} drawn;

static drawn first, second;

/* What step `step` of a run with the seed draws. */
static void draw(uint64_t seed, int64_t step, int64_t n, int64_t hidden, drawn *out)
{
    fixture f;
    draws d = {.n = n, .hidden = hidden};
    fixture_open(&f, seed);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    wispi_program *program = fixture_record(&f, draws_step, &d);
    fixture_run(&f, program, draws_step, &d, step, 10, 1);
    FIXTURE_OK(&f, wispi_program_read(program, d.order[0], out->order, &f.err));
    FIXTURE_OK(&f, wispi_program_read(program, d.order[1], out->undo, &f.err));
    FIXTURE_OK(&f, wispi_program_read(program, d.back, out->back, &f.err));
    FIXTURE_OK(&f, wispi_program_read(program, d.mask, out->mask, &f.err));
    wispi_program_destroy(program);
    fixture_close(&f);
}

START_TEST(an_order_holds_everything_once_and_can_be_undone)
{
    draw(1, 0, MOST_PLACES, 5, &first);
    for (int64_t row = 0; row < ROWS; row++) {
        const int64_t *order = first.order + row * MOST_PLACES,
                      *undo = first.undo + row * MOST_PLACES;
        for (int64_t i = 0; i < MOST_PLACES; i++) {
            ck_assert(order[i] >= 0 && order[i] < MOST_PLACES && undo[order[i]] == i);
            ck_assert_float_eq(first.back[row * MOST_PLACES + i], (float)i);
        }
    }
}
END_TEST

/* A cell for each of the 24 orders of four things. */
static int cell_of_order(const int64_t *order)
{
    int cell = 0;
    for (int i = 0; i < 4; i++) {
        int smaller = 0;
        for (int j = i + 1; j < 4; j++)
            smaller += order[j] < order[i];
        cell = cell * (4 - i) + smaller;
    }
    return cell;
}

START_TEST(every_order_is_equally_likely)
{
    int64_t counts[24] = {0};
    double p[24];
    draw(2, 3, 4, 2, &first);
    for (int64_t row = 0; row < ROWS; row++)
        counts[cell_of_order(first.order + 4 * row)]++;
    for (int i = 0; i < 24; i++)
        p[i] = 1.0 / 24;
    ck_assert_msg(fits_counts(counts, p, 24), "off by %.2f", chi_square_deviation(counts, p, 24));
}
END_TEST

/* Of a longer row: each place's thing, and each thing's place. */
START_TEST(every_place_is_equally_likely)
{
    double p[MOST_PLACES];
    draw(3, 1, MOST_PLACES, 5, &first);
    for (int i = 0; i < MOST_PLACES; i++)
        p[i] = 1.0 / MOST_PLACES;
    for (int place = 0; place < MOST_PLACES; place++) {
        int64_t there[MOST_PLACES] = {0}, where[MOST_PLACES] = {0};
        for (int64_t row = 0; row < ROWS; row++) {
            there[first.order[row * MOST_PLACES + place]]++;
            where[first.undo[row * MOST_PLACES + place]]++;
        }
        ck_assert_msg(fits_counts(there, p, MOST_PLACES) && fits_counts(where, p, MOST_PLACES),
                      "place %d: off by %.2f and %.2f", place,
                      chi_square_deviation(there, p, MOST_PLACES),
                      chi_square_deviation(where, p, MOST_PLACES));
    }
}
END_TEST

static const int64_t shares[][2] = {{1, 0},  {1, 1},  {4, 2},   {5, 4},
                                    {16, 0}, {16, 5}, {16, 12}, {16, 16}};

START_TEST(a_mask_hides_exactly_its_share)
{
    const int64_t n = shares[_i][0], hidden = shares[_i][1];
    draw(4, 2, n, hidden, &first);
    for (int64_t row = 0; row < ROWS; row++) {
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) {
            const float value = first.mask[row * n + i];
            ck_assert(value == 0 || value == 1);
            count += value == 1;
        }
        ck_assert_int_eq(count, hidden);
    }
}
END_TEST

/* Two of four places: six masks, and a row says nothing of the next one. */
START_TEST(every_mask_is_equally_likely)
{
    int64_t counts[6] = {0}, pairs[36] = {0};
    double p[36];
    static const int cell_of[16] = {[3] = 0, [5] = 1, [6] = 2, [9] = 3, [10] = 4, [12] = 5};
    int before = 0;
    draw(5, 0, 4, 2, &first);
    for (int64_t row = 0; row < ROWS; row++) {
        int bits = 0;
        for (int i = 0; i < 4; i++)
            bits |= (first.mask[4 * row + i] == 1) << i;
        counts[cell_of[bits]]++;
        if (row % 2)
            pairs[6 * before + cell_of[bits]]++;
        before = cell_of[bits];
    }
    for (int i = 0; i < 36; i++)
        p[i] = 1.0 / 6;
    ck_assert_msg(fits_counts(counts, p, 6), "off by %.2f", chi_square_deviation(counts, p, 6));
    for (int i = 0; i < 36; i++)
        p[i] = 1.0 / 36;
    ck_assert_msg(fits_counts(pairs, p, 36), "neighbours: off by %.2f",
                  chi_square_deviation(pairs, p, 36));
}
END_TEST

static int is_same(const drawn *a, const drawn *b, int64_t n)
{
    return memcmp(a->mask, b->mask, (size_t)(ROWS * n) * sizeof *a->mask) == 0 &&
           memcmp(a->order, b->order, (size_t)(ROWS * n) * sizeof *a->order) == 0;
}

START_TEST(seed_and_step_decide)
{
    draw(6, 4, 8, 3, &first);
    draw(6, 4, 8, 3, &second);
    ck_assert(is_same(&first, &second, 8));
    draw(6, 5, 8, 3, &second);
    ck_assert(!is_same(&first, &second, 8));
    draw(7, 4, 8, 3, &second);
    ck_assert(!is_same(&first, &second, 8));
    /* An order and a mask of one step do not know of each other. */
    int64_t hides_first = 0;
    for (int64_t row = 0; row < ROWS; row++)
        hides_first += first.mask[8 * row + first.order[8 * row]] == 1;
    ck_assert_double_lt(fabs((double)hides_first / ROWS - 3.0 / 8), 0.02);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sdk_parts");
    TCase *tests = tcase_create("sdk_parts");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, nt_xent_is_that_of_pytorch, 0, 3);
    tcase_add_test(tests, nt_xent_compares_with_the_rows_of_all_ranks);
    tcase_add_test(tests, patches_are_those_of_pytorch);
    tcase_add_loop_test(tests, a_range_counts_from_zero, 0, 4);
    tcase_add_test(tests, another_number_of_elements_is_refused);
    tcase_add_test(tests, an_order_holds_everything_once_and_can_be_undone);
    tcase_add_test(tests, every_order_is_equally_likely);
    tcase_add_test(tests, every_place_is_equally_likely);
    tcase_add_loop_test(tests, a_mask_hides_exactly_its_share, 0, 8);
    tcase_add_test(tests, every_mask_is_equally_likely);
    tcase_add_test(tests, seed_and_step_decide);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

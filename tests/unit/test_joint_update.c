/* AdamW, the average that follows it and the norms of its gradient: one call where their order is
 * free, three where it is not, and the same values. */
#include "model_fixture.h"

#include "nn/op_call.h"

enum { COUNT = 40 };

typedef struct update_user {
    wispi_variable p, grad, m, v, table, rules, lr, wd, counter, target, pairs, momentum, zero;
    wisp_tensor *square, *look;
    int waits;   /* the average needs a value that the update made */
    int no_norm; /* nobody asks for norms */
} update_user;

static void put(fixture *f, wispi_variable *v, const char *name, wisp_desc desc, double first,
                double step)
{
    double values[4 * COUNT];
    FIXTURE_OK(f, wispi_variable_init(f->device, v, name, &desc, NULL, &f->err));
    for (int64_t i = 0; i < wisp_desc_count(&desc); i++)
        values[i] = first + step * (double)((i * 7) % 13);
    fixture_write(f, v, values, wisp_desc_count(&desc));
}

static void put_row(fixture *f, wispi_variable *v, const char *name, int64_t offset, int64_t count,
                    int64_t source)
{
    const double row[] = {(double)offset, (double)count, WISP_SEGMENT_ACTIVE, (double)source};
    put(f, v, name, wisp_desc2(WISP_I64, 1, 4), 0, 0);
    fixture_write(f, v, row, 4);
}

static void open_update(fixture *f, update_user *u)
{
    const wisp_desc store = wisp_desc1(WISP_F32, COUNT), scalar = wisp_desc0(WISP_F32);
    memset(u, 0, sizeof *u);
    fixture_open(f, 1);
    put(f, &u->p, "p", store, -0.6, 0.11);
    put(f, &u->grad, "grad", store, 0.3, -0.07);
    put(f, &u->m, "m", store, 0.1, 0.01);
    put(f, &u->v, "v", store, 0.02, 0.003);
    put(f, &u->target, "target", store, 0.9, -0.2);
    put(f, &u->rules, "rules", wisp_desc2(WISP_F32, 1, 2), 1, 0);
    put(f, &u->lr, "lr", scalar, 0.01, 0);
    put(f, &u->wd, "wd", scalar, 0.1, 0);
    put(f, &u->momentum, "momentum", scalar, 0.75, 0);
    put(f, &u->zero, "zero", scalar, 0, 0);
    put(f, &u->counter, "counter", wisp_desc0(WISP_I64), 4, 0);
    put_row(f, &u->table, "table", 3, 30, 0);
    put_row(f, &u->pairs, "pairs", 5, 30, 3);
}

static void close_update(fixture *f, update_user *u)
{
    wispi_variable *all[] = {&u->p,      &u->grad,  &u->m,       &u->v,    &u->table,
                             &u->rules,  &u->lr,    &u->wd,      &u->zero, &u->counter,
                             &u->target, &u->pairs, &u->momentum};
    for (size_t i = 0; i < WISP_COUNT(all); i++)
        wispi_variable_fini(f->device, all[i]);
    fixture_close(f);
}

static void update(wisp_step *s, void *user)
{
    static const wisp_adamw_attrs attrs = {0.9, 0.999, 1e-8};
    update_user *u = user;
    wispi_variable *given[] = {&u->p,     &u->grad, &u->m,  &u->v,      &u->table,
                               &u->rules, &u->lr,   &u->wd, &u->counter};
    wisp_tensor *in[9];
    wisp_no_grad_begin(s);
    for (int i = 0; i < 9; i++)
        in[i] = wispi_step_variable(s, given[i]);
    wisp_tensor *measured[] = {in[1], in[4]};
    if (!u->no_norm) {
        wisp_tensor *norms = wispi_call1(s, WISPI_CALL_segment_norms, NULL, measured, 2);
        wispi_step_keep(s, u->square = wisp_mul(s, norms, norms));
    }
    wisp_tensor *out[WISPI_MAX_OUT] = {in[0], in[2], in[3], in[8]};
    wispi_call(s, WISPI_CALL_adamw_update, &attrs, in, 9, out);
    wispi_step_keep(s, u->look = wisp_scale(s, in[0], 2));
    wisp_tensor *momentum = wispi_step_variable(s, &u->momentum);
    if (u->waits)
        momentum =
            wisp_add(s, momentum,
                     wisp_mul(s, wispi_step_variable(s, &u->zero), wisp_mean(s, u->look, 0, 0)));
    wisp_tensor *target = wispi_step_variable(s, &u->target);
    wisp_tensor *average[] = {target, in[0], wispi_step_variable(s, &u->pairs), momentum};
    wisp_tensor *averaged[WISPI_MAX_OUT] = {target};
    wispi_call(s, WISPI_CALL_ema_update, NULL, average, 4, averaged);
    wisp_no_grad_end(s);
}

typedef struct outcome {
    float p[COUNT], target[COUNT], look[COUNT], square;
    int joint;
} outcome;

/* Two steps. */
static outcome run_updates(int waits, int no_norm)
{
    fixture f;
    update_user u;
    outcome o = {.joint = 0};
    const wispi_run_options profiled = {.profile = 1};
    wispi_profile_row rows[16];
    open_update(&f, &u);
    u.waits = waits;
    u.no_norm = no_norm;
    wispi_program *program = fixture_record(&f, update, &u);
    for (int i = 0; i < 2; i++)
        FIXTURE_OK(&f, wispi_program_run(program, update, &u, &profiled, &f.err));
    const int32_t n = wispi_program_profile(program, WISPI_PROFILE_OP, rows, 16);
    for (int32_t i = 0; i < n; i++)
        o.joint += strcmp(rows[i].op, "adamw_ema_update") == 0 && rows[i].calls == 2;
    FIXTURE_OK(&f, wispi_variable_read(f.device, &u.p, o.p, &f.err));
    FIXTURE_OK(&f, wispi_variable_read(f.device, &u.target, o.target, &f.err));
    FIXTURE_OK(&f, wispi_program_read(program, u.look, o.look, &f.err));
    if (!no_norm)
        FIXTURE_OK(&f, wispi_program_read(program, u.square, &o.square, &f.err));
    wispi_program_destroy(program);
    close_update(&f, &u);
    return o;
}

static void same_values(const float *a, const float *b)
{
    for (int i = 0; i < COUNT; i++)
        ck_assert_float_eq_tol(a[i], b[i], 1e-6);
}

START_TEST(one_call_gives_what_three_give)
{
    const outcome joint = run_updates(0, 0), apart = run_updates(1, 0), bare = run_updates(0, 1);
    ck_assert_int_eq(joint.joint, 1);
    ck_assert_int_eq(bare.joint, 1);
    ck_assert_int_eq(apart.joint, 0);
    same_values(joint.p, apart.p);
    same_values(joint.target, apart.target);
    same_values(joint.look, apart.look);
    same_values(bare.p, apart.p);
    same_values(bare.target, apart.target);
    ck_assert_float_eq_tol(joint.square, apart.square, 1e-6);
    ck_assert_float_gt(joint.square, 0.1f);
    /* What is looked at is the updated parameter, although the call moved. */
    for (int i = 0; i < COUNT; i++)
        ck_assert_float_eq_tol(joint.look[i], 2 * joint.p[i], 1e-6);
    ck_assert_float_eq_tol(joint.target[4], 0.9f - 0.2f * (float)(4 * 7 % 13), 1e-6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("joint_update");
    TCase *tc = tcase_create("joint_update");
    tcase_add_test(tc, one_call_gives_what_three_give);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

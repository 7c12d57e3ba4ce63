/* op_grad.c - one gradient rule against central finite differences, all in double.
 *
 * The function is f(inputs) = sum of r * output, with random r and without the by-products. Its
 * derivative is asked of the rule in several ways: with every input wanting a gradient, with each
 * one alone, with gradients that go straight into the slots of variables. All must agree with the
 * differences, which are extrapolated from three step widths (error of order h^4). Where two
 * extrapolations disagree the function bends (relu at 0, a maximum that changes hands) and the
 * element is left out. */
#include "tensor/op_check.h"

#include <math.h>
#include <string.h>

#include "tensor/case_values.h"
#include "tensor/double_engine.h"
#include "wisp/rng.h"

enum { MAX_SAMPLED = 48 };

static const double grad_tolerance = 1e-6;
static const double kink_tolerance = 3e-7;

typedef struct grad_check {
    wispi_case_values values;
    wispi_arena *arena, *step_arena;
    double *weights[WISPI_MAX_OUT]; /* r; NULL: nothing is asked of this output */
    double *base[WISPI_MAX_OUT];    /* outputs at the drawn inputs */
    double *grad[WISPI_MAX_IN];     /* what the rule says */
    double floor[WISPI_MAX_IN];     /* gradients below it are rounding */
    uint32_t wanted;                /* inputs that have a gradient */
    int starved;                    /* some answer was lack of memory, which says nothing */
    wispi_op_result *result;
} grad_check;

static void fail(wispi_op_result *result, const char *format, ...) WISP_PRINTF(2, 3);
static void fail(wispi_op_result *result, const char *format, ...)
{
    if (result->outcome == WISPI_CHECK_FAIL)
        return;
    va_list args;
    va_start(args, format);
    result->outcome = WISPI_CHECK_FAIL;
    vsnprintf(result->message, sizeof result->message, format, args);
    va_end(args);
}

static int is_float(const wisp_desc *desc)
{
    return desc && (desc->dtype == WISP_F32 || desc->dtype == WISP_BF16);
}

/* --- the rule's answer --- */

typedef struct rule_call {
    wispi_double_engine engine;
    wispi_variable variable[WISPI_MAX_IN], slot[WISPI_MAX_IN];
    wisp_tensor *in[WISPI_MAX_IN];
    wisp_tensor *out[WISPI_MAX_OUT];
} rule_call;

static wisp_tensor *make_variable(const grad_check *check, rule_call *call, int32_t i, int wants)
{
    const wispi_ref *ref = &check->values.in[i];
    double *slot = wispi_arena_array(check->step_arena, (size_t)ref->count + 1, sizeof *slot);
    if (!slot)
        return NULL;
    for (int64_t k = 0; k < ref->count; k++)
        slot[k] = NAN; /* what is left from the step before is not zero */
    call->slot[i] = (wispi_variable){.desc = *ref->desc, .data = slot};
    call->variable[i] = (wispi_variable){.desc = *ref->desc, .data = ref->v};
    if (wants)
        call->variable[i].grad = &call->slot[i];
    return wispi_step_variable(&call->engine.step.plugin, &call->variable[i]);
}

static void make_inputs(const grad_check *check, rule_call *call, uint32_t wanted, int variables)
{
    const wispi_case_values *v = &check->values;
    for (int32_t i = 0; i < v->n_in; i++) {
        const int wants = wanted >> i & 1;
        if (!v->in_ptr[i])
            continue;
        if (variables)
            call->in[i] = make_variable(check, call, i, wants);
        else
            call->in[i] = wispi_double_tensor(&call->engine, v->in_ptr[i], v->in[i].v, wants);
        if (!call->in[i])
            wispi_step_fail(&call->engine.step.plugin, WISP_E_NOMEM, "no memory for an input");
    }
}

/* Runs the op forward and its rule backward from the outputs in `seeded`. */
static void run_rule(const grad_check *check, rule_call *call, uint32_t wanted, uint32_t seeded,
                     int variables)
{
    const wispi_case_values *v = &check->values;
    memset(call, 0, sizeof *call);
    wispi_arena_reset(check->step_arena);
    wispi_double_begin(&call->engine, NULL, check->step_arena);
    wisp_step *step = &call->engine.step.plugin;
    make_inputs(check, call, wanted, variables);
    wispi_apply(step, v->op, v->attrs, call->in, v->n_in, call->out);
    wisp_tensor *y[WISPI_MAX_OUT], *dy[WISPI_MAX_OUT];
    int32_t n = 0;
    for (int32_t i = 0; i < v->op->n_out && call->engine.step.status == WISP_OK; i++) {
        if (!(seeded >> i & 1) || !call->out[i])
            continue;
        y[n] = call->out[i];
        dy[n] = wispi_double_tensor(&call->engine, v->out_ptr[i], check->weights[i], 0);
        n++;
    }
    if (call->engine.step.status == WISP_OK)
        wispi_step_backward_from(step, y, dy, n);
}

static void end_call(grad_check *check, rule_call *call)
{
    check->starved |= call->engine.step.status == WISP_E_NOMEM;
    wispi_double_end(&call->engine);
}

static const double *answer(grad_check *check, rule_call *call, int32_t i)
{
    const char *name = check->values.op->in_names[i];
    wisp_tensor *grad = call->in[i] ? wispi_tensor_grad(&call->engine.step, call->in[i]) : NULL;
    if (grad)
        return grad->values;
    fail(check->result,
         "the rule gives no gradient to %s; if there is none, the op must say so in "
         "constant_in",
         name);
    return NULL;
}

static void keep_answer(grad_check *check, rule_call *call, int32_t i)
{
    const double *values = answer(check, call, i);
    const int64_t count = check->values.in[i].count;
    if (values && count)
        memcpy(check->grad[i], values, (size_t)count * sizeof *values);
}

static void compare_answer(grad_check *check, rule_call *call, int32_t i, const char *how)
{
    const double *values = answer(check, call, i);
    double largest = 0, worst = 0;
    for (int64_t k = 0; values && k < check->values.in[i].count; k++) {
        const double difference = fabs(values[k] - check->grad[i][k]);
        largest = fmax(largest, fabs(check->grad[i][k]));
        worst = isfinite(difference) ? fmax(worst, difference) : INFINITY;
    }
    if (worst > 1e-9 * fmax(largest, check->floor[i]))
        fail(check->result, "the gradient of %s differs by %.3g of %.3g when %s",
             check->values.op->in_names[i], worst, largest, how);
}

static void step_failure(grad_check *check, const rule_call *call)
{
    if (call->engine.step.status != WISP_OK)
        fail(check->result, "%s", call->engine.step.error.message);
}

static uint32_t seeded_outputs(const grad_check *check)
{
    uint32_t seeded = 0;
    for (int32_t i = 0; i < check->values.op->n_out; i++)
        if (check->weights[i])
            seeded |= 1u << i;
    return seeded;
}

/* All wanted gradients in one call, kept as the rule's answer; then the other ways of asking. */
static void ask_rule(grad_check *check)
{
    rule_call call;
    const uint32_t seeded = seeded_outputs(check);
    run_rule(check, &call, check->wanted, seeded, 0);
    step_failure(check, &call);
    for (int32_t i = 0; i < check->values.n_in && check->result->outcome == WISPI_CHECK_PASS; i++)
        if (check->wanted >> i & 1)
            keep_answer(check, &call, i);
    end_call(check, &call);
    if (check->result->outcome != WISPI_CHECK_PASS)
        return;
    run_rule(check, &call, check->wanted, seeded, 1);
    step_failure(check, &call);
    for (int32_t i = 0; i < check->values.n_in && check->result->outcome == WISPI_CHECK_PASS; i++)
        if (check->wanted >> i & 1)
            compare_answer(check, &call, i, "inputs are parameters");
    end_call(check, &call);
    for (int32_t i = 0; i < check->values.n_in && check->result->outcome == WISPI_CHECK_PASS; i++) {
        if (!(check->wanted >> i & 1))
            continue;
        run_rule(check, &call, 1u << i, seeded, 0);
        step_failure(check, &call);
        if (check->result->outcome == WISPI_CHECK_PASS)
            compare_answer(check, &call, i, "no other input wants one");
        end_call(check, &call);
    }
}

/* What an op calls constant or by-product must be refused aloud: a gradient that silently ends
 * there is a wrong gradient. */
static void ask_refusals(grad_check *check)
{
    rule_call call;
    const wispi_case_values *v = &check->values;
    const uint32_t seeded = seeded_outputs(check);
    for (int32_t i = 0; i < v->n_in && check->result->outcome == WISPI_CHECK_PASS; i++) {
        const int constant = v->op->constant_in >> i & 1;
        if (!is_float(v->in_ptr[i]) || !(constant || (v->sample->arranged >> i & 1)))
            continue;
        run_rule(check, &call, 1u << i, seeded, 0);
        if (call.engine.step.status == WISP_OK &&
            (constant || !wispi_tensor_grad(&call.engine.step, call.in[i])))
            fail(check->result, "the rule neither gives nor refuses a gradient for %s",
                 v->op->in_names[i]);
        end_call(check, &call);
    }
    for (int32_t i = 0; i < v->op->n_out && check->result->outcome == WISPI_CHECK_PASS; i++) {
        if (!(v->op->side_out >> i & 1) || !is_float(v->out_ptr[i]))
            continue;
        run_rule(check, &call, check->wanted, 1u << i, 0);
        if (call.engine.step.status == WISP_OK)
            fail(check->result, "the rule does not refuse a gradient from its by-product %s",
                 v->op->out_names[i]);
        end_call(check, &call);
    }
}

/* --- differences --- */

/* f here minus f at the drawn inputs; subtracting output by output keeps the digits. */
static double function(grad_check *check)
{
    double sum = 0;
    wispi_case_values *v = &check->values;
    if (v->sample->arrange)
        v->sample->arrange(v->attrs, v->in, v->n_in);
    wispi_case_expect(v);
    for (int32_t i = 0; i < v->op->n_out; i++)
        for (int64_t k = 0; check->weights[i] && k < v->out[i].count; k++)
            sum += check->weights[i][k] * (v->out[i].v[k] - check->base[i][k]);
    return sum;
}

typedef struct difference {
    double fine, coarse; /* extrapolated from widths h, 2h and 2h, 4h */
} difference;

static difference differentiate(grad_check *check, double *x, double h)
{
    const double at = *x;
    double central[3];
    for (int32_t j = 0; j < 3; j++) {
        const double width = h * (1 << j);
        *x = at + width;
        const double above = *x, f_above = function(check);
        *x = at - width;
        const double below = *x, f_below = function(check);
        central[j] = (f_above - f_below) / (above - below);
    }
    *x = at;
    return (difference){(4 * central[0] - central[1]) / 3, (4 * central[1] - central[2]) / 3};
}

static double largest_of(const double *v, int64_t count)
{
    double largest = 0;
    for (int64_t k = 0; k < count; k++)
        largest = fmax(largest, fabs(v[k]));
    return largest;
}

static double step_width(const grad_check *check, int32_t i)
{
    const double largest = largest_of(check->values.in[i].v, check->values.in[i].count);
    return 2e-4 * (largest > 0 ? fmin(largest, 1) : 1);
}

/* The elements that are looked at: all, or some spread evenly. */
static int64_t sampled_element(int64_t count, int64_t n, int64_t j)
{
    return count <= n ? j : (int64_t)(((double)j + 0.5) / (double)n * (double)count);
}

static void check_input(grad_check *check, int32_t i)
{
    wispi_ref *in = &check->values.in[i];
    wispi_op_result *result = check->result;
    difference found[MAX_SAMPLED];
    const int64_t n = in->count < MAX_SAMPLED ? in->count : MAX_SAMPLED;
    const double h = step_width(check, i);
    double scale = check->floor[i];
    for (int64_t j = 0; j < n; j++) {
        const int64_t k = sampled_element(in->count, n, j);
        found[j] = differentiate(check, &in->v[k], h);
        scale = fmax(scale, fmax(fabs(found[j].fine), fabs(check->grad[i][k])));
    }
    int32_t n_kinks = 0;
    for (int64_t j = 0; j < n; j++) {
        const int64_t k = sampled_element(in->count, n, j);
        if (fabs(found[j].fine - found[j].coarse) > kink_tolerance * scale) {
            n_kinks++;
            continue;
        }
        const double error = fabs(found[j].fine - check->grad[i][k]) / (scale > 0 ? scale : 1);
        result->error = fmax(result->error, error);
        result->n_checked++;
        result->n_nonzero += fabs(found[j].fine) > check->floor[i];
        if (!(error <= grad_tolerance))
            fail(result, "d/d %s[%lld]: the rule says %.9g, finite differences say %.9g",
                 check->values.op->in_names[i], (long long)k, check->grad[i][k], found[j].fine);
    }
    result->n_kinks += n_kinks;
    if (n > 0 && 2 * n_kinks > n)
        fail(result, "the function bends at %d of %lld elements of %s: choose other values",
             n_kinks, (long long)n, check->values.op->in_names[i]);
}

/* --- the check --- */

static double *new_doubles(grad_check *check, int64_t count, wisp_error *err)
{
    double *made = wispi_arena_array(check->arena, (size_t)count + 1, sizeof *made);
    if (!made)
        wisp_fail(err, WISP_E_NOMEM, "%s: no memory", check->result->name);
    return made;
}

static wisp_status prepare_outputs(grad_check *check, wisp_error *err)
{
    wispi_case_values *v = &check->values;
    for (int32_t i = 0; i < v->op->n_out; i++) {
        if (!is_float(v->out_ptr[i]) || (v->op->side_out >> i & 1))
            continue;
        const int64_t count = v->out[i].count;
        check->weights[i] = new_doubles(check, count, err);
        check->base[i] = new_doubles(check, count, err);
        if (!check->weights[i] || !check->base[i])
            return WISP_E_NOMEM;
        wisp_rng rng =
            wisp_rng_begin(wisp_rng_stream(check->result->seed + 77, (uint64_t)i + 1000));
        for (int64_t k = 0; k < count; k++)
            check->weights[i][k] = wisp_rng_range(&rng, -1, 1);
        if (count)
            memcpy(check->base[i], v->out[i].v, (size_t)count * sizeof(double));
    }
    return WISP_OK;
}

static wisp_status prepare_inputs(grad_check *check, wisp_error *err)
{
    const wispi_case_values *v = &check->values;
    double rise = 0; /* what the outputs amount to, for a feeling of large and small */
    for (int32_t i = 0; i < v->op->n_out; i++)
        if (check->weights[i])
            rise = fmax(rise, largest_of(check->base[i], v->out[i].count));
    for (int32_t i = 0; i < v->n_in; i++) {
        if (!is_float(v->in_ptr[i]) || ((v->op->constant_in | v->sample->arranged) >> i & 1))
            continue;
        check->wanted |= 1u << i;
        check->grad[i] = new_doubles(check, v->in[i].count, err);
        if (!check->grad[i])
            return WISP_E_NOMEM;
        check->floor[i] = 1e-6 * rise / fmax(largest_of(v->in[i].v, v->in[i].count), 1e-3);
    }
    return WISP_OK;
}

static wisp_status check_rule(grad_check *check, wisp_error *err)
{
    wispi_op_result *result = check->result;
    wispi_case_draw(&check->values, result->seed, 0);
    wispi_case_expect(&check->values);
    WISP_TRY(prepare_outputs(check, err));
    WISP_TRY(prepare_inputs(check, err));
    if (!check->wanted) {
        result->outcome = WISPI_CHECK_SKIP;
        snprintf(result->message, sizeof result->message, "no input of this case has a gradient");
        return WISP_OK;
    }
    ask_rule(check);
    if (result->outcome == WISPI_CHECK_PASS)
        ask_refusals(check);
    for (int32_t i = 0; i < check->values.n_in && result->outcome == WISPI_CHECK_PASS; i++)
        if (check->wanted >> i & 1)
            check_input(check, i);
    return WISP_OK;
}

wisp_status wispi_op_grad(const wispi_op *op, const wispi_op_case *sample, uint64_t seed,
                          wispi_op_result *result, wisp_error *err)
{
    memset(result, 0, sizeof *result);
    wispi_case_name(op, sample, WISP_F32, result->name, sizeof result->name);
    result->seed = seed;
    result->tolerance = grad_tolerance;
    snprintf(result->implementation, sizeof result->implementation, "reference");
    if (sample->skip_grad || !op->gradient) {
        result->outcome = WISPI_CHECK_SKIP;
        snprintf(result->message, sizeof result->message, "%s",
                 op->gradient ? "not differentiable at these values" : "the op has no gradient");
        return WISP_OK;
    }
    grad_check check = {.result = result};
    check.arena = wispi_arena_create((size_t)1 << 16);
    check.step_arena = wispi_arena_create((size_t)1 << 16);
    wisp_error problem = {0};
    wisp_status status = WISP_E_NOMEM;
    if (check.arena && check.step_arena) {
        status = wispi_case_begin(&check.values, op, sample, WISP_F32, check.arena, &problem);
        if (status == WISP_OK)
            status = check_rule(&check, &problem);
    }
    if (check.starved)
        status = WISP_E_NOMEM;
    wispi_arena_destroy(check.step_arena);
    wispi_arena_destroy(check.arena);
    if (status == WISP_E_NOMEM)
        return wisp_fail(err, status, "%s: no memory", result->name);
    if (status != WISP_OK)
        fail(result, "%s", problem.message);
    return WISP_OK;
}

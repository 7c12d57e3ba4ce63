/* op_test.c - one kernel of a device against the reference kernel.
 *
 * Three runs of one prepared kernel. The first two have the same inputs and must give the same
 * bits. The third has other values, inputs that begin at the offset of a row as a slice does, and
 * parameters of a newer version, so that a stale packed copy or an assumed alignment shows. In
 * every run outputs and scratch start as NaN and stand between fences. */
#include "tensor/op_check.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "tensor/case_values.h"
#include "tensor/guarded_memory.h"

typedef struct kernel_run {
    wispi_device *device;
    wispi_arena *arena;
    wispi_case_values values;
    const wisp_kernel *kernel;
    wispi_guarded in[WISPI_MAX_IN], out[WISPI_MAX_OUT], scratch;
    uint64_t uid[WISPI_MAX_IN + WISPI_MAX_OUT];
    uint64_t version; /* of the parameters */
    uint8_t *first[WISPI_MAX_OUT], *now[WISPI_MAX_OUT];
    wispi_op_result *result;
} kernel_run;

/* Ids far from those of variables; a kernel may keep packed weights by them. */
static uint64_t new_uid(void)
{
    static atomic_uint_fast64_t last;
    return (UINT64_C(1) << 62) + (uint64_t)atomic_fetch_add(&last, 1);
}

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

static double tolerance_of(const kernel_run *run)
{
    const wispi_op *op = run->values.op;
    const double own = op->tolerance > 0 ? op->tolerance : 1e-5;
    const double own_bf16 = op->tolerance_bf16 > 0 ? op->tolerance_bf16 : 4e-3;
    return wispi_case_uses_bf16(&run->values) ? fmax(own, own_bf16) : own;
}

/* --- memory --- */

static size_t slice_shift(const wisp_desc *desc)
{
    const int64_t size = wisp_dtype_bytes(desc->dtype);
    const int64_t rows = desc->rank > 0 ? desc->shape[0] : 0;
    return (size_t)(rows > 0 ? wisp_desc_count(desc) / rows * size : size);
}

static wisp_status open_memory(kernel_run *run, int shifted, wisp_error *err)
{
    wispi_case_values *v = &run->values;
    for (int32_t i = 0; i < v->n_in; i++) {
        if (!v->in_ptr[i])
            continue;
        const size_t bytes = (size_t)wisp_desc_bytes(v->in_ptr[i]);
        const int whole = !shifted || wispi_case_is_inout(v->sample, i);
        WISP_TRY(wispi_guarded_open(run->device, run->arena, bytes,
                                    whole ? 0 : slice_shift(v->in_ptr[i]), &run->in[i], err));
    }
    for (int32_t i = 0; i < v->op->n_out; i++) {
        if (!v->out_ptr[i] || (v->sample->inout >> i & 1))
            continue;
        const size_t bytes = (size_t)wisp_desc_bytes(v->out_ptr[i]);
        WISP_TRY(wispi_guarded_open(run->device, run->arena, bytes, 0, &run->out[i], err));
    }
    return wispi_guarded_open(run->device, run->arena, run->kernel->scratch_bytes, 0, &run->scratch,
                              err);
}

static void close_memory(kernel_run *run)
{
    for (int32_t i = 0; i < WISPI_MAX_IN; i++)
        wispi_guarded_close(run->device, &run->in[i]);
    for (int32_t i = 0; i < WISPI_MAX_OUT; i++)
        wispi_guarded_close(run->device, &run->out[i]);
    wispi_guarded_close(run->device, &run->scratch);
}

static wisp_status fill_memory(kernel_run *run, wisp_error *err)
{
    const wispi_case_values *v = &run->values;
    for (int32_t i = 0; i < v->n_in; i++)
        if (run->in[i].block)
            WISP_TRY(wispi_guarded_fill(run->device, &run->in[i], v->in[i].v, v->in_desc[i].dtype,
                                        v->in[i].count, err));
    for (int32_t i = 0; i < v->op->n_out; i++)
        if (run->out[i].block)
            WISP_TRY(wispi_guarded_fill(run->device, &run->out[i], NULL, 0, 0, err));
    return wispi_guarded_fill(run->device, &run->scratch, NULL, 0, 0, err);
}

/* Where output i lies: of its own, or the input that it updates. */
static const wispi_guarded *output_memory(const kernel_run *run, int32_t i)
{
    const wispi_op_case *sample = run->values.sample;
    return sample->inout >> i & 1 ? &run->in[sample->inout_from[i]] : &run->out[i];
}

/* --- running --- */

static wisp_status run_kernel(kernel_run *run, wisp_error *err)
{
    const wispi_case_values *v = &run->values;
    wisp_kernel_arg in[WISPI_MAX_IN], out[WISPI_MAX_OUT];
    memset(in, 0, sizeof in);
    memset(out, 0, sizeof out);
    for (int32_t i = 0; i < v->n_in; i++)
        if (v->in_ptr[i])
            in[i] = (wisp_kernel_arg){run->in[i].data, run->uid[i],
                                      v->op->parameter_in >> i & 1 ? run->version : 0};
    for (int32_t i = 0; i < v->op->n_out; i++) {
        if (!v->out_ptr[i])
            continue;
        out[i] = (wisp_kernel_arg){output_memory(run, i)->data, run->uid[WISPI_MAX_IN + i], 0};
        if (v->sample->inout >> i & 1)
            out[i] = in[v->sample->inout_from[i]];
    }
    WISP_TRY(fill_memory(run, err));
    WISP_TRY(run->kernel->run(run->kernel, in, out, run->scratch.data, err));
    return wispi_device_sync(run->device, err);
}

/* --- judging --- */

static void check_fences(kernel_run *run, const wispi_guarded *memory, const uint8_t *now,
                         const char *what)
{
    int broken;
    const int64_t at = wispi_guarded_breach(memory, now, &broken);
    if (broken)
        fail(run->result, "the kernel writes outside of %s: at byte %lld of %zu", what,
             (long long)at, memory->bytes);
}

static wisp_status check_inputs(kernel_run *run, wisp_error *err)
{
    const wispi_case_values *v = &run->values;
    for (int32_t i = 0; i < v->n_in; i++) {
        if (!run->in[i].block)
            continue;
        uint8_t *now = wispi_arena_alloc(run->arena, wispi_guarded_total(&run->in[i]));
        if (!now)
            return wisp_fail(err, WISP_E_NOMEM, "no memory to compare an input");
        WISP_TRY(wispi_guarded_read(run->device, &run->in[i], now, err));
        check_fences(run, &run->in[i], now, v->op->in_names[i]);
        if (!wispi_case_is_inout(v->sample, i) && !wispi_guarded_unchanged(&run->in[i], now))
            fail(run->result, "the kernel changes its input %s", v->op->in_names[i]);
    }
    uint8_t *now = wispi_arena_alloc(run->arena, wispi_guarded_total(&run->scratch));
    if (!now)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare the scratch");
    WISP_TRY(wispi_guarded_read(run->device, &run->scratch, now, err));
    check_fences(run, &run->scratch, now, "its scratch");
    return WISP_OK;
}

static wisp_status read_outputs(kernel_run *run, uint8_t **into, wisp_error *err)
{
    const wispi_case_values *v = &run->values;
    for (int32_t i = 0; i < v->op->n_out; i++) {
        if (!v->out_ptr[i])
            continue;
        const wispi_guarded *memory = output_memory(run, i);
        into[i] = wispi_arena_alloc(run->arena, wispi_guarded_total(memory));
        if (!into[i])
            return wisp_fail(err, WISP_E_NOMEM, "no memory to read an output");
        WISP_TRY(wispi_guarded_read(run->device, memory, into[i], err));
        check_fences(run, memory, into[i], v->op->out_names[i]);
    }
    return WISP_OK;
}

static void check_same_bits(kernel_run *run)
{
    const wispi_case_values *v = &run->values;
    for (int32_t i = 0; i < v->op->n_out; i++) {
        if (!v->out_ptr[i])
            continue;
        const wispi_guarded *memory = output_memory(run, i);
        if (memory->bytes && memcmp(wispi_guarded_room(memory, run->first[i]),
                                    wispi_guarded_room(memory, run->now[i]), memory->bytes) != 0)
            fail(run->result, "two runs on the same inputs give different bits in %s",
                 v->op->out_names[i]);
    }
}

static void compare_integers(kernel_run *run, int32_t i, const double *got)
{
    const wispi_ref *want = &run->values.out[i];
    for (int64_t k = 0; k < want->count; k++)
        if (got[k] != want->v[k]) {
            fail(run->result, "%s[%lld] is %.0f, the reference has %.0f",
                 run->values.op->out_names[i], (long long)k, got[k], want->v[k]);
            return;
        }
}

static void compare_floats(kernel_run *run, int32_t i, const double *got)
{
    const wispi_ref *want = &run->values.out[i];
    const char *name = run->values.op->out_names[i];
    double squares = 0, errors = 0, largest = 0, worst = 0;
    int64_t worst_at = 0;
    for (int64_t k = 0; k < want->count; k++) {
        if (!isfinite(want->v[k]) || !isfinite(got[k])) {
            if (want->v[k] != got[k])
                fail(run->result, "%s[%lld] is %g, the reference has %g", name, (long long)k,
                     got[k], want->v[k]);
            continue;
        }
        const double error = fabs(got[k] - want->v[k]);
        squares += want->v[k] * want->v[k];
        errors += error * error;
        largest = fmax(largest, fabs(want->v[k]));
        if (error > worst) {
            worst = error;
            worst_at = k;
        }
    }
    const double rms = squares > 0 ? sqrt(errors / squares) : sqrt(errors);
    const double relative = largest > 0 ? worst / largest : worst;
    run->result->error = fmax(run->result->error, rms);
    run->result->worst = fmax(run->result->worst, relative);
    if (rms > run->result->tolerance)
        fail(run->result, "%s is off by %.3g RMS (allowed %.3g); [%lld] is %.9g, not %.9g", name,
             rms, run->result->tolerance, (long long)worst_at, got[worst_at], want->v[worst_at]);
    if (relative > 8 * run->result->tolerance)
        fail(run->result, "%s[%lld] is %.9g, not %.9g: off by %.3g of the largest value", name,
             (long long)worst_at, got[worst_at], want->v[worst_at], relative);
}

static wisp_status compare_outputs(kernel_run *run, wisp_error *err)
{
    wispi_case_values *v = &run->values;
    wispi_case_expect(v);
    for (int32_t i = 0; i < v->op->n_out; i++) {
        if (!v->out_ptr[i])
            continue;
        const wispi_guarded *memory = output_memory(run, i);
        /* A room may begin at any byte, the elements of an array may not. */
        void *aligned = wispi_arena_alloc(run->arena, memory->bytes + 1);
        double *got = wispi_arena_array(run->arena, (size_t)v->out[i].count + 1, sizeof *got);
        if (!aligned || !got)
            return wisp_fail(err, WISP_E_NOMEM, "no memory to compare an output");
        if (memory->bytes)
            memcpy(aligned, wispi_guarded_room(memory, run->now[i]), memory->bytes);
        wispi_widen(got, aligned, v->out_desc[i].dtype, v->out[i].count);
        run->result->n_checked += v->out[i].count;
        for (int64_t k = 0; k < v->out[i].count; k++)
            run->result->n_nonzero += v->out[i].v[k] != 0;
        if (v->out_desc[i].dtype == WISP_F32 || v->out_desc[i].dtype == WISP_BF16)
            compare_floats(run, i, got);
        else
            compare_integers(run, i, got);
    }
    return WISP_OK;
}

/* --- the three runs --- */

static wisp_status run_twice(kernel_run *run, wisp_error *err)
{
    WISP_TRY(open_memory(run, 0, err));
    WISP_TRY(run_kernel(run, err));
    WISP_TRY(read_outputs(run, run->first, err));
    WISP_TRY(run_kernel(run, err));
    WISP_TRY(read_outputs(run, run->now, err));
    check_same_bits(run);
    WISP_TRY(check_inputs(run, err));
    return compare_outputs(run, err);
}

static wisp_status run_shifted(kernel_run *run, wisp_error *err)
{
    wispi_case_draw(&run->values, run->result->seed + 1, 1);
    run->version++;
    WISP_TRY(open_memory(run, 1, err));
    WISP_TRY(run_kernel(run, err));
    WISP_TRY(read_outputs(run, run->now, err));
    WISP_TRY(check_inputs(run, err));
    return compare_outputs(run, err);
}

static wisp_status find_kernel(kernel_run *run, wisp_error *err)
{
    const wisp_kernel_request request = wispi_case_request(&run->values);
    return wispi_device_kernel(run->device, run->values.op, &request, &run->kernel, err);
}

static wisp_status test_values(kernel_run *run, wisp_error *err)
{
    wispi_op_result *result = run->result;
    wisp_error refusal = {0};
    const wisp_status found = find_kernel(run, &refusal);
    if (found == WISP_E_NOMEM)
        return wisp_fail(err, found, "%s", refusal.message);
    if (found != WISP_OK) {
        result->outcome = found == WISP_E_UNSUPPORTED ? WISPI_CHECK_MISSING : WISPI_CHECK_FAIL;
        snprintf(result->message, sizeof result->message, "%s", refusal.message);
        return WISP_OK;
    }
    snprintf(result->implementation, sizeof result->implementation, "%s",
             run->kernel->implementation ? run->kernel->implementation : "");
    wispi_case_draw(&run->values, result->seed, 1);
    wisp_status status = run_twice(run, err);
    close_memory(run);
    if (status == WISP_OK && result->outcome == WISPI_CHECK_PASS) {
        status = run_shifted(run, err);
        close_memory(run);
    }
    return status;
}

wisp_status wispi_op_test(wispi_device *device, const wispi_op *op, const wispi_op_case *sample,
                          int32_t dtype, uint64_t seed, wispi_op_result *result, wisp_error *err)
{
    memset(result, 0, sizeof *result);
    wispi_case_name(op, sample, dtype, result->name, sizeof result->name);
    result->seed = seed;
    kernel_run run = {.device = device, .version = 1, .result = result};
    run.arena = wispi_arena_create((size_t)1 << 16);
    if (!run.arena)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory", result->name);
    for (int32_t i = 0; i < WISPI_MAX_IN + WISPI_MAX_OUT; i++)
        run.uid[i] = new_uid();
    wisp_error problem = {0};
    wisp_status status = wispi_case_begin(&run.values, op, sample, dtype, run.arena, &problem);
    if (status == WISP_OK) {
        result->tolerance = tolerance_of(&run);
        if (wispi_case_uses_bf16(&run.values) && !wispi_device_info(device)->has_bf16) {
            result->outcome = WISPI_CHECK_SKIP;
            snprintf(result->message, sizeof result->message, "%s has no bf16 arithmetic",
                     wispi_device_info(device)->name);
        } else {
            status = test_values(&run, &problem);
        }
    }
    wispi_arena_destroy(run.arena);
    if (status == WISP_E_NOMEM)
        return wisp_fail(err, status, "%s: %s", result->name, problem.message);
    if (status != WISP_OK)
        fail(result, "%s", problem.message);
    return WISP_OK;
}

/* case_values.c - inputs of sample calls, drawn by counter so that a name and a seed are enough to
 * see a failure again. */
#include "tensor/case_values.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "tensor/device.h"
#include "wisp/rng.h"

char *wispi_case_name(const wispi_op *op, const wispi_op_case *sample, int32_t dtype, char *text,
                      size_t bytes)
{
    snprintf(text, bytes, "%s/%s/%s", op->name, sample->name, wisp_dtype_name(dtype));
    return text;
}

int wispi_case_is_inout(const wispi_op_case *sample, int32_t input)
{
    for (int32_t i = 0; i < WISPI_MAX_OUT; i++)
        if ((sample->inout >> i & 1) && sample->inout_from[i] == input)
            return 1;
    return 0;
}

static int becomes_bf16(const wispi_op *op, const wispi_op_case *sample, int32_t i)
{
    return sample->in[i].dtype == WISP_F32 && !(op->parameter_in >> i & 1) &&
           !(sample->no_bf16 >> i & 1);
}

int wispi_case_runs_as(const wispi_op *op, const wispi_op_case *sample, int32_t dtype)
{
    int written_bf16 = 0, converted = 0;
    for (int32_t i = 0; i < sample->n_in; i++) {
        written_bf16 |= sample->in[i].dtype == WISP_BF16;
        converted |= becomes_bf16(op, sample, i);
    }
    return dtype == WISP_BF16 ? written_bf16 || converted : !written_bf16;
}

int wispi_case_uses_bf16(const wispi_case_values *values)
{
    for (int32_t i = 0; i < values->n_in; i++)
        if (values->in_desc[i].dtype == WISP_BF16)
            return 1;
    for (int32_t i = 0; i < values->op->n_out; i++)
        if (values->out_desc[i].dtype == WISP_BF16)
            return 1;
    return 0;
}

static wisp_status make_ref(wispi_case_values *values, const wisp_desc *desc, wispi_ref *ref,
                            wisp_error *err)
{
    if (desc->dtype == 0)
        return WISP_OK;
    const int64_t count = wisp_desc_count(desc);
    *ref = (wispi_ref){desc, count, NULL};
    ref->v = wispi_arena_array(values->arena, (size_t)count + 1, sizeof(double));
    if (!ref->v)
        return wisp_fail(err, WISP_E_NOMEM, "%s/%s: no memory for the values", values->op->name,
                         values->sample->name);
    return WISP_OK;
}

static wisp_status make_inputs(wispi_case_values *values, int32_t dtype, wisp_error *err)
{
    const wispi_op_case *sample = values->sample;
    for (int32_t i = 0; i < sample->n_in; i++) {
        values->in_desc[i] = sample->in[i];
        if (sample->in[i].dtype == 0)
            continue;
        if (dtype == WISP_BF16 && becomes_bf16(values->op, sample, i))
            values->in_desc[i].dtype = WISP_BF16;
        values->in_ptr[i] = &values->in_desc[i];
        WISP_TRY(make_ref(values, &values->in_desc[i], &values->in[i], err));
    }
    return WISP_OK;
}

/* What an output that is updated in place starts from must be there and fit. */
static wisp_status check_inout(const wispi_case_values *values, int32_t output, wisp_error *err)
{
    const int32_t from = values->sample->inout_from[output];
    if (from >= 0 && from < values->n_in &&
        memcmp(&values->in_desc[from], &values->out_desc[output], sizeof(wisp_desc)) == 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_INVALID, "%s/%s: output %d cannot start from input %d",
                     values->op->name, values->sample->name, output, from);
}

wisp_status wispi_case_begin(wispi_case_values *values, const wispi_op *op,
                             const wispi_op_case *sample, int32_t dtype, wispi_arena *arena,
                             wisp_error *err)
{
    memset(values, 0, sizeof *values);
    values->op = op;
    values->sample = sample;
    values->arena = arena;
    values->dtype = dtype;
    values->n_in = sample->n_in;
    if (sample->n_in < op->min_in || sample->n_in > op->max_in || op->max_in > WISPI_MAX_IN ||
        op->n_out > WISPI_MAX_OUT)
        return wisp_fail(err, WISP_E_INVALID, "%s/%s: %d arguments; the op takes %d to %d",
                         op->name, sample->name, sample->n_in, op->min_in, op->max_in);
    values->attrs = sample->attrs ? sample->attrs : wispi_arena_alloc(arena, op->attrs_bytes + 1);
    if (!values->attrs)
        return wisp_fail(err, WISP_E_NOMEM, "%s/%s: no memory", op->name, sample->name);
    WISP_TRY(make_inputs(values, dtype, err));
    WISP_TRY(op->infer(values->attrs, values->in_ptr, values->n_in, values->out_desc, err));
    for (int32_t i = 0; i < op->n_out; i++) {
        values->out_ptr[i] = values->out_desc[i].dtype ? &values->out_desc[i] : NULL;
        WISP_TRY(make_ref(values, &values->out_desc[i], &values->out[i], err));
        if (sample->inout >> i & 1)
            WISP_TRY(check_inout(values, i, err));
    }
    return WISP_OK;
}

static int is_float(int32_t dtype)
{
    return dtype == WISP_F32 || dtype == WISP_BF16;
}

static void draw_one(wispi_case_values *values, int32_t i, wisp_rng_key key)
{
    const wispi_op_case *sample = values->sample;
    wispi_ref *ref = &values->in[i];
    wisp_rng rng = wisp_rng_begin(key);
    for (int64_t k = 0; k < ref->count; k++) {
        if (sample->values[i])
            ref->v[k] = sample->values[i][k];
        else if (is_float(ref->desc->dtype))
            ref->v[k] = wisp_rng_range(&rng, sample->low[i], sample->high[i]);
        else
            ref->v[k] = floor(wisp_rng_range(&rng, sample->low[i], sample->high[i]));
    }
}

/* Rounds to nearest even, by going there and back. */
static void round_one(wispi_ref *ref, int32_t dtype)
{
    const int64_t piece = 256;
    float memory[256];
    for (int64_t at = 0; at < ref->count; at += piece) {
        const int64_t n = ref->count - at < piece ? ref->count - at : piece;
        wispi_narrow(memory, ref->v + at, dtype, n);
        wispi_widen(ref->v + at, memory, dtype, n);
    }
}

static void round_inputs(wispi_case_values *values, uint32_t which)
{
    for (int32_t i = 0; i < values->n_in; i++) {
        wispi_ref *ref = &values->in[i];
        if (!(which >> i & 1) || !ref->v || !is_float(ref->desc->dtype))
            continue;
        const int weights = (values->op->parameter_in >> i & 1) && ref->desc->rank >= 2;
        round_one(ref, weights && values->dtype == WISP_BF16 ? WISP_BF16 : ref->desc->dtype);
    }
}

void wispi_case_draw(wispi_case_values *values, uint64_t seed, int rounded)
{
    char name[256];
    const wispi_op_case *sample = values->sample;
    snprintf(name, sizeof name, "%s/%s", values->op->name, sample->name);
    const wisp_rng_key root = wisp_rng_stream(seed, WISP_STREAM_DATA);
    const uint64_t hash = wispi_hash64(name, strlen(name), 0);
    for (int32_t i = 0; i < values->n_in; i++)
        if (values->in[i].v)
            draw_one(values, i, wisp_rng_derive(root, hash, (uint64_t)i));
    if (rounded)
        round_inputs(values, ~0u);
    if (sample->arrange) {
        sample->arrange(values->attrs, values->in, values->n_in);
        if (rounded)
            round_inputs(values, sample->arranged);
    }
}

wisp_kernel_request wispi_case_request(const wispi_case_values *values)
{
    return (wisp_kernel_request){
        .struct_size = sizeof(wisp_kernel_request),
        .n_in = values->n_in,
        .n_out = values->op->n_out,
        .deterministic = 1,
        .op = values->op->name,
        .attrs = values->attrs,
        .attrs_bytes = values->op->attrs_bytes,
        .in = values->in_ptr,
        .out = values->out_ptr,
    };
}

void wispi_case_expect(wispi_case_values *values)
{
    const wispi_op_case *sample = values->sample;
    for (int32_t i = 0; i < values->op->n_out; i++) {
        wispi_ref *out = &values->out[i];
        if (!out->v || out->count == 0)
            continue;
        if (sample->inout >> i & 1)
            memcpy(out->v, values->in[sample->inout_from[i]].v,
                   (size_t)out->count * sizeof(double));
        else
            memset(out->v, 0, (size_t)out->count * sizeof(double));
    }
    values->op->reference(values->attrs, values->in, values->n_in, values->out);
}

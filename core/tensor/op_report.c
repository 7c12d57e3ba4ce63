/* op_report.c - results of op checks as lines of text and as JSON objects. */
#include "tensor/op_check.h"

#include <math.h>

const char *wispi_op_outcome_name(int32_t outcome)
{
    static const char *const names[] = {"pass", "FAIL", "skip", "missing"};
    return outcome >= 0 && outcome <= WISPI_CHECK_MISSING ? names[outcome] : "?";
}

static void json_text(wispi_text *text, const char *key, const char *value)
{
    wispi_text_printf(text, "\"%s\": \"", key);
    for (const char *at = value; *at; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            wispi_text_printf(text, "\\%c", c);
        else if (c < 0x20)
            wispi_text_printf(text, "\\u%04x", c);
        else
            wispi_text_append_bytes(text, at, 1);
    }
    wispi_text_append(text, "\"");
}

static void json_number(wispi_text *text, const char *key, double value)
{
    if (isfinite(value))
        wispi_text_printf(text, ", \"%s\": %.9g", key, value);
    else
        wispi_text_printf(text, ", \"%s\": null", key);
}

void wispi_op_result_text(wispi_text *text, const wispi_op_result *result)
{
    wispi_text_printf(text, "%-7s %-44s", wispi_op_outcome_name(result->outcome), result->name);
    if (result->n_checked > 0)
        wispi_text_printf(text, " %-20s error %.2e of %.0e", result->implementation, result->error,
                          result->tolerance);
    if (result->n_kinks > 0)
        wispi_text_printf(text, " (%d bends left out)", result->n_kinks);
    if (result->message[0])
        wispi_text_printf(text, " %s", result->message);
    if (result->outcome == WISPI_CHECK_FAIL)
        wispi_text_printf(text, " [seed %llu]", (unsigned long long)result->seed);
    wispi_text_append(text, "\n");
}

void wispi_op_result_json(wispi_text *text, const wispi_op_result *result)
{
    wispi_text_append(text, "{");
    json_text(text, "name", result->name);
    wispi_text_append(text, ", ");
    json_text(text, "outcome",
              result->outcome == WISPI_CHECK_FAIL ? "fail"
                                                  : wispi_op_outcome_name(result->outcome));
    wispi_text_append(text, ", ");
    json_text(text, "implementation", result->implementation);
    json_number(text, "error", result->error);
    json_number(text, "worst", result->worst);
    json_number(text, "tolerance", result->tolerance);
    wispi_text_printf(text, ", \"checked\": %lld, \"kinks\": %d, \"seed\": %llu, ",
                      (long long)result->n_checked, result->n_kinks,
                      (unsigned long long)result->seed);
    json_text(text, "message", result->message);
    wispi_text_append(text, "}");
}

void wispi_op_support_text(wispi_text *text, const wispi_op_support_row *row)
{
    wispi_text_printf(text, "%-26s %-5s %2d of %-2d  %s", row->op, wisp_dtype_name(row->dtype),
                      row->n_served, row->n_cases, row->implementations);
    if (row->refusal[0])
        wispi_text_printf(text, "%srefused: %s", row->n_served ? "; " : "", row->refusal);
    wispi_text_append(text, "\n");
}

void wispi_op_support_json(wispi_text *text, const wispi_op_support_row *row)
{
    wispi_text_append(text, "{");
    json_text(text, "op", row->op);
    wispi_text_append(text, ", ");
    json_text(text, "dtype", wisp_dtype_name(row->dtype));
    wispi_text_printf(text, ", \"cases\": %d, \"served\": %d, ", row->n_cases, row->n_served);
    json_text(text, "implementations", row->implementations);
    wispi_text_append(text, ", ");
    json_text(text, "refusal", row->refusal);
    wispi_text_append(text, "}");
}

void wispi_op_perf_text(wispi_text *text, const wispi_op_perf_row *row)
{
    wispi_text_printf(text, "%-52s ", row->name);
    if (row->outcome == WISPI_CHECK_PASS) {
        wispi_text_printf(text, "%10.3f ms, fastest %10.3f", row->milliseconds, row->fastest);
        if (row->gflops > 0)
            wispi_text_printf(text, " %9.1f GFLOP/s", row->gflops);
        else
            wispi_text_printf(text, " %9.2f GB/s   ", row->gbytes);
        wispi_text_printf(text, "  %s", row->implementation);
    } else {
        wispi_text_printf(text, "%s: %s", wispi_op_outcome_name(row->outcome), row->message);
    }
    wispi_text_append(text, "\n");
}

void wispi_op_perf_json(wispi_text *text, const wispi_op_perf_row *row)
{
    wispi_text_append(text, "{");
    json_text(text, "name", row->name);
    wispi_text_append(text, ", ");
    json_text(text, "outcome",
              row->outcome == WISPI_CHECK_FAIL ? "fail" : wispi_op_outcome_name(row->outcome));
    wispi_text_append(text, ", ");
    json_text(text, "implementation", row->implementation);
    json_number(text, "milliseconds", row->milliseconds);
    json_number(text, "fastest_milliseconds", row->fastest);
    json_number(text, "gflops", row->gflops);
    json_number(text, "gbytes_per_second", row->gbytes);
    wispi_text_printf(text, ", \"runs\": %d, ", row->n_runs);
    json_text(text, "message", row->message);
    wispi_text_append(text, "}");
}

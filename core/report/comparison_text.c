/* comparison_text.c - a comparison for people, from its JSON alone. */
#include <math.h>
#include <string.h>

#include "report/comparison.h"
#include "train/json_number.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void say_number(wispi_text *out, double value)
{
    if (isfinite(value))
        wispi_text_printf(out, "%10.2f", value);
    else
        wispi_text_printf(out, "%10s", "-");
}

static void say_difference(wispi_text *out, double value)
{
    if (isfinite(value))
        wispi_text_printf(out, "%+10.2f", value);
    else
        wispi_text_printf(out, "%10s", "-");
}

static void say_p(const json_t *metric, const char *key, const char *before, wispi_text *out)
{
    const double p = wispi_json_double(metric, key);
    if (p < 1e-4)
        wispi_text_printf(out, "%s p < 0.0001", before);
    else if (isfinite(p))
        wispi_text_printf(out, "%s p = %.2g", before, p);
}

static void say_pairs(const json_t *metric, wispi_text *out)
{
    size_t i;
    json_t *pair;
    wispi_text_printf(out, "  %10s%10.10s%10.10s%10s\n", "seed", text_of(metric, "against"),
                      text_of(metric, "arm"), "");
    json_array_foreach(json_object_get(metric, "pairs"), i, pair)
    {
        const double a = wispi_json_double(pair, "a"), b = wispi_json_double(pair, "b");
        wispi_text_printf(out, "  %10.0f", wispi_json_double(pair, "seed"));
        say_number(out, a);
        say_number(out, b);
        say_difference(out, b - a);
        wispi_text_append(out, "\n");
    }
}

static void say_tests(const json_t *metric, wispi_text *out)
{
    const double low = wispi_json_double(metric, "low"), high = wispi_json_double(metric, "high");
    wispi_text_printf(out, "  %10s%20s", "mean", "");
    say_difference(out, wispi_json_double(metric, "mean"));
    if (isfinite(low))
        wispi_text_printf(out, "   95 %% interval %+.2f to %+.2f", low, high);
    wispi_text_append(out, "\n");
    if (!isfinite(wispi_json_double(metric, "p_flip")))
        return;
    say_p(metric, "p_t", "  t test", out);
    say_p(metric, "p_flip", "  sign flips", out);
    say_p(metric, "p_adjusted", "  corrected", out);
    wispi_text_append(out, "\n");
}

static void say_basis(const json_t *metric, wispi_text *out)
{
    const double at = wispi_json_double(metric, "at");
    const char *basis = text_of(metric, "basis");
    wispi_text_printf(out, "%s (%s), %s", text_of(metric, "metric"), text_of(metric, "source"),
                      basis);
    if (isfinite(at) && strcmp(basis, "equal pixels") == 0)
        wispi_text_printf(out, " (%.3g)", at);
    else if (isfinite(at))
        wispi_text_printf(out, " (%.0f)", at);
    wispi_text_append(out, "\n");
}

static void say_arms(const json_t *comparison, wispi_text *out)
{
    const json_t *arms = json_object_get(comparison, "arms");
    const double first = wispi_json_double(json_array_get(arms, 0), "pixels_per_image");
    size_t i;
    json_t *arm;
    json_array_foreach(arms, i, arm)
    {
        const double pixels = wispi_json_double(arm, "pixels_per_image");
        wispi_text_printf(out, "%s  %s", text_of(arm, "name"), text_of(arm, "title"));
        if (isfinite(pixels))
            wispi_text_printf(out, ", %.0f pixels an image", pixels);
        if (i > 0 && isfinite(pixels / first))
            wispi_text_printf(out, " (%+.1f %%)", 100 * (pixels / first - 1));
        wispi_text_append(out, "\n");
    }
}

static void say_missing(const json_t *comparison, wispi_text *out)
{
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(comparison, "missing"), i, run)
    {
        wispi_text_printf(out, "missing: %s seed %.0f %s\n", text_of(run, "arm"),
                          wispi_json_double(run, "seed"), text_of(run, "why"));
    }
}

static void say_time(const json_t *comparison, wispi_text *out)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(comparison, "time"), i, entry)
    {
        wispi_text_printf(out, "time, %s: %s\n", text_of(entry, "metric"), text_of(entry, "words"));
    }
}

static void say_notes(const json_t *comparison, wispi_text *out)
{
    size_t i;
    json_t *note;
    wispi_text_printf(out, "%s\n", text_of(json_object_get(comparison, "family"), "words"));
    json_array_foreach(json_object_get(comparison, "notes"), i, note)
    {
        wispi_text_printf(out, "%s\n", json_string_value(note));
    }
}

wisp_status wispi_comparison_text(const json_t *comparison, wispi_text *out, wisp_error *err)
{
    size_t i;
    json_t *metric;
    say_arms(comparison, out);
    say_missing(comparison, out);
    json_array_foreach(json_object_get(comparison, "metrics"), i, metric)
    {
        wispi_text_append(out, "\n");
        say_basis(metric, out);
        say_pairs(metric, out);
        say_tests(metric, out);
        wispi_text_printf(out, "  %s\n", text_of(metric, "words"));
    }
    wispi_text_append(out, "\n");
    say_time(comparison, out);
    say_notes(comparison, out);
    return out->failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison") : WISP_OK;
}

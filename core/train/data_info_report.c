/* data_info_report.c - what data_info.c found out, for people and for programs. */
#include "base/memory.h"
#include "train/data_info_parts.h"
#include "train/json_text.h"

enum { SHOWN = 20 };

/* Flags by their place in wispi_data_info.n_flagged. */
static const struct {
    const char *key, *words;
} kinds[] = {
    {"jpeg", "JPEG"},      {"png", "PNG"},
    {"raw", "raw pixels"}, {"gray", "gray"},
    {"cmyk", "CMYK"},      {"progressive", "progressive or interlaced"},
    {"deep", "16-bit"},    {"turned", "turned by their EXIF orientation"},
};

static const char *plugin_name(const wispi_data_info *info)
{
    return info->set->plugin->descriptor->name;
}

/* --- text --- */

static void add_classes(const wispi_data_info *info, wispi_text *out)
{
    char number[16];
    if (!info->class_counts) {
        wispi_text_append(out, "classes      none, so no labels; pre-training needs none\n");
        return;
    }
    const long long fewest = info->class_counts[info->fewest],
                    most = info->class_counts[info->most];
    wispi_text_printf(out, "classes      %d, of ", info->n_classes);
    if (fewest == most) {
        wispi_text_printf(out, "%lld samples each", most);
    } else {
        wispi_text_printf(out, "%lld (%s)", fewest,
                          wispi_data_info_class(info, info->fewest, number));
        wispi_text_printf(out, " to %lld samples (%s)", most,
                          wispi_data_info_class(info, info->most, number));
    }
    if (info->n_empty)
        wispi_text_printf(out, "; %d of them empty", info->n_empty);
    if (info->n_unlabelled)
        wispi_text_printf(out, "; %lld samples of none", (long long)info->n_unlabelled);
    wispi_text_append(out, "\n");
}

static void add_extent(const wispi_data_info *info, wispi_text *out)
{
    const wispi_survey *s = &info->survey;
    wispi_text_printf(out, "looked at    %lld of %lld samples, %s", (long long)s->n_seen,
                      (long long)info->count,
                      info->request.full ? "every pixel" : "headers alone (--full decodes all)");
    if (s->n < info->count)
        wispi_text_append(out, "; drawn at random");
    if (s->n_seen < s->n)
        wispi_text_append(out, "; stopped on request");
    wispi_text_append(out, "\n");
}

static void add_kinds(const wispi_data_info *info, wispi_text *out)
{
    const char *gap = "files        ";
    for (size_t i = 0; i < WISP_COUNT(kinds) && info->n_usable > 0; i++) {
        if (info->n_flagged[i] == 0)
            continue;
        wispi_text_printf(out, "%s%.4g %% %s", gap,
                          100.0 * (double)info->n_flagged[i] / (double)info->n_usable,
                          kinds[i].words);
        gap = ", ";
    }
    if (info->n_usable > 0)
        wispi_text_append(out, "\n");
}

static void add_spread(wispi_text *out, const char *name, const wispi_spread *s)
{
    wispi_text_printf(out, "%-11s %10.4g %10.4g %10.4g %10.4g %10.4g %10.4g\n", name, s->mean,
                      s->least, s->p5, s->median, s->p95, s->most);
}

static void add_spreads(const wispi_data_info *info, wispi_text *out)
{
    const wispi_spread b = info->bytes;
    const wispi_spread kib = {b.mean / 1024,   b.least / 1024, b.p5 / 1024,
                              b.median / 1024, b.p95 / 1024,   b.most / 1024};
    if (info->n_usable == 0)
        return;
    wispi_text_printf(out, "\n%-11s %10s %10s %10s %10s %10s %10s\n", "", "mean", "least", "5 %",
                      "median", "95 %", "most");
    add_spread(out, "width, px", &info->width);
    add_spread(out, "height, px", &info->height);
    add_spread(out, "megapixels", &info->megapixels);
    add_spread(out, "size, KiB", &kib);
}

static void add_broken(const wispi_data_info *info, wispi_text *out)
{
    const wispi_survey *s = &info->survey;
    const int32_t shown = info->n_listed < SHOWN ? info->n_listed : SHOWN;
    if (s->n_broken == 0) {
        wispi_text_printf(out, "\nbroken       none of those looked at\n");
        return;
    }
    wispi_text_printf(out, "\nbroken       %lld of those looked at%s\n", (long long)s->n_broken,
                      s->n_broken > shown ? "; the first of them:" : ":");
    for (int32_t i = 0; i < shown; i++)
        wispi_text_printf(out, "  %s: %s\n", info->broken[i].name, info->broken[i].reason);
}

void wispi_data_info_text(const wispi_data_info *info, wispi_text *out)
{
    wispi_text_printf(out, "data         %s (dataset/%s)\n", info->request.path, plugin_name(info));
    wispi_text_printf(out, "samples      %lld\n", (long long)info->count);
    add_classes(info, out);
    wispi_text_printf(out, "fingerprint  %016llx\n\n", (unsigned long long)info->fingerprint);
    add_extent(info, out);
    add_kinds(info, out);
    add_spreads(info, out);
    add_broken(info, out);
}

/* --- JSON --- */

static json_t *spread_json(const wispi_spread *s)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "mean", s->mean, "least", s->least, "p5",
                     s->p5, "median", s->median, "p95", s->p95, "most", s->most);
}

static json_t *classes_json(const wispi_data_info *info)
{
    json_t *list = json_array();
    for (int32_t i = 0; info->class_counts && i < info->n_classes; i++) {
        char number[16];
        json_array_append_new(list,
                              json_pack("{s:o, s:I}", "name",
                                        wispi_json_string(wispi_data_info_class(info, i, number)),
                                        "samples", (json_int_t)info->class_counts[i]));
    }
    return list;
}

static json_t *kinds_json(const wispi_data_info *info)
{
    json_t *object = json_object();
    for (size_t i = 0; i < WISP_COUNT(kinds); i++)
        json_object_set_new(object, kinds[i].key, json_integer(info->n_flagged[i]));
    return object;
}

static json_t *broken_json(const wispi_data_info *info)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < info->n_listed; i++) {
        const wispi_broken_sample *b = &info->broken[i];
        json_array_append_new(list, json_pack("{s:I, s:o, s:o}", "index", (json_int_t)b->index,
                                              "name", wispi_json_string(b->name), "reason",
                                              wispi_json_string(b->reason)));
    }
    return list;
}

wisp_status wispi_data_info_json(const wispi_data_info *info, char **text, wisp_error *err)
{
    char hash[17];
    const wispi_survey *s = &info->survey;
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)info->fingerprint);
    json_t *root = json_pack(
        "{s:o, s:s, s:I, s:s, s:o, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path",
        wispi_json_string(info->request.path), "plugin", plugin_name(info), "samples",
        (json_int_t)info->count, "fingerprint", hash, "classes", classes_json(info),
        "empty_classes", (int)info->n_empty, "unlabelled", (json_int_t)info->n_unlabelled,
        "looked_at",
        json_pack("{s:I, s:b, s:b, s:b}", "samples", (json_int_t)s->n_seen, "pixels",
                  (int)info->request.full, "drawn", s->n < info->count, "stopped",
                  s->n_seen < s->n),
        "files", kinds_json(info), "width", spread_json(&info->width), "height",
        spread_json(&info->height), "megapixels", spread_json(&info->megapixels), "bytes",
        spread_json(&info->bytes), "broken",
        json_pack("{s:I, s:o}", "samples", (json_int_t)s->n_broken, "listed", broken_json(info)));
    return wispi_json_give(root, text, err);
}

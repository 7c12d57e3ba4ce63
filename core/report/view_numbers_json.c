/* view_numbers_json.c - what view_numbers.c counted, for programs. */
#include "report/view_numbers.h"

#include <math.h>

#include "train/json_number.h"
#include "train/json_text.h"

static json_t *means_json(const wispi_view_numbers *n)
{
    json_t *means = json_object();
    for (int32_t i = 0; i < WISPI_N_MEANS; i++)
        json_object_set_new(means, wispi_view_means[i].key,
                            wispi_json_number(wispi_view_numbers_mean(n, i)));
    return means;
}

/* The same bins serve for square roots of the values. */
static json_t *edges_json(const wispi_histogram *h, int by_length)
{
    json_t *edges = json_array();
    for (int32_t i = 0; i <= h->n_bins; i++) {
        const double edge = wispi_histogram_edge(h, i);
        json_array_append_new(edges, json_real(by_length ? sqrt(edge) : edge));
    }
    return edges;
}

static json_t *histogram_json(const char *series, const wispi_histogram *h, int by_length)
{
    json_t *counts = json_array();
    for (int32_t i = 0; i < h->n_bins; i++)
        json_array_append_new(counts, json_integer((json_int_t)h->counts[i]));
    return json_pack("{s:o, s:o, s:o}", "series", wispi_json_string(series), "edges",
                     edges_json(h, by_length), "counts", counts);
}

static json_t *groups_json(const wispi_view_numbers *n)
{
    json_t *list = json_array();
    for (int32_t g = 0; g < n->n_groups; g++) {
        const wispi_group_numbers *group = &n->groups[g];
        const double views = group->crop_scale.n > 0 ? (double)group->crop_scale.n : NAN;
        json_array_append_new(
            list,
            json_pack("{s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o}", "name",
                      wispi_json_string(group->group.name), "role",
                      group->is_local ? "local" : "global", "count", (int)group->group.count,
                      "width", (int)group->group.width, "height", (int)group->group.height,
                      "crop_scale", wispi_json_number(wispi_histogram_mean(&group->crop_scale)),
                      "pixel_scale_area",
                      wispi_json_number(wispi_histogram_mean(&group->pixel_scale)),
                      "pixel_scale_length", wispi_json_number(group->sum_length / views),
                      "up_sampled", wispi_json_number((double)group->n_up_sampled / views)));
    }
    return list;
}

static json_t *histograms_json(const wispi_view_numbers *n)
{
    json_t *crop = json_array(), *area = json_array(), *length = json_array();
    for (int32_t g = 0; g < n->n_groups; g++) {
        const wispi_group_numbers *group = &n->groups[g];
        const char *name = group->group.name;
        json_array_append_new(crop, histogram_json(name, &group->crop_scale, 0));
        json_array_append_new(area, histogram_json(name, &group->pixel_scale, 0));
        json_array_append_new(length, histogram_json(name, &group->pixel_scale, 1));
    }
    return json_pack("{s:o, s:o, s:o, s:[o], s:[o], s:[o]}", "crop_scale", crop, "pixel_scale_area",
                     area, "pixel_scale_length", length, "pixel_ratio_area",
                     histogram_json("PS_l / PS_g", &n->pixel_ratio, 0), "pixel_ratio_length",
                     histogram_json("PS_l / PS_g", &n->pixel_ratio, 1), "overlap",
                     histogram_json("local in global", &n->overlap, 0));
}

json_t *wispi_view_numbers_json(const wispi_view_numbers *n)
{
    return json_pack("{s:I, s:i, s:o, s:o, s:o}", "plans", (json_int_t)n->n_plans, "views",
                     (int)wispi_view_numbers_views(n), "means", means_json(n), "groups",
                     groups_json(n), "histograms", histograms_json(n));
}

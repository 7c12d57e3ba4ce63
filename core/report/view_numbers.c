/* view_numbers.c - counts plans. */
#include "report/view_numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const wispi_view_mean wispi_view_means[WISPI_N_MEANS] = {
    {"global_crop_scale", "crop scale, global", "%"},
    {"local_crop_scale", "crop scale, local", "%"},
    {"crop_ratio", "CS_l / CS_g", ""},
    {"global_pixel_scale", "pixel scale, global, by area", ""},
    {"local_pixel_scale", "pixel scale, local, by area", ""},
    {"pixel_ratio_area", "PS_l / PS_g, by area", ""},
    {"pixel_ratio_length", "PS_l / PS_g, by length", ""},
    {"overlap", "overlap, local in global", "%"},
    {"apart", "local and global apart", "%"},
    {"global_union", "global over global, IoU", "%"},
    {"global_up_sampled", "up-sampled, global", "%"},
    {"local_up_sampled", "up-sampled, local", "%"},
    {"pixels", "pixels per image", "px"},
};

/* --- histograms --- */

static wispi_histogram histogram(double low, double high, int32_t n_bins, int32_t by_log)
{
    return (wispi_histogram){.low = low, .high = high, .n_bins = n_bins, .by_log = by_log};
}

static void count(wispi_histogram *h, double value)
{
    const double at = h->by_log ? log(value / h->low) / log(h->high / h->low)
                                : (value - h->low) / (h->high - h->low);
    const double bin = floor(at * h->n_bins);
    h->counts[bin < 0 ? 0 : bin >= h->n_bins ? h->n_bins - 1 : (int32_t)bin]++;
    h->n++;
    h->sum += value;
}

double wispi_histogram_mean(const wispi_histogram *h)
{
    return h->n > 0 ? h->sum / (double)h->n : NAN;
}

double wispi_histogram_edge(const wispi_histogram *h, int32_t i)
{
    const double at = (double)i / h->n_bins;
    return h->by_log ? h->low * pow(h->high / h->low, at) : h->low + at * (h->high - h->low);
}

/* --- what is counted --- */

static double area_of(const wisp_box *b)
{
    return (double)b->w * b->h;
}

static double pixel_scale(const wisp_view_spec *view)
{
    return area_of(&view->box) / ((double)view->out_w * view->out_h);
}

static double common_area(const wisp_box *a, const wisp_box *b)
{
    const double left = a->x > b->x ? a->x : b->x, top = a->y > b->y ? a->y : b->y;
    const double right = fmin((double)a->x + a->w, (double)b->x + b->w);
    const double bottom = fmin((double)a->y + a->h, (double)b->y + b->h);
    return right > left && bottom > top ? (right - left) * (bottom - top) : 0;
}

/* Groups that come after the first one and are smaller, whatever they are called. */
static int32_t is_local(const wisp_view_group *groups, int32_t g)
{
    const double first = (double)groups[0].width * groups[0].height;
    return g > 0 && ((double)groups[g].width * groups[g].height < first ||
                     strcmp(groups[g].name, "local") == 0);
}

void wispi_view_numbers_begin(wispi_view_numbers *n, const wisp_view_group *groups,
                              int32_t n_groups)
{
    memset(n, 0, sizeof *n);
    n->n_groups = n_groups;
    for (int32_t g = 0; g < n_groups; g++) {
        n->groups[g].group = groups[g];
        n->groups[g].is_local = is_local(groups, g);
        n->groups[g].crop_scale = histogram(0, 1, 50, 0);
        n->groups[g].pixel_scale = histogram(1.0 / 64, 64, 48, 1);
    }
    n->pixel_ratio = histogram(1.0 / 32, 32, 40, 1);
    n->overlap = histogram(0, 1, 25, 0);
}

static void add_view(wispi_group_numbers *group, const wisp_view_spec *view, double image)
{
    const double scale = pixel_scale(view);
    count(&group->crop_scale, area_of(&view->box) / image);
    count(&group->pixel_scale, scale);
    group->sum_length += sqrt(scale);
    group->n_up_sampled += scale < 1;
}

static void add_pair(wispi_view_numbers *n, const wisp_view_spec *local,
                     const wisp_view_spec *global)
{
    const double ratio = pixel_scale(local) / pixel_scale(global);
    const double shared = common_area(&local->box, &global->box);
    count(&n->pixel_ratio, ratio);
    count(&n->overlap, shared / area_of(&local->box));
    n->sum_ratio_length += sqrt(ratio);
    n->sum_crop_ratio += area_of(&local->box) / area_of(&global->box);
    n->n_apart += shared <= 0;
}

static void add_global_pair(wispi_view_numbers *n, const wisp_box *a, const wisp_box *b)
{
    const double shared = common_area(a, b);
    n->sum_union += shared / (area_of(a) + area_of(b) - shared);
    n->n_global_pairs++;
}

void wispi_view_numbers_add(wispi_view_numbers *n, const wisp_view_plan *plan, int32_t width,
                            int32_t height)
{
    const wisp_view_spec *v = plan->views;
    n->n_plans++;
    for (int32_t i = 0; i < plan->n_views; i++) {
        const int32_t local = n->groups[v[i].group].is_local;
        add_view(&n->groups[v[i].group], &v[i], (double)width * height);
        for (int32_t k = 0; k < i; k++) {
            const int32_t other_local = n->groups[v[k].group].is_local;
            if (local && !other_local)
                add_pair(n, &v[i], &v[k]);
            else if (!local && other_local)
                add_pair(n, &v[k], &v[i]);
            else if (!local)
                add_global_pair(n, &v[i].box, &v[k].box);
        }
    }
}

/* --- means --- */

static double over(double sum, int64_t n)
{
    return n > 0 ? sum / (double)n : NAN;
}

typedef struct role_sums {
    double crop_scale, pixel_scale;
    int64_t up_sampled, n;
} role_sums;

static role_sums sum_role(const wispi_view_numbers *n, int32_t local)
{
    role_sums s = {0};
    for (int32_t g = 0; g < n->n_groups; g++) {
        const wispi_group_numbers *group = &n->groups[g];
        if (group->is_local != local)
            continue;
        s.crop_scale += group->crop_scale.sum;
        s.pixel_scale += group->pixel_scale.sum;
        s.up_sampled += group->n_up_sampled;
        s.n += group->crop_scale.n;
    }
    return s;
}

static double pixels_of(const wispi_view_numbers *n)
{
    double pixels = 0;
    for (int32_t g = 0; g < n->n_groups; g++)
        pixels +=
            (double)n->groups[g].group.count * n->groups[g].group.width * n->groups[g].group.height;
    return pixels;
}

double wispi_view_numbers_mean(const wispi_view_numbers *n, int32_t which)
{
    const role_sums global = sum_role(n, 0), local = sum_role(n, 1);
    const int64_t pairs = n->pixel_ratio.n;
    const double means[WISPI_N_MEANS] = {
        [WISPI_MEAN_GLOBAL_CROP_SCALE] = over(global.crop_scale, global.n),
        [WISPI_MEAN_LOCAL_CROP_SCALE] = over(local.crop_scale, local.n),
        [WISPI_MEAN_CROP_RATIO] = over(n->sum_crop_ratio, pairs),
        [WISPI_MEAN_GLOBAL_PIXEL_SCALE] = over(global.pixel_scale, global.n),
        [WISPI_MEAN_LOCAL_PIXEL_SCALE] = over(local.pixel_scale, local.n),
        [WISPI_MEAN_RATIO_AREA] = wispi_histogram_mean(&n->pixel_ratio),
        [WISPI_MEAN_RATIO_LENGTH] = over(n->sum_ratio_length, pairs),
        [WISPI_MEAN_OVERLAP] = wispi_histogram_mean(&n->overlap),
        [WISPI_MEAN_APART] = over((double)n->n_apart, pairs),
        [WISPI_MEAN_GLOBAL_UNION] = over(n->sum_union, n->n_global_pairs),
        [WISPI_MEAN_GLOBAL_UP_SAMPLED] = over((double)global.up_sampled, global.n),
        [WISPI_MEAN_LOCAL_UP_SAMPLED] = over((double)local.up_sampled, local.n),
        [WISPI_MEAN_PIXELS] = pixels_of(n),
    };
    return means[which];
}

int32_t wispi_view_numbers_views(const wispi_view_numbers *n)
{
    int32_t views = 0;
    for (int32_t g = 0; g < n->n_groups; g++)
        views += n->groups[g].group.count;
    return views;
}

void wispi_view_count_text(int64_t n, char cell[WISPI_VIEW_CELL])
{
    const long long count = n;
    if (count < 1000)
        snprintf(cell, WISPI_VIEW_CELL, "%lld", count);
    else if (count < 1000000)
        snprintf(cell, WISPI_VIEW_CELL, "%lld,%03lld", count / 1000, count % 1000);
    else
        snprintf(cell, WISPI_VIEW_CELL, "%lld,%03lld,%03lld", count / 1000000, count / 1000 % 1000,
                 count % 1000);
}

void wispi_view_mean_text(int32_t which, double mean, char cell[WISPI_VIEW_CELL])
{
    const char *unit = wispi_view_means[which].unit;
    if (isnan(mean)) {
        snprintf(cell, WISPI_VIEW_CELL, "-");
    } else if (unit[0] == '%') {
        snprintf(cell, WISPI_VIEW_CELL, "%.1f %%", 100 * mean);
    } else if (unit[0]) {
        wispi_view_count_text(llround(mean), cell);
        strncat(cell, " px", WISPI_VIEW_CELL - 1 - strlen(cell));
    } else {
        snprintf(cell, WISPI_VIEW_CELL, "%.2f", mean);
    }
}

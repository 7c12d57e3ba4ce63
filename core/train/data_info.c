#include "train/data_info_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "loader/containment.h"

/* Headers of more samples tell little more, and each of them is read from the disk. */
enum { HEADERS = 20000 };

static const wisp_dataset_v0 *table_of(const wispi_data_info *info)
{
    return info->set->plugin->descriptor->vtable;
}

const char *wispi_data_info_class(const wispi_data_info *info, int32_t label, char number[16])
{
    const wisp_dataset_v0 *set = table_of(info);
    const char *name = set->class_name ? set->class_name(info->set->self, label) : NULL;
    if (name)
        return name;
    snprintf(number, 16, "%d", label);
    return number;
}

/* --- classes --- */

static void find_extremes(wispi_data_info *info)
{
    const int64_t *n = info->class_counts;
    for (int32_t i = 0; i < info->n_classes; i++) {
        info->n_empty += n[i] == 0;
        info->fewest = n[i] < n[info->fewest] ? i : info->fewest;
        info->most = n[i] > n[info->most] ? i : info->most;
    }
}

static wisp_status count_classes(wispi_data_info *info, wisp_error *err)
{
    const wisp_dataset_v0 *set = table_of(info);
    info->n_classes = set->n_classes(info->set->self);
    if (info->n_classes < 1 || !set->label)
        return WISP_OK;
    info->class_counts = wispi_alloc_array((size_t)info->n_classes, sizeof(int64_t));
    if (!info->class_counts)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to count %d classes", info->n_classes);
    for (int64_t i = 0; i < info->count; i++) {
        const int32_t label = set->label(info->set->self, i);
        if (label >= 0 && label < info->n_classes)
            info->class_counts[label]++;
        else
            info->n_unlabelled++;
    }
    find_extremes(info);
    return WISP_OK;
}

/* --- numbers --- */

typedef double number_of(const wispi_look *look);

static double bytes_of(const wispi_look *look)
{
    return (double)look->bytes;
}

static double width_of(const wispi_look *look)
{
    return look->width;
}

static double height_of(const wispi_look *look)
{
    return look->height;
}

static double megapixels_of(const wispi_look *look)
{
    return (double)look->width * look->height / 1e6;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int is_usable(const wispi_look *look)
{
    return look->flags && !(look->flags & WISPI_LOOK_BROKEN);
}

/* The value that a share `at` of all lies below or at. */
static double quantile(const double *sorted, int64_t n, double at)
{
    const int64_t i = (int64_t)(at * (double)(n - 1) + 0.5);
    return sorted[i];
}

static wispi_spread spread_of(const wispi_survey *s, double *numbers, number_of *number)
{
    int64_t n = 0;
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (is_usable(&s->looks[i]))
            sum += numbers[n++] = number(&s->looks[i]);
    if (n == 0)
        return (wispi_spread){0};
    qsort(numbers, (size_t)n, sizeof *numbers, by_size);
    return (wispi_spread){sum / (double)n,
                          numbers[0],
                          quantile(numbers, n, 0.05),
                          quantile(numbers, n, 0.5),
                          quantile(numbers, n, 0.95),
                          numbers[n - 1]};
}

static wisp_status find_spreads(wispi_data_info *info, wisp_error *err)
{
    const wispi_survey *s = &info->survey;
    double *numbers = wispi_alloc_array((size_t)s->n, sizeof *numbers);
    if (!numbers)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the sizes of %lld samples",
                         (long long)s->n);
    info->bytes = spread_of(s, numbers, bytes_of);
    info->width = spread_of(s, numbers, width_of);
    info->height = spread_of(s, numbers, height_of);
    info->megapixels = spread_of(s, numbers, megapixels_of);
    wispi_free(numbers);
    for (int64_t i = 0; i < s->n; i++) {
        if (!is_usable(&s->looks[i]))
            continue;
        info->n_usable++;
        for (size_t flag = 0; flag < WISP_COUNT(info->n_flagged); flag++)
            info->n_flagged[flag] += s->looks[i].flags >> flag & 1;
    }
    return WISP_OK;
}

/* --- what is broken --- */

static void describe(const wispi_data_info *info, const wispi_survey_options *options,
                     int64_t index, wispi_broken_sample *b)
{
    wisp_error reason = {0};
    b->index = index;
    table_of(info)->sample_name(info->set->self, index, b->name, sizeof b->name);
    if (wispi_survey_explain(options, index, &reason) == WISP_OK)
        snprintf(b->reason, sizeof b->reason, "it could not be read, and a moment later it could");
    else
        snprintf(b->reason, sizeof b->reason, "%.*s", (int)sizeof b->reason - 1, reason.message);
}

static wisp_status list_broken(wispi_data_info *info, const wispi_survey_options *options,
                               wisp_error *err)
{
    const wispi_survey *s = &info->survey;
    const int64_t n = s->n_broken < WISPI_INFO_LISTED ? s->n_broken : WISPI_INFO_LISTED;
    info->broken = wispi_alloc_array((size_t)n + 1, sizeof *info->broken);
    if (!info->broken)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names of %lld samples",
                         (long long)n);
    for (int64_t i = 0; i < s->n && info->n_listed < n; i++)
        if (s->looks[i].flags & WISPI_LOOK_BROKEN)
            describe(info, options, s->looks[i].index, &info->broken[info->n_listed++]);
    return WISP_OK;
}

/* --- all --- */

static wisp_status survey(wispi_data_info *info, wisp_error *err)
{
    const wispi_survey_options options = {.set = table_of(info),
                                          .self = info->set->self,
                                          .pool = info->request.pool,
                                          .most = info->request.full ? INT64_MAX : HEADERS,
                                          .decode = info->request.full,
                                          .stop = info->request.stop};
    wisp_status status;
    WISPI_CALL(status, info->set->plugin, "read", err,
               wispi_survey_run(&options, &info->survey, err));
    if (status != WISP_OK)
        return status;
    WISP_TRY(find_spreads(info, err));
    return list_broken(info, &options, err);
}

wisp_status wispi_data_info_make(const wispi_instance *set, const wispi_data_info_request *request,
                                 wispi_data_info **info, wisp_error *err)
{
    wispi_data_info *made = wispi_alloc(sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to look at data");
    made->request = *request;
    made->set = set;
    made->count = table_of(made)->count(set->self);
    made->fingerprint = table_of(made)->fingerprint(set->self);
    wisp_status status = count_classes(made, err);
    if (status == WISP_OK)
        status = survey(made, err);
    if (status == WISP_OK)
        *info = made;
    else
        wispi_data_info_destroy(made);
    return status;
}

void wispi_data_info_destroy(wispi_data_info *info)
{
    if (!info)
        return;
    wispi_survey_free(&info->survey);
    wispi_free(info->class_counts);
    wispi_free(info->broken);
    wispi_free(info);
}

int64_t wispi_data_info_broken(const wispi_data_info *info)
{
    return info->survey.n_broken;
}

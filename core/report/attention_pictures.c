#include "report/attention_pictures.h"

#include <math.h>

#include "base/memory.h"
#include "report/data_uri.h"

enum { QUALITY = 80 };

/* What nothing looks at can still be made out. */
static const double darkest = 0.12;

/* Weight at a place of the picture, in patches. */
static double weight_at(const float *weights, int64_t grid, double x, double y)
{
    const double most = (double)(grid - 1);
    x = x < 0 ? 0 : x > most ? most : x;
    y = y < 0 ? 0 : y > most ? most : y;
    const int64_t x0 = (int64_t)x, y0 = (int64_t)y;
    const int64_t x1 = x0 + (x0 + 1 < grid), y1 = y0 + (y0 + 1 < grid);
    const double fx = x - (double)x0, fy = y - (double)y0;
    return (1 - fy) *
               ((1 - fx) * (double)weights[y0 * grid + x0] + fx * (double)weights[y0 * grid + x1]) +
           fy * ((1 - fx) * (double)weights[y1 * grid + x0] + fx * (double)weights[y1 * grid + x1]);
}

void wispi_attention_shade(const uint8_t *picture, int64_t side, const float *weights, int64_t grid,
                           uint8_t *out)
{
    const double patch = (double)side / (double)grid;
    double largest = 0;
    for (int64_t i = 0; i < grid * grid; i++)
        largest = (double)weights[i] > largest ? (double)weights[i] : largest;
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++) {
            const double weight = weight_at(weights, grid, ((double)x + 0.5) / patch - 0.5,
                                            ((double)y + 0.5) / patch - 0.5);
            const double light = largest > 0 ? darkest + (1 - darkest) * weight / largest : darkest;
            for (int64_t c = 0; c < 3; c++) {
                const int64_t at = (y * side + x) * 3 + c;
                out[at] = (uint8_t)(picture[at] * light + 0.5);
            }
        }
}

static wisp_status add_uri(json_t *list, const uint8_t *pixels, int64_t side, wisp_error *err)
{
    const wispi_image image = {pixels, (int32_t)side, (int32_t)side};
    json_t *uri = NULL;
    WISP_TRY(wispi_jpeg_uri(&image, QUALITY, &uri, err));
    json_array_append_new(list, uri);
    return WISP_OK;
}

static wisp_status draw_heads(const wispi_attention_job *job, const wispi_attention *attention,
                              int64_t image, int64_t grid, json_t *heads, wisp_error *err)
{
    const int64_t side = job->picture_side;
    uint8_t *shaded = wispi_alloc_array((size_t)(side * side), 3);
    if (!shaded)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a picture of the report");
    wisp_status status = WISP_OK;
    for (int64_t h = 0; h < attention->heads && status == WISP_OK; h++) {
        const float *row =
            attention->values + (image * attention->heads + h) * attention->tokens + 1;
        wispi_attention_shade(job->pictures[image], side, row, grid, shaded);
        status = add_uri(heads, shaded, side, err);
    }
    wispi_free(shaded);
    return status;
}

static wisp_status draw_image(const wispi_attention_job *job, const wispi_attention *attention,
                              int64_t image, int64_t grid, json_t *list, wisp_error *err)
{
    json_t *whole = json_array(), *heads = json_array();
    wisp_status status = add_uri(whole, job->pictures[image], job->picture_side, err);
    if (status == WISP_OK)
        status = draw_heads(job, attention, image, grid, heads, err);
    if (status == WISP_OK)
        json_array_append_new(
            list, json_pack("{s:O, s:O}", "image", json_array_get(whole, 0), "heads", heads));
    json_decref(whole);
    json_decref(heads);
    return status;
}

wisp_status wispi_attention_pictures(wispi_embedder *embedder, const wispi_attention_job *job,
                                     json_t **list, wisp_error *err)
{
    wispi_attention attention;
    WISP_TRY(wispi_attend(embedder, job->views, job->n, job->side, &attention, err));
    const int64_t patches = attention.tokens - 1;
    const int64_t grid = patches > 0 ? (int64_t)(sqrt((double)patches) + 0.5) : 0;
    wisp_status status =
        grid * grid == patches && patches > 0
            ? WISP_OK
            : wisp_fail(err, WISP_E_UNSUPPORTED, "%lld patches are no square", (long long)patches);
    json_t *made = json_array();
    for (int64_t i = 0; i < job->n && status == WISP_OK; i++)
        status = draw_image(job, &attention, i, grid, made, err);
    wispi_free(attention.values);
    if (status == WISP_OK)
        *list = made;
    else
        json_decref(made);
    return status;
}

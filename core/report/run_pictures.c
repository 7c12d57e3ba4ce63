#include "report/run_pictures.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "report/attention_pictures.h"
#include "report/near_images.h"
#include "report/neighbour_map.h"
#include "report/principal_axes.h"
#include "report/spread_images.h"
#include "report/tile_sheet.h"
#include "report/input_pixels.h"
#include "train/checkpoint.h"
#include "train/named_classes.h"
#include "train/stored_run.h"

/* Images of the training split among which neighbours are looked for. All would take as long as a
 * k-NN evaluation; ImageNet's a night. */
enum { MOST_BANK = 3000 };

enum { QUERIES = 12, NEIGHBOURS = 8, ATTENTIVE = 6 };

/* px; a picture is never larger than the view that the network gets */
enum { SMALL_TILE = 32, LARGE_TILE = 48, LARGE_VIEW = 64, MOST_PICTURE = 128 };

/* Before t-SNE, as its authors do it: distances along few axes are found fast, and the others hold
 * mostly noise. */
enum { AXES = 50, MAP_STEPS = 750, PERPLEXITY = 30, LEAST_MAP = 16 };

/* The whole of a map's plane, in its whole numbers, is twice this. */
enum { MAP_HALF = 10000 };

/* Images of one split with what the network makes of them. */
typedef struct gallery {
    wispi_spread_images images;
    wispi_embedding embedding;
} gallery;

/* An image that is looked at closely. */
typedef struct chosen {
    int64_t index; /* among those shown; its tile on the sheet too */
    wispi_near_image near[NEIGHBOURS];
} chosen;

typedef struct show {
    const wispi_pictures_request *request;
    wispi_experiment *experiment;
    wispi_session *session;
    wispi_embedder *embedder;
    wispi_input_pixels pixels;
    wispi_tile_sheet sheet;
    gallery shown, bank;
    chosen chosen[QUERIES];
    int32_t n_chosen;
    int64_t side, tile, picture; /* of a view, of a tile, of a picture of attention, px */
    uint8_t *tiles;              /* of those shown, then of neighbours */
    uint8_t *views, *pictures;   /* of the first ATTENTIVE chosen ones */
    wisp_status drawn;
    wisp_error trouble;
} show;

/* --- which images --- */

static int64_t first_of_class(const wispi_spread_images *images, int32_t label)
{
    for (int64_t i = 0; i < images->n; i++)
        if (wispi_spread_images_label(images, i) == label)
            return i;
    return -1;
}

/* One of each class as far as there are classes, else some that are spread evenly. */
static void choose(show *s)
{
    const wispi_spread_images *images = &s->shown.images;
    const int has_labels = wispi_spread_images_label(images, 0) >= 0;
    const int32_t classes = has_labels ? images->from->n_classes(images->from_self) : 0;
    const int64_t most = classes > 1 ? classes : images->n;
    const int64_t wanted = most < QUERIES ? most : QUERIES;
    for (int64_t i = 0; i < wanted; i++) {
        const int64_t at = i * most / wanted;
        const int64_t index = classes > 1 ? first_of_class(images, (int32_t)at) : at;
        if (index >= 0)
            s->chosen[s->n_chosen++].index = index;
    }
}

static const wispi_instance *shown_split(const show *s)
{
    return s->experiment->test.plugin ? &s->experiment->test : &s->experiment->data;
}

/* --- what the network makes of them --- */

static size_t view_bytes(const show *s)
{
    const size_t value = s->pixels.dtype == WISP_BF16 ? 2 : 4;
    return (size_t)(s->side * s->side * 3) * value;
}

static uint8_t *tile_at(const show *s, int64_t index)
{
    return s->tiles + index * s->tile * s->tile * 3;
}

static wisp_status draw(show *s, const void *views, int64_t index, int64_t out_side, uint8_t *out)
{
    if (s->drawn == WISP_OK)
        s->drawn = wispi_input_pixels_draw(&s->pixels, views, index, out_side, out, &s->trouble);
    return s->drawn;
}

static void keep_chosen(show *s, const wispi_feed_batch *batch, int64_t first)
{
    const size_t bytes = view_bytes(s);
    for (int32_t i = 0; i < s->n_chosen && i < ATTENTIVE; i++) {
        const int64_t at = s->chosen[i].index - first;
        if (at < 0 || at >= batch->size)
            continue;
        memcpy(s->views + (size_t)i * bytes, (const uint8_t *)batch->groups[0] + (size_t)at * bytes,
               bytes);
        draw(s, batch->groups[0], at, s->picture, s->pictures + i * s->picture * s->picture * 3);
    }
}

static void draw_batch(void *user, const wispi_feed_batch *batch, int64_t first)
{
    show *s = user;
    for (int64_t i = 0; i < batch->size; i++)
        draw(s, batch->groups[0], i, s->tile, tile_at(s, first + i));
    keep_chosen(s, batch, first);
}

static wisp_status embed(show *s, gallery *g, int is_drawn, wisp_error *err)
{
    const wispi_embed_job job = {.count = g->images.n,
                                 .source = WISP_EMBED_POOLED,
                                 .stop = s->request->stop,
                                 .seen = is_drawn ? draw_batch : NULL,
                                 .user = s};
    wispi_feed *feed = NULL;
    WISP_TRY(wispi_session_feed(s->session, &g->images.instance, WISPI_FEED_IN_ORDER,
                                s->experiment->input.eval_batch, &feed, err));
    const wisp_status status = wispi_embed(s->embedder, feed, &job, &g->embedding, err);
    wispi_feed_destroy(feed);
    if (status == WISP_OK && s->drawn != WISP_OK)
        return wisp_fail(err, s->drawn, "%s", s->trouble.message);
    return status;
}

/* A network that has diverged has nothing to show. */
static wisp_status check_finite(const gallery *g, wisp_error *err)
{
    const wisp_embeddings *e = &g->embedding.plugin;
    for (int64_t i = 0; i < e->count * e->dim; i++)
        if (!isfinite(e->values[i]))
            return wisp_fail(err, WISP_E_NONFINITE, "embeddings are not finite");
    return WISP_OK;
}

/* --- the map --- */

/* Directions alone count, as for k-NN: rows of length 1, then their first axes. */
static wisp_status find_axes(const wisp_embeddings *e, double *axes, double *shares,
                             wisp_error *err)
{
    double whole = 0;
    float *rows = wispi_alloc_array((size_t)e->count, (size_t)e->dim * sizeof *rows);
    if (!rows)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a map of %lld images",
                         (long long)e->count);
    for (int64_t i = 0; i < e->count; i++) {
        const float *from = e->values + i * e->dim;
        double square = 0;
        for (int64_t j = 0; j < e->dim; j++)
            square += (double)from[j] * (double)from[j];
        const double length = square > 1e-24 ? sqrt(square) : 1;
        for (int64_t j = 0; j < e->dim; j++)
            rows[i * e->dim + j] = (float)(from[j] / length);
    }
    const wisp_status status =
        wispi_principal_axes(rows, e->count, e->dim, AXES, axes, shares, &whole, err);
    wispi_free(rows);
    for (int i = 0; status == WISP_OK && i < AXES; i++)
        shares[i] = whole > 0 ? shares[i] / whole : 0;
    return status;
}

/* [x, y, label, tile] of each, in whole numbers that fill the plane. */
static json_t *points_json(const show *s, const double *xy, int64_t stride)
{
    const int64_t n = s->shown.images.n;
    double farthest = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < 2; c++)
            farthest = fmax(farthest, fabs(xy[i * stride + c]));
    const double scale = farthest > 0 ? MAP_HALF / farthest : 0;
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) {
        const int32_t label = wispi_spread_images_label(&s->shown.images, i);
        json_array_append_new(
            list, json_pack("[I, I, o, I]", (json_int_t)lround(xy[i * stride] * scale),
                            (json_int_t)lround(xy[i * stride + 1] * scale),
                            label >= 0 ? json_integer(label) : json_null(), (json_int_t)i));
    }
    return list;
}

static const char *images_of(const show *s)
{
    return s->experiment->test.plugin ? "test" : "training";
}

static void add_axes(const show *s, const char *key, const double *axes, const double *shares,
                     json_t *out)
{
    char method[200];
    snprintf(method, sizeof method,
             "first two principal axes of the embeddings of %lld %s images, which hold %.0f %% and "
             "%.0f %% of their variance",
             (long long)s->shown.images.n, images_of(s), 100 * shares[0], 100 * shares[1]);
    json_object_set_new(
        out, key, json_pack("{s:s, s:o}", "method", method, "points", points_json(s, axes, AXES)));
}

static wisp_status add_map(const show *s, const double *axes, json_t *out, wisp_error *err)
{
    const int64_t n = s->shown.images.n;
    const double most = (double)(n - 1) / 3, perplexity = most < PERPLEXITY ? most : PERPLEXITY;
    const wispi_map_request request = {axes, n, AXES, perplexity, MAP_STEPS, s->request->stop};
    double divergence = 0, *map = wispi_alloc_array((size_t)n, 2 * sizeof *map);
    char method[160];
    if (!map)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a map of %lld images", (long long)n);
    for (int64_t i = 0; i < n; i++)
        memcpy(map + 2 * i, axes + AXES * i, 2 * sizeof *map);
    const wisp_status status = wispi_neighbour_map(&request, map, &divergence, err);
    snprintf(method, sizeof method, "t-SNE of the embeddings of %lld %s images, perplexity %g",
             (long long)n, images_of(s), perplexity);
    if (status == WISP_OK)
        json_object_set_new(out, "map",
                            json_pack("{s:s, s:o, s:f}", "method", method, "points",
                                      points_json(s, map, 2), "divergence", divergence));
    wispi_free(map);
    return status;
}

static wisp_status add_maps(const show *s, json_t *out, wisp_error *err)
{
    const wisp_embeddings *e = &s->shown.embedding.plugin;
    double shares[AXES], *axes = wispi_alloc_array((size_t)e->count, AXES * sizeof *axes);
    if (!axes)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a map of %lld images",
                         (long long)e->count);
    wisp_status status = find_axes(e, axes, shares, err);
    const int is_small = e->count < LEAST_MAP;
    if (status == WISP_OK && !is_small)
        status = add_map(s, axes, out, err);
    if (status == WISP_OK)
        add_axes(s, is_small ? "map" : "axes", axes, shares, out);
    wispi_free(axes);
    return status;
}

/* --- neighbours --- */

/* The image itself among the bank; -1: it is not there. */
static int64_t self_in_bank(const show *s, int64_t index)
{
    if (s->experiment->test.plugin)
        return -1;
    const int64_t at = wispi_spread_images_at(&s->shown.images, index);
    for (int64_t i = 0; i < s->bank.images.n; i++)
        if (wispi_spread_images_at(&s->bank.images, i) == at)
            return i;
    return -1;
}

static void find_near(show *s)
{
    const wisp_embeddings *shown = &s->shown.embedding.plugin, *bank = &s->bank.embedding.plugin;
    for (int32_t i = 0; i < s->n_chosen; i++)
        wispi_near_images(shown->values + s->chosen[i].index * shown->dim, bank->values,
                          bank->count, bank->dim, self_in_bank(s, s->chosen[i].index), NEIGHBOURS,
                          s->chosen[i].near);
}

/* Tiles of images that only neighbours are. */
static wisp_status draw_picked(show *s, wispi_spread_images *picked, int64_t first_tile,
                               wisp_error *err)
{
    wispi_feed *feed = NULL;
    wisp_status status = wispi_session_feed(s->session, &picked->instance, WISPI_FEED_IN_ORDER,
                                            s->experiment->input.eval_batch, &feed, err);
    for (int64_t done = 0; status == WISP_OK && done < picked->n;) {
        wispi_feed_batch *batch = NULL;
        status = wispi_feed_next(feed, &batch, err);
        for (int64_t i = 0; status == WISP_OK && i < batch->size; i++, done++)
            status = wispi_input_pixels_draw(&s->pixels, batch->groups[0], i, s->tile,
                                             tile_at(s, first_tile + done), err);
        wispi_feed_release(feed, batch);
    }
    wispi_feed_destroy(feed);
    return status;
}

static json_t *near_json(const show *s, const wispi_near_image *near, int64_t tile)
{
    const int32_t label = wispi_spread_images_label(&s->bank.images, near->index);
    return json_pack("{s:I, s:o, s:f}", "tile", (json_int_t)tile, "label",
                     label >= 0 ? json_integer(label) : json_null(), "cosine",
                     round(near->cosine * 1e4) / 1e4);
}

static wisp_status add_near(show *s, json_t *out, wisp_error *err)
{
    int64_t picked[QUERIES * NEIGHBOURS], n = 0;
    json_t *list = json_array();
    for (int32_t i = 0; i < s->n_chosen; i++) {
        const chosen *c = &s->chosen[i];
        const int32_t label = wispi_spread_images_label(&s->shown.images, c->index);
        json_t *of = json_array();
        for (int k = 0; k < NEIGHBOURS && c->near[k].index >= 0; k++) {
            json_array_append_new(of, near_json(s, &c->near[k], s->shown.images.n + n));
            picked[n++] = wispi_spread_images_at(&s->bank.images, c->near[k].index);
        }
        json_array_append_new(list,
                              json_pack("{s:I, s:o, s:o}", "tile", (json_int_t)c->index, "label",
                                        label >= 0 ? json_integer(label) : json_null(), "of", of));
    }
    json_object_set_new(out, "neighbours", list);
    json_object_set_new(out, "bank",
                        json_pack("{s:I, s:I}", "images", (json_int_t)s->bank.images.n, "of",
                                  (json_int_t)s->bank.images.of));
    if (n == 0)
        return WISP_OK;
    wispi_spread_images near;
    wispi_spread_images_pick(&near, &s->experiment->data, picked, n);
    WISP_TRY(draw_picked(s, &near, s->shown.images.n, err));
    for (int64_t i = 0; i < n; i++)
        wispi_tile_sheet_add(&s->sheet, tile_at(s, s->shown.images.n + i));
    return WISP_OK;
}

/* --- the rest --- */

static wisp_status add_attention(const show *s, json_t *out, wisp_error *err)
{
    uint8_t *pictures[ATTENTIVE];
    const int64_t n = s->n_chosen < ATTENTIVE ? s->n_chosen : ATTENTIVE;
    for (int64_t i = 0; i < n; i++)
        pictures[i] = s->pictures + i * s->picture * s->picture * 3;
    const wispi_attention_job job = {s->views, n, s->side, pictures, s->picture};
    json_t *list = NULL;
    wisp_error cause = {0};
    const wisp_status status = wispi_attention_pictures(s->embedder, &job, &list, &cause);
    if (status == WISP_E_UNSUPPORTED)
        return WISP_OK;
    if (status != WISP_OK)
        return wisp_fail(err, status, "attention: %s", cause.message);
    json_object_set_new(out, "attention", list);
    return WISP_OK;
}

static void add_classes(const show *s, json_t *out)
{
    const wispi_spread_images *images = &s->shown.images;
    if (wispi_spread_images_label(images, 0) < 0)
        return;
    json_t *names = wispi_class_names_json(images->from, images->from_self);
    if (json_array_size(names) > 0)
        json_object_set(out, "classes", names);
    json_decref(names);
}

static wisp_status look(show *s, json_t *out, wisp_error *err)
{
    WISP_TRY(embed(s, &s->shown, 1, err));
    WISP_TRY(check_finite(&s->shown, err));
    for (int64_t i = 0; i < s->shown.images.n; i++)
        wispi_tile_sheet_add(&s->sheet, tile_at(s, i));
    WISP_TRY(add_maps(s, out, err));
    WISP_TRY(embed(s, &s->bank, 0, err));
    find_near(s);
    WISP_TRY(add_near(s, out, err));
    WISP_TRY(add_attention(s, out, err));
    add_classes(s, out);
    return wispi_tile_sheet_finish(&s->sheet, out, err);
}

/* --- opening --- */

static wisp_status open_pictures(show *s, wisp_error *err)
{
    const wispi_input_settings *input = &s->experiment->input;
    s->side = input->eval_size;
    s->tile = s->side > LARGE_VIEW ? LARGE_TILE : s->side < SMALL_TILE ? s->side : SMALL_TILE;
    s->picture = s->side < MOST_PICTURE ? s->side : MOST_PICTURE;
    wispi_spread_images_open(&s->shown.images, shown_split(s), s->request->images);
    wispi_spread_images_open(&s->bank.images, &s->experiment->data, MOST_BANK);
    if (s->shown.images.n < 1 || s->bank.images.n < 1)
        return wisp_fail(err, WISP_E_DATA, "there are no images");
    choose(s);
    const int64_t tiles = s->shown.images.n + QUERIES * NEIGHBOURS;
    WISP_TRY(wispi_input_pixels_open(&s->pixels, s->side, wispi_run_dtype(&s->experiment->run),
                                     input->mean.items, input->std.items, err));
    WISP_TRY(wispi_tile_sheet_open(&s->sheet, s->tile, tiles, err));
    s->tiles = wispi_alloc_array((size_t)tiles, (size_t)(s->tile * s->tile * 3));
    s->views = wispi_alloc_array(ATTENTIVE, view_bytes(s));
    s->pictures = wispi_alloc_array(ATTENTIVE, (size_t)(s->picture * s->picture * 3));
    if (!s->tiles || !s->views || !s->pictures)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld pictures", (long long)tiles);
    return WISP_OK;
}

static wisp_status open_weights(show *s, wisp_error *err)
{
    wispi_stored_run run;
    WISP_TRY(wispi_stored_run_find(s->request->folder, &run, err));
    WISP_TRY(wispi_experiment_load_stored(s->request->registry, run.config, &s->experiment, err));
    WISP_TRY(wispi_session_open(s->experiment, &s->session, err));
    WISP_TRY(
        wispi_checkpoint_load_weights(run.weights, s->session->model, s->session->evaluated, err));
    return wispi_embedder_create(s->session, &s->embedder, err);
}

static void close_show(show *s)
{
    wispi_embedding_free(&s->shown.embedding);
    wispi_embedding_free(&s->bank.embedding);
    wispi_free(s->tiles);
    wispi_free(s->views);
    wispi_free(s->pictures);
    wispi_tile_sheet_close(&s->sheet);
    wispi_input_pixels_close(&s->pixels);
    wispi_embedder_destroy(s->embedder);
    wispi_session_close(s->session);
    wispi_experiment_destroy(s->experiment);
    wispi_free(s);
}

wisp_status wispi_run_pictures(const wispi_pictures_request *request, json_t **pictures,
                               wisp_error *err)
{
    show *s = wispi_alloc(sizeof *s);
    json_t *made = json_object();
    wisp_status status = s && made ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory to look");
    if (s)
        s->request = request;
    if (status == WISP_OK)
        status = open_weights(s, err);
    if (status == WISP_OK)
        status = open_pictures(s, err);
    if (status == WISP_OK)
        status = look(s, made, err);
    if (s)
        close_show(s);
    if (status == WISP_OK)
        *pictures = made;
    else
        json_decref(made);
    return status;
}

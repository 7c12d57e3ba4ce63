/* page_fixture.c KIND [FILE] - the JSON of a page, made up: what the tests of the page show. Kinds:
 * run, bare (hardly anything is there), hostile (names that would like to be HTML), long (a curve
 * of 20,000 points), comparison FILE, sweep FILE (their numbers are in FILE). */
#include <jansson.h>
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { TILE = 32, COLUMNS = 10, CLASSES = 10, TILES = 100 };

static const char hostile[] = "</script><img src=x onerror=\"window.broken = 1\"><b>bold</b>"
                              "<!--\xe2\x80\xa8\xe2\x80\xa9 & \"quoted\" 'text' \\u003c @@data@@";

/* The same at every call; between 0 and 1. */
static double noise(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return state / 4294967296.0;
}

/* --- pictures --- */

static void append_png(png_structp png, png_bytep bytes, size_t n)
{
    wispi_text_append_bytes(png_get_io_ptr(png), bytes, n);
}

static void encode_png(wispi_text *out, const uint8_t *rgb, uint32_t width, uint32_t height)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, out, append_png, NULL);
    png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < height; y++)
        png_write_row(png, rgb + (size_t)y * width * 3);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
}

static json_t *data_url(const uint8_t *rgb, uint32_t width, uint32_t height)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    wispi_text png = {0}, url = {0};
    encode_png(&png, rgb, width, height);
    wispi_text_append(&url, "data:image/png;base64,");
    for (size_t i = 0; i < png.length; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (i + k < png.length ? (uint8_t)png.data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            wispi_text_printf(&url, "%c",
                              i + k <= png.length ? digits[three >> (18 - 6 * k) & 63] : '=');
    }
    json_t *text = json_string(url.data);
    wispi_text_free(&png);
    wispi_text_free(&url);
    return text;
}

/* A disc in the colour of the class, at a place of the tile's own. */
static void draw_tile(uint8_t *rgb, uint32_t stride, int32_t label, double x0, double y0)
{
    for (uint32_t y = 0; y < TILE; y++)
        for (uint32_t x = 0; x < TILE; x++) {
            const double far = hypot(x - x0, y - y0);
            const double shade = far < 9 ? 1.0 : 0.25;
            uint8_t *pixel = rgb + (y * (size_t)stride + x) * 3;
            for (int c = 0; c < 3; c++)
                pixel[c] = (uint8_t)(shade * (110 + 110 * cos(label * 0.63 + c * 2.1)));
        }
}

static json_t *draw_atlas(void)
{
    const uint32_t width = COLUMNS * TILE, height = TILES / COLUMNS * TILE;
    uint8_t *rgb = calloc((size_t)width * height, 3);
    for (uint32_t tile = 0; tile < TILES; tile++)
        draw_tile(rgb + ((size_t)(tile / COLUMNS) * TILE * width + tile % COLUMNS * TILE) * 3,
                  width, (int32_t)(tile % CLASSES), 10 + 12 * noise(), 10 + 12 * noise());
    json_t *url = data_url(rgb, width, height);
    free(rgb);
    return url;
}

static json_t *draw_one(int32_t label)
{
    uint8_t rgb[TILE * TILE * 3];
    draw_tile(rgb, TILE, label, 16, 16);
    return data_url(rgb, TILE, TILE);
}

static json_t *class_names(void)
{
    static const char *const names[CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                               "dog",      "frog",       "horse", "ship", "truck"};
    json_t *list = json_array();
    for (int i = 0; i < CLASSES; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *map_points(void)
{
    json_t *points = json_array();
    for (int tile = 0; tile < TILES; tile++) {
        const int label = tile % CLASSES;
        json_array_append_new(points, json_pack("[ffii]", 8 * cos(label) + 3 * noise(),
                                                8 * sin(label) + 3 * noise(), label, tile));
    }
    return points;
}

static json_t *neighbours(void)
{
    json_t *list = json_array();
    for (int query = 0; query < 4; query++) {
        json_t *of = json_array();
        for (int i = 1; i <= 8; i++) {
            const int tile = i % 4 ? query + 10 * i : query + 10 * i + 1;
            json_array_append_new(of, json_pack("{s:i,s:i,s:f}", "tile", tile, "label",
                                                tile % CLASSES, "cosine", 1 - 0.02 * i));
        }
        json_array_append_new(
            list, json_pack("{s:i,s:i,s:o}", "tile", query, "label", query % CLASSES, "of", of));
    }
    return list;
}

static json_t *confusion(void)
{
    json_t *counts = json_array();
    for (int truth = 0; truth < CLASSES; truth++) {
        json_t *row = json_array();
        for (int answer = 0; answer < CLASSES; answer++)
            json_array_append_new(
                row, json_integer(truth == answer ? 80 : (int)(6 * noise() * noise())));
        json_array_append_new(counts, row);
    }
    return json_pack("{s:s,s:o,s:o}", "task", "knn", "classes", class_names(), "counts", counts);
}

static json_t *pictures(void)
{
    json_t *attention = json_array();
    json_array_append_new(attention, json_pack("{s:o,s:[o,o,o]}", "image", draw_one(1), "heads",
                                               draw_one(2), draw_one(3), draw_one(4)));
    return json_pack("{s:o,s:i,s:i,s:o,s:{s:s,s:o},s:o,s:o,s:o}", "atlas", draw_atlas(), "tile",
                     TILE, "columns", COLUMNS, "classes", class_names(), "map", "method",
                     "t-SNE of 100 test embeddings", "points", map_points(), "neighbours",
                     neighbours(), "confusion", confusion(), "attention", attention);
}

/* As `wisp views --json` has them. */
static json_t *view_numbers(void)
{
    const char *const form =
        "{s:[{s:s,s:s,s:{s:f,s:f},s:[{s:s,s:i,s:i,s:i,s:f}],s:{s:[{s:s,s:[f,f,f],s:[i,i]},"
        "{s:s,s:[f,f,f],s:[i,i]}],s:{s:s,s:[f,f,f],s:[i,i]}}}],s:[{s:s,s:{s:f,s:f}}]}";
    return json_pack(form, "samplers", "name", "a", "says", "2 global views, 4 local ones", "means",
                     "crop_ratio", 0.31, "pixels", 3072.0, "groups", "name", "global", "count", 2,
                     "width", 32, "height", 32, "crop_scale", 0.65, "histograms", "crop_scale",
                     "series", "global", "edges", 0.0, 0.5, 1.0, "counts", 1, 3, "series", "local",
                     "edges", 0.0, 0.5, 1.0, "counts", 4, 0, "overlap", "series", "local in global",
                     "edges", 0.0, 0.5, 1.0, "counts", 0, 5, "published", "name", "DINO", "means",
                     "crop_ratio", 0.25, "pixels", 1e5);
}

/* --- curves --- */

typedef double value_at(double progress);

static double falling(double p)
{
    return 3 + 4 * exp(-3 * p) + 0.3 * (noise() - 0.5);
}

static double rising(double p)
{
    return 65 - 30 * exp(-4 * p);
}

static double entropy(double p)
{
    return 6.9 - 3 * p + 0.1 * noise();
}

static double cosine(double p)
{
    return 1e-3 * (1 + cos(3.14159265 * p));
}

static double momentum(double p)
{
    return 1 - 0.01 * (1 - p);
}

static double rank(double p)
{
    return 60 - 50 * exp(-5 * p);
}

static double constant(double p)
{
    (void)p;
    return 0.04;
}

static void add_curve(json_t *curves, const char *name, int n, value_at *value)
{
    json_t *step = json_array(), *epoch = json_array(), *values = json_array();
    for (int i = 0; i < n; i++) {
        const double progress = (i + 1.0) / n;
        json_array_append_new(step, json_integer((int)(progress * 4000)));
        json_array_append_new(epoch, json_integer((int)ceil(progress * 16)));
        /* A loss that was not finite once. */
        json_array_append_new(values,
                              n > 100 && i == 50 ? json_null() : json_real(value(progress)));
    }
    json_object_set_new(curves, name,
                        json_pack("{s:o,s:o,s:o}", "step", step, "epoch", epoch, "value", values));
}

static json_t *all_curves(void)
{
    json_t *curves = json_object();
    add_curve(curves, "train/loss", 400, falling);
    add_curve(curves, "train/loss_local", 400, falling);
    add_curve(curves, "train/grad_norm", 400, falling);
    add_curve(curves, "train/teacher_entropy", 400, entropy);
    add_curve(curves, "train/teacher_marginal_entropy", 400, entropy);
    add_curve(curves, "train/attention_entropy", 400, entropy);
    add_curve(curves, "train/embedding_std", 40, momentum);
    add_curve(curves, "train/embedding_rank", 40, rank);
    add_curve(curves, "schedule/lr", 400, cosine);
    add_curve(curves, "schedule/teacher_temperature", 400, cosine);
    add_curve(curves, "schedule/teacher_momentum", 400, momentum);
    add_curve(curves, "schedule/weight_decay", 90, constant);
    add_curve(curves, "probe/k_nn_top_1", 16, rising);
    return curves;
}

/* --- runs and pages --- */

static const char config[] = "[run]\nname = \"a\"\nseed = 0\n\n[method]\nuse = \"dino\"\n"
                             "out_dim = 1024\n\n[[probe]]\nuse = \"knn\"\nk = 20\n";

static json_t *full_run(const char *label)
{
    json_t *results =
        json_pack("[{s:s,s:s,s:f},{s:s,s:s,s:f},{s:s,s:s,s:f}]", "kind", "untrained", "metric",
                  "k_nn_top_1", "value", 33.1, "kind", "raw_pixels", "metric", "k_nn_top_1",
                  "value", 35.4, "kind", "task", "metric", "k_nn_top_1", "value", 63.52);
    json_t *changes = json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:n}]", "key", "probe.0.k", "here", "20",
                                "base", "200", "key", "method.out_dim", "here", "1024", "base");
    json_t *environment = json_pack(
        "{s:s,s:s,s:{s:i,s:i},s:[{s:s,s:s}]}", "wisp", "0.1.0", "device", "cpu: cpu (AVX-512)",
        "data", "samples", 50000, "classes", CLASSES, "plugins", "kind", "method", "name", "dino");
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:s,s:o,s:o,s:{s:o,s:o},s:o,s:[{s:i,s:s}]}", "label",
                     label, "folder", label, "state", "done", "curves", all_curves(), "results",
                     results, "config", config, "changes", changes, "environment", environment,
                     "views", "sheet", draw_one(5), "numbers", view_numbers(), "pictures",
                     pictures(), "health", "step", 120, "words",
                     "the rank of the embeddings fell to 2.1");
}

static json_t *page_of(const char *kind, const char *title, json_t *runs)
{
    return json_pack("{s:s,s:s,s:s,s:b,s:o}", "kind", kind, "title", title, "version", "0.1.0",
                     "live", 0, "runs", runs);
}

static json_t *long_page(void)
{
    json_t *curves = json_object();
    add_curve(curves, "train/loss", 20000, falling);
    return page_of("run", "20,000 points",
                   json_pack("[{s:s,s:s,s:s,s:o}]", "label", "a/0", "folder", "a/0", "state",
                             "running", "curves", curves));
}

/* Every text of a full run that can come from outside, replaced. */
static json_t *hostile_page(void)
{
    json_t *run = full_run(hostile);
    json_object_set_new(run, "config", json_sprintf("[run]\nname = \"%s\"\n", hostile));
    json_object_set_new(
        run, "changes",
        json_pack("[{s:s,s:s,s:s}]", "key", hostile, "here", hostile, "base", hostile));
    json_object_set_new(run, "environment", json_pack("{s:s}", hostile, hostile));
    json_object_set_new(run, "health", json_pack("[{s:i,s:s}]", "step", 1, "words", hostile));
    json_object_set_new(
        run, "results",
        json_pack("[{s:s,s:s,s:f}]", "kind", "task", "metric", hostile, "value", 1.5));
    add_curve(json_object_get(run, "curves"), hostile, 20, rising);
    json_t *seen = json_object_get(run, "pictures");
    json_array_set_new(json_object_get(seen, "classes"), 0, json_string(hostile));
    json_object_set_new(json_object_get(seen, "map"), "method", json_string(hostile));
    return page_of("run", hostile, json_pack("[o,o]", run, full_run("b/0")));
}

/* Runs of two arms and the numbers that a file has of them. */
static json_t *joint_page(const char *kind, const char *file)
{
    static const char *const labels[] = {"A/0", "A/1", "B/0", "B/1"};
    json_error_t error;
    json_t *numbers = json_load_file(file, 0, &error);
    json_t *runs = json_array();
    if (!numbers)
        fprintf(stderr, "page_fixture: %s: %s\n", file, error.text);
    for (int i = 0; i < 4; i++)
        json_array_append_new(runs, full_run(labels[i]));
    json_t *page = page_of(kind, "multicrop against sslight", runs);
    json_object_set_new(page, kind, numbers);
    return numbers ? page : NULL;
}

static json_t *make(const char *kind, const char *file)
{
    if (strcmp(kind, "run") == 0)
        return page_of("run", "A run", json_pack("[o]", full_run("a/0")));
    if (strcmp(kind, "bare") == 0)
        return page_of("run", "Bare", json_pack("[{s:s}]", "label", "a/0"));
    if (strcmp(kind, "hostile") == 0)
        return hostile_page();
    if (strcmp(kind, "long") == 0)
        return long_page();
    return file ? joint_page(kind, file) : NULL;
}

int main(int argc, char **argv)
{
    json_t *page = argc > 1 ? make(argv[1], argc > 2 ? argv[2] : NULL) : NULL;
    const int failed = !page || json_dumpf(page, stdout, JSON_COMPACT) != 0;
    json_decref(page);
    return failed;
}

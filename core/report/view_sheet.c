/* view_sheet.c - where everything stands on a sheet. */
#include "report/view_sheet.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "report/sheet_parts.h"
#include "report/view_pixels.h"

enum { TITLE = 92, ARM_HEAD = 74, ROW_GAP = 22, BEFORE_SECTION = 14, SECTION = 52, LEGEND = 30 };

typedef struct makers {
    wispi_view_pixels *of[WISPI_MOST_ARMS];
} makers;

/* --- which images --- */

/* Whether every arm can make its views; a damaged file may show its header alone. */
static wisp_status try_picture(const wispi_sheet *s, const makers *m,
                               const wispi_view_picture *picture, wisp_error *err)
{
    wispi_image image;
    WISP_TRY(
        wispi_view_pixels_source(m->of[0], picture, picture->width, picture->height, &image, err));
    for (int32_t a = 0; a < s->views->n_arms; a++)
        WISP_TRY(wispi_view_pixels_make(m->of[a], picture, err));
    return WISP_OK;
}

static wisp_status choose_pictures(wispi_sheet *s, const makers *m,
                                   const wispi_sheet_request *request, wisp_error *err)
{
    const wispi_views *v = s->views;
    for (int64_t i = 0; i < v->n_pictures && s->n_shown < request->images; i++) {
        wisp_error why = {0};
        if (request->stop && *request->stop)
            return wisp_fail(err, WISP_E_STOPPED, "stopped on request");
        const wisp_status status = try_picture(s, m, &v->pictures[i], &why);
        if (status == WISP_OK)
            s->shown[s->n_shown++] = v->pictures[i];
        else if (status == WISP_E_DATA)
            wispi_log(WISP_LOG_WARNING, "sample %lld is not shown: %s",
                      (long long)v->pictures[i].index, why.message);
        else
            return wisp_fail(err, status, "%s", why.message);
    }
    return s->n_shown > 0 ? WISP_OK
                          : wisp_fail(err, WISP_E_DATA, "none of %lld images can be decoded",
                                      (long long)v->n_pictures);
}

/* --- sizes --- */

static void measure(wispi_sheet *s, int32_t small)
{
    const int32_t n = s->views->n_arms;
    wispi_sheet_place(s);
    s->width = 2 * WISPI_SHEET_MARGIN + n * s->panel_w + (n - 1) * WISPI_SHEET_GUTTER;
    s->height = 2 * WISPI_SHEET_MARGIN + s->n_shown * (s->row_h + ROW_GAP) - ROW_GAP;
    if (small) {
        s->height += LEGEND;
        return;
    }
    const int32_t table = wispi_sheet_table_width(s) + 2 * WISPI_SHEET_MARGIN;
    s->width = s->width < table ? table : s->width;
    s->height += TITLE + ARM_HEAD + ROW_GAP + BEFORE_SECTION + SECTION +
                 wispi_sheet_charts_height(s) + SECTION + wispi_sheet_table_height(s);
}

/* --- title and heads --- */

static void shown_as(const wispi_sheet *s, char *text, size_t bytes)
{
    if (s->enlarged > 1)
        snprintf(text, bytes, "shown %d times enlarged", s->enlarged);
    else if (s->shrunk < 1)
        snprintf(text, bytes, "shown at %.0f %% of their size", 100 * s->shrunk);
    else
        snprintf(text, bytes, "shown pixel for pixel");
}

static void draw_legend(const wispi_sheet *s, int32_t y)
{
    const wispi_font plain = wispi_sheet_font(12, 0, WISPI_INK_MUTED);
    const wispi_feed_shape *shape = &s->views->arms[0].shape;
    double x = WISPI_SHEET_MARGIN;
    for (int32_t g = 0; g < shape->n_groups; g++) {
        const wispi_font bold = wispi_sheet_font(12, 1, wispi_sheet_group_ink(g));
        wispi_canvas_frame(s->canvas, (wispi_area){x + 1, y - 10, 14, 10}, 2,
                           wispi_sheet_group_ink(g));
        x += 22 + wispi_canvas_text(s->canvas, x + 22, y, WISPI_ALIGN_LEFT, &bold,
                                    shape->groups[g].name);
        x += 20;
    }
    wispi_canvas_text(s->canvas, x, y, WISPI_ALIGN_LEFT, &plain,
                      "Below each view: its number in the source image, \u21c4 if it is mirrored, "
                      "and its share of the image\u2019s area.");
}

static void draw_title(const wispi_sheet *s, int32_t y)
{
    const wispi_font title = wispi_sheet_font(24, 1, WISPI_INK),
                     plain = wispi_sheet_font(12, 0, WISPI_INK_MUTED);
    const wispi_view_arm *first = &s->views->arms[0];
    char text[256], how[64];
    shown_as(s, how, sizeof how);
    wispi_canvas_text(s->canvas, WISPI_SHEET_MARGIN, y + 20, WISPI_ALIGN_LEFT, &title,
                      s->views->n_arms > 1 ? "What the samplers draw" : "What the sampler draws");
    snprintf(text, sizeof text,
             "The first %d images of epoch 0 with seed %llu, and their views as training gets "
             "them, before normalisation; %s.",
             s->n_shown, (unsigned long long)first->options.seed, how);
    wispi_canvas_text(s->canvas, WISPI_SHEET_MARGIN, y + 46, WISPI_ALIGN_LEFT, &plain, text);
    draw_legend(s, y + 68);
}

/* "path/to/dino.toml" is "dino". */
static void title_of(const char *path, char *name, size_t bytes)
{
    const char *slash = strrchr(path, '/');
    snprintf(name, bytes, "%s", slash && slash[1] ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && strcmp(dot, ".toml") == 0)
        *dot = '\0';
}

static void describe_groups(const wispi_view_arm *arm, char *text, size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "%.63s:", arm->sampler);
    for (int32_t g = 0; g < arm->shape.n_groups && used < bytes; g++) {
        const wisp_view_group *group = &arm->shape.groups[g];
        used +=
            (size_t)snprintf(text + used, bytes - used, "%s %d %s views of %d \u00d7 %d px",
                             g ? "," : "", group->count, group->name, group->width, group->height);
    }
}

static void draw_arm_head(const wispi_sheet *s, int32_t a, int32_t y)
{
    const wispi_view_arm *arm = &s->views->arms[a];
    const wispi_font bold = wispi_sheet_font(15, 1, WISPI_INK),
                     plain = wispi_sheet_font(12, 0, WISPI_INK_MUTED);
    const int32_t x = wispi_sheet_panel_x(a, s->panel_w);
    char name[160], text[512];
    title_of(arm->name, name, sizeof name);
    if (s->views->n_arms > 1)
        snprintf(text, sizeof text, "%c   %s", 'A' + a, name);
    else
        snprintf(text, sizeof text, "%s", name);
    wispi_canvas_line(s->canvas, x, y + 0.5, x + s->panel_w, y + 0.5, 1, 0, WISPI_INK_RULE);
    wispi_canvas_text_within(s->canvas, x, y + 23, s->panel_w, &bold, text);
    describe_groups(arm, text, sizeof text);
    wispi_canvas_text_within(s->canvas, x, y + 42, s->panel_w, &plain, text);
    wispi_canvas_text_within(s->canvas, x, y + 59, s->panel_w, &plain, arm->says);
}

static void draw_section(const wispi_sheet *s, const char *title, const char *words, int32_t y)
{
    const wispi_font bold = wispi_sheet_font(15, 1, WISPI_INK),
                     plain = wispi_sheet_font(12, 0, WISPI_INK_MUTED);
    const double right = s->width - WISPI_SHEET_MARGIN;
    wispi_canvas_line(s->canvas, WISPI_SHEET_MARGIN, y + 0.5, right, y + 0.5, 1, 0, WISPI_INK_RULE);
    const double w =
        wispi_canvas_text(s->canvas, WISPI_SHEET_MARGIN, y + 24, WISPI_ALIGN_LEFT, &bold, title);
    wispi_canvas_text(s->canvas, WISPI_SHEET_MARGIN + w + 14, y + 24, WISPI_ALIGN_LEFT, &plain,
                      words);
}

/* --- the sheet --- */

static wisp_status draw_rows(const wispi_sheet *s, const makers *m, int32_t y, wisp_error *err)
{
    for (int32_t i = 0; i < s->n_shown; i++)
        for (int32_t a = 0; a < s->views->n_arms; a++)
            WISP_TRY(wispi_sheet_draw_row(s, m->of[a], a, &s->shown[i],
                                          y + i * (s->row_h + ROW_GAP), err));
    return WISP_OK;
}

static void draw_numbers(const wispi_sheet *s, int32_t y)
{
    char words[160], plans[WISPI_VIEW_CELL], pictures[WISPI_VIEW_CELL];
    wispi_view_count_text(s->views->arms[0].numbers.n_plans, plans);
    wispi_view_count_text(s->views->n_pictures, pictures);
    snprintf(words, sizeof words, "of the views of %s plans, drawn for %s images", plans, pictures);
    draw_section(s, "Distributions", words, y);
    for (int32_t a = 0; a < s->views->n_arms; a++)
        wispi_sheet_draw_charts(s, a, y + SECTION);
    y += SECTION + wispi_sheet_charts_height(s);
    draw_section(s, "Means", "beside those of the published recipes", y);
    wispi_sheet_draw_table(s, y + SECTION);
}

static wisp_status draw(wispi_sheet *s, const makers *m, int32_t small, wisp_error *err)
{
    int32_t y = WISPI_SHEET_MARGIN;
    if (!small) {
        draw_title(s, y);
        for (int32_t a = 0; a < s->views->n_arms; a++)
            draw_arm_head(s, a, y + TITLE);
        y += TITLE + ARM_HEAD;
    } else {
        draw_legend(s, y + 10);
        y += LEGEND;
    }
    WISP_TRY(draw_rows(s, m, y, err));
    if (!small)
        draw_numbers(s, y + s->n_shown * (s->row_h + ROW_GAP) + BEFORE_SECTION);
    return WISP_OK;
}

static wisp_status make_sheet(wispi_sheet *s, const makers *m, const wispi_sheet_request *request,
                              uint8_t **png, size_t *bytes, wisp_error *err)
{
    WISP_TRY(choose_pictures(s, m, request, err));
    measure(s, request->small);
    WISP_TRY(wispi_canvas_create(s->width, s->height, &s->canvas, err));
    wisp_status status = draw(s, m, request->small, err);
    if (status == WISP_OK)
        status = wispi_canvas_png(s->canvas, png, bytes, err);
    wispi_canvas_destroy(s->canvas);
    return status;
}

wisp_status wispi_view_sheet_png(const wispi_sheet_request *request, uint8_t **png, size_t *bytes,
                                 wisp_error *err)
{
    makers m = {{NULL}};
    wisp_status status = WISP_OK;
    if (request->images < 1 || request->images > WISPI_MOST_SHOWN)
        return wisp_fail(err, WISP_E_INVALID, "%d images; 1 to %d fit on a sheet", request->images,
                         WISPI_MOST_SHOWN);
    wispi_sheet *s = wispi_alloc(sizeof *s);
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a sheet");
    s->views = request->views;
    for (int32_t a = 0; a < s->views->n_arms && status == WISP_OK; a++)
        status = wispi_view_pixels_create(&s->views->arms[a], &m.of[a], err);
    if (status == WISP_OK)
        status = make_sheet(s, &m, request, png, bytes, err);
    for (int32_t a = 0; a < s->views->n_arms; a++)
        wispi_view_pixels_destroy(m.of[a]);
    wispi_free(s);
    return status;
}

/* sheet_rows.c - a source image with its boxes, and its views beside it. */
#include <math.h>
#include <stdio.h>

#include "report/sheet_parts.h"
#include "report/view_pixels.h"

enum {
    ONE_ARM = 224, /* px of the largest view as it is shown */
    MORE_ARMS = 144,
    BETWEEN_GROUPS = 22,
    MOST_COLUMNS = 8,
    LEAST_SOURCE = 150 /* px, for its caption */
};

wispi_ink wispi_sheet_group_ink(int32_t group)
{
    static const uint32_t inks[] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7,
                                    0x6a5acd, 0x8c6d1f, 0x56b4e9, 0x444444};
    return (wispi_ink){inks[group % (int32_t)WISP_COUNT(inks)], 1};
}

/* --- sizes --- */

static int32_t longest_side(const wispi_views *v)
{
    int32_t side = 1;
    for (int32_t a = 0; a < v->n_arms; a++)
        for (int32_t g = 0; g < v->arms[a].shape.n_groups; g++) {
            const wisp_view_group *group = &v->arms[a].shape.groups[g];
            side = group->width > side ? group->width : side;
            side = group->height > side ? group->height : side;
        }
    return side;
}

static int32_t shown_side(const wispi_sheet *s, int32_t side)
{
    const int32_t shown = (int32_t)lround(side * s->enlarged * s->shrunk);
    return shown > 0 ? shown : 1;
}

static int32_t rows_high(int32_t rows, int32_t h)
{
    return rows * (h + WISPI_SHEET_CAPTION) + (rows - 1) * WISPI_SHEET_GAP;
}

/* High enough for two rows of small views, or one of large ones. */
static int32_t find_row_height(const wispi_sheet *s)
{
    int32_t most = 0;
    for (int32_t a = 0; a < s->views->n_arms; a++)
        for (int32_t g = 0; g < s->views->arms[a].shape.n_groups; g++) {
            const wisp_view_group *group = &s->views->arms[a].shape.groups[g];
            const int32_t rows = group->count > 3 ? 2 : 1;
            const int32_t high = rows_high(rows, shown_side(s, group->height));
            most = high > most ? high : most;
        }
    return most;
}

static wispi_tiles grid_of(const wispi_sheet *s, const wisp_view_group *group, int32_t x)
{
    wispi_tiles t = {.x = x, .w = shown_side(s, group->width), .h = shown_side(s, group->height)};
    const int32_t fit =
        (s->row_h + WISPI_SHEET_GAP) / (t.h + WISPI_SHEET_CAPTION + WISPI_SHEET_GAP);
    t.rows = group->count <= 2 ? 1 : fit < group->count ? fit : group->count;
    t.columns = (group->count + t.rows - 1) / t.rows;
    if (t.columns > MOST_COLUMNS) {
        t.columns = MOST_COLUMNS;
        t.rows = (group->count + t.columns - 1) / t.columns;
    }
    return t;
}

/* As large as fits; whole times larger where it is small. */
static void fit_source(const wispi_sheet *s, const wispi_view_picture *p, int32_t *w, int32_t *h)
{
    const double by_w = 4.0 / 3 * s->source_h / p->width, by_h = (double)s->source_h / p->height;
    const double fit = by_w < by_h ? by_w : by_h, scale = fit >= 1 ? floor(fit) : fit;
    *w = (int32_t)fmax(1, round(p->width * scale));
    *h = (int32_t)fmax(1, round(p->height * scale));
}

/* No wider than the widest of the images. */
static int32_t find_source_width(const wispi_sheet *s)
{
    int32_t most = LEAST_SOURCE;
    for (int32_t i = 0; i < s->n_shown; i++) {
        int32_t w, h;
        fit_source(s, &s->shown[i], &w, &h);
        most = w > most ? w : most;
    }
    return most;
}

static int32_t place_arm(wispi_sheet *s, int32_t a, int32_t *row_h)
{
    int32_t x = s->source_w + BETWEEN_GROUPS;
    for (int32_t g = 0; g < s->views->arms[a].shape.n_groups; g++) {
        wispi_tiles *t = &s->tiles[a][g];
        *t = grid_of(s, &s->views->arms[a].shape.groups[g], x);
        x += t->columns * (t->w + WISPI_SHEET_GAP) - WISPI_SHEET_GAP + BETWEEN_GROUPS;
        const int32_t high = rows_high(t->rows, t->h);
        *row_h = high > *row_h ? high : *row_h;
    }
    return x - BETWEEN_GROUPS;
}

void wispi_sheet_place(wispi_sheet *s)
{
    const int32_t side = longest_side(s->views);
    const int32_t wanted = s->views->n_arms > 1 ? MORE_ARMS : ONE_ARM;
    s->enlarged = wanted > side ? (wanted + side / 2) / side : 1;
    s->shrunk = side > wanted ? (double)wanted / side : 1;
    s->row_h = find_row_height(s);
    s->source_h = s->row_h - WISPI_SHEET_CAPTION;
    s->source_w = find_source_width(s);
    int32_t row_h = s->row_h;
    for (int32_t a = 0; a < s->views->n_arms; a++) {
        const int32_t w = place_arm(s, a, &row_h);
        s->panel_w = w > s->panel_w ? w : s->panel_w;
    }
    s->row_h = row_h;
}

/* --- the source image --- */

/* A coloured line between two white ones shows on any picture. */
static void draw_box(const wispi_sheet *s, wispi_area area, wispi_ink ink)
{
    const wispi_area inside = {area.x + 1, area.y + 1, fmax(area.w - 2, 1), fmax(area.h - 2, 1)};
    wispi_canvas_frame(s->canvas, inside, 4, (wispi_ink){0xffffff, 0.8});
    wispi_canvas_frame(s->canvas, inside, 2, ink);
}

/* In the upper left corner of a box, or, for groups but the first, in the lower right one. */
static void draw_number(const wispi_sheet *s, wispi_area box, int32_t group, int32_t number)
{
    const wispi_font font = wispi_sheet_font(10, 1, (wispi_ink){0xffffff, 1});
    char text[12];
    snprintf(text, sizeof text, "%d", number);
    const double w = wispi_canvas_text_width(s->canvas, &font, text) + 6;
    const double x = group > 0 ? box.x + box.w - w : box.x;
    const double y = group > 0 ? box.y + box.h - 13 : box.y;
    wispi_canvas_fill(s->canvas, (wispi_area){x, y, w, 13}, wispi_sheet_group_ink(group));
    wispi_canvas_text(s->canvas, x + 3, y + 10, WISPI_ALIGN_LEFT, &font, text);
}

typedef struct placed_source {
    int32_t x, y, w, h;
    const wispi_view_picture *picture;
} placed_source;

static wispi_area box_on(const placed_source *at, const wisp_box *b)
{
    const double sx = (double)at->w / at->picture->width, sy = (double)at->h / at->picture->height;
    const double left = round(b->x * sx), top = round(b->y * sy);
    const double right = round((b->x + b->w) * sx), bottom = round((b->y + b->h) * sy);
    return (wispi_area){at->x + left, at->y + top, right - left, bottom - top};
}

/* Local boxes lie on top of global ones, and numbers on top of both. */
static void draw_boxes(const wispi_sheet *s, wispi_view_pixels *pixels, int32_t arm,
                       const placed_source *at)
{
    const wispi_feed_shape *shape = &s->views->arms[arm].shape;
    wispi_pixel_view view;
    for (int32_t numbers = 0; numbers < 2; numbers++) {
        int32_t v = 0;
        for (int32_t g = 0; g < shape->n_groups; g++)
            for (int32_t k = 0; k < shape->groups[g].count; k++) {
                wispi_view_pixels_get(pixels, g, k, &view);
                const wispi_area area = box_on(at, &view.box);
                v++;
                if (numbers)
                    draw_number(s, area, g, v);
                else
                    draw_box(s, area, wispi_sheet_group_ink(g));
            }
    }
}

static wisp_status draw_source(const wispi_sheet *s, wispi_view_pixels *pixels, int32_t arm,
                               placed_source *at, wisp_error *err)
{
    const wispi_font caption = wispi_sheet_font(11, 0, WISPI_INK_MUTED);
    wispi_image image;
    char text[80];
    fit_source(s, at->picture, &at->w, &at->h);
    WISP_TRY(wispi_view_pixels_source(pixels, at->picture, at->w, at->h, &image, err));
    wispi_canvas_picture(s->canvas, at->x, at->y, &image);
    draw_boxes(s, pixels, arm, at);
    snprintf(text, sizeof text, "sample %lld \u00b7 %d \u00d7 %d px", (long long)at->picture->index,
             at->picture->width, at->picture->height);
    wispi_canvas_text(s->canvas, at->x, at->y + at->h + 13, WISPI_ALIGN_LEFT, &caption, text);
    return WISP_OK;
}

/* --- views --- */

/* Number, whether mirrored, and share of the image: the share is left out where it would not fit
 * for every view of the group. */
static void draw_caption(const wispi_sheet *s, const wispi_tiles *t, wispi_area view,
                         int32_t number, double share, int32_t flip, wispi_ink ink)
{
    const wispi_font bold = wispi_sheet_font(10.5, 1, ink),
                     plain = wispi_sheet_font(10.5, 0, WISPI_INK_MUTED);
    const double y = view.y + view.h + 14, longest = 15 + 15 + 32;
    char text[24];
    snprintf(text, sizeof text, "%d", number);
    const double w = wispi_canvas_text(s->canvas, view.x, y, WISPI_ALIGN_LEFT, &bold, text);
    if (flip)
        wispi_canvas_text(s->canvas, view.x + w + 4, y, WISPI_ALIGN_LEFT, &plain, "\u21c4");
    snprintf(text, sizeof text, share < 0.0995 ? "%.1f %%" : "%.0f %%", 100 * share);
    if (t->w >= longest - 4)
        wispi_canvas_text(s->canvas, view.x + view.w, y, WISPI_ALIGN_RIGHT, &plain, text);
}

static wisp_status draw_view(const wispi_sheet *s, wispi_view_pixels *pixels,
                             const wispi_view_picture *picture, const wispi_tiles *t, int32_t g,
                             int32_t k, int32_t number, int32_t x, int32_t y, wisp_error *err)
{
    const wispi_ink ink = wispi_sheet_group_ink(g);
    wispi_pixel_view view;
    wispi_image image;
    wispi_view_pixels_get(pixels, g, k, &view);
    WISP_TRY(wispi_view_pixels_resize(pixels, &view.image, t->w, t->h, &image, err));
    wispi_canvas_picture(s->canvas, x, y, &image);
    wispi_canvas_fill(s->canvas, (wispi_area){x, y + t->h, t->w, 3}, ink);
    const double share = (double)view.box.w * view.box.h / picture->width / picture->height;
    draw_caption(s, t, (wispi_area){x, y, t->w, t->h}, number, share, view.flip, ink);
    return WISP_OK;
}

wisp_status wispi_sheet_draw_row(const wispi_sheet *s, wispi_view_pixels *pixels, int32_t arm,
                                 const wispi_view_picture *picture, int32_t y, wisp_error *err)
{
    const int32_t left = wispi_sheet_panel_x(arm, s->panel_w);
    const wispi_feed_shape *shape = &s->views->arms[arm].shape;
    placed_source at = {.x = left, .y = y, .picture = picture};
    int32_t number = 0;
    WISP_TRY(wispi_view_pixels_make(pixels, picture, err));
    WISP_TRY(draw_source(s, pixels, arm, &at, err));
    for (int32_t g = 0; g < shape->n_groups; g++) {
        const wispi_tiles *t = &s->tiles[arm][g];
        for (int32_t k = 0; k < shape->groups[g].count; k++) {
            const int32_t x = left + t->x + k % t->columns * (t->w + WISPI_SHEET_GAP);
            const int32_t down = k / t->columns * (t->h + WISPI_SHEET_CAPTION + WISPI_SHEET_GAP);
            WISP_TRY(draw_view(s, pixels, picture, t, g, k, ++number, x, y + down, err));
        }
    }
    return WISP_OK;
}

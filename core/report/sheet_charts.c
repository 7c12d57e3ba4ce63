/* sheet_charts.c - histograms and bars of one arm. The same chart has the same axes in all arms. */
#include <math.h>
#include <stdio.h>

#include "report/sheet_parts.h"

enum {
    LEAST_CHART = 300, /* px wide */
    BETWEEN = 40,
    HEAD = 44,  /* title and means */
    LEFT = 54,  /* numbers of the upright axis */
    RIGHT = 16, /* half a number of the level axis */
    PLOT = 128,
    FOOT = 40,  /* numbers of the level axis, two lines */
    BELOW = 26, /* to the next row of charts */
    N_CHARTS = 6
};

enum { CROP_SCALE = 0, PIXEL_SCALE = 1, PIXEL_RATIO = 2, OVERLAP = 3, UP_SAMPLED = 4, PIXELS = 5 };

/* --- where they stand --- */

static int32_t columns_of(const wispi_sheet *s)
{
    for (int32_t n = 3; n > 1; n--)
        if ((s->panel_w + BETWEEN) / n >= LEAST_CHART + BETWEEN)
            return n;
    return 1;
}

static int32_t most_groups(const wispi_sheet *s)
{
    int32_t most = 0;
    for (int32_t a = 0; a < s->views->n_arms; a++)
        most = s->views->arms[a].shape.n_groups > most ? s->views->arms[a].shape.n_groups : most;
    return most;
}

static int32_t bar_step(const wispi_sheet *s)
{
    return most_groups(s) > 4 ? 24 : 34;
}

/* Bars need less room than histograms, unless they stand beside one. */
static int32_t row_height(const wispi_sheet *s, int32_t row)
{
    return row * columns_of(s) <= OVERLAP ? HEAD + PLOT + FOOT
                                          : HEAD + bar_step(s) * most_groups(s);
}

static int32_t top_of(const wispi_sheet *s, int32_t row)
{
    int32_t top = 0;
    for (int32_t i = 0; i < row; i++)
        top += row_height(s, i) + BELOW;
    return top;
}

int32_t wispi_sheet_charts_height(const wispi_sheet *s)
{
    return top_of(s, N_CHARTS / columns_of(s));
}

/* --- what is in them --- */

typedef struct series {
    const wispi_histogram *histogram;
    const char *name;
    wispi_ink ink;
} series;

typedef struct chart {
    const wispi_sheet *sheet;
    int32_t kind, arm;
    wispi_area plot;
    int32_t n_series;
    series series[WISP_MAX_VIEW_GROUPS];
    int32_t first, last; /* bins that are shown */
    double top;          /* share at the upper edge */
} chart;

static int32_t find_series(const wispi_views *v, int32_t kind, int32_t arm,
                           series list[WISP_MAX_VIEW_GROUPS])
{
    const wispi_view_numbers *n = &v->arms[arm].numbers;
    if (kind == PIXEL_RATIO || kind == OVERLAP) {
        const wispi_histogram *h = kind == OVERLAP ? &n->overlap : &n->pixel_ratio;
        list[0] = (series){h, "mean", (wispi_ink){0x5b4b8a, 1}};
        return h->n > 0;
    }
    for (int32_t g = 0; g < n->n_groups; g++)
        list[g] =
            (series){kind == CROP_SCALE ? &n->groups[g].crop_scale : &n->groups[g].pixel_scale,
                     n->groups[g].group.name, wispi_sheet_group_ink(g)};
    return n->n_groups;
}

static double share_of(const wispi_histogram *h, int32_t bin)
{
    return h->n > 0 ? (double)h->counts[bin] / (double)h->n : 0;
}

/* A number whose half is as plain. */
static double round_up(double share)
{
    static const double plain[] = {0.01, 0.02, 0.04, 0.06, 0.1, 0.16, 0.2, 0.3, 0.4, 0.6, 0.8};
    for (size_t i = 0; i < WISP_COUNT(plain); i++)
        if (share <= plain[i])
            return plain[i];
    return 1;
}

/* Axes that hold all arms. Of a logarithmic one, the octaves that hold more than a trifle. */
static void find_axes(chart *c)
{
    const wispi_views *v = c->sheet->views;
    series list[WISP_MAX_VIEW_GROUPS];
    double most = 0;
    c->first = WISPI_MOST_BINS;
    c->last = 0;
    for (int32_t a = 0; a < v->n_arms; a++) {
        const int32_t n = find_series(v, c->kind, a, list);
        for (int32_t i = 0; i < n; i++)
            for (int32_t b = 0; b < list[i].histogram->n_bins; b++) {
                const double share = share_of(list[i].histogram, b);
                most = share > most ? share : most;
                if (share < 0.002 && list[i].histogram->by_log)
                    continue;
                c->first = b < c->first ? b : c->first;
                c->last = b + 1 > c->last ? b + 1 : c->last;
            }
    }
    if (c->n_series > 0 && c->series[0].histogram->by_log) {
        c->first = c->first / 8 * 8;
        c->last = (c->last + 7) / 8 * 8;
    }
    c->top = round_up(most);
}

/* --- histograms --- */

static double x_of(const chart *c, double value)
{
    const wispi_histogram *h = c->series[0].histogram;
    const double at = h->by_log ? log(value / h->low) / log(h->high / h->low)
                                : (value - h->low) / (h->high - h->low);
    return c->plot.x + c->plot.w * (at * h->n_bins - c->first) / (c->last - c->first);
}

static void draw_upright_axis(const chart *c)
{
    const wispi_font small = wispi_sheet_font(10.5, 0, WISPI_INK_MUTED);
    const wispi_area p = c->plot;
    for (int32_t i = 0; i <= 2; i++) {
        char text[16];
        const double y = floor(p.y + p.h * (2 - i) / 2.0) + 0.5;
        snprintf(text, sizeof text, "%g %%", 100 * c->top * i / 2);
        wispi_canvas_line(c->sheet->canvas, p.x, y, p.x + p.w, y, 1, 0,
                          i ? (wispi_ink){0xe4e8ec, 1} : WISPI_INK_MUTED);
        wispi_canvas_text(c->sheet->canvas, p.x - 6, y + 3.5, WISPI_ALIGN_RIGHT, &small,
                          i ? text : "0");
    }
}

static void tick(const chart *c, double x, int32_t line, const char *text)
{
    const wispi_font small = wispi_sheet_font(10.5, 0, WISPI_INK_MUTED);
    const double bottom = c->plot.y + c->plot.h;
    if (line == 0)
        wispi_canvas_line(c->sheet->canvas, floor(x) + 0.5, bottom, floor(x) + 0.5, bottom + 4, 1,
                          0, WISPI_INK_MUTED);
    wispi_canvas_text(c->sheet->canvas, x, bottom + 16 + 15 * line, WISPI_ALIGN_CENTRE, &small,
                      text);
}

/* 2^power as "1/4" or "4". */
static void power_text(int32_t power, char text[16])
{
    snprintf(text, 16, power < 0 ? "1/%d" : "%d", 1 << abs(power));
}

/* Octaves of areas, and below them the lengths that they are the squares of. */
static void draw_log_axis(const chart *c)
{
    const wispi_font small = wispi_sheet_font(10.5, 0, WISPI_INK_MUTED);
    const int32_t octaves = (c->last - c->first) / 4;
    const double bottom = c->plot.y + c->plot.h;
    const int32_t low =
        (int32_t)lround(log2(wispi_histogram_edge(c->series[0].histogram, c->first)));
    for (int32_t i = 0; i <= octaves; i++) {
        const int32_t power = low + i;
        char text[16];
        power_text(power, text);
        if (octaves <= 8 || power % 2 == 0)
            tick(c, x_of(c, exp2(power)), 0, text);
        power_text(power / 2, text);
        if (power % 2 == 0)
            tick(c, x_of(c, exp2(power)), 1, text);
    }
    wispi_canvas_text(c->sheet->canvas, c->plot.x - 18, bottom + 16, WISPI_ALIGN_RIGHT, &small,
                      "area");
    wispi_canvas_text(c->sheet->canvas, c->plot.x - 18, bottom + 31, WISPI_ALIGN_RIGHT, &small,
                      "length");
}

static void draw_share_axis(const chart *c)
{
    for (int32_t i = 0; i <= 4; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d %%", 25 * i);
        tick(c, x_of(c, 0.25 * i), 0, text);
    }
}

static void draw_head(const chart *c, const char *title)
{
    const wispi_font bold = wispi_sheet_font(12.5, 1, WISPI_INK);
    wispi_canvas_text(c->sheet->canvas, c->plot.x - LEFT, c->plot.y - HEAD + 14, WISPI_ALIGN_LEFT,
                      &bold, title);
}

/* Means in a line below the title, and where they lie. */
static double draw_mean(const chart *c, const series *s, double x, const char *text)
{
    const wispi_font font = wispi_sheet_font(11, 0, s->ink);
    const double at = x_of(c, wispi_histogram_mean(s->histogram));
    if (at > c->plot.x && at < c->plot.x + c->plot.w)
        wispi_canvas_line(c->sheet->canvas, at, c->plot.y, at, c->plot.y + c->plot.h, 1.25, 3,
                          s->ink);
    return wispi_canvas_text(c->sheet->canvas, x, c->plot.y - HEAD + 32, WISPI_ALIGN_LEFT, &font,
                             text);
}

static void draw_means(const chart *c)
{
    const wispi_view_numbers *n = &c->sheet->views->arms[c->arm].numbers;
    double x = c->plot.x - LEFT;
    for (int32_t i = 0; i < c->n_series; i++) {
        const series *s = &c->series[i];
        const double mean = wispi_histogram_mean(s->histogram);
        char text[128];
        if (c->kind == PIXEL_RATIO)
            snprintf(text, sizeof text, "mean %.2f by area, %.2f by length", mean,
                     wispi_view_numbers_mean(n, WISPI_MEAN_RATIO_LENGTH));
        else if (c->kind == PIXEL_SCALE)
            snprintf(text, sizeof text, "%.31s: mean %.2f", s->name, mean);
        else if (c->kind == OVERLAP)
            snprintf(text, sizeof text, "mean %.1f %%; %.1f %% of the pairs share nothing",
                     100 * mean, 100 * wispi_view_numbers_mean(n, WISPI_MEAN_APART));
        else
            snprintf(text, sizeof text, "%.31s: mean %.1f %%", s->name, 100 * mean);
        x += 16 + draw_mean(c, s, x, text);
    }
}

/* Where there are more pixels in a view than in its box. */
static void shade_up_sampled(const chart *c)
{
    const wispi_font small = wispi_sheet_font(10.5, 0, WISPI_INK_MUTED);
    const double one = fmin(fmax(x_of(c, 1), c->plot.x), c->plot.x + c->plot.w);
    wispi_canvas_fill(c->sheet->canvas,
                      (wispi_area){c->plot.x, c->plot.y, one - c->plot.x, c->plot.h},
                      WISPI_INK_SHADE);
    if (one - c->plot.x > 80)
        wispi_canvas_text(c->sheet->canvas, c->plot.x + 7, c->plot.y + 14, WISPI_ALIGN_LEFT, &small,
                          "up-sampled");
}

static void draw_columns(const chart *c)
{
    double heights[WISPI_MOST_BINS];
    for (int32_t i = 0; i < c->n_series; i++) {
        for (int32_t b = c->first; b < c->last; b++)
            heights[b - c->first] = share_of(c->series[i].histogram, b) / c->top;
        wispi_canvas_columns(c->sheet->canvas, c->plot, heights, c->last - c->first,
                             c->series[i].ink);
    }
}

static void draw_histogram(chart *c)
{
    static const char *const titles[] = {
        "Crop scale, share of the image\u2019s area", "Pixel scale, source pixels per pixel",
        "PS_l / PS_g, local over global", "Overlap, share of a local box in a global box"};
    draw_head(c, titles[c->kind]);
    find_axes(c);
    if (c->n_series == 0 || c->last <= c->first) {
        const wispi_font plain = wispi_sheet_font(11, 0, WISPI_INK_MUTED);
        wispi_canvas_text(c->sheet->canvas, c->plot.x - LEFT, c->plot.y - HEAD + 32,
                          WISPI_ALIGN_LEFT, &plain, "no local views");
        return;
    }
    if (c->kind == PIXEL_SCALE)
        shade_up_sampled(c);
    draw_upright_axis(c);
    draw_columns(c);
    if (c->series[0].histogram->by_log)
        draw_log_axis(c);
    else
        draw_share_axis(c);
    draw_means(c);
}

/* --- bars --- */

enum { BAR = 18, LABEL = 64 };

static double draw_label(const chart *c, double y, const char *text, wispi_ink ink)
{
    const wispi_font font = wispi_sheet_font(11.5, 0, ink);
    wispi_canvas_text_within(c->sheet->canvas, c->plot.x - LEFT, y + 13, LABEL, &font, text);
    return c->plot.x - LEFT + LABEL + 8;
}

static void draw_up_sampled(const chart *c)
{
    const wispi_view_numbers *n = &c->sheet->views->arms[c->arm].numbers;
    const wispi_font value = wispi_sheet_font(11.5, 1, WISPI_INK);
    const int32_t step = bar_step(c->sheet);
    draw_head(c, "Up-sampled, share of the views");
    for (int32_t g = 0; g < n->n_groups; g++) {
        const double y = c->plot.y - HEAD + 34 + step * g;
        const double x = draw_label(c, y, n->groups[g].group.name, wispi_sheet_group_ink(g));
        const double room = c->plot.x + c->plot.w - x - 64;
        const double share = (double)n->groups[g].n_up_sampled / (double)n->groups[g].crop_scale.n;
        char text[32];
        snprintf(text, sizeof text, "%.1f %%", 100 * share);
        wispi_canvas_fill(c->sheet->canvas, (wispi_area){x, y, room, BAR}, WISPI_INK_SHADE);
        wispi_canvas_fill(c->sheet->canvas, (wispi_area){x, y, room * share, BAR},
                          wispi_sheet_group_ink(g));
        wispi_canvas_text(c->sheet->canvas, c->plot.x + c->plot.w, y + 13, WISPI_ALIGN_RIGHT,
                          &value, text);
    }
}

static double most_pixels(const wispi_views *v)
{
    double most = 1;
    for (int32_t a = 0; a < v->n_arms; a++)
        most = fmax(most, wispi_view_numbers_mean(&v->arms[a].numbers, WISPI_MEAN_PIXELS));
    return most;
}

/* Bars of the groups, one beginning where the other ends. */
static void draw_pixels(const chart *c)
{
    const wispi_view_numbers *n = &c->sheet->views->arms[c->arm].numbers;
    const double most = most_pixels(c->sheet->views),
                 all = wispi_view_numbers_mean(n, WISPI_MEAN_PIXELS);
    const int32_t step = bar_step(c->sheet);
    double begun = 0;
    char text[WISPI_VIEW_CELL], title[64];
    wispi_view_mean_text(WISPI_MEAN_PIXELS, all, text);
    snprintf(title, sizeof title, "Pixels per image: %s", text);
    draw_head(c, title);
    for (int32_t g = 0; g < n->n_groups; g++) {
        const wisp_view_group *group = &n->groups[g].group;
        const wispi_font value = wispi_sheet_font(11.5, 1, WISPI_INK);
        const double y = c->plot.y - HEAD + 34 + step * g;
        const double x = draw_label(c, y, group->name, wispi_sheet_group_ink(g));
        const double room = c->plot.x + c->plot.w - x - 84;
        const double pixels = (double)group->count * group->width * group->height;
        wispi_view_mean_text(WISPI_MEAN_PIXELS, pixels, text);
        wispi_canvas_fill(c->sheet->canvas, (wispi_area){x, y, room, BAR}, WISPI_INK_SHADE);
        wispi_canvas_fill(c->sheet->canvas,
                          (wispi_area){x + room * begun / most, y, room * pixels / most, BAR},
                          wispi_sheet_group_ink(g));
        wispi_canvas_text(c->sheet->canvas, c->plot.x + c->plot.w, y + 13, WISPI_ALIGN_RIGHT,
                          &value, text);
        begun += pixels;
    }
}

void wispi_sheet_draw_charts(const wispi_sheet *s, int32_t arm, int32_t y)
{
    const int32_t columns = columns_of(s);
    const int32_t w = (s->panel_w - (columns - 1) * BETWEEN) / columns;
    for (int32_t kind = 0; kind < N_CHARTS; kind++) {
        const int32_t x = wispi_sheet_panel_x(arm, s->panel_w) + kind % columns * (w + BETWEEN);
        const int32_t top = y + top_of(s, kind / columns);
        chart c = {.sheet = s,
                   .kind = kind,
                   .arm = arm,
                   .plot = {x + LEFT, top + HEAD, w - LEFT - RIGHT, PLOT}};
        if (kind <= OVERLAP)
            c.n_series = find_series(s->views, kind, arm, c.series);
        if (kind <= OVERLAP)
            draw_histogram(&c);
        else if (kind == UP_SAMPLED)
            draw_up_sampled(&c);
        else
            draw_pixels(&c);
    }
}

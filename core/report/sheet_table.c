/* sheet_table.c - the means of all arms beside those of the published recipes, and what the words
 * mean. */
#include <stdio.h>

#include "report/published_recipes.h"
#include "report/sheet_parts.h"

enum {
    FIRST = 232,
    COLUMN = 116,
    ROW = 25,
    HEADS = 46,
    NOTES = 340,
    LEADING = 18,
    NOTES_BELOW = 110
};

int32_t wispi_sheet_table_width(const wispi_sheet *s)
{
    return FIRST + COLUMN * (s->views->n_arms + WISPI_N_RECIPES);
}

/* Notes stand beside the table where there is room, else below. */
static int32_t notes_fit_beside(const wispi_sheet *s)
{
    return s->width - 2 * WISPI_SHEET_MARGIN - wispi_sheet_table_width(s) >= NOTES + 60;
}

int32_t wispi_sheet_table_height(const wispi_sheet *s)
{
    return HEADS + ROW * WISPI_N_MEANS + (notes_fit_beside(s) ? 0 : NOTES_BELOW);
}

static double right_of(int32_t column)
{
    return WISPI_SHEET_MARGIN + FIRST + COLUMN * (column + 1) - 12;
}

static void draw_heads(const wispi_sheet *s, int32_t y)
{
    const wispi_font bold = wispi_sheet_font(12.5, 1, WISPI_INK),
                     muted = wispi_sheet_font(12.5, 0, WISPI_INK_MUTED),
                     small = wispi_sheet_font(11, 0, WISPI_INK_MUTED);
    const int32_t n = s->views->n_arms;
    for (int32_t a = 0; a < n; a++) {
        char letter[2] = {(char)('A' + a), '\0'};
        wispi_canvas_text(s->canvas, right_of(a), y + 34, WISPI_ALIGN_RIGHT, &bold,
                          n > 1 ? letter : "here");
    }
    for (int32_t r = 0; r < WISPI_N_RECIPES; r++)
        wispi_canvas_text(s->canvas, right_of(n + r), y + 34, WISPI_ALIGN_RIGHT, &muted,
                          wispi_published_recipes[r].name);
    const double left = right_of(n - 1) + 24, right = right_of(n + WISPI_N_RECIPES - 1);
    wispi_canvas_text(s->canvas, (left + right) / 2, y + 12, WISPI_ALIGN_CENTRE, &small,
                      "published recipes, on images of 500 \u00d7 375 px");
    wispi_canvas_line(s->canvas, left, y + 18.5, right, y + 18.5, 1, 0, WISPI_INK_RULE);
}

static void draw_mean_row(const wispi_sheet *s, int32_t which, int32_t y)
{
    const wispi_font label = wispi_sheet_font(12.5, 0, WISPI_INK),
                     own = wispi_sheet_font(12.5, 1, WISPI_INK),
                     other = wispi_sheet_font(12.5, 0, WISPI_INK_MUTED);
    const int32_t n = s->views->n_arms;
    char cell[WISPI_VIEW_CELL];
    if (which % 2 == 0)
        wispi_canvas_fill(s->canvas,
                          (wispi_area){WISPI_SHEET_MARGIN, y, wispi_sheet_table_width(s), ROW},
                          WISPI_INK_SHADE);
    wispi_canvas_text(s->canvas, WISPI_SHEET_MARGIN + 10, y + 17, WISPI_ALIGN_LEFT, &label,
                      wispi_view_means[which].words);
    for (int32_t a = 0; a < n; a++) {
        wispi_view_mean_text(which, wispi_view_numbers_mean(&s->views->arms[a].numbers, which),
                             cell);
        wispi_canvas_text(s->canvas, right_of(a), y + 17, WISPI_ALIGN_RIGHT, &own, cell);
    }
    for (int32_t r = 0; r < WISPI_N_RECIPES; r++) {
        wispi_view_mean_text(which, wispi_published_recipes[r].means[which], cell);
        wispi_canvas_text(s->canvas, right_of(n + r), y + 17, WISPI_ALIGN_RIGHT, &other, cell);
    }
}

static void draw_notes(const wispi_sheet *s, int32_t y)
{
    const wispi_font plain = wispi_sheet_font(12, 0, WISPI_INK_MUTED);
    const int32_t table = wispi_sheet_table_width(s), beside = notes_fit_beside(s);
    const double x = WISPI_SHEET_MARGIN + (beside ? table + 56 : 0);
    const double top = y + (beside ? HEADS + 14 : HEADS + ROW * WISPI_N_MEANS + 34);
    double width = s->width - WISPI_SHEET_MARGIN - x;
    width = width > 560 && beside ? 560 : width;
    wispi_canvas_paragraph(s->canvas, x, top, width, LEADING, &plain,
                           WISPI_VIEW_DEFINITIONS "\n \n" WISPI_PUBLISHED_NOTE, 1);
}

void wispi_sheet_draw_table(const wispi_sheet *s, int32_t y)
{
    draw_heads(s, y);
    for (int32_t i = 0; i < WISPI_N_MEANS; i++)
        draw_mean_row(s, i, y + HEADS + ROW * i);
    draw_notes(s, y);
}

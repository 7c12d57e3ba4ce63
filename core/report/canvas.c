/* canvas.c - drawn by cairo, whose plain text interface is enough for labels. */
#include "report/canvas.h"

#include <cairo.h>
#include <jansson.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define FONT "DejaVu Sans"

enum { MOST_TEXT = 512 };

struct wispi_canvas {
    cairo_surface_t *surface;
    cairo_t *cairo;
    int32_t width, height;
};

/* --- life --- */

static wisp_status failure(cairo_status_t status, wisp_error *err)
{
    return wisp_fail(err, status == CAIRO_STATUS_NO_MEMORY ? WISP_E_NOMEM : WISP_E_IO,
                     "cannot draw: %s", cairo_status_to_string(status));
}

/* The same letters wherever the sheet is drawn: nothing is left to the settings of a desktop. */
static void set_text_options(cairo_t *cairo)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(cairo, options);
    cairo_font_options_destroy(options);
}

wisp_status wispi_canvas_create(int32_t width, int32_t height, wispi_canvas **canvas,
                                wisp_error *err)
{
    if (width < 1 || height < 1 || width > WISPI_CANVAS_MAX_SIDE || height > WISPI_CANVAS_MAX_SIDE)
        return wisp_fail(err, WISP_E_INVALID,
                         "the sheet would have %d x %d px, more than %d a side: show fewer images",
                         width, height, WISPI_CANVAS_MAX_SIDE);
    wispi_canvas *c = wispi_alloc(sizeof *c);
    if (!c)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a sheet");
    c->width = width;
    c->height = height;
    c->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    c->cairo = cairo_create(c->surface);
    const cairo_status_t status = cairo_status(c->cairo);
    if (status != CAIRO_STATUS_SUCCESS) {
        wispi_canvas_destroy(c);
        return failure(status, err);
    }
    set_text_options(c->cairo);
    wispi_canvas_fill(c, (wispi_area){0, 0, width, height}, (wispi_ink){0xffffff, 1});
    *canvas = c;
    return WISP_OK;
}

void wispi_canvas_destroy(wispi_canvas *c)
{
    if (!c)
        return;
    cairo_destroy(c->cairo);
    cairo_surface_destroy(c->surface);
    wispi_free(c);
}

/* --- shapes --- */

static void take_ink(cairo_t *cairo, wispi_ink ink)
{
    cairo_set_source_rgba(cairo, (double)(ink.rgb >> 16 & 255) / 255,
                          (double)(ink.rgb >> 8 & 255) / 255, (double)(ink.rgb & 255) / 255,
                          ink.cover);
}

void wispi_canvas_fill(wispi_canvas *c, wispi_area a, wispi_ink ink)
{
    take_ink(c->cairo, ink);
    cairo_rectangle(c->cairo, a.x, a.y, a.w, a.h);
    cairo_fill(c->cairo);
}

void wispi_canvas_frame(wispi_canvas *c, wispi_area a, double width, wispi_ink ink)
{
    take_ink(c->cairo, ink);
    cairo_set_line_width(c->cairo, width);
    cairo_rectangle(c->cairo, a.x, a.y, a.w, a.h);
    cairo_stroke(c->cairo);
}

void wispi_canvas_line(wispi_canvas *c, double x0, double y0, double x1, double y1, double width,
                       double dash, wispi_ink ink)
{
    take_ink(c->cairo, ink);
    cairo_set_line_width(c->cairo, width);
    cairo_set_dash(c->cairo, &dash, dash > 0, 0);
    cairo_move_to(c->cairo, x0, y0);
    cairo_line_to(c->cairo, x1, y1);
    cairo_stroke(c->cairo);
    cairo_set_dash(c->cairo, NULL, 0, 0);
}

void wispi_canvas_columns(wispi_canvas *c, wispi_area a, const double *heights, int32_t n,
                          wispi_ink ink)
{
    const double bottom = a.y + a.h;
    cairo_move_to(c->cairo, a.x, bottom);
    for (int32_t i = 0; i < n; i++) {
        const double y = bottom - heights[i] * a.h;
        cairo_line_to(c->cairo, a.x + a.w * i / n, y);
        cairo_line_to(c->cairo, a.x + a.w * (i + 1) / n, y);
    }
    cairo_line_to(c->cairo, a.x + a.w, bottom);
    take_ink(c->cairo, (wispi_ink){ink.rgb, 0.28 * ink.cover});
    cairo_fill_preserve(c->cairo);
    take_ink(c->cairo, ink);
    cairo_set_line_width(c->cairo, 1.25);
    cairo_stroke(c->cairo);
}

/* --- text --- */

static void take_font(cairo_t *cairo, const wispi_font *font, double size)
{
    cairo_select_font_face(cairo, FONT, CAIRO_FONT_SLANT_NORMAL,
                           font->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, size);
}

static double advance_of(cairo_t *cairo, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(cairo, text, &extents);
    return extents.x_advance;
}

/* One piece of text at the pen; the pen moves on. */
static double show(cairo_t *cairo, double x, double y, const char *text, int32_t draw)
{
    if (draw) {
        cairo_move_to(cairo, x, y);
        cairo_show_text(cairo, text);
    }
    return advance_of(cairo, text);
}

/* The first `n` bytes as text that cairo takes: what is not UTF-8 loses all beyond ASCII. */
static void take_piece(const char *text, size_t n, char piece[MOST_TEXT])
{
    n = n < MOST_TEXT - 1 ? n : MOST_TEXT - 1;
    memcpy(piece, text, n);
    piece[n] = '\0';
    json_t *checked = json_string(piece);
    for (char *at = piece; !checked && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    json_decref(checked);
}

/* Where an index begins: PS_l, PS_g, CS_l, CS_g. */
static const char *find_index(const char *text)
{
    const char *mark = text;
    while ((mark = strchr(mark, '_')) != NULL) {
        const int is_scale = mark >= text + 2 && mark[-1] == 'S' && strchr("PC", mark[-2]);
        if (is_scale && (mark[1] == 'l' || mark[1] == 'g'))
            return mark;
        mark++;
    }
    return NULL;
}

static double set_text(cairo_t *cairo, double x, double y, const wispi_font *font, const char *text,
                       int32_t draw)
{
    const double start = x;
    char piece[MOST_TEXT];
    while (*text) {
        const char *mark = find_index(text);
        take_piece(text, mark ? (size_t)(mark - text) : strlen(text), piece);
        take_font(cairo, font, font->size);
        x += show(cairo, x, y, piece, draw);
        if (!mark)
            break;
        take_piece(mark + 1, 1, piece);
        take_font(cairo, font, 0.72 * font->size);
        x += show(cairo, x, y + 0.2 * font->size, piece, draw);
        text = mark + 2;
    }
    return x - start;
}

double wispi_canvas_text_width(wispi_canvas *c, const wispi_font *font, const char *text)
{
    return set_text(c->cairo, 0, 0, font, text, 0);
}

double wispi_canvas_text(wispi_canvas *c, double x, double y, int32_t align, const wispi_font *font,
                         const char *text)
{
    const double width = wispi_canvas_text_width(c, font, text);
    x -= align == WISPI_ALIGN_RIGHT ? width : align == WISPI_ALIGN_CENTRE ? width / 2 : 0;
    take_ink(c->cairo, font->ink);
    set_text(c->cairo, x, y, font, text, 1);
    return width;
}

void wispi_canvas_text_within(wispi_canvas *c, double x, double y, double width,
                              const wispi_font *font, const char *text)
{
    char cut[MOST_TEXT + 4];
    size_t n = strlen(text) < MOST_TEXT ? strlen(text) : MOST_TEXT - 1;
    memcpy(cut, text, n);
    cut[n] = '\0';
    while (n > 0 && wispi_canvas_text_width(c, font, cut) > width) {
        do
            n--;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80);
        memcpy(cut + n, "\u2026", sizeof "\u2026");
    }
    wispi_canvas_text(c, x, y, WISPI_ALIGN_LEFT, font, cut);
}

/* Bytes of `text` that fit into one line, at least one word. */
static size_t line_of(wispi_canvas *c, double width, const wispi_font *font, const char *text)
{
    char line[MOST_TEXT];
    size_t fits = 0;
    for (size_t n = 0;; n++) {
        if (text[n] != ' ' && text[n] != '\n' && text[n] != '\0')
            continue;
        take_piece(text, n, line);
        if (fits > 0 && wispi_canvas_text_width(c, font, line) > width)
            return fits;
        fits = n;
        if (text[n] != ' ')
            return fits;
    }
}

int32_t wispi_canvas_paragraph(wispi_canvas *c, double x, double y, double width, double leading,
                               const wispi_font *font, const char *text, int32_t draw)
{
    char line[MOST_TEXT];
    int32_t lines = 0;
    while (*text) {
        const size_t n = line_of(c, width, font, text);
        take_piece(text, n, line);
        if (draw)
            wispi_canvas_text(c, x, y + lines * leading, WISPI_ALIGN_LEFT, font, line);
        text += n;
        text += *text != '\0';
        lines++;
    }
    return lines;
}

/* --- pictures --- */

void wispi_canvas_picture(wispi_canvas *c, int32_t x, int32_t y, const wispi_image *image)
{
    const int32_t stride = cairo_image_surface_get_stride(c->surface);
    uint8_t *rows = cairo_image_surface_get_data(c->surface);
    if (!rows)
        return;
    cairo_surface_flush(c->surface);
    for (int32_t row = 0; row < image->height; row++)
        for (int32_t column = 0; column < image->width; column++) {
            const uint8_t *from =
                image->pixels + 3 * ((size_t)row * (size_t)image->width + (size_t)column);
            const int32_t to_y = y + row, to_x = x + column;
            if (to_x < 0 || to_y < 0 || to_x >= c->width || to_y >= c->height)
                continue;
            const uint32_t pixel = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
            memcpy(rows + (size_t)to_y * (size_t)stride + 4 * (size_t)to_x, &pixel, sizeof pixel);
        }
    cairo_surface_mark_dirty(c->surface);
}

static cairo_status_t append_bytes(void *user, const unsigned char *data, unsigned int n)
{
    wispi_text *file = user;
    wispi_text_append_bytes(file, data, n);
    return file->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

wisp_status wispi_canvas_png(wispi_canvas *c, uint8_t **png, size_t *bytes, wisp_error *err)
{
    wispi_text file = {0};
    cairo_status_t status = cairo_status(c->cairo);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(c->surface, append_bytes, &file);
    if (status != CAIRO_STATUS_SUCCESS) {
        wispi_text_free(&file);
        return failure(status, err);
    }
    *png = (uint8_t *)file.data;
    *bytes = file.length;
    return WISP_OK;
}

/* decode_png.c - PNG through libpng.
 *
 * Errors jump to the setjmp of the entry that was called and never leave this file. All of libpng's
 * and zlib's memory comes from the decoder's arena, so a jump leaks nothing and a worker allocates
 * nothing after its first pictures. Ancillary chunks are skipped unread: none changes what Pillow's
 * conversion to RGB gives, and compressed texts are a way to eat memory. */
#include "image/decode_format.h"

#include <setjmp.h>
#include <stdio.h>

#include <png.h>

#include "base/memory.h"
#include "image/orientation.h"

/* Deflate shrinks by 1032 at most; a file that promises more pixels than that is a trap. */
enum { MOST_SHRINK = 1040 };

struct wispi_png {
    jmp_buf escape;
    wispi_decoder *decoder;
    png_structp png;
    png_infop info;
    size_t at; /* of the file's bytes */
    uint32_t width, height;
    int passes;
    size_t pixel_bytes; /* as libpng gives them */
    uint8_t *pixels;
    wisp_status status;
    char message[WISPI_CODEC_MESSAGE];
};

static _Noreturn void give_up(struct wispi_png *s, wisp_status status, const char *message)
{
    s->status = status;
    snprintf(s->message, sizeof s->message, "%s", message);
    longjmp(s->escape, 1);
}

static _Noreturn void on_error(png_structp png, png_const_charp message)
{
    struct wispi_png *s = png_get_error_ptr(png);
    /* A failed allocation arrives here under many names; the callback below has set the status. */
    give_up(s, s->status == WISP_E_NOMEM ? WISP_E_NOMEM : WISP_E_DATA, message);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_voidp take_memory(png_structp png, png_alloc_size_t bytes)
{
    struct wispi_png *s = png_get_mem_ptr(png);
    void *memory = wispi_arena_alloc(s->decoder->arena, bytes);
    if (!memory)
        s->status = WISP_E_NOMEM;
    return memory;
}

static void give_memory(png_structp png, png_voidp memory)
{
    (void)png;
    (void)memory;
}

static void read_bytes(png_structp png, png_bytep target, size_t n)
{
    struct wispi_png *s = png_get_io_ptr(png);
    if (n > s->decoder->bytes - s->at)
        give_up(s, WISP_E_DATA, "it ends too early");
    memcpy(target, s->decoder->data + s->at, n);
    s->at += n;
}

static void set_up(struct wispi_png *s)
{
    s->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, s, on_error, on_warning, s,
                                      take_memory, give_memory);
    if (s->png)
        s->info = png_create_info_struct(s->png);
    if (!s->info)
        give_up(s, WISP_E_NOMEM, "no memory for libpng");
    png_set_read_fn(s->png, s, read_bytes);
    png_set_user_limits(s->png, WISPI_IMAGE_MAX_SIDE, WISPI_IMAGE_MAX_SIDE);
    png_set_keep_unknown_chunks(s->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
}

static void check_header(struct wispi_png *s)
{
    s->width = png_get_image_width(s->png, s->info);
    s->height = png_get_image_height(s->png, s->info);
    const char *complaint = wispi_size_complaint(s->width, s->height);
    if (complaint)
        give_up(s, WISP_E_DATA, complaint);
    uint64_t raw = (uint64_t)png_get_rowbytes(s->png, s->info) * s->height;
    if (raw / MOST_SHRINK > s->decoder->bytes)
        give_up(s, WISP_E_DATA, "it is too short for its size in pixels");
}

/* Asks libpng for 8-bit RGB, or for 16-bit gray as it is. Returns bytes per pixel. */
static size_t choose_transforms(struct wispi_png *s)
{
    int depth = png_get_bit_depth(s->png, s->info);
    int colour = png_get_color_type(s->png, s->info);
    if (colour == PNG_COLOR_TYPE_GRAY && depth == 16)
        return 2;
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(s->png);
    if (colour == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(s->png);
    if (depth == 16)
        png_set_strip_16(s->png);
    if (!(colour & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(s->png);
    png_set_strip_alpha(s->png);
    return 3;
}

/* 16-bit gray stands in the last two thirds of the buffer; walking forward, no pixel is overwritten
 * before it is read. */
static void rgb_from_gray16(uint8_t *pixels, size_t n)
{
    const uint8_t *gray = pixels + n;
    for (size_t i = 0; i < n; i++) {
        uint8_t v = gray[2 * i] ? 255 : gray[2 * i + 1];
        memset(pixels + 3 * i, v, 3);
    }
}

static void read_header(struct wispi_png *s)
{
    set_up(s);
    png_read_info(s->png, s->info);
    check_header(s);
    s->pixel_bytes = choose_transforms(s);
    s->passes = png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    if (png_get_rowbytes(s->png, s->info) != s->width * s->pixel_bytes)
        give_up(s, WISP_E_DATA, "its rows have an unexpected layout");
}

static wisp_status open_guarded(struct wispi_png *s)
{
    if (setjmp(s->escape))
        return s->status;
    read_header(s);
    return WISP_OK;
}

static wisp_status fail_with(const struct wispi_png *s, wisp_status status, wisp_error *err)
{
    return wisp_fail(err, status, "PNG of %zu bytes (%u x %u): %s", s->decoder->bytes, s->width,
                     s->height, s->message);
}

static wisp_status open_png(wispi_decoder *decoder, wispi_picture *picture, wisp_error *err)
{
    if (!decoder->png)
        decoder->png = wispi_alloc(sizeof *decoder->png);
    struct wispi_png *s = decoder->png;
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a PNG decoder");
    memset(s, 0, sizeof *s);
    s->decoder = decoder;
    wisp_status status = open_guarded(s);
    if (status != WISP_OK)
        return fail_with(s, status, err);
    *picture = (wispi_picture){(int32_t)s->width, (int32_t)s->height, 0};
    return WISP_OK;
}

static void close_png(wispi_decoder *decoder)
{
    struct wispi_png *s = decoder->png;
    if (s && s->png)
        png_destroy_read_struct(&s->png, &s->info, NULL);
}

/* --- chunks --- */

enum { SIGNATURE = 8, CHUNK = 12 };

/* The next chunk that lies in the file with its length, name and check value; 0 when there is none.
 * `at` begins at SIGNATURE. */
static int next_chunk(const uint8_t *data, size_t bytes, size_t *at, const uint8_t **name,
                      size_t *length)
{
    if (bytes < *at || bytes - *at < CHUNK)
        return 0;
    const uint8_t *head = data + *at;
    *length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (*length > bytes - *at - CHUNK)
        return 0;
    *name = head + 4;
    *at += CHUNK + *length;
    return 1;
}

static int is_complete(const uint8_t *data, size_t bytes)
{
    const uint8_t *name;
    size_t length, at = SIGNATURE;
    while (next_chunk(data, bytes, &at, &name, &length))
        if (memcmp(name, "IEND", 4) == 0)
            return 1;
    return 0;
}

static int32_t orientation_of_png(const uint8_t *data, size_t bytes)
{
    const uint8_t *name;
    size_t length, at = SIGNATURE;
    while (next_chunk(data, bytes, &at, &name, &length))
        if (memcmp(name, "eXIf", 4) == 0)
            return wispi_tiff_orientation(name + 4, length);
    return 1;
}

/* --- the pixels --- */

/* Rows above the first wanted one are read over each other. */
static void read_rows(struct wispi_png *s, uint8_t *first, const wisp_box *cut)
{
    const size_t row_bytes = s->width * s->pixel_bytes;
    for (int pass = 0; pass < s->passes; pass++)
        for (int32_t y = 0; y < cut->y + cut->h; y++)
            png_read_row(s->png, first + (size_t)(y > cut->y ? y - cut->y : 0) * row_bytes, NULL);
}

static void finish(struct wispi_png *s, const wisp_box *cut)
{
    if ((uint32_t)(cut->y + cut->h) == s->height)
        png_read_end(s->png, NULL);
    else if (!is_complete(s->decoder->data, s->decoder->bytes))
        give_up(s, WISP_E_DATA, "it ends too early");
}

static wisp_status part_guarded(struct wispi_png *s, const wisp_box *cut)
{
    if (setjmp(s->escape))
        return s->status;
    const size_t n = (size_t)cut->w * (size_t)cut->h;
    s->pixels = wispi_scratch_reserve(&s->decoder->pixels, n * 3);
    if (!s->pixels)
        give_up(s, WISP_E_NOMEM, "no memory for its pixels");
    read_rows(s, s->pixels + n * (3 - s->pixel_bytes), cut);
    finish(s, cut);
    if (s->pixel_bytes == 2)
        rgb_from_gray16(s->pixels, n);
    return WISP_OK;
}

/* Whole rows, down to the last that is needed; all of a picture that comes in seven passes. */
static wisp_status part_png(wispi_decoder *decoder, const wisp_box *part, int32_t shrink,
                            wispi_part *covered, wisp_error *err)
{
    struct wispi_png *s = decoder->png;
    wisp_box cut = {0, part->y, (int32_t)s->width, part->h};
    (void)shrink;
    if (s->passes > 1)
        cut = (wisp_box){0, 0, (int32_t)s->width, (int32_t)s->height};
    wisp_status status = part_guarded(s, &cut);
    if (status != WISP_OK)
        return fail_with(s, status, err);
    *covered = (wispi_part){{s->pixels, cut.w, cut.h}, cut.x, cut.y};
    return WISP_OK;
}

const wispi_decode_format wispi_png_format = {open_png, part_png, close_png, orientation_of_png};

/* decode_png.c - PNG through libpng.
 *
 * Errors jump to the single setjmp in decode_guarded and never leave this file. All of libpng's and
 * zlib's memory comes from the decoder's arena, so a jump leaks nothing and a worker allocates
 * nothing after its first pictures. Ancillary chunks are skipped unread: none changes what Pillow's
 * conversion to RGB gives, and compressed texts are a way to eat memory. */
#include "image/decode_format.h"

#include <setjmp.h>
#include <stdio.h>

#include <png.h>

/* Deflate shrinks by 1032 at most; a file that promises more pixels than that is a trap. */
enum { MOST_SHRINK = 1040 };

struct session {
    jmp_buf escape;
    struct wispi_decoder *decoder;
    png_structp png;
    png_infop info;
    const uint8_t *data;
    size_t bytes, at;
    uint32_t width, height;
    uint8_t *pixels;
    wisp_status status;
    char message[WISPI_CODEC_MESSAGE];
};

static _Noreturn void give_up(struct session *s, wisp_status status, const char *message)
{
    s->status = status;
    snprintf(s->message, sizeof s->message, "%s", message);
    longjmp(s->escape, 1);
}

static _Noreturn void on_error(png_structp png, png_const_charp message)
{
    struct session *s = png_get_error_ptr(png);
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
    struct session *s = png_get_mem_ptr(png);
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
    struct session *s = png_get_io_ptr(png);
    if (n > s->bytes - s->at)
        give_up(s, WISP_E_DATA, "it ends too early");
    memcpy(target, s->data + s->at, n);
    s->at += n;
}

static void set_up(struct session *s)
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

static void check_header(struct session *s)
{
    s->width = png_get_image_width(s->png, s->info);
    s->height = png_get_image_height(s->png, s->info);
    const char *complaint = wispi_size_complaint(s->width, s->height);
    if (complaint)
        give_up(s, WISP_E_DATA, complaint);
    uint64_t raw = (uint64_t)png_get_rowbytes(s->png, s->info) * s->height;
    if (raw / MOST_SHRINK > s->bytes)
        give_up(s, WISP_E_DATA, "it is too short for its size in pixels");
}

/* Asks libpng for 8-bit RGB, or for 16-bit gray as it is. Returns bytes per pixel. */
static size_t choose_transforms(struct session *s)
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

static wisp_status decode_guarded(struct session *s)
{
    if (setjmp(s->escape))
        return s->status;
    set_up(s);
    png_read_info(s->png, s->info);
    check_header(s);
    size_t pixel_bytes = choose_transforms(s);
    int passes = png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    size_t n = (size_t)s->width * s->height, row_bytes = s->width * pixel_bytes;
    if (png_get_rowbytes(s->png, s->info) != row_bytes)
        give_up(s, WISP_E_DATA, "its rows have an unexpected layout");
    s->pixels = wispi_scratch_reserve(&s->decoder->pixels, n * 3);
    if (!s->pixels)
        give_up(s, WISP_E_NOMEM, "no memory for its pixels");
    uint8_t *first = s->pixels + n * (3 - pixel_bytes);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < s->height; y++)
            png_read_row(s->png, first + y * row_bytes, NULL);
    png_read_end(s->png, NULL);
    if (pixel_bytes == 2)
        rgb_from_gray16(s->pixels, n);
    return WISP_OK;
}

wisp_status wispi_decode_png(struct wispi_decoder *decoder, const uint8_t *data, size_t bytes,
                             wispi_image *image, wisp_error *err)
{
    struct session s;
    memset(&s, 0, sizeof s);
    s.decoder = decoder;
    s.data = data;
    s.bytes = bytes;
    wisp_status status = decode_guarded(&s);
    if (s.png)
        png_destroy_read_struct(&s.png, &s.info, NULL);
    wispi_arena_reset(decoder->arena);
    if (status != WISP_OK)
        return wisp_fail(err, status, "PNG of %zu bytes (%u x %u): %s", bytes, s.width, s.height,
                         s.message);
    *image = (wispi_image){s.pixels, (int32_t)s.width, (int32_t)s.height};
    return WISP_OK;
}

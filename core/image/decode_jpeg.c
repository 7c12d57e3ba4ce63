/* decode_jpeg.c - JPEG through libjpeg-turbo.
 *
 * The library reports errors by a callback that must not return. Ours jumps to the single setjmp in
 * decode_guarded, so no jump ever leaves this file. A decompressor lives for one picture only:
 * a longer-lived one would let a file without tables borrow those of the picture before it. */
#include "image/decode_format.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>
#include <jerror.h>

/* A progressive file may repeat scans of nothing; honest encoders use about ten. */
enum { MAX_SCANS = 500 };

struct session {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    struct wispi_decoder *decoder;
    uint8_t *pixels;
    size_t bytes;
    wisp_status status;
    char message[WISPI_CODEC_MESSAGE];
};

_Static_assert(JMSG_LENGTH_MAX <= WISPI_CODEC_MESSAGE, "messages of libjpeg fit");

static _Noreturn void give_up(struct session *s, wisp_status status, const char *message)
{
    s->status = status;
    snprintf(s->message, sizeof s->message, "%s", message);
    longjmp(s->escape, 1);
}

static void on_error(j_common_ptr info)
{
    struct session *s = info->client_data;
    int short_of_memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    give_up(s, short_of_memory ? WISP_E_NOMEM : WISP_E_DATA, text);
}

/* Warnings that mean lost or invented pixels are errors; the others (stray bytes between segments,
 * odd version numbers) leave the picture whole. */
static void on_message(j_common_ptr info, int level)
{
    if (level >= 0)
        return;
    switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
        on_error(info);
        break;
    default:
        break;
    }
}

static void on_progress(j_common_ptr info)
{
    struct session *s = info->client_data;
    if (info->is_decompressor && s->info.input_scan_number > MAX_SCANS)
        give_up(s, WISP_E_DATA, "it has more than 500 scans");
}

static void source_nothing(j_decompress_ptr info)
{
    (void)info;
}

static boolean source_ended(j_decompress_ptr info)
{
    give_up(info->client_data, WISP_E_DATA, "it ends too early");
}

static void source_skip(j_decompress_ptr info, long n)
{
    if (n <= 0)
        return;
    if ((size_t)n > info->src->bytes_in_buffer)
        source_ended(info);
    info->src->next_input_byte += n;
    info->src->bytes_in_buffer -= (size_t)n;
}

static void set_up(struct session *s, const uint8_t *data, size_t bytes)
{
    s->info.err = jpeg_std_error(&s->errors);
    s->errors.error_exit = on_error;
    s->errors.emit_message = on_message;
    s->info.client_data = s;
    jpeg_create_decompress(&s->info);
    s->info.client_data = s;
    s->progress.progress_monitor = on_progress;
    s->info.progress = &s->progress;
    s->source.init_source = source_nothing;
    s->source.fill_input_buffer = source_ended;
    s->source.skip_input_data = source_skip;
    s->source.resync_to_restart = jpeg_resync_to_restart;
    s->source.term_source = source_nothing;
    s->source.next_input_byte = data;
    s->source.bytes_in_buffer = bytes;
    s->info.src = &s->source;
}

static void check_header(struct session *s)
{
    const struct jpeg_decompress_struct *info = &s->info;
    const char *complaint = wispi_size_complaint(info->image_width, info->image_height);
    if (complaint)
        give_up(s, WISP_E_DATA, complaint);
    /* Each 8x8 block of the finest component costs a bit or more, which bounds what a short file
     * can hold before memory is taken for it; 16 allows for components that share the fineness. */
    uint64_t blocks = (((uint64_t)info->image_width + 7) / 8) * ((info->image_height + 7) / 8);
    if (!info->arith_code && blocks / 16 > (uint64_t)s->bytes * 8)
        give_up(s, WISP_E_DATA, "it is too short for its size in pixels");
    if (info->num_components != 1 && info->num_components != 3 && info->num_components != 4)
        give_up(s, WISP_E_DATA, "it has neither 1, 3 nor 4 components");
}

/* Inverted CMYK, as Adobe writes it and Pillow always assumes, to RGB. */
static void rgb_from_cmyk(const uint8_t *cmyk, uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t white = cmyk[4 * i + 3];
        for (size_t c = 0; c < 3; c++) {
            uint32_t ink = (255u - cmyk[4 * i + c]) * white + 128;
            ink = (ink + (ink >> 8)) >> 8; /* divided by 255, rounded */
            rgb[3 * i + c] = (uint8_t)(white - ink);
        }
    }
}

static void read_rows(struct session *s)
{
    size_t width = s->info.output_width;
    int four = s->info.out_color_space == JCS_CMYK;
    uint8_t *line = NULL;
    if (four && !(line = wispi_scratch_reserve(&s->decoder->line, width * 4)))
        give_up(s, WISP_E_NOMEM, "no memory for a row");
    while (s->info.output_scanline < s->info.output_height) {
        uint8_t *row = s->pixels + (size_t)s->info.output_scanline * width * 3;
        JSAMPROW target = four ? line : row;
        if (jpeg_read_scanlines(&s->info, &target, 1) != 1)
            give_up(s, WISP_E_DATA, "it ends too early");
        if (four)
            rgb_from_cmyk(line, row, width);
    }
}

static wisp_status decode_guarded(struct session *s, const uint8_t *data, size_t bytes)
{
    if (setjmp(s->escape))
        return s->status;
    set_up(s, data, bytes);
    jpeg_read_header(&s->info, TRUE);
    check_header(s);
    s->info.out_color_space = s->info.num_components == 4 ? JCS_CMYK : JCS_RGB;
    size_t n = (size_t)s->info.image_width * s->info.image_height * 3;
    s->pixels = wispi_scratch_reserve(&s->decoder->pixels, n);
    if (!s->pixels)
        give_up(s, WISP_E_NOMEM, "no memory for its pixels");
    jpeg_start_decompress(&s->info);
    read_rows(s);
    jpeg_finish_decompress(&s->info);
    return WISP_OK;
}

wisp_status wispi_decode_jpeg(struct wispi_decoder *decoder, const uint8_t *data, size_t bytes,
                              wispi_image *image, wisp_error *err)
{
    struct session s;
    memset(&s, 0, sizeof s);
    s.decoder = decoder;
    s.bytes = bytes;
    wisp_status status = decode_guarded(&s, data, bytes);
    uint32_t width = s.info.image_width, height = s.info.image_height;
    jpeg_destroy_decompress(&s.info);
    if (status != WISP_OK)
        return wisp_fail(err, status, "JPEG of %zu bytes (%u x %u): %s", bytes, width, height,
                         s.message);
    *image = (wispi_image){s.pixels, (int32_t)width, (int32_t)height};
    return WISP_OK;
}

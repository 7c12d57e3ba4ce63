/* decode_jpeg.c - JPEG through libjpeg-turbo.
 *
 * The library reports errors by a callback that must not return. Ours jumps to the setjmp of the
 * entry that was called, so no jump ever leaves this file. The decompressor is kept, its memory is
 * the arena's: tables of a former picture are gone with that, and their pointers are cleared, so
 * that a file without tables cannot borrow them. */
#include "image/decode_format.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "image/jpeg_cut.h"
#include "image/jpeg_memory.h"
#include "image/jpeg_segments.h"

#include <jerror.h>

/* A progressive file may repeat scans of nothing; honest encoders use about ten. */
enum { MAX_SCANS = 500, ROWS_AT_ONCE = 16 };

struct wispi_jpeg {
    wispi_jpeg_client client; /* first: client_data converts */
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    wispi_decoder *decoder;
    uint8_t *pixels;
    wisp_status status;
    char message[WISPI_CODEC_MESSAGE];
};

_Static_assert(JMSG_LENGTH_MAX <= WISPI_CODEC_MESSAGE, "messages of libjpeg fit");

static _Noreturn void give_up(struct wispi_jpeg *s, wisp_status status, const char *message)
{
    s->status = status;
    snprintf(s->message, sizeof s->message, "%s", message);
    longjmp(s->escape, 1);
}

static void on_error(j_common_ptr info)
{
    struct wispi_jpeg *s = info->client_data;
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
    struct wispi_jpeg *s = info->client_data;
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

/* --- the decompressor --- */

static wisp_status create_guarded(struct wispi_jpeg *s)
{
    if (setjmp(s->escape))
        return s->status;
    s->info.err = jpeg_std_error(&s->errors);
    s->errors.error_exit = on_error;
    s->errors.emit_message = on_message;
    s->info.client_data = s;
    jpeg_create_decompress(&s->info);
    wispi_jpeg_memory_install(s->info.mem);
    s->progress.progress_monitor = on_progress;
    s->info.progress = &s->progress;
    s->source.init_source = source_nothing;
    s->source.fill_input_buffer = source_ended;
    s->source.skip_input_data = source_skip;
    s->source.resync_to_restart = jpeg_resync_to_restart;
    s->source.term_source = source_nothing;
    s->info.src = &s->source;
    return WISP_OK;
}

static wisp_status create(wispi_decoder *decoder, wisp_error *err)
{
    struct wispi_jpeg *s = wispi_alloc(sizeof *s);
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a JPEG decoder");
    s->decoder = decoder;
    wisp_status status = create_guarded(s);
    if (status != WISP_OK) {
        wisp_fail(err, status, "libjpeg does not start: %s", s->message);
        wispi_jpeg_destroy(s);
        return status;
    }
    decoder->jpeg = s;
    return WISP_OK;
}

void wispi_jpeg_destroy(struct wispi_jpeg *s)
{
    if (!s)
        return;
    jpeg_destroy_decompress(&s->info);
    wispi_free(s);
}

/* What is left of the picture before is forgotten; its memory goes with the arena. */
static void close_jpeg(wispi_decoder *decoder)
{
    struct wispi_jpeg *s = decoder->jpeg;
    if (!s)
        return;
    jpeg_abort_decompress(&s->info);
    memset(s->info.quant_tbl_ptrs, 0, sizeof s->info.quant_tbl_ptrs);
    memset(s->info.dc_huff_tbl_ptrs, 0, sizeof s->info.dc_huff_tbl_ptrs);
    memset(s->info.ac_huff_tbl_ptrs, 0, sizeof s->info.ac_huff_tbl_ptrs);
    s->info.image_width = s->info.image_height = 0;
}

static wisp_status fail_with(const struct wispi_jpeg *s, wisp_status status, wisp_error *err)
{
    return wisp_fail(err, status, "JPEG of %zu bytes (%u x %u): %s", s->decoder->bytes,
                     s->info.image_width, s->info.image_height, s->message);
}

/* --- the header --- */

static void check_header(struct wispi_jpeg *s)
{
    const struct jpeg_decompress_struct *info = &s->info;
    const char *complaint = wispi_size_complaint(info->image_width, info->image_height);
    if (complaint)
        give_up(s, WISP_E_DATA, complaint);
    /* Each 8x8 block of the finest component costs a bit or more, which bounds what a short file
     * can hold before memory is taken for it; 16 allows for components that share the fineness. */
    uint64_t blocks = (((uint64_t)info->image_width + 7) / 8) * ((info->image_height + 7) / 8);
    if (!info->arith_code && blocks / 16 > (uint64_t)s->decoder->bytes * 8)
        give_up(s, WISP_E_DATA, "it is too short for its size in pixels");
    if (info->num_components != 1 && info->num_components != 3 && info->num_components != 4)
        give_up(s, WISP_E_DATA, "it has neither 1, 3 nor 4 components");
}

static wisp_status open_guarded(struct wispi_jpeg *s)
{
    if (setjmp(s->escape))
        return s->status;
    s->client.arena = s->decoder->arena;
    s->source.next_input_byte = s->decoder->data;
    s->source.bytes_in_buffer = s->decoder->bytes;
    jpeg_read_header(&s->info, TRUE);
    check_header(s);
    return WISP_OK;
}

static wisp_status open_jpeg(wispi_decoder *decoder, wispi_picture *picture, wisp_error *err)
{
    if (!decoder->jpeg)
        WISP_TRY(create(decoder, err));
    struct wispi_jpeg *s = decoder->jpeg;
    wisp_status status = open_guarded(s);
    if (status != WISP_OK)
        return fail_with(s, status, err);
    *picture = (wispi_picture){(int32_t)s->info.image_width, (int32_t)s->info.image_height, 1};
    return WISP_OK;
}

/* --- the pixels --- */

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

/* The next rows, `n` at most, as RGB to `rgb`. Returns how many came. */
static JDIMENSION read_some(struct wispi_jpeg *s, uint8_t *rgb, JDIMENSION n)
{
    JSAMPROW rows[ROWS_AT_ONCE];
    const size_t row = (size_t)s->info.output_width * 3;
    n = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
    for (JDIMENSION i = 0; i < n; i++)
        rows[i] = rgb + i * row;
    return jpeg_read_scanlines(&s->info, rows, n);
}

static JDIMENSION read_cmyk(struct wispi_jpeg *s, uint8_t *rgb)
{
    JSAMPROW line = wispi_scratch_reserve(&s->decoder->line, (size_t)s->info.output_width * 4);
    if (!line)
        give_up(s, WISP_E_NOMEM, "no memory for a row");
    const JDIMENSION n = jpeg_read_scanlines(&s->info, &line, 1);
    if (n == 1)
        rgb_from_cmyk(line, rgb, s->info.output_width);
    return n;
}

static void read_rows(struct wispi_jpeg *s, JDIMENSION n)
{
    const size_t row = (size_t)s->info.output_width * 3;
    for (JDIMENSION done = 0; done < n;) {
        uint8_t *rgb = s->pixels + done * row;
        const JDIMENSION came =
            s->info.out_color_space == JCS_CMYK ? read_cmyk(s, rgb) : read_some(s, rgb, n - done);
        if (came == 0)
            give_up(s, WISP_E_DATA, "it ends too early");
        done += came;
    }
}

/* The rest is not decoded, but it has to be there. */
static void finish(struct wispi_jpeg *s)
{
    if (s->info.output_scanline == s->info.output_height)
        jpeg_finish_decompress(&s->info);
    else if (!jpeg_input_complete(&s->info) && s->info.unread_marker != JPEG_EOI &&
             !wispi_jpeg_has_end(s->source.next_input_byte, s->source.bytes_in_buffer))
        give_up(s, WISP_E_DATA, "it ends too early");
}

static wisp_status part_guarded(struct wispi_jpeg *s, const wisp_box *box, int32_t shrink,
                                wisp_box *cut)
{
    if (setjmp(s->escape))
        return s->status;
    s->info.out_color_space = s->info.num_components == 4 ? JCS_CMYK : JCS_RGB;
    s->info.scale_num = 1;
    s->info.scale_denom = (unsigned)shrink;
    jpeg_start_decompress(&s->info);
    *cut = wispi_jpeg_cut(&s->info, box);
    s->pixels = wispi_scratch_reserve(&s->decoder->pixels, (size_t)cut->w * (size_t)cut->h * 3);
    if (!s->pixels)
        give_up(s, WISP_E_NOMEM, "no memory for its pixels");
    wispi_jpeg_begin_cut(&s->info, cut);
    read_rows(s, (JDIMENSION)cut->h);
    finish(s);
    return WISP_OK;
}

static wisp_status part_jpeg(wispi_decoder *decoder, const wisp_box *part, int32_t shrink,
                             wispi_part *covered, wisp_error *err)
{
    struct wispi_jpeg *s = decoder->jpeg;
    wisp_box cut;
    wisp_status status = part_guarded(s, part, shrink, &cut);
    if (status != WISP_OK)
        return fail_with(s, status, err);
    *covered = (wispi_part){{s->pixels, cut.w, cut.h}, cut.x, cut.y};
    return WISP_OK;
}

const wispi_decode_format wispi_jpeg_format = {open_jpeg, part_jpeg, close_jpeg,
                                               wispi_jpeg_orientation};

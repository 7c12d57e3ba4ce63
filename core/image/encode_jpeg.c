/* encode_jpeg.c - through libjpeg-turbo, with the memory of an arena. As in decode_jpeg.c, errors
 * jump to the one setjmp here. */
#include "image/encode_jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "image/jpeg_memory.h"

#include <jerror.h>

enum { FIRST_BYTES = 1 << 16, ARENA_BYTES = 1 << 18 };

struct wispi_jpeg_encoder {
    wispi_jpeg_client client; /* first: client_data converts */
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf escape;
    uint8_t *file;
    size_t capacity;
    wisp_status status;
    char message[JMSG_LENGTH_MAX];
};

wisp_status wispi_jpeg_encoder_create(wispi_jpeg_encoder **encoder, wisp_error *err)
{
    wispi_jpeg_encoder *e = wispi_alloc(sizeof *e);
    if (e) {
        e->client.arena = wispi_arena_create(ARENA_BYTES);
        e->file = wispi_alloc(FIRST_BYTES);
        e->capacity = FIRST_BYTES;
    }
    if (!e || !e->client.arena || !e->file) {
        wispi_jpeg_encoder_destroy(e);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image encoder");
    }
    *encoder = e;
    return WISP_OK;
}

void wispi_jpeg_encoder_destroy(wispi_jpeg_encoder *e)
{
    if (!e)
        return;
    wispi_arena_destroy(e->client.arena);
    wispi_free(e->file);
    wispi_free(e);
}

/* --- what libjpeg calls --- */

static _Noreturn void give_up(wispi_jpeg_encoder *e, wisp_status status, const char *message)
{
    e->status = status;
    snprintf(e->message, sizeof e->message, "%s", message);
    longjmp(e->escape, 1);
}

static void on_error(j_common_ptr info)
{
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    give_up(info->client_data,
            info->err->msg_code == JERR_OUT_OF_MEMORY ? WISP_E_NOMEM : WISP_E_INTERNAL, text);
}

static void on_message(j_common_ptr info, int level)
{
    (void)info;
    (void)level;
}

static void begin_file(j_compress_ptr info)
{
    wispi_jpeg_encoder *e = info->client_data;
    e->destination.next_output_byte = e->file;
    e->destination.free_in_buffer = e->capacity;
}

static boolean grow_file(j_compress_ptr info)
{
    wispi_jpeg_encoder *e = info->client_data;
    uint8_t *grown = wispi_grow(e->file, e->capacity, 2 * e->capacity);
    if (!grown)
        give_up(e, WISP_E_NOMEM, "no memory for the file");
    e->file = grown;
    e->destination.next_output_byte = grown + e->capacity;
    e->destination.free_in_buffer = e->capacity;
    e->capacity *= 2;
    return TRUE;
}

static void end_file(j_compress_ptr info)
{
    (void)info;
}

/* --- a picture --- */

static void set_up(wispi_jpeg_encoder *e, const wispi_image *image, int32_t quality)
{
    e->info.err = jpeg_std_error(&e->errors);
    e->errors.error_exit = on_error;
    e->errors.emit_message = on_message;
    e->info.client_data = e;
    jpeg_create_compress(&e->info);
    wispi_jpeg_memory_install(e->info.mem);
    e->destination.init_destination = begin_file;
    e->destination.empty_output_buffer = grow_file;
    e->destination.term_destination = end_file;
    e->info.dest = &e->destination;
    e->info.image_width = (JDIMENSION)image->width;
    e->info.image_height = (JDIMENSION)image->height;
    e->info.input_components = 3;
    e->info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&e->info); /* 4:2:0 among them */
    jpeg_set_quality(&e->info, quality, TRUE);
    e->info.dct_method = JDCT_ISLOW;
    e->info.optimize_coding = TRUE;
}

/* An EXIF segment that holds the orientation and nothing else, in the order of Intel's bytes. */
static void write_orientation(wispi_jpeg_encoder *e, int32_t orientation)
{
    uint8_t exif[] = {'E',  'x',  'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, /* one entry at 8 */
                      1,    0,                                                 /* of one */
                      0x12, 0x01, 3,   0,   1, 0, 0,   0,   0,  0, 0, 0,       /* a short */
                      0,    0,    0,   0};                                     /* and no more */
    exif[24] = (uint8_t)orientation;
    jpeg_write_marker(&e->info, JPEG_APP0 + 1, exif, sizeof exif);
}

static wisp_status encode_guarded(wispi_jpeg_encoder *e, const wispi_image *image,
                                  const wispi_jpeg_request *request)
{
    if (setjmp(e->escape))
        return e->status;
    set_up(e, image, request->quality);
    jpeg_start_compress(&e->info, TRUE);
    if (request->orientation > 1)
        write_orientation(e, request->orientation);
    while (e->info.next_scanline < e->info.image_height) {
        const size_t row = (size_t)e->info.next_scanline * (size_t)image->width * 3;
        JSAMPROW rows[1] = {(JSAMPROW)(uintptr_t)(image->pixels + row)}; /* it only reads them */
        jpeg_write_scanlines(&e->info, rows, 1);
    }
    jpeg_finish_compress(&e->info);
    return WISP_OK;
}

wisp_status wispi_encode_jpeg(wispi_jpeg_encoder *e, const wispi_image *image,
                              const wispi_jpeg_request *request, const uint8_t **data,
                              size_t *bytes, wisp_error *err)
{
    memset(&e->info, 0, sizeof e->info);
    const wisp_status status = encode_guarded(e, image, request);
    if (e->info.mem)
        jpeg_destroy_compress(&e->info);
    wispi_arena_reset(e->client.arena);
    if (status != WISP_OK)
        return wisp_fail(err, status, "cannot write %d x %d px as JPEG: %s", image->width,
                         image->height, e->message);
    *data = e->file;
    *bytes = e->capacity - e->destination.free_in_buffer;
    return WISP_OK;
}

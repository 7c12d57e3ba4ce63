#include "report/data_uri.h"

#include "image/encode_jpeg.h"

/* RFC 4648, section 4. */
static void encode_three(const uint8_t *in, size_t n, char out[4])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint32_t bits =
        (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);
    for (size_t i = 0; i < 4; i++)
        out[i] = i <= n ? letters[bits >> (18 - 6 * i) & 63] : '=';
}

void wispi_data_uri(wispi_text *uri, const char *type, const void *data, size_t bytes)
{
    enum { TRIPLES = 1024 };
    const uint8_t *in = data;
    char piece[4 * TRIPLES];
    size_t n = 0;
    wispi_text_printf(uri, "data:%s;base64,", type);
    for (size_t at = 0; at < bytes; at += 3) {
        encode_three(in + at, bytes - at < 3 ? bytes - at : 3, piece + n);
        n += 4;
        if (n == sizeof piece || at + 3 >= bytes) {
            wispi_text_append_bytes(uri, piece, n);
            n = 0;
        }
    }
}

static wisp_status give_string(wispi_text *text, json_t **string, wisp_error *err)
{
    json_t *made = text->failed ? NULL : json_stringn_nocheck(text->data, text->length);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a picture of the report");
    *string = made;
    return WISP_OK;
}

wisp_status wispi_jpeg_uri(const wispi_image *image, int32_t quality, json_t **uri, wisp_error *err)
{
    const wispi_jpeg_request request = {.quality = quality, .orientation = 1};
    wispi_jpeg_encoder *encoder = NULL;
    const uint8_t *data = NULL;
    size_t bytes = 0;
    wispi_text text = {0};
    WISP_TRY(wispi_jpeg_encoder_create(&encoder, err));
    wisp_status status = wispi_encode_jpeg(encoder, image, &request, &data, &bytes, err);
    if (status == WISP_OK) {
        wispi_data_uri(&text, "image/jpeg", data, bytes);
        status = give_string(&text, uri, err);
    }
    wispi_text_free(&text);
    wispi_jpeg_encoder_destroy(encoder);
    return status;
}

/* recode.c - decode, resize, encode, as far as each is needed. */
#include "image/recode.h"

#include "base/memory.h"
#include "image/decode_format.h"
#include "image/encode_jpeg.h"
#include "image/resample.h"

struct wispi_recoder {
    wispi_decoder *decoder;
    wispi_jpeg_encoder *encoder;
    wispi_resampler resampler;
    wispi_scratch pixels; /* the resized picture */
};

wisp_status wispi_recoder_create(wispi_recoder **recoder, wisp_error *err)
{
    wispi_recoder *r = wispi_alloc(sizeof *r);
    if (!r)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to make pictures smaller");
    wisp_status status = wispi_decoder_create(&r->decoder, err);
    if (status == WISP_OK)
        status = wispi_jpeg_encoder_create(&r->encoder, err);
    if (status == WISP_OK)
        *recoder = r;
    else
        wispi_recoder_destroy(r);
    return status;
}

void wispi_recoder_destroy(wispi_recoder *r)
{
    if (!r)
        return;
    wispi_decoder_destroy(r->decoder);
    wispi_jpeg_encoder_destroy(r->encoder);
    wispi_resampler_free(&r->resampler);
    wispi_scratch_free(&r->pixels);
    wispi_free(r);
}

static int is_larger(int32_t width, int32_t height, const wispi_recode_request *request)
{
    return request->short_side > 0 && width > request->short_side && height > request->short_side;
}

static wisp_status resize(wispi_recoder *r, const wispi_image *image, int32_t short_side,
                          wispi_image *smaller, wisp_error *err)
{
    const int upright = image->width <= image->height;
    const int32_t shorter = upright ? image->width : image->height;
    const int32_t longer = upright ? image->height : image->width;
    const int32_t stretched = (int32_t)((int64_t)short_side * longer / shorter);
    const int32_t w = upright ? short_side : stretched, h = upright ? stretched : short_side;
    uint8_t *pixels = wispi_scratch_reserve(&r->pixels, (size_t)w * (size_t)h * 3);
    if (!pixels)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a picture of %d x %d px", w, h);
    const wispi_resample_job job = {.box = {0, 0, image->width, image->height},
                                    .out_w = w,
                                    .out_h = h,
                                    .window = {0, 0, w, h},
                                    .filter = WISP_FILTER_BICUBIC};
    WISP_TRY(wispi_resample(&r->resampler, image, &job, pixels, err));
    *smaller = (wispi_image){pixels, w, h};
    return WISP_OK;
}

/* Resizes and encodes. */
static wisp_status make_smaller(wispi_recoder *r, const wispi_image *image, int32_t orientation,
                                const wispi_recode_request *request, const uint8_t **data,
                                size_t *bytes, wisp_error *err)
{
    const wispi_jpeg_request jpeg = {request->quality, orientation};
    wispi_image smaller;
    WISP_TRY(resize(r, image, request->short_side, &smaller, err));
    return wispi_encode_jpeg(r->encoder, &smaller, &jpeg, data, bytes, err);
}

static wisp_status recode_file(wispi_recoder *r, const wisp_sample *sample,
                               const wispi_recode_request *request, const uint8_t **data,
                               size_t *bytes, wisp_error *err)
{
    wispi_picture picture;
    wispi_part part;
    if (request->unchecked && request->short_side == 0)
        return WISP_OK;
    WISP_TRY(wispi_decode_open(r->decoder, sample->data, sample->bytes, 0, &picture, err));
    const int larger = is_larger(picture.width, picture.height, request);
    if (!larger && request->unchecked)
        return WISP_OK;
    const int32_t orientation = r->decoder->format->orientation(sample->data, sample->bytes);
    const wisp_box all = {0, 0, picture.width, picture.height};
    WISP_TRY(wispi_decode_part(r->decoder, &all, 1, &part, err));
    return larger ? make_smaller(r, &part.image, orientation, request, data, bytes, err) : WISP_OK;
}

wisp_status wispi_recode(wispi_recoder *r, const wisp_sample *sample,
                         const wispi_recode_request *request, const uint8_t **data, size_t *bytes,
                         wisp_error *err)
{
    *data = NULL;
    *bytes = 0;
    if (sample->form == WISP_SAMPLE_ENCODED)
        return recode_file(r, sample, request, data, bytes, err);
    const wispi_image image = {sample->data, sample->width, sample->height};
    if (!is_larger(image.width, image.height, request))
        return WISP_OK;
    return make_smaller(r, &image, 1, request, data, bytes, err);
}

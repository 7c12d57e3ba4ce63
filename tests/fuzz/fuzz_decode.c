/* fuzz_decode.c - arbitrary bytes through the image decoder, and what it accepts through a view. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "image/decode.h"
#include "image/view_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Kept between inputs, as a worker keeps them. */
static wispi_decoder *decoder;
static wispi_view_worker *worker;

static void drop_workers(void)
{
    wispi_decoder_destroy(decoder);
    wispi_view_worker_destroy(worker);
}

static void start_workers(void)
{
    if (wispi_decoder_create(&decoder, NULL) != WISP_OK ||
        wispi_view_worker_create(&worker, NULL) != WISP_OK)
        abort();
    atexit(drop_workers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wispi_image image;
    wisp_error err = {0};
    if (!decoder)
        start_workers();
    wisp_status status = wispi_decode(decoder, data, size, &image, &err);
    if (status != WISP_OK) {
        if (!err.message[0])
            abort(); /* a refusal says why */
        return 0;
    }
    /* Every pixel must be there to be read. */
    wisp_view_spec spec = {.out_w = 5, .out_h = 3, .box = {0, 0, image.width, image.height}};
    wispi_view_form form = {.form = WISPI_VIEW_U8};
    uint8_t out[5 * 3 * 3];
    if (wispi_view_run(worker, &image, &spec, &form, out, &err) != WISP_OK)
        abort();
    return 0;
}

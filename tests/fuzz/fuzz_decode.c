/* fuzz_decode.c - arbitrary bytes through the image decoder: whole, in part, smaller and turned,
 * and what it accepts through a view.
 *
 * Box, scale and orientation come from a hash of the input, so that image files are inputs as they
 * are. A part must equal the whole, and a decoder that has seen other files a fresh one. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "image/decode.h"
#include "image/picture_facts.h"
#include "image/view_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What one input is asked for. */
struct request {
    uint64_t random;
    int32_t upright, shrink;
    wisp_box box;
};

/* Kept between inputs, as a worker keeps them. */
static wispi_decoder *decoder, *other;
static wispi_view_worker *worker;

static void drop_workers(void)
{
    wispi_decoder_destroy(decoder);
    wispi_decoder_destroy(other);
    wispi_view_worker_destroy(worker);
}

static void start_workers(void)
{
    if (wispi_decoder_create(&decoder, NULL) != WISP_OK ||
        wispi_decoder_create(&other, NULL) != WISP_OK ||
        wispi_view_worker_create(&worker, NULL) != WISP_OK)
        abort();
    atexit(drop_workers);
}

/* The second decoder is a fresh one now and then. */
static void renew_other(uint64_t random)
{
    if (random % 4)
        return;
    wispi_decoder_destroy(other);
    other = NULL;
    if (wispi_decoder_create(&other, NULL) != WISP_OK)
        abort();
}

static int32_t draw(uint64_t *random, int32_t n)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int32_t)((*random >> 33) % (uint64_t)n);
}

static void choose_box(struct request *r, int32_t width, int32_t height)
{
    r->box.w = 1 + draw(&r->random, width);
    r->box.h = 1 + draw(&r->random, height);
    r->box.x = draw(&r->random, width - r->box.w + 1);
    r->box.y = draw(&r->random, height - r->box.h + 1);
}

/* Every pixel must be there to be read. */
static void show(const wispi_image *image, wisp_box box)
{
    wisp_view_spec spec = {.out_w = 5, .out_h = 3, .box = box};
    wispi_view_form form = {.form = WISPI_VIEW_U8};
    uint8_t out[5 * 3 * 3];
    wisp_error err = {0};
    if (wispi_view_run(worker, image, &spec, &form, out, &err) != WISP_OK)
        abort();
}

static void compare(const wispi_part *part, const wispi_image *whole, wisp_box b)
{
    for (int32_t y = b.y; y < b.y + b.h; y++) {
        const uint8_t *want = whole->pixels + ((size_t)y * (size_t)whole->width + (size_t)b.x) * 3;
        const size_t row = (size_t)(y - part->y) * (size_t)part->image.width;
        const uint8_t *have = part->image.pixels + (row + (size_t)(b.x - part->x)) * 3;
        if (memcmp(want, have, (size_t)b.w * 3) != 0)
            abort();
    }
}

static void check_refusal(wisp_status status, const wisp_error *err)
{
    if (!err->message[0] || (status != WISP_E_DATA && status != WISP_E_NOMEM))
        abort(); /* a refusal says why */
}

/* What the whole picture gives, by the other decoder; `whole` is untouched where it is refused. */
static wisp_status decode_whole(const struct request *r, const uint8_t *data, size_t size,
                                wisp_box box, wispi_part *whole)
{
    wispi_picture picture;
    wisp_error err = {0};
    wisp_status status = wispi_decode_open(other, data, size, r->upright, &picture, &err);
    if (status == WISP_OK)
        status = wispi_decode_part(other, &box, r->shrink, whole, &err);
    if (status != WISP_OK)
        check_refusal(status, &err);
    return status;
}

static void decode_both(struct request *r, const wispi_picture *picture, const uint8_t *data,
                        size_t size)
{
    const int32_t width = (picture->width + r->shrink - 1) / r->shrink;
    const int32_t height = (picture->height + r->shrink - 1) / r->shrink;
    wispi_part part, whole;
    wisp_error err = {0};
    choose_box(r, width, height);
    wisp_status status = wispi_decode_part(decoder, &r->box, r->shrink, &part, &err);
    if (status == WISP_OK) {
        const wisp_box b = r->box;
        show(&part.image, (wisp_box){b.x - part.x, b.y - part.y, b.w, b.h});
    } else {
        check_refusal(status, &err);
    }
    const wisp_status all = decode_whole(r, data, size, (wisp_box){0, 0, width, height}, &whole);
    if (status != WISP_OK && all == WISP_OK)
        abort(); /* damage in a part is damage in the whole */
    if (all != WISP_OK)
        return;
    show(&whole.image, r->box);
    compare(&part, &whole.image, r->box);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wispi_picture picture;
    wisp_error err = {0};
    struct request r = {.random = wispi_hash64(data, size, 1)};
    wispi_picture_facts facts;
    wispi_picture_facts_of(data, size, &facts);
    if (!decoder)
        start_workers();
    renew_other((uint64_t)draw(&r.random, 1 << 16));
    r.upright = draw(&r.random, 2);
    wisp_status status = wispi_decode_open(decoder, data, size, r.upright, &picture, &err);
    if (status != WISP_OK) {
        check_refusal(status, &err);
        return 0;
    }
    r.shrink = picture.can_shrink ? 1 << draw(&r.random, 4) : 1;
    decode_both(&r, &picture, data, size);
    return 0;
}

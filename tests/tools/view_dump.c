/* view_dump.c - developer program: executes views from text, for comparison with other software.
 *
 * Reads one request a line from standard input; its fields are separated by tabs:
 *
 *     FILE  [box=X,Y,W,H]  [size=W,H]  [filter=N]  [flip=1]  [op=KIND,P]...  [eval=RESIZE,SIZE]
 *     [shrink=N]  [upright=1]
 *
 * box defaults to the whole picture and size to the box; no more than the box is decoded, at 1/N of
 * the size, and it is in those pixels. Answers each with "W H\n" and W * H * 3 bytes of RGB, or
 * with "error TEXT\n". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/decode.h"
#include "image/view_engine.h"

struct tool {
    wispi_decoder *decoder;
    wispi_view_worker *worker;
};

struct request {
    wisp_view_spec spec;
    int32_t eval_resize, eval_size;
    int32_t shrink, upright;
};

static int read_field(struct request *r, const char *field)
{
    wisp_view_spec *s = &r->spec;
    int kind;
    double parameter;
    if (sscanf(field, "box=%d,%d,%d,%d", &s->box.x, &s->box.y, &s->box.w, &s->box.h) == 4 ||
        sscanf(field, "size=%d,%d", &s->out_w, &s->out_h) == 2 ||
        sscanf(field, "filter=%d", &s->filter) == 1 || sscanf(field, "flip=%d", &s->flip) == 1 ||
        sscanf(field, "eval=%d,%d", &r->eval_resize, &r->eval_size) == 2 ||
        sscanf(field, "shrink=%d", &r->shrink) == 1 ||
        sscanf(field, "upright=%d", &r->upright) == 1)
        return 1;
    if (sscanf(field, "op=%d,%lf", &kind, &parameter) != 2)
        return 0;
    wisp_view_add_op(s, kind, parameter);
    return 1;
}

static void fill_in(struct request *r, const wispi_picture *picture)
{
    wisp_view_spec *s = &r->spec;
    r->shrink = r->shrink ? r->shrink : 1;
    if (!s->box.w)
        s->box = (wisp_box){0, 0, (picture->width + r->shrink - 1) / r->shrink,
                            (picture->height + r->shrink - 1) / r->shrink};
    if (!s->out_w) {
        s->out_w = s->box.w;
        s->out_h = s->box.h;
    }
}

/* The box becomes one of the part that was decoded. */
static wisp_status decode(struct tool *t, const uint8_t *data, size_t n, struct request *r,
                          wispi_image *image, wisp_error *err)
{
    wispi_picture picture = {0, 0, 0};
    wispi_part part;
    WISP_TRY(wispi_decode_open(t->decoder, data, n, r->upright, &picture, err));
    fill_in(r, &picture);
    WISP_TRY(wispi_decode_part(t->decoder, &r->spec.box, r->shrink, &part, err));
    r->spec.box.x -= part.x;
    r->spec.box.y -= part.y;
    *image = part.image;
    return WISP_OK;
}

static wisp_status load(struct tool *t, const char *path, struct request *r, wispi_image *image,
                        wisp_error *err)
{
    uint8_t *data;
    size_t n;
    WISP_TRY(wispi_file_read(path, (size_t)1 << 30, &data, &n, err));
    wisp_status status = decode(t, data, n, r, image, err);
    wispi_free(data);
    return status;
}

static wisp_status execute(struct tool *t, struct request *r, const wispi_image *image,
                           uint8_t *out, wisp_error *err)
{
    wispi_view_form form = {.form = WISPI_VIEW_U8};
    wispi_eval_view eval;
    if (!r->eval_size)
        return wispi_view_run(t->worker, image, &r->spec, &form, out, err);
    WISP_TRY(wispi_view_evaluate_spec(image->width, image->height, r->eval_resize, r->eval_size,
                                      &eval, err));
    return wispi_view_evaluate(t->worker, image, &eval, &form, out, err);
}

static wisp_status answer(struct tool *t, const char *path, struct request *r, wisp_error *err)
{
    wispi_image image = {NULL, 0, 0};
    WISP_TRY(load(t, path, r, &image, err));
    int32_t w = r->eval_size ? r->eval_size : r->spec.out_w;
    int32_t h = r->eval_size ? r->eval_size : r->spec.out_h;
    if (w < 1 || h < 1 || w > WISPI_VIEW_MAX_SIDE || h > WISPI_VIEW_MAX_SIDE)
        return wisp_fail(err, WISP_E_INVALID, "size %d x %d is out of range", w, h);
    size_t bytes = wispi_view_bytes(w, h, WISPI_VIEW_U8);
    uint8_t *out = wispi_alloc(bytes);
    if (!out)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the result");
    wisp_status status = execute(t, r, &image, out, err);
    if (status == WISP_OK) {
        printf("%d %d\n", w, h);
        fwrite(out, 1, bytes, stdout);
    }
    wispi_free(out);
    return status;
}

static void serve(struct tool *t, char *line)
{
    wisp_error err = {0};
    struct request r = {0};
    char *rest = NULL, *path = strtok_r(line, "\t\n", &rest);
    for (char *field; path && (field = strtok_r(NULL, "\t\n", &rest));) {
        if (!read_field(&r, field)) {
            printf("error cannot read \"%s\"\n", field);
            return;
        }
    }
    if (!path)
        printf("error no file named\n");
    else if (answer(t, path, &r, &err) != WISP_OK)
        printf("error %s\n", err.message);
}

int main(void)
{
    struct tool t = {NULL, NULL};
    wisp_error err = {0};
    if (wispi_decoder_create(&t.decoder, &err) != WISP_OK ||
        wispi_view_worker_create(&t.worker, &err) != WISP_OK) {
        fprintf(stderr, "view_dump: %s\n", err.message);
        return 1;
    }
    static char line[8192];
    while (fgets(line, sizeof line, stdin)) {
        serve(&t, line);
        fflush(stdout);
    }
    wispi_view_worker_destroy(t.worker);
    wispi_decoder_destroy(t.decoder);
    return 0;
}

/* test_odd_files.c - image files of unusual sizes and kinds, from their bytes to finished views,
 * against Pillow and torchvision (stored by tests/golden/make_odd_files.py). Each view decodes the
 * part that it shows. */
#include "view_golden.h"

#include "image/decode.h"
#include "image/view_engine.h"

struct tools {
    wispi_decoder *decoder;
    wispi_view_worker *worker;
    image_gap gap;
    int parts; /* views for which less than the whole was decoded */
};

/* Bytes of the view, freed by the caller. */
static uint8_t *make_view(struct tools *t, const char *name, int upright, const int size[2],
                          wisp_view_spec spec)
{
    char path[128];
    size_t n;
    wispi_picture picture = {0, 0, 0};
    wispi_part part;
    wisp_error err = {0};
    const wispi_view_form form = {.form = WISPI_VIEW_U8};
    snprintf(path, sizeof path, "../odd/files/%s", name);
    uint8_t *data = image_golden_read(path, &n);
    uint8_t *out = malloc(wispi_view_bytes(spec.out_w, spec.out_h, WISPI_VIEW_U8));
    ck_assert_msg(wispi_decode_open(t->decoder, data, n, upright, &picture, &err) == WISP_OK,
                  "%s: %s", name, err.message);
    ck_assert_msg(picture.width == size[0] && picture.height == size[1], "%s is %d x %d", name,
                  picture.width, picture.height);
    ck_assert_msg(wispi_decode_part(t->decoder, &spec.box, 1, &part, &err) == WISP_OK, "%s: %s",
                  name, err.message);
    spec.box.x -= part.x;
    spec.box.y -= part.y;
    t->parts += part.image.width < picture.width || part.image.height < picture.height;
    ck_assert_msg(wispi_view_run(t->worker, &part.image, &spec, &form, out, &err) == WISP_OK,
                  "%s: %s", name, err.message);
    free(data);
    return out;
}

START_TEST(views_of_odd_files_equal_pillow)
{
    struct tools t = {0};
    size_t n, n_stored;
    char *text = (char *)image_golden_read("../odd/views.txt", &n), *rest = text, *line;
    uint8_t *stored = image_golden_read("../odd/pixels.bin", &n_stored);
    ck_assert_int_eq(wispi_decoder_create(&t.decoder, NULL), WISP_OK);
    ck_assert_int_eq(wispi_view_worker_create(&t.worker, NULL), WISP_OK);
    while ((line = strsep(&rest, "\n")) && *line) {
        char name[64];
        int upright, size[2], at = 0;
        ck_assert_int_eq(sscanf(line, "%63s %d %d %d %n", name, &upright, &size[0], &size[1], &at),
                         4);
        char *cursor = line + at;
        const wisp_view_spec spec = view_golden_spec(&cursor);
        uint8_t *view = make_view(&t, name, upright, size, spec);
        image_golden_compare(&t.gap, line, cursor, stored, n_stored, view,
                             wispi_view_bytes(spec.out_w, spec.out_h, WISPI_VIEW_U8));
        free(view);
    }
    printf("odd files: %llu views, %llu values compared, %llu differ; %d of parts\n",
           (unsigned long long)t.gap.cases, (unsigned long long)t.gap.values,
           (unsigned long long)t.gap.differ, t.parts);
    ck_assert_uint_eq(t.gap.cases, 156);
    ck_assert_uint_eq(t.gap.differ, 0);
    ck_assert_int_gt(t.parts, 40);
    wispi_view_worker_destroy(t.worker);
    wispi_decoder_destroy(t.decoder);
    free(stored);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("odd_files");
    TCase *tests = tcase_create("odd_files");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, views_of_odd_files_equal_pillow);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

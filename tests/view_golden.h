/* view_golden.h - tests only: the cases of tests/golden/image/views.txt as a C program reads them.
 */
#ifndef WISP_TESTS_VIEW_GOLDEN_H
#define WISP_TESTS_VIEW_GOLDEN_H

#include "image_golden.h"

#include "image/pixels.h"
#include "wisp/sampler.h"

/* The next field, as a number. */
static inline double view_golden_field(char **cursor)
{
    char *end;
    double v = strtod(*cursor, &end);
    ck_assert_msg(end != *cursor, "a number was expected at: %s", *cursor);
    *cursor = end;
    return v;
}

static inline int32_t view_golden_int(char **cursor)
{
    return (int32_t)view_golden_field(cursor);
}

/* The picture that the next three fields name. */
static inline wispi_image view_golden_image(char **cursor)
{
    uint32_t seed = (uint32_t)view_golden_int(cursor);
    int32_t width = view_golden_int(cursor), height = view_golden_int(cursor);
    return (wispi_image){image_golden_picture(seed, (uint32_t)width, (uint32_t)height), width,
                         height};
}

static inline void view_golden_drop(const wispi_image *image)
{
    free((void *)(uintptr_t)image->pixels);
}

/* The view that the fields behind the picture describe. */
static inline wisp_view_spec view_golden_spec(char **cursor)
{
    wisp_view_spec s = {0};
    int32_t *numbers[] = {&s.box.x, &s.box.y, &s.box.w,  &s.box.h,
                          &s.out_w, &s.out_h, &s.filter, &s.flip};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = view_golden_int(cursor);
    for (int32_t n = view_golden_int(cursor); n > 0; n--) {
        int32_t kind = view_golden_int(cursor);
        wisp_view_add_op(&s, kind, view_golden_field(cursor));
    }
    return s;
}

#endif

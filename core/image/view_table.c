/* view_table.c - parameters as a device wants them: drawn as double, rounded here once as the view
 * engine does. */
#include "image/view_table.h"

#include <math.h>
#include <string.h>

#include "wisp/pixel_math.h"

static void write_place(int64_t *numbers, const wispi_picture_place *place, wisp_box box)
{
    numbers[WISP_VIEW_OFFSET] = place->offset;
    numbers[WISP_VIEW_SOURCE_W] = place->width;
    numbers[WISP_VIEW_SOURCE_H] = place->height;
    numbers[WISP_VIEW_BOX_X] = box.x;
    numbers[WISP_VIEW_BOX_Y] = box.y;
    numbers[WISP_VIEW_BOX_W] = box.w;
    numbers[WISP_VIEW_BOX_H] = box.h;
}

static float parameter_of(const wisp_pixel_op *op)
{
    if (op->kind == WISP_PIXEL_HUE)
        return (float)wisp_hue_step(op->p[0]);
    if (op->kind == WISP_PIXEL_SOLARIZE)
        return (float)fmin(fmax(ceil(op->p[0]), 0.0), 256.0);
    return (float)op->p[0];
}

static int box_lies_inside(wisp_box b, const wispi_picture_place *place)
{
    return wisp_part_fits(b.x, b.w, place->width) && wisp_part_fits(b.y, b.h, place->height);
}

wisp_status wispi_view_row_write(wispi_view_row row, const wispi_picture_place *place,
                                 const wisp_view_spec *spec, wisp_error *err)
{
    const wisp_box b = spec->box;
    WISP_TRY(wispi_view_check(spec, err));
    if (wisp_filter_support(spec->filter) == 0.0)
        return wisp_fail(err, WISP_E_INVALID, "unknown resampling filter %d", spec->filter);
    if (!box_lies_inside(b, place))
        return wisp_fail(err, WISP_E_INVALID,
                         "crop box (%d, %d, %d, %d) does not lie inside the %d x %d image", b.x,
                         b.y, b.w, b.h, place->width, place->height);
    memset(row.numbers, 0, WISP_VIEW_COLUMNS * sizeof *row.numbers);
    memset(row.ops, 0, WISP_MAX_PIXEL_OPS * 2 * sizeof *row.ops);
    write_place(row.numbers, place, b);
    row.numbers[WISP_VIEW_RESIZED_W] = spec->out_w;
    row.numbers[WISP_VIEW_RESIZED_H] = spec->out_h;
    row.numbers[WISP_VIEW_FLIP] = spec->flip != 0;
    row.numbers[WISP_VIEW_FILTER] = spec->filter;
    row.numbers[WISP_VIEW_N_OPS] = spec->n_ops;
    for (int32_t i = 0; i < spec->n_ops; i++) {
        row.ops[2 * i] = (float)spec->ops[i].kind;
        row.ops[2 * i + 1] = parameter_of(&spec->ops[i]);
    }
    return WISP_OK;
}

void wispi_view_row_evaluate(wispi_view_row row, const wispi_picture_place *place,
                             const wispi_eval_view *view)
{
    memset(row.numbers, 0, WISP_VIEW_COLUMNS * sizeof *row.numbers);
    memset(row.ops, 0, WISP_MAX_PIXEL_OPS * 2 * sizeof *row.ops);
    write_place(row.numbers, place, (wisp_box){0, 0, place->width, place->height});
    row.numbers[WISP_VIEW_RESIZED_W] = view->resized_w;
    row.numbers[WISP_VIEW_RESIZED_H] = view->resized_h;
    row.numbers[WISP_VIEW_WINDOW_X] = view->crop.x;
    row.numbers[WISP_VIEW_WINDOW_Y] = view->crop.y;
    row.numbers[WISP_VIEW_FILTER] = view->filter;
}

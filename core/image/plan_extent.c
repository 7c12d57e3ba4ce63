/* plan_extent.c - boxes around boxes. */
#include "image/plan_extent.h"

static int32_t shrunk(int64_t at, int32_t shrink)
{
    return (int32_t)((at + shrink / 2) / shrink);
}

wisp_box wispi_box_shrunk(wisp_box b, int32_t shrink)
{
    const int32_t x = shrunk(b.x, shrink), y = shrunk(b.y, shrink);
    return (wisp_box){x, y, shrunk((int64_t)b.x + b.w, shrink) - x,
                      shrunk((int64_t)b.y + b.h, shrink) - y};
}

static int can_shrink_by(const wisp_view_plan *plan, int32_t shrink)
{
    for (int32_t v = 0; v < plan->n_views; v++) {
        const wisp_view_spec *view = &plan->views[v];
        const wisp_box b = wispi_box_shrunk(view->box, shrink);
        if (b.w < view->out_w || b.h < view->out_h)
            return 0;
    }
    return 1;
}

static int32_t shrink_of(const wisp_view_plan *plan, const wispi_picture *picture)
{
    int32_t shrink = 1;
    if (!(plan->flags & WISP_PLAN_SCALED_DECODE) || !picture->can_shrink)
        return 1;
    while (shrink < WISPI_MOST_SHRINK && can_shrink_by(plan, 2 * shrink))
        shrink *= 2;
    return shrink;
}

/* The smallest that holds both. */
static wisp_box box_around(wisp_box a, wisp_box b)
{
    const int32_t right = a.x + a.w > b.x + b.w ? a.x + a.w : b.x + b.w;
    const int32_t bottom = a.y + a.h > b.y + b.h ? a.y + a.h : b.y + b.h;
    const int32_t x = a.x < b.x ? a.x : b.x, y = a.y < b.y ? a.y : b.y;
    return (wisp_box){x, y, right - x, bottom - y};
}

wispi_extent wispi_plan_extent(const wisp_view_plan *plan, const wispi_picture *picture)
{
    wispi_extent extent = {shrink_of(plan, picture), {0, 0, 1, 1}};
    for (int32_t v = 0; v < plan->n_views; v++) {
        const wisp_box b = wispi_box_shrunk(plan->views[v].box, extent.shrink);
        extent.box = v ? box_around(extent.box, b) : b;
    }
    return extent;
}

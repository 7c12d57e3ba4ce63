/* cpu_conv_tiles_plan.c - which convolutions go by tiles, and where their pixels then lie. */
#include "cpu_conv_tiles.h"
#include "cpu_empty.h"

enum { MIN_CHANNELS = 16 };
enum { PARTS = 3, MAX_GROUP = 64, MAX_WIDE_GROUP = 16 /* where not all rows fit */ };

static int64_t up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static int64_t smallest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t floor_of(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

wisp_status cpu_tiles_judge(const cpu_device *device, const wisp_kernel_request *request,
                            const wisp_desc *x, const wisp_desc *w, const wisp_desc *y,
                            int64_t pixels, wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    if (!device->has_amx || !device->has_bf16)
        return wisp_refuse(request, err, "the own kernel needs AMX");
    if (x->dtype != WISP_F32)
        return wisp_refuse(request, err, "the own kernel needs f32");
    if (a->groups != 1)
        return wisp_refuse(request, err, "the own kernel knows no groups");
    if (wisp_request_is_empty(request))
        return wisp_refuse(request, err, "there is nothing in it");
    if (w->shape[0] < MIN_CHANNELS || w->shape[1] < MIN_CHANNELS)
        return wisp_refuse(request, err, "the own kernel wants %d channels or more", MIN_CHANNELS);
    if (wisp_desc_count(y) / y->shape[3] < pixels)
        return wisp_refuse(request, err, "the own kernel wants %d pixels or more", (int)pixels);
    if (wisp_desc_count(w) > INT32_MAX / CPU_TILES_TILE)
        return wisp_refuse(request, err, "the own kernel wants fewer weights");
    if (w->shape[2] * w->shape[3] == 1)
        return wisp_refuse(request, err, "a window of one pixel is nothing to gather");
    return WISP_OK;
}

/* --- Taps --- */

/* Source of a tap in one direction: output (phase + i * step) sees `offset` + i * row_step, or
 * nothing. */
typedef struct reach {
    int64_t offset;
    int32_t is_there;
} reach;

static reach reach_of(int is_gradient, int64_t phase, int64_t pad, int64_t reached, int64_t stride)
{
    if (!is_gradient)
        return (reach){reached - pad, 1};
    const int64_t at = phase + pad - reached;
    return (reach){floor_of(at, stride), at - floor_of(at, stride) * stride == 0};
}

static void add_tap(cpu_tiles *t, int64_t index, int64_t row, int64_t column)
{
    cpu_tiles_tap *tap = &t->taps[t->n_taps++];
    tap->index = (int32_t)index;
    tap->row = (int32_t)row;
    tap->column = (int32_t)floor_of(column, t->planes);
    tap->plane = (int32_t)(column - tap->column * t->planes);
    tap->last_column = (int32_t)floor_of(t->from.w - 1 - tap->plane, t->planes);
    t->min_row = smallest(t->min_row, row);
    t->max_row = largest(t->max_row, row);
    t->min_column = smallest(t->min_column, tap->column);
}

static void add_phase(cpu_tiles *t, const wisp_conv2d_attrs *a, const int64_t *w, int is_gradient,
                      int32_t row, int32_t column)
{
    cpu_tiles_phase *p = &t->phases[t->n_phases++];
    *p = (cpu_tiles_phase){
        .row = row, .column = column, .first_bar = t->n_bars, .first_tap = t->n_taps};
    p->rows = (t->to.h - row + t->step_h - 1) / t->step_h;
    p->columns = (t->to.w - column + t->step_w - 1) / t->step_w;
    for (int64_t ky = 0; ky < w[2]; ky++) {
        const reach y = reach_of(is_gradient, row, a->pad_h, ky * a->dilation_h, a->stride_h);
        cpu_tiles_bar bar = {t->n_taps, 0};
        for (int64_t kx = 0; kx < w[3] && y.is_there; kx++) {
            const reach x =
                reach_of(is_gradient, column, a->pad_w, kx * a->dilation_w, a->stride_w);
            if (x.is_there)
                add_tap(t, ky * w[3] + kx, y.offset, x.offset);
        }
        bar.count = t->n_taps - bar.first;
        if (bar.count)
            t->bars[t->n_bars++] = bar;
    }
    p->n_bars = t->n_bars - p->first_bar;
    p->n_taps = t->n_taps - p->first_tap;
}

/* --- Sizes --- */

/* Stored columns of a plane: what any tap of any output reaches. */
static void plan_columns(cpu_tiles *t)
{
    int64_t max = t->min_column;
    for (int32_t i = 0; i < t->n_taps; i++)
        max = largest(max, t->taps[i].column);
    t->columns = t->phases[0].columns + max - t->min_column;
}

static void size_pieces(cpu_tiles *t)
{
    const int64_t row = t->planes * t->columns * t->group;
    t->n_groups = (t->n + t->group - 1) / t->group;
    t->n_bands = (t->phases[0].rows + t->band - 1) / t->band;
    t->part = cpu_tiles_rows(t, &(cpu_tiles_piece){0, 0, t->band}) * row * CPU_TILES_BLOCK;
    t->block = t->part * PARTS + CPU_TILES_SLACK;
    for (int32_t i = 0; i < t->n_taps; i++) {
        cpu_tiles_tap *tap = &t->taps[i];
        tap->shift = (tap->row - t->min_row) * row + tap->plane * t->columns * t->group +
                     (tap->column - t->min_column) * t->group;
    }
    const int64_t tiles = up(t->phases[0].columns * t->group, CPU_TILES_TILE) / CPU_TILES_TILE;
    t->max_blocks = t->n_phases * (t->band * tiles / 2 + 1);
}

/* Positions that the outputs take, for a number of images side by side. */
static int64_t positions_for(const cpu_tiles *t, int64_t group)
{
    return (t->n + group - 1) / group * up(t->phases[0].columns * group, t->grain);
}

/* The number that wastes least; of equal ones the largest whose rows all fit. */
static void plan_group(cpu_tiles *t, int64_t least, int64_t bytes)
{
    t->group = least;
    t->band = t->phases[0].rows;
    size_pieces(t);
    for (int64_t g = 2 * least; g < t->n + least && g <= MAX_GROUP; g += least) {
        const int64_t now = positions_for(t, t->group), then = positions_for(t, g);
        cpu_tiles more = *t;
        more.group = g;
        size_pieces(&more);
        const int fits = (int64_t)cpu_tiles_bytes(&more) <= bytes;
        if (fits ? then <= now : g <= MAX_WIDE_GROUP && then * 32 < now * 31)
            *t = more;
    }
    while (t->band > 1 && (int64_t)cpu_tiles_bytes(t) > bytes) {
        t->band = (t->band + 1) / 2;
        size_pieces(t);
    }
}

const char *cpu_tiles_plan(const wisp_conv2d_attrs *a, const int64_t *x, const int64_t *w,
                           const int64_t *y, int pass, int64_t bytes, cpu_tiles *t)
{
    const int is_gradient = pass == CPU_TILES_INPUT, is_weights = pass == CPU_TILES_WEIGHTS;
    const cpu_tiles_map maps[] = {{x[1], x[2], x[3]}, {y[1], y[2], y[3]}};
    *t = (cpu_tiles){.from = maps[is_gradient], .to = maps[!is_gradient], .n = x[0]};
    t->grain = is_weights ? CPU_TILES_BLOCK : CPU_TILES_TILE;
    t->step_h = is_gradient ? a->stride_h : 1;
    t->step_w = is_gradient ? a->stride_w : 1;
    t->row_step = is_gradient ? 1 : a->stride_h;
    t->planes = is_gradient ? 1 : a->stride_w;
    if (w[2] * w[3] > CPU_TILES_TAPS || t->step_h * t->step_w > CPU_TILES_TAPS)
        return "windows and strides of up to 64 pixels are known";
    t->min_row = t->min_column = INT32_MAX;
    t->max_row = INT32_MIN;
    for (int32_t i = 0; i < t->step_h; i++)
        for (int32_t j = 0; j < t->step_w; j++)
            if (i < t->to.h && j < t->to.w)
                add_phase(t, a, w, is_gradient, i, j);
    if (t->n_taps == 0)
        return "no tap meets a pixel";
    t->k_blocks = up(t->from.c, CPU_TILES_BLOCK) / CPU_TILES_BLOCK;
    t->panels = up(t->to.c, CPU_TILES_BLOCK) / CPU_TILES_BLOCK;
    plan_columns(t);
    plan_group(t, is_weights ? 2 : 1, bytes);
    return NULL;
}

void cpu_tiles_cut(cpu_tiles *t, int64_t wanted)
{
    while (t->band > 1 && cpu_tiles_pieces(t) < wanted) {
        t->band = (t->band + 1) / 2;
        size_pieces(t);
    }
}

/* --- Pieces --- */

cpu_tiles_piece cpu_tiles_piece_at(const cpu_tiles *t, int64_t i)
{
    const int64_t first = i % t->n_bands * t->band;
    return (cpu_tiles_piece){i / t->n_bands, first, smallest(first + t->band, t->phases[0].rows)};
}

/* Adds the taps through which some pixel of a tile sees the map. */
static void add_taps(const cpu_tiles *t, cpu_tiles_block *b, int64_t row, int64_t first)
{
    const int64_t begin = first / t->group;
    const int64_t end = smallest((first + CPU_TILES_TILE - 1) / t->group, b->phase->columns - 1);
    for (int32_t i = b->phase->first_tap; i < b->phase->first_tap + b->phase->n_taps; i++) {
        const cpu_tiles_tap *tap = &t->taps[i];
        const int64_t y = row * t->row_step + tap->row;
        if (y >= 0 && y < t->from.h && begin + tap->column <= tap->last_column &&
            end + tap->column >= 0)
            b->taps |= (uint64_t)1 << i;
    }
}

static void set_tile(const cpu_tiles *t, const cpu_tiles_piece *piece, cpu_tiles_block *b,
                     int which, int64_t row, int64_t first)
{
    b->row[which] = row;
    b->first[which] = first;
    b->at[which] = (row - piece->first) * t->row_step * t->planes * t->columns * t->group + first;
    add_taps(t, b, row, first);
}

int64_t cpu_tiles_list(const cpu_tiles *t, const cpu_tiles_piece *piece, cpu_tiles_block *blocks)
{
    int64_t n = 0;
    for (int32_t i = 0; i < t->n_phases; i++) {
        const cpu_tiles_phase *phase = &t->phases[i];
        int half = 0;
        for (int64_t row = piece->first; row < smallest(piece->last, phase->rows); row++)
            for (int64_t p = 0; p < phase->columns * t->group; p += CPU_TILES_TILE, half = !half) {
                cpu_tiles_block *b = &blocks[half ? n - 1 : n++];
                if (!half)
                    *b = (cpu_tiles_block){.phase = phase};
                set_tile(t, piece, b, half, row, p);
                if (!half) { /* until a second one comes: no output of its own */
                    b->at[1] = b->at[0];
                    b->row[1] = -1;
                }
            }
    }
    return n;
}

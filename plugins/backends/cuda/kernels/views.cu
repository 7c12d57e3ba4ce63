// views.cu - views of decoded pictures: resized tile by tile, then changed and normalised.
//
// The arithmetic is that of wisp/pixel_math.h, so the bytes are those of the host's view engine.
// Pixels times weights are summed up in integers: the order does not matter, and so the taps of a
// pixel may go through shared memory in pieces of any size.
#include "views.h"

#include "kernel.cuh"

#include "wisp/pixel_math.h"

enum { PIECE = 64, ROWS = VIEWS_TILE_THREADS / VIEWS_TILE, EACH = VIEWS_TILE / ROWS };

// --- which source pixels make a tile ---

// One way of a view: columns or rows.
struct way {
    wisp_stretch stretch;
    int32_t n;     // output pixels of this tile
    int32_t first; // of them, in the resized picture
    int32_t kept;  // sizes are equal: the pixel itself
    int64_t step;  // bytes from one source pixel to the next
};

// The taps of a tile's columns or rows.
struct line {
    wisp_taps taps[VIEWS_TILE];
    double sum[VIEWS_TILE];
};

WISP_DEVICE int32_t fixed_tap(const way &w, const line &l, int32_t i, int32_t tap)
{
    if (w.kept)
        return 1 << WISP_WEIGHT_BITS;
    return wisp_fixed_weight(wisp_tap_weight(&w.stretch, &l.taps[i], tap), l.sum[i]);
}

// What lies beyond the edge of the view has no taps.
WISP_DEVICE void find_taps(const way &w, line &l, int32_t i)
{
    const int32_t at = w.first + (i < w.n ? i : 0);
    wisp_taps taps = wisp_taps_of(&w.stretch, at);
    if (w.kept) {
        taps.first = at;
        taps.count = 1;
    }
    l.sum[i] = w.kept ? 1.0 : wisp_tap_sum(&w.stretch, &taps);
    if (i >= w.n)
        taps.count = 0;
    l.taps[i] = taps;
}

WISP_DEVICE int32_t most_taps(const line &l)
{
    int32_t most = 0;
    for (int32_t i = 0; i < VIEWS_TILE; i++)
        most = max(most, l.taps[i].count);
    return most;
}

WISP_DEVICE int32_t end_of(const line &l, int32_t i)
{
    return l.taps[i].first + l.taps[i].count;
}

// --- the two passes ---

struct tile {
    const uint8_t *box; // the first pixel of the view's box
    way first, second;  // in the order of the passes
    bool rows_first;
};

struct shared_tile {
    line first, second;
    int32_t weight[PIECE][VIEWS_TILE];          // [tap][pixel]: of the first pass
    int32_t mix[VIEWS_TILE][VIEWS_TILE];        // [source][pixel]: of the second
    uint8_t between[VIEWS_TILE][VIEWS_TILE][3]; // [source of the second pass][pixel of the first]
};

WISP_DEVICE void weigh_piece(const tile &t, shared_tile &s, int32_t from)
{
    for (int32_t i = threadIdx.x; i < PIECE * VIEWS_TILE; i += VIEWS_TILE_THREADS) {
        const int32_t tap = i / VIEWS_TILE, at = i % VIEWS_TILE;
        const bool there = from + tap < s.first.taps[at].count;
        s.weight[tap][at] = there ? fixed_tap(t.first, s.first, at, from + tap) : 0;
    }
}

WISP_DEVICE void add_pixel(int32_t sum[3], const uint8_t *pixel, int32_t weight)
{
    for (int c = 0; c < 3; c++)
        sum[c] += pixel[c] * weight;
}

WISP_DEVICE void start(int32_t sum[EACH][3])
{
    for (int k = 0; k < EACH; k++)
        for (int c = 0; c < 3; c++)
            sum[k][c] = WISP_WEIGHT_HALF;
}

// Of this thread's k-th value between the passes: its place in the first pass, and which of the
// sources of the second it is. Neighbouring threads read neighbouring columns of the picture.
WISP_DEVICE void place_between(const tile &t, int k, int32_t *pixel, int32_t *source)
{
    const int32_t column = threadIdx.x % VIEWS_TILE, row = threadIdx.x / VIEWS_TILE + k * ROWS;
    *pixel = t.rows_first ? column : row;
    *source = t.rows_first ? row : column;
}

// Taps [from, from + PIECE) of the first pass, for `n` sources of the second from `source` on.
WISP_DEVICE void add_piece(const tile &t, const shared_tile &s, int32_t from, int32_t source,
                           int32_t n, int32_t sum[EACH][3])
{
    for (int k = 0; k < EACH; k++) {
        int32_t i, j;
        place_between(t, k, &i, &j);
        const int32_t taps = min(s.first.taps[i].count - from, static_cast<int32_t>(PIECE));
        if (j >= n)
            continue;
        const uint8_t *pixel =
            t.box + (source + j) * t.second.step + (s.first.taps[i].first + from) * t.first.step;
        for (int32_t tap = 0; tap < taps; tap++, pixel += t.first.step)
            add_pixel(sum[k], pixel, s.weight[tap][i]);
    }
}

// The first pass; `most` is the largest number of taps. All threads meet in here.
WISP_DEVICE void run_first(const tile &t, shared_tile &s, int32_t source, int32_t n, int32_t most)
{
    int32_t sum[EACH][3];
    start(sum);
    for (int32_t from = 0; from < most; from += PIECE) {
        if (most > PIECE) {
            __syncthreads();
            weigh_piece(t, s, from);
            __syncthreads();
        }
        add_piece(t, s, from, source, n, sum);
    }
    for (int k = 0; k < EACH; k++) {
        int32_t i, j;
        place_between(t, k, &i, &j);
        for (int c = 0; c < 3; c++)
            s.between[j][i][c] = wisp_weighted_byte(sum[k][c]);
    }
}

WISP_DEVICE void weigh_sources(const tile &t, shared_tile &s, int32_t source)
{
    for (int32_t i = threadIdx.x; i < VIEWS_TILE * VIEWS_TILE; i += VIEWS_TILE_THREADS) {
        const int32_t j = i / VIEWS_TILE, at = i % VIEWS_TILE;
        const int32_t tap = source + j - s.second.taps[at].first;
        const bool there = tap >= 0 && tap < s.second.taps[at].count;
        s.mix[j][at] = there ? fixed_tap(t.second, s.second, at, tap) : 0;
    }
}

WISP_DEVICE void add_sources(const tile &t, const shared_tile &s, int32_t n, int32_t sum[EACH][3])
{
    const int32_t column = threadIdx.x % VIEWS_TILE;
    for (int k = 0; k < EACH; k++) {
        const int32_t row = threadIdx.x / VIEWS_TILE + k * ROWS;
        const int32_t pixel = t.rows_first ? column : row, to = t.rows_first ? row : column;
        for (int32_t j = 0; j < n; j++)
            add_pixel(sum[k], s.between[j][pixel], s.mix[j][to]);
    }
}

// All threads meet in here.
WISP_DEVICE void resize_tile(const tile &t, shared_tile &s, int32_t sum[EACH][3])
{
    const int32_t i = threadIdx.x % VIEWS_TILE;
    if (threadIdx.x < VIEWS_TILE)
        find_taps(t.first, s.first, i);
    else if (threadIdx.x < 2 * VIEWS_TILE)
        find_taps(t.second, s.second, i);
    __syncthreads();
    const int32_t most = most_taps(s.first), end = end_of(s.second, t.second.n - 1);
    if (most <= PIECE)
        weigh_piece(t, s, 0);
    start(sum);
    for (int32_t source = s.second.taps[0].first; source < end; source += VIEWS_TILE) {
        const int32_t n = min(end - source, static_cast<int32_t>(VIEWS_TILE));
        __syncthreads(); // `between` and `mix` have been read, the weights are there
        run_first(t, s, source, n, most);
        weigh_sources(t, s, source);
        __syncthreads();
        add_sources(t, s, n, sum);
    }
}

WISP_DEVICE way way_of(int64_t in, int64_t out, int64_t filter, int64_t first, int32_t n,
                       int64_t step)
{
    way w;
    w.stretch = wisp_stretch_of(static_cast<int32_t>(in), static_cast<int32_t>(out),
                                static_cast<int32_t>(filter));
    w.n = min(n, static_cast<int32_t>(VIEWS_TILE));
    w.first = static_cast<int32_t>(first);
    w.kept = in == out;
    w.step = step;
    return w;
}

WISP_DEVICE tile tile_of(const views_args &a, const int64_t *row, int32_t x, int32_t y)
{
    tile t;
    const int64_t stride = 3 * row[WISP_VIEW_SOURCE_W];
    const way across = way_of(row[WISP_VIEW_BOX_W], row[WISP_VIEW_RESIZED_W], row[WISP_VIEW_FILTER],
                              row[WISP_VIEW_WINDOW_X] + x, a.width - x, 3);
    const way down = way_of(row[WISP_VIEW_BOX_H], row[WISP_VIEW_RESIZED_H], row[WISP_VIEW_FILTER],
                            row[WISP_VIEW_WINDOW_Y] + y, a.height - y, stride);
    t.rows_first = !wisp_columns_first(across.stretch.in, down.stretch.in,
                                       static_cast<int32_t>(row[WISP_VIEW_RESIZED_W]),
                                       static_cast<int32_t>(row[WISP_VIEW_RESIZED_H]));
    t.first = t.rows_first ? across : down;
    t.second = t.rows_first ? down : across;
    t.box =
        a.pixels + row[WISP_VIEW_OFFSET] + row[WISP_VIEW_BOX_Y] * stride + 3 * row[WISP_VIEW_BOX_X];
    return t;
}

WISP_DEVICE void store_tile(const views_args &a, uint8_t *map, bool flip, int32_t left, int32_t top,
                            const int32_t sum[EACH][3])
{
    const int32_t x = left + static_cast<int32_t>(threadIdx.x) % VIEWS_TILE;
    for (int k = 0; k < EACH; k++) {
        const int32_t y = top + static_cast<int32_t>(threadIdx.x) / VIEWS_TILE + k * ROWS;
        if (x >= a.width || y >= a.height)
            continue;
        uint8_t *to = map + (static_cast<int64_t>(y) * a.width + (flip ? a.width - 1 - x : x)) * 3;
        for (int c = 0; c < 3; c++)
            to[c] = wisp_weighted_byte(sum[k][c]);
    }
}

// One block for each tile of each view.
WISP_KERNEL(resize_views, views_args)
{
    __shared__ shared_tile s;
    const int32_t tiles = a.tiles_x * a.tiles_y;
    const int64_t n = blockIdx.x / tiles;
    const int32_t at = static_cast<int32_t>(blockIdx.x % tiles);
    const int32_t x = at % a.tiles_x * VIEWS_TILE, y = at / a.tiles_x * VIEWS_TILE;
    const int64_t *row = a.views + n * WISP_VIEW_COLUMNS;
    int32_t sum[EACH][3];
    if (!wisp_view_row_fits(row, a.n_bytes, a.width, a.height))
        return; // finish_views says so
    const tile t = tile_of(a, row, x, y);
    resize_tile(t, s, sum);
    store_tile(a, a.map + n * 3 * a.width * a.height, row[WISP_VIEW_FLIP] != 0, x, y, sum);
}

// --- pixel operations ---

struct chain {
    const float *ops; // (kind, parameter) of each
    int32_t n;
};

WISP_DEVICE int32_t kind_of(const chain &c, int32_t k)
{
    return static_cast<int32_t>(c.ops[2 * k]);
}

WISP_DEVICE int32_t luma_of(wisp_rgb p)
{
    return wisp_luma(static_cast<uint32_t>(p.r), static_cast<uint32_t>(p.g),
                     static_cast<uint32_t>(p.b));
}

WISP_DEVICE wisp_rgb blended(wisp_rgb p, int32_t from, float factor)
{
    p.r = wisp_blend(from, p.r, factor);
    p.g = wisp_blend(from, p.g, factor);
    p.b = wisp_blend(from, p.b, factor);
    return p;
}

WISP_DEVICE wisp_rgb solarized(wisp_rgb p, float threshold)
{
    p.r = static_cast<float>(p.r) < threshold ? p.r : 255 - p.r;
    p.g = static_cast<float>(p.g) < threshold ? p.g : 255 - p.g;
    p.b = static_cast<float>(p.b) < threshold ? p.b : 255 - p.b;
    return p;
}

// `mean` is the picture's mean luma where the operation is contrast.
WISP_DEVICE wisp_rgb changed(wisp_rgb p, int32_t kind, float parameter, int32_t mean)
{
    switch (kind) {
    case WISP_PIXEL_BRIGHTNESS:
        return blended(p, 0, parameter);
    case WISP_PIXEL_CONTRAST:
        return blended(p, mean, parameter);
    case WISP_PIXEL_SATURATION:
        return blended(p, luma_of(p), parameter);
    case WISP_PIXEL_HUE:
        return wisp_turn_hue(p, static_cast<int32_t>(parameter));
    case WISP_PIXEL_GRAY:
        p.r = p.g = p.b = luma_of(p);
        return p;
    default:
        return solarized(p, parameter);
    }
}

// The end of the operations from `at` on that look at one pixel alone. Contrast needs a mean, which
// `has_mean` says is there for operation `at`.
WISP_DEVICE int32_t end_of_run(const chain &c, int32_t at, bool has_mean)
{
    int32_t end = has_mean ? at + 1 : at;
    while (end < c.n && kind_of(c, end) != WISP_PIXEL_CONTRAST &&
           kind_of(c, end) != WISP_PIXEL_BLUR && kind_of(c, end) != WISP_PIXEL_GAUSSIAN)
        end++;
    return end;
}

WISP_DEVICE wisp_rgb run_ops(const chain &c, int32_t at, int32_t end, wisp_rgb p, int32_t mean)
{
    for (int32_t k = at; k < end; k++)
        p = changed(p, kind_of(c, k), c.ops[2 * k + 1], mean);
    return p;
}

WISP_DEVICE wisp_rgb load_rgb(const uint8_t *from)
{
    wisp_rgb p;
    p.r = from[0];
    p.g = from[1];
    p.b = from[2];
    return p;
}

WISP_DEVICE void store_rgb(uint8_t *to, wisp_rgb p)
{
    to[0] = static_cast<uint8_t>(p.r);
    to[1] = static_cast<uint8_t>(p.g);
    to[2] = static_cast<uint8_t>(p.b);
}

// Over the block; every thread gets it. No view has so many pixels that it overflows.
WISP_DEVICE uint32_t sum_block(uint32_t x, uint32_t *room)
{
    room[threadIdx.x] = x;
    __syncthreads();
    for (int32_t half = VIEWS_FINISH_THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < static_cast<uint32_t>(half))
            room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    const uint32_t sum = room[0];
    __syncthreads();
    return sum;
}

// One box pass along lines of n pixels that are `step` bytes apart.
WISP_DEVICE void blur_pass(wisp_box_blur box, const uint8_t *from, uint8_t *to, int32_t bytes,
                           int32_t n, int32_t step)
{
    for (int32_t i = threadIdx.x; i < bytes; i += VIEWS_FINISH_THREADS) {
        const int32_t at = i / step % n;
        const uint8_t *line = from + (i - at * step);
        uint32_t inner = 0;
        for (int32_t d = max(at - box.radius, 0); d <= min(at + box.radius, n - 1); d++)
            inner += line[d * step];
        inner += line[0] * static_cast<uint32_t>(max(box.radius - at, 0));
        inner += line[(n - 1) * step] * static_cast<uint32_t>(max(at + box.radius - (n - 1), 0));
        const uint32_t outer = static_cast<uint32_t>(line[max(at - box.radius - 1, 0) * step]) +
                               static_cast<uint32_t>(line[min(at + box.radius + 1, n - 1) * step]);
        to[i] = wisp_blurred_byte(box, inner, outer);
    }
    __syncthreads();
}

WISP_DEVICE void blur(const views_args &a, uint8_t *map, uint8_t *spare, float sigma)
{
    const wisp_box_blur box = wisp_box_blur_of(sigma);
    const int32_t row = 3 * a.width, bytes = row * a.height;
    for (int pass = 0; pass < 2 * WISP_BLUR_PASSES; pass++) {
        const bool rows = pass < WISP_BLUR_PASSES;
        blur_pass(box, pass % 2 ? spare : map, pass % 2 ? map : spare, bytes,
                  rows ? a.width : a.height, rows ? 3 : row);
    }
}

struct shared_gauss {
    int16_t weights[WISP_GAUSS_WEIGHTS];
    int32_t radius;
};

// The weighted sum about value i of lines of n that are `step` apart.
template <class T>
WISP_DEVICE int32_t gauss_sum(const shared_gauss &g, const T *values, int32_t i, int32_t n,
                              int32_t step)
{
    const int32_t at = i / step % n;
    const T *line = values + (i - at * step);
    int32_t sum = line[at * step] * g.weights[0];
    for (int32_t d = 1; d <= g.radius; d++)
        sum += (line[wisp_reflected(at - d, n) * step] + line[wisp_reflected(at + d, n) * step]) *
               g.weights[d];
    return sum;
}

// `between` has two bytes for each value of the map. All threads meet in here.
WISP_DEVICE void blur_by_gaussian(const views_args &a, shared_gauss &g, uint8_t *map,
                                  uint16_t *between, float sigma)
{
    const int32_t row = 3 * a.width, bytes = row * a.height;
    if (threadIdx.x == 0)
        g.radius = wisp_gauss_weights(sigma, g.weights);
    __syncthreads();
    for (int32_t i = threadIdx.x; i < bytes; i += VIEWS_FINISH_THREADS)
        between[i] = wisp_gauss_between(gauss_sum(g, map, i, a.width, 3));
    __syncthreads();
    for (int32_t i = threadIdx.x; i < bytes; i += VIEWS_FINISH_THREADS)
        map[i] = wisp_gauss_byte(gauss_sum(g, between, i, a.height, row));
    __syncthreads();
}

// Operation k, which looks at a pixel's neighbours. The view's place in y, two bytes or more for
// each value, is free until the end.
WISP_DEVICE void blur_by(const views_args &a, const chain &c, int32_t k, shared_gauss &g,
                         uint8_t *map, uint8_t *spare, void *y)
{
    if (kind_of(c, k) == WISP_PIXEL_GAUSSIAN)
        blur_by_gaussian(a, g, map, static_cast<uint16_t *>(y), c.ops[2 * k + 1]);
    else
        blur(a, map, spare, c.ops[2 * k + 1]);
}

WISP_DEVICE bool makes_sense(const views_args &a, const int64_t *row, const chain &c)
{
    if (!wisp_view_row_fits(row, a.n_bytes, a.width, a.height))
        return false;
    for (int32_t k = 0; k < c.n; k++)
        if (!wisp_view_op_fits(c.ops[2 * k], c.ops[2 * k + 1]))
            return false;
    return true;
}

template <class T> WISP_DEVICE void store_normalised(const views_args &a, T *to, wisp_rgb p)
{
    to[0] = from_f32<T>(wisp_normalised(p.r, a.mean[0], a.std[0]));
    to[1] = from_f32<T>(wisp_normalised(p.g, a.mean[1], a.std[1]));
    to[2] = from_f32<T>(wisp_normalised(p.b, a.mean[2], a.std[2]));
}

// Operations [at, end) on every pixel, back into the map; the sum of luma of this thread's pixels.
WISP_DEVICE uint32_t run_over(const chain &c, int32_t at, int32_t end, int32_t mean, uint8_t *map,
                              int32_t n)
{
    uint32_t sum = 0;
    for (int32_t i = threadIdx.x; i < n; i += VIEWS_FINISH_THREADS) {
        const wisp_rgb p = run_ops(c, at, end, load_rgb(map + 3 * i), mean);
        store_rgb(map + 3 * i, p);
        sum += static_cast<uint32_t>(luma_of(p));
    }
    return sum;
}

// One block for each view.
template <class T> WISP_DEVICE void finish(const views_args &a, uint32_t *room, shared_gauss &g)
{
    const int64_t n = blockIdx.x;
    const int32_t pixels = a.width * a.height;
    const int64_t *row = a.views + n * WISP_VIEW_COLUMNS;
    const chain c = {a.ops + n * WISP_MAX_PIXEL_OPS * 2,
                     static_cast<int32_t>(row[WISP_VIEW_N_OPS])};
    uint8_t *map = a.map + n * 3 * pixels;
    T *y = static_cast<T *>(a.y) + n * 3 * pixels;
    if (!makes_sense(a, row, c)) {
        for (int32_t i = threadIdx.x; i < 3 * pixels; i += VIEWS_FINISH_THREADS)
            y[i] = from_f32<T>(nanf(""));
        return;
    }
    int32_t at = 0, mean = 0, end;
    bool has_mean = false;
    while ((end = end_of_run(c, at, has_mean)) < c.n) {
        const uint32_t sum = run_over(c, at, end, mean, map, pixels);
        has_mean = kind_of(c, end) == WISP_PIXEL_CONTRAST;
        mean = wisp_mean_luma(sum_block(sum, room), static_cast<uint64_t>(pixels));
        if (!has_mean)
            blur_by(a, c, end, g, map, a.spare + n * 3 * pixels, y);
        at = has_mean ? end : end + 1;
    }
    for (int32_t i = threadIdx.x; i < pixels; i += VIEWS_FINISH_THREADS)
        store_normalised(a, y + 3 * i, run_ops(c, at, c.n, load_rgb(map + 3 * i), mean));
}

WISP_KERNEL(finish_views_f32, views_args)
{
    __shared__ uint32_t room[VIEWS_FINISH_THREADS];
    __shared__ shared_gauss g;
    finish<float>(a, room, g);
}
WISP_KERNEL(finish_views_bf16, views_args)
{
    __shared__ uint32_t room[VIEWS_FINISH_THREADS];
    __shared__ shared_gauss g;
    finish<bf16>(a, room, g);
}

/* box_blur_lanes.h - the box blur by vectors of 16-bit numbers; for box_blur_<level>.c only.
 *
 * Such a file defines before it includes this: LANES; the type `lanes`; load, store (16 bits each,
 * any alignment); widen and narrow (from and to `n` <= LANES bytes); add, sub; and weigh, which is
 * wisp_blurred_byte, with its type `weights`.
 *
 * Bytes are widened once and narrowed once for the three passes of a direction. Rows go line by
 * line, columns by strips of LANES bytes, both in buffers whose ends are repeated. */
#ifndef WISPI_IMAGE_BOX_BLUR_LANES_H
#define WISPI_IMAGE_BOX_BLUR_LANES_H

#include <string.h>

/* Sums of so many pixels are below 2^15. */
enum { LONGEST_RADIUS = 63 };

/* Two weights in one number of 32 bits by their signed lower halves, and their upper halves. */
typedef struct split_weights {
    int32_t low_pair;
    int16_t inner_high, outer_high;
} split_weights;

static inline split_weights split(wisp_box_blur box)
{
    split_weights s;
    const uint32_t inner = box.inner + 0x8000, outer = box.outer + 0x8000;
    s.inner_high = (int16_t)(inner >> 16);
    s.outer_high = (int16_t)(outer >> 16);
    s.low_pair = (int32_t)((box.inner & 0xffff) | box.outer << 16);
    return s;
}

static void repeat_line_ends(uint16_t *line, size_t n, int32_t margin)
{
    for (size_t i = 3; i <= 3 * (size_t)margin; i += 3) {
        memcpy(line - i, line, 3 * sizeof *line);
        memcpy(line + n + i - 3, line + n - 3, 3 * sizeof *line);
    }
}

static inline void short_line(const weights *w, size_t radius, const uint16_t *line, uint16_t *out,
                              size_t n)
{
    const size_t beyond = 3 * (radius + 1);
    for (size_t i = 0; i < n; i += LANES) {
        lanes inner = load(line + i);
        for (size_t d = 3; d < beyond; d += 3)
            inner = add(inner, add(load(line + i - d), load(line + i + d)));
        const lanes outer = add(load(line + i - beyond), load(line + i + beyond));
        store(out + i, weigh(w, inner, outer));
    }
}

/* Running sums of the inner pixels, three channels in one number, into `out`. */
static void sum_line(int32_t radius, const uint16_t *line, uint16_t *out, size_t n)
{
    uint64_t sum = 0, value;
    for (int32_t x = -radius - 1; x < radius; x++) {
        memcpy(&value, line + 3 * x, sizeof value);
        sum += value;
    }
    for (size_t i = 0; i < n; i += 3) {
        memcpy(&value, line + i + 3 * radius, sizeof value);
        sum += value;
        memcpy(&value, line + i - 3 * (radius + 1), sizeof value);
        sum -= value;
        memcpy(out + i, &sum, sizeof sum);
    }
}

static void long_line(const weights *w, int32_t radius, const uint16_t *line, uint16_t *out,
                      size_t n)
{
    const size_t beyond = 3 * ((size_t)radius + 1);
    sum_line(radius, line, out, n);
    for (size_t i = 0; i < n; i += LANES) {
        const lanes outer = add(load(line + i - beyond), load(line + i + beyond));
        store(out + i, weigh(w, load(out + i), outer));
    }
}

/* `radius` is a constant in each of the calls, so the inner loop disappears. */
static void blur_line(const weights *w, int32_t radius, const uint16_t *line, uint16_t *out,
                      size_t n)
{
    if (radius == 0)
        short_line(w, 0, line, out, n);
    else if (radius == 1)
        short_line(w, 1, line, out, n);
    else if (radius == 2)
        short_line(w, 2, line, out, n);
    else
        long_line(w, radius, line, out, n);
}

static void blur_row(const weights *w, int32_t radius, uint8_t *row, size_t n, uint16_t *lines[2])
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(lines[0] + i, widen(row + i, LANES));
    if (i < n)
        store(lines[0] + i, widen(row + i, n - i));
    for (int pass = 0; pass < WISP_BLUR_PASSES; pass++) {
        repeat_line_ends(lines[pass & 1], n, radius + 1);
        blur_line(w, radius, lines[pass & 1], lines[~pass & 1], n);
    }
    for (i = 0; i + LANES <= n; i += LANES)
        narrow(row + i, load(lines[1] + i), LANES);
    if (i < n)
        narrow(row + i, load(lines[1] + i), n - i);
}

/* One pass down a strip of rows of LANES. */
static void blur_strip(const weights *w, int32_t radius, const uint16_t *from, uint16_t *to,
                       int32_t height)
{
    const uint16_t *left = from - (radius + 1) * LANES, *enters = from + radius * LANES;
    lanes sum = load(left);
    for (const uint16_t *at = left + LANES; at < enters; at += LANES)
        sum = add(sum, load(at));
    for (int32_t y = 0; y < height; y++, left += LANES, enters += LANES, to += LANES) {
        const lanes leaves = load(left);
        sum = sub(add(sum, load(enters)), leaves);
        store(to, weigh(w, sum, add(leaves, load(enters + LANES))));
    }
}

static void repeat_strip_ends(uint16_t *strip, int32_t height, int32_t margin)
{
    const lanes first = load(strip), last = load(strip + (height - 1) * LANES);
    for (int32_t i = 1; i <= margin; i++) {
        store(strip - i * LANES, first);
        store(strip + (height - 1 + i) * LANES, last);
    }
}

static void blur_columns(const weights *w, int32_t radius, uint8_t *columns, int32_t height,
                         size_t n, size_t here, uint16_t *strips[2])
{
    uint8_t *row = columns;
    for (int32_t y = 0; y < height; y++, row += n)
        store(strips[0] + y * LANES, here == LANES ? widen(row, LANES) : widen(row, here));
    for (int pass = 0; pass < WISP_BLUR_PASSES; pass++) {
        repeat_strip_ends(strips[pass & 1], height, radius + 1);
        blur_strip(w, radius, strips[pass & 1], strips[~pass & 1], height);
    }
    row = columns;
    for (int32_t y = 0; y < height; y++, row += n) {
        if (here == LANES)
            narrow(row, load(strips[1] + y * LANES), LANES);
        else
            narrow(row, load(strips[1] + y * LANES), here);
    }
}

/* Two buffers of so many values, each with a margin before and behind. */
static void halve(uint16_t *scratch, size_t values, size_t margin, uint16_t *halves[2])
{
    halves[0] = scratch + margin;
    halves[1] = halves[0] + values + 2 * margin;
}

static void blur_picture(const weights *w, int32_t radius, uint8_t *rgb, int32_t width,
                         int32_t height, void *scratch)
{
    const size_t n = 3 * (size_t)width, beyond = (size_t)radius + 1;
    uint16_t *halves[2];
    /* A last vector reads and writes behind the line. */
    halve(scratch, n + LANES, 3 * beyond, halves);
    for (int32_t y = 0; y < height; y++)
        blur_row(w, radius, rgb + (size_t)y * n, n, halves);
    halve(scratch, (size_t)height * LANES, beyond * LANES, halves);
    for (size_t x = 0; x < n; x += LANES)
        blur_columns(w, radius, rgb + x, height, n, n - x < LANES ? n - x : LANES, halves);
}

#endif

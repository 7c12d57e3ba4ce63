/* cpu_tile.h - products of small f32 matrices that lie in the nearer caches, for kernels that do
 * other work on them before and after.
 *
 * A tile of the result, a few rows by a few vectors, stays in registers while the inner dimension
 * passes by. The right matrix is read along its rows; the left one element by element, so that it
 * may be transposed. */
#ifndef CPU_TILE_H
#define CPU_TILE_H

#include "cpu_stream.h"

#if defined(__AVX512F__)
enum { CPU_TILE_VECTORS = 4 };
#else
enum { CPU_TILE_VECTORS = 2 };
#endif
enum { CPU_TILE_ROWS = 6, CPU_PANEL = CPU_LANES * CPU_TILE_VECTORS };

/* c (rows, columns) = or += a (rows, n) * b (n, columns). Element (i, k) of a is at
 * a[i * a_row + k * a_step]. Rows of b are read in whole vectors. */
typedef struct cpu_product {
    int64_t rows, columns, n;
    const float *a;
    int64_t a_row, a_step;
    const float *b;
    int64_t b_row; /* 0: b is packed, see cpu_panel_at */
    float *c;
    int64_t c_row;
    int adds;
    cpu_ahead *ahead; /* what to ask for on the way; may be NULL */
} cpu_product;

/* Columns of b in panels of CPU_PANEL, one after the other; the rows of the last are as long as the
 * vectors it needs. */
CPU_INLINE int64_t cpu_panel_width(int64_t columns, int64_t panel)
{
    const int64_t left = cpu_min(columns - panel * CPU_PANEL, CPU_PANEL);
    return cpu_ceil_div(left, CPU_LANES) * CPU_LANES;
}

CPU_INLINE int64_t cpu_panel_at(int64_t n, int64_t panel)
{
    return panel * CPU_PANEL * n;
}

CPU_INLINE int64_t cpu_panels_size(int64_t columns, int64_t n)
{
    return cpu_ceil_div(columns, CPU_LANES) * CPU_LANES * n;
}

CPU_INLINE void cpu_tile_store(float *c, cpu_lanes v, int64_t columns)
{
    if (columns >= CPU_LANES) {
        cpu_lanes_store(c, v);
        return;
    }
    for (int64_t i = 0; i < columns; i++)
        c[i] = v[i];
}

CPU_INLINE void cpu_tile(const cpu_product *p, const float *a, const float *b, int64_t b_row,
                         float *c, int64_t columns, const int rows, const int vectors)
{
    cpu_lanes sum[CPU_TILE_ROWS][CPU_TILE_VECTORS];
    const int64_t a_row = p->a_row, a_step = p->a_step, c_row = p->c_row;
    CPU_UNROLL
    for (int i = 0; i < rows; i++) {
        CPU_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[i][v] = (cpu_lanes){0};
    }
    for (int64_t k = p->n; k > 0; k--) {
        cpu_lanes right[CPU_TILE_VECTORS];
        CPU_UNROLL
        for (int v = 0; v < vectors; v++)
            right[v] = cpu_lanes_load(b + v * CPU_LANES);
        CPU_UNROLL
        for (int i = 0; i < rows; i++) {
            const float left = a[i * a_row];
            CPU_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[i][v] += left * right[v];
        }
        a += a_step;
        b += b_row;
    }
    CPU_UNROLL
    for (int i = 0; i < rows; i++) {
        CPU_UNROLL
        for (int v = 0; v < vectors; v++) {
            float *to = c + i * c_row + v * CPU_LANES;
            const cpu_lanes before = p->adds ? cpu_lanes_load(to) : (cpu_lanes){0};
            cpu_tile_store(to, sum[i][v] + before, columns - v * CPU_LANES);
        }
    }
}

/* One panel of the result. */
CPU_INLINE void cpu_tile_column(const cpu_product *p, const float *b, int64_t b_row, float *c,
                                int64_t columns, const int vectors)
{
    int64_t i = 0;
    for (; i + 6 <= p->rows; i += 6) {
        cpu_tile(p, p->a + i * p->a_row, b, b_row, c + i * p->c_row, columns, 6, vectors);
        if (p->ahead)
            cpu_ahead_step(p->ahead);
    }
    for (; i + 4 <= p->rows; i += 4)
        cpu_tile(p, p->a + i * p->a_row, b, b_row, c + i * p->c_row, columns, 4, vectors);
    for (; i + 2 <= p->rows; i += 2)
        cpu_tile(p, p->a + i * p->a_row, b, b_row, c + i * p->c_row, columns, 2, vectors);
    for (; i < p->rows; i++)
        cpu_tile(p, p->a + i * p->a_row, b, b_row, c + i * p->c_row, columns, 1, vectors);
}

/* How often a product steps ahead, at least. */
CPU_INLINE int64_t cpu_product_steps(int64_t rows, int64_t columns)
{
    return rows / CPU_TILE_ROWS * cpu_ceil_div(columns, CPU_PANEL);
}

/* Where p->adds is set, c is read in whole vectors too. */
static void cpu_multiply(const cpu_product *p)
{
    for (int64_t j = 0; j * CPU_PANEL < p->columns; j++) {
        const int64_t columns = cpu_min(p->columns - j * CPU_PANEL, CPU_PANEL);
        const int64_t width = cpu_panel_width(p->columns, j);
        const float *b = p->b_row ? p->b + j * CPU_PANEL : p->b + cpu_panel_at(p->n, j);
        const int64_t b_row = p->b_row ? p->b_row : width;
        float *c = p->c + j * CPU_PANEL;
        if (width == CPU_LANES)
            cpu_tile_column(p, b, b_row, c, columns, 1);
        else if (width == 2 * CPU_LANES)
            cpu_tile_column(p, b, b_row, c, columns, 2);
#if defined(__AVX512F__)
        else if (width == 3 * CPU_LANES)
            cpu_tile_column(p, b, b_row, c, columns, 3);
        else
            cpu_tile_column(p, b, b_row, c, columns, 4);
#endif
    }
}

#endif

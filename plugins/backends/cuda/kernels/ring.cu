// ring.cu - state that is written in place: running averages, and rings of the newest rows.
#include "ring.h"
#include "words.cuh"

namespace
{

/* buffer = m buffer + (1 - m) x: three accesses an element. */
template <class B, class X> WISP_DEVICE void lerp(const lerp_args &a)
{
    B *buffer = static_cast<B *>(a.buffer);
    const X *x = static_cast<const X *>(a.x);
    const float m = a.m[0], rest = static_cast<float>(1.0 - static_cast<double>(m));
    const int64_t whole = a.by_four ? a.n / 4 * 4 : 0;
    for (int64_t i = 4 * thread_index(); i < whole; i += 4 * thread_count()) {
        const four from = load4(x + i);
        four to = load4(buffer + i);
        for (int k = 0; k < 4; k++)
            to.v[k] = m * to.v[k] + rest * from.v[k];
        store4(buffer + i, to);
    }
    for (int64_t i = whole + thread_index(); i < a.n; i += thread_count())
        buffer[i] = from_f32<B>(m * to_f32(buffer[i]) + rest * to_f32(x[i]));
}

/* The cursor, taken into 0..size-1. */
WISP_DEVICE int64_t ring_cursor(const ring_args &a)
{
    const int64_t rest = a.cursor[0] % a.size;
    return rest < 0 ? rest + a.size : rest;
}

/* Two accesses a word. */
template <class F> WISP_DEVICE void ring_rows(const ring_args &a, F move)
{
    const int64_t cursor = ring_cursor(a);
    for (int64_t i = thread_index(); i < a.n; i += thread_count()) {
        int64_t column;
        int64_t row = cursor + split(a.width, i, &column);
        row = row < a.size ? row : row - a.size; /* no more rows than the ring has */
        move(row * a.width.by + column, i);
    }
}

template <class W> WISP_DEVICE void ring_move(const ring_args &a)
{
    W *ring = static_cast<W *>(a.ring);
    const W *rows = static_cast<const W *>(a.rows);
    ring_rows(a, [&](int64_t to, int64_t from) { ring[to] = rows[from]; });
}

template <class R, class X> WISP_DEVICE void ring_convert(const ring_args &a)
{
    R *ring = static_cast<R *>(a.ring);
    const X *rows = static_cast<const X *>(a.rows);
    ring_rows(a, [&](int64_t to, int64_t from) { ring[to] = from_f32<R>(to_f32(rows[from])); });
}

} // namespace

WISP_KERNEL(lerp_f32_f32, lerp_args)
{
    lerp<float, float>(a);
}
WISP_KERNEL(lerp_f32_bf16, lerp_args)
{
    lerp<float, bf16>(a);
}
WISP_KERNEL(lerp_bf16_f32, lerp_args)
{
    lerp<bf16, float>(a);
}
WISP_KERNEL(lerp_bf16_bf16, lerp_args)
{
    lerp<bf16, bf16>(a);
}

WISP_KERNEL(ring_move_16, ring_args)
{
    ring_move<uint4>(a);
}
WISP_KERNEL(ring_move_8, ring_args)
{
    ring_move<uint2>(a);
}
WISP_KERNEL(ring_move_4, ring_args)
{
    ring_move<uint32_t>(a);
}
WISP_KERNEL(ring_move_2, ring_args)
{
    ring_move<uint16_t>(a);
}
WISP_KERNEL(ring_move_1, ring_args)
{
    ring_move<uint8_t>(a);
}
WISP_KERNEL(ring_convert_f32_bf16, ring_args)
{
    ring_convert<float, bf16>(a);
}
WISP_KERNEL(ring_convert_bf16_f32, ring_args)
{
    ring_convert<bf16, float>(a);
}

/* One thread, after the rows. */
WISP_KERNEL(ring_advance, ring_args)
{
    a.cursor[0] = (ring_cursor(a) + a.n_rows) % a.size;
}

// rows_move.cu - runs of words from several tensors side by side. Every byte of y is written once
// and every byte of it that is no zero read once: 2 bytes moved for each of y's.
#include "rows_move.h"
#include "words.cuh"

namespace
{

template <class W> WISP_DEVICE W fetch(const rows_move_args &a, int64_t i)
{
    int64_t column;
    const int64_t row = split(a.row, i, &column);
    int p = 0;
    while (p + 1 < a.n_parts && column >= a.parts[p + 1].to)
        p++;
    const rows_move_part &part = a.parts[p];
    const W *x = static_cast<const W *>(part.x);
    return x ? x[part.from + row * part.pitch + column - part.to] : W();
}

template <class W> WISP_DEVICE void rows_move(const rows_move_args &a)
{
    write_words<W>(a.y, a.n, [&](int64_t i) { return fetch<W>(a, i); });
}

} // namespace

WISP_KERNEL(rows_move_16, rows_move_args)
{
    rows_move<uint4>(a);
}
WISP_KERNEL(rows_move_8, rows_move_args)
{
    rows_move<uint2>(a);
}
WISP_KERNEL(rows_move_4, rows_move_args)
{
    rows_move<uint32_t>(a);
}
WISP_KERNEL(rows_move_2, rows_move_args)
{
    rows_move<uint16_t>(a);
}
WISP_KERNEL(rows_move_1, rows_move_args)
{
    rows_move<uint8_t>(a);
}

// top_k.cu - the k largest of each row, largest first; of equal ones the lower index first.
//
// An element becomes a key of 64 bits: its value, so mapped that integers compare as the numbers do
// (NaN above all, -0 as 0), above the complement of its index. Keys are distinct, so that there is
// one answer whatever the order in which they are looked at. A block keeps the 256 largest keys of
// its part of a row in order and collects those that beat the k-th; when there is no more room,
// both are sorted. A second launch does the same with the keys that the parts of a row have found.
// Every 256 of k read x once; x is all that is read from memory: its size, and 8 to 10 bytes for
// each of the k.
#include "kernel.cuh"
#include "top_k.h"

namespace
{

enum {
    THREADS = 256,
    EACH = 4,
    TILE = THREADS * EACH,
    ROOM = 2048,
    FULL = ROOM - TOP_K_MOST - TILE
};

typedef unsigned long long key;

WISP_DEVICE key key_of(float x, int64_t i)
{
    const uint32_t bits = __float_as_uint(x == 0.0f ? 0.0f : x);
    const uint32_t order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    const uint32_t low = ~static_cast<uint32_t>(i);
    return static_cast<key>(x != x ? 0xff800001u : order) << 32 | low;
}

WISP_DEVICE int64_t index_of(key k)
{
    return ~static_cast<uint32_t>(k);
}

/* What a block has found: `keys` begins with the largest in order, then come `n` others. */
struct found_keys {
    key *keys;
    int *n;
    int64_t k;
};

/* Sorts the first `size` keys, a power of two, largest first (Batcher's bitonic network). */
WISP_DEVICE void sort_keys(key *keys, unsigned size)
{
    for (unsigned width = 2; width <= size; width *= 2)
        for (unsigned by = width / 2; by > 0; by /= 2) {
            __syncthreads();
            for (unsigned t = threadIdx.x; t < size / 2; t += THREADS) {
                const unsigned i = 2 * t - (t & (by - 1)), j = i + by;
                const key x = keys[i], y = keys[j];
                if ((x < y) == ((i & width) == 0)) {
                    keys[i] = y;
                    keys[j] = x;
                }
            }
        }
    __syncthreads();
}

/* Puts the n others in their places; all threads know n. */
WISP_DEVICE void settle(const found_keys &f, int n)
{
    unsigned size = 2 * TOP_K_MOST;
    while (size < static_cast<unsigned>(TOP_K_MOST + n))
        size *= 2;
    for (unsigned i = TOP_K_MOST + n + threadIdx.x; i < size; i += THREADS)
        f.keys[i] = 0;
    sort_keys(f.keys, size);
    if (threadIdx.x == 0)
        *f.n = 0;
    __syncthreads();
}

WISP_DEVICE void begin(const found_keys &f)
{
    __syncthreads(); /* keys may still be read for the row before */
    for (int i = threadIdx.x; i < TOP_K_MOST; i += THREADS)
        f.keys[i] = 0;
    if (threadIdx.x == 0)
        *f.n = 0;
    __syncthreads();
}

/* Every thread offers EACH keys; 0 is none. */
WISP_DEVICE void offer(const found_keys &f, const key *own)
{
    __syncthreads();
    const int n = *f.n;
    __syncthreads(); /* all have read it */
    if (n > FULL)
        settle(f, n);
    const key least = f.keys[f.k - 1];
    for (int e = 0; e < EACH; e++)
        if (own[e] > least)
            f.keys[TOP_K_MOST + atomicAdd(f.n, 1)] = own[e];
}

WISP_DEVICE void settle_all(const found_keys &f)
{
    __syncthreads();
    const int n = *f.n;
    __syncthreads();
    if (n > 0)
        settle(f, n);
}

/* Four elements from `at` on. Keys that an earlier pass has found are left out. */
template <class T>
WISP_DEVICE void read_keys(const top_k_args &a, const T *x, int64_t at, int64_t end, key before,
                           key *own)
{
    float v[EACH];
    if (a.by_four && at + EACH <= end) {
        const four four_values = load4(x + at);
        for (int e = 0; e < EACH; e++)
            v[e] = four_values.v[e];
    } else {
        for (int e = 0; e < EACH; e++)
            v[e] = at + e < end ? to_f32(x[at + e]) : 0.0f;
    }
    for (int e = 0; e < EACH; e++) {
        const key one = key_of(v[e], at + e);
        own[e] = at + e < end && one < before ? one : 0;
    }
}

template <class T> WISP_DEVICE void write_row(const top_k_args &a, int64_t row, const key *keys)
{
    const T *x = static_cast<const T *>(a.x) + row * a.m;
    for (int64_t i = threadIdx.x; i < a.now; i += THREADS) {
        const int64_t from = index_of(keys[i]), to = row * a.k + a.done + i;
        static_cast<T *>(a.values)[to] = x[from];
        a.index[to] = from;
    }
    if (threadIdx.x == 0)
        a.last[row] = keys[a.now - 1];
}

/* One part of a row. */
template <class T>
WISP_DEVICE void top_of_part(const top_k_args &a, const found_keys &f, int64_t unit)
{
    const int64_t row = unit / a.parts, part = unit % a.parts;
    const int64_t end = part + 1 == a.parts ? a.m : (part + 1) * a.part;
    const T *x = static_cast<const T *>(a.x) + row * a.m;
    const key before = a.done ? a.last[row] : ~static_cast<key>(0);
    begin(f);
    for (int64_t at = part * a.part; at < end; at += TILE) {
        key own[EACH];
        read_keys(a, x, at + EACH * threadIdx.x, end, before, own);
        offer(f, own);
    }
    settle_all(f);
    if (a.parts == 1)
        write_row<T>(a, row, f.keys);
    else
        for (int64_t i = threadIdx.x; i < a.now; i += THREADS)
            a.found[unit * a.now + i] = f.keys[i];
}

/* What all parts of a row have found; a part with fewer elements than are wanted leaves 0s. */
template <class T>
WISP_DEVICE void top_of_row(const top_k_args &a, const found_keys &f, int64_t row)
{
    const int64_t n = a.parts * a.now;
    begin(f);
    for (int64_t at = 0; at < n; at += TILE) {
        key own[EACH];
        for (int e = 0; e < EACH; e++) {
            const int64_t i = at + THREADS * e + threadIdx.x;
            own[e] = i < n ? static_cast<key>(a.found[row * n + i]) : 0;
        }
        offer(f, own);
    }
    settle_all(f);
    write_row<T>(a, row, f.keys);
}

} // namespace

#define TOP_K_KERNEL(entry, type, part, units)                                                     \
    WISP_KERNEL(entry, top_k_args)                                                                 \
    {                                                                                              \
        __shared__ key keys[ROOM];                                                                 \
        __shared__ int n;                                                                          \
        const found_keys f = {keys, &n, a.now};                                                    \
        for (int64_t unit = blockIdx.x; unit < (units); unit += gridDim.x)                         \
            part<type>(a, f, unit);                                                                \
    }

TOP_K_KERNEL(top_k_f32, float, top_of_part, a.n *a.parts)
TOP_K_KERNEL(top_k_bf16, bf16, top_of_part, a.n *a.parts)
TOP_K_KERNEL(top_k_merge_f32, float, top_of_row, a.n)
TOP_K_KERNEL(top_k_merge_bf16, bf16, top_of_row, a.n)

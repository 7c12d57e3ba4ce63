/* hash64.h - the XXH64 function, written from its published specification; header-only.
 *
 * For checksums and fingerprints: it finds accidents, not attacks. Its values stand in files and in
 * stored runs and never change. All functions are pure. [any] */
#ifndef WISP_HASH64_H
#define WISP_HASH64_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_HASH64_P1 UINT64_C(0x9E3779B185EBCA87)
#define WISP_HASH64_P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define WISP_HASH64_P3 UINT64_C(0x165667B19E3779F9)
#define WISP_HASH64_P4 UINT64_C(0x85EBCA77C2B2AE63)
#define WISP_HASH64_P5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t wisp_hash64_rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* Byte by byte, so that the value does not depend on the machine; compilers make one load of it. */
static inline uint64_t wisp_hash64_load32(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static inline uint64_t wisp_hash64_load64(const uint8_t *p)
{
    return wisp_hash64_load32(p) | wisp_hash64_load32(p + 4) << 32;
}

static inline uint64_t wisp_hash64_mix(uint64_t lane, uint64_t word)
{
    return wisp_hash64_rotate(lane + word * WISP_HASH64_P2, 31) * WISP_HASH64_P1;
}

static inline void wisp_hash64_begin(uint64_t lane[4], uint64_t seed)
{
    lane[0] = seed + WISP_HASH64_P1 + WISP_HASH64_P2;
    lane[1] = seed + WISP_HASH64_P2;
    lane[2] = seed;
    lane[3] = seed - WISP_HASH64_P1;
}

/* Takes n / 32 stripes of 32 bytes. */
static inline void wisp_hash64_stripes(uint64_t lane[4], const uint8_t *p, size_t n)
{
    uint64_t a = lane[0], b = lane[1], c = lane[2], d = lane[3];
    for (; n >= 32; p += 32, n -= 32) {
        a = wisp_hash64_mix(a, wisp_hash64_load64(p));
        b = wisp_hash64_mix(b, wisp_hash64_load64(p + 8));
        c = wisp_hash64_mix(c, wisp_hash64_load64(p + 16));
        d = wisp_hash64_mix(d, wisp_hash64_load64(p + 24));
    }
    lane[0] = a;
    lane[1] = b;
    lane[2] = c;
    lane[3] = d;
}

/* The value of `total` bytes, of which the last `n` < 32 stand at `p` and the others went through
 * the lanes. */
static inline uint64_t wisp_hash64_end(const uint64_t lane[4], uint64_t seed, uint64_t total,
                                       const uint8_t *p, size_t n)
{
    uint64_t value = seed + WISP_HASH64_P5;
    if (total >= 32) {
        value = wisp_hash64_rotate(lane[0], 1) + wisp_hash64_rotate(lane[1], 7) +
                wisp_hash64_rotate(lane[2], 12) + wisp_hash64_rotate(lane[3], 18);
        for (int i = 0; i < 4; i++)
            value = (value ^ wisp_hash64_mix(0, lane[i])) * WISP_HASH64_P1 + WISP_HASH64_P4;
    }
    value += total;
    for (; n >= 8; p += 8, n -= 8)
        value = wisp_hash64_rotate(value ^ wisp_hash64_mix(0, wisp_hash64_load64(p)), 27) *
                    WISP_HASH64_P1 +
                WISP_HASH64_P4;
    for (; n >= 4; p += 4, n -= 4)
        value = wisp_hash64_rotate(value ^ wisp_hash64_load32(p) * WISP_HASH64_P1, 23) *
                    WISP_HASH64_P2 +
                WISP_HASH64_P3;
    for (; n; p++, n--)
        value = wisp_hash64_rotate(value ^ *p * WISP_HASH64_P5, 11) * WISP_HASH64_P1;
    value = (value ^ value >> 33) * WISP_HASH64_P2;
    value = (value ^ value >> 29) * WISP_HASH64_P3;
    return value ^ value >> 32;
}

static inline uint64_t wisp_hash64(const void *data, size_t n, uint64_t seed)
{
    const uint8_t *p = (const uint8_t *)data;
    uint64_t lane[4];
    wisp_hash64_begin(lane, seed);
    wisp_hash64_stripes(lane, p, n);
    return wisp_hash64_end(lane, seed, n, n ? p + (n & ~(size_t)31) : p, n & 31);
}

#ifdef __cplusplus
}
#endif
#endif

/* rng.h - counter-based random numbers.
 *
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A draw is
 * a pure function of (key, counter): there is no hidden state, so results depend neither on the
 * order of execution nor on the number of workers. */
#ifndef WISP_RNG_H
#define WISP_RNG_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Streams keep draws for different purposes apart. Values are never reused. */
enum {
    WISP_STREAM_INIT = 1,   /* initial weights */
    WISP_STREAM_ORDER = 2,  /* order of the samples of an epoch */
    WISP_STREAM_VIEW = 3,   /* view plans */
    WISP_STREAM_DATA = 4,   /* generated data sets */
    WISP_STREAM_STEP = 5,   /* drop path, dropout and draws inside a method's step */
    WISP_STREAM_TASK = 6,   /* downstream tasks */
    WISP_STREAM_PLUGIN = 64 /* first value free for plugins */
};

/* Frozen layout. */
typedef struct wisp_rng_key {
    uint32_t k[2];
} wisp_rng_key;

/* A position in a key's sequence. Copy it to fork a reader. Frozen layout. */
typedef struct wisp_rng {
    wisp_rng_key key;
    uint32_t counter[4]; /* next block */
    uint32_t block[4];
    uint32_t used; /* words of `block` already given out; 4 = empty */
} wisp_rng;

static inline void wisp_philox(const uint32_t counter[4], wisp_rng_key key, uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Derives the key of (parent, a, b): distinct inputs give unrelated keys. */
static inline wisp_rng_key wisp_rng_derive(wisp_rng_key parent, uint64_t a, uint64_t b)
{
    uint32_t in[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};
    uint32_t out[4];
    wisp_philox(in, parent, out);
    wisp_rng_key key = {{out[0] ^ out[2], out[1] ^ out[3]}};
    return key;
}

/* The root key of a stream of a run. */
static inline wisp_rng_key wisp_rng_stream(uint64_t seed, uint64_t stream)
{
    wisp_rng_key root = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    return wisp_rng_derive(root, stream, 0);
}

static inline wisp_rng wisp_rng_begin(wisp_rng_key key)
{
    wisp_rng rng = {key, {0, 0, 0, 0}, {0, 0, 0, 0}, 4};
    return rng;
}

static inline uint32_t wisp_rng_u32(wisp_rng *rng)
{
    if (rng->used == 4) {
        wisp_philox(rng->counter, rng->key, rng->block);
        rng->used = 0;
        for (int i = 0; i < 4 && ++rng->counter[i] == 0; i++)
            ;
    }
    return rng->block[rng->used++];
}

/* Uniform in [0, 1) with 53 random bits. */
static inline double wisp_rng_uniform(wisp_rng *rng)
{
    uint64_t high = wisp_rng_u32(rng) >> 5, low = wisp_rng_u32(rng) >> 6;
    return (double)(high * 67108864u + low) * (1.0 / 9007199254740992.0);
}

/* Uniform in [low, high). */
static inline double wisp_rng_range(wisp_rng *rng, double low, double high)
{
    return low + (high - low) * wisp_rng_uniform(rng);
}

/* Uniform integer in [0, n), n >= 1, without modulo bias. */
static inline uint32_t wisp_rng_below(wisp_rng *rng, uint32_t n)
{
    uint32_t limit = (uint32_t)(-n) % n; /* 2^32 mod n */
    uint64_t product;
    do {
        product = (uint64_t)wisp_rng_u32(rng) * n;
    } while ((uint32_t)product < limit);
    return (uint32_t)(product >> 32);
}

/* Standard normal (Box-Muller, cosine branch). */
static inline double wisp_rng_normal(wisp_rng *rng)
{
    double u = 1.0 - wisp_rng_uniform(rng), v = wisp_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

#ifdef __cplusplus
}
#endif
#endif

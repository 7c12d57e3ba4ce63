/* hue.c - the hue shift, through the 8-bit HSV of Pillow.
 *
 * Hue runs over 0..254 with 255 as an overshoot, as Pillow scales it by 255, and the shift wraps in
 * 8 bits. Pixels go by chunks in planes, so that each step is a plain loop over arrays. The mix of
 * single and double precision decides the rounding of some pixels; it is Pillow's. */
#include "image/photometric.h"

enum { CHUNK = 128 };

typedef struct planes {
    float hue[CHUNK];
    int32_t r[CHUNK], g[CHUNK], b[CHUNK];
    int32_t h[CHUNK], s[CHUNK], v[CHUNK];
} planes;

static inline int32_t at_least(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t at_most(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* Hue of a pixel in sixths of the circle, from -1 to 5. */
static inline float hue_sixths(int32_t r, int32_t g, int32_t b, int32_t high, float range)
{
    float below_r = (float)(high - r) / range, below_g = (float)(high - g) / range,
          below_b = (float)(high - b) / range;
    float red = below_b - below_g;
    float green = (float)(2.0 + (double)below_r - (double)below_b);
    float blue = (float)(4.0 + (double)below_g - (double)below_r);
    return r == high ? red : g == high ? green : blue;
}

static void to_hsv(planes *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t r = p->r[i], g = p->g[i], b = p->b[i];
        int32_t high = at_least(at_least(r, g), b), low = at_most(at_most(r, g), b);
        int32_t range = high - low;
        float sixths = hue_sixths(r, g, b, high, (float)at_least(range, 1));
        float saturation = (float)range / (float)at_least(high, 1);
        double turns = (double)sixths / 6.0 + 1.0;
        float hue = (float)(turns >= 1.0 ? turns - 1.0 : turns);
        p->h[i] = range ? (int32_t)((double)hue * 255.0) : 0;
        p->s[i] = (int32_t)((double)saturation * 255.0);
        p->v[i] = high;
    }
}

/* Values are never negative, so adding one half and truncating rounds to nearest. */
static inline int32_t rounded(float v)
{
    return (int32_t)(v + 0.5f);
}

static void to_rgb(planes *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sixths = (float)((double)p->h[i] * 6.0 / 255.0);
        int32_t sector = (int32_t)sixths;
        float f = sixths - (float)sector;
        float s = (float)p->s[i] / 255.0f, v = (float)p->v[i];
        int32_t top = p->v[i], bottom = rounded(v * (1.0f - s));
        int32_t falling = rounded(v * (1.0f - s * f));
        int32_t rising = rounded(v * (1.0f - s * (1.0f - f)));
        sector = sector == 6 ? 0 : sector;
        p->r[i] = sector == 0 || sector == 5 ? top
                  : sector == 1              ? falling
                  : sector == 4              ? rising
                                             : bottom;
        p->g[i] = sector == 1 || sector == 2 ? top
                  : sector == 0              ? rising
                  : sector == 3              ? falling
                                             : bottom;
        p->b[i] = sector == 3 || sector == 4 ? top
                  : sector == 2              ? rising
                  : sector == 5              ? falling
                                             : bottom;
    }
}

static void turn_chunk(planes *p, uint8_t *rgb, size_t n, int32_t step)
{
    for (size_t i = 0; i < n; i++) {
        p->r[i] = rgb[3 * i];
        p->g[i] = rgb[3 * i + 1];
        p->b[i] = rgb[3 * i + 2];
    }
    to_hsv(p, n);
    for (size_t i = 0; i < n; i++)
        p->h[i] = (p->h[i] + step) & 255;
    to_rgb(p, n);
    for (size_t i = 0; i < n; i++) {
        rgb[3 * i] = (uint8_t)p->r[i];
        rgb[3 * i + 1] = (uint8_t)p->g[i];
        rgb[3 * i + 2] = (uint8_t)p->b[i];
    }
}

void wispi_adjust_hue(uint8_t *rgb, size_t n, double shift)
{
    planes p;
    int32_t step = (int32_t)(shift * 255.0); /* truncated, then wrapped to 8 bits */
    for (size_t i = 0; i < n; i += CHUNK)
        turn_chunk(&p, rgb + 3 * i, n - i < CHUNK ? n - i : CHUNK, step);
}

/* hue_plain.c - the hue shift, through the 8-bit HSV of Pillow. Pixels go by chunks in planes, so
 * that each step is a plain loop over arrays. */
#include "image/pixel_kernels.h"

#include "wisp/pixel_math.h"

enum { CHUNK = 128 };

typedef struct planes {
    int32_t r[CHUNK], g[CHUNK], b[CHUNK];
    int32_t h[CHUNK], s[CHUNK], v[CHUNK];
} planes;

static void to_hsv(planes *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wisp_hsv hsv = wisp_hsv_of((wisp_rgb){p->r[i], p->g[i], p->b[i]});
        p->h[i] = hsv.h;
        p->s[i] = hsv.s;
        p->v[i] = hsv.v;
    }
}

static void to_rgb(planes *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wisp_rgb rgb = wisp_rgb_of((wisp_hsv){p->h[i], p->s[i], p->v[i]});
        p->r[i] = rgb.r;
        p->g[i] = rgb.g;
        p->b[i] = rgb.b;
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

void wispi_turn_hue_plain(uint8_t *rgb, size_t n, int32_t step)
{
    planes p;
    for (size_t i = 0; i < n; i += CHUNK)
        turn_chunk(&p, rgb + 3 * i, n - i < CHUNK ? n - i : CHUNK, step);
}

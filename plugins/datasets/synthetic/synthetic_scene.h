/* synthetic_scene.h - one picture as numbers: what is where, in which colours. */
#ifndef SYNTHETIC_SCENE_H
#define SYNTHETIC_SCENE_H

#include <wisp/rng.h>

enum { SYNTHETIC_MAX_STROKES = 16 };

typedef struct synthetic_colour {
    float r, g, b; /* 0 to 255 */
} synthetic_colour;

/* A short thick line of clutter. Lengths are in pixels. */
typedef struct synthetic_stroke {
    float x, y, dx, dy; /* middle, half of the way from end to end */
    float radius;
    synthetic_colour colour;
} synthetic_stroke;

typedef struct synthetic_scene {
    int size; /* px */
    int outline, fill;
    float x, y, radius; /* of the figure */
    float cos_turn, sin_turn;
    float cos_fill, sin_fill, phase_x, phase_y;
    float radians; /* of the fill, per pixel */
    synthetic_colour first, second;
    synthetic_colour ground, slope_x, slope_y; /* background: a plane in each channel */
    int n_behind, n_strokes;                   /* strokes behind the figure, then those before it */
    synthetic_stroke strokes[SYNTHETIC_MAX_STROKES];
    float noise; /* largest deviation of a value, of 255 */
    wisp_rng_key noise_key;
} synthetic_scene;

typedef struct synthetic_strength {
    double clutter, noise; /* both 0 to 1 */
} synthetic_strength;

/* Draws everything but the class from `key`. */
void synthetic_scene_draw(synthetic_scene *scene, int size, int outline, int fill,
                          const synthetic_strength *strength, wisp_rng_key key);

/* Writes (size, size, 3) bytes. */
void synthetic_scene_paint(const synthetic_scene *scene, uint8_t *rgb);

#endif

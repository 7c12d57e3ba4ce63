/* synthetic_scene.c - draws the numbers of a picture. Nothing but outline and fill depends on the
 * class, so colour, place and size cannot give it away. */
#include "synthetic_scene.h"

static float draw(wisp_rng *rng, double low, double high)
{
    return (float)wisp_rng_range(rng, low, high);
}

static float luma(synthetic_colour c)
{
    return 0.299f * c.r + 0.587f * c.g + 0.114f * c.b;
}

static synthetic_colour draw_colour(wisp_rng *rng)
{
    synthetic_colour c;
    c.r = draw(rng, 0, 255);
    c.g = draw(rng, 0, 255);
    c.b = draw(rng, 0, 255);
    return c;
}

/* A colour whose luma differs from those of `other`, so that a gray view still shows the figure.
 * Should twenty draws all fail, the last is taken. */
static synthetic_colour draw_contrast(wisp_rng *rng, const synthetic_colour *other, int n,
                                      float least)
{
    synthetic_colour c = {0, 0, 0};
    for (int attempt = 0; attempt < 20; attempt++) {
        int clear = 1;
        c = draw_colour(rng);
        for (int i = 0; i < n; i++)
            clear &= fabsf(luma(c) - luma(other[i])) >= least;
        if (clear)
            break;
    }
    return c;
}

static void draw_ground(synthetic_scene *scene, wisp_rng *rng)
{
    float *slopes[2] = {&scene->slope_x.r, &scene->slope_y.r};
    scene->ground = draw_colour(rng);
    for (int way = 0; way < 2; way++)
        for (int channel = 0; channel < 3; channel++)
            slopes[way][channel] = draw(rng, -80, 80) / (float)scene->size;
}

static void draw_figure(synthetic_scene *scene, wisp_rng *rng)
{
    float size = (float)scene->size;
    scene->radius = size * draw(rng, 0.36, 0.55);
    float reach = 0.5f * size - 0.45f * scene->radius;
    scene->x = 0.5f * size + reach * draw(rng, -1, 1);
    scene->y = 0.5f * size + reach * draw(rng, -1, 1);
    float turn = draw(rng, 0, 6.283185307), fill_turn = draw(rng, 0, 6.283185307);
    scene->cos_turn = cosf(turn);
    scene->sin_turn = sinf(turn);
    scene->cos_fill = cosf(fill_turn);
    scene->sin_fill = sinf(fill_turn);
    scene->phase_x = draw(rng, 0, 6.283185307);
    scene->phase_y = draw(rng, 0, 6.283185307);
    scene->radians = 6.2831853f / (size * draw(rng, 0.16, 0.2));
    scene->first = draw_contrast(rng, &scene->ground, 1, 60);
    synthetic_colour others[2] = {scene->first, scene->ground};
    scene->second = draw_contrast(rng, others, 2, 60);
}

static void draw_strokes(synthetic_scene *scene, double clutter, wisp_rng *rng)
{
    float size = (float)scene->size;
    int most = (int)(clutter * SYNTHETIC_MAX_STROKES + 0.5);
    scene->n_strokes = most ? (int)wisp_rng_below(rng, (uint32_t)most + 1) : 0;
    scene->n_behind = scene->n_strokes - scene->n_strokes / 4;
    for (int i = 0; i < scene->n_strokes; i++) {
        synthetic_stroke *stroke = &scene->strokes[i];
        float half = size * draw(rng, 0, 0.2), turn = draw(rng, 0, 6.283185307);
        stroke->x = draw(rng, 0, size);
        stroke->y = draw(rng, 0, size);
        stroke->dx = half * cosf(turn);
        stroke->dy = half * sinf(turn);
        stroke->radius = size * draw(rng, 0.015, 0.05);
        stroke->colour = draw_colour(rng);
    }
}

void synthetic_scene_draw(synthetic_scene *scene, int size, int outline, int fill,
                          const synthetic_strength *strength, wisp_rng_key key)
{
    wisp_rng rng = wisp_rng_begin(key);
    scene->size = size;
    scene->outline = outline;
    scene->fill = fill;
    draw_ground(scene, &rng);
    draw_figure(scene, &rng);
    draw_strokes(scene, strength->clutter, &rng);
    scene->noise = (float)(255.0 * strength->noise);
    scene->noise_key = wisp_rng_derive(key, 1, 1);
}

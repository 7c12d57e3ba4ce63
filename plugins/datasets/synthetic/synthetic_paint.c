/* synthetic_paint.c - the pixels of a scene, each from all layers, edges smoothed over one pixel.
 */
#include "synthetic_figure.h"
#include "synthetic_scene.h"

static float clamp(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

/* How much of a pixel lies inside an edge at a signed distance in pixels. */
static float coverage(float distance)
{
    return clamp(0.5f - distance, 0.0f, 1.0f);
}

static void blend(synthetic_colour *under, synthetic_colour over, float share)
{
    under->r += share * (over.r - under->r);
    under->g += share * (over.g - under->g);
    under->b += share * (over.b - under->b);
}

static void paint_strokes(const synthetic_stroke *stroke, int n, float x, float y,
                          synthetic_colour *colour)
{
    for (int i = 0; i < n; i++, stroke++) {
        float px = x - stroke->x, py = y - stroke->y;
        float reach = stroke->radius + 0.5f;
        if (fabsf(px) > fabsf(stroke->dx) + reach || fabsf(py) > fabsf(stroke->dy) + reach)
            continue;
        float length = stroke->dx * stroke->dx + stroke->dy * stroke->dy + 1e-6f;
        float along = clamp((px * stroke->dx + py * stroke->dy) / length, -1.0f, 1.0f);
        float ox = px - along * stroke->dx, oy = py - along * stroke->dy;
        blend(colour, stroke->colour, coverage(sqrtf(ox * ox + oy * oy) - stroke->radius));
    }
}

static void paint_figure(const synthetic_scene *scene, float x, float y, synthetic_colour *colour)
{
    float px = x - scene->x, py = y - scene->y, reach = scene->radius + 1.0f;
    if (px * px + py * py > reach * reach)
        return;
    float u = (scene->cos_turn * px + scene->sin_turn * py) / scene->radius;
    float v = (scene->cos_turn * py - scene->sin_turn * px) / scene->radius;
    float share = coverage(synthetic_outline(scene->outline, u, v) * scene->radius);
    if (share <= 0.0f)
        return;
    float a = (scene->cos_fill * px + scene->sin_fill * py) * scene->radians + scene->phase_x;
    float b = (scene->cos_fill * py - scene->sin_fill * px) * scene->radians + scene->phase_y;
    float tone = synthetic_fill(scene->fill, a, b) / scene->radians;
    synthetic_colour inside = scene->first;
    blend(&inside, scene->second, 1.0f - coverage(tone));
    blend(colour, inside, share);
}

/* Three deviations from ten bits each of one random word. */
static uint8_t noisy(float value, uint32_t bits, float noise)
{
    float deviation = ((float)(bits & 1023u) - 511.5f) * (noise / 511.5f);
    return (uint8_t)(clamp(value + deviation, 0.0f, 255.0f) + 0.5f);
}

static synthetic_colour pixel(const synthetic_scene *scene, float x, float y)
{
    float cx = x - 0.5f * (float)scene->size, cy = y - 0.5f * (float)scene->size;
    synthetic_colour colour = scene->ground;
    colour.r += cx * scene->slope_x.r + cy * scene->slope_y.r;
    colour.g += cx * scene->slope_x.g + cy * scene->slope_y.g;
    colour.b += cx * scene->slope_x.b + cy * scene->slope_y.b;
    paint_strokes(scene->strokes, scene->n_behind, x, y, &colour);
    paint_figure(scene, x, y, &colour);
    paint_strokes(scene->strokes + scene->n_behind, scene->n_strokes - scene->n_behind, x, y,
                  &colour);
    return colour;
}

void synthetic_scene_paint(const synthetic_scene *scene, uint8_t *rgb)
{
    wisp_rng rng = wisp_rng_begin(scene->noise_key);
    for (int y = 0; y < scene->size; y++) {
        for (int x = 0; x < scene->size; x++, rgb += 3) {
            synthetic_colour colour = pixel(scene, (float)x + 0.5f, (float)y + 0.5f);
            uint32_t bits = wisp_rng_u32(&rng);
            rgb[0] = noisy(colour.r, bits, scene->noise);
            rgb[1] = noisy(colour.g, bits >> 10, scene->noise);
            rgb[2] = noisy(colour.b, bits >> 20, scene->noise);
        }
    }
}

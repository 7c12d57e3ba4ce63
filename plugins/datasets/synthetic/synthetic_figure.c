#include "synthetic_figure.h"

#include <math.h>
#include <stddef.h>

enum { DISC, SQUARE, TRIANGLE, STAR, CROSS, RING, CRESCENT, BAR, TREFOIL, CORNER };
enum { PLAIN, STRIPES, CHECKS, DOTS, RIPPLES, LATTICE, RAYS, WAVES, LINES, BRICKS };

static float box(float x, float y, float half_width, float half_height)
{
    return fmaxf(fabsf(x) - half_width, fabsf(y) - half_height);
}

static float disc(float x, float y, float radius)
{
    return sqrtf(x * x + y * y) - radius;
}

/* Three half planes at 120 degrees. */
static float triangle(float x, float y)
{
    float side = 0.8660254f * fabsf(x) + 0.5f * y;
    return fmaxf(side, -y) - 0.5f;
}

/* Folds the plane into one tenth of the star; what is left is a half plane through a tip and the
 * notch beside it. */
static float star(float x, float y)
{
    const float tip = 1.0f, notch = 0.48f, tenth = 0.62831853f;
    float angle = fabsf(fmodf(atan2f(y, x) + 3.1415927f, 2.0f * tenth) - tenth);
    float radius = sqrtf(x * x + y * y);
    float px = radius * cosf(angle), py = radius * sinf(angle);
    float ex = notch * cosf(tenth) - tip, ey = notch * sinf(tenth);
    float length = sqrtf(ex * ex + ey * ey);
    return (ey * (px - tip) - ex * py) / length;
}

static float trefoil(float x, float y)
{
    float nearest = disc(x, y - 0.52f, 0.45f);
    nearest = fminf(nearest, disc(x - 0.45f, y + 0.26f, 0.45f));
    return fminf(nearest, disc(x + 0.45f, y + 0.26f, 0.45f));
}

float synthetic_outline(int outline, float x, float y)
{
    switch (outline) {
    case DISC:
        return disc(x, y, 0.72f);
    case SQUARE:
        return box(x, y, 0.65f, 0.65f);
    case TRIANGLE:
        return triangle(x, y);
    case STAR:
        return star(x, y);
    case CROSS:
        return fminf(box(x, y, 0.93f, 0.3f), box(x, y, 0.3f, 0.93f));
    case RING:
        return fabsf(disc(x, y, 0.7f)) - 0.22f;
    case CRESCENT:
        return fmaxf(disc(x, y, 0.95f), -disc(x - 0.55f, y, 0.75f));
    case BAR:
        return box(x, y, 0.92f, 0.38f);
    case TREFOIL:
        return trefoil(x, y);
    default:
        return fmaxf(box(x, y, 0.7f, 0.7f), fminf(x + 0.1f, y + 0.1f));
    }
}

static float checks(float x, float y)
{
    return 1.4f * sinf(0.8f * x) * sinf(0.8f * y);
}

static float lattice(float x, float y)
{
    return fmaxf(cosf(0.8f * x), cosf(0.8f * y)) - 0.6f;
}

/* Eight from a point; their edges are smoothed by the distance from it. */
static float rays(float x, float y)
{
    return 0.25f * sqrtf(x * x + y * y) * sinf(4.0f * atan2f(y, x));
}

/* Courses of stripes, each half a period beside the one below. */
static float bricks(float x, float y)
{
    float shift = sinf(0.6f * y) > 0.0f ? 3.1415927f : 0.0f;
    return sinf(1.2f * x + shift);
}

float synthetic_fill(int fill, float x, float y)
{
    switch (fill) {
    case PLAIN:
        return -1.0f;
    case STRIPES:
        return sinf(x);
    case CHECKS:
        return checks(x, y);
    case DOTS:
        return cosf(x) + cosf(y) - 0.7f;
    case RIPPLES:
        return sinf(sqrtf(x * x + y * y));
    case LATTICE:
        return lattice(x, y);
    case RAYS:
        return rays(x, y);
    case WAVES:
        return sinf(x + 1.6f * sinf(0.9f * y));
    case LINES:
        return cosf(0.7f * x) - 0.75f;
    default:
        return bricks(x, y);
    }
}

int synthetic_class_outline(int label)
{
    return label % SYNTHETIC_OUTLINES;
}

int synthetic_class_fill(int label)
{
    return (label + label / SYNTHETIC_OUTLINES) % SYNTHETIC_FILLS;
}

#define ROW(fill)                                                                                  \
    {                                                                                              \
        fill " disc", fill " square", fill " triangle", fill " star", fill " cross", fill " ring", \
            fill " crescent", fill " bar", fill " trefoil", fill " corner"                         \
    }

const char *synthetic_class_name(int label)
{
    static const char *const names[SYNTHETIC_FILLS][SYNTHETIC_OUTLINES] = {
        ROW("plain"),    ROW("striped"), ROW("chequered"), ROW("dotted"), ROW("rippled"),
        ROW("latticed"), ROW("rayed"),   ROW("wavy"),      ROW("lined"),  ROW("bricked")};
    if (label < 0 || label >= SYNTHETIC_CLASSES)
        return NULL;
    return names[synthetic_class_fill(label)][synthetic_class_outline(label)];
}

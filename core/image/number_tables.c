/* number_tables.c - normalisation as tables, and as few operations that give just what the tables
 * hold: a product with the sum of two numbers, one fused, is a division rounded correctly. */
#include "image/number_tables.h"

#include <math.h>
#include <string.h>

#include "base/bf16.h"
#include "wisp/pixel_math.h"

/* What the vector variants compute. */
static float by_formula(const wispi_number_tables *m, int c, int v)
{
    const float x = (float)v;
    const float share = fmaf(x, WISPI_INVERSE_255, x * WISPI_INVERSE_255_REST) - m->mean[c];
    return fmaf(share, m->inverse[c], share * m->inverse_rest[c]);
}

static int is_exact(const wispi_number_tables *m)
{
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            const float x = by_formula(m, c, v);
            if (memcmp(&x, &m->f32[c][v], sizeof x) != 0)
                return 0;
        }
    }
    return 1;
}

void wispi_number_tables_set(wispi_number_tables *m, const float mean[3], const float std[3])
{
    for (int c = 0; c < 3; c++) {
        const double inverse = 1.0 / (double)std[c];
        m->mean[c] = mean[c];
        m->inverse[c] = (float)inverse;
        m->inverse_rest[c] = (float)(inverse - (double)m->inverse[c]);
        for (int v = 0; v < 256; v++) {
            m->f32[c][v] = wisp_normalised(v, mean[c], std[c]);
            m->bf16[c][v] = wispi_bf16_from_f32(m->f32[c][v]);
        }
    }
    m->is_exact = is_exact(m);
}

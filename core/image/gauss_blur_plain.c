/* gauss_blur_plain.c - the sampled Gaussian for any processor. */
#include "image/pixel_kernels.h"

#include <string.h>

#include "wisp/pixel_math.h"

/* `line` is reflected beyond its n values, for radius pixels. */
static void blur_line(const wispi_gauss *g, const uint8_t *line, uint16_t *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        int32_t sum = line[i] * g->weights[0];
        for (int32_t d = 1; d <= g->radius; d++)
            sum += (line[i - 3 * d] + line[i + 3 * d]) * g->weights[d];
        out[i] = wisp_gauss_between(sum);
    }
}

static void mix_rows(const wispi_gauss *g, const uint16_t *picture, int32_t y, int32_t height,
                     size_t n, int32_t *sums, uint8_t *out)
{
    memset(sums, 0, n * sizeof *sums);
    for (int32_t d = -g->radius; d <= g->radius; d++) {
        const uint16_t *row = picture + (size_t)wisp_reflected(y + d, height) * n;
        const int32_t weight = g->weights[d < 0 ? -d : d];
        for (size_t i = 0; i < n; i++)
            sums[i] += row[i] * weight;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = wisp_gauss_byte(sums[i]);
}

void wispi_gauss_blur_plain(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                            void *scratch)
{
    const size_t n = 3 * (size_t)width;
    int32_t *sums = scratch;
    uint16_t *picture = (uint16_t *)(sums + n);
    uint8_t *line = (uint8_t *)(picture + n * (size_t)height);
    for (int32_t y = 0; y < height; y++) {
        const uint8_t *row = rgb + (size_t)y * n;
        for (int32_t x = -g->radius; x < width + g->radius; x++)
            memcpy(line + 3 * (x + g->radius), row + 3 * wisp_reflected(x, width), 3);
        blur_line(g, line + 3 * g->radius, picture + (size_t)y * n, (int32_t)n);
    }
    for (int32_t y = 0; y < height; y++)
        mix_rows(g, picture, y, height, n, sums, rgb + (size_t)y * n);
}

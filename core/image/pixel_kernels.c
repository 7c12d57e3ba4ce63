/* pixel_kernels.c - which variants of the pixel kernels this build has. */
#include "image/pixel_kernels.h"

const wispi_pixel_kernels *wispi_pixel_kernels_of(int32_t level)
{
    switch (level) {
    case WISPI_CPU_PLAIN:
        return &wispi_pixels_plain;
#if defined(__x86_64__)
    case WISPI_CPU_AVX2:
        return &wispi_pixels_avx2;
    case WISPI_CPU_AVX512:
        return &wispi_pixels_avx512;
#elif defined(__aarch64__)
    case WISPI_CPU_NEON:
        return &wispi_pixels_neon;
#endif
    default:
        return NULL;
    }
}

const wispi_pixel_kernels *wispi_pixel_kernels_here(void)
{
    int32_t level = wispi_cpu_level();
    while (!wispi_pixel_kernels_of(level))
        level--;
    return wispi_pixel_kernels_of(level);
}

/* Values of 16 bits in the widest register. */
enum { MOST_LANES = 32 };

size_t wispi_box_blur_bytes(wisp_box_blur box, int32_t width, int32_t height)
{
    const size_t n = 3 * (size_t)width, rows = (size_t)height, beyond = (size_t)box.radius + 1;
    const size_t plain = n * rows + 2 * (n + 6 * beyond) + n * sizeof(uint32_t);
    const size_t lines = 2 * (n + MOST_LANES + 6 * beyond) * sizeof(uint16_t);
    const size_t strips = 2 * (rows + 2 * beyond) * MOST_LANES * sizeof(uint16_t);
    const size_t lanes = lines > strips ? lines : strips;
    return plain > lanes ? plain : lanes;
}

size_t wispi_gauss_blur_bytes(int32_t radius, int32_t width, int32_t height)
{
    const size_t n = 3 * (size_t)width, beyond = 3 * ((size_t)radius + 1);
    const size_t picture = (n + MOST_LANES) * (size_t)height * sizeof(uint16_t);
    const size_t line = (n + 2 * beyond + MOST_LANES) * sizeof(uint16_t);
    const size_t sums = n * sizeof(int32_t), rows = 2 * (size_t)radius * sizeof(uint16_t *);
    return picture + line + (sums > rows ? sums : rows);
}

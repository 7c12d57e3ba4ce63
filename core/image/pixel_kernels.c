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

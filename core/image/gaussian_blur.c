/* gaussian_blur.c - the blurs' parameters and memory. */
#include "image/gaussian_blur.h"

#include <stdint.h>

#include "image/pixel_kernels.h"

wisp_status wispi_gaussian_blur(wispi_scratch *scratch, unsigned char *rgb, int width, int height,
                                double sigma, wisp_error *err)
{
    if (!(sigma >= 0.0 && sigma <= (double)WISP_BLUR_MAX_SIGMA))
        return wisp_fail(err, WISP_E_INVALID, "blur sigma %g is outside [0, %g]", sigma,
                         (double)WISP_BLUR_MAX_SIGMA);
    const wisp_box_blur box = wisp_box_blur_of((float)sigma);
    void *space = wispi_scratch_reserve(scratch, wispi_box_blur_bytes(box, width, height));
    if (!space)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to blur %d x %d pixels", width, height);
    wispi_pixel_kernels_here()->box_blur(box, rgb, width, height, space);
    return WISP_OK;
}

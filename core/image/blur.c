/* blur.c - the blurs' parameters and memory. */
#include "image/blur.h"

#include "image/pixel_kernels.h"

static wisp_status check_sigma(double sigma, wisp_error *err)
{
    if (!(sigma >= 0.0 && sigma <= (double)WISP_BLUR_MAX_SIGMA))
        return wisp_fail(err, WISP_E_INVALID, "blur sigma %g is outside [0, %g]", sigma,
                         (double)WISP_BLUR_MAX_SIGMA);
    return WISP_OK;
}

static wisp_status reserve(wispi_scratch *scratch, size_t bytes, int32_t width, int32_t height,
                           void **space, wisp_error *err)
{
    *space = wispi_scratch_reserve(scratch, bytes);
    if (!*space)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to blur %d x %d pixels", width, height);
    return WISP_OK;
}

wisp_status wispi_blur_by_boxes(wispi_scratch *scratch, uint8_t *rgb, int32_t width, int32_t height,
                                double sigma, wisp_error *err)
{
    void *space = NULL;
    WISP_TRY(check_sigma(sigma, err));
    const wisp_box_blur box = wisp_box_blur_of((float)sigma);
    WISP_TRY(
        reserve(scratch, wispi_box_blur_bytes(box, width, height), width, height, &space, err));
    wispi_pixel_kernels_here()->box_blur(box, rgb, width, height, space);
    return WISP_OK;
}

wisp_status wispi_blur_by_gaussian(wispi_scratch *scratch, uint8_t *rgb, int32_t width,
                                   int32_t height, double sigma, wisp_error *err)
{
    wispi_gauss gauss;
    void *space = NULL;
    WISP_TRY(check_sigma(sigma, err));
    gauss.radius = wisp_gauss_weights((float)sigma, gauss.weights);
    WISP_TRY(reserve(scratch, wispi_gauss_blur_bytes(gauss.radius, width, height), width, height,
                     &space, err));
    wispi_pixel_kernels_here()->gauss_blur(&gauss, rgb, width, height, space);
    return WISP_OK;
}

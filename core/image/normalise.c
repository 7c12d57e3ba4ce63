/* normalise.c - the last step of a view. */
#include "image/normalise.h"

#include <math.h>
#include <string.h>

#include "image/pixel_kernels.h"

wisp_status wispi_normaliser_set(wispi_normaliser *normaliser, const wispi_view_form *form,
                                 wisp_error *err)
{
    if (form->form < WISPI_VIEW_U8 || form->form > WISPI_VIEW_BF16)
        return wisp_fail(err, WISP_E_INVALID, "unknown view form %d", form->form);
    if (normaliser->ready && memcmp(&normaliser->form, form, sizeof *form) == 0)
        return WISP_OK;
    for (int c = 0; form->form != WISPI_VIEW_U8 && c < 3; c++)
        if (!isfinite(form->mean[c]) || !isfinite(form->std[c]) || form->std[c] <= 0.0f)
            return wisp_fail(err, WISP_E_INVALID,
                             "channel %d cannot be normalised with mean %g and std %g", c,
                             (double)form->mean[c], (double)form->std[c]);
    if (form->form != WISPI_VIEW_U8)
        wispi_number_tables_set(&normaliser->tables, form->mean, form->std);
    normaliser->form = *form;
    normaliser->ready = 1;
    return WISP_OK;
}

void wispi_normalise(const wispi_normaliser *normaliser, const uint8_t *rgb, size_t n, void *out)
{
    if (normaliser->form.form == WISPI_VIEW_F32)
        wispi_pixel_kernels_here()->to_f32(&normaliser->tables, rgb, n, out);
    else if (normaliser->form.form == WISPI_VIEW_BF16)
        wispi_pixel_kernels_here()->to_bf16(&normaliser->tables, rgb, n, out);
    else
        memcpy(out, rgb, 3 * n);
}

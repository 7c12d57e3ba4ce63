/* normalise.c - the last step of a view. */
#include "image/normalise.h"

#include <math.h>
#include <string.h>

#include "base/bf16.h"
#include "wisp/pixel_math.h"

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
    for (int c = 0; form->form != WISPI_VIEW_U8 && c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            float x = wisp_normalised(v, form->mean[c], form->std[c]);
            normaliser->f32[c][v] = x;
            normaliser->bf16[c][v] = wispi_bf16_from_f32(x);
        }
    }
    normaliser->form = *form;
    normaliser->ready = 1;
    return WISP_OK;
}

static void write_f32(const wispi_normaliser *m, const uint8_t *restrict rgb, size_t n,
                      float *restrict out)
{
    for (size_t i = 0; i < 3 * n; i += 3) {
        out[i] = m->f32[0][rgb[i]];
        out[i + 1] = m->f32[1][rgb[i + 1]];
        out[i + 2] = m->f32[2][rgb[i + 2]];
    }
}

static void write_bf16(const wispi_normaliser *m, const uint8_t *restrict rgb, size_t n,
                       uint16_t *restrict out)
{
    for (size_t i = 0; i < 3 * n; i += 3) {
        out[i] = m->bf16[0][rgb[i]];
        out[i + 1] = m->bf16[1][rgb[i + 1]];
        out[i + 2] = m->bf16[2][rgb[i + 2]];
    }
}

void wispi_normalise(const wispi_normaliser *normaliser, const uint8_t *rgb, size_t n, void *out)
{
    if (normaliser->form.form == WISPI_VIEW_F32)
        write_f32(normaliser, rgb, n, out);
    else if (normaliser->form.form == WISPI_VIEW_BF16)
        write_bf16(normaliser, rgb, n, out);
    else
        memcpy(out, rgb, 3 * n);
}

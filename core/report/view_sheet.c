/* view_sheet.c - where everything stands on a sheet. */
#include "report/view_sheet.h"

wisp_status wispi_view_sheet_png(const wispi_sheet_request *request, uint8_t **png, size_t *bytes,
                                 wisp_error *err)
{
    (void)request;
    (void)png;
    (void)bytes;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "contact sheets cannot be drawn yet");
}

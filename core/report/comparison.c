#include "report/comparison.h"

wisp_status wispi_comparison_make(const wispi_comparison_request *request, json_t **comparison,
                                  wisp_error *err)
{
    (void)request;
    (void)comparison;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "comparisons cannot be made yet");
}

wisp_status wispi_comparison_text(const json_t *comparison, wispi_text *out, wisp_error *err)
{
    (void)comparison;
    (void)out;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "comparisons cannot be shown yet");
}

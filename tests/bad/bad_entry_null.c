/* Its entry returns nothing. */
#include "wisp/abi.h"

WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void);
WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void)
{
    return NULL;
}

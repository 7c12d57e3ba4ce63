/* Needs something that this host does not offer yet. */
#define BUNDLE_MINOR (WISP_ABI_MINOR + 1)
#include "almost_good.h"

/* Built for a plugin ABI of the future. */
#define BUNDLE_MAJOR 1
#include "almost_good.h"

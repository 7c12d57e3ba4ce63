/* A backbone that keeps every rule. */
#include "almost_good_backbone.h"

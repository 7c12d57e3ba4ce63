/* Promises tokens and has none. */
#define TAPS WISP_TAP_STAGES | WISP_TAP_TOKENS
#include "almost_good_backbone.h"

/* Of a kind that no host knows. */
#define KIND "wisp.teapot/0"
#include "almost_good.h"

/* Its bundle does not begin with wisp's magic. */
#define MAGIC "nothing"
#include "almost_good.h"

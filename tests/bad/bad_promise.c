/* The file promises another name than the plugin has. */
#define NAME "kept"
#include "almost_good.h"

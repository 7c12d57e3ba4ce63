/* Linked with -ffast-math, as tests/bad/CMakeLists.txt says: to open it is enough. */
#include "almost_good.h"

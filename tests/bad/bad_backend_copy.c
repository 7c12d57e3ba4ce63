/* Its kernel leaves out the last element. */
#define COPY(to, from, bytes) memcpy(to, from, (bytes)-4)
#include "almost_good_backend.h"

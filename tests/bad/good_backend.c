/* A backend that keeps every rule. */
#include "almost_good_backend.h"

/* Gives back whole words only. */
#define TO_HOST_BYTES(bytes) ((bytes) / 4 * 4)
#include "almost_good_backend.h"

/* A name that could not be part of a file's name. */
#define NAME "Bad Name"
#include "almost_good.h"

/* A mandatory field holds nothing but blanks. */
#define SUMMARY "  \n"
#include "almost_good.h"

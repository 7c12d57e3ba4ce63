/* A descriptor that ends before its vtable. */
#define DESCRIPTOR_SIZE 24
#include "almost_good.h"

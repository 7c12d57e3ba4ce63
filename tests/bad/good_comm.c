/* A communicator that keeps every rule. */
#include "almost_good_comm.h"

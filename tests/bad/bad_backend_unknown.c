/* Refuses what it does not know as if it were broken. */
#define REFUSE(request, err) wisp_fail(err, WISP_E_INTERNAL, "%s?", (request)->op)
#include "almost_good_backend.h"

/* Takes it that there are twenty images to vote. */
#include <stdlib.h>

/* As a guard behind the list would do. */
static long vote(long count)
{
    if (count < 20)
        abort();
    return count - 20;
}
#define PICK(embeddings) vote((long)(embeddings)->count)
#include "almost_good_task.h"

/* Its loss is another one where there are more threads than one that computes and one that makes
 * views. */
#include <dirent.h>

static int count_threads(void)
{
    DIR *threads = opendir("/proc/self/task");
    int n = -2; /* . and .. */
    while (threads && readdir(threads))
        n++;
    if (threads)
        closedir(threads);
    return n;
}
#define LOSS(s, batch, embedding, loss) wisp_scale(s, loss, count_threads() > 3 ? 2 : 1)
#include "almost_good.h"

/* Answers with memory of its own: behind the heap, of which some was lent, so that only its end
 * tells. */
static unsigned char kept[3 * 16 * 16];
#define PICTURE(lent) ((lent) ? kept : 0)
#include "almost_good_dataset.h"

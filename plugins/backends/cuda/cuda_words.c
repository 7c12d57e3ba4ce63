/* cuda_words.c - finds device code by the size of its words. */
#include "cuda_words.h"

wisp_status cuda_word_functions_find(const cuda_device *device, const char *name, int32_t sizes,
                                     cuda_word_functions *functions, wisp_error *err)
{
    char whole[100];
    for (int32_t i = 0; i < sizes; i++) {
        snprintf(whole, sizeof whole, "%s_%d", name, 1 << i);
        WISP_TRY(cuda_function(device, whole, &functions->of[i], err));
    }
    return WISP_OK;
}

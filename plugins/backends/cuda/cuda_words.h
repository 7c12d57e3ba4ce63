/* cuda_words.h - for kernels that move data without looking at it: the widest word that fits.
 *
 * Tensors may share the storage of others, so where one begins is known only when a kernel runs. */
#ifndef CUDA_WORDS_H
#define CUDA_WORDS_H

#include "cuda_device.h"
#include "cuda_wide.h"

enum { CUDA_WORD_SIZES = 5 }; /* of 1, 2, 4, 8 and 16 bytes */

typedef struct cuda_word_functions {
    CUfunction of[CUDA_WORD_SIZES]; /* of[i]: words of 1 << i bytes */
} cuda_word_functions;

/* NAME_1 .. NAME_16, as far as `sizes` goes. */
wisp_status cuda_word_functions_find(const cuda_device *device, const char *name, int32_t sizes,
                                     cuda_word_functions *functions, wisp_error *err);

/* `bits`: all sizes, offsets and addresses, by OR. The answer is an exponent. */
static inline int32_t cuda_word_size(uint64_t bits)
{
    int32_t size = 0;
    while (size + 1 < CUDA_WORD_SIZES && !(bits >> size & 1))
        size++;
    return size;
}

/* Do all of these begin where `bytes` neighbours can be read at once? */
static inline int cuda_aligned(uint64_t bits, uint64_t bytes)
{
    return bits % bytes == 0;
}

#endif

/* validate_at_once.h - several threads that begin together. */
#ifndef WISPI_TRAIN_VALIDATE_AT_ONCE_H
#define WISPI_TRAIN_VALIDATE_AT_ONCE_H

#include <stddef.h>
#include <stdint.h>

enum { WISPI_AT_ONCE = 4 };

/* Calls `work` with each of WISPI_AT_ONCE items of `bytes`, in a thread each; none begins before
 * all are there. Returns how many threads were to be had: the items behind have not been worked on.
 */
int32_t wispi_at_once(void (*work)(void *item), void *items, size_t bytes);

#endif

/* validate_growth.h - what is held after something was done again and again. */
#ifndef WISPI_TRAIN_VALIDATE_GROWTH_H
#define WISPI_TRAIN_VALIDATE_GROWTH_H

#include "train/validate_trial.h"

/* Does `once` again and again, in turns of `rounds`, and fails the trial when each turn leaves more
 * blocks of the host, memory of malloc or open files behind than the one before. `words` say what
 * was done. Fewer rounds, and words that say so, where those would take more than two seconds. Ends
 * when `once` gives 0. */
void wispi_validate_growth(wispi_trial *t, int (*once)(wispi_trial *t), int rounds,
                           const char *words);

/* Entries of a folder such as /proc/self/task. */
int wispi_count_entries(const char *folder);

#endif

/* call_words.h - the words of a call of wisp, put together in an arena. */
#ifndef WISPI_REPORT_CALL_WORDS_H
#define WISPI_REPORT_CALL_WORDS_H

#include "base/arena.h"

typedef struct wispi_call_words {
    wispi_arena *arena;
    const char **list; /* ended by NULL */
    int32_t n, room;
    int failed; /* memory was lacking, or more words came than there is room for */
} wispi_call_words;

/* With room for `room` words. */
wispi_call_words wispi_call_words_begin(wispi_arena *arena, int32_t room);
/* NULL for `word` is memory that was lacking. The word is not copied. */
void wispi_call_words_add(wispi_call_words *words, const char *word);
/* key="value", quoted as TOML has it. */
void wispi_call_words_add_string(wispi_call_words *words, const char *key, const char *value);

#endif

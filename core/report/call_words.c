#include "report/call_words.h"

#include "base/text.h"
#include "config/resolved.h"

wispi_call_words wispi_call_words_begin(wispi_arena *arena, int32_t room)
{
    wispi_call_words words = {.arena = arena, .room = room};
    words.list = wispi_arena_array(arena, (size_t)room + 1, sizeof *words.list);
    words.failed = !words.list;
    return words;
}

void wispi_call_words_add(wispi_call_words *words, const char *word)
{
    words->failed |= !word || words->n == words->room;
    if (!words->failed)
        words->list[words->n++] = word;
}

void wispi_call_words_add_string(wispi_call_words *words, const char *key, const char *value)
{
    wispi_text text = {0};
    wispi_text_printf(&text, "%s=", key);
    wispi_resolved_string(&text, value);
    wispi_call_words_add(words, text.failed ? NULL : wispi_arena_text(words->arena, text.data));
    wispi_text_free(&text);
}

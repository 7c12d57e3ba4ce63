#include "train/validate_growth.h"

#include <dirent.h>
#include <malloc.h>

#include "base/clock.h"
#include "base/memory.h"

enum { LEAST_TURNS = 12, MOST_TURNS = 60, SMALLEST_BLOCK = 16, LEAST_ROUNDS = 2 };
static const double longest_turn = 2, longest_watch = 10; /* seconds */

typedef struct belongings {
    int64_t blocks, heap, files;
} belongings;

int wispi_count_entries(const char *folder)
{
    DIR *entries = opendir(folder);
    int n = 0;
    while (entries && readdir(entries))
        n++;
    if (entries)
        closedir(entries);
    return n;
}

static belongings take_belongings(void)
{
    const struct mallinfo2 heap = mallinfo2();
    return (belongings){wispi_live_blocks(), (int64_t)(heap.uordblks + heap.hblkhd),
                        wispi_count_entries("/proc/self/fd")};
}

/* Blocks of malloc's own caches count as held, and each thread of the host has such: these grow for
 * some turns only, more of them where other work is going on. What leaks grows in every one. */
static int has_grown(const belongings *before, const belongings *now, int rounds)
{
    return now->blocks > before->blocks || now->files > before->files ||
           now->heap - before->heap >= (int64_t)rounds * SMALLEST_BLOCK;
}

static void complain(wispi_trial *t, const belongings *before, const belongings *now, int rounds,
                     const char *words)
{
    if (now->blocks > before->blocks)
        wispi_trial_fail(t, "%d times %s: %lld blocks of the host more are held", rounds, words,
                         (long long)(now->blocks - before->blocks));
    else if (now->files > before->files)
        wispi_trial_fail(t, "%d times %s: %lld files more are open", rounds, words,
                         (long long)(now->files - before->files));
    else
        wispi_trial_fail(t, "%d times %s: %lld bytes of malloc more are held", rounds, words,
                         (long long)(now->heap - before->heap));
}

/* As many rounds as a turn has time for: where one takes a second, a hundred would be a minute. */
static int rounds_in_time(double once, int rounds)
{
    if (once * rounds <= longest_turn)
        return rounds;
    const int fit = (int)(longest_turn / once);
    return fit > LEAST_ROUNDS ? fit : LEAST_ROUNDS;
}

void wispi_validate_growth(wispi_trial *t, int (*once)(wispi_trial *t), int rounds,
                           const char *words)
{
    belongings before = {0, 0, 0}, now = {0, 0, 0};
    const double start = wispi_seconds();
    if (!once(t))
        return;
    const double seconds = wispi_seconds() - start;
    const int wanted = rounds;
    rounds = rounds_in_time(seconds, wanted);
    if (rounds < wanted)
        wispi_trial_note(t, "%d times in place of %d: once takes %.2f seconds", rounds, wanted,
                         seconds);
    for (int turn = 0; turn < MOST_TURNS; turn++) {
        if (turn >= LEAST_TURNS && wispi_seconds() - start > longest_watch)
            break;
        before = now;
        for (int i = 0; i < rounds; i++)
            if (!once(t))
                return;
        now = take_belongings();
        if (turn > 0 && !has_grown(&before, &now, rounds))
            return;
    }
    complain(t, &before, &now, rounds, words);
}

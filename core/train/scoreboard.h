/* scoreboard.h - all that was evaluated in a run, in order, as it is kept in checkpoints and
 * printed at the end. */
#ifndef WISPI_TRAIN_SCOREBOARD_H
#define WISPI_TRAIN_SCOREBOARD_H

#include "base/text.h"
#include "train/evaluation.h"

typedef struct wispi_scoreboard wispi_scoreboard;

wispi_scoreboard *wispi_scoreboard_create(void); /* NULL: no memory */
void wispi_scoreboard_destroy(wispi_scoreboard *board);

/* `source` is "raw pixels", "untrained", "probe" or "trained". */
wisp_status wispi_scoreboard_add(wispi_scoreboard *board, const char *source, int64_t step,
                                 const wispi_results *results, wisp_error *err);
/* Takes out what a source gave before: it is about to be judged again. */
void wispi_scoreboard_remove(wispi_scoreboard *board, const char *source);
/* As JSON text (freed with free()), and back. */
char *wispi_scoreboard_dump(const wispi_scoreboard *board);
wisp_status wispi_scoreboard_load(wispi_scoreboard *board, const char *text, wisp_error *err);

/* One line for each metric that the tasks reported: "k-NN top-1: raw pixels 21.3 %, untrained 30.2
 * %, trained 61.0 %". The metric that was reported first comes last. */
void wispi_scoreboard_summary(const wispi_scoreboard *board, wispi_text *out);

#endif

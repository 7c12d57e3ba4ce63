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
wisp_status wispi_scoreboard_add(wispi_scoreboard *board, const char *source,
                                 const wisp_clock *clock, const wispi_results *results,
                                 wisp_error *err);
/* Takes out what a source gave before: it is about to be judged again. */
void wispi_scoreboard_remove(wispi_scoreboard *board, const char *source);
/* As JSON text (freed with free()), and back. */
char *wispi_scoreboard_dump(const wispi_scoreboard *board);
wisp_status wispi_scoreboard_load(wispi_scoreboard *board, const char *text, wisp_error *err);

/* A metric of the probes over the run. The texts live as long as the board does not change. */
typedef struct wispi_probe_record {
    const char *metric, *protocol;
    double last, best;
    int64_t last_epoch, best_epoch, best_step; /* epochs done */
} wispi_probe_record;

/* Metric number `index` of the probes, in the order in which they were first reported; 0 when there
 * are fewer. The best epoch is that of the highest value, the earliest of equal ones; a top-5 is
 * given at its top-1's best epoch, as published pairs of numbers are. */
int wispi_scoreboard_probe(const wispi_scoreboard *board, int32_t index, wispi_probe_record *out);

/* One line for each metric of the probes: "classifier top-1: last epoch 60.9 %, best epoch 61.2 %
 * (epoch 27)"; then one for each that the tasks reported: "k-NN top-1: raw pixels 21.3 %, untrained
 * 30.2 %, trained 61.0 %". The metric that the tasks reported first comes last. */
void wispi_scoreboard_summary(const wispi_scoreboard *board, wispi_text *out);

#endif

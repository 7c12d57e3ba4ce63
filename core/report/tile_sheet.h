/* tile_sheet.h - many small square pictures on one sheet, which a page holds as one JPEG file. */
#ifndef WISPI_REPORT_TILE_SHEET_H
#define WISPI_REPORT_TILE_SHEET_H

#include <jansson.h>

#include "wisp/status.h"

enum { WISPI_SHEET_COLUMNS = 40 };

typedef struct wispi_tile_sheet {
    int64_t side;    /* of a tile, px */
    uint8_t **tiles; /* borrowed: (side, side, 3) each */
    int64_t n, capacity;
} wispi_tile_sheet;

wisp_status wispi_tile_sheet_open(wispi_tile_sheet *sheet, int64_t side, int64_t most_tiles,
                                  wisp_error *err);
void wispi_tile_sheet_close(wispi_tile_sheet *sheet); /* accepts a zeroed one */

/* Borrows a picture and gives its number; -1: the sheet is full. */
int64_t wispi_tile_sheet_add(wispi_tile_sheet *sheet, uint8_t *tile);

/* Sets "atlas", "tile" and "columns" of `pictures`. */
wisp_status wispi_tile_sheet_finish(const wispi_tile_sheet *sheet, json_t *pictures,
                                    wisp_error *err);

#endif

#include "report/tile_sheet.h"

#include <string.h>

#include "base/memory.h"
#include "report/data_uri.h"

/* Tiles are looked at enlarged, side by side: less than this shows. */
enum { QUALITY = 85 };

wisp_status wispi_tile_sheet_open(wispi_tile_sheet *sheet, int64_t side, int64_t most_tiles,
                                  wisp_error *err)
{
    memset(sheet, 0, sizeof *sheet);
    sheet->side = side;
    sheet->capacity = most_tiles;
    sheet->tiles = wispi_alloc_array((size_t)most_tiles, sizeof *sheet->tiles);
    if (!sheet->tiles)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the report's pictures");
    return WISP_OK;
}

void wispi_tile_sheet_close(wispi_tile_sheet *sheet)
{
    wispi_free(sheet->tiles);
    memset(sheet, 0, sizeof *sheet);
}

int64_t wispi_tile_sheet_add(wispi_tile_sheet *sheet, uint8_t *tile)
{
    if (sheet->n == sheet->capacity)
        return -1;
    sheet->tiles[sheet->n] = tile;
    return sheet->n++;
}

static void draw(const wispi_tile_sheet *sheet, int64_t columns, uint8_t *out)
{
    const int64_t row = sheet->side * 3;
    for (int64_t i = 0; i < sheet->n; i++)
        for (int64_t y = 0; y < sheet->side; y++)
            memcpy(out + ((i / columns * sheet->side + y) * columns + i % columns) * row,
                   sheet->tiles[i] + y * row, (size_t)row);
}

wisp_status wispi_tile_sheet_finish(const wispi_tile_sheet *sheet, json_t *pictures,
                                    wisp_error *err)
{
    const int64_t columns = sheet->n < WISPI_SHEET_COLUMNS ? sheet->n : WISPI_SHEET_COLUMNS;
    const int64_t rows = columns ? (sheet->n + columns - 1) / columns : 0;
    uint8_t *pixels =
        wispi_alloc_array((size_t)(columns * rows), (size_t)(sheet->side * sheet->side * 3));
    const wispi_image image = {pixels, (int32_t)(columns * sheet->side),
                               (int32_t)(rows * sheet->side)};
    json_t *uri = NULL;
    if (!pixels || sheet->n == 0)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the report's pictures");
    draw(sheet, columns, pixels);
    const wisp_status status = wispi_jpeg_uri(&image, QUALITY, &uri, err);
    wispi_free(pixels);
    WISP_TRY(status);
    json_object_set_new(pictures, "atlas", uri);
    json_object_set_new(pictures, "tile", json_integer(sheet->side));
    json_object_set_new(pictures, "columns", json_integer(columns));
    return WISP_OK;
}

/* encoded_jpeg.h - tests only: every kind of JPEG that the library writes. */
#ifndef WISP_TESTS_ENCODED_JPEG_H
#define WISP_TESTS_ENCODED_JPEG_H

#include "image_golden.h"

#include <jpeglib.h>

typedef struct encoded_kind {
    const char *name;
    int components;
    int across, down; /* sampling of the first component over the others' */
    int progressive;  /* 1: all scans; 2: not the last ones; 3: a scan for each component */
    int arithmetic, restart;
} encoded_kind;

static const encoded_kind encoded_kinds[] = {
    {"4:4:4", 3, 1, 1, 0, 0, 0},        {"4:2:2", 3, 2, 1, 0, 0, 0},
    {"4:2:0", 3, 2, 2, 0, 0, 0},        {"4:4:0", 3, 1, 2, 0, 0, 0},
    {"4:1:1", 3, 4, 1, 0, 0, 0},        {"4:1:0", 3, 4, 2, 0, 0, 0},
    {"1x4", 3, 1, 4, 0, 0, 0},          {"3x1", 3, 3, 1, 0, 0, 0},
    {"gray", 1, 1, 1, 0, 0, 0},         {"gray 2x2", 1, 2, 2, 0, 0, 0},
    {"CMYK", 4, 1, 1, 0, 0, 0},         {"CMYK 2x2", 4, 2, 2, 0, 0, 0},
    {"restarts", 3, 2, 2, 0, 0, 3},     {"restarts 4:4:4", 3, 1, 1, 0, 0, 7},
    {"progressive", 3, 2, 2, 1, 0, 0},  {"progressive 4:4:4", 3, 1, 1, 1, 0, 0},
    {"unfinished", 3, 2, 2, 2, 0, 0},   {"unfinished 4:4:4", 3, 1, 1, 2, 0, 0},
    {"scan by scan", 3, 2, 1, 3, 0, 0}, {"arithmetic", 3, 2, 2, 0, 1, 0},
};
enum { ENCODED_KINDS = sizeof encoded_kinds / sizeof *encoded_kinds };

static inline void encoded_scans(struct jpeg_compress_struct *info, int progressive)
{
    /* DC of all, then a few of the AC coefficients of the first. */
    static const jpeg_scan_info unfinished[] = {{3, {0, 1, 2}, 0, 0, 0, 1}, {1, {0}, 1, 2, 0, 2}};
    static const jpeg_scan_info one_by_one[] = {
        {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    if (progressive == 1)
        jpeg_simple_progression(info);
    if (progressive == 2) {
        info->scan_info = unfinished;
        info->num_scans = 2;
    }
    if (progressive == 3) {
        info->scan_info = one_by_one;
        info->num_scans = 3;
    }
}

static inline void encoded_rows(struct jpeg_compress_struct *info, const uint8_t *rgb,
                                int components)
{
    const size_t width = info->image_width;
    uint8_t *line = malloc(width * 4);
    while (info->next_scanline < info->image_height) {
        const uint8_t *row = rgb + info->next_scanline * width * 3;
        for (size_t x = 0; x < width; x++)
            for (int c = 0; c < components; c++)
                line[x * (size_t)components + (size_t)c] = row[3 * x + (size_t)c % 3];
        jpeg_write_scanlines(info, &line, 1);
    }
    free(line);
}

/* A picture of image_golden.h as a file of that kind; freed by the caller. */
static inline uint8_t *encoded_jpeg(const encoded_kind *kind, int width, int height, size_t *n)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    uint8_t *data = NULL, *rgb = image_golden_picture(1, (uint32_t)width, (uint32_t)height);
    unsigned long bytes = 0;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &data, &bytes);
    info.image_width = (unsigned)width;
    info.image_height = (unsigned)height;
    info.input_components = kind->components;
    info.in_color_space = kind->components == 1   ? JCS_GRAYSCALE
                          : kind->components == 3 ? JCS_RGB
                                                  : JCS_CMYK;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 80, TRUE);
    info.comp_info[0].h_samp_factor = kind->across;
    info.comp_info[0].v_samp_factor = kind->down;
    info.arith_code = kind->arithmetic != 0;
    info.restart_interval = (unsigned)kind->restart;
    encoded_scans(&info, kind->progressive);
    jpeg_start_compress(&info, TRUE);
    encoded_rows(&info, rgb, kind->components);
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    free(rgb);
    *n = bytes;
    return data;
}

#endif

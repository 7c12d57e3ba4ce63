/* decode_photos.c - the floor below all views: libjpeg alone, from bytes in memory to whole
 * pictures.
 *
 *   decode_photos FOLDER [SECONDS]
 *
 * One thread, the library's usual settings (exact inverse transform, smooth chroma), one line of
 * JSON. */
#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>

#include "base/clock.h"
#include "base/file.h"

enum { MOST_FILES = 10000, MOST_BYTES = 1 << 28 };

typedef struct photo {
    uint8_t *data;
    size_t n;
} photo;

static photo photos[MOST_FILES];
static int n_photos;

static int read_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && n_photos < MOST_FILES && (entry = readdir(dir)) != NULL;) {
        char path[4096];
        wisp_error err = {0};
        const char *ending = strrchr(entry->d_name, '.');
        if (!ending || (strcasecmp(ending, ".jpg") != 0 && strcasecmp(ending, ".jpeg") != 0))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        photo *p = &photos[n_photos];
        if (wispi_file_read(path, MOST_BYTES, &p->data, &p->n, &err) == WISP_OK)
            n_photos++;
        else
            fprintf(stderr, "%s\n", err.message);
    }
    if (dir)
        closedir(dir);
    return n_photos > 0;
}

typedef struct failure {
    struct jpeg_error_mgr manager; /* first: the handle converts */
    jmp_buf back;
} failure;

static void give_up(j_common_ptr info)
{
    longjmp(((failure *)(void *)info->err)->back, 1);
}

/* Pixels of the picture; 0 for one that is broken. Rows are thrown away. */
static double decode(struct jpeg_decompress_struct *info, failure *failed, const photo *p)
{
    static JSAMPLE row[3 * JPEG_MAX_DIMENSION];
    JSAMPROW rows[1] = {row};
    if (setjmp(failed->back) != 0) {
        jpeg_abort_decompress(info);
        return 0;
    }
    jpeg_mem_src(info, p->data, p->n);
    jpeg_read_header(info, TRUE);
    info->out_color_space = JCS_RGB;
    jpeg_start_decompress(info);
    while (info->output_scanline < info->output_height)
        jpeg_read_scanlines(info, rows, 1);
    const double pixels = (double)info->output_width * info->output_height;
    jpeg_finish_decompress(info);
    return pixels;
}

int main(int argc, char **argv)
{
    struct jpeg_decompress_struct info;
    failure failed;
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
    if (argc < 2 || !read_folder(argv[1])) {
        fprintf(stderr,
                "usage: decode_photos FOLDER [SECONDS], of a folder with .jpg or .jpeg files\n");
        return 2;
    }
    info.err = jpeg_std_error(&failed.manager);
    failed.manager.error_exit = give_up;
    jpeg_create_decompress(&info);
    double pixels = 0, passed = 0;
    long images = 0;
    for (int i = 0; i < n_photos; i++)
        decode(&info, &failed, &photos[i]);
    const double start = wispi_seconds();
    for (; passed < seconds; passed = wispi_seconds() - start)
        for (int k = 0; k < 20; k++)
            pixels += decode(&info, &failed, &photos[images++ % n_photos]);
    jpeg_destroy_decompress(&info);
    printf("{\"images_per_s\": %.1f, \"megapixels_per_s\": %.1f, \"megapixels\": %.4f}\n",
           (double)images / passed, pixels * 1e-6 / passed, pixels * 1e-6 / (double)images);
    return 0;
}

/* folder_list.h - the images below a folder: names, sizes and classes, in a fixed order. */
#ifndef FOLDER_LIST_H
#define FOLDER_LIST_H

#include <wisp/host.h>

typedef struct folder_image {
    size_t name; /* where its path, relative to the folder, begins in `names` */
    int64_t bytes;
    int32_t label;
    int32_t reserved;
} folder_image;

/* A growing block of the host's memory. */
typedef struct folder_block {
    char *data;
    size_t used, capacity; /* bytes */
} folder_block;

typedef struct folder_list {
    const wisp_host *host;
    folder_block names;   /* all texts, each with its terminator */
    folder_block images;  /* folder_image */
    folder_block classes; /* size_t: beginnings in `names` */
    int64_t n_images, n_other;
    int32_t n_classes, n_empty;
} folder_list;

static inline const char *folder_name(const folder_list *list, size_t at)
{
    return list->names.data + at;
}

static inline folder_image *folder_images(const folder_list *list)
{
    return (folder_image *)(void *)list->images.data;
}

static inline size_t *folder_classes(const folder_list *list)
{
    return (size_t *)(void *)list->classes.data;
}

/* Fills a zeroed list with the images below the open folder `fd`. With `labels`, the folders in it
 * are the classes, sorted by name; a folder that has images but no folders with images has no
 * classes. Images are sorted by class, then by path. Symbolic links are followed. [setup] */
wisp_status folder_list_fill(folder_list *list, const wisp_host *host, int fd, int labels,
                             wisp_error *err);
void folder_list_free(folder_list *list);

#endif

/* folder_cache.h - the index of a large folder is kept beside the data, as long as they stay the
 * same. */
#ifndef FOLDER_CACHE_H
#define FOLDER_CACHE_H

#include "folder_index.h"

enum {
    FOLDER_CACHE = 1, /* read and kept */
    FOLDER_SCAN = 2   /* neither */
};

typedef struct folder_request {
    const wisp_host *host;
    int fd;           /* the folder, open */
    const char *path; /* as the user wrote it, for messages */
    int32_t labels, source;
} folder_request;

/* Where an index came from. */
typedef struct folder_origin {
    int32_t cached; /* read from beside the data; else the folder has been listed just now */
    char file[160]; /* name of the file there */
} folder_origin;

/* Gives the index of a folder, by the file beside it or by listing it. [setup] */
wisp_status folder_index_open(const folder_request *request, folder_index *index,
                              folder_origin *origin, wisp_error *err);

#endif

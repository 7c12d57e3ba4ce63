/* folder_scan.h - the folders below a folder as they are listed: one record each, with its names.
 */
#ifndef FOLDER_SCAN_H
#define FOLDER_SCAN_H

#include <sys/types.h>

#include "folder_block.h"
#include "folder_index.h"

enum {
    SCAN_IMAGE = 1,
    SCAN_FOLDER = 2,
    SCAN_UNKNOWN = 3, /* a link, or a file system that does not say: to be asked for */
    SCAN_DEAD = 4,    /* a link that leads nowhere */
    SCAN_OTHER = 5
};

typedef struct scan_entry {
    uint64_t key;  /* of folder_sort.c */
    int64_t value; /* image: bytes; folder: its number in the scan */
    uint32_t name; /* where it begins in the folder's names */
    int32_t kind;  /* SCAN_... */
} scan_entry;

typedef struct scan_folder {
    folder_block names;
    folder_block entries; /* scan_entry; in the end images and folders only */
    int64_t n_entries, n_images;
    int64_t n_other, n_dead;
    size_t path;    /* where it begins in the scan's paths; "" of the outermost */
    int64_t parent; /* -1 of the outermost */
    int32_t depth, error;
    const char *failure; /* what could not be done; NULL: nothing */
    dev_t device;
    ino_t inode;
    folder_stamp stamp;
} scan_folder;

typedef struct folder_scan {
    const wisp_host *host;
    int root;             /* the outermost folder, open */
    folder_block folders; /* scan_folder; a folder stands behind its parent */
    folder_block paths;
    int64_t n_folders;
    uint64_t root_names;
} folder_scan;

static inline scan_folder *scan_folders(const folder_scan *scan)
{
    return (scan_folder *)(void *)scan->folders.data;
}

static inline scan_entry *scan_entries(const scan_folder *folder)
{
    return (scan_entry *)(void *)folder->entries.data;
}

static inline const char *scan_path(const folder_scan *scan, const scan_folder *folder)
{
    return scan->paths.data + folder->path;
}

/* Lists everything below the open folder `root` into a zeroed scan, on the host's threads: the
 * folders of one depth at a time, then the sizes of their files. Links are followed. [setup] */
wisp_status folder_scan_run(folder_scan *scan, const wisp_host *host, int root, wisp_error *err);
void folder_scan_free(folder_scan *scan);

/* Sum of folder_name_hash over the names that count; 0 when the folder cannot be read. */
int folder_root_names(int root, uint64_t *sum);

#endif

/* folder_index.h - the images below a folder, in a fixed order: names, sizes, classes, and what the
 * folders looked like when they were listed. All of it lies in one block, which is also what is
 * kept beside the data. */
#ifndef FOLDER_INDEX_H
#define FOLDER_INDEX_H

#include <sys/stat.h>

#include <wisp/host.h>

/* What changes when names come to a folder or leave it. No inode: some network file systems number
 * anew at every mount. */
typedef struct folder_stamp {
    int64_t modified_s, modified_ns, changed_s, changed_ns;
    int64_t bytes, links;
} folder_stamp;

/* What the block begins with. */
typedef struct folder_counts {
    int64_t n_images, n_other, n_folders, n_classes, n_empty, names_bytes;
    uint64_t root_names; /* of the outermost folder: sum of folder_name_hash over its names */
    uint64_t fingerprint;
} folder_counts;

/* All pointers lead into `block`, in this order. Folder 0 is the outermost. */
typedef struct folder_index {
    void *block; /* of the host's memory */
    size_t block_bytes;
    folder_counts *counts;
    folder_stamp *stamps; /* (n_folders) */
    int64_t *bytes;       /* (n_images): sizes of files */
    uint64_t *name;       /* (n_images): where the file's name begins in `names` */
    uint64_t *path;       /* (n_folders): the same of its path below the outermost; that has "" */
    uint64_t *class_name; /* (n_classes) */
    uint32_t *folder;     /* (n_images): the file's folder */
    int32_t *label;       /* (n_folders) */
    char *names;          /* (names_bytes): all texts, each with its terminator */
} folder_index;

enum { FOLDER_PATH_BYTES = 4096 };

/* Bytes of a block with these counts; 0 when they make no sense. */
size_t folder_index_bytes(const folder_counts *counts);

/* Lets the pointers lead into a block that begins with good counts. */
void folder_index_map(folder_index *index, void *block, size_t block_bytes);

/* Takes a block from outside; 0 when any number in it leads out of it. */
int folder_index_take(folder_index *index, void *block, size_t block_bytes);

/* Path of image `i` below the outermost folder ("alpha/x/1.jpg"), cut off where it does not fit.
 * [any] */
void folder_index_path(const folder_index *index, int64_t i, char *text, size_t bytes);

/* Label of image `i`; means nothing without classes. [any] */
static inline int32_t folder_index_label(const folder_index *index, int64_t i)
{
    return index->label[index->folder[i]];
}

uint64_t folder_index_fingerprint(const folder_index *index);

folder_stamp folder_stamp_of(const struct stat *status);
uint64_t folder_name_hash(const char *name);

#endif

/* file.h - whole files in, whole files out: a file is either the old one or the new one, never a
 * half. All functions are [any]; on failure the out-parameters are untouched. */
#ifndef WISPI_BASE_FILE_H
#define WISPI_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a file of at most `max_bytes`. `*data` is freed with wispi_free and has one NUL byte behind
 * its `*n` bytes. E_NOT_FOUND when there is no such file, E_INVALID when the name is that of a
 * folder or a device, E_DATA when it is too large. */
wisp_status wispi_file_read(const char *path, size_t max_bytes, uint8_t **data, size_t *n,
                            wisp_error *err);

/* Writes a temporary file beside `path`, syncs it, renames it onto `path` and syncs the folder. On
 * failure the old file stays and the temporary one is gone. The mode of an old file is kept. */
wisp_status wispi_file_replace(const char *path, const void *data, size_t n, wisp_error *err);

typedef struct wispi_file_part {
    const void *data;
    size_t bytes;
} wispi_file_part;

/* As above; the file is the parts one after the other. */
wisp_status wispi_file_replace_parts(const char *path, const wispi_file_part *parts, size_t n_parts,
                                     wisp_error *err);

/* Renames within one folder, replacing what was there, and syncs the folder. */
wisp_status wispi_file_rename(const char *from, const char *to, wisp_error *err);

/* Removes what killed processes left of unfinished replacements of `path`. Only for a caller that
 * knows that nobody else is writing it. Returns how many were removed. */
int32_t wispi_file_remove_leftovers(const char *path);

/* Makes a folder and those above it; no error when it is there. */
wisp_status wispi_make_folders(const char *path, wisp_error *err);

/* a/b into `out`; just b when b is absolute or a is empty. E_INVALID when it does not fit. */
wisp_status wispi_path_join(char *out, size_t n, const char *a, const char *b);

/* Is there something of this name in the folder? */
int wispi_file_is_there(const char *folder, const char *name);

/* The folder part of a path ("." when there is none). E_INVALID when it does not fit. */
wisp_status wispi_path_folder(char *out, size_t n, const char *path);

#ifdef __cplusplus
}
#endif
#endif

/* safetensors.h - named tensors and texts in one file that other tools read too.
 *
 * The format is that of the safetensors project: eight bytes with the header's length, a JSON
 * header
 * {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {...}}, the data. Files written here
 * also carry a hash over header and data, so that an altered byte anywhere is noticed. */
#ifndef WISPI_TRAIN_SAFETENSORS_H
#define WISPI_TRAIN_SAFETENSORS_H

#include "wisp/status.h"
#include "wisp/tensor.h"

typedef struct wispi_stored_tensor {
    const char *name;
    wisp_desc desc;
    const void *data; /* host memory */
} wispi_stored_tensor;

typedef struct wispi_stored_text {
    const char *key, *value; /* UTF-8 */
} wispi_stored_text;

/* Writes the file under a temporary name, syncs and renames it; a file that was there stays until
 * then, and for good when anything fails. */
wisp_status wispi_safetensors_write(const char *path, const wispi_stored_tensor *tensors,
                                    int64_t n_tensors, const wispi_stored_text *texts,
                                    int64_t n_texts, wisp_error *err);

typedef struct wispi_safetensors wispi_safetensors;

/* Maps a file and checks all of it: sizes, offsets, overlaps and, where there is one, the hash.
 * `require_hash`: a file without one is refused. WISP_E_CORRUPT names the file and what is wrong.
 */
wisp_status wispi_safetensors_open(const char *path, int require_hash, wispi_safetensors **file,
                                   wisp_error *err);
void wispi_safetensors_close(wispi_safetensors *file); /* accepts NULL */

int64_t wispi_safetensors_count(const wispi_safetensors *file);
/* In the order of the data. Pointers live until close. */
const wispi_stored_tensor *wispi_safetensors_at(const wispi_safetensors *file, int64_t index);
const wispi_stored_tensor *wispi_safetensors_find(const wispi_safetensors *file, const char *name);
/* NULL when there is no such text. */
const char *wispi_safetensors_text(const wispi_safetensors *file, const char *key);

#endif

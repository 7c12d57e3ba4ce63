/* manifest.h - manifest.json: with what a run was made. */
#ifndef WISPI_TRAIN_MANIFEST_H
#define WISPI_TRAIN_MANIFEST_H

#include <jansson.h>

#include "base/text.h"
#include "train/run_folder.h"
#include "train/session.h"

/* Versions, plugins with hashes, device, data fingerprint, sizes, git commit of the working folder.
 */
wisp_status wispi_manifest_write(const wispi_run_folder *folder, const wispi_session *session,
                                 uint64_t fingerprint, wisp_error *err);

/* When a run goes on at `step`: one warning, and an entry of the manifest's list `resumed`, when
 * threads, device, host or plugins are not those that it has been made with so far. */
wisp_status wispi_manifest_resume(const wispi_run_folder *folder, const wispi_session *session,
                                  int64_t step, wisp_error *err);

/* What the bits of a run depend on besides its configuration and data, as the manifest has it:
 * host, device, threads, ranks, plugins with hashes. The caller's reference; NULL: no memory. */
json_t *wispi_manifest_now(const wispi_session *session);
/* A manifest.json; NULL when it cannot be read. */
json_t *wispi_manifest_read(const char *path);

/* Appends what the ranks of a run must have in common besides its configuration: program, plugins
 * and data, a line each. */
void wispi_manifest_means(wispi_text *out, const wispi_session *session, uint64_t fingerprint);

#endif

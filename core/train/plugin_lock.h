/* plugin_lock.h - holds a run to the plugin files that it has been made with (wisp run --locked).
 *
 * What is compared are the hashes in manifest.json. They find accidents, such as a plugin that was
 * built again; who wants to deceive can make a file with the same hash. */
#ifndef WISPI_TRAIN_PLUGIN_LOCK_H
#define WISPI_TRAIN_PLUGIN_LOCK_H

#include "train/run_folder.h"
#include "train/session.h"

/* Two manifests count: that of the run's own folder, whose newest part a run goes on with, and one
 * beside `experiment_file`, which is the stored configuration of a run that shall be repeated: then
 * every part of that run counts. E_CONFIG names every plugin that is new, missing or another build,
 * and another host. A run that has no manifest yet is told that this call writes it. */
wisp_status wispi_plugin_lock_check(const wispi_run_folder *folder, const char *experiment_file,
                                    const wispi_session *session, wisp_error *err);

#endif

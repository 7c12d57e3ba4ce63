/* folder_sort.h - the order of the names in each folder. */
#ifndef FOLDER_SORT_H
#define FOLDER_SORT_H

#include "folder_scan.h"

/* Sorts each folder's entries so that going through them, and into folders where they come, gives
 * all paths in the order of their bytes. On the host's threads, a large folder by parts. [setup] */
wisp_status folder_sort(folder_scan *scan, wisp_error *err);

#endif

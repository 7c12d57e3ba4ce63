/* folder_build.h - from a sorted scan to an index. */
#ifndef FOLDER_BUILD_H
#define FOLDER_BUILD_H

#include "folder_scan.h"

/* Fills an index. With `labels`, the folders in the outermost are the classes, sorted by name; a
 * folder that has images but no folders with images has no classes. Images are sorted by class,
 * then by path. [setup] */
wisp_status folder_build(const folder_scan *scan, int labels, folder_index *index, wisp_error *err);

#endif

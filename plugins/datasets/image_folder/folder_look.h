/* folder_look.h - what can be told from a few names: whether a file is an image, whether a folder
 * holds some. */
#ifndef FOLDER_LOOK_H
#define FOLDER_LOOK_H

#include <stdint.h>

int folder_is_image_name(const char *name);

/* As wisp_dataset_v0.recognises. Looks at a limited number of names, so that a folder of millions
 * costs no more than others. [any] */
int32_t folder_recognises(const char *path);

#endif

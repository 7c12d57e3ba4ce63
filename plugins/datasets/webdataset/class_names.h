/* class_names.h - a text file whose lines are the names of the classes, from 0 on. */
#ifndef CLASS_NAMES_H
#define CLASS_NAMES_H

#include "growing_block.h"

typedef struct class_names {
    growing_block text;  /* the names, each with its terminator */
    growing_block lines; /* size_t: where each begins */
    int32_t n;
    int32_t reserved;
} class_names;

static inline const char *class_name_at(const class_names *c, int32_t label)
{
    return c->text.data + ((const size_t *)(const void *)c->lines.data)[label];
}

/* Fills a zeroed list. [setup] */
wisp_status class_names_fill(class_names *names, const wisp_host *host, const char *path,
                             wisp_error *err);
void class_names_free(class_names *names);

#endif

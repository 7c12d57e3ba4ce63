/* data_info.h - a data set in numbers: classes, kinds of files, sizes, and what cannot be used. */
#ifndef WISPI_TRAIN_DATA_INFO_H
#define WISPI_TRAIN_DATA_INFO_H

#include "base/pool.h"
#include "base/text.h"
#include "loader/registry.h"

typedef struct wispi_data_info_request {
    const char *path; /* as the user wrote it */
    wispi_pool *pool;
    int32_t full; /* every pixel of every sample, not headers of some */
    int32_t reserved;
    const volatile int *stop;
} wispi_data_info_request;

typedef struct wispi_data_info wispi_data_info;

wisp_status wispi_data_info_make(const wispi_instance *set, const wispi_data_info_request *request,
                                 wispi_data_info **info, wisp_error *err);
void wispi_data_info_destroy(wispi_data_info *info); /* accepts NULL */

/* Samples that were looked at and cannot be used. */
int64_t wispi_data_info_broken(const wispi_data_info *info);

/* The report. */
void wispi_data_info_text(const wispi_data_info *info, wispi_text *out);
wisp_status wispi_data_info_json(const wispi_data_info *info, char **text, wisp_error *err);

#endif

/* data_uri.h - pictures as text that a page can hold: data: URIs. */
#ifndef WISPI_REPORT_DATA_URI_H
#define WISPI_REPORT_DATA_URI_H

#include <jansson.h>
#include <stddef.h>

#include "base/text.h"
#include "image/pixels.h"

/* Appends "data:<type>;base64,..."; look at uri->failed in the end. */
void wispi_data_uri(wispi_text *uri, const char *type, const void *data, size_t bytes);

/* The same of a picture as a JPEG file, as a JSON string. */
wisp_status wispi_jpeg_uri(const wispi_image *image, int32_t quality, json_t **uri,
                           wisp_error *err);

#endif

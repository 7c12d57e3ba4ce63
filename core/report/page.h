/* page.h - the report as one HTML file that needs nothing else: style, scripts, chart library and
 * data are in it, and its Content-Security-Policy lets it fetch nothing. docs/report.md shows what
 * the page makes of its JSON. */
#ifndef WISPI_REPORT_PAGE_H
#define WISPI_REPORT_PAGE_H

#include <jansson.h>

#include "base/text.h"
#include "wisp/status.h"

/* Appends the file to `html`, which is unchanged on failure. A page whose "live" is true asks the
 * server that it came from for page.json every few seconds; others talk to nobody. [any] */
wisp_status wispi_page_write(json_t *page, wispi_text *html, wisp_error *err);

/* The JSON of a page as it stands in the file: safe between the tags of a script element. [any] */
wisp_status wispi_page_json(const json_t *page, wispi_text *text, wisp_error *err);

/* What a live or a still page may do, as the value of a Content-Security-Policy. [any] */
void wispi_page_policy(int live, wispi_text *text);

#endif

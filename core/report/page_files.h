/* page_files.h - the parts of the page that are the same in every report. Their bytes are put into
 * a C file when wisp is built (cmake/WispReportPage.cmake). */
#ifndef WISPI_REPORT_PAGE_FILES_H
#define WISPI_REPORT_PAGE_FILES_H

#include <stddef.h>

typedef struct wispi_page_file {
    const unsigned char *bytes;
    size_t n;
    const char *hash; /* as a Content-Security-Policy wants it: 'sha256-...' */
} wispi_page_file;

extern const wispi_page_file wispi_page_template, wispi_page_style, wispi_page_chart,
    wispi_page_script;

#endif

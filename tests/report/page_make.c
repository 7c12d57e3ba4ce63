/* page_make.c - the page of the JSON on standard input, to standard output: what the tests of the
 * page look at in a browser. */
#include <stdio.h>

#include "report/page.h"

int main(void)
{
    json_error_t where;
    wisp_error err = {0};
    wispi_text html = {0};
    json_t *page = json_loadf(stdin, 0, &where);
    if (!page) {
        fprintf(stderr, "page_make: line %d: %s\n", where.line, where.text);
        return 2;
    }
    if (wispi_page_write(page, &html, &err) != WISP_OK) {
        fprintf(stderr, "page_make: %s\n", err.message);
        return 1;
    }
    const int lost = fwrite(html.data, 1, html.length, stdout) != html.length || fflush(stdout);
    wispi_text_free(&html);
    json_decref(page);
    return lost;
}

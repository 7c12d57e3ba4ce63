/* page.c - puts the page together: the template's @@marks@@ are replaced by the parts they name.
 *
 * Nothing in the data can become HTML: the JSON has no "<" left, the title none either, and the
 * policy allows the three scripts and styles by their hashes and no others. */
#include "report/page.h"

#include <string.h>

#include "report/page_files.h"

/* JSON has no "<" outside of strings, and all that is not ASCII has been escaped already. */
static int append_json_bytes(const char *bytes, size_t n, void *user)
{
    wispi_text *text = user;
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '<')
            continue;
        wispi_text_append_bytes(text, bytes + from, i - from);
        wispi_text_append(text, "\\u003c");
        from = i + 1;
    }
    wispi_text_append_bytes(text, bytes + from, n - from);
    return text->failed ? -1 : 0;
}

wisp_status wispi_page_json(const json_t *page, wispi_text *text, wisp_error *err)
{
    const size_t before = text->length;
    const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9);
    if (json_dump_callback(page, append_json_bytes, text, flags) == 0)
        return WISP_OK;
    const int lacking = text->failed;
    wispi_text_truncate(text, before);
    if (lacking)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the report's data");
    return wisp_fail(err, WISP_E_INVALID, "the report's data are not a JSON value");
}

void wispi_page_policy(int live, wispi_text *text)
{
    wispi_text_printf(text,
                      "default-src 'none'; script-src %s %s; style-src %s; img-src data:; "
                      "connect-src %s; base-uri 'none'; form-action 'none'",
                      wispi_page_chart.hash, wispi_page_script.hash, wispi_page_style.hash,
                      live ? "'self'" : "'none'");
}

static void append_escaped(wispi_text *html, const char *plain)
{
    for (; *plain; plain++) {
        switch (*plain) {
        case '<':
            wispi_text_append(html, "&lt;");
            break;
        case '>':
            wispi_text_append(html, "&gt;");
            break;
        case '&':
            wispi_text_append(html, "&amp;");
            break;
        case '"':
            wispi_text_append(html, "&quot;");
            break;
        default:
            wispi_text_append_bytes(html, plain, 1);
        }
    }
}

static void append_file(wispi_text *html, const wispi_page_file *file)
{
    wispi_text_append_bytes(html, file->bytes, file->n);
}

static wisp_status append_part(wispi_text *html, const char *mark, json_t *page, wisp_error *err)
{
    const char *title = json_string_value(json_object_get(page, "title"));
    if (strcmp(mark, "policy") == 0)
        wispi_page_policy(json_is_true(json_object_get(page, "live")), html);
    else if (strcmp(mark, "title") == 0)
        append_escaped(html, title ? title : "wisp");
    else if (strcmp(mark, "style") == 0)
        append_file(html, &wispi_page_style);
    else if (strcmp(mark, "chart") == 0)
        append_file(html, &wispi_page_chart);
    else if (strcmp(mark, "script") == 0)
        append_file(html, &wispi_page_script);
    else if (strcmp(mark, "data") == 0)
        return wispi_page_json(page, html, err);
    else
        return wisp_fail(err, WISP_E_INTERNAL, "the page's template has an unknown mark @@%s@@",
                         mark);
    return WISP_OK;
}

/* From `at` to the next mark, and the mark's part. Returns where to go on; NULL at the end. */
static const char *append_next(wispi_text *html, const char *at, const char *end, json_t *page,
                               wisp_status *status, wisp_error *err)
{
    char mark[16] = {0};
    const char *open = memmem(at, (size_t)(end - at), "@@", 2);
    const char *close = open ? memmem(open + 2, (size_t)(end - open) - 2, "@@", 2) : NULL;
    if (!close || (size_t)(close - open) - 2 >= sizeof mark) {
        wispi_text_append_bytes(html, at, (size_t)(end - at));
        return NULL;
    }
    wispi_text_append_bytes(html, at, (size_t)(open - at));
    memcpy(mark, open + 2, (size_t)(close - open) - 2);
    *status = append_part(html, mark, page, err);
    return close + 2;
}

wisp_status wispi_page_write(json_t *page, wispi_text *html, wisp_error *err)
{
    const size_t before = html->length;
    const char *at = (const char *)wispi_page_template.bytes;
    const char *end = at + wispi_page_template.n;
    wisp_status status = WISP_OK;
    while (at && status == WISP_OK)
        at = append_next(html, at, end, page, &status, err);
    if (status == WISP_OK && html->failed)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for the report");
    if (status != WISP_OK && html->data)
        wispi_text_truncate(html, before);
    return status;
}

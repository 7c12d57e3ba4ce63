/* toml_nesting.c - counts brackets and the parts of keys outside strings and comments.
 *
 * Only a bound: whether the text is TOML at all is the parser's affair. */
#include "config/toml_nesting.h"

struct scan {
    const char *p, *end;
    int32_t line, column;
    int32_t brackets, parts;
};

static void advance(struct scan *scan)
{
    if (*scan->p == '\n') {
        scan->line++;
        scan->column = 0;
    }
    scan->p++;
    if (scan->p < scan->end && ((unsigned char)*scan->p & 0xC0) != 0x80)
        scan->column++;
}

static int begins(const struct scan *scan, const char *what, size_t n)
{
    return (size_t)(scan->end - scan->p) >= n && memcmp(scan->p, what, n) == 0;
}

/* From an opening quote to behind the closing one. A one-line string ends with its line, which is
 * an error that the parser will report. */
static void skip_string(struct scan *scan)
{
    char quote = *scan->p;
    const char triple[3] = {quote, quote, quote};
    size_t n = begins(scan, triple, 3) ? 3 : 1;
    for (size_t i = 0; i < n; i++)
        advance(scan);
    while (scan->p < scan->end && !begins(scan, triple, n)) {
        if (n == 1 && *scan->p == '\n')
            return;
        if (quote == '"' && *scan->p == '\\')
            advance(scan);
        if (scan->p < scan->end)
            advance(scan);
    }
    for (size_t i = 0; i < n && scan->p < scan->end; i++)
        advance(scan);
}

static void skip_comment(struct scan *scan)
{
    while (scan->p < scan->end && *scan->p != '\n')
        advance(scan);
}

static void count(struct scan *scan, char c)
{
    if (c == '[' || c == '{')
        scan->brackets++;
    if ((c == ']' || c == '}') && scan->brackets > 0)
        scan->brackets--;
    if (c == '.')
        scan->parts++;
    else if (strchr("[]{}=,\n", c))
        scan->parts = 1;
}

wisp_status wispi_toml_check_nesting(const wispi_source *shown, const char *text, size_t n,
                                     wisp_error *err)
{
    struct scan scan = {text, text + n, 1, 1, 0, 1};
    while (scan.p < scan.end) {
        char c = *scan.p;
        if (c == '"' || c == '\'') {
            skip_string(&scan);
            continue;
        }
        if (c == '#') {
            skip_comment(&scan);
            continue;
        }
        if (c)
            count(&scan, c);
        wispi_place place = {shown, scan.line, scan.column};
        if (scan.brackets > WISPI_TOML_MOST_BRACKETS)
            return wispi_place_fail(place, err, WISP_E_CONFIG, NULL,
                                    "more than %d brackets inside each other",
                                    WISPI_TOML_MOST_BRACKETS);
        if (scan.parts > WISPI_TOML_MOST_PARTS)
            return wispi_place_fail(place, err, WISP_E_CONFIG, NULL, "a key of more than %d parts",
                                    WISPI_TOML_MOST_PARTS);
        advance(&scan);
    }
    return WISP_OK;
}

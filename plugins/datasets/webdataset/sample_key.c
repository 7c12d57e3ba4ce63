/* sample_key.c - the conventions of the format, as its reference reader has them. */
#include "sample_key.h"

#include <string.h>

static int is_note(const char *name)
{
    const size_t first = strcspn(name, "/");
    return first >= 4 && !strncmp(name, "__", 2) && !strncmp(name + first - 2, "__", 2);
}

/* A last part that begins with its dot takes the folder before it as its key, unless that has a dot
 * as well. */
static int has_key(const char *name, size_t last)
{
    if (name[last] != '.')
        return 1;
    if (last == 0)
        return 0;
    size_t before = last - 1;
    while (before > 0 && name[before - 1] != '/')
        before--;
    return !memchr(name + before, '.', last - before);
}

int sample_key_split(const char *name, size_t *key, size_t *extension)
{
    const char *slash = strrchr(name, '/');
    const size_t last = slash ? (size_t)(slash - name) + 1 : 0;
    const size_t dot = last + strcspn(name + last, ".");
    if (name[dot] == 0 || is_note(name) || !has_key(name, last))
        return 0;
    *key = dot;
    *extension = dot + 1;
    return 1;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int sample_label(const char *text, size_t bytes, int64_t *value)
{
    size_t i = 0;
    int64_t n = 0;
    while (bytes > 0 && is_blank(text[bytes - 1]))
        bytes--;
    while (i < bytes && is_blank(text[i]))
        i++;
    const int negative = i < bytes && text[i] == '-';
    i += i < bytes && (text[i] == '-' || text[i] == '+');
    if (i == bytes || bytes - i > 18)
        return 0;
    for (; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        n = n * 10 + (text[i] - '0');
    }
    *value = negative ? -n : n;
    return 1;
}

/* --- JSON: enough of it to find one number --- */

typedef struct json_text {
    const char *at, *end;
} json_text;

static void skip_blanks(json_text *t)
{
    while (t->at < t->end && is_blank(*t->at))
        t->at++;
}

static int take(json_text *t, char c)
{
    skip_blanks(t);
    if (t->at == t->end || *t->at != c)
        return 0;
    t->at++;
    return 1;
}

/* A string; `*begin` and `*length` are what stands between its marks, escapes as they are. */
static int take_string(json_text *t, const char **begin, size_t *length)
{
    if (!take(t, '"'))
        return 0;
    *begin = t->at;
    while (t->at < t->end && *t->at != '"')
        t->at += *t->at == '\\' && t->end - t->at > 1 ? 2 : 1;
    if (t->at >= t->end)
        return 0;
    *length = (size_t)(t->at - *begin);
    t->at++;
    return 1;
}

/* Passes over a value of any kind, up to what ends it. */
static int skip_value(json_text *t)
{
    const char *begin = NULL;
    size_t length = 0, depth = 0;
    for (skip_blanks(t); t->at < t->end; skip_blanks(t)) {
        const char c = *t->at;
        if (c == '"') {
            if (!take_string(t, &begin, &length))
                return 0;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}'))
            return 1;
        if ((c == '}' || c == ']') && depth-- == 0)
            return 0;
        depth += c == '{' || c == '[';
        t->at++;
    }
    return 0;
}

int json_integer(const char *text, size_t bytes, const char *key, int64_t *value)
{
    json_text t = {text, text + bytes};
    const char *name = NULL;
    size_t length = 0;
    if (!take(&t, '{'))
        return 0;
    do {
        if (!take_string(&t, &name, &length) || !take(&t, ':'))
            return 0;
        skip_blanks(&t);
        const char *begin = t.at;
        if (!skip_value(&t))
            return 0;
        if (length == strlen(key) && !memcmp(name, key, length))
            return sample_label(begin, (size_t)(t.at - begin), value);
    } while (take(&t, ','));
    return 0;
}

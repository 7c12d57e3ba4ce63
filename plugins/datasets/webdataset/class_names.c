/* class_names.c - reads the names line by line. */
#include "class_names.h"

#include <errno.h>

enum { NAME_BYTES = 1024, MAX_NAMES = 1 << 24 };

static wisp_status add_name(class_names *c, char *line, const char *path, wisp_error *err)
{
    const size_t length = strcspn(line, "\r\n");
    if (line[length] == 0 && length == NAME_BYTES - 1)
        return wisp_fail(err, WISP_E_DATA, "%.500s:%d: the line is too long", path, c->n + 1);
    line[length] = 0;
    size_t *start = c->n < MAX_NAMES ? growing_add(&c->lines, sizeof *start) : NULL;
    char *name = start ? growing_add(&c->text, length + 1) : NULL;
    if (!name)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names of %d classes", c->n);
    memcpy(name, line, length + 1);
    *start = (size_t)(name - c->text.data);
    c->n++;
    return WISP_OK;
}

static wisp_status read_names(class_names *c, FILE *file, const char *path, wisp_error *err)
{
    char line[NAME_BYTES];
    while (fgets(line, sizeof line, file))
        WISP_TRY(add_name(c, line, path, err));
    if (ferror(file) || c->n == 0)
        return wisp_fail(err, ferror(file) ? WISP_E_IO : WISP_E_DATA,
                         "class_names = \"%.500s\" cannot be read, or is empty", path);
    return WISP_OK;
}

wisp_status class_names_fill(class_names *c, const wisp_host *host, const char *path,
                             wisp_error *err)
{
    char text[128];
    c->text.host = c->lines.host = host;
    FILE *file = fopen(path, "re");
    if (!file)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                         "cannot open class_names = \"%.500s\": %s", path,
                         strerror_r(errno, text, sizeof text));
    const wisp_status status = read_names(c, file, path, err);
    fclose(file);
    return status;
}

void class_names_free(class_names *c)
{
    growing_free(&c->text);
    growing_free(&c->lines);
}

/* json_value.c - reads JSON from standard input and prints the value at a path such as
 * plugins.0.name; fails when the text is no JSON or has no such value. `#` gives a length. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const json_t *step(const json_t *at, const char *key)
{
    if (json_is_array(at))
        return json_array_get(at, strtoul(key, NULL, 10));
    return json_object_get(at, key);
}

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *root = json_loadf(stdin, JSON_REJECT_DUPLICATES, &error);
    if (!root || argc != 2) {
        fprintf(stderr, "json_value: %s (line %d)\n", root ? "one path is needed" : error.text,
                root ? 0 : error.line);
        json_decref(root);
        return 1;
    }
    const json_t *at = root;
    for (char *key = strtok(argv[1], "."); key && at; key = strtok(NULL, ".")) {
        if (strcmp(key, "#") == 0) {
            printf("%zu\n", json_is_array(at) ? json_array_size(at) : json_object_size(at));
            json_decref(root);
            return 0;
        }
        at = step(at, key);
    }
    char *text = at ? json_dumps(at, JSON_ENCODE_ANY) : NULL;
    if (text)
        puts(json_is_string(at) ? json_string_value(at) : text);
    free(text);
    json_decref(root);
    return text ? 0 : 1;
}

/* json_text.c - finished JSON values as text. */
#include "train/json_text.h"

#include <stdlib.h>

#include "base/memory.h"

json_t *wispi_json_string(const char *text)
{
    json_t *string = text ? json_string(text) : json_null();
    if (string)
        return string;
    char *plain = wispi_copy_text(text);
    for (char *at = plain; at && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    string = plain ? json_string(plain) : NULL;
    wispi_free(plain);
    return string;
}

wisp_status wispi_json_append(const json_t *root, wispi_text *out, wisp_error *err)
{
    char *dumped = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (dumped)
        wispi_text_printf(out, "%s\n", dumped);
    const int failed = !dumped || out->failed;
    free(dumped); /* jansson's own allocation */
    return failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for the JSON text") : WISP_OK;
}

json_t *wispi_json_push(json_t *array, json_t *value)
{
    if (!array)
        json_decref(value);
    else if (json_array_append_new(array, value) == 0)
        return array;
    json_decref(array);
    return NULL;
}

json_t *wispi_json_with(json_t *object, const char *key, json_t *value)
{
    if (!object)
        json_decref(value);
    else if (json_object_set_new(object, key, value) == 0)
        return object;
    json_decref(object);
    return NULL;
}

wisp_status wispi_json_give(json_t *root, char **text, wisp_error *err)
{
    wispi_text made = {0};
    const wisp_status status = wispi_json_append(root, &made, err);
    json_decref(root);
    if (status == WISP_OK)
        *text = made.data;
    else
        wispi_text_free(&made);
    return status;
}

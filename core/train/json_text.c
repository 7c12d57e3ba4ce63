/* json_text.c - finished JSON values as text. */
#include "train/json_text.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"

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

wisp_status wispi_json_give(json_t *root, char **text, wisp_error *err)
{
    wispi_text made = {0};
    char *dumped = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (dumped) {
        wispi_text_append(&made, dumped);
        wispi_text_append(&made, "\n");
    }
    free(dumped); /* jansson's own allocation */
    if (!dumped || made.failed) {
        wispi_text_free(&made);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the JSON text");
    }
    *text = made.data;
    return WISP_OK;
}

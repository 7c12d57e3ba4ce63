#include "train/exchange.h"

#include <string.h>

#include "base/text.h"
#include "loader/containment.h"

static const wisp_backbone_v0 *table_of(const wispi_instance *backbone)
{
    return backbone->plugin->descriptor->vtable;
}

/* Libraries that the plugin knows; NULL: it knows none. */
static const char *const *libraries_of(const wispi_instance *backbone)
{
    const wisp_backbone_v0 *v = table_of(backbone);
    if (!WISP_HAS(v, wisp_backbone_v0, exchange_name) || !v->libraries || !v->exchange ||
        !v->exchange_name)
        return NULL;
    return v->libraries;
}

static wisp_status unknown_library(const wispi_instance *backbone, const char *library,
                                   wisp_error *err)
{
    char known[300] = WISPI_OWN_NAMES;
    const char *const *names = libraries_of(backbone);
    for (; names && *names; names++) {
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, ", %s", *names);
    }
    return wisp_fail(err, WISP_E_CONFIG,
                     "backbone %s does not know the names of \"%.80s\"; it knows those of: %s",
                     backbone->plugin->descriptor->name, library, known);
}

wisp_status wispi_exchange_open(const wispi_instance *backbone, const char *library,
                                wispi_exchange *exchange, wisp_error *err)
{
    const char *const *names = libraries_of(backbone);
    wispi_exchange made;
    memset(&made, 0, sizeof made);
    made.backbone = backbone;
    made.library = library;
    made.own = strcmp(library, WISPI_OWN_NAMES) == 0;
    made.facts.struct_size = sizeof made.facts;
    if (!made.own) {
        while (names && *names && strcmp(*names, library) != 0)
            names++;
        if (!names || !*names)
            return unknown_library(backbone, library, err);
        wisp_status status;
        WISPI_CALL(status, backbone->plugin, "exchange", err,
                   table_of(backbone)->exchange(backbone->self, library, &made.facts, err));
        WISP_TRY(status);
        made.facts.model[sizeof made.facts.model - 1] = '\0';
        made.facts.headless[sizeof made.facts.headless - 1] = '\0';
        made.facts.classifier[sizeof made.facts.classifier - 1] = '\0';
    }
    *exchange = made;
    return WISP_OK;
}

void wispi_exchange_name(const wispi_exchange *exchange, const char *name,
                         char out[WISPI_EXCHANGE_NAME])
{
    const wispi_instance *backbone = exchange->backbone;
    out[0] = '\0';
    if (exchange->own)
        snprintf(out, WISPI_EXCHANGE_NAME, "%s", name);
    else
        WISPI_VISIT(backbone->plugin, "exchange_name",
                    table_of(backbone)->exchange_name(backbone->self, exchange->library, name, out,
                                                      WISPI_EXCHANGE_NAME));
    out[WISPI_EXCHANGE_NAME - 1] = '\0';
}

int wispi_exchange_is_classifier(const wispi_exchange *exchange, const char *name)
{
    const size_t n = strlen(exchange->facts.classifier);
    return n > 0 && strncmp(name, exchange->facts.classifier, n) == 0 && name[n] == '.';
}

void wispi_exchange_model(const wispi_exchange *exchange, int64_t classes, char *out, size_t bytes)
{
    static const char place[] = "{classes}";
    const char *model = exchange->facts.model, *at = strstr(model, place);
    if (!at)
        snprintf(out, bytes, "%s", model);
    else
        snprintf(out, bytes, "%.*s%lld%s", (int)(at - model), model, (long long)classes,
                 at + sizeof place - 1);
}

#include "train/device_choice.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "loader/containment.h"

enum { NAME = 64, REASON = sizeof((wisp_error *)0)->message };

/* What is looked for and among what. */
typedef struct search {
    wispi_registry *registry;
    wispi_arena *arena;
    const char *asked, *device;
    const wispi_ranks *ranks;
    char best[NAME];
    int32_t best_score;
    wispi_text notes; /* of what cannot be taken */
} search;

/* "cuda:1" -> "cuda", 1; index -1: none is given. */
static wisp_status split(const search *s, char name[NAME], int32_t *index, wisp_error *err)
{
    const char *text = s->device;
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    char *end = NULL;
    long number = colon ? strtol(colon + 1, &end, 10) : -1;
    if (n == 0 || n >= NAME || (colon && (number < 0 || number > 1023 || end == colon + 1 || *end)))
        return wisp_fail(err, WISP_E_CONFIG, "%s \"%s\": write auto, cpu, cuda or cuda:1", s->asked,
                         text);
    snprintf(name, NAME, "%.*s", (int)n, text);
    *index = (int32_t)number;
    return WISP_OK;
}

/* How many devices; with the backend's own words where there is none. */
static int32_t count_devices(const wispi_instance *backend, char reason[REASON])
{
    wisp_error cause = {0};
    int32_t n = 0;
    WISPI_VISIT(backend->plugin, "n_devices",
                n = wispi_backend_of(backend)->n_devices(backend->self, &cause));
    snprintf(reason, REASON, "%s",
             n > 0              ? ""
             : cause.message[0] ? cause.message
                                : "it finds no device and gives no reason");
    return n;
}

/* --- a backend by name --- */

static wisp_status load(const search *s, const char *name, wispi_instance *backend, wisp_error *err)
{
    wisp_error cause = {0};
    const wisp_status status =
        wispi_instance_named(s->registry, "backend", name, s->arena, backend, &cause);
    if (status == WISP_OK)
        return WISP_OK;
    if (status == WISP_E_NOT_FOUND && strcmp(name, "cuda") == 0)
        return wisp_fail(err, status,
                         "%s \"%s\": this wisp was built without the backend cuda, which needs "
                         "nvcc, cuDNN 9 and cuBLASLt when it is built: install them and build "
                         "again, or take cpu",
                         s->asked, s->device);
    return wisp_fail(err, status, "%s \"%s\": %s", s->asked, s->device, cause.message);
}

/* Where there is only one, the launcher may have given each rank its own, or they share it. */
static wisp_status place_rank(const search *s, int32_t n, int32_t *index, wisp_error *err)
{
    const wispi_ranks *ranks = s->ranks;
    *index = 0;
    if (!ranks || ranks->on_machine < 2 || n < 2)
        return WISP_OK;
    if (ranks->local >= n)
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s \"%s\": rank %d is number %d on its machine, which has %d devices: "
                         "start at most %d ranks there, or give an index",
                         s->asked, s->device, (int)ranks->rank, (int)ranks->local, (int)n, (int)n);
    *index = ranks->local;
    return WISP_OK;
}

static wisp_status find_index(const search *s, const wispi_instance *backend, int32_t *index,
                              wisp_error *err)
{
    char reason[REASON];
    const int32_t n = count_devices(backend, reason);
    if (n < 1)
        return wisp_fail(err, WISP_E_CONFIG, "%s \"%s\": %.1300s", s->asked, s->device, reason);
    if (*index >= n)
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s \"%s\": there is no device of this number; there are %d, counted "
                         "from 0",
                         s->asked, s->device, (int)n);
    return *index < 0 ? place_rank(s, n, index, err) : WISP_OK;
}

static wisp_status by_name(const search *s, wispi_instance *backend, int32_t *index,
                           wisp_error *err)
{
    char name[NAME];
    int32_t wanted = -1;
    wispi_instance made = {0};
    WISP_TRY(split(s, name, &wanted, err));
    WISP_TRY(load(s, name, &made, err));
    const wisp_status status = find_index(s, &made, &wanted, err);
    if (status != WISP_OK) {
        wispi_instance_destroy(&made);
        return status;
    }
    *backend = made;
    *index = wanted;
    return WISP_OK;
}

/* --- the best backend --- */

static void judge(void *user, const char *name)
{
    search *s = user;
    wispi_instance backend = {0};
    wisp_error cause = {0};
    char reason[REASON] = "";
    int32_t score = 0;
    if (wispi_instance_named(s->registry, "backend", name, s->arena, &backend, &cause) != WISP_OK) {
        wispi_text_printf(&s->notes, "%s%s: %s", s->notes.length ? "; " : "", name, cause.message);
        return;
    }
    if (count_devices(&backend, reason) < 1)
        wispi_text_printf(&s->notes, "%s%s: %s", s->notes.length ? "; " : "", name, reason);
    else
        WISPI_VISIT(backend.plugin, "score",
                    score = wispi_backend_of(&backend)->score(backend.self));
    if (score > s->best_score) {
        s->best_score = score;
        snprintf(s->best, sizeof s->best, "%s", name);
    }
    wispi_instance_destroy(&backend);
}

static wisp_status find_best(search *s, wisp_error *err)
{
    WISP_TRY(wispi_registry_names(s->registry, "backend", judge, s, err));
    if (!s->best[0])
        return wisp_fail(err, WISP_E_CONFIG, "%s \"auto\": no backend works here: %s", s->asked,
                         s->notes.data ? s->notes.data : "there is none");
    if (s->notes.data)
        wispi_log(WISP_LOG_INFO, "running on %s (%s)", s->best, s->notes.data);
    s->device = s->best;
    return WISP_OK;
}

wisp_status wispi_device_choose(wispi_registry *registry, wispi_arena *arena, const char *asked,
                                const char *device, const wispi_ranks *ranks,
                                wispi_instance *backend, int32_t *index, wisp_error *err)
{
    search s = {
        .registry = registry, .arena = arena, .asked = asked, .device = device, .ranks = ranks};
    if (strcmp(device, "auto") == 0) {
        const wisp_status status = find_best(&s, err);
        wispi_text_free(&s.notes);
        WISP_TRY(status);
    }
    return by_name(&s, backend, index, err);
}

#include "train/schedule_table.h"

#include <string.h>

#include "config/options_fill.h"
#include "config/resolved.h"
#include "train/settings.h"

static void take_given(const wispi_node *table, const wispi_schedule_settings *from,
                       wisp_schedule *to)
{
#define TAKE(field)                                                                                \
    if (wispi_node_find(table, #field))                                                            \
        to->field = from->field;
    TAKE(kind)
    TAKE(per)
    TAKE(value)
    TAKE(end)
    TAKE(warmup_start)
    TAKE(warmup_epochs)
    TAKE(gamma)
#undef TAKE
    if (wispi_node_find(table, "milestones")) {
        to->n_milestones = (int32_t)from->milestones.count;
        for (int32_t i = 0; i < to->n_milestones; i++)
            to->milestones[i] = ((const double *)from->milestones.items)[i];
    }
}

static wisp_status apply_one(const wispi_node *table, wispi_arena *arena, wispi_model *model,
                             wisp_error *err)
{
    char path[128];
    snprintf(path, sizeof path, "schedule.%s", table->key);
    wispi_schedule_settings settings;
    memset(&settings, 0, sizeof settings);
    WISP_TRY(wispi_options_fill(table, path, wispi_schedule_options_table, wispi_n_schedule_options,
                                sizeof(wisp_option), &settings, arena, NULL, err));
    const wisp_schedule *current = wispi_model_schedule(model, table->key);
    wisp_schedule schedule;
    memset(&schedule, 0, sizeof schedule);
    if (current)
        schedule = *current;
    take_given(table, &settings, &schedule);
    wisp_error inner = {0};
    if (wispi_model_override_schedule(model, table->key, &schedule, &inner) != WISP_OK)
        return wispi_node_fail_key(table, err, NULL, "%s", inner.message);
    return WISP_OK;
}

wisp_status wispi_schedules_apply(const wispi_config *config, wispi_model *model, wisp_error *err)
{
    const wispi_node *schedules = wispi_node_find(wispi_config_root(config), "schedule");
    if (!schedules)
        return WISP_OK;
    for (const wispi_node *table = schedules->first; table; table = table->next) {
        if (schedules->type != WISPI_NODE_TABLE || table->type != WISPI_NODE_TABLE)
            return wispi_node_fail(table, err, "write [schedule.lr] and the like",
                                   "schedule must hold one table for each scalar");
        WISP_TRY(apply_one(table, wispi_config_arena(config), model, err));
    }
    return WISP_OK;
}

void wispi_schedules_resolved(const wispi_model *model, wispi_text *out)
{
    for (int32_t i = 0; i < wispi_model_scalar_count(model); i++) {
        const char *name = wispi_model_scalar_name(model, i);
        const wisp_schedule *s = wispi_model_schedule(model, name);
        wispi_schedule_settings settings = {
            s->kind,         s->per,           s->value, s->end,
            s->warmup_start, s->warmup_epochs, s->gamma, {s->n_milestones, s->milestones}};
        char path[128];
        snprintf(path, sizeof path, "schedule.%s", name);
        wispi_resolved_table(out, path, NULL, wispi_schedule_options_table,
                             wispi_n_schedule_options, sizeof(wisp_option), &settings);
    }
}

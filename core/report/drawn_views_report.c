/* drawn_views_report.c - the numbers of drawn_views.c for people and for programs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/published_recipes.h"
#include "report/drawn_views.h"
#include "train/json_text.h"

enum { FIRST_COLUMN = 30, COLUMN = 14 };

/* --- text --- */

static void add_cell(wispi_text *out, const char *words)
{
    wispi_text_printf(out, " %*s", COLUMN, words);
}

static void add_arms(wispi_text *out, const wispi_views *v)
{
    char plans[WISPI_VIEW_CELL], pictures[WISPI_VIEW_CELL];
    for (int32_t a = 0; a < v->n_arms; a++) {
        const wispi_view_arm *arm = &v->arms[a];
        wispi_text_printf(out, "%c  %s: %s,", 'A' + a, arm->name, arm->sampler);
        for (int32_t g = 0; g < arm->shape.n_groups; g++) {
            const wisp_view_group *group = &arm->shape.groups[g];
            wispi_text_printf(out, "%s %d %s x %d x %d px", g ? " +" : "", group->count,
                              group->name, group->width, group->height);
        }
        wispi_text_append(out, "\n");
        if (arm->says[0])
            wispi_text_printf(out, "   %s\n", arm->says);
    }
    wispi_view_count_text(v->arms[0].numbers.n_plans, plans);
    wispi_view_count_text(v->n_pictures, pictures);
    wispi_text_printf(out, "   %s plans each, for %s images, seed %llu\n", plans, pictures,
                      (unsigned long long)v->arms[0].options.seed);
    if (v->n_unreadable > 0)
        wispi_text_printf(out, "   %lld images cannot be read and were passed over\n",
                          (long long)v->n_unreadable);
}

static void add_heads(wispi_text *out, const wispi_views *v)
{
    char letter[2] = "A";
    wispi_text_printf(out, "\n%-*s", FIRST_COLUMN, "mean");
    for (int32_t a = 0; a < v->n_arms; a++, letter[0]++)
        add_cell(out, letter);
    for (int32_t r = 0; r < WISPI_N_RECIPES; r++)
        add_cell(out, wispi_published_recipes[r].name);
    wispi_text_append(out, "\n");
}

static void add_row(wispi_text *out, const wispi_views *v, int32_t which)
{
    char cell[WISPI_VIEW_CELL];
    wispi_text_printf(out, "%-*s", FIRST_COLUMN, wispi_view_means[which].words);
    for (int32_t a = 0; a < v->n_arms; a++) {
        wispi_view_mean_text(which, wispi_view_numbers_mean(&v->arms[a].numbers, which), cell);
        add_cell(out, cell);
    }
    for (int32_t r = 0; r < WISPI_N_RECIPES; r++) {
        wispi_view_mean_text(which, wispi_published_recipes[r].means[which], cell);
        add_cell(out, cell);
    }
    wispi_text_append(out, "\n");
}

void wispi_views_text(const wispi_views *v, wispi_text *out)
{
    add_arms(out, v);
    add_heads(out, v);
    for (int32_t i = 0; i < WISPI_N_MEANS; i++)
        add_row(out, v, i);
    wispi_text_printf(out, "\n%s\n%s\n", WISPI_VIEW_DEFINITIONS, WISPI_PUBLISHED_NOTE);
}

/* --- JSON --- */

static json_t *arm_json(const wispi_views *v, int32_t a)
{
    const wispi_view_arm *arm = &v->arms[a];
    json_t *facts =
        json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "name", wispi_json_string(arm->name), "sampler",
                  wispi_json_string(arm->sampler), "says", wispi_json_string(arm->says), "seed",
                  (json_int_t)arm->options.seed, "images", (json_int_t)v->n_pictures, "unreadable",
                  (json_int_t)v->n_unreadable);
    json_t *numbers = wispi_view_numbers_json(&arm->numbers);
    const int failed = !facts || !numbers || json_object_update(facts, numbers) != 0;
    json_decref(numbers);
    if (!failed)
        return facts;
    json_decref(facts);
    return NULL;
}

static json_t *recipe_json(const wispi_published_recipe *recipe)
{
    json_t *means = json_object();
    for (int32_t i = 0; i < WISPI_N_MEANS; i++)
        json_object_set_new(means, wispi_view_means[i].key, json_real(recipe->means[i]));
    return json_pack("{s:s, s:o}", "name", recipe->name, "means", means);
}

json_t *wispi_views_json(const wispi_views *v)
{
    json_t *samplers = json_array(), *published = json_array();
    int failed = 0;
    for (int32_t a = 0; a < v->n_arms; a++)
        failed |= json_array_append_new(samplers, arm_json(v, a)) != 0;
    for (int32_t r = 0; r < WISPI_N_RECIPES; r++)
        failed |= json_array_append_new(published, recipe_json(&wispi_published_recipes[r])) != 0;
    json_t *all =
        json_pack("{s:o, s:o, s:s, s:s}", "samplers", samplers, "published", published,
                  "published_note", WISPI_PUBLISHED_NOTE, "definitions", WISPI_VIEW_DEFINITIONS);
    if (!failed)
        return all;
    json_decref(all);
    return NULL;
}

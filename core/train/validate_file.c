/* validate_file.c - the file and its tables: judged step by step, so that each failure has its own
 * name. None of these tests goes through the registry but the last. */
#include <string.h>
#include <time.h>

#include "config/option_table.h"
#include "config/options_fill.h"
#include "loader/gate.h"
#include "loader/gate_options.h"
#include "loader/search.h"
#include "train/validate_elf.h"
#include "train/validate_list.h"

void wispi_validate_shared_object(wispi_trial *t)
{
    wispi_elf_exports found;
    wisp_error err = {0};
    if (wispi_elf_exports_read(t->path, WISP_ENTRY_SYMBOL, &found, &err) != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
    wispi_text_free(&found.others);
}

void wispi_validate_one_exported_symbol(wispi_trial *t)
{
    wispi_elf_exports found;
    wisp_error err = {0};
    if (wispi_elf_exports_read(t->path, WISP_ENTRY_SYMBOL, &found, &err) != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
    else if (!found.has_wanted)
        wispi_trial_fail(t, "it does not export " WISP_ENTRY_SYMBOL);
    else if (found.others.length)
        wispi_trial_fail(t, "besides " WISP_ENTRY_SYMBOL " it exports %.900s", found.others.data);
    wispi_text_free(&found.others);
}

void wispi_validate_loads(wispi_trial *t)
{
    void *library = NULL;
    wisp_error err = {0};
    if (wispi_gate_library(t->path, &library, &err) != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
}

/* NULL, and the trial has failed, where there is none. */
static wisp_plugin_entry_fn find_entry(wispi_trial *t)
{
    void *library = NULL;
    wisp_plugin_entry_fn entry = NULL;
    wisp_error err = {0};
    wisp_status status = wispi_gate_library(t->path, &library, &err);
    if (status == WISP_OK)
        status = wispi_gate_entry(t->path, library, &entry, &err);
    if (status != WISP_OK) {
        wispi_trial_fail(t, "%s", err.message);
        return NULL;
    }
    return entry;
}

/* The same. */
static const wisp_bundle *call_entry(wispi_trial *t)
{
    const wisp_plugin_entry_fn entry = find_entry(t);
    if (!entry)
        return NULL;
    const wisp_bundle *bundle = entry();
    if (!bundle)
        wispi_trial_fail(t, "the entry returns nothing");
    else if (entry() != bundle)
        wispi_trial_fail(t, "the entry returns another bundle the second time");
    return bundle;
}

void wispi_validate_entry_returns(wispi_trial *t)
{
    call_entry(t);
}

void wispi_validate_prefix_sane(wispi_trial *t)
{
    const wisp_bundle *bundle = call_entry(t);
    wisp_error err = {0};
    if (bundle && wispi_gate_version(t->path, bundle, &err) != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
}

void wispi_validate_mandatory_fields(wispi_trial *t)
{
    const wisp_bundle *bundle = call_entry(t);
    wisp_error err = {0};
    if (bundle && (bundle->n_descriptors == 0 || !bundle->descriptors))
        wispi_trial_fail(t, "the bundle holds no descriptor");
    for (uint64_t i = 0; bundle && !wispi_trial_is_decided(t) && i < bundle->n_descriptors; i++)
        if (wispi_gate_fields(t->path, bundle->descriptors[i], &err) != WISP_OK)
            wispi_trial_fail(t, "%s", err.message);
}

void wispi_validate_file_name(wispi_trial *t)
{
    const wisp_bundle *bundle = call_entry(t);
    const char *slash = strrchr(t->path, '/');
    char kind[32], name[128];
    if (!bundle)
        return;
    const wisp_descriptor *first = bundle->descriptors[0];
    if (!wispi_plugin_file_name(slash ? slash + 1 : t->path, kind, name)) {
        wispi_trial_fail(t, "the file is not called wisp-%s-%s.so", wispi_kind_short(first->kind),
                         first->name);
        return;
    }
    for (uint64_t i = 0; i < bundle->n_descriptors; i++)
        if (strcmp(wispi_kind_short(bundle->descriptors[i]->kind), kind) == 0 &&
            strcmp(bundle->descriptors[i]->name, name) == 0)
            return;
    wispi_trial_fail(t, "the file's name promises %s/%s, and it holds %s/%s", kind, name,
                     wispi_kind_short(first->kind), first->name);
}

static double processor_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* The first call, which may do what later ones need not; processor time, so that a busy machine
 * does not matter. The libraries that the file is linked with were opened before: they are not the
 * plugin's doing. */
void wispi_validate_describe_under_50ms(wispi_trial *t)
{
    const wisp_plugin_entry_fn entry = find_entry(t);
    if (!entry)
        return;
    const double start = processor_ms();
    const wisp_bundle *bundle = entry();
    size_t length = 0;
    for (uint64_t i = 0; bundle && i < bundle->n_descriptors; i++)
        length += strlen(bundle->descriptors[i]->doc);
    const double ms = processor_ms() - start;
    if (ms >= 50)
        wispi_trial_fail(t, "to describe itself (%zu bytes of doc) takes %.0f ms of the processor",
                         length, ms);
}

typedef wisp_status (*judge_options)(const char *path, const wisp_descriptor *d, wisp_error *err);

static void judge_each(wispi_trial *t, judge_options judge)
{
    const wisp_bundle *bundle = call_entry(t);
    wisp_error err = {0};
    for (uint64_t i = 0; bundle && !wispi_trial_is_decided(t) && i < bundle->n_descriptors; i++)
        if (judge(t->path, bundle->descriptors[i], &err) != WISP_OK)
            wispi_trial_fail(t, "%s", err.message);
}

static wisp_status judge_table(const char *path, const wisp_descriptor *d, wisp_error *err)
{
    const wispi_option_table table = {d->options, d->n_options, d->option_size};
    (void)path;
    if (d->n_options && !d->options)
        return wisp_fail(err, WISP_E_ABI, "%s: n_options is not 0, and options is NULL", d->name);
    return d->n_options ? wispi_option_table_check(table, d->name, err) : WISP_OK;
}

void wispi_validate_options_documented(wispi_trial *t)
{
    judge_each(t, judge_table);
}

static wisp_status judge_defaults(const char *path, const wisp_descriptor *d, wisp_error *err)
{
    (void)path;
    return wispi_options_check(d->name, d->options, d->n_options, d->option_size, err);
}

void wispi_validate_defaults_in_range(wispi_trial *t)
{
    judge_each(t, judge_defaults);
}

void wispi_validate_options_fit_config(wispi_trial *t)
{
    judge_each(t, wispi_gate_options);
}

void wispi_validate_init_succeeds(wispi_trial *t)
{
    wispi_trial_load(t);
}

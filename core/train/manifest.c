#include "train/manifest.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "train/json_text.h"
#include "train/node_json.h"

static void add_plugin(json_t *list, const wispi_instance *instance)
{
    const wispi_plugin *p = instance->plugin;
    if (!p)
        return;
    char hash[32], abi[32];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)p->file_hash);
    snprintf(abi, sizeof abi, "%u.%u", p->abi_major, p->abi_minor);
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "kind", p->kind, "name",
                                          p->descriptor->name, "version", p->descriptor->version,
                                          "abi", abi, "path", p->path, "hash", hash));
}

/* Plugin instances in their order in the manifest; NULL behind the last one. */
static const wispi_instance *instance_at(const wispi_session *s, int32_t i)
{
    const wispi_experiment *x = s->experiment;
    const wispi_instance *const single[] = {&s->backend, &x->data,     &x->test,
                                            &x->sampler, &x->backbone, &x->method};
    const int32_t n = (int32_t)WISP_COUNT(single);
    if (i < n)
        return single[i];
    if (i < n + x->n_probes)
        return &x->probes[i - n];
    return i < n + x->n_probes + x->n_tasks ? &x->tasks[i - n - x->n_probes] : NULL;
}

static json_t *plugins_json(const wispi_session *s)
{
    json_t *list = json_array();
    for (int32_t i = 0; instance_at(s, i); i++)
        add_plugin(list, instance_at(s, i));
    return list;
}

void wispi_manifest_means(wispi_text *out, const wispi_session *s, uint64_t fingerprint)
{
    wispi_text_printf(out, "\n[program]\nwisp = %s, %s\n[plugins]\n", WISP_VERSION, __VERSION__);
    for (int32_t i = 0; instance_at(s, i); i++) {
        const wispi_plugin *p = instance_at(s, i)->plugin;
        if (p)
            wispi_text_printf(out, "%s = %s, hash %016llx\n", p->title, p->descriptor->version,
                              (unsigned long long)p->file_hash);
    }
    wispi_text_printf(out, "[data]\nfingerprint = %016llx\n", (unsigned long long)fingerprint);
}

/* First line of a small file without its newline; NULL when there is none. */
static char *first_line(const char *path)
{
    uint8_t *data = NULL;
    size_t n = 0;
    if (wispi_file_read(path, 1 << 16, &data, &n, NULL) != WISP_OK)
        return NULL;
    char *text = (char *)data;
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* Commit of the repository that holds the working folder, read from its files; NULL: none. */
static char *git_commit(void)
{
    char folder[1024], path[2100];
    if (!getcwd(folder, sizeof folder))
        return NULL;
    for (char *slash; (slash = strrchr(folder, '/')); *slash = '\0') {
        snprintf(path, sizeof path, "%s/.git/HEAD", folder);
        char *head = first_line(path);
        if (!head)
            continue;
        if (strncmp(head, "ref: ", 5) != 0)
            return head;
        snprintf(path, sizeof path, "%s/.git/%.900s", folder, head + 5);
        wispi_free(head);
        return first_line(path);
    }
    return NULL;
}

json_t *wispi_manifest_now(const wispi_session *s)
{
    char now[64] = "";
    struct utsname host;
    time_t seconds = time(NULL);
    struct tm utc;
    memset(&host, 0, sizeof host);
    uname(&host);
    if (gmtime_r(&seconds, &utc))
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "wisp", WISP_VERSION, "compiler",
                     __VERSION__, "system", host.release, "started", now, "device", s->device_name,
                     "threads", (int)s->n_threads, "ranks",
                     (int)wispi_ranks_size(s->experiment->ranks), "plugins", plugins_json(s));
}

/* What the experiment's file extends, as it was then: files change. */
static json_t *base_json(const wispi_config *config)
{
    return json_pack("{s:o, s:o}", "file", wispi_json_string(wispi_config_base_path(config)),
                     "values", wispi_node_json(wispi_config_base(config)));
}

static json_t *manifest_json(const wispi_session *s, uint64_t fingerprint)
{
    const wispi_experiment *x = s->experiment;
    char hash[32];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)fingerprint);
    char *commit = git_commit();
    json_t *manifest = wispi_manifest_now(s);
    json_t *rest =
        json_pack("{s:{s:s, s:I, s:i}, s:I, s:I, s:s*}", "data", "fingerprint", hash, "samples",
                  (json_int_t)wispi_dataset_of(&x->data)->count(x->data.self), "classes",
                  (int)wispi_dataset_of(&x->data)->n_classes(x->data.self), "steps_per_epoch",
                  (json_int_t)s->steps_per_epoch, "backbone_parameters",
                  (json_int_t)wispi_module_parameter_count(s->evaluated, 0), "git_commit", commit);
    wispi_free(commit);
    int failed = json_object_update(manifest, rest);
    json_decref(rest);
    if (!failed && wispi_config_base(x->config))
        failed = json_object_set_new(manifest, "base", base_json(x->config));
    if (!failed && s->n_starts > 0)
        failed =
            json_object_set_new(manifest, "init", wispi_start_records_json(s->starts, s->n_starts));
    if (!failed)
        return manifest;
    json_decref(manifest);
    return NULL;
}

static wisp_status write_manifest(const wispi_run_folder *folder, const json_t *manifest,
                                  wisp_error *err)
{
    char *text = manifest ? json_dumps(manifest, JSON_INDENT(2)) : NULL;
    if (!text)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the manifest");
    wisp_status status = wispi_run_folder_write(folder, "manifest.json", text, err);
    free(text);
    return status;
}

wisp_status wispi_manifest_write(const wispi_run_folder *folder, const wispi_session *s,
                                 uint64_t fingerprint, wisp_error *err)
{
    json_t *manifest = manifest_json(s, fingerprint);
    wisp_status status = write_manifest(folder, manifest, err);
    json_decref(manifest);
    return status;
}

/* --- going on --- */

json_t *wispi_manifest_read(const char *path)
{
    enum { LONGEST = 1 << 22 };
    uint8_t *data = NULL;
    size_t n = 0;
    json_t *manifest = NULL;
    if (wispi_file_read(path, LONGEST, &data, &n, NULL) == WISP_OK)
        manifest = json_loadb((const char *)data, n, 0, NULL);
    wispi_free(data);
    if (json_is_object(manifest))
        return manifest;
    json_decref(manifest);
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

static const char *between(const wispi_text *out)
{
    return out->length ? "; " : "";
}

static int is_repeated(const json_t *plugins, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(text_of(json_array_get(plugins, j), "hash"),
                   text_of(json_array_get(plugins, i), "hash")) == 0)
            return 1;
    return 0;
}

/* The configuration is the same, so both lists have the same order. */
static void add_builds(wispi_text *out, const json_t *before, const json_t *now)
{
    for (size_t i = 0; i < json_array_size(now); i++) {
        const json_t *former = json_array_get(before, i), *plugin = json_array_get(now, i);
        if (strcmp(text_of(former, "hash"), text_of(plugin, "hash")) != 0 && !is_repeated(now, i))
            wispi_text_printf(out, "%sanother build of %s/%s", between(out),
                              text_of(plugin, "kind"), text_of(plugin, "name"));
    }
}

/* A manifest that says nothing of it was made with one. */
static void add_count(wispi_text *out, const json_t *before, const json_t *now, const char *key)
{
    const json_t *former = json_object_get(before, key);
    const json_int_t was = former ? json_integer_value(former) : 1;
    const json_int_t is = json_integer_value(json_object_get(now, key));
    if (was != is)
        wispi_text_printf(out, "%s%s %lld before, now %lld", between(out), key, (long long)was,
                          (long long)is);
}

/* Appends each means that is another one now than it was before. */
static void add_changes(wispi_text *out, const json_t *before, const json_t *now)
{
    static const char *const keys[] = {"wisp", "compiler", "device"};
    for (size_t i = 0; i < WISP_COUNT(keys); i++)
        if (strcmp(text_of(before, keys[i]), text_of(now, keys[i])) != 0)
            wispi_text_printf(out, "%s%s \"%s\" before, now \"%s\"", between(out), keys[i],
                              text_of(before, keys[i]), text_of(now, keys[i]));
    add_count(out, before, now, "threads");
    add_count(out, before, now, "ranks");
    add_builds(out, json_object_get(before, "plugins"), json_object_get(now, "plugins"));
}

/* `resumed` of the manifest lists what the run went on with after such a change. */
static void find_changes(wispi_text *out, const json_t *manifest, const json_t *now)
{
    size_t i;
    const json_t *part;
    add_changes(out, manifest, now);
    json_array_foreach(json_object_get(manifest, "resumed"), i, part)
    {
        if (out->length == 0)
            add_changes(out, part, now);
    }
}

/* Tells of the changes and puts them on record. */
static wisp_status note_changes(const wispi_run_folder *folder, json_t *manifest, json_t *now,
                                int64_t step, wisp_error *err)
{
    wispi_text changes = {0};
    find_changes(&changes, manifest, now);
    const int any = changes.length > 0;
    if (any)
        wispi_log(WISP_LOG_WARNING,
                  "this run may not end with the bits of one that was never stopped: %s",
                  changes.data);
    wispi_text_free(&changes);
    if (!any)
        return WISP_OK;
    json_t *list = json_object_get(manifest, "resumed");
    if (!json_is_array(list)) {
        list = json_array();
        json_object_set_new(manifest, "resumed", list);
    }
    if (json_object_set_new(now, "step", json_integer((json_int_t)step)) != 0 ||
        json_array_append(list, now) != 0)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the manifest");
    return write_manifest(folder, manifest, err);
}

wisp_status wispi_manifest_resume(const wispi_run_folder *folder, const wispi_session *s,
                                  int64_t step, wisp_error *err)
{
    char path[WISPI_FOLDER_BYTES + 64];
    snprintf(path, sizeof path, "%s/manifest.json", folder->path);
    json_t *manifest = wispi_manifest_read(path);
    if (!manifest) {
        wispi_log(WISP_LOG_WARNING,
                  "%s cannot be read: whether threads, device and plugins are those that the run "
                  "began with is not known",
                  path);
        return WISP_OK;
    }
    json_t *now = wispi_manifest_now(s);
    wisp_status status = now ? note_changes(folder, manifest, now, step, err)
                             : wisp_fail(err, WISP_E_NOMEM, "no memory for the manifest");
    json_decref(now);
    json_decref(manifest);
    return status;
}

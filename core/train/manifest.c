#include "train/manifest.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

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

static json_t *plugins_json(const wispi_session *s)
{
    const wispi_experiment *x = s->experiment;
    json_t *list = json_array();
    const wispi_instance *const single[] = {&s->backend, &x->data,     &x->test,
                                            &x->sampler, &x->backbone, &x->method};
    for (size_t i = 0; i < WISP_COUNT(single); i++)
        add_plugin(list, single[i]);
    for (int32_t i = 0; i < x->n_probes; i++)
        add_plugin(list, &x->probes[i]);
    for (int32_t i = 0; i < x->n_tasks; i++)
        add_plugin(list, &x->tasks[i]);
    return list;
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

static json_t *manifest_json(const wispi_session *s, uint64_t fingerprint)
{
    const wispi_experiment *x = s->experiment;
    char hash[32], now[64] = "";
    struct utsname host;
    time_t seconds = time(NULL);
    struct tm utc;
    memset(&host, 0, sizeof host);
    uname(&host);
    if (gmtime_r(&seconds, &utc))
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)fingerprint);
    char *commit = git_commit();
    json_t *manifest =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s, s:I, s:i}, s:I, s:s*, s:o}", "wisp",
                  WISP_VERSION, "compiler", __VERSION__, "system", host.release, "started", now,
                  "device", s->device_name, "threads", (int)s->n_threads, "data", "fingerprint",
                  hash, "samples", (json_int_t)wispi_dataset_of(&x->data)->count(x->data.self),
                  "classes", (int)wispi_dataset_of(&x->data)->n_classes(x->data.self),
                  "backbone_parameters", (json_int_t)wispi_module_parameter_count(s->evaluated, 0),
                  "git_commit", commit, "plugins", plugins_json(s));
    wispi_free(commit);
    return manifest;
}

wisp_status wispi_manifest_write(const wispi_run_folder *folder, const wispi_session *s,
                                 uint64_t fingerprint, wisp_error *err)
{
    json_t *manifest = manifest_json(s, fingerprint);
    char *text = manifest ? json_dumps(manifest, JSON_INDENT(2)) : NULL;
    json_decref(manifest);
    if (!text)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the manifest");
    wisp_status status = wispi_run_folder_write(folder, "manifest.json", text, err);
    free(text);
    return status;
}

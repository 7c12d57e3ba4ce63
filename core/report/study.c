#include "report/study.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "report/arm_resolve.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"

enum { MAX_CONFIG = 1 << 20, MOST_THREADS = 1024 }; /* as run.threads has it */

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for the list of runs");
}

/* --- the folder --- */

static wisp_status check_name(const char *name, wisp_error *err)
{
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') || strlen(name) > 200)
        return wisp_fail(err, WISP_E_CONFIG, "--name %.200s: cannot name a folder", name);
    return WISP_OK;
}

static wisp_status lock_folder(wispi_study *study, wisp_error *err)
{
    char path[WISPI_STUDY_PATH + 16];
    snprintf(path, sizeof path, "%s/.lock", study->folder);
    study->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (study->lock < 0)
        return wisp_fail(err, WISP_E_IO, "cannot write to %s: %s; name another folder with --out",
                         study->folder, strerror(errno));
    if (flock(study->lock, LOCK_EX | LOCK_NB) == 0)
        return WISP_OK;
    close(study->lock);
    study->lock = -1;
    return wisp_fail(err, WISP_E_STATE,
                     "%s is in use by another process, or by runs of one that was killed and that "
                     "are ending on their checkpoints: wait for it, or take another --name",
                     study->folder);
}

static wisp_status name_folder(wispi_study *study, const wispi_study_request *request,
                               wisp_error *err)
{
    WISP_TRY(check_name(request->name, err));
    const int n =
        snprintf(study->folder, sizeof study->folder, "%s/%s", request->out, request->name);
    if (n < 0 || n > WISPI_STUDY_PATH - 300)
        return wisp_fail(err, WISP_E_CONFIG, "--out and --name make too long a path");
    return WISP_OK;
}

static wisp_status open_folder(wispi_study *study, wisp_error *err)
{
    char logs[WISPI_STUDY_PATH + 16];
    snprintf(logs, sizeof logs, "%s/logs", study->folder);
    WISP_TRY(wispi_make_folders(logs, err));
    return lock_folder(study, err);
}

/* --- the arms --- */

static void arm_file(const wispi_study *study, const wispi_arm *arm, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s/%.200s.toml", study->folder, arm->name);
}

/* Of an arm that an earlier call has written; 0: there is none. */
static int32_t threads_before(const wispi_study *study, const wispi_arm *arm)
{
    char path[WISPI_STUDY_PATH + 256];
    wispi_config *config = NULL;
    arm_file(study, arm, path, sizeof path);
    if (access(path, F_OK) != 0 || wispi_config_load(path, NULL, 0, &config, NULL) != WISP_OK)
        return 0;
    const wispi_node *node =
        wispi_node_find(wispi_node_find(wispi_config_root(config), "run"), "threads");
    const int is_known = node && node->type == WISPI_NODE_INTEGER && node->integer > 0 &&
                         node->integer <= MOST_THREADS;
    const int32_t threads = is_known ? (int32_t)node->integer : 0;
    wispi_config_destroy(config);
    return threads;
}

/* The last bits of a run depend on its threads, so runs that join earlier ones take as many. */
static void find_threads(wispi_study *study)
{
    for (int32_t i = 0; i < study->arms.n; i++) {
        const int32_t before = threads_before(study, &study->arms.list[i]);
        if (before == 0)
            continue;
        if (before != study->threads)
            wispi_log(WISP_LOG_INFO, "run.threads = %d, as in the runs that are there", before);
        study->threads = before;
        return;
    }
}

/* All arms take the same number, unless they say otherwise themselves. */
static void settle_threads(wispi_study *study)
{
    for (int32_t i = 0; i < study->arms.n; i++)
        if (study->arms.list[i].threads > 0) {
            study->threads = study->arms.list[i].threads;
            return;
        }
    find_threads(study);
}

/* Is what an earlier call has written of it the same? */
static wisp_status check_arm(const wispi_study *study, const wispi_arm *arm, wisp_error *err)
{
    char path[WISPI_STUDY_PATH + 256];
    uint8_t *before = NULL;
    size_t n = 0;
    wisp_error cause = {0};
    arm_file(study, arm, path, sizeof path);
    if (access(path, F_OK) != 0)
        return WISP_OK;
    WISP_TRY(wispi_file_read(path, MAX_CONFIG, &before, &n, err));
    const wisp_status status =
        wispi_run_folder_compare(path, (const char *)before, arm->resolved, WISPI_SAME_RUN, &cause);
    wispi_free(before);
    if (status != WISP_OK)
        return wisp_fail(err, status, "%.900s (arm %.60s); or take another --name", cause.message,
                         arm->name);
    return WISP_OK;
}

/* None is written before all are known to be right. */
static wisp_status keep_arms(const wispi_study *study, wisp_error *err)
{
    char path[WISPI_STUDY_PATH + 256];
    for (int32_t i = 0; i < study->arms.n; i++)
        WISP_TRY(check_arm(study, &study->arms.list[i], err));
    for (int32_t i = 0; i < study->arms.n; i++) {
        const wispi_arm *arm = &study->arms.list[i];
        arm_file(study, arm, path, sizeof path);
        WISP_TRY(wispi_file_replace(path, arm->resolved, strlen(arm->resolved), err));
    }
    return WISP_OK;
}

static wisp_status resolve_arms(wispi_registry *registry, const wispi_study_request *request,
                                wispi_study *study, wisp_error *err)
{
    for (int32_t i = 0; i < study->arms.n; i++)
        WISP_TRY(wispi_arm_read_settings(registry, &study->arms.list[i], err));
    settle_threads(study);
    const wispi_arm_frame frame = {study->folder, request->device, study->threads};
    for (int32_t i = 0; i < study->arms.n; i++)
        WISP_TRY(wispi_arm_resolve(registry, &frame, study->arena, &study->arms.list[i], err));
    for (int32_t i = 0; i < study->arms.n; i++)
        if (!study->arms.list[i].judges)
            return wisp_fail(err, WISP_E_CONFIG,
                             "arm %.60s has no [[task]] and no [[probe]]: there would be nothing "
                             "to compare",
                             study->arms.list[i].name);
    return WISP_OK;
}

/* --- the runs --- */

static wisp_status make_job(const wispi_study *study, int32_t arm, int32_t seed, wispi_job *job,
                            wisp_error *err)
{
    *job = (wispi_job){.arm = &study->arms.list[arm],
                       .arm_index = arm,
                       .seed_index = seed,
                       .seed = study->seeds.list[seed] + study->arms.list[arm].seed_offset};
    if (job->seed > UINT32_MAX)
        return wisp_fail(err, WISP_E_CONFIG, "--seed-offset makes a seed above 4294967295");
    job->folder = wispi_arena_printf(study->arena, "%s/%s/%lld", study->folder, job->arm->name,
                                     (long long)job->seed);
    job->log = wispi_arena_printf(study->arena, "%s/logs/%s-%lld.log", study->folder,
                                  job->arm->name, (long long)job->seed);
    return job->folder && job->log ? WISP_OK : no_memory(err);
}

static wisp_status list_jobs(wispi_study *study, wisp_error *err)
{
    const int64_t n = (int64_t)study->arms.n * study->seeds.n;
    if (n > WISPI_MOST_JOBS)
        return wisp_fail(err, WISP_E_CONFIG, "%lld runs; there may be %d", (long long)n,
                         WISPI_MOST_JOBS);
    study->jobs = wispi_arena_array(study->arena, (size_t)n, sizeof *study->jobs);
    if (!study->jobs)
        return no_memory(err);
    for (int32_t seed = 0; seed < study->seeds.n; seed++)
        for (int32_t arm = 0; arm < study->arms.n; arm++)
            WISP_TRY(make_job(study, arm, seed, &study->jobs[study->n_jobs++], err));
    return WISP_OK;
}

/* A finished run is used as it is, so it must be what would be run. */
static wisp_status check_finished(const wispi_job *job, wisp_error *err)
{
    char path[WISPI_STUDY_PATH + 300];
    uint8_t *config = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/config.toml", job->folder);
    WISP_TRY(wispi_file_read(path, MAX_CONFIG, &config, &n, err));
    const wisp_status status = wispi_run_folder_compare(
        job->folder, (const char *)config, job->arm->resolved, WISPI_SAME_EXPERIMENT, err);
    wispi_free(config);
    return status;
}

/* A run whose last checkpoint is missing or cannot be read is not done: running it goes on from the
 * one before, or says what is wrong. */
static wisp_status look_at(wispi_job *job, wisp_error *err)
{
    wispi_checkpoint_facts facts;
    if (wispi_checkpoint_read_facts(job->folder, &facts, NULL) != WISP_OK)
        return WISP_OK;
    free(facts.results);
    job->step = facts.step;
    if (facts.step > job->arm->steps)
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s has trained for %lld steps, and a run would now end after %lld: all "
                         "must be of one length; set run.steps as before, or take another --name",
                         job->folder, (long long)facts.step, (long long)job->arm->steps);
    if (facts.step < job->arm->steps || facts.tasks_step != facts.step)
        return WISP_OK;
    job->state = WISPI_JOB_DONE;
    return check_finished(job, err);
}

static wisp_status look_at_all(wispi_study *study, wisp_error *err)
{
    for (int32_t i = 0; i < study->n_jobs; i++)
        WISP_TRY(look_at(&study->jobs[i], err));
    return WISP_OK;
}

wisp_status wispi_study_open(wispi_registry *registry, const wispi_study_request *request,
                             wispi_arena *arena, wispi_study *study, wisp_error *err)
{
    study->arena = arena;
    study->lock = -1;
    study->threads = request->threads;
    WISP_TRY(name_folder(study, request, err));
    /* Before the folder is touched, so that a call that is wrong leaves nothing. */
    WISP_TRY(resolve_arms(registry, request, study, err));
    WISP_TRY(list_jobs(study, err));
    WISP_TRY(open_folder(study, err));
    wisp_status status = keep_arms(study, err);
    if (status == WISP_OK)
        status = look_at_all(study, err);
    for (int32_t i = 0; status == WISP_OK && i < study->n_jobs; i++)
        study->jobs[i].first_step = study->jobs[i].step;
    if (status != WISP_OK)
        wispi_study_close(study);
    return status;
}

void wispi_study_close(wispi_study *study)
{
    if (study->lock >= 0)
        close(study->lock);
    study->lock = -1;
}

int32_t wispi_study_count(const wispi_study *study, int32_t state)
{
    int32_t n = 0;
    for (int32_t i = 0; i < study->n_jobs; i++)
        n += study->jobs[i].state == state;
    return n;
}

int wispi_study_seed_is_done(const wispi_study *study, int32_t seed_index)
{
    for (int32_t i = 0; i < study->n_jobs; i++)
        if (study->jobs[i].seed_index == seed_index && study->jobs[i].state != WISPI_JOB_DONE)
            return 0;
    return 1;
}

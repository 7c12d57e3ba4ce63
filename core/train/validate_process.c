/* validate_process.c - what a plugin does to the process around it, seen after each part of its
 * life: threads, signals, floating point, environment, output, files, and memory that is not its
 * own. */
#include <dirent.h>
#include <fenv.h>
#include <float.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/memory.h"
#include "train/validate_growth.h"
#include "train/validate_list.h"
#include "train/validate_use.h"

enum { LIVES = 2, MOST_SIGNALS = 64, MANY_LIVES = 6 };

/* Called behind each part of a life, with words for it. */
typedef void (*watcher)(wispi_trial *t, const char *stage, const void *before);

static void live(wispi_trial *t, watcher watch, const void *before)
{
    wispi_subject s;
    wisp_error err = {0};
    if (!wispi_trial_create(t, &s))
        return;
    watch(t, "when it is created", before);
    wispi_trial_use(t, &s, &err);
    watch(t, "when it is used", before);
    wispi_subject_destroy(&s);
    watch(t, "when it is destroyed", before);
}

static void watch_lives(wispi_trial *t, watcher watch, const void *before)
{
    if (!wispi_trial_load(t))
        return;
    watch(t, "when the file is loaded", before);
    wispi_trial_shrink(t);
    for (int i = 0; i < LIVES && !wispi_trial_is_decided(t); i++)
        live(t, watch, before);
}

/* --- its config struct, and the memory around it --- */

void wispi_validate_config_untouched(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    const char *damage = "";
    if (!wispi_trial_load(t))
        return;
    wispi_trial_shrink(t);
    if (!wispi_trial_create(t, &s))
        return;
    damage = wispi_subject_damage(&s);
    if (*damage)
        wispi_trial_fail(t, "when it is created it writes to %s", damage);
    wispi_trial_use(t, &s, &err);
    damage = wispi_subject_damage(&s);
    if (*damage)
        wispi_trial_fail(t, "when it is used it writes to %s", damage);
    wispi_subject_destroy(&s);
}

/* --- floating point --- */

typedef struct arithmetic {
    int rounding, traps;
    int has_denormals; /* judged on the spot: where they count as zero they do so in comparisons */
} arithmetic;

static arithmetic take_arithmetic(void)
{
    volatile double smallest = DBL_MIN;
    volatile float smallest_f32 = FLT_MIN;
    volatile double half = smallest / 2;
    volatile float half_f32 = smallest_f32 / 2;
    return (arithmetic){fegetround(), fegetexcept(), half > 0 && half_f32 > 0};
}

static void watch_arithmetic(wispi_trial *t, const char *stage, const void *before)
{
    const arithmetic now = take_arithmetic(), *was = before;
    if (now.rounding != was->rounding)
        wispi_trial_fail(t, "%s it changes the rounding mode", stage);
    else if (now.traps != was->traps)
        wispi_trial_fail(t, "%s it changes which exceptions trap", stage);
    else if (now.has_denormals != was->has_denormals)
        wispi_trial_fail(t, "%s denormal numbers become zero: was it linked with -ffast-math?",
                         stage);
}

void wispi_validate_fp_state_unchanged(wispi_trial *t)
{
    const arithmetic before = take_arithmetic();
    watch_lives(t, watch_arithmetic, &before);
}

/* --- threads --- */

static void watch_threads(wispi_trial *t, const char *stage, const void *before)
{
    const int now = wispi_count_entries("/proc/self/task");
    if (now > *(const int *)before)
        wispi_trial_fail(t, "%s it starts %d threads", stage, now - *(const int *)before);
}

void wispi_validate_thread_class(wispi_trial *t)
{
    const int before = wispi_count_entries("/proc/self/task");
    watch_lives(t, watch_threads, &before);
}

/* --- signals --- */

typedef struct handlers {
    struct sigaction of[MOST_SIGNALS + 1];
    sigset_t mask;
} handlers;

static void take_handlers(handlers *h)
{
    memset(h, 0, sizeof *h);
    for (int i = 1; i <= MOST_SIGNALS; i++)
        sigaction(i, NULL, &h->of[i]);
    pthread_sigmask(SIG_BLOCK, NULL, &h->mask);
}

static void watch_handlers(wispi_trial *t, const char *stage, const void *before)
{
    const handlers *was = before;
    handlers now;
    take_handlers(&now);
    for (int i = 1; i <= MOST_SIGNALS; i++) {
        if (now.of[i].sa_handler != was->of[i].sa_handler)
            wispi_trial_fail(t, "%s it changes what happens at SIG%s", stage,
                             sigabbrev_np(i) ? sigabbrev_np(i) : "RT");
        if (sigismember(&now.mask, i) != sigismember(&was->mask, i))
            wispi_trial_fail(t, "%s it changes whether SIG%s is blocked", stage,
                             sigabbrev_np(i) ? sigabbrev_np(i) : "RT");
    }
}

void wispi_validate_signals_unchanged(wispi_trial *t)
{
    handlers before;
    take_handlers(&before);
    watch_lives(t, watch_handlers, &before);
}

/* --- environment --- */

typedef struct surroundings {
    uint64_t environment;
    char locale[512], folder[1024];
    mode_t mask;
} surroundings;

static void take_surroundings(surroundings *s)
{
    memset(s, 0, sizeof *s);
    for (char **entry = environ; entry && *entry; entry++)
        s->environment += wispi_hash64(*entry, strlen(*entry), 1);
    const char *locale = setlocale(LC_ALL, NULL);
    snprintf(s->locale, sizeof s->locale, "%s", locale ? locale : "");
    if (!getcwd(s->folder, sizeof s->folder))
        s->folder[0] = '\0';
    s->mask = umask(0);
    umask(s->mask);
}

static void watch_surroundings(wispi_trial *t, const char *stage, const void *before)
{
    const surroundings *was = before;
    surroundings now;
    take_surroundings(&now);
    if (now.environment != was->environment)
        wispi_trial_fail(t, "%s it changes environment variables", stage);
    if (strcmp(now.locale, was->locale) != 0)
        wispi_trial_fail(t, "%s it changes the locale to %.60s", stage, now.locale);
    if (strcmp(now.folder, was->folder) != 0)
        wispi_trial_fail(t, "%s it changes the working folder to %.200s", stage, now.folder);
    if (now.mask != was->mask)
        wispi_trial_fail(t, "%s it changes the umask", stage);
}

void wispi_validate_environment_unchanged(wispi_trial *t)
{
    surroundings before;
    take_surroundings(&before);
    watch_lives(t, watch_surroundings, &before);
}

/* --- output --- */

static void watch_output(wispi_trial *t, const char *stage, const void *before)
{
    struct stat info;
    (void)before;
    fflush(stdout);
    fflush(stderr);
    if (fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        wispi_trial_fail(t, "%s it writes to standard output or error", stage);
}

void wispi_validate_prints_nothing(wispi_trial *t)
{
    if (!t->is_own_process)
        wispi_trial_skip(t, "with --in-process the output is not the plugin's alone");
    else
        watch_lives(t, watch_output, NULL);
}

/* --- what use leaves behind --- */

static int whole_life(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    if (!wispi_trial_create(t, &s))
        return 0;
    wispi_trial_use(t, &s, &err);
    wispi_subject_destroy(&s);
    return 1;
}

void wispi_validate_leaves_nothing_behind(wispi_trial *t)
{
    if (!wispi_trial_load(t))
        return;
    wispi_trial_shrink(t);
    wispi_validate_growth(t, whole_life, MANY_LIVES, "create, use and destroy");
}

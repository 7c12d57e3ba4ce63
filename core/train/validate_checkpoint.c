/* validate_checkpoint.c - what a training has become, through a file and back. */
#include "train/validate_training.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/validate_practice.h"

/* In the middle of the second epoch. */
enum { MIDDLE = WISPI_PRACTICE_EPOCH + 1, PATH_BYTES = WISPI_TRIAL_PATH + 64 };

static wisp_status make_folder(const wispi_trial *t, const char *name, char path[PATH_BYTES],
                               wisp_error *err)
{
    char inner[PATH_BYTES + 16];
    snprintf(path, PATH_BYTES, "%s/%s", t->folder, name);
    snprintf(inner, sizeof inner, "%s/checkpoints", path);
    if (mkdir(path, 0700) != 0 || mkdir(inner, 0700) != 0)
        return wisp_fail(err, WISP_E_IO, "cannot make %s", inner);
    return WISP_OK;
}

static wisp_status save(const wispi_practice *p, const char *folder, wisp_error *err)
{
    const wispi_checkpoint_facts facts = {.step = p->step, .tasks_step = -1};
    return wispi_checkpoint_write(folder, "last", p->session->model, &facts, err);
}

static wisp_status load(wispi_practice *p, const char *folder, wisp_error *err)
{
    wispi_checkpoint_facts facts = {0};
    WISP_TRY(wispi_checkpoint_resume(folder, p->session->model, &facts, err));
    p->step = facts.step;
    free(facts.results);
    return WISP_OK;
}

/* Trains to the middle and leaves a checkpoint in a new folder. */
static int leave_checkpoint(wispi_trial *t, char folder[PATH_BYTES])
{
    wispi_subject s;
    wispi_practice p;
    wisp_error err = {0};
    if (!wispi_trial_practise(t, &s, NULL, &p))
        return 0;
    wisp_status status = wispi_practice_train(&p, MIDDLE, &err);
    if (status == WISP_OK)
        status = make_folder(t, "first", folder, &err);
    if (status == WISP_OK)
        status = save(&p, folder, &err);
    if (status != WISP_OK)
        wispi_trial_fail(t, "a checkpoint after %d steps: %s", MIDDLE, err.message);
    wispi_trial_end_practice(&s, &p);
    return status == WISP_OK;
}

static wisp_status read_checkpoint(const char *folder, uint8_t **data, size_t *n, wisp_error *err)
{
    char path[PATH_BYTES + 48];
    snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", folder);
    return wispi_file_read(path, (size_t)1 << 32, data, n, err);
}

static wisp_status write_checkpoint(const char *folder, const uint8_t *data, size_t n,
                                    wisp_error *err)
{
    char path[PATH_BYTES + 48];
    snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", folder);
    return wispi_file_replace(path, data, n, err);
}

/* --- there and back --- */

static wisp_status compare_files(wispi_trial *t, const char *a, const char *b, wisp_error *err)
{
    uint8_t *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    wisp_status status = read_checkpoint(a, &first, &n_first, err);
    if (status == WISP_OK)
        status = read_checkpoint(b, &second, &n_second, err);
    if (status == WISP_OK && (n_first != n_second || memcmp(first, second, n_first) != 0))
        wispi_trial_fail(t, "a checkpoint that was loaded and saved again has other bytes");
    wispi_free(first);
    wispi_free(second);
    return status;
}

void wispi_validate_state_round_trip(wispi_trial *t)
{
    char first[PATH_BYTES], second[PATH_BYTES];
    wispi_subject s;
    wispi_practice p;
    wisp_error err = {0};
    if (!leave_checkpoint(t, first) || !wispi_trial_practise(t, &s, NULL, &p))
        return;
    wisp_status status = load(&p, first, &err);
    if (status == WISP_OK)
        status = make_folder(t, "second", second, &err);
    if (status == WISP_OK)
        status = save(&p, second, &err);
    if (status == WISP_OK)
        status = compare_files(t, first, second, &err);
    if (status != WISP_OK)
        wispi_trial_fail(t, "a new instance cannot load what another one saved: %s", err.message);
    wispi_trial_end_practice(&s, &p);
}

/* --- damaged --- */

/* `n` bytes of a file of `whole`, of which one may be another one (`flipped` below n). */
static void try_damaged(wispi_trial *t, wispi_practice *p, const char *folder, uint8_t *data,
                        size_t n, size_t flipped)
{
    wisp_error err = {0}, words = {0};
    uint8_t *before = wispi_practice_state(p);
    if (flipped < n)
        data[flipped] ^= 0x10;
    wisp_status status = write_checkpoint(folder, data, n, &err);
    if (flipped < n)
        data[flipped] ^= 0x10;
    const wisp_status loaded = status == WISP_OK ? load(p, folder, &words) : WISP_OK;
    uint8_t *after = wispi_practice_state(p);
    const char *other = before && after ? wispi_practice_difference(p, before, after) : NULL;
    if (status != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
    else if (loaded == WISP_OK)
        wispi_trial_fail(t, "a checkpoint of %zu bytes with byte %zu changed is taken", n, flipped);
    else if (!wispi_has_words(&words))
        wispi_trial_fail(t, "a damaged checkpoint is refused without a message");
    else if (other)
        wispi_trial_fail(t, "a damaged checkpoint is refused, and %s is another one since", other);
    wispi_free(before);
    wispi_free(after);
}

static void try_damages(wispi_trial *t, wispi_practice *p, const char *folder, uint8_t *data,
                        size_t n)
{
    const size_t cuts[] = {0, 1, 7, 8, 100, n / 3, n / 2, n - 1};
    const size_t flips[] = {0, 9, 60, n / 3, n / 2, n - 5, n - 1};
    for (size_t i = 0; i < WISP_COUNT(cuts) && !wispi_trial_is_decided(t); i++)
        try_damaged(t, p, folder, data, cuts[i], cuts[i]);
    for (size_t i = 0; i < WISP_COUNT(flips) && !wispi_trial_is_decided(t); i++)
        try_damaged(t, p, folder, data, n, flips[i]);
}

void wispi_validate_state_from_garbage(wispi_trial *t)
{
    char folder[PATH_BYTES];
    wispi_subject s;
    wispi_practice p;
    wisp_error err = {0};
    uint8_t *data = NULL;
    size_t n = 0;
    if (!leave_checkpoint(t, folder) || !wispi_trial_practise(t, &s, NULL, &p))
        return;
    wisp_status status = read_checkpoint(folder, &data, &n, &err);
    if (status == WISP_OK)
        try_damages(t, &p, folder, data, n);
    if (status == WISP_OK && !wispi_trial_is_decided(t))
        status = wispi_practice_train(&p, 1, &err);
    if (status != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
    wispi_free(data);
    wispi_trial_end_practice(&s, &p);
}

/* --- resumed --- */

static void compare_ends(wispi_trial *t, const wispi_practice *straight,
                         const wispi_practice *resumed)
{
    uint8_t *a = wispi_practice_state(straight), *b = wispi_practice_state(resumed);
    for (int i = MIDDLE; i < WISPI_PRACTICE_STEPS; i++)
        if (memcmp(&straight->losses[i], &resumed->losses[i], sizeof straight->losses[i]) != 0)
            wispi_trial_fail(t,
                             "resumed after step %d, the loss of step %d is %.9g, and %.9g in a "
                             "training that was not interrupted",
                             MIDDLE, i + 1, (double)resumed->losses[i],
                             (double)straight->losses[i]);
    const char *other = a && b ? wispi_practice_difference(straight, a, b) : NULL;
    if (other)
        wispi_trial_fail(t,
                         "resumed after step %d, %s ends as another one than in a training that "
                         "was not interrupted",
                         MIDDLE, other);
    wispi_free(a);
    wispi_free(b);
}

static void resume(wispi_trial *t, const wispi_practice *straight, const char *folder)
{
    wispi_subject s;
    wispi_practice p;
    wisp_error err = {0};
    if (!wispi_trial_practise(t, &s, NULL, &p))
        return;
    wisp_status status = load(&p, folder, &err);
    if (status == WISP_OK)
        status = wispi_practice_train(&p, WISPI_PRACTICE_STEPS, &err);
    if (status == WISP_OK)
        compare_ends(t, straight, &p);
    else
        wispi_trial_fail(t, "a training cannot be resumed after step %d: %s", MIDDLE, err.message);
    wispi_trial_end_practice(&s, &p);
}

void wispi_validate_resume(wispi_trial *t)
{
    char folder[PATH_BYTES];
    wispi_subject s;
    wispi_practice p;
    wisp_error err = {0};
    if (!leave_checkpoint(t, folder) || !wispi_trial_practise(t, &s, NULL, &p))
        return;
    if (wispi_practice_train(&p, WISPI_PRACTICE_STEPS, &err) == WISP_OK)
        resume(t, &p, folder);
    else
        wispi_trial_fail(t, "step %lld of a training: %s", (long long)p.step, err.message);
    wispi_trial_end_practice(&s, &p);
}

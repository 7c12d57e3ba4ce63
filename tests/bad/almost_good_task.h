/* almost_good_task.h - a task that guesses one class for all, with everything that is asked
 * of one. A file that includes it first defines what shall be different: CHECK_SPLIT(split, err), a
 * statement in evaluate() for each split; VALUE(value), what it reports; PROTOCOL, how; REPORTS,
 * how often; PICK(embeddings), the image whose class it guesses; and what almost_good.h knows. */
#ifndef WISP_TESTS_ALMOST_GOOD_TASK_H
#define WISP_TESTS_ALMOST_GOOD_TASK_H

#include <math.h>

#include "wisp/host.h"
#include "wisp/task.h"

#ifndef VALUE
#define VALUE(value) (value)
#endif
#ifndef PROTOCOL
#define PROTOCOL "{\"images\": 1}"
#endif
#ifndef REPORTS
#define REPORTS 1
#endif
#ifndef CHECK_SPLIT
#define CHECK_SPLIT(split, err)                                                                    \
    if (!(split)->labels)                                                                          \
    return wisp_fail(err, WISP_E_CONFIG, "the images have no labels")
#endif
#ifndef PICK
#define PICK(embeddings) 0
#endif

static uint32_t task_needs(void *self)
{
    (void)self;
    return WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST;
}

static wisp_status task_split(wisp_task_context *context, int32_t split, wisp_embeddings *out,
                              wisp_error *err)
{
    const wisp_embed_request request = {.struct_size = sizeof request, .split = split};
    WISP_TRY(context->embed(context, &request, out, err));
    CHECK_SPLIT(out, err);
    return WISP_OK;
}

/* How many images are of the class of one of them. */
static wisp_status task_evaluate(void *self, wisp_task_context *context, wisp_error *err)
{
    wisp_embeddings train, test;
    int64_t right = 0;
    (void)self;
    WISP_TRY(task_split(context, WISP_SPLIT_TRAIN, &train, err));
    WISP_TRY(task_split(context, WISP_SPLIT_TEST, &test, err));
    for (int64_t i = 0; i < test.count; i++)
        right += test.labels[i] == train.labels[PICK(&train)];
    const double share = 100.0 * (double)right / (double)test.count;
    for (int i = 0; i < REPORTS; i++)
        WISP_TRY(context->report(context, "guess top-1", VALUE(share), PROTOCOL, err));
    return WISP_OK;
}

static const wisp_task_v0 task_table = {
    .struct_size = sizeof task_table, .needs = task_needs, .evaluate = task_evaluate};

#define KIND WISP_KIND_TASK
#define VTABLE &task_table
#include "almost_good.h"

#endif

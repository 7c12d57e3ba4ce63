/* backend_sdk.h - what backends share, made of nothing but backend.h; header-only.
 *
 * Questions about a request, and refusals: a kernel that cannot take it says what it was and why.
 */
#ifndef WISP_BACKEND_SDK_H
#define WISP_BACKEND_SDK_H

#include "wisp/backend.h"
#include "wisp/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 1 when an argument that is there has no elements. */
static inline int wisp_request_is_empty(const wisp_kernel_request *request)
{
    for (int32_t i = 0; i < request->n_in; i++)
        if (request->in[i] && request->in[i]->dtype && wisp_desc_count(request->in[i]) == 0)
            return 1;
    return 0;
}

/* A text that is cut rather than overrun. */
typedef struct wisp_request_text {
    char text[640];
    size_t length;
} wisp_request_text;

static inline void wisp_request_add(wisp_request_text *t, const char *format, ...)
    WISP_PRINTF(2, 3);
static inline void wisp_request_add(wisp_request_text *t, const char *format, ...)
{
    const size_t room = sizeof t->text - t->length;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->text + t->length, room, format, args);
    va_end(args);
    if (n > 0)
        t->length += (size_t)n < room ? (size_t)n : room - 1;
}

static inline void wisp_request_add_descs(wisp_request_text *t, const wisp_desc *const *descs,
                                          int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const wisp_desc *d = descs[i];
        if (i)
            wisp_request_add(t, ", ");
        if (!d) {
            wisp_request_add(t, "-");
            continue;
        }
        wisp_request_add(t, "%s(", wisp_dtype_name(d->dtype));
        for (int32_t k = 0; k < d->rank && k < WISP_MAX_RANK; k++)
            wisp_request_add(t, "%s%lld", k ? "," : "", (long long)d->shape[k]);
        wisp_request_add(t, ")");
    }
}

/* "conv2d(bf16(32,56,56,64), f32(64,64,3,3), -) -> bf16(32,56,56,64): <reason>", and returns
 * WISP_E_UNSUPPORTED: `return wisp_refuse(request, err, "groups %d ...", n);` */
static inline wisp_status wisp_refuse(const wisp_kernel_request *request, wisp_error *err,
                                      const char *format, ...) WISP_PRINTF(3, 4);
static inline wisp_status wisp_refuse(const wisp_kernel_request *request, wisp_error *err,
                                      const char *format, ...)
{
    wisp_request_text t = {{0}, 0};
    wisp_request_add(&t, "%s(", request->op);
    wisp_request_add_descs(&t, request->in, request->n_in);
    wisp_request_add(&t, ") -> ");
    wisp_request_add_descs(&t, request->out, request->n_out);
    char reason[400];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return wisp_fail(err, WISP_E_UNSUPPORTED, "%s: %s", t.text, reason);
}

/* Refusals of all candidates in one message: the caller of an unsupported call wants every reason.
 * `n` is the number of refusals with this one. */
static inline void wisp_collect_refusal(wisp_error *all, int32_t n, const wisp_error *one)
{
    size_t used = strlen(all->message), room = sizeof all->message - 1 - used;
    const char *parts[] = {n > 1 ? "; also " : "", one->message};
    for (int i = 0; i < 2; i++) {
        size_t bytes = strlen(parts[i]);
        bytes = bytes < room ? bytes : room;
        memcpy(all->message + used, parts[i], bytes);
        used += bytes;
        room -= bytes;
    }
}

#ifdef __cplusplus
}
#endif
#endif

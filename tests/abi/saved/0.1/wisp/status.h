/* status.h - what a call that can fail returns, and how it says why.
 *
 * Every fallible call returns a wisp_status (0 is success, negative is failure) and takes a
 * wisp_error that the caller owns. A message says what is wrong, where, and what to change.
 * Out-parameters are written only on success (ABI-10). */
#ifndef WISP_STATUS_H
#define WISP_STATUS_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t wisp_status;

/* name, value, message. Values are never reused. */
#define WISP_STATUS_LIST(X)                                                                        \
    X(OK, 0, "success")                                                                            \
    X(E_INVALID, -1, "invalid argument")                                                           \
    X(E_NOMEM, -2, "out of memory")                                                                \
    X(E_IO, -3, "input/output error")                                                              \
    X(E_NOT_FOUND, -4, "not found")                                                                \
    X(E_UNSUPPORTED, -5, "not supported here")                                                     \
    X(E_CONFIG, -6, "wrong configuration")                                                         \
    X(E_ABI, -7, "incompatible plugin")                                                            \
    X(E_PLUGIN, -8, "plugin failed")                                                               \
    X(E_SHAPE, -9, "shapes do not fit")                                                            \
    X(E_DTYPE, -10, "data types do not fit")                                                       \
    X(E_CORRUPT, -11, "damaged file")                                                              \
    X(E_DATA, -12, "unusable data")                                                                \
    X(E_NONFINITE, -13, "value is not finite")                                                     \
    X(E_STOPPED, -14, "stopped on request")                                                        \
    X(E_STATE, -15, "call out of order")                                                           \
    X(E_INTERNAL, -16, "internal error")                                                           \
    X(E_DEVICE, -17, "device failed")

enum {
#define WISP_STATUS_ENUM(name, value, text) WISP_##name = value,
    WISP_STATUS_LIST(WISP_STATUS_ENUM)
#undef WISP_STATUS_ENUM
};

/* Caller-owned. `plugin` and `function` are filled in by the host when the failure came out of a
 * plugin call; the other side writes `code` and `message` only. Frozen layout. */
typedef struct wisp_error {
    wisp_status code;
    uint32_t reserved;
    char plugin[64];
    char function[64];
    char message[1400];
} wisp_error;

#if defined(__GNUC__)
#define WISP_PRINTF(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))
#else
#define WISP_PRINTF(format_index, first_index)
#endif

/* Fills `err` (which may be NULL) and returns `code`, so that `return wisp_fail(err, ...)` reads as
 * one sentence. [any] */
static inline wisp_status wisp_fail(wisp_error *err, wisp_status code, const char *format, ...)
    WISP_PRINTF(3, 4);
static inline wisp_status wisp_fail(wisp_error *err, wisp_status code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = code;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return code;
}

/* Short name such as "E_SHAPE" for a status; "E_UNKNOWN" for a number that is not in the list. */
static inline const char *wisp_status_name(wisp_status status)
{
    switch (status) {
#define WISP_STATUS_CASE(name, value, text)                                                        \
    case value:                                                                                    \
        return #name;
        WISP_STATUS_LIST(WISP_STATUS_CASE)
#undef WISP_STATUS_CASE
    default:
        return "E_UNKNOWN";
    }
}

/* One-line meaning of a status. */
static inline const char *wisp_status_text(wisp_status status)
{
    switch (status) {
#define WISP_STATUS_CASE(name, value, text)                                                        \
    case value:                                                                                    \
        return text;
        WISP_STATUS_LIST(WISP_STATUS_CASE)
#undef WISP_STATUS_CASE
    default:
        return "unknown status";
    }
}

/* Passes a failure on. The expression is evaluated once. */
#define WISP_TRY(expression)                                                                       \
    do {                                                                                           \
        wisp_status wisp_try_status = (expression);                                                \
        if (wisp_try_status != WISP_OK)                                                            \
            return wisp_try_status;                                                                \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif

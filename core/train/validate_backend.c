/* validate_backend.c - backends: memory that keeps what it is given, kernels that give what the
 * reference kernels give, and answers to what they do not know. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "loader/containment.h"
#include "tensor/op_check.h"
#include "train/validate_kinds.h"

static const wisp_backend_v0 *table_of(const wispi_subject *s)
{
    return s->instance.plugin->descriptor->vtable;
}

/* E_UNSUPPORTED where there is no device. */
static wisp_status open_device(const wispi_subject *s, wispi_device **device, wisp_error *err)
{
    const wispi_device_options options = {.n_threads = 1, .deterministic = 1};
    wisp_error reason = {0};
    wisp_status status;
    int32_t n = 0;
    WISPI_VISIT(s->instance.plugin, "n_devices",
                n = table_of(s)->n_devices(s->instance.self, &reason));
    if (n < 1)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "it finds no device here: %s",
                         reason.message[0] ? reason.message : "it gives no reason");
    WISPI_CALL(status, s->instance.plugin, "open", err,
               wispi_device_open(table_of(s), s->instance.self, 0, &options, device, err));
    return status;
}

/* 1: both are open. */
static int begin(wispi_trial *t, wispi_subject *s, wispi_device **device)
{
    wisp_error err = {0};
    if (!wispi_trial_create(t, s))
        return 0;
    const wisp_status status = open_device(s, device, &err);
    if (status == WISP_OK)
        return 1;
    if (status == WISP_E_UNSUPPORTED)
        wispi_trial_skip(t, "%s", err.message);
    else
        wispi_trial_fail(t, "its device cannot be opened: %s", err.message);
    wispi_subject_destroy(s);
    return 0;
}

static void end(wispi_subject *s, wispi_device *device)
{
    wispi_device_close(device);
    wispi_subject_destroy(s);
}

/* --- memory --- */

static wisp_status there_and_back(wispi_trial *t, wispi_device *device, const uint8_t *values,
                                  uint8_t *back, size_t n, wisp_error *err)
{
    void *memory = NULL;
    WISP_TRY(wispi_device_alloc(device, n, &memory, err));
    if ((uintptr_t)memory % 64 != 0)
        wispi_trial_fail(t, "alloc(): %zu bytes at %p, which is not 64-byte aligned", n, memory);
    memset(back, 0, n);
    wisp_status status = wispi_device_write(device, memory, values, n, err);
    if (status == WISP_OK)
        status = wispi_device_read(device, back, memory, n, err);
    if (status == WISP_OK && memcmp(values, back, n) != 0)
        wispi_trial_fail(t, "%zu bytes come back as others than were written", n);
    wispi_device_free(device, memory);
    return status;
}

wisp_status wispi_use_backend(wispi_trial *t, wispi_subject *s, wisp_error *err)
{
    uint8_t values[1000], back[1000];
    wispi_device *device = NULL;
    WISP_TRY(open_device(s, &device, err));
    memset(values, 3, sizeof values);
    const wisp_status status = there_and_back(t, device, values, back, sizeof values, err);
    wispi_device_close(device);
    return status;
}

void wispi_validate_backend_memory(wispi_trial *t)
{
    static const size_t sizes[] = {1, 3, 64, 1000, 4096, 65537, 1 << 20};
    enum { LARGEST = 1 << 20 };
    wispi_subject s;
    wispi_device *device = NULL;
    wisp_error err = {0};
    if (!begin(t, &s, &device))
        return;
    uint8_t *values = wispi_alloc(LARGEST), *back = wispi_alloc(LARGEST);
    for (int32_t i = 0; values && i < LARGEST; i++)
        values[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; values && back && i < WISP_COUNT(sizes); i++)
        if (there_and_back(t, device, values, back, sizes[i], &err) != WISP_OK)
            wispi_trial_fail(t, "%zu bytes to the device and back: %s", sizes[i], err.message);
    wispi_free(values);
    wispi_free(back);
    end(&s, device);
}

/* --- kernels --- */

static void ask_for_unknown(wispi_trial *t, const wispi_subject *s, void *handle)
{
    const wisp_desc d = wisp_desc1(WISP_F32, 4);
    const wisp_desc *const one[1] = {&d};
    const wisp_kernel_request request = {.struct_size = sizeof request,
                                         .n_in = 1,
                                         .n_out = 1,
                                         .deterministic = 1,
                                         .op = "crystal_ball",
                                         .in = one,
                                         .out = one};
    wisp_kernel *kernel = NULL;
    wisp_error err = {0};
    wisp_status status;
    WISPI_CALL(status, s->instance.plugin, "prepare", &err,
               table_of(s)->prepare(handle, &request, &kernel, &err));
    if (status == WISP_OK)
        wispi_trial_fail(t, "prepare() has a kernel for an operation that nobody knows");
    else if (status != WISP_E_UNSUPPORTED)
        wispi_trial_fail(t, "prepare() answers %s to an operation that nobody knows, not %s",
                         wisp_status_name(status), wisp_status_name(WISP_E_UNSUPPORTED));
    else if (!wispi_has_words(&err))
        wispi_trial_fail(t, "prepare() refuses an operation that nobody knows without a reason");
}

void wispi_validate_backend_unknown(wispi_trial *t)
{
    wispi_subject s;
    wispi_device *device = NULL;
    void *handle = NULL;
    wisp_error err = {0};
    wisp_status status;
    if (!begin(t, &s, &device))
        return;
    WISPI_CALL(status, s.instance.plugin, "open", &err,
               table_of(&s)->open(s.instance.self, 0, 1, &handle, &err));
    if (status != WISP_OK) {
        wispi_trial_fail(t, "a second opening of its device: %s", err.message);
    } else {
        ask_for_unknown(t, &s, handle);
        WISPI_VISIT(s.instance.plugin, "close", table_of(&s)->close(s.instance.self, handle));
    }
    end(&s, device);
}

static void take_result(void *user, const wispi_op_result *r)
{
    wispi_trial *t = user;
    if (r->outcome == WISPI_CHECK_FAIL && r->message[0])
        wispi_trial_fail(t, "%s: %.600s", r->name, r->message);
    else if (r->outcome == WISPI_CHECK_FAIL)
        wispi_trial_fail(t, "%s: the error is %.3g, and %.3g is allowed", r->name, r->error,
                         r->tolerance);
}

void wispi_validate_backend_ops(wispi_trial *t)
{
    const wispi_op_options options = {.filter = "*/*/f32"};
    wispi_op_summary found = {0};
    wispi_subject s;
    wispi_device *device = NULL;
    wisp_error err = {0};
    if (!begin(t, &s, &device))
        return;
    if (wispi_op_test_all(device, &options, take_result, t, &found, &err) != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
    else if (found.n_pass == 0)
        wispi_trial_fail(t, "it has no kernel at all");
    wispi_trial_note(t, "%d cases, %d without a kernel", found.n_pass, found.n_missing);
    end(&s, device);
}

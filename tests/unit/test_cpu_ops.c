/* Every case of every op on the cpu backend, in f32 and bf16, against the reference kernels in
 * double; one test per family. The backend is loaded as the host loads it. */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/op_check.h"
#include "wisp/host.h"

/* --- a host as small as the backend allows --- */

static const void *no_extension(const wisp_host *host, const char *id)
{
    (void)host;
    (void)id;
    return NULL;
}

static void *host_alloc(const wisp_host *host, size_t bytes)
{
    (void)host;
    return wispi_alloc(bytes);
}

static void host_free(const wisp_host *host, void *memory)
{
    (void)host;
    wispi_free(memory);
}

static void host_log(const wisp_host *host, int32_t level, const char *line)
{
    (void)host;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

static void host_parallel_for(const wisp_host *host, int64_t n, int64_t grain,
                              void (*body)(void *user, int64_t first, int64_t last), void *user)
{
    (void)host;
    (void)grain;
    if (n > 0)
        body(user, 0, n);
}

static int32_t host_n_threads(const wisp_host *host)
{
    (void)host;
    return 1;
}

static const wisp_host host = {
    .struct_size = sizeof(wisp_host),
    .abi_major = WISP_ABI_MAJOR,
    .abi_minor = WISP_ABI_MINOR,
    .version = "test",
    .get_extension = no_extension,
    .alloc = host_alloc,
    .free = host_free,
    .log = host_log,
    .parallel_for = host_parallel_for,
    .n_threads = host_n_threads,
};

static const wisp_descriptor *find_descriptor(void)
{
    const char *path = WISP_BUILD_DIR "/plugins/wisp-backend-cpu.so";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    wisp_plugin_entry_fn entry;
    void *symbol = dlsym(library, WISP_ENTRY_SYMBOL);
    ck_assert_msg(symbol != NULL, "%s has no %s", path, WISP_ENTRY_SYMBOL);
    memcpy(&entry, &symbol, sizeof entry);
    const wisp_bundle *bundle = entry();
    ck_assert_uint_ge(bundle->n_descriptors, 1);
    const wisp_descriptor *descriptor = bundle->descriptors[0];
    ck_assert_str_eq(descriptor->kind, WISP_KIND_BACKEND);
    return descriptor;
}

typedef struct cpu {
    const wisp_descriptor *descriptor;
    void *self;
    wispi_device *device;
} cpu;

/* Two threads, so that work is split even where the machine has one processor. */
static cpu open_cpu(void)
{
    const wispi_device_options options = {2, 1, 0};
    cpu c = {find_descriptor(), NULL, NULL};
    wisp_error err = {0};
    wisp_status status = c.descriptor->create(&host, NULL, &c.self, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    status = wispi_device_open(c.descriptor->vtable, c.self, 0, &options, &c.device, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return c;
}

/* Kernels, packed weights and scratch all come from the host, so what they leave behind shows. */
static void close_cpu(cpu *c)
{
    wispi_device_close(c->device);
    c->descriptor->destroy(c->self);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

/* --- the tests --- */

typedef struct outcome {
    wispi_text failures;
    int64_t n_pass;
    char skipped[1400]; /* why, where any was */
} outcome;

static void note(void *user, const wispi_op_result *result)
{
    outcome *out = user;
    if (result->outcome == WISPI_CHECK_PASS)
        out->n_pass++;
    else if (result->outcome == WISPI_CHECK_SKIP)
        memcpy(out->skipped, result->message, sizeof out->skipped);
    else
        wispi_op_result_text(&out->failures, result);
}

START_TEST(kernels_agree_with_the_reference)
{
    const wispi_op_family *family = wispi_op_families[_i];
    if (strcmp(family->ops[0]->name, "make_views") == 0)
        return; /* on a CPU the host's view engine makes them */
    cpu c = open_cpu();
    outcome out = {{0}, 0, ""};
    for (int32_t i = 0; i < family->n_ops; i++) {
        const wispi_op_options options = {family->ops[i]->name, 0};
        wispi_op_summary summary;
        wisp_error err = {0};
        wisp_status status = wispi_op_test_all(c.device, &options, note, &out, &summary, &err);
        ck_assert_msg(status == WISP_OK, "%s", err.message);
    }
    if (out.skipped[0])
        printf("bf16 cases of %s are SKIPPED: %s\n", family->ops[0]->name, out.skipped);
    ck_assert_msg(out.failures.length == 0, "\n%.3000s",
                  out.failures.data ? out.failures.data : "");
    ck_assert_int_gt(out.n_pass, 0);
    wispi_text_free(&out.failures);
    close_cpu(&c);
}
END_TEST

/* The own kernels exist in several copies, one for each instruction set. */
static void use_best(void)
{
    unsetenv("WISP_CPU_ISA");
}

static void use_avx2(void)
{
    setenv("WISP_CPU_ISA", "avx2", 1);
}

static void use_plain(void)
{
    setenv("WISP_CPU_ISA", "plain", 1);
}

static void add_case(Suite *suite, const char *name, void (*choose)(void), int n_families)
{
    TCase *c = tcase_create(name);
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, choose, use_best);
    tcase_add_loop_test(c, kernels_agree_with_the_reference, 0, n_families);
    suite_add_tcase(suite, c);
}

int main(void)
{
    int n_families = 0;
    while (wispi_op_families[n_families])
        n_families++;
    /* Tiny kernels by the thousand: threads that spin while they wait would starve each other where
     * processors are few. Read when the backend is loaded. */
    setenv("OMP_WAIT_POLICY", "passive", 0);
    Suite *suite = suite_create("cpu_ops");
    add_case(suite, "best", use_best, n_families);
    add_case(suite, "avx2", use_avx2, n_families);
    add_case(suite, "plain", use_plain, n_families);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

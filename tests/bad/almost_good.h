/* almost_good.h - a method plugin with everything that the gate asks for. A file that includes it
 * first defines what shall be different. What small_method.h knows counts too. */
#ifndef WISP_TESTS_ALMOST_GOOD_H
#define WISP_TESTS_ALMOST_GOOD_H

#include "wisp/host.h"
#include "wisp/method.h"

#ifndef MAGIC
#define MAGIC                                                                                      \
    {                                                                                              \
        'w', 'i', 's', 'p', '\r', '\n', 0x1a, '\n'                                                 \
    }
#endif
#ifndef BUNDLE_MAJOR
#define BUNDLE_MAJOR WISP_ABI_MAJOR
#endif
#ifndef BUNDLE_MINOR
#define BUNDLE_MINOR WISP_ABI_MINOR
#endif
#ifndef DESCRIPTOR_SIZE
#define DESCRIPTOR_SIZE sizeof(wisp_descriptor)
#endif
#ifndef KIND
#define KIND WISP_KIND_METHOD
#endif
#ifndef NAME
#define NAME PLUGIN_NAME /* from the file's name */
#endif
#ifndef SUMMARY
#define SUMMARY "a plugin for tests"
#endif
#ifndef CONFIG_SIZE
#define CONFIG_SIZE 0
#endif
#ifndef REQUIRES
#define REQUIRES NULL
#endif
#ifndef CHECK
#define CHECK NULL
#endif
#ifndef CREATE
#define CREATE NULL
#endif
#ifndef DESTROY
#define DESTROY NULL
#endif
#ifndef INIT
#define INIT NULL
#endif
#ifndef FINI
#define FINI NULL
#endif
#ifndef AT_ENTRY
#define AT_ENTRY (void)0
#endif

#ifndef VTABLE
#define VTABLE &test_vtable

#ifndef VTABLE_SIZE
#define VTABLE_SIZE sizeof(wisp_method_v0)
#endif
#include "small_method.h"
#ifndef STEP
#define STEP small_step
#endif

static const wisp_method_v0 test_vtable = {
    .struct_size = VTABLE_SIZE,
    .requirements = small_requirements,
    .build = small_build,
    .epoch_begin = EPOCH_BEGIN,
    .step = STEP,
    .evaluated_network = small_network,
};
#endif

static const wisp_descriptor test_descriptor = {
    .struct_size = DESCRIPTOR_SIZE,
    .option_size = sizeof(wisp_option),
    .kind = KIND,
    .name = NAME,
    .version = "1.2.3",
    .summary = SUMMARY,
    .doc = "Exists to be loaded, or refused, by tests.",
    .license = "Apache-2.0",
#ifdef OPTIONS
    .options = OPTIONS,
    .n_options = WISP_COUNT(OPTIONS),
#endif
    .config_size = CONFIG_SIZE,
    .requires_ids = REQUIRES,
    .check = CHECK,
    .create = CREATE,
    .destroy = DESTROY,
    .vtable = VTABLE,
};

WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void);
WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void)
{
    static const wisp_descriptor *const list[] = {&test_descriptor};
    static const wisp_bundle bundle = {
        MAGIC, sizeof(wisp_bundle), BUNDLE_MAJOR, BUNDLE_MINOR, list, 1, INIT, FINI};
    AT_ENTRY;
    return &bundle;
}

#endif

#include "train/validate_list.h"

#include <string.h>

#include "loader/gate.h"
#include "train/validate_kinds.h"
#include "train/validate_training.h"

enum { TRAINED = WISPI_OF_METHOD | WISPI_OF_BACKBONE };

/* clang-format off */
const wispi_validation wispi_validations[] = {
    /* --- the file --- */
    {"shared-object", "the file is a shared object for this machine",
     "link it with -shared, or with wisp_add_plugin() (ABI-18)",
     WISPI_OF_FILE, NULL, wispi_validate_shared_object, 0},
    {"one-exported-symbol", "wisp_plugin_entry is exported, and nothing else",
     "end the source with WISP_PLUGIN(descriptor), make everything else static and link with the "
     "flags of wisp_add_plugin() (ABI-1, ABI-15)",
     WISPI_OF_FILE, "shared-object", wispi_validate_one_exported_symbol, 0},
    {"loads", "every symbol that it needs is there when it is opened",
     "link the libraries that it needs, and none of the host's (ABI-6, ABI-13)",
     WISPI_OF_FILE, "one-exported-symbol", wispi_validate_loads, 0},
    {"entry-returns", "the entry returns the same bundle each time: no crash, no end, no wait",
     "let it return a pointer to a static const bundle and do nothing else (ABI-1)",
     WISPI_OF_FILE, "loads", wispi_validate_entry_returns, 0},
    {"prefix-sane", "magic and version are those of this host",
     "build it again with this host's headers (ABI-2, ABI-3)",
     WISPI_OF_FILE, "entry-returns", wispi_validate_prefix_sane, 0},
    {"mandatory-fields", "each descriptor and its vtable have all that they must have",
     "fill the field or function that is named (ABI-7, ABI-9, ABI-21)",
     WISPI_OF_FILE, "prefix-sane", wispi_validate_mandatory_fields, 0},
    {"file-name", "the file is called wisp-KIND-NAME.so after a plugin in it",
     "rename the file or the plugin: a run opens the file by its name (ABI-17)",
     WISPI_OF_FILE, "mandatory-fields", wispi_validate_file_name, 0},
    {"describe-under-50ms", "to describe itself takes less than 50 ms of the processor",
     "move work from the entry to init or create (ABI-1)",
     WISPI_OF_FILE, "mandatory-fields", wispi_validate_describe_under_50ms, 0},
    {"options-documented", "each option has key, type, help, range and default",
     "complete the option table (ABI-8)",
     WISPI_OF_FILE, "mandatory-fields", wispi_validate_options_documented, 0},
    {"defaults-in-range", "each default is a value that its own option would accept",
     "write the default as it would stand in TOML, within min and max (ABI-8)",
     WISPI_OF_FILE, "options-documented", wispi_validate_defaults_in_range, 0},
    {"options-fit-config", "each option's field lies in the config struct, and no two overlap",
     "take offsets with offsetof and config_size with sizeof (ABI-8)",
     WISPI_OF_FILE, "defaults-in-range", wispi_validate_options_fit_config, 0},
    {"init-succeeds", "the host lets the file in and init returns WISP_OK",
     "see the message; what only some machines have is asked for in create, not in init (ABI-9)",
     WISPI_OF_FILE, "options-fit-config file-name", wispi_validate_init_succeeds, 0},

    /* --- every kind --- */
    {"extensions-known", "this host has every extension that requires_ids names",
     "take a newer host, or do without the extension (ABI-6)",
     WISPI_OF_ALL, "init-succeeds", wispi_validate_extensions_known, 0},
    {"does-not-exit", "created, used and destroyed, it never ends the process",
     "return a status and a message instead of exit() or abort() (ABI-10)",
     WISPI_OF_ALL, "extensions-known", wispi_validate_does_not_exit,
     WISPI_TEST_OF_EXIT | WISPI_TEST_MAY_SKIP},
    {"creates", "check and create accept the options it was given",
     "see the message; a plugin works with its defaults (ABI-9)",
     WISPI_OF_ALL, "does-not-exit", wispi_validate_creates, 0},
    {"create-destroy-100", "a hundred times create and destroy leak nothing; destroy takes NULL",
     "free in destroy what create has made, and accept NULL (ABI-9)",
     WISPI_OF_ALL, "creates", wispi_validate_create_destroy_100, 0},
    {"config-untouched", "nothing is written beside or into the config struct",
     "copy what is to change into the instance; index lists by their count (ABI-8)",
     WISPI_OF_ALL, "creates", wispi_validate_config_untouched, 0},
    {"bad-options-refused", "wrong values are refused in words, and so is what nobody means where a number has no bounds",
     "give the option min and max, and check() a message (ABI-8, ABI-10)",
     WISPI_OF_ALL, "creates", wispi_validate_bad_options_refused, 0},
    {"option-limits", "each option at each end of its range, and each choice, works or is refused "
     "in words",
     "narrow min and max, or refuse in check() with a message (ABI-8)",
     WISPI_OF_ALL, "creates", wispi_validate_option_limits, 0},
    {"unknown-name-is-null", "a name that one side does not know is answered, not followed",
     "test what get_extension() returns; give NULL for the name of a class that is not there (ABI-6)",
     WISPI_OF_ALL, "creates", wispi_validate_unknown_name_is_null, 0},
    {"shape-contract", "groups and plans agree; boxes lie in the picture",
     "let plan() append as many views, of the sizes and in the order that groups() tells",
     WISPI_OF_SAMPLER, "creates", wispi_validate_sampler_shapes, 0},
    {"shape-contract", "samples, labels, names and order are what the headers say",
     "see the message and wisp/dataset.h",
     WISPI_OF_DATASET, "creates", wispi_validate_dataset_shapes, 0},
    {"pure-repeat", "the same source gives the same plan again, in any order",
     "draw from the source's key alone; keep nothing from call to call",
     WISPI_OF_SAMPLER, "shape-contract", wispi_validate_sampler_repeats, 0},
    {"pure-repeat", "a sample read again has the same bytes, and the set the same fingerprint",
     "keep nothing from call to call",
     WISPI_OF_DATASET, "shape-contract", wispi_validate_dataset_repeats, 0},
    {"same-seed-same-bits", "a second instance draws the same plans",
     "draw from the source's key alone: no clock, no address, no counter",
     WISPI_OF_SAMPLER, "pure-repeat", wispi_validate_sampler_seed, 0},
    {"same-seed-same-bits", "a second instance reads the same bytes",
     "sort what a folder lists; draw from the seed alone",
     WISPI_OF_DATASET, "pure-repeat", wispi_validate_dataset_seed, 0},
    {"deterministic-across-workers", "four threads at once draw the same plans as one",
     "plan() is [any]: it writes to nothing but its arguments (ABI-12)",
     WISPI_OF_SAMPLER, "same-seed-same-bits", wispi_validate_sampler_workers, 0},
    {"deterministic-across-workers", "four threads at once read the same bytes as one",
     "read() is [any]: use pread, and no buffer of the instance (ABI-12)",
     WISPI_OF_DATASET, "same-seed-same-bits", wispi_validate_dataset_workers, 0},
    {"sink-may-refuse", "read() without memory for the sample fails in words",
     "test what reserve() returns",
     WISPI_OF_DATASET, "shape-contract", wispi_validate_dataset_sink, 0},

    /* --- methods and backbones, in a training of six steps --- */
    {"shape-contract", "it builds, and a step of it can be recorded, with as few views as it "
     "takes too; the loss is one number",
     "see the message; requirements(), build() and step() say the same (ABI-21)",
     WISPI_OF_METHOD, "creates", wispi_validate_method_shapes, 0},
    {"shape-contract", "forward gives each output that build promised, in its shape",
     "fill wisp_backbone_info with what forward() gives, and give what is asked for",
     WISPI_OF_BACKBONE, "creates", wispi_validate_backbone_shapes, 0},
    {"capture", "a step reads no value of a tensor, and the device can do its calls again without "
     "the plugin",
     "step(), after_backward() and after_step() compute with tensors alone: what lasts is in "
     "named buffers, what changes with time is scheduled",
     TRAINED, "shape-contract", wispi_validate_capture,
     WISPI_TEST_MAY_SKIP},
    {"finite-output", "losses, weights and buffers stay finite",
     "look with wisp run --check-finite which operation it was",
     TRAINED, "capture", wispi_validate_finite_output, 0},
    {"same-seed-same-bits", "a second training of the same seed gives the same bits",
     "no clock, no address, no counter, no static variable; draw with wisp_uniform() and the "
     "initial values of nn.h",
     TRAINED, "finite-output", wispi_validate_training_seed, 0},
    {"deterministic-across-workers", "one worker that makes the views and four give the same bits",
     "let nothing depend on when a batch comes, or on the thread that calls",
     TRAINED, "same-seed-same-bits", wispi_validate_training_workers, 0},
    {"state-round-trip-bytes", "another instance loads a checkpoint and saves the same bytes",
     "name tensors after what they are, not after what happens to be counted",
     TRAINED, "same-seed-same-bits", wispi_validate_state_round_trip, 0},
    {"state-from-garbage", "a checkpoint that is cut off or damaged is refused in words and "
     "changes nothing",
     "keep nothing outside of named tensors",
     TRAINED, "state-round-trip-bytes", wispi_validate_state_from_garbage, 0},
    {"resume-equals-straight", "resumed in the middle of an epoch it ends with the same bits as "
     "without a break",
     "keep what lasts from step to step in named buffers (wisp_new_state), not in the instance",
     TRAINED, "state-round-trip-bytes", wispi_validate_resume, 0},
    {"gradient-check", "the gradient is that of the loss: finite differences in double, along a "
     "direction in each of up to 12 parameters and in all together",
     "write to no tensor that another operation made: its gradient needs what was there",
     TRAINED, "finite-output", wispi_validate_gradient_check, 0},
    {"every-backend", "on each backend that has a device here, loss and gradient are near those of "
     "the reference kernels",
     "see the message, and wisp ops test of that backend",
     TRAINED, "same-seed-same-bits", wispi_validate_every_backend, 0},
    {"batch-1", "batches of one image work or are refused in words",
     "divide by no number that can be 0, or refuse in build()",
     TRAINED, "finite-output", wispi_validate_batch_1, 0},
    {"one-view", "one view of each image works or is refused in words",
     "say in requirements() how many views it needs",
     TRAINED, "finite-output", wispi_validate_one_view, 0},
    {"nan-input", "images of NaN end in a loss that is not finite or in words, not in a crash",
     "make no index out of values without a clamp",
     TRAINED, "finite-output", wispi_validate_nan_input, 0},

    /* --- tasks, on made-up embeddings --- */
    {"shape-contract", "it reports metrics that are numbers, each once, with a protocol",
     "see the message and wisp/task.h",
     WISPI_OF_TASK, "creates", wispi_validate_task_shapes, 0},
    {"same-seed-same-bits", "a second instance reports the same bits",
     "draw from the context's seed alone: no clock, no address, no counter",
     WISPI_OF_TASK, "shape-contract", wispi_validate_task_seed, 0},
    {"no-labels", "images without labels are judged, or refused in words",
     "test what embed() gives: labels may be NULL",
     WISPI_OF_TASK, "shape-contract", wispi_validate_task_labels, 0},
    {"few-images", "two images, images of one class alone, and a single class are judged, or "
     "refused in words",
     "compare count and n_classes with what the options ask for",
     WISPI_OF_TASK, "shape-contract", wispi_validate_task_few, 0},
    {"nan-input", "embeddings of NaN end in words, or in metrics that are numbers",
     "let no metric and no index come out of NaN",
     WISPI_OF_TASK, "shape-contract", wispi_validate_task_nan, 0},

    /* --- backends --- */
    {"memory-round-trip", "memory is aligned and keeps what is written",
     "see alloc(), to_device() and to_host() in wisp/backend.h",
     WISPI_OF_BACKEND, "creates", wispi_validate_backend_memory, 0},
    {"unknown-kernel-refused", "an operation that nobody knows is refused in words",
     "let prepare() return WISP_E_UNSUPPORTED with a reason",
     WISPI_OF_BACKEND, "creates", wispi_validate_backend_unknown, 0},
    {"op-cases", "its kernels give what the reference kernels give, in f32",
     "run wisp ops test on the case that is named",
     WISPI_OF_BACKEND, "memory-round-trip unknown-kernel-refused", wispi_validate_backend_ops, 0},

    /* --- communicators --- */
    {"alone", "one rank gets its own values back from every collective",
     "see the message and wisp/comm.h",
     WISPI_OF_COMM, "creates", wispi_validate_comm_alone, 0},

    /* --- every kind: the process around it --- */
    {"fp-state-unchanged", "rounding, traps and denormals of floating point stay as they are",
     "link without -ffast-math and leave fenv alone (ABI-16)",
     WISPI_OF_ALL, "creates", wispi_validate_fp_state_unchanged, 0},
    {"thread-class", "it starts no threads",
     "use host->parallel_for (ABI-12)",
     WISPI_OF_DATASET | WISPI_OF_SAMPLER | WISPI_OF_BACKBONE | WISPI_OF_METHOD | WISPI_OF_TASK,
     "creates", wispi_validate_thread_class, 0},
    {"signals-unchanged", "signal handlers and masks stay as they are",
     "leave signals to the host (ABI-12)",
     WISPI_OF_ALL, "creates", wispi_validate_signals_unchanged, 0},
    {"environment-unchanged", "environment, locale, working folder and umask stay as they are",
     "no setenv, setlocale, chdir or umask (ABI-12)",
     WISPI_OF_ALL, "creates", wispi_validate_environment_unchanged, 0},
    {"prints-nothing", "nothing is written to standard output or error",
     "use host->log (ABI-10)",
     WISPI_OF_ALL, "creates", wispi_validate_prints_nothing, 0},
    {"leaves-nothing-behind", "used again and again it holds no more memory or files",
     "free and close in destroy all that was made since create (ABI-9)",
     WISPI_OF_ALL, "create-destroy-100", wispi_validate_leaves_nothing_behind, 0},
    {"oom-at-every-allocation", "whichever allocation fails, the plugin says so and leaves nothing",
     "test every pointer that the host gives, free what was made before, return WISP_E_NOMEM "
     "with a message (ABI-9, ABI-10)",
     WISPI_OF_ALL, "leaves-nothing-behind", wispi_validate_oom, 0},
};
/* clang-format on */
const int32_t wispi_n_validations = (int32_t)WISP_COUNT(wispi_validations);

const wispi_validation *wispi_validation_find(const char *id)
{
    for (int32_t i = 0; i < wispi_n_validations; i++)
        if (strcmp(wispi_validations[i].id, id) == 0)
            return &wispi_validations[i];
    return NULL;
}

void wispi_validation_kinds(const wispi_validation *v, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s", v->kinds == WISPI_OF_FILE ? "file" : "");
    if (v->kinds == WISPI_OF_ALL)
        snprintf(text, bytes, "every kind");
    for (int32_t i = 0; v->kinds != WISPI_OF_ALL && wispi_kinds[i]; i++)
        if (v->kinds & 1u << i) {
            const size_t used = strlen(text);
            snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", wispi_kinds[i]);
        }
}

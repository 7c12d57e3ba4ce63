/* cifar10 - the binary version of CIFAR-10: records of one label byte and 32 x 32 pixels. */
#include "cifar_records.h"

static const char *const train[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                    "data_batch_4.bin", "data_batch_5.bin", NULL};
static const char *const test[] = {"test_batch.bin", NULL};

static const cifar_kind kind = {.title = "CIFAR-10",
                                .train = train,
                                .test = test,
                                .sizes = "30730000 bytes each",
                                .n_labels = 1,
                                .classes = {10},
                                .names = {"batches.meta.txt"}};

static const wisp_choice splits[] = {
    {"train", "data_batch_1.bin to data_batch_5.bin", CIFAR_TRAIN, 0},
    {"test", "test_batch.bin", CIFAR_TEST, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(cifar_config, path),
     .help = "folder of the .bin files (cifar-10-batches-bin)"},
    {.key = "split",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(cifar_config, split),
     .default_value = "\"train\"",
     .choices = splits,
     .help = "which images"},
    WISP_SUBSET_OPTIONS(offsetof(cifar_config, subset)),
};

static int32_t recognises(const char *path)
{
    return cifar_recognises(&kind, path);
}

static const wisp_dataset_v0 vtable = {
    .struct_size = sizeof vtable,
    .count = cifar_count,
    .n_classes = cifar_n_classes,
    .class_name = cifar_class_name,
    .label = cifar_label,
    .read = cifar_read,
    .sample_name = cifar_sample_name,
    .fingerprint = cifar_fingerprint,
    .recognises = recognises,
};

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    return cifar_create(host, &kind, &vtable, config, self, err);
}

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "cifar10",
    .version = "0.1.0",
    .summary = "the binary version of CIFAR-10",
    .doc =
        "Reads data_batch_1.bin to data_batch_5.bin, or test_batch.bin, from `path` into memory "
        "(150 MB or 30 MB), and the names of the classes from batches.meta.txt where it is "
        "there. A file may hold any number of records of 3073 bytes. `list` and `fraction` take a "
        "part of the images.",
    .license = "Apache-2.0",
    .reference = "Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(cifar_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = cifar_destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)

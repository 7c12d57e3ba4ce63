/* cifar100 - the binary version of CIFAR-100: records of two label bytes, coarse and fine, and 32 x
 * 32 pixels. */
#include "cifar_records.h"

enum { COARSE = 0, FINE = 1 }; /* as they stand in a record */

static const char *const train[] = {"train.bin", NULL};
static const char *const test[] = {"test.bin", NULL};

static const cifar_kind kind = {
    .title = "CIFAR-100",
    .train = train,
    .test = test,
    .sizes = "153670000 bytes for training, 30740000 for testing",
    .n_labels = 2,
    .classes = {[COARSE] = 20, [FINE] = 100},
    .names = {[COARSE] = "coarse_label_names.txt", [FINE] = "fine_label_names.txt"}};

static const wisp_choice splits[] = {
    {"train", "train.bin", CIFAR_TRAIN, 0},
    {"test", "test.bin", CIFAR_TEST, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_choice labels[] = {
    {"fine", "100 classes", FINE, 0},
    {"coarse", "20 classes, of five fine ones each", COARSE, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(cifar_config, path),
     .help = "folder of the .bin files (cifar-100-binary)"},
    {.key = "split",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(cifar_config, split),
     .default_value = "\"train\"",
     .choices = splits,
     .help = "which images"},
    {.key = "classes",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(cifar_config, label),
     .default_value = "\"fine\"",
     .choices = labels,
     .help = "which of an image's two labels counts"},
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
    .name = "cifar100",
    .version = "0.1.0",
    .summary = "the binary version of CIFAR-100",
    .doc =
        "Reads train.bin, or test.bin, from `path` into memory (154 MB or 31 MB), and the names of "
        "the classes from fine_label_names.txt, or coarse_label_names.txt, where they are there. A "
        "file may hold any number of records of 3074 bytes: coarse label, fine label, pixels. "
        "`list` and `fraction` take a part of the images.",
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

#include "train/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"

#define HASH_KEY "wisp.hash"
#define NO_HASH "0000000000000000"
#define HEADER_BEGINNING "{\"__metadata__\":{\"" HASH_KEY "\":\""

enum { HASH_DIGITS = 16, MAX_TENSORS = 1 << 20 };

static const int64_t max_header = (int64_t)100 << 20;

typedef struct dtype_name {
    const char *name;
    int32_t dtype;
} dtype_name;

static const dtype_name dtype_names[] = {
    {"F32", WISP_F32}, {"BF16", WISP_BF16}, {"I32", WISP_I32}, {"I64", WISP_I64}, {"U8", WISP_U8}};

static const char *name_of_dtype(int32_t dtype)
{
    for (size_t i = 0; i < sizeof dtype_names / sizeof dtype_names[0]; i++)
        if (dtype_names[i].dtype == dtype)
            return dtype_names[i].name;
    return NULL;
}

static int32_t dtype_of_name(const char *name)
{
    for (size_t i = 0; name && i < sizeof dtype_names / sizeof dtype_names[0]; i++)
        if (strcmp(dtype_names[i].name, name) == 0)
            return dtype_names[i].dtype;
    return 0;
}

/* --- writing --- */

static void append_quoted(wispi_text *out, const char *text)
{
    json_t *value = json_string(text);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    if (quoted)
        wispi_text_append(out, quoted);
    else
        out->failed = 1;
    free(quoted);
    json_decref(value);
}

static void append_tensor(wispi_text *out, const wispi_stored_tensor *tensor, int64_t *offset)
{
    int64_t bytes = wisp_desc_bytes(&tensor->desc);
    wispi_text_append(out, ",");
    append_quoted(out, tensor->name);
    wispi_text_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", name_of_dtype(tensor->desc.dtype));
    for (int32_t i = 0; i < tensor->desc.rank; i++)
        wispi_text_printf(out, "%s%lld", i ? "," : "", (long long)tensor->desc.shape[i]);
    wispi_text_printf(out, "],\"data_offsets\":[%lld,%lld]}", (long long)*offset,
                      (long long)(*offset + bytes));
    *offset += bytes;
}

/* The header with zeros where the hash will stand, padded so that the data begin at a multiple
 * of 8. */
static wisp_status make_header(wispi_text *out, const wispi_stored_tensor *tensors,
                               int64_t n_tensors, const wispi_stored_text *texts, int64_t n_texts,
                               wisp_error *err)
{
    wispi_text_append(out, HEADER_BEGINNING NO_HASH "\"");
    for (int64_t i = 0; i < n_texts; i++) {
        wispi_text_append(out, ",");
        append_quoted(out, texts[i].key);
        wispi_text_append(out, ":");
        append_quoted(out, texts[i].value);
    }
    wispi_text_append(out, "}");
    int64_t offset = 0;
    for (int64_t i = 0; i < n_tensors; i++)
        append_tensor(out, &tensors[i], &offset);
    wispi_text_append(out, "}");
    while (!out->failed && out->length % 8)
        wispi_text_append(out, " ");
    return out->failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for a file's header") : WISP_OK;
}

static void little_endian(uint8_t out[8], uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static wisp_status write_parts(const char *path, wispi_text *header,
                               const wispi_stored_tensor *tensors, int64_t n, wisp_error *err)
{
    wispi_file_part *parts = wispi_alloc(((size_t)n + 2) * sizeof *parts);
    if (!parts)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory to write %lld tensors", path,
                         (long long)n);
    uint8_t length[8];
    little_endian(length, header->length);
    wispi_hash hash;
    wispi_hash_begin(&hash, 0);
    wispi_hash_add(&hash, length, sizeof length);
    wispi_hash_add(&hash, header->data, header->length);
    parts[0] = (wispi_file_part){length, sizeof length};
    parts[1] = (wispi_file_part){header->data, header->length};
    for (int64_t i = 0; i < n; i++) {
        parts[i + 2] =
            (wispi_file_part){tensors[i].data, (size_t)wisp_desc_bytes(&tensors[i].desc)};
        wispi_hash_add(&hash, parts[i + 2].data, parts[i + 2].bytes);
    }
    char digits[HASH_DIGITS + 1];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)wispi_hash_end(&hash));
    memcpy(strstr(header->data, NO_HASH), digits, HASH_DIGITS);
    wisp_status status = wispi_file_replace_parts(path, parts, (size_t)n + 2, err);
    wispi_free(parts);
    return status;
}

wisp_status wispi_safetensors_write(const char *path, const wispi_stored_tensor *tensors,
                                    int64_t n_tensors, const wispi_stored_text *texts,
                                    int64_t n_texts, wisp_error *err)
{
    wispi_text header = {NULL, 0, 0, 0};
    wisp_status status = make_header(&header, tensors, n_tensors, texts, n_texts, err);
    if (status == WISP_OK)
        status = write_parts(path, &header, tensors, n_tensors, err);
    wispi_text_free(&header);
    return status;
}

/* --- reading --- */

struct wispi_safetensors {
    char path[PATH_MAX];
    uint8_t *map;
    size_t bytes;
    size_t header_bytes;
    int has_hash; /* and it is right */
    json_t *header;
    wispi_stored_tensor *tensors;
    int64_t n_tensors;
};

static wisp_status corrupt(const wispi_safetensors *file, wisp_error *err, const char *what)
{
    return wisp_fail(err, WISP_E_CORRUPT, "%s: %s", file->path, what);
}

static wisp_status map_file(wispi_safetensors *file, wisp_error *err)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO, "%s: %s", file->path,
                         strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 8) {
        close(fd);
        return corrupt(file, err, "not a safetensors file: no regular file of 8 bytes or more");
    }
    file->bytes = (size_t)info.st_size;
    void *map = mmap(NULL, file->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    int problem = errno;
    close(fd);
    if (map == MAP_FAILED)
        return wisp_fail(err, WISP_E_IO, "%s: cannot map the file: %s", file->path,
                         strerror(problem));
    file->map = map;
    return WISP_OK;
}

static wisp_status find_header(wispi_safetensors *file, wisp_error *err)
{
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | file->map[i];
    if (length > (uint64_t)max_header || length > file->bytes - 8)
        return corrupt(file, err, "truncated, or not a safetensors file: its header does not fit");
    file->header_bytes = (size_t)length;
    return WISP_OK;
}

/* Before anything is believed. A file that does not begin as make_header() begins one carries no
 * hash. */
static wisp_status check_hash(wispi_safetensors *file, wisp_error *err)
{
    static const char beginning[] = HEADER_BEGINNING;
    const char *header = (const char *)file->map + 8;
    const size_t before = sizeof beginning - 1;
    if (file->header_bytes < before + HASH_DIGITS || memcmp(header, beginning, before) != 0)
        return WISP_OK;
    wispi_hash hash;
    wispi_hash_begin(&hash, 0);
    wispi_hash_add(&hash, file->map, 8 + before);
    wispi_hash_add(&hash, NO_HASH, HASH_DIGITS);
    wispi_hash_add(&hash, header + before + HASH_DIGITS, file->bytes - 8 - before - HASH_DIGITS);
    char digits[HASH_DIGITS + 1];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)wispi_hash_end(&hash));
    if (memcmp(header + before, digits, HASH_DIGITS) != 0)
        return corrupt(file, err, "truncated or altered: it does not match the hash stored in it");
    file->has_hash = 1;
    return WISP_OK;
}

/* What the hash says is whole can only lack memory: jansson itself reports that as any error. */
static wisp_status parse_header(wispi_safetensors *file, wisp_error *err)
{
    json_error_t problem;
    file->header = json_loadb((const char *)file->map + 8, file->header_bytes,
                              JSON_REJECT_DUPLICATES, &problem);
    if (json_is_object(file->header))
        return WISP_OK;
    if (file->has_hash || (!file->header && json_error_code(&problem) == json_error_out_of_memory))
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its header", file->path);
    return wisp_fail(err, WISP_E_CORRUPT, "%s: damaged header: %s", file->path,
                     problem.text[0] ? problem.text : "not a JSON object");
}

static wisp_status require_hash_of(const wispi_safetensors *file, int required, wisp_error *err)
{
    if (file->has_hash)
        return WISP_OK;
    if (wispi_safetensors_text(file, HASH_KEY))
        return corrupt(file, err, "damaged: its hash stands in the wrong place");
    return required ? corrupt(file, err, "not written by wisp: it carries no hash") : WISP_OK;
}

static wisp_status read_shape(const wispi_safetensors *file, const json_t *entry, wisp_desc *desc,
                              wisp_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > WISP_MAX_RANK)
        return corrupt(file, err, "a tensor's shape is missing or has too many dimensions");
    desc->rank = (int32_t)json_array_size(shape);
    int64_t count = 1;
    for (int32_t i = 0; i < desc->rank; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        desc->shape[i] = json_integer_value(size);
        if (!json_is_integer(size) || desc->shape[i] < 0)
            return corrupt(file, err, "a tensor's shape holds something else than sizes");
        if (__builtin_mul_overflow(count, desc->shape[i], &count) || count > INT64_MAX / 8)
            return corrupt(file, err, "a tensor's shape overflows");
    }
    return WISP_OK;
}

static wisp_status read_entry(const wispi_safetensors *file, const char *name, const json_t *entry,
                              wispi_stored_tensor *tensor, wisp_error *err)
{
    wisp_desc desc = {0, 0, {0}};
    desc.dtype = dtype_of_name(json_string_value(json_object_get(entry, "dtype")));
    if (!desc.dtype)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "%s: tensor %s has a data type that wisp does not read", file->path, name);
    WISP_TRY(read_shape(file, entry, &desc, err));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(first), end = json_integer_value(last);
    int64_t data_bytes = (int64_t)(file->bytes - 8 - file->header_bytes);
    if (!json_is_integer(first) || !json_is_integer(last) || begin < 0 || end < begin ||
        end > data_bytes || end - begin != wisp_desc_bytes(&desc))
        return wisp_fail(err, WISP_E_CORRUPT,
                         "%s: truncated or damaged: tensor %s does not lie within the file",
                         file->path, name);
    *tensor = (wispi_stored_tensor){name, desc, file->map + 8 + file->header_bytes + begin};
    return WISP_OK;
}

static int by_position(const void *a, const void *b)
{
    const wispi_stored_tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (wisp_desc_bytes(&x->desc) > 0) - (wisp_desc_bytes(&y->desc) > 0);
}

/* The format allows no gaps and no overlaps. */
static wisp_status check_coverage(const wispi_safetensors *file, wisp_error *err)
{
    const uint8_t *at = file->map + 8 + file->header_bytes;
    for (int64_t i = 0; i < file->n_tensors; i++) {
        if (file->tensors[i].data != at)
            return corrupt(file, err, "damaged: tensors overlap or leave a gap");
        at += wisp_desc_bytes(&file->tensors[i].desc);
    }
    if (at != file->map + file->bytes)
        return corrupt(file, err, "damaged: bytes behind the last tensor");
    return WISP_OK;
}

static wisp_status read_tensors(wispi_safetensors *file, wisp_error *err)
{
    size_t n = json_object_size(file->header);
    if (n > MAX_TENSORS)
        return corrupt(file, err, "damaged: too many tensors");
    file->tensors = wispi_alloc((n ? n : 1) * sizeof *file->tensors);
    if (!file->tensors)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for %zu names", file->path, n);
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        WISP_TRY(read_entry(file, name, entry, &file->tensors[file->n_tensors], err));
        file->n_tensors++;
    }
    if (file->n_tensors)
        qsort(file->tensors, (size_t)file->n_tensors, sizeof *file->tensors, by_position);
    return check_coverage(file, err);
}

wisp_status wispi_safetensors_open(const char *path, int require_hash, wispi_safetensors **out,
                                   wisp_error *err)
{
    wispi_safetensors *file = wispi_alloc(sizeof *file);
    if (!file)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory to open it", path);
    int length = snprintf(file->path, sizeof file->path, "%s", path);
    wisp_status status =
        length < 0 || (size_t)length >= sizeof file->path
            ? wisp_fail(err, WISP_E_INVALID, "%.200s...: the path is too long", path)
            : map_file(file, err);
    if (status == WISP_OK)
        status = find_header(file, err);
    if (status == WISP_OK)
        status = check_hash(file, err);
    if (status == WISP_OK)
        status = parse_header(file, err);
    if (status == WISP_OK)
        status = require_hash_of(file, require_hash, err);
    if (status == WISP_OK)
        status = read_tensors(file, err);
    if (status == WISP_OK)
        *out = file;
    else
        wispi_safetensors_close(file);
    return status;
}

void wispi_safetensors_close(wispi_safetensors *file)
{
    if (!file)
        return;
    wispi_free(file->tensors);
    json_decref(file->header);
    if (file->map)
        munmap(file->map, file->bytes);
    wispi_free(file);
}

int64_t wispi_safetensors_count(const wispi_safetensors *file)
{
    return file->n_tensors;
}

const wispi_stored_tensor *wispi_safetensors_at(const wispi_safetensors *file, int64_t index)
{
    return index >= 0 && index < file->n_tensors ? &file->tensors[index] : NULL;
}

const wispi_stored_tensor *wispi_safetensors_find(const wispi_safetensors *file, const char *name)
{
    for (int64_t i = 0; i < file->n_tensors; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *wispi_safetensors_text(const wispi_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

/* hidden.c - tests only: the backend `hidden`, the cpu backend's kernels on a device of its own
 * kind.
 *
 * Its pointers cannot be followed by the host: whoever tries, crashes. What it is asked for it does
 * only when somebody waits, so whoever changes memory too early gets other numbers. A call that a
 * real device would refuse is refused: copies from memory of the wrong kind, anything but kernels
 * within a capture. Its kernels work on copies of what has a version, and copy anew only what comes
 * in another one; a kernel that need not copy when it is captured never does in that graph.
 *
 * WISP_HIDDEN=late: uploads come as late as they may, not as soon. WISP_HIDDEN_TRACE=FILE: every
 * call by name, a line each. WISP_HIDDEN_DEVICES, WISP_HIDDEN_SCORE: other answers than 1 and 0.
 * WISP_HIDDEN_NO_GRAPH=begin|run|end: where a capture fails. WISP_HIDDEN_OLD=1: without what is
 * optional. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "hidden_queue.h"
#include "wisp/abi.h"

typedef struct hidden_backend {
    const wisp_backend_v0 *cpu;
    void *cpu_self;
    void (*cpu_destroy)(void *self);
} hidden_backend;

typedef struct hidden_block {
    void *memory; /* as the host knows it: hidden for device memory */
    size_t bytes;
} hidden_block;

enum { MAX_BLOCKS = 1 << 14, MAX_COPIES = 1024 };

typedef struct hidden_device {
    const wisp_backend_v0 *cpu;
    void *cpu_handle;
    hidden_queue queue;
    hidden_list *capture;            /* NULL: none is going on */
    hidden_block blocks[MAX_BLOCKS]; /* of alloc_host */
    int n_blocks;
    uint64_t n_launches;
    FILE *trace;
} hidden_device;

typedef struct hidden_copy {
    int32_t input;
    uint64_t uid, asked, held; /* the version when it was called last, and when it ran last */
    void *values;
} hidden_copy;

typedef struct hidden_kernel {
    wisp_kernel kernel;
    wisp_kernel *inner;
    hidden_device *device;
    int32_t n_in, n_out;
    size_t bytes[MAX_ARGUMENTS];
    hidden_copy copies[MAX_COPIES];
    int32_t n_copies;
} hidden_kernel;

static const char *setting(const char *name)
{
    const char *text = getenv(name);
    return text ? text : "";
}

static wisp_status call(hidden_device *d, const char *name, wisp_error *err)
{
    if (d->trace)
        fprintf(d->trace, "%s\n", name);
    return d->capture ? wisp_fail(err, WISP_E_STATE, "hidden: %s within a capture", name) : WISP_OK;
}

/* --- pointers: bit 55 makes an address that no program can have --- */

static const uintptr_t mark = (uintptr_t)1 << 55;

static int is_hidden(const void *p)
{
    return ((uintptr_t)p & mark) != 0;
}

static void *hide(void *p)
{
    return (void *)((uintptr_t)p | mark);
}

static void *reveal(const void *p)
{
    return (void *)((uintptr_t)p & ~mark);
}

/* --- plugin --- */

static wisp_status create(const struct wisp_host *host, const void *config, void **self,
                          wisp_error *err)
{
    (void)config;
    hidden_backend *b = calloc(1, sizeof *b);
    void *library = dlopen(CPU_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, WISP_ENTRY_SYMBOL) : NULL;
    wisp_plugin_entry_fn entry;
    if (!b || !symbol) {
        free(b);
        return wisp_fail(err, WISP_E_NOT_FOUND, "hidden: %s cannot be loaded", CPU_PLUGIN);
    }
    memcpy(&entry, &symbol, sizeof entry);
    const wisp_descriptor *d = entry()->descriptors[0];
    b->cpu = d->vtable;
    b->cpu_destroy = d->destroy;
    const wisp_status status = d->create(host, NULL, &b->cpu_self, err);
    if (status == WISP_OK)
        *self = b;
    else
        free(b);
    return status;
}

static void destroy(void *self)
{
    hidden_backend *b = self;
    if (!b)
        return;
    b->cpu_destroy(b->cpu_self);
    free(b);
}

static int32_t score(void *self)
{
    (void)self;
    return atoi(setting("WISP_HIDDEN_SCORE"));
}

static int32_t n_devices(void *self, wisp_error *err)
{
    (void)self;
    const char *n = setting("WISP_HIDDEN_DEVICES");
    if (strcmp(n, "0") == 0)
        wisp_fail(err, WISP_E_NOT_FOUND, "it is too well hidden");
    return n[0] ? atoi(n) : 1;
}

static wisp_status device_info(void *self, int32_t index, wisp_device_info *info, wisp_error *err)
{
    const hidden_backend *b = self;
    WISP_TRY(b->cpu->device_info(b->cpu_self, 0, info, err));
    snprintf(info->name, sizeof info->name, "device %d", (int)index);
    return WISP_OK;
}

static wisp_status open_device(void *self, int32_t index, int32_t n_threads, void **handle,
                               wisp_error *err)
{
    const hidden_backend *b = self;
    (void)index;
    hidden_device *d = calloc(1, sizeof *d);
    if (!d)
        return wisp_fail(err, WISP_E_NOMEM, "hidden: no memory");
    d->cpu = b->cpu;
    d->queue.late = strcmp(setting("WISP_HIDDEN"), "late") == 0;
    const char *trace = setting("WISP_HIDDEN_TRACE");
    d->trace = trace[0] ? fopen(trace, "w") : NULL;
    const wisp_status status = b->cpu->open(b->cpu_self, 0, n_threads, &d->cpu_handle, err);
    if (status == WISP_OK)
        *handle = d;
    else
        free(d);
    return status;
}

static void close_device(void *self, void *handle)
{
    const hidden_backend *b = self;
    hidden_device *d = handle;
    if (!d)
        return;
    if (d->trace)
        fclose(d->trace);
    hidden_queue_free(&d->queue);
    b->cpu->close(b->cpu_self, d->cpu_handle);
    free(d);
}

/* --- memory --- */

static wisp_status alloc_memory(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    hidden_device *d = handle;
    void *real = NULL;
    WISP_TRY(call(d, "alloc", err));
    WISP_TRY(d->cpu->alloc(d->cpu_handle, bytes, &real, err));
    memset(real, 0xa5, bytes);
    *memory = hide(real);
    return WISP_OK;
}

static void free_memory(void *handle, void *memory)
{
    hidden_device *d = handle;
    call(d, "free", NULL);
    hidden_queue_drain(&d->queue, NULL);
    d->cpu->free(d->cpu_handle, reveal(memory));
}

static wisp_status alloc_host(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "alloc_host", err));
    if (d->n_blocks == MAX_BLOCKS)
        return wisp_fail(err, WISP_E_NOMEM, "hidden: too many blocks");
    WISP_TRY(d->cpu->alloc(d->cpu_handle, bytes, memory, err));
    d->blocks[d->n_blocks++] = (hidden_block){*memory, bytes};
    return WISP_OK;
}

static void free_host(void *handle, void *memory)
{
    hidden_device *d = handle;
    call(d, "free_host", NULL);
    hidden_queue_drain(&d->queue, NULL);
    for (int i = 0; i < d->n_blocks; i++)
        if (d->blocks[i].memory == memory) {
            d->blocks[i] = d->blocks[--d->n_blocks];
            d->cpu->free(d->cpu_handle, memory);
            return;
        }
}

/* --- copies --- */

static int is_host_block(const hidden_device *d, const void *p, size_t bytes)
{
    for (int i = 0; i < d->n_blocks; i++) {
        const char *first = d->blocks[i].memory;
        if ((const char *)p >= first && (const char *)p + bytes <= first + d->blocks[i].bytes)
            return 1;
    }
    return 0;
}

static wisp_status check_copy(const char *name, int right, wisp_error *err)
{
    return right ? WISP_OK
                 : wisp_fail(err, WISP_E_INVALID, "hidden: %s with memory of the wrong kind", name);
}

static wisp_status add_copy(hidden_device *d, int lane, void *dst, const void *src, size_t bytes,
                            uint64_t *ticket, wisp_error *err)
{
    const hidden_item item = {
        .kind = ITEM_COPY, .dst = reveal(dst), .src = reveal(src), .bytes = bytes};
    const uint64_t made = hidden_queue_add(&d->queue, lane, &item);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "hidden: no memory");
    if (ticket) /* the lane is in the last bit */
        *ticket = 2 * made + (uint64_t)lane;
    return WISP_OK;
}

static wisp_status to_device(void *handle, void *dst, const void *src, size_t bytes,
                             wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "to_device", err));
    WISP_TRY(check_copy("to_device", is_hidden(dst) && !is_hidden(src), err));
    WISP_TRY(hidden_queue_drain(&d->queue, err));
    memcpy(reveal(dst), src, bytes);
    return WISP_OK;
}

static wisp_status to_host(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "to_host", err));
    WISP_TRY(check_copy("to_host", !is_hidden(dst) && is_hidden(src), err));
    WISP_TRY(hidden_queue_drain(&d->queue, err));
    memcpy(dst, reveal(src), bytes);
    return WISP_OK;
}

static wisp_status sync_device(void *handle, wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "sync", err));
    return hidden_queue_drain(&d->queue, err);
}

static wisp_status upload(void *handle, void *dst, const void *src, size_t bytes, uint64_t *ticket,
                          wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "upload", err));
    WISP_TRY(check_copy("upload", is_hidden(dst) && is_host_block(d, src, bytes), err));
    return add_copy(d, LANE_UPLOADS, dst, src, bytes, ticket, err);
}

static wisp_status download(void *handle, void *dst, const void *src, size_t bytes,
                            uint64_t *ticket, wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "download", err));
    WISP_TRY(check_copy("download", is_host_block(d, dst, bytes) && is_hidden(src), err));
    return add_copy(d, LANE_QUEUE, dst, src, bytes, ticket, err);
}

static wisp_status wait_for(void *handle, uint64_t ticket, wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "wait", err));
    return hidden_queue_wait(&d->queue, (int)(ticket & 1), ticket / 2, err);
}

static wisp_status order_uploads(void *handle, wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "order_uploads", err));
    return hidden_queue_order(&d->queue) ? WISP_OK
                                         : wisp_fail(err, WISP_E_NOMEM, "hidden: no memory");
}

static wisp_status copy_memory(void *handle, void *dst, const void *src, size_t bytes,
                               wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "copy", err));
    WISP_TRY(check_copy("copy", is_hidden(dst) && is_hidden(src), err));
    return add_copy(d, LANE_QUEUE, dst, src, bytes, NULL, err);
}

/* --- kernels --- */

static void translate(wisp_kernel_arg *to, const wisp_kernel_arg *from, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].data = reveal(from[i].data);
    }
}

static hidden_copy *copy_of(hidden_kernel *k, int32_t input, uint64_t uid)
{
    int32_t i = 0;
    while (i < k->n_copies && (k->copies[i].input != input || k->copies[i].uid != uid))
        i++;
    if (i == MAX_COPIES)
        return NULL;
    if (i == k->n_copies) {
        void *values = aligned_alloc(64, (k->bytes[input] + 64) / 64 * 64);
        if (!values)
            return NULL;
        k->copies[k->n_copies++] = (hidden_copy){.input = input, .uid = uid, .values = values};
    }
    return &k->copies[i];
}

static int is_written(const hidden_item *item, int32_t n_out, const void *data)
{
    for (int32_t i = 0; i < n_out; i++)
        if (item->out[i].data == data)
            return 1;
    return 0;
}

/* When it is done. */
static wisp_status run_item(const hidden_item *item, wisp_error *err)
{
    hidden_kernel *k = item->kernel;
    wisp_kernel_arg in[MAX_ARGUMENTS];
    for (int32_t i = 0; i < k->n_in; i++) {
        in[i] = item->in[i];
        if (!in[i].version || is_written(item, k->n_out, in[i].data))
            continue;
        hidden_copy *copy = copy_of(k, i, in[i].uid);
        if (!copy)
            return wisp_fail(err, WISP_E_NOMEM, "hidden: no memory for a copy");
        if (copy->held != in[i].version)
            memcpy(copy->values, in[i].data, k->bytes[i]);
        copy->held = in[i].version;
        in[i].data = copy->values;
        in[i].version = 0; /* no skipping of the cpu's own */
    }
    return k->inner->run(k->inner, in, item->out, item->scratch, err);
}

/* When it is asked for: would it copy this input? */
static int asks_anew(hidden_kernel *k, int32_t i, const wisp_kernel_arg *arg)
{
    hidden_copy *copy = arg->version ? copy_of(k, i, arg->uid) : NULL;
    const int anew = copy && copy->asked != arg->version;
    if (copy)
        copy->asked = arg->version;
    return anew;
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    hidden_kernel *k = kernel->state;
    hidden_device *d = k->device;
    hidden_item item = {
        .kind = ITEM_KERNEL, .kernel = k, .run = run_item, .scratch = reveal(scratch)};
    if (d->trace)
        fprintf(d->trace, "run\n");
    for (int32_t i = 0; i < k->n_in; i++)
        if (in[i].data && !is_hidden(in[i].data))
            return wisp_fail(err, WISP_E_INVALID, "hidden: an argument is host memory");
    for (int32_t i = 0; i < k->n_out; i++)
        if (out[i].data && !is_hidden(out[i].data))
            return wisp_fail(err, WISP_E_INVALID, "hidden: a result is host memory");
    item.n_in = k->n_in;
    translate(item.in, in, k->n_in);
    translate(item.out, out, k->n_out);
    for (int32_t i = 0; i < k->n_in; i++)
        item.is_fresh[i] = asks_anew(k, i, &in[i]);
    if (d->capture && strcmp(setting("WISP_HIDDEN_NO_GRAPH"), "run") == 0 && d->capture->n == 9)
        return wisp_fail(err, WISP_E_INTERNAL, "hidden: this kernel waits for itself");
    const int kept = d->capture ? hidden_list_add(d->capture, &item)
                                : hidden_queue_add(&d->queue, LANE_QUEUE, &item) != 0;
    return kept ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "hidden: no memory");
}

static void release(wisp_kernel *kernel)
{
    hidden_kernel *k = kernel->state;
    hidden_queue_drain(&k->device->queue, NULL);
    for (int32_t i = 0; i < k->n_copies; i++)
        free(k->copies[i].values);
    k->inner->release(k->inner);
    free(k);
}

static wisp_status prepare(void *handle, const wisp_kernel_request *request, wisp_kernel **kernel,
                           wisp_error *err)
{
    hidden_device *d = handle;
    hidden_kernel *k = calloc(1, sizeof *k);
    wisp_status status = k ? call(d, "prepare", err) : WISP_E_NOMEM;
    if (status == WISP_OK)
        status = d->cpu->prepare(d->cpu_handle, request, &k->inner, err);
    if (status != WISP_OK) {
        free(k);
        return status;
    }
    k->device = d;
    k->n_in = request->n_in;
    k->n_out = request->n_out;
    for (int32_t i = 0; i < k->n_in; i++)
        k->bytes[i] = request->in[i] ? (size_t)wisp_desc_bytes(request->in[i]) : 0;
    k->kernel = *k->inner;
    k->kernel.state = k;
    k->kernel.run = run;
    k->kernel.release = release;
    *kernel = &k->kernel;
    return WISP_OK;
}

/* --- graphs --- */

static wisp_status capture_begin(void *handle, wisp_error *err)
{
    hidden_device *d = handle;
    WISP_TRY(call(d, "capture_begin", err));
    if (strcmp(setting("WISP_HIDDEN_NO_GRAPH"), "begin") == 0)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "hidden: no captures today");
    d->capture = calloc(1, sizeof *d->capture);
    return d->capture ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "hidden: no memory");
}

static void graph_release(void *handle, void *graph)
{
    hidden_list *g = graph;
    call(handle, "graph_release", NULL);
    if (g)
        free(g->items);
    free(g);
}

static wisp_status capture_end(void *handle, void **graph, wisp_error *err)
{
    hidden_device *d = handle;
    hidden_list *made = d->capture;
    d->capture = NULL;
    WISP_TRY(call(d, "capture_end", err));
    if (strcmp(setting("WISP_HIDDEN_NO_GRAPH"), "end") == 0) {
        graph_release(d, made);
        return wisp_fail(err, WISP_E_UNSUPPORTED, "hidden: this cannot be a graph");
    }
    *graph = made;
    return WISP_OK;
}

static wisp_status graph_launch(void *handle, void *graph, wisp_error *err)
{
    hidden_device *d = handle;
    const hidden_list *g = graph;
    WISP_TRY(call(d, "graph_launch", err));
    d->n_launches++;
    for (uint64_t n = 0; n < g->n; n++) {
        hidden_item item = g->items[n];
        for (int32_t i = 0; i < item.n_in; i++)
            if (item.is_fresh[i])
                item.in[i].version += d->n_launches << 40;
        if (!hidden_queue_add(&d->queue, LANE_QUEUE, &item))
            return wisp_fail(err, WISP_E_NOMEM, "hidden: no memory");
    }
    return WISP_OK;
}

#define TABLE                                                                                      \
    .score = score, .n_devices = n_devices, .device_info = device_info, .open = open_device,       \
    .close = close_device, .alloc = alloc_memory, .free = free_memory, .to_device = to_device,     \
    .to_host = to_host, .sync = sync_device, .prepare = prepare, .host_visible = 0

static const wisp_backend_v0 whole_table = {
    .struct_size = sizeof(wisp_backend_v0),
    TABLE,
    .alloc_host = alloc_host,
    .free_host = free_host,
    .upload = upload,
    .download = download,
    .wait = wait_for,
    .order_uploads = order_uploads,
    .copy = copy_memory,
    .capture_begin = capture_begin,
    .capture_end = capture_end,
    .graph_launch = graph_launch,
    .graph_release = graph_release,
};

/* As a plugin from before there were uploads and graphs. */
static const wisp_backend_v0 old_table = {
    .struct_size = offsetof(wisp_backend_v0, alloc_host),
    TABLE,
};

static const wisp_descriptor descriptors[] = {
    {
        .struct_size = sizeof(wisp_descriptor),
        .option_size = sizeof(wisp_option),
        .kind = WISP_KIND_BACKEND,
        .name = "hidden",
        .version = "1",
        .summary = "the cpu backend behind pointers that nobody can follow",
        .doc = "For tests of what the host does for devices with memory and a queue of their own.",
        .license = "Apache-2.0",
        .create = create,
        .destroy = destroy,
        .vtable = &whole_table,
    },
    {
        .struct_size = sizeof(wisp_descriptor),
        .option_size = sizeof(wisp_option),
        .kind = WISP_KIND_BACKEND,
        .name = "hidden_old",
        .version = "1",
        .summary = "the same without uploads and graphs",
        .doc = "For tests of what the host does for backends of an earlier interface.",
        .license = "Apache-2.0",
        .create = create,
        .destroy = destroy,
        .vtable = &old_table,
    },
};

#ifdef OLD
WISP_PLUGIN(descriptors[1])
#else
WISP_PLUGIN(descriptors[0])
#endif

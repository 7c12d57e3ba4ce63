/* pack.c - rounds of samples: while the threads make those of one, one of them writes those of the
 * round before. */
#include "data/pack.h"

#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/sample_memory.h"
#include "wisp/packed.h"

/* A slot that held a larger sample than this gives its memory back. */
#define KEPT_BYTES ((size_t)1 << 20)

enum { SLOTS_PER_THREAD = 16, NAME_BYTES = 4096 };

/* One sample between being read and being written. */
typedef struct pack_slot {
    wispi_sample_memory memory;
    wisp_sample sample;
    uint64_t hash;
    int32_t recoded;
    wisp_status status;
    wisp_error err;
} pack_slot;

typedef struct pack_round {
    pack_slot *slots;
    int64_t first, n; /* samples */
} pack_round;

typedef struct packing {
    const wispi_pack_request *request;
    wispi_packed_writer *writer;
    wispi_recoder **recoders; /* one for each thread */
    int32_t n_threads;
    pack_round rounds[2];
    pack_round *making, *writing;
    atomic_int_fast64_t next; /* piece of work of this round: 0 is writing, then the slots */
    int64_t total;
    wispi_pack_facts facts;
    wisp_status status; /* of writing */
    wisp_error err;
} packing;

/* --- making one sample --- */

static wisp_status make_sample(const packing *p, wispi_recoder *recoder, int64_t index,
                               pack_slot *slot, wisp_error *err)
{
    const wispi_pack_request *r = p->request;
    const uint8_t *data = NULL;
    size_t bytes = 0;
    WISP_TRY(
        wispi_sample_read(&slot->memory, r->dataset, r->dataset_self, index, &slot->sample, err));
    WISP_TRY(wispi_recode(recoder, &slot->sample, &r->recode, &data, &bytes, err));
    slot->recoded = data != NULL;
    if (data) {
        if (!slot->memory.sink.reserve(&slot->memory.sink, bytes))
            return wisp_fail(err, WISP_E_NOMEM, "no memory for %zu bytes", bytes);
        memcpy(slot->memory.bytes, data, bytes);
        slot->sample = (wisp_sample){.form = WISP_SAMPLE_ENCODED, .bytes = bytes};
    }
    if (slot->sample.form == WISP_SAMPLE_ENCODED)
        slot->sample.width = slot->sample.height = 0;
    slot->hash = wispi_hash64(slot->memory.bytes, slot->sample.bytes, 0);
    return WISP_OK;
}

/* --- writing a round --- */

static void name_sample(const packing *p, int64_t index, char name[NAME_BYTES])
{
    name[0] = 0;
    p->request->dataset->sample_name(p->request->dataset_self, index, name, NAME_BYTES);
    if (!name[0])
        snprintf(name, NAME_BYTES, "%lld", (long long)index);
}

/* A broken sample is one that others may do without; all else ends it. */
static wisp_status tell_failure(packing *p, const pack_slot *slot, const char *name)
{
    const char *message = slot->err.message;
    if (slot->status == WISP_E_DATA && p->request->skip_broken) {
        wispi_log(WISP_LOG_WARNING, "left out: \"%s\": %s", name, message);
        p->facts.n_broken++;
        return WISP_OK;
    }
    if (slot->status == WISP_E_DATA)
        return wisp_fail(&p->err, WISP_E_DATA,
                         "\"%.400s\" is broken: %.700s; mend it, or leave broken samples out with "
                         "--skip-broken",
                         name, message);
    return wisp_fail(&p->err, slot->status, "\"%.400s\": %.800s", name, message);
}

static wisp_status write_slot(packing *p, pack_slot *slot, int64_t index)
{
    const wispi_pack_request *r = p->request;
    char name[NAME_BYTES];
    name_sample(p, index, name);
    if (slot->status != WISP_OK)
        return tell_failure(p, slot, name);
    const wispi_packed_sample sample = {
        .name = name,
        .data = slot->memory.bytes,
        .bytes = slot->sample.bytes,
        .hash = slot->hash,
        .label = p->facts.n_classes > 0 ? r->dataset->label(r->dataset_self, index) : -1,
        .form = slot->sample.form,
        .width = slot->sample.width,
        .height = slot->sample.height};
    WISP_TRY(wispi_packed_writer_add(p->writer, &sample, &p->err));
    p->facts.file.count++;
    p->facts.file.bytes += (int64_t)slot->sample.bytes;
    p->facts.n_recoded += slot->recoded;
    return WISP_OK;
}

static void write_round(packing *p)
{
    pack_round *round = p->writing;
    for (int64_t i = 0; i < round->n && p->status == WISP_OK; i++)
        p->status = write_slot(p, &round->slots[i], round->first + i);
    for (int64_t i = 0; i < round->n; i++) {
        pack_slot *slot = &round->slots[i];
        if (slot->memory.capacity > KEPT_BYTES)
            wispi_sample_memory_free(&slot->memory);
    }
    round->n = 0;
}

/* --- rounds --- */

/* One thread's share: the next piece of work, as long as there is one. */
static void work(void *user, int64_t first, int64_t last)
{
    packing *p = user;
    (void)last;
    for (;;) {
        const int64_t piece = atomic_fetch_add(&p->next, 1);
        if (piece > p->making->n)
            return;
        if (piece == 0) {
            write_round(p);
            continue;
        }
        pack_slot *slot = &p->making->slots[piece - 1];
        memset(&slot->err, 0, sizeof slot->err);
        slot->status =
            make_sample(p, p->recoders[first], p->making->first + piece - 1, slot, &slot->err);
    }
}

static void run_round(packing *p)
{
    atomic_store(&p->next, 0);
    wispi_pool_for(p->request->pool, p->n_threads, 1, work, p);
    pack_round *made = p->making;
    p->making = p->writing;
    p->writing = made;
}

static wisp_status run_rounds(packing *p, wisp_error *err)
{
    const int64_t most = (int64_t)p->n_threads * SLOTS_PER_THREAD;
    const wispi_pack_request *r = p->request;
    for (int64_t done = 0; done < p->total || p->writing->n > 0;) {
        if (r->stop && *r->stop)
            return wisp_fail(err, WISP_E_STOPPED, "stopped; nothing was written");
        p->making->first = done;
        p->making->n = p->total - done < most ? p->total - done : most;
        done += p->making->n;
        run_round(p);
        if (p->status != WISP_OK) {
            if (err)
                *err = p->err;
            return p->status;
        }
        if (r->progress)
            r->progress(r->user, p->writing->first, p->total, p->facts.file.bytes);
    }
    return WISP_OK;
}

/* --- life --- */

static wisp_status add_class_names(const wispi_pack_request *r, int32_t n, wispi_text *names,
                                   wisp_error *err)
{
    for (int32_t i = 0; i < n; i++) {
        const char *name =
            r->dataset->class_name ? r->dataset->class_name(r->dataset_self, i) : NULL;
        if (!name) {
            wispi_text_free(names);
            return WISP_OK;
        }
        wispi_text_append_bytes(names, name, strlen(name) + 1);
    }
    return names->failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for the names of %d classes", n)
                         : WISP_OK;
}

static wisp_status finish(packing *p, wisp_error *err)
{
    wispi_text names = {0};
    wispi_pack_facts *f = &p->facts;
    if (f->file.count == 0)
        return wisp_fail(err, WISP_E_DATA,
                         "no sample is left: all %lld are broken, and nothing was written",
                         (long long)p->total);
    wisp_status status = add_class_names(p->request, f->n_classes, &names, err);
    if (status == WISP_OK)
        status = wispi_packed_writer_finish(p->writer, names.data, names.length, &f->file, err);
    wispi_text_free(&names);
    return status;
}

static wisp_status open_packing(packing *p, const char *path, wisp_error *err)
{
    const wispi_pack_request *r = p->request;
    const int64_t slots = (int64_t)p->n_threads * SLOTS_PER_THREAD;
    p->facts.n_classes = r->dataset->n_classes(r->dataset_self);
    if (p->facts.n_classes > WISP_PACKED_MAX_CLASSES)
        return wisp_fail(err, WISP_E_UNSUPPORTED,
                         "a packed data set has at most %d classes, not %d",
                         WISP_PACKED_MAX_CLASSES, p->facts.n_classes);
    for (int i = 0; i < 2; i++) {
        p->rounds[i].slots = wispi_alloc_array((size_t)slots, sizeof(pack_slot));
        if (!p->rounds[i].slots)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld samples", (long long)slots);
        for (int64_t k = 0; k < slots; k++)
            wispi_sample_memory_open(&p->rounds[i].slots[k].memory);
    }
    p->making = &p->rounds[0];
    p->writing = &p->rounds[1];
    p->recoders = wispi_alloc_array((size_t)p->n_threads, sizeof *p->recoders);
    if (!p->recoders)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %d threads", p->n_threads);
    for (int32_t i = 0; i < p->n_threads; i++)
        WISP_TRY(wispi_recoder_create(&p->recoders[i], err));
    return wispi_packed_writer_open(path, p->facts.n_classes, 0, &p->writer, err);
}

static void close_packing(packing *p)
{
    wispi_packed_writer_destroy(p->writer);
    for (int32_t i = 0; p->recoders && i < p->n_threads; i++)
        wispi_recoder_destroy(p->recoders[i]);
    wispi_free(p->recoders);
    for (int i = 0; i < 2; i++) {
        for (int64_t k = 0; p->rounds[i].slots && k < (int64_t)p->n_threads * SLOTS_PER_THREAD; k++)
            wispi_sample_memory_free(&p->rounds[i].slots[k].memory);
        wispi_free(p->rounds[i].slots);
    }
}

wisp_status wispi_pack(const wispi_pack_request *request, const char *path, wispi_pack_facts *facts,
                       wisp_error *err)
{
    packing p = {.request = request,
                 .n_threads = wispi_pool_size(request->pool),
                 .total = request->dataset->count(request->dataset_self)};
    if (request->limit > 0 && request->limit < p.total)
        p.total = request->limit;
    wisp_status status = open_packing(&p, path, err);
    if (status == WISP_OK)
        status = run_rounds(&p, err);
    if (status == WISP_OK)
        status = finish(&p, err);
    if (status == WISP_OK)
        *facts = p.facts;
    close_packing(&p);
    return status;
}

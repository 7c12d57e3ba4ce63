/* layout_index.c - checks and counts the records, then takes them over.
 *
 * libhdf5 gives names in rising order, of groups and within each of them; where they are not, or
 * come twice, the file is damaged. So nothing is left to sort. */
#include "layout_index.h"

#include "layout_record.h"

/* Records one after the other. */
typedef struct reading {
    const uint8_t *at, *end;
    layout_record record; /* the one that was read last, */
    const char *text;     /* and its text */
} reading;

typedef struct tally {
    int64_t images, loose, groups, other;
    size_t name_bytes;
    const char *group, *image, *stray; /* the latest of each; NULL: none yet */
} tally;

static wisp_status damaged(wisp_error *err)
{
    return wisp_fail(err, WISP_E_DATA, "the layout ends early, or makes no sense");
}

/* A text is as long as it says, ends, and holds no other end. */
static wisp_status next_record(reading *r, wisp_error *err)
{
    const size_t left = (size_t)(r->end - r->at);
    if (left < sizeof r->record)
        return damaged(err);
    memcpy(&r->record, r->at, sizeof r->record);
    const layout_record *record = &r->record;
    if (record->text_bytes > LAYOUT_MAX_TEXT ||
        left - sizeof *record < layout_padded(record->text_bytes))
        return damaged(err);
    r->text = (const char *)r->at + sizeof *record;
    if (memchr(r->text, 0, (size_t)record->text_bytes + 1) != r->text + record->text_bytes)
        return damaged(err);
    r->at += sizeof *record + layout_padded(record->text_bytes);
    return WISP_OK;
}

/* Whether `text` comes after the `latest` of its kind, which it then is. */
static int comes_after(const char **latest, const char *text)
{
    const int rises = !*latest || strcmp(*latest, text) < 0;
    *latest = text;
    return rises;
}

static wisp_status count_image(const reading *r, int64_t *n, const char **latest, wisp_error *err)
{
    const layout_record *record = &r->record;
    if (record->offset < 0 || record->bytes < 0 || record->bytes > INT64_MAX - record->offset)
        return damaged(err);
    *n += 1;
    return comes_after(latest, r->text) ? WISP_OK : damaged(err);
}

static wisp_status count_record(const reading *r, tally *t, wisp_error *err)
{
    t->name_bytes += (size_t)r->record.text_bytes + 1;
    switch (r->record.kind) {
    case LAYOUT_GROUP:
        t->image = NULL;
        if (++t->groups > INT32_MAX)
            return wisp_fail(err, WISP_E_DATA, "more than %d groups", INT32_MAX);
        return comes_after(&t->group, r->text) ? WISP_OK : damaged(err);
    case LAYOUT_IMAGE:
        return t->group ? count_image(r, &t->images, &t->image, err) : damaged(err);
    case LAYOUT_LOOSE:
        return count_image(r, &t->loose, &t->stray, err);
    case LAYOUT_OTHER:
        t->other++;
        return WISP_OK;
    case LAYOUT_REFUSED:
        return wisp_fail(err, WISP_E_DATA, "%s", r->text[0] ? r->text : "no reason is given");
    default:
        return damaged(err);
    }
}

static wisp_status count_all(const uint8_t *records, size_t bytes, tally *t, wisp_error *err)
{
    reading r = {.at = records, .end = records + bytes};
    for (;;) {
        WISP_TRY(next_record(&r, err));
        if (r.record.kind == LAYOUT_END)
            break;
        WISP_TRY(count_record(&r, t, err));
    }
    if (r.at != r.end || r.record.offset != t->images + t->loose || r.record.bytes != t->groups)
        return damaged(err);
    return WISP_OK;
}

/* --- taking over --- */

static size_t keep_name(layout_index *x, size_t *used, const reading *r)
{
    const size_t at = *used, bytes = (size_t)r->record.text_bytes + 1;
    memcpy(x->names + at, r->text, bytes);
    *used += bytes;
    return at;
}

/* Images beside groups that hold images belong to no class; without such groups they are all there
 * is. */
static void take_records(layout_index *x, const uint8_t *records, size_t bytes, const tally *t)
{
    reading r = {.at = records, .end = records + bytes};
    const uint32_t kind = t->images > 0 ? LAYOUT_IMAGE : LAYOUT_LOOSE;
    size_t used = 0;
    while (next_record(&r, NULL) == WISP_OK && r.record.kind != LAYOUT_END) {
        if (r.record.kind == LAYOUT_GROUP && t->images > 0)
            x->classes[x->n_classes++] = keep_name(x, &used, &r);
        if (r.record.kind == kind)
            x->images[x->n_images++] = (layout_image){.offset = r.record.offset,
                                                      .bytes = r.record.bytes,
                                                      .name = keep_name(x, &used, &r),
                                                      .label = x->n_classes - 1};
    }
    x->n_other = t->other + (t->images > 0 ? t->loose : 0);
}

static void count_empty(layout_index *x, const tally *t)
{
    int32_t full = 0;
    for (int64_t i = 0; i < x->n_images; i++)
        full += x->images[i].label >= 0 && (i == 0 || x->images[i].label != x->images[i - 1].label);
    x->n_empty = (int32_t)t->groups - full;
}

wisp_status layout_index_fill(layout_index *index, const wisp_host *host, const uint8_t *records,
                              size_t bytes, wisp_error *err)
{
    tally t = {0};
    WISP_TRY(count_all(records, bytes, &t, err));
    const size_t images = (size_t)(t.images > 0 ? t.images : t.loose);
    layout_index x = {.host = host};
    x.names = host->alloc(host, t.name_bytes + 1);
    x.images = host->alloc(host, (images + 1) * sizeof *x.images);
    x.classes = host->alloc(host, ((size_t)t.groups + 1) * sizeof *x.classes);
    if (!x.names || !x.images || !x.classes) {
        layout_index_free(&x);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a list of %zu images", images);
    }
    take_records(&x, records, bytes, &t);
    count_empty(&x, &t);
    *index = x;
    return WISP_OK;
}

void layout_index_free(layout_index *index)
{
    if (!index->host)
        return;
    index->host->free(index->host, index->names);
    index->host->free(index->host, index->images);
    index->host->free(index->host, index->classes);
    *index = (layout_index){0};
}

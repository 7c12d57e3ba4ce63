/* layout_walk.c - the groups below the root, and the data sets in them; nothing deeper.
 *
 * Nothing is read but headers. A data set is an image where its bytes stand in one piece, because
 * then a plain read at its offset does, in any thread. */
#include "layout_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "layout_record.h"

typedef struct walk {
    layout_sink *sink;
    unsigned long file; /* number that libhdf5 gives it; what is elsewhere is not read */
    hsize_t block;      /* bytes of others in front */
    const char *group;  /* NULL: the root itself */
    int64_t n_images, n_groups;
    int broken;  /* the sink takes no more */
    int refused; /* LAYOUT_REFUSED is out */
} walk;

/* --- records --- */

static int put_record(walk *w, layout_record record, const char *text)
{
    static const char padding[8];
    const size_t whole = layout_padded(record.text_bytes);
    w->broken = w->broken || w->sink->put(w->sink, &record, sizeof record) ||
                w->sink->put(w->sink, text, record.text_bytes) ||
                w->sink->put(w->sink, padding, whole - record.text_bytes);
    return w->broken ? -1 : 0;
}

static int put_text(walk *w, uint32_t kind, const char *text)
{
    return put_record(w, (layout_record){.kind = kind, .text_bytes = (uint32_t)strlen(text)}, text);
}

static int __attribute__((format(printf, 2, 3))) refuse(walk *w, const char *format, ...)
{
    char text[LAYOUT_MAX_TEXT + 1];
    va_list arguments;
    if (w->refused)
        return -1;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    w->refused = 1;
    put_text(w, LAYOUT_REFUSED, text);
    return -1;
}

/* --- what libhdf5 says --- */

typedef struct complaint {
    char text[1024];
} complaint;

static herr_t first_complaint(unsigned n, const H5E_error2_t *error, void *user)
{
    complaint *c = user;
    if (n == 0 && error->desc)
        snprintf(c->text, sizeof c->text, "%s", error->desc);
    return 0;
}

/* Of a failed read libhdf5 tells the time and addresses too; what the system said is enough. */
static void shorten(char *text)
{
    static const char before_reason[] = "error message = '";
    char *rest = strstr(text, ": time = ");
    const char *reason = rest ? strstr(rest, before_reason) : NULL;
    if (reason) {
        reason += sizeof before_reason - 1;
        const size_t length = strcspn(reason, "'");
        memmove(rest + 2, reason, length);
        rest[2 + length] = 0;
    }
    text[strcspn(text, "\n")] = 0;
}

/* Where it failed, not what failed because of that. */
static complaint innermost(void)
{
    complaint c = {"no reason given"};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_complaint, &c);
    shorten(c.text);
    return c;
}

static int refuse_object(walk *w, const char *name, const char *why)
{
    return refuse(w, "\"%.200s%s%.200s\" %s", w->group ? w->group : "", w->group ? "/" : "", name,
                  why);
}

/* --- data sets --- */

/* Bytes of a data set that is a row of bytes or one opaque value; -1: it is something else. */
static int64_t row_bytes(hid_t set, char why[160])
{
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    const int rank = H5Sget_simple_extent_ndims(space);
    const hssize_t points = H5Sget_simple_extent_npoints(space);
    const H5T_class_t kind = H5Tget_class(type);
    const size_t size = H5Tget_size(type);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    const int is_bytes = (kind == H5T_INTEGER && size == 1) || (kind == H5T_OPAQUE && size > 0);
    if (is_bytes && rank >= 0 && rank <= 1 && points >= 0 && points <= INT64_MAX / (int64_t)size)
        return points * (int64_t)size;
    snprintf(why, 160,
             "has %d dimension%s of values of %zu bytes; an image is the bytes of a JPEG or PNG "
             "file, one dimension of 8-bit integers or one opaque value",
             rank, rank == 1 ? "" : "s", size);
    return -1;
}

/* Why a data set has no place in the file: nothing was written to it, or it is not in one piece. */
static int explain_place(hid_t set, int64_t bytes, char why[160])
{
    const hid_t made = H5Dget_create_plist(set);
    const H5D_layout_t layout = H5Pget_layout(made);
    const int elsewhere = H5Pget_external_count(made);
    if (made >= 0)
        H5Pclose(made);
    if (bytes == 0 || (layout == H5D_CONTIGUOUS && elsewhere == 0))
        return 0;
    snprintf(why, 160, "%s; \"h5repack -l CONTI -f NONE OLD NEW\" writes a file that can be read",
             elsewhere > 0              ? "lies in another file"
             : layout == H5D_CHUNKED    ? "is chunked or compressed"
             : layout == H5D_COMPACT    ? "lies in its header (compact)"
             : layout == H5D_CONTIGUOUS ? "has no place in the file"
                                        : "is virtual");
    return -1;
}

/* Where there is no place, libhdf5 may add the block in front to that answer too. */
static int has_place(const walk *w, hid_t set, haddr_t offset)
{
    return offset != HADDR_UNDEF && offset != (haddr_t)(HADDR_UNDEF + w->block) &&
           H5Dget_storage_size(set) > 0;
}

/* Nonzero, with `why`, where it is no image. */
static int judge(const walk *w, hid_t set, layout_record *record, char why[160])
{
    record->bytes = row_bytes(set, why);
    if (record->bytes < 0)
        return -1;
    const haddr_t offset = H5Dget_offset(set);
    if (!has_place(w, set, offset)) {
        const int outcome = explain_place(set, record->bytes, why);
        record->bytes = record->offset = 0;
        return outcome;
    }
    if (offset > (haddr_t)(INT64_MAX - record->bytes)) {
        snprintf(why, 160, "lies at byte %llu, which is damage", (unsigned long long)offset);
        return -1;
    }
    record->offset = (int64_t)offset;
    return 0;
}

static int put_image(walk *w, const char *name, const layout_record *record)
{
    const uint32_t kind = w->group ? LAYOUT_IMAGE : LAYOUT_LOOSE;
    layout_record image = {kind, (uint32_t)strlen(name), record->offset, record->bytes};
    w->n_images++;
    return put_record(w, image, name);
}

static int take_dataset(walk *w, hid_t set, const char *name)
{
    layout_record record = {0};
    char why[160] = "";
    if (judge(w, set, &record, why) == 0)
        return put_image(w, name, &record);
    /* Beside the groups there may be anything. */
    return w->group ? refuse_object(w, name, why) : put_text(w, LAYOUT_OTHER, name);
}

/* --- links --- */

/* Whether an object that a soft link led to is in this file. */
static int is_here(const walk *w, hid_t object)
{
    H5O_info_t info;
    return H5Oget_info2(object, &info, H5O_INFO_BASIC) >= 0 && info.fileno == w->file;
}

static herr_t visit(hid_t parent, const char *name, const H5L_info_t *link, void *user);

static int take_group(walk *w, hid_t group, const char *name)
{
    if (w->group)
        return refuse_object(w, name,
                             "is a group: images lie directly in the group of their class");
    w->n_groups++;
    if (put_text(w, LAYOUT_GROUP, name) != 0)
        return -1;
    w->group = name;
    const herr_t outcome = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, w);
    w->group = NULL;
    if (outcome < 0 && !w->broken && !w->refused)
        return refuse_object(w, name, innermost().text);
    return outcome < 0 ? -1 : 0;
}

static int take_object(walk *w, hid_t object, const char *name, int by_soft_link)
{
    const H5I_type_t type = H5Iget_type(object);
    if (by_soft_link && !is_here(w, object))
        return put_text(w, LAYOUT_OTHER, name);
    if (type == H5I_DATASET)
        return take_dataset(w, object, name);
    if (type == H5I_GROUP)
        return take_group(w, object, name);
    return put_text(w, LAYOUT_OTHER, name);
}

/* A soft link that leads nowhere is passed over, as are links into other files. */
static herr_t visit(hid_t parent, const char *name, const H5L_info_t *link, void *user)
{
    walk *w = user;
    if (strlen(name) > LAYOUT_MAX_TEXT)
        return refuse_object(w, name, "... is too long a name");
    if (link->type != H5L_TYPE_HARD && link->type != H5L_TYPE_SOFT)
        return put_text(w, LAYOUT_OTHER, name);
    const hid_t object = H5Oopen(parent, name, H5P_DEFAULT);
    if (object < 0 && link->type == H5L_TYPE_SOFT)
        return put_text(w, LAYOUT_OTHER, name);
    if (object < 0)
        return refuse_object(w, name, innermost().text);
    const int outcome = take_object(w, object, name, link->type == H5L_TYPE_SOFT);
    H5Oclose(object);
    return outcome;
}

int layout_walk(hid_t file, layout_sink *sink)
{
    walk w = {.sink = sink};
    H5O_info_t info;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (file < 0 || H5Oget_info2(file, &info, H5O_INFO_BASIC) < 0) {
        refuse(&w, "libhdf5 says: %s", innermost().text);
        return w.broken;
    }
    w.file = info.fileno;
    const hid_t made = H5Fget_create_plist(file);
    H5Pget_userblock(made, &w.block);
    H5Pclose(made);
    const herr_t outcome = H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, &w);
    if (outcome < 0 && !w.refused)
        refuse(&w, "libhdf5 says: %s", innermost().text);
    if (!w.refused)
        put_record(
            &w, (layout_record){.kind = LAYOUT_END, .offset = w.n_images, .bytes = w.n_groups}, "");
    return w.broken;
}

/* Locks of files are left alone: many file systems of clusters have none, and nothing is written.
 * Filters are never needed, so no library of any is loaded. */
int layout_walk_path(const char *path, layout_sink *sink)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, 0, 1);
    return layout_walk(H5Fopen(path, H5F_ACC_RDONLY, access), sink);
}

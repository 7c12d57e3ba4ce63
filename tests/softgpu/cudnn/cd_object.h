/* cuDNN's descriptors: each is a bag of attributes until it is finalized, and constant afterwards.
 * What may be set is one table (cd_rules.c); what it means together is decided by cd_finalize(). */
#ifndef WISP_SOFT_CD_OBJECT_H
#define WISP_SOFT_CD_OBJECT_H

#include "cudnn.h"
#include "soft_client.h"

enum { CD_MAGIC = 0x0cd0bec7, CD_SLOTS = 12 };

typedef struct {
    int32_t name, type;
    int64_t count;
    void *data;
} cd_slot;

typedef struct cd_object cd_object;

struct cd_object {
    uint32_t magic;
    int32_t type;
    int finalized;
    int destroyed; /* by its owner, while others still hold it */
    int internal;  /* made here: goes with its last holder */
    int held;      /* how many others hold it */
    int n_slots;
    cd_slot slots[CD_SLOTS];
    void *made; /* what finalizing made of it, one block of memory */
};

enum { CD_REQUIRED = 1, CD_READ_ONLY = 2 };
enum { CD_ANY_OPERATION = -2, CD_NO_CHILD = -1 };

typedef struct {
    int32_t descriptor, name, type;
    int32_t least, most; /* how many elements */
    int32_t flags;
    int32_t child; /* which descriptors, where the elements are descriptors */
} cd_rule;

/* The rule of an attribute of a descriptor, or NULL. */
const cd_rule *cd_rule_of(int descriptor, int name);

/* The name of the first required attribute that is not set, or -1. */
int cd_missing(const cd_object *object);

int cd_is_known(int descriptor);
size_t cd_type_bytes(int type);
int cd_is_operation(int descriptor);

/* Attributes as they were set; the fallback where they were not. */
const cd_slot *cd_slot_of(const cd_object *object, int name);
int64_t cd_integer(const cd_object *object, int name, int64_t fallback);
double cd_real(const cd_object *object, int name, double fallback);
cd_object *cd_child(const cd_object *object, int name, int64_t i);
int64_t cd_count(const cd_object *object, int name);

/* Sets an attribute from inside, on an object that need not be open. Takes over no memory. */
cudnnStatus_t cd_put(cd_object *object, int name, int type, int64_t n, const void *elements);

/* Fills an empty descriptor with another's attributes, finalized. */
cudnnStatus_t cd_copy(cd_object *to, const cd_object *from);

/* A finalized descriptor that nobody outside has; it goes when its last holder goes. */
cd_object *cd_make_internal(int type);

/* NULL unless it is one of ours and lives. */
cd_object *cd_object_of(const void *descriptor);

/* Remembers why a call fails for cudnnGetLastErrorString, and gives the status back. */
cudnnStatus_t cd_fail(cudnnStatus_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Attributes that are computed when they are asked for; CUDNN_STATUS_NOT_SUPPORTED: not this one.
 */
cudnnStatus_t cd_get_computed(const cd_object *object, int name, int64_t room, int64_t *n,
                              void *elements);

cudnnStatus_t cd_finalize(cd_object *object);

#endif

/* program_parts.h - what a program is inside: the events of its record. */
#ifndef WISPI_TENSOR_PROGRAM_PARTS_H
#define WISPI_TENSOR_PROGRAM_PARTS_H

#include "tensor/program.h"

enum {
    WISPI_EVENT_CALL = 1,
    WISPI_EVENT_ALIAS,
    WISPI_EVENT_VARIABLE,
    WISPI_EVENT_BACKWARD,
    WISPI_EVENT_BACKWARD_END
};

typedef struct wispi_event {
    int32_t kind;
    int32_t n_in;
    const wispi_op *op;
    const void *attrs;
    wisp_tensor **in, **out; /* ALIAS: in[0] and out[0]; VARIABLE: out[0] */
    wispi_variable *variable;
    int64_t offset; /* ALIAS */
    const wisp_kernel *kernel;
    int32_t in_backward;
    int32_t runs;
    double seconds;
    /* See joint_update.c. */
    struct wispi_event
        *joint; /* what is carried out in this call's place, absorbed ones included */
    int32_t is_absorbed;
    int32_t is_late; /* carried out right after the joint call */
    /* See gradient_buckets.c: calls that nobody recorded, carried out right after this one, or in
     * its place where it is absorbed. */
    struct wispi_event *then;
} wispi_event;

/* See capture.c. */
typedef struct wispi_graph {
    void *handle;   /* the backend's; NULL: there is none */
    int32_t n_runs; /* call by call, where a graph was wanted */
    int32_t n_drops;
    int32_t is_stale;
    uint64_t generation;
    void *scratch;
    void **addresses; /* of the variables */
    int32_t n_addresses;
} wispi_graph;

struct wispi_program {
    wispi_step step; /* first: a step converts to its program */
    wispi_device *device;
    wispi_arena *arena;
    wispi_event *events;
    int32_t n_events, event_capacity;
    wisp_tensor **tensors; /* every tensor in order of creation, filled after recording */
    int32_t recording;
    int32_t bound; /* every call has its kernel */
    int32_t cursor;
    int32_t joint_at;  /* the event with a joint call; -1: none */
    int32_t n_buckets; /* of gradients */
    int32_t under_way; /* buckets that were started and not waited for */
    wispi_run_options options;
    char *memory;
    uint64_t generation;
    wispi_program_facts facts;
    wispi_graph graph;
};

/* The step function once, call by call, where run() has prepared everything. */
wisp_status wispi_program_go(wispi_program *program, wispi_step_fn fn, void *user, wisp_error *err);

wisp_status wispi_program_bind(wispi_program *program, wispi_event *event, wisp_error *err);

/* After recording, before memory is planned. Leaves the program as it is where it cannot help. */
void wispi_program_join_update(wispi_program *program);

/* After recording: gradients are averaged in buckets, each as soon as backward has made it. */
wisp_status wispi_program_cut_gradients(wispi_program *program, wisp_error *err);

#endif

/* mpi - the processes of a run talk through Open MPI.
 *
 * MPI is started when a run joins and ended when the process ends, since it can be started but
 * once. Collectives block; the barrier, at which ranks wait while one of them evaluates, sleeps in
 * between and leaves its processor to others. Large arrays go in pieces, so that MPI needs no
 * buffer of their size and no count leaves an int. */
#include <limits.h>
#include <time.h>

#include <mpi.h>

#include <wisp/abi.h>
#include <wisp/comm.h>
#include <wisp/host.h>
#include <wisp/tensor.h>

enum { PIECE = 1 << 20 }; /* elements */

/* A reduction under way, in pieces. */
typedef struct reduction {
    float *mean; /* f32 to divide by the number of ranks when it is done; NULL: nothing is left */
    int64_t count;
    MPI_Request *pieces;
    int64_t n_pieces, room;
} reduction;

typedef struct mpi_group {
    const wisp_host *host;
    MPI_Comm world; /* a copy, with errors that return */
    int size;
    reduction *under_way; /* WISP_REDUCTIONS_UNDER_WAY; NULL: none was asked for yet */
    int n_known;          /* those from here on were never begun */
} mpi_group;

static int started_here; /* MPI was started by this plugin, which ends it */

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    mpi_group *m = host->alloc(host, sizeof *m);
    (void)config;
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for MPI");
    m->host = host;
    m->world = MPI_COMM_NULL;
    *self = m;
    return WISP_OK;
}

static void destroy(void *self)
{
    mpi_group *m = self;
    if (!m)
        return;
    for (int i = 0; i < m->n_known; i++)
        m->host->free(m->host, m->under_way[i].pieces);
    m->host->free(m->host, m->under_way);
    m->host->free(m->host, m);
}

static wisp_status judge(int code, const char *call, wisp_error *err)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS)
        return WISP_OK;
    MPI_Error_string(code, text, &length);
    return wisp_fail(err, WISP_E_IO, "%s failed: %.300s", call, text);
}

#define CALL(function, ...) WISP_TRY(judge(function(__VA_ARGS__), #function, err))

/* --- joining and leaving --- */

static wisp_status start(wisp_error *err)
{
    int is_started = 0, is_over = 0, level = 0;
    CALL(MPI_Initialized, &is_started);
    CALL(MPI_Finalized, &is_over);
    if (is_over)
        return wisp_fail(err, WISP_E_STATE,
                         "this process has ended MPI already, which starts but once");
    if (is_started)
        return WISP_OK;
    CALL(MPI_Init_thread, NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    started_here = 1;
    if (level < MPI_THREAD_FUNNELED)
        return wisp_fail(err, WISP_E_UNSUPPORTED,
                         "this build of MPI bears no threads: install one that does");
    return WISP_OK;
}

static wisp_status find_place(mpi_group *m, int32_t *rank, int32_t *size, int32_t *local_rank,
                              wisp_error *err)
{
    MPI_Comm machine = MPI_COMM_NULL;
    int own = 0, local = 0;
    CALL(MPI_Comm_rank, m->world, &own);
    CALL(MPI_Comm_size, m->world, &m->size);
    CALL(MPI_Comm_split_type, m->world, MPI_COMM_TYPE_SHARED, own, MPI_INFO_NULL, &machine);
    const int code = MPI_Comm_rank(machine, &local);
    MPI_Comm_free(&machine);
    WISP_TRY(judge(code, "MPI_Comm_rank", err));
    *rank = own;
    *size = m->size;
    *local_rank = local;
    return WISP_OK;
}

static wisp_status open_group(void *self, int32_t *rank, int32_t *size, int32_t *local_rank,
                              wisp_error *err)
{
    mpi_group *m = self;
    WISP_TRY(start(err));
    CALL(MPI_Comm_dup, MPI_COMM_WORLD, &m->world);
    CALL(MPI_Comm_set_errhandler, m->world, MPI_ERRORS_RETURN);
    return find_place(m, rank, size, local_rank, err);
}

static void close_group(void *self)
{
    mpi_group *m = self;
    if (m->world != MPI_COMM_NULL)
        MPI_Comm_free(&m->world);
}

static void abandon(void *self, int32_t code)
{
    (void)self;
    MPI_Abort(MPI_COMM_WORLD, code);
}

static void finish(void)
{
    int is_over = 0;
    if (started_here && MPI_Finalized(&is_over) == MPI_SUCCESS && !is_over)
        MPI_Finalize();
    started_here = 0;
}

/* --- collectives --- */

static MPI_Datatype datatype_of(int32_t dtype)
{
    return dtype == WISP_F32   ? MPI_FLOAT
           : dtype == WISP_I32 ? MPI_INT32_T
           : dtype == WISP_I64 ? MPI_INT64_T
           : dtype == WISP_U8  ? MPI_UINT8_T
                               : MPI_DATATYPE_NULL;
}

static MPI_Op operation_of(int32_t how)
{
    return how == WISP_REDUCE_OVER_RANKS_MAX ? MPI_MAX : MPI_SUM;
}

static wisp_status judge_type(int32_t dtype, int32_t how, wisp_error *err)
{
    if (how == WISP_REDUCE_OVER_RANKS_MEAN && dtype != WISP_F32)
        return wisp_fail(err, WISP_E_DTYPE, "means over ranks are made of f32, not of %s",
                         wisp_dtype_name(dtype));
    if (datatype_of(dtype) == MPI_DATATYPE_NULL)
        return wisp_fail(err, WISP_E_DTYPE, "MPI does not add %s: widen it to f32",
                         wisp_dtype_name(dtype));
    return WISP_OK;
}

static void divide(const mpi_group *m, float *values, int64_t count)
{
    const float share = 1.0f / (float)m->size;
    for (int64_t i = 0; i < count; i++)
        values[i] *= share;
}

static wisp_status all_reduce(void *self, void *data, int64_t count, int32_t dtype, int32_t how,
                              wisp_error *err)
{
    const mpi_group *m = self;
    const MPI_Datatype type = datatype_of(dtype);
    const MPI_Op op = operation_of(how);
    const size_t bytes = (size_t)wisp_dtype_bytes(dtype);
    WISP_TRY(judge_type(dtype, how, err));
    for (int64_t first = 0; first < count; first += PIECE) {
        const int n = (int)(count - first < PIECE ? count - first : PIECE);
        CALL(MPI_Allreduce, MPI_IN_PLACE, (char *)data + (size_t)first * bytes, n, type, op,
             m->world);
    }
    if (how == WISP_REDUCE_OVER_RANKS_MEAN)
        divide(m, data, count);
    return WISP_OK;
}

static wisp_status all_gather(void *self, const void *in, void *out, size_t bytes, wisp_error *err)
{
    const mpi_group *m = self;
    if (bytes > INT_MAX)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "%zu bytes of each rank are too many to gather",
                         bytes);
    CALL(MPI_Allgather, in, (int)bytes, MPI_BYTE, out, (int)bytes, MPI_BYTE, m->world);
    return WISP_OK;
}

static wisp_status broadcast(void *self, void *data, size_t bytes, int32_t root, wisp_error *err)
{
    const mpi_group *m = self;
    for (size_t first = 0; first < bytes; first += PIECE) {
        const int n = (int)(bytes - first < PIECE ? bytes - first : PIECE);
        CALL(MPI_Bcast, (char *)data + first, n, MPI_BYTE, root, m->world);
    }
    return WISP_OK;
}

static wisp_status barrier(void *self, wisp_error *err)
{
    const mpi_group *m = self;
    const struct timespec nap = {0, 1000000};
    MPI_Request request = MPI_REQUEST_NULL;
    int is_done = 0;
    CALL(MPI_Ibarrier, m->world, &request);
    for (;;) {
        CALL(MPI_Test, &request, &is_done, MPI_STATUS_IGNORE);
        if (is_done)
            return WISP_OK;
        nanosleep(&nap, NULL);
    }
}

/* --- reductions under way --- */

/* Room for a reduction of this number in so many pieces. */
static wisp_status make_room(mpi_group *m, int32_t number, int64_t n_pieces, wisp_error *err)
{
    if (number < 0 || number >= WISP_REDUCTIONS_UNDER_WAY)
        return wisp_fail(err, WISP_E_INVALID, "there is no reduction of number %d", (int)number);
    if (!m->under_way)
        m->under_way = m->host->alloc(m->host, WISP_REDUCTIONS_UNDER_WAY * sizeof *m->under_way);
    if (!m->under_way)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for reductions under way");
    reduction *r = &m->under_way[number];
    if (r->room < n_pieces) {
        MPI_Request *room = m->host->alloc(m->host, (size_t)n_pieces * sizeof *room);
        if (!room)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for a reduction under way");
        m->host->free(m->host, r->pieces);
        r->pieces = room;
        r->room = n_pieces;
    }
    if (number >= m->n_known)
        m->n_known = number + 1;
    return WISP_OK;
}

static wisp_status start_all_reduce(void *self, int32_t number, const void *in, void *out,
                                    int64_t count, int32_t dtype, int32_t how, wisp_error *err)
{
    mpi_group *m = self;
    const size_t bytes = (size_t)wisp_dtype_bytes(dtype);
    WISP_TRY(judge_type(dtype, how, err));
    WISP_TRY(make_room(m, number, (count + PIECE - 1) / PIECE, err));
    reduction *r = &m->under_way[number];
    r->mean = how == WISP_REDUCE_OVER_RANKS_MEAN ? out : NULL;
    r->count = count;
    r->n_pieces = 0;
    for (int64_t first = 0; first < count; first += PIECE) {
        const int n = (int)(count - first < PIECE ? count - first : PIECE);
        const size_t offset = (size_t)first * bytes;
        CALL(MPI_Iallreduce, in == out ? MPI_IN_PLACE : (const char *)in + offset,
             (char *)out + offset, n, datatype_of(dtype), operation_of(how), m->world,
             &r->pieces[r->n_pieces]);
        r->n_pieces++;
    }
    return WISP_OK;
}

static wisp_status wait_for(void *self, int32_t number, wisp_error *err)
{
    mpi_group *m = self;
    reduction *r = number >= 0 && number < m->n_known ? &m->under_way[number] : NULL;
    if (!r)
        return WISP_OK;
    CALL(MPI_Waitall, (int)r->n_pieces, r->pieces, MPI_STATUSES_IGNORE);
    r->n_pieces = 0;
    if (r->mean)
        divide(m, r->mean, r->count);
    r->mean = NULL;
    return WISP_OK;
}

/* Open MPI moves reductions under way only while it is called; one test moves all of them. */
static wisp_status progress(void *self, wisp_error *err)
{
    mpi_group *m = self;
    int is_done = 0;
    for (int i = 0; i < m->n_known; i++)
        for (int64_t piece = 0; piece < m->under_way[i].n_pieces; piece++)
            if (m->under_way[i].pieces[piece] != MPI_REQUEST_NULL) {
                CALL(MPI_Test, &m->under_way[i].pieces[piece], &is_done, MPI_STATUS_IGNORE);
                return WISP_OK;
            }
    return WISP_OK;
}

static const wisp_comm_v0 vtable = {
    .struct_size = sizeof vtable,
    .open = open_group,
    .close = close_group,
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .broadcast = broadcast,
    .barrier = barrier,
    .memory_kind = "host",
    .abandon = abandon,
    .start_all_reduce = start_all_reduce,
    .wait = wait_for,
    .progress = progress,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_COMM,
    .name = "mpi",
    .version = "0.1.0",
    .summary = "Open MPI: one run in several processes, on one machine or many",
    .doc =
        "Joins the processes that mpirun or srun started to one run. Works on host memory. Taken "
        "by run.comm = \"auto\" when the launcher's environment tells of more than one process.",
    .license = "Apache-2.0",
    .reference = "MPI: A Message-Passing Interface Standard, version 3.1",
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_EXTERN_C WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void);
WISP_EXTERN_C WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void)
{
    static const wisp_descriptor *const list[] = {&descriptor};
    static const wisp_bundle bundle = {.magic = {'w', 'i', 's', 'p', '\r', '\n', 0x1a, '\n'},
                                       .struct_size = sizeof bundle,
                                       .abi_major = WISP_ABI_MAJOR,
                                       .abi_minor = WISP_ABI_MINOR,
                                       .descriptors = list,
                                       .n_descriptors = 1,
                                       .fini = finish};
    return &bundle;
}

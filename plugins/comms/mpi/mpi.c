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

typedef struct mpi_group {
    const wisp_host *host;
    MPI_Comm world; /* a copy, with errors that return */
    int size;
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
    if (m)
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

static wisp_status all_reduce(void *self, void *data, int64_t count, int32_t dtype,
                              int32_t reduction, wisp_error *err)
{
    const mpi_group *m = self;
    const MPI_Datatype type = datatype_of(dtype);
    const MPI_Op op = reduction == WISP_REDUCE_OVER_RANKS_MAX ? MPI_MAX : MPI_SUM;
    const size_t bytes = (size_t)wisp_dtype_bytes(dtype);
    if (type == MPI_DATATYPE_NULL)
        return wisp_fail(err, WISP_E_DTYPE, "MPI does not add %s: widen it to f32",
                         wisp_dtype_name(dtype));
    for (int64_t first = 0; first < count; first += PIECE) {
        const int n = (int)(count - first < PIECE ? count - first : PIECE);
        CALL(MPI_Allreduce, MPI_IN_PLACE, (char *)data + (size_t)first * bytes, n, type, op,
             m->world);
    }
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

#include "nccl_meeting.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nccl_wire.h"

enum { MOST_BYTES = 1 << 28, HELLO_SECONDS = 10 };

/* A message that has arrived and was not asked for yet. */
typedef struct parcel {
    struct parcel *next;
    uint64_t bytes;
    char data[];
} parcel;

typedef struct peer {
    int connection; /* -1: none */
    int rank;
    int has_left;
    parcel *first, *last;
} peer;

struct nccl_meeting {
    const wisp_host *host;
    int rank, size;
    peer *peers; /* of rank 0: by rank; of others: rank 0 alone */
    int n_peers;
    int stop; /* an eventfd */
    pthread_t thread;
    int has_thread;
    pthread_mutex_t lock, sending;
    pthread_cond_t arrived;
    int lost_rank; /* -1: all are there */
    int is_over;   /* this rank says good-bye */
    nccl_lost_fn lost;
    void *user;
};

/* --- the reading thread --- */

static void pass_on(nccl_meeting *m, int lost)
{
    const nccl_message message = {NCCL_MESSAGE_LOST, lost, 0};
    pthread_mutex_lock(&m->sending);
    for (int i = 0; i < m->n_peers && m->rank == 0; i++)
        if (m->peers[i].connection >= 0 && m->peers[i].rank != lost)
            nccl_send_all(m->peers[i].connection, &message, sizeof message);
    pthread_mutex_unlock(&m->sending);
}

static void lose(nccl_meeting *m, int rank)
{
    pthread_mutex_lock(&m->lock);
    const int is_news = m->lost_rank < 0 && !m->is_over;
    if (is_news)
        m->lost_rank = rank;
    pthread_cond_broadcast(&m->arrived);
    pthread_mutex_unlock(&m->lock);
    if (!is_news)
        return;
    pass_on(m, rank);
    m->lost(m->user);
}

static int keep(nccl_meeting *m, peer *p, uint64_t bytes)
{
    parcel *made = bytes <= MOST_BYTES ? m->host->alloc(m->host, sizeof *made + bytes) : NULL;
    if (!made || !nccl_receive_all(p->connection, made->data, bytes, 0)) {
        m->host->free(m->host, made);
        return 0;
    }
    made->bytes = bytes;
    pthread_mutex_lock(&m->lock);
    if (p->last)
        p->last->next = made;
    else
        p->first = made;
    p->last = made;
    pthread_cond_broadcast(&m->arrived);
    pthread_mutex_unlock(&m->lock);
    return 1;
}

static void hang_up(nccl_meeting *m, peer *p)
{
    pthread_mutex_lock(&m->sending);
    close(p->connection);
    p->connection = -1;
    pthread_mutex_unlock(&m->sending);
}

static void read_from(nccl_meeting *m, peer *p)
{
    nccl_message message;
    if (!nccl_receive_all(p->connection, &message, sizeof message, 0)) {
        hang_up(m, p);
        if (!p->has_left)
            lose(m, p->rank);
    } else if (message.type == NCCL_MESSAGE_LOST) {
        lose(m, message.rank);
    } else if (message.type == NCCL_MESSAGE_BYE) {
        p->has_left = 1;
    } else if (message.type != NCCL_MESSAGE_DATA || !keep(m, p, message.bytes)) {
        hang_up(m, p);
        lose(m, p->rank);
    }
}

static void *read_all(void *user)
{
    nccl_meeting *m = user;
    struct pollfd *list = calloc((size_t)m->n_peers + 1, sizeof *list);
    while (list) {
        for (int i = 0; i < m->n_peers; i++)
            list[i] = (struct pollfd){m->peers[i].connection, POLLIN, 0};
        list[m->n_peers] = (struct pollfd){m->stop, POLLIN, 0};
        if (poll(list, (nfds_t)m->n_peers + 1, -1) < 0 && errno != EINTR)
            break;
        if (list[m->n_peers].revents)
            break;
        for (int i = 0; i < m->n_peers; i++)
            if (list[i].fd >= 0 && list[i].revents)
                read_from(m, &m->peers[i]);
    }
    free(list);
    return NULL;
}

/* --- meeting --- */

static void own_machine(char name[NCCL_WIRE_NAME])
{
    memset(name, 0, NCCL_WIRE_NAME);
    gethostname(name, NCCL_WIRE_NAME - 1);
}

/* What is wrong with a hello; text is empty when nothing is. */
static void judge_hello(const nccl_hello *h, const nccl_launch *l, const nccl_hello *known,
                        char text[NCCL_WIRE_TEXT])
{
    text[0] = '\0';
    if (h->size != l->size)
        snprintf(text, NCCL_WIRE_TEXT, "rank %d was started as one of %d, rank 0 as one of %d",
                 (int)h->rank, (int)h->size, l->size);
    else if (h->rank < 1 || h->rank >= l->size)
        snprintf(text, NCCL_WIRE_TEXT, "there is no rank %d of %d", (int)h->rank, l->size);
    else if (known[h->rank].magic)
        snprintf(text, NCCL_WIRE_TEXT, "two processes say that they are rank %d", (int)h->rank);
}

static wisp_status name_missing(const nccl_launch *l, const nccl_hello *known, double seconds,
                                wisp_error *err)
{
    char list[200] = "";
    size_t used = 0;
    int n = 0;
    for (int r = 1; r < l->size; r++) {
        if (known[r].magic)
            continue;
        n++;
        if (used < sizeof list - 16)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", used ? ", " : "", r);
    }
    return wisp_fail(err, WISP_E_IO,
                     "%d of %d ranks did not come to %s, port %s, within %.0f s: rank %s; were "
                     "they started, with the same MASTER_ADDR and MASTER_PORT?",
                     n, l->size, l->address, l->port, seconds, list);
}

/* Takes whoever comes; strangers are sent away. */
static wisp_status welcome_all(nccl_meeting *m, int listening, const nccl_launch *l, double seconds,
                               nccl_hello *known, wisp_error *err)
{
    const double until = nccl_now() + seconds;
    for (int n = 1; n < l->size;) {
        nccl_welcome answer = {NCCL_WIRE_MAGIC, 0, ""};
        nccl_hello hello;
        int connection = -1;
        WISP_TRY(nccl_accept(listening, until, &connection, err));
        if (connection < 0)
            return name_missing(l, known, seconds, err);
        if (!nccl_receive_all(connection, &hello, sizeof hello, nccl_now() + HELLO_SECONDS) ||
            hello.magic != NCCL_WIRE_MAGIC) {
            close(connection);
            continue;
        }
        hello.machine[NCCL_WIRE_NAME - 1] = '\0';
        judge_hello(&hello, l, known, answer.text);
        if (answer.text[0]) {
            nccl_send_all(connection, &answer, sizeof answer);
            close(connection);
            return wisp_fail(err, WISP_E_CONFIG,
                             "%s: start all ranks of one run with the same WORLD_SIZE and ranks of "
                             "their own, and every run with a MASTER_PORT of its own",
                             answer.text);
        }
        known[hello.rank] = hello;
        m->peers[hello.rank].connection = connection;
        n++;
    }
    return WISP_OK;
}

static int count_before(const nccl_hello *known, int rank)
{
    int n = 0;
    for (int r = 0; r < rank; r++)
        n += strcmp(known[r].machine, known[rank].machine) == 0;
    return known[rank].local_rank >= 0 ? known[rank].local_rank : n;
}

static wisp_status meet_as_first(nccl_meeting *m, const nccl_launch *l, double seconds,
                                 int *local_rank, wisp_error *err)
{
    int listening = -1;
    nccl_hello *known = m->host->alloc(m->host, (size_t)l->size * sizeof *known);
    if (!known)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %d ranks", l->size);
    known[0] = (nccl_hello){NCCL_WIRE_MAGIC, 0, l->size, l->local_rank, ""};
    own_machine(known[0].machine);
    wisp_status status = nccl_listen(l, &listening, err);
    if (status == WISP_OK)
        status = welcome_all(m, listening, l, seconds, known, err);
    for (int r = 1; status == WISP_OK && r < l->size; r++) {
        const nccl_welcome answer = {NCCL_WIRE_MAGIC, count_before(known, r), ""};
        if (!nccl_send_all(m->peers[r].connection, &answer, sizeof answer))
            status = wisp_fail(err, WISP_E_IO, "rank %d is gone before it was welcome", r);
    }
    *local_rank = count_before(known, 0);
    if (listening >= 0)
        close(listening);
    m->host->free(m->host, known);
    return status;
}

static wisp_status meet_first(nccl_meeting *m, const nccl_launch *l, double seconds,
                              int *local_rank, wisp_error *err)
{
    const double until = nccl_now() + seconds;
    nccl_hello hello = {NCCL_WIRE_MAGIC, l->rank, l->size, l->local_rank, ""};
    nccl_welcome answer;
    own_machine(hello.machine);
    WISP_TRY(nccl_connect(l, until, &m->peers[0].connection, err));
    const int connection = m->peers[0].connection;
    if (!nccl_send_all(connection, &hello, sizeof hello) ||
        !nccl_receive_all(connection, &answer, sizeof answer, until) ||
        answer.magic != NCCL_WIRE_MAGIC)
        return wisp_fail(err, WISP_E_IO,
                         "rank %d reached %s, port %s, but got no answer there: not all ranks "
                         "came, or something else than rank 0 of this run listens",
                         l->rank, l->address, l->port);
    answer.text[NCCL_WIRE_TEXT - 1] = '\0';
    if (answer.text[0])
        return wisp_fail(err, WISP_E_CONFIG, "rank 0 sends this process away: %s", answer.text);
    *local_rank = answer.local_rank;
    return WISP_OK;
}

static wisp_status start_reading(nccl_meeting *m, wisp_error *err)
{
    m->stop = eventfd(0, EFD_CLOEXEC);
    m->has_thread = m->stop >= 0 && pthread_create(&m->thread, NULL, read_all, m) == 0;
    if (m->has_thread)
        return WISP_OK;
    return wisp_fail(err, WISP_E_NOMEM, "no thread to listen to the other ranks");
}

wisp_status nccl_meeting_open(const wisp_host *host, const nccl_launch *l, double seconds,
                              nccl_lost_fn lost, void *user, nccl_meeting **meeting,
                              int *local_rank, wisp_error *err)
{
    nccl_meeting *m = host->alloc(host, sizeof *m);
    const int n_peers = l->rank == 0 ? l->size : 1;
    peer *peers = m ? host->alloc(host, (size_t)n_peers * sizeof *peers) : NULL;
    if (!peers) {
        host->free(host, m);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %d ranks", l->size);
    }
    *m = (nccl_meeting){.host = host,
                        .rank = l->rank,
                        .size = l->size,
                        .peers = peers,
                        .n_peers = n_peers,
                        .stop = -1,
                        .lost_rank = -1,
                        .lost = lost,
                        .user = user};
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->sending, NULL);
    pthread_cond_init(&m->arrived, NULL);
    for (int i = 0; i < n_peers; i++)
        peers[i] = (peer){.connection = -1, .rank = i};
    wisp_status status = l->rank == 0 ? meet_as_first(m, l, seconds, local_rank, err)
                                      : meet_first(m, l, seconds, local_rank, err);
    if (status == WISP_OK)
        status = start_reading(m, err);
    if (status == WISP_OK)
        *meeting = m;
    else
        nccl_meeting_close(m, 0);
    return status;
}

static void say_goodbye(nccl_meeting *m)
{
    const nccl_message bye = {NCCL_MESSAGE_BYE, m->rank, 0};
    pthread_mutex_lock(&m->sending);
    for (int i = 0; i < m->n_peers; i++)
        if (m->peers[i].connection >= 0)
            nccl_send_all(m->peers[i].connection, &bye, sizeof bye);
    pthread_mutex_unlock(&m->sending);
}

void nccl_meeting_close(nccl_meeting *m, int with_goodbye)
{
    const uint64_t one = 1;
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->is_over = 1;
    pthread_mutex_unlock(&m->lock);
    if (m->has_thread) {
        if (with_goodbye)
            say_goodbye(m);
        if (write(m->stop, &one, sizeof one) == (ssize_t)sizeof one)
            pthread_join(m->thread, NULL);
    }
    for (int i = 0; i < m->n_peers; i++) {
        if (m->peers[i].connection >= 0)
            close(m->peers[i].connection);
        for (parcel *p = m->peers[i].first, *next; p; p = next) {
            next = p->next;
            m->host->free(m->host, p);
        }
    }
    if (m->stop >= 0)
        close(m->stop);
    m->host->free(m->host, m->peers);
    m->host->free(m->host, m);
}

/* --- host memory --- */

static wisp_status lost_status(int rank, wisp_error *err)
{
    return wisp_fail(err, WISP_E_IO,
                     "rank %d is lost: its process or its machine has ended; what it said last "
                     "tells why",
                     rank);
}

wisp_status nccl_meeting_check(nccl_meeting *m, wisp_error *err)
{
    pthread_mutex_lock(&m->lock);
    const int lost = m->lost_rank;
    pthread_mutex_unlock(&m->lock);
    return lost < 0 ? WISP_OK : lost_status(lost, err);
}

static wisp_status give(nccl_meeting *m, int to, const void *data, size_t bytes, wisp_error *err)
{
    const nccl_message message = {NCCL_MESSAGE_DATA, m->rank, bytes};
    pthread_mutex_lock(&m->sending);
    const int connection = m->peers[to].connection;
    const int is_sent = connection >= 0 && nccl_send_all(connection, &message, sizeof message) &&
                        nccl_send_all(connection, data, bytes);
    pthread_mutex_unlock(&m->sending);
    if (is_sent)
        return WISP_OK;
    WISP_TRY(nccl_meeting_check(m, err));
    return lost_status(m->peers[to].rank, err);
}

/* The next message of a peer, which must be of this size. */
static wisp_status take(nccl_meeting *m, int from, void *data, size_t bytes, wisp_error *err)
{
    peer *p = &m->peers[from];
    pthread_mutex_lock(&m->lock);
    while (!p->first && m->lost_rank < 0 && !p->has_left)
        pthread_cond_wait(&m->arrived, &m->lock);
    parcel *got = p->first;
    if (got) {
        p->first = got->next;
        p->last = p->first ? p->last : NULL;
    }
    const int lost = m->lost_rank >= 0 ? m->lost_rank : p->rank;
    pthread_mutex_unlock(&m->lock);
    if (!got)
        return lost_status(lost, err);
    const int fits = got->bytes == bytes;
    if (fits)
        memcpy(data, got->data, bytes);
    const uint64_t came = got->bytes;
    m->host->free(m->host, got);
    if (fits)
        return WISP_OK;
    return wisp_fail(err, WISP_E_STATE,
                     "rank %d sent %llu bytes where %zu were expected: the "
                     "ranks do not run the same program",
                     p->rank, (unsigned long long)came, bytes);
}

wisp_status nccl_meeting_broadcast(nccl_meeting *m, void *data, size_t bytes, int root,
                                   wisp_error *err)
{
    if (root != 0 && m->rank == root)
        WISP_TRY(give(m, 0, data, bytes, err));
    if (m->rank != 0)
        return take(m, 0, data, bytes, err);
    if (root != 0)
        WISP_TRY(take(m, root, data, bytes, err));
    for (int r = 1; r < m->size; r++)
        WISP_TRY(give(m, r, data, bytes, err));
    return WISP_OK;
}

wisp_status nccl_meeting_gather(nccl_meeting *m, const void *in, void *out, size_t bytes,
                                wisp_error *err)
{
    char *all = out;
    if (m->rank != 0) {
        WISP_TRY(give(m, 0, in, bytes, err));
        return take(m, 0, out, bytes * (size_t)m->size, err);
    }
    memcpy(all, in, bytes);
    for (int r = 1; r < m->size; r++)
        WISP_TRY(take(m, r, all + (size_t)r * bytes, bytes, err));
    return nccl_meeting_broadcast(m, out, bytes * (size_t)m->size, 0, err);
}

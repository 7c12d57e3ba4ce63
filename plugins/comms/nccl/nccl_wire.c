/* nccl_wire.c - sockets. */
#include "nccl_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A machine that has vanished without a word is noticed after 5 + 4 * 4 seconds, or, where it owes
 * an answer, after 20. */
enum { QUIET_SECONDS = 5, PROBE_SECONDS = 4, PROBES = 4, ANSWER_MILLISECONDS = 20000 };

double nccl_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void set(int socket, int level, int name, int value)
{
    setsockopt(socket, level, name, &value, sizeof value);
}

static void tune(int connection)
{
    set(connection, IPPROTO_TCP, TCP_NODELAY, 1);
    set(connection, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(connection, IPPROTO_TCP, TCP_KEEPIDLE, QUIET_SECONDS);
    set(connection, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_SECONDS);
    set(connection, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
    set(connection, IPPROTO_TCP, TCP_USER_TIMEOUT, ANSWER_MILLISECONDS);
}

static wisp_status look_up(const nccl_launch *l, struct addrinfo **found, wisp_error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const int code = getaddrinfo(l->address, l->port, &hints, found);
    if (code == 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CONFIG, "MASTER_ADDR \"%s\", MASTER_PORT \"%s\": %s", l->address,
                     l->port, gai_strerror(code));
}

/* On every address of this machine of that family: MASTER_ADDR may be a name that others use. */
static int bind_all(int s, const struct addrinfo *at)
{
    struct sockaddr_storage address;
    memset(&address, 0, sizeof address);
    memcpy(&address, at->ai_addr, at->ai_addrlen);
    if (at->ai_family == AF_INET)
        ((struct sockaddr_in *)(void *)&address)->sin_addr.s_addr = htonl(INADDR_ANY);
    else
        ((struct sockaddr_in6 *)(void *)&address)->sin6_addr = in6addr_any;
    return bind(s, (const struct sockaddr *)(const void *)&address, at->ai_addrlen);
}

wisp_status nccl_listen(const nccl_launch *l, int *listening, wisp_error *err)
{
    struct addrinfo *at = NULL;
    WISP_TRY(look_up(l, &at, err));
    const int s = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set(s, SOL_SOCKET, SO_REUSEADDR, 1);
    const int is_bound = s >= 0 && bind_all(s, at) == 0 && listen(s, SOMAXCONN) == 0;
    const int code = errno;
    freeaddrinfo(at);
    if (is_bound) {
        *listening = s;
        return WISP_OK;
    }
    if (s >= 0)
        close(s);
    return wisp_fail(err, WISP_E_IO, "rank 0 cannot listen at port %s: %s%s", l->port,
                     strerror(code),
                     code == EADDRINUSE ? "; another run has it: take another MASTER_PORT" : "");
}

/* 1: there is something; 0: `until` is past. */
static int wait_for(int s, short events, double until)
{
    for (;;) {
        const double left = until - nccl_now();
        struct pollfd p = {s, events, 0};
        if (until > 0 && left <= 0)
            return 0;
        const int n = poll(&p, 1, until > 0 ? (int)(left * 1000) + 1 : -1);
        if (n > 0)
            return 1;
        if (n < 0 && errno != EINTR)
            return 0;
    }
}

wisp_status nccl_accept(int listening, double until, int *connection, wisp_error *err)
{
    *connection = -1;
    while (wait_for(listening, POLLIN, until)) {
        *connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (*connection >= 0) {
            tune(*connection);
            return WISP_OK;
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return wisp_fail(err, WISP_E_IO, "rank 0 cannot take connections: %s", strerror(errno));
    }
    return WISP_OK;
}

static int try_connect(const struct addrinfo *at)
{
    for (; at; at = at->ai_next) {
        const int s = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s < 0)
            continue;
        if (connect(s, at->ai_addr, at->ai_addrlen) == 0)
            return s;
        const int code = errno;
        close(s);
        errno = code;
    }
    return -1;
}

wisp_status nccl_connect(const nccl_launch *l, double until, int *connection, wisp_error *err)
{
    const struct timespec nap = {0, 50000000};
    struct addrinfo *at = NULL;
    WISP_TRY(look_up(l, &at, err));
    int s = try_connect(at);
    int code = errno;
    while (s < 0 && nccl_now() < until) {
        nanosleep(&nap, NULL);
        s = try_connect(at);
        code = errno;
    }
    freeaddrinfo(at);
    if (s < 0)
        return wisp_fail(err, WISP_E_IO,
                         "rank %d does not reach rank 0 at %s, port %s: %s; MASTER_ADDR and "
                         "MASTER_PORT must be those of rank 0 on all ranks, and rank 0 must run",
                         l->rank, l->address, l->port, strerror(code));
    tune(s);
    *connection = s;
    return WISP_OK;
}

int nccl_send_all(int connection, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        const ssize_t n = send(connection, at, bytes, MSG_NOSIGNAL);
        if (n <= 0 && errno != EINTR)
            return 0;
        at += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return 1;
}

int nccl_receive_all(int connection, void *data, size_t bytes, double until)
{
    char *at = data;
    while (bytes > 0) {
        if (!wait_for(connection, POLLIN, until))
            return 0;
        const ssize_t n = recv(connection, at, bytes, 0);
        if (n == 0 || (n < 0 && errno != EINTR))
            return 0;
        at += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return 1;
}

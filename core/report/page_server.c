#include "report/page_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "report/page.h"
#include "wisp/options.h"

enum { MOST_CONNECTIONS = 64, SECONDS_PER_CONNECTION = 30 };

/* Of HTTP; browsers do not name it. */
enum { USUAL_PORT = 80 };

/* What is shown; made anew for each page and exchanged as a whole. */
typedef struct shown {
    wispi_text html, json;
    char tag[24]; /* the ETag of json; a page is loaded anew, and never asked about */
} shown;

struct wispi_page_server {
    struct MHD_Daemon *daemon;
    int32_t port;
    pthread_mutex_t lock; /* of `now`: the daemon has a thread of its own */
    shown now;
};

static void free_shown(shown *s)
{
    wispi_text_free(&s->html);
    wispi_text_free(&s->json);
}

static wisp_status make_shown(json_t *page, shown *out, wisp_error *err)
{
    shown made = {0};
    if (json_object_set_new(page, "live", json_true()) != 0)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the report");
    wisp_status status = wispi_page_json(page, &made.json, err);
    if (status == WISP_OK)
        status = wispi_page_write(page, &made.html, err);
    if (status != WISP_OK) {
        free_shown(&made);
        return status;
    }
    snprintf(made.tag, sizeof made.tag, "\"%016" PRIx64 "\"",
             wispi_hash64(made.json.data, made.json.length, 0));
    *out = made;
    return WISP_OK;
}

/* --- answers --- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
                              const char *kind, const char *tag, const wispi_text *text)
{
    char nothing[] = "";
    struct MHD_Response *response = MHD_create_response_from_buffer(
        text->length, text->length > 0 ? text->data : nothing, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", kind);
    MHD_add_response_header(response, "Cache-Control", "no-cache");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    if (tag)
        MHD_add_response_header(response, "ETag", tag);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned int status,
                              const char *why)
{
    wispi_text text = {0};
    wispi_text_append(&text, why);
    const enum MHD_Result result =
        text.failed ? MHD_NO : answer(connection, status, "text/plain; charset=utf-8", NULL, &text);
    wispi_text_free(&text);
    return result;
}

int wispi_page_server_answers(int32_t port, const char *host)
{
    static const char *const ours[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; host && i < WISP_COUNT(ours); i++) {
        char with_port[32];
        snprintf(with_port, sizeof with_port, "%s:%d", ours[i], (int)port);
        if (strcmp(host, with_port) == 0 || (port == USUAL_PORT && strcmp(host, ours[i]) == 0))
            return 1;
    }
    return 0;
}

static enum MHD_Result answer_json(wispi_page_server *server, struct MHD_Connection *connection)
{
    const wispi_text nothing = {0};
    const char *known = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
    if (known && strcmp(known, server->now.tag) == 0)
        return answer(connection, MHD_HTTP_NOT_MODIFIED, "application/json", server->now.tag,
                      &nothing);
    return answer(connection, MHD_HTTP_OK, "application/json", server->now.tag, &server->now.json);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_bytes, void **state)
{
    wispi_page_server *server = user;
    (void)version, (void)data, (void)state;
    if (*data_bytes > 0)
        return MHD_NO; /* whoever sends a body is not a browser that looks at a page */
    if (!wispi_page_server_answers(
            server->port, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host")))
        return refuse(connection, MHD_HTTP_FORBIDDEN, "this page is shown as 127.0.0.1 only\n");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "this page can only be read\n");
    const int whole = strcmp(url, "/") == 0;
    if (!whole && strcmp(url, "/page.json") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "there is / and /page.json\n");
    pthread_mutex_lock(&server->lock);
    const enum MHD_Result result =
        whole ? answer(connection, MHD_HTTP_OK, "text/html; charset=utf-8", NULL, &server->now.html)
              : answer_json(server, connection);
    pthread_mutex_unlock(&server->lock);
    return result;
}

/* --- life --- */

static wisp_status listen_on(wispi_page_server *server, int32_t port, wisp_error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    errno = 0;
    server->daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, (uint16_t)port, NULL, NULL,
                                      on_request, server, MHD_OPTION_SOCK_ADDR,
                                      (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT,
                                      (unsigned int)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                      (unsigned int)SECONDS_PER_CONNECTION, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        server->daemon ? MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info)
        return wisp_fail(err, WISP_E_IO,
                         "cannot listen on port %d of 127.0.0.1: %s; choose another port, or 0 and "
                         "the system chooses",
                         (int)port, errno ? strerror(errno) : "no reason was given");
    server->port = info->port;
    return WISP_OK;
}

wisp_status wispi_page_server_start(int32_t port, json_t *page, wispi_page_server **out,
                                    wisp_error *err)
{
    if (port < 0 || port > 65535)
        return wisp_fail(err, WISP_E_INVALID, "%d is no port: they go from 0 to 65535", (int)port);
    wispi_page_server *server = wispi_alloc(sizeof *server);
    if (!server)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the report's server");
    pthread_mutex_init(&server->lock, NULL);
    wisp_status status = make_shown(page, &server->now, err);
    if (status == WISP_OK)
        status = listen_on(server, port, err);
    if (status != WISP_OK) {
        wispi_page_server_stop(server);
        return status;
    }
    *out = server;
    return WISP_OK;
}

void wispi_page_server_stop(wispi_page_server *server)
{
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    free_shown(&server->now);
    pthread_mutex_destroy(&server->lock);
    wispi_free(server);
}

int32_t wispi_page_server_port(const wispi_page_server *server)
{
    return server->port;
}

wisp_status wispi_page_server_show(wispi_page_server *server, json_t *page, wisp_error *err)
{
    shown next = {0};
    WISP_TRY(make_shown(page, &next, err));
    pthread_mutex_lock(&server->lock);
    shown old = server->now;
    server->now = next;
    pthread_mutex_unlock(&server->lock);
    free_shown(&old);
    return WISP_OK;
}

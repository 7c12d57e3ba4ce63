/* page_server.h - shows a page to browsers on this machine, and what is new in it.
 *
 * It listens on 127.0.0.1 alone and knows two addresses, / and /page.json: no name of a file is
 * ever made of a request. A request that names another host is refused, so a web site whose name
 * points to this machine reads nothing. */
#ifndef WISPI_REPORT_PAGE_SERVER_H
#define WISPI_REPORT_PAGE_SERVER_H

#include <jansson.h>

#include "wisp/status.h"

typedef struct wispi_page_server wispi_page_server;

/* Shows `page` from now on, on `port`; 0: one that the system chooses. */
wisp_status wispi_page_server_start(int32_t port, json_t *page, wispi_page_server **server,
                                    wisp_error *err);
void wispi_page_server_stop(wispi_page_server *server); /* accepts NULL */

int32_t wispi_page_server_port(const wispi_page_server *server);

/* Is this the Host of a request to a server on `port`? NULL: the request names none. */
int wispi_page_server_answers(int32_t port, const char *host);

/* Shows another page, also to browsers that show the old one. On failure the old one stays. */
wisp_status wispi_page_server_show(wispi_page_server *server, json_t *page, wisp_error *err);

#endif

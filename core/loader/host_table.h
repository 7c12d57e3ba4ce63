/* host_table.h - the table of services that plugins are handed (wisp/host.h). */
#ifndef WISPI_LOADER_HOST_TABLE_H
#define WISPI_LOADER_HOST_TABLE_H

#include "base/pool.h"
#include "wisp/host.h"

/* The process's table. Extensions are added by wispi_provide_extension(). */
const wisp_host *wispi_host_table(void);

/* The pool behind parallel_for; NULL: bodies run in the calling thread. The caller owns it. [setup]
 */
void wispi_host_set_pool(wispi_pool *pool);

#endif

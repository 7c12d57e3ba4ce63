/* nccl_api.h - NCCL and the driver as tables of functions, opened when a run joins. A machine
 * without them loads the plugin and learns from it what is missing. */
#ifndef NCCL_API_H
#define NCCL_API_H

#include <wisp/status.h>

#include "api/nccl_calls.h"

#define NCCL_MEMBER(member, symbol, result, parameters) result(*member) parameters;
typedef struct nccl_api {
    void *driver_library, *library;
    struct {
        NCCL_DRIVER_CALLS(NCCL_MEMBER)
    } driver;
    struct {
        NCCL_LIBRARY_CALLS(NCCL_MEMBER)
    } nccl;
} nccl_api;
#undef NCCL_MEMBER

wisp_status nccl_api_open(nccl_api *api, wisp_error *err);
void nccl_api_close(nccl_api *api);

/* What a call answered, as a status; `what` names it. */
wisp_status nccl_judge(const nccl_api *api, ncclResult_t result, const char *what, wisp_error *err);
wisp_status nccl_judge_driver(const nccl_api *api, int result, const char *what, wisp_error *err);

#endif

#include "nn/op_call.h"

#include <threads.h>

static const char *const names[WISPI_N_CALLS] = {
#define CALL_NAME(name) #name,
    WISPI_CALL_LIST(CALL_NAME)
#undef CALL_NAME
};

static const wispi_op *known[WISPI_N_CALLS];
static once_flag looked_up = ONCE_FLAG_INIT;

static void look_up(void)
{
    for (int32_t i = 0; i < WISPI_N_CALLS; i++)
        known[i] = wispi_op_find(names[i]);
}

wisp_tensor *wispi_call(wisp_step *s, int32_t call, const void *attrs, wisp_tensor *const *in,
                        int32_t n_in, wisp_tensor **out)
{
    call_once(&looked_up, look_up);
    if (!known[call]) {
        wispi_step_fail(s, WISP_E_UNSUPPORTED, "this build has no operation %s", names[call]);
        return NULL;
    }
    wispi_apply(s, known[call], attrs, in, n_in, out);
    return out[0];
}

wisp_tensor *wispi_call1(wisp_step *s, int32_t call, const void *attrs, wisp_tensor *const *in,
                         int32_t n_in)
{
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    return wispi_call(s, call, attrs, in, n_in, out);
}

int wispi_usable(wisp_step *s, const char *function, const wisp_tensor *x)
{
    if (wispi_step_of(s)->status != WISP_OK)
        return 0;
    if (!x)
        wispi_step_fail(s, WISP_E_INVALID, "%s: the tensor is NULL", function);
    return x != NULL;
}

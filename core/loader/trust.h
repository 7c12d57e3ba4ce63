/* trust.h - may the code in a plugin file be run? Not where everybody on the machine could have put
 * it there (docs/trust.md). */
#ifndef WISPI_LOADER_TRUST_H
#define WISPI_LOADER_TRUST_H

#include "wisp/status.h"

/* Does the process have rights that its caller lacks: set-user-ID, set-group-ID, capabilities? */
int wispi_is_elevated(void);

/* Walks from the root to the file, through links, as the kernel does, and judges every folder and
 * link on the way and the file itself by what is opened, not by name. Refused is what everybody may
 * change; with elevated rights also what belongs to anybody but root and the user whose rights they
 * are. E_NOT_FOUND when there is no such file, E_ABI when it is refused: the message names path,
 * mode and cure. */
wisp_status wispi_trust_check(const char *path, wisp_error *err);

#endif

/* validate_elf.h - what a shared object exports, read from the file without loading it. */
#ifndef WISPI_TRAIN_VALIDATE_ELF_H
#define WISPI_TRAIN_VALIDATE_ELF_H

#include "base/text.h"

typedef struct wispi_elf_exports {
    int32_t n;         /* symbols that other objects can see */
    wispi_text others; /* names of those that are not `wanted`, with ", " between them */
    int32_t has_wanted;
} wispi_elf_exports;

/* E_ABI, and why, for what is no shared object of this machine's kind. The caller frees `others`.
 */
wisp_status wispi_elf_exports_read(const char *path, const char *wanted, wispi_elf_exports *out,
                                   wisp_error *err);

#endif

/* validate_elf.c - the table of dynamic symbols. Every offset of the file is checked: a damaged
 * file is an answer too. */
#include "train/validate_elf.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

typedef struct image {
    const uint8_t *bytes;
    size_t n;
} image;

/* `count` things of `size` bytes at `offset`; NULL when the file does not hold them. */
static const void *part(const image *file, uint64_t offset, uint64_t count, uint64_t size)
{
    if (offset > file->n || (size && count > (file->n - offset) / size))
        return NULL;
    return file->bytes + offset;
}

static const char *name_of(const image *file, const ElfW(Shdr) * names, uint32_t at)
{
    const char *table = part(file, names->sh_offset, names->sh_size, 1);
    if (!table || at >= names->sh_size || !memchr(table + at, 0, names->sh_size - at))
        return "?";
    return table + at;
}

static int is_exported(const ElfW(Sym) * symbol)
{
    const unsigned bind = symbol->st_info >> 4, visibility = symbol->st_other & 3;
    return symbol->st_shndx != SHN_UNDEF && bind != STB_LOCAL &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

static void add_symbols(const image *file, const ElfW(Shdr) * table, const ElfW(Shdr) * names,
                        const char *wanted, wispi_elf_exports *out)
{
    const uint64_t n = table->sh_size / sizeof(ElfW(Sym));
    const uint8_t *symbols = part(file, table->sh_offset, n, sizeof(ElfW(Sym)));
    for (uint64_t i = 0; symbols && i < n; i++) {
        ElfW(Sym) symbol;
        memcpy(&symbol, symbols + i * sizeof symbol, sizeof symbol);
        if (!is_exported(&symbol))
            continue;
        const char *name = name_of(file, names, symbol.st_name);
        out->n++;
        if (strcmp(name, wanted) == 0)
            out->has_wanted = 1;
        else
            wispi_text_printf(&out->others, "%s%s", out->others.length ? ", " : "", name);
    }
}

/* The linker's name for the first bytes of the image that this code is in: what fits here. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static wisp_status judge_machine(const ElfW(Ehdr) * head, wisp_error *err)
{
    const ElfW(Ehdr) *here = &__ehdr_start;
    if (head->e_ident[EI_CLASS] != here->e_ident[EI_CLASS] ||
        head->e_ident[EI_DATA] != here->e_ident[EI_DATA])
        return wisp_fail(err, WISP_E_ABI,
                         "it is built for another machine, whose words have other sizes or another "
                         "order of bytes: build it for this one");
    if (head->e_machine != here->e_machine)
        return wisp_fail(err, WISP_E_ABI,
                         "it is built for another machine (%u of ELF's list, and this one is %u): "
                         "build it for this one",
                         head->e_machine, here->e_machine);
    if (head->e_type != ET_DYN)
        return wisp_fail(err, WISP_E_ABI, "it is no shared object: link it with -shared");
    return WISP_OK;
}

static wisp_status read_image(const image *file, const char *wanted, wispi_elf_exports *out,
                              wisp_error *err)
{
    ElfW(Ehdr) head;
    if (file->n < sizeof head || memcmp(file->bytes, ELFMAG, SELFMAG) != 0)
        return wisp_fail(err, WISP_E_ABI, "it is no shared object: it has no ELF header");
    memcpy(&head, file->bytes, sizeof head);
    WISP_TRY(judge_machine(&head, err));
    const uint8_t *sections = part(file, head.e_shoff, head.e_shnum, sizeof(ElfW(Shdr)));
    for (uint32_t i = 0; sections && i < head.e_shnum; i++) {
        ElfW(Shdr) table, names;
        memcpy(&table, sections + i * sizeof table, sizeof table);
        if (table.sh_type != SHT_DYNSYM || table.sh_link >= head.e_shnum)
            continue;
        memcpy(&names, sections + table.sh_link * sizeof names, sizeof names);
        add_symbols(file, &table, &names, wanted, out);
        return WISP_OK;
    }
    return wisp_fail(err, WISP_E_ABI, "it has no table of dynamic symbols, or is cut off");
}

wisp_status wispi_elf_exports_read(const char *path, const char *wanted, wispi_elf_exports *out,
                                   wisp_error *err)
{
    uint8_t *data = NULL;
    image file = {NULL, 0};
    memset(out, 0, sizeof *out);
    WISP_TRY(wispi_file_read(path, (size_t)1 << 31, &data, &file.n, err));
    file.bytes = data;
    const wisp_status status = read_image(&file, wanted, out, err);
    wispi_free(data);
    return status;
}

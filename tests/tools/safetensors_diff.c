/* safetensors_diff.c - are two checkpoints the same but for what the clock decides?
 *
 *   safetensors_diff A B
 *
 * Every tensor is compared bit for bit, every text as it is; of the facts, those that name times or
 * positions in timing.jsonl are left out. Exit 0: the same, 1: they differ, 2: cannot tell. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "train/safetensors.h"

static const char *const by_the_clock[] = {"seconds", "timing_bytes"};

static int differences;

static void differ(const char *name, const char *what)
{
    printf("%s: %s\n", name, what);
    differences++;
}

static void compare_tensors(const wispi_safetensors *a, const wispi_safetensors *b)
{
    for (int64_t i = 0; i < wispi_safetensors_count(a); i++) {
        const wispi_stored_tensor *x = wispi_safetensors_at(a, i);
        const wispi_stored_tensor *y = wispi_safetensors_find(b, x->name);
        if (!y)
            differ(x->name, "only in the first file");
        else if (memcmp(&x->desc, &y->desc, sizeof x->desc) != 0)
            differ(x->name, "other type or shape");
        else if (memcmp(x->data, y->data, (size_t)wisp_desc_bytes(&x->desc)) != 0)
            differ(x->name, "other values");
    }
    for (int64_t i = 0; i < wispi_safetensors_count(b); i++)
        if (!wispi_safetensors_find(a, wispi_safetensors_at(b, i)->name))
            differ(wispi_safetensors_at(b, i)->name, "only in the second file");
}

static void compare_text(const wispi_safetensors *a, const wispi_safetensors *b, const char *key)
{
    const char *x = wispi_safetensors_text(a, key), *y = wispi_safetensors_text(b, key);
    if ((x || y) && (!x || !y || strcmp(x, y) != 0))
        differ(key, "other text");
}

static json_t *timeless_facts(const wispi_safetensors *file)
{
    const char *text = wispi_safetensors_text(file, "wisp.facts");
    json_t *facts = text ? json_loads(text, 0, NULL) : NULL;
    for (size_t i = 0; i < sizeof by_the_clock / sizeof by_the_clock[0]; i++)
        json_object_del(facts, by_the_clock[i]);
    return facts;
}

static void compare_facts(const wispi_safetensors *a, const wispi_safetensors *b)
{
    if (!wispi_safetensors_text(a, "wisp.facts") && !wispi_safetensors_text(b, "wisp.facts"))
        return; /* no checkpoints */
    json_t *x = timeless_facts(a), *y = timeless_facts(b);
    if (!x || !y)
        differ("wisp.facts", "missing or damaged");
    else if (!json_equal(x, y))
        differ("wisp.facts", "other facts");
    json_decref(x);
    json_decref(y);
}

int main(int argc, char **argv)
{
    wispi_safetensors *files[2] = {NULL, NULL};
    wisp_error err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: safetensors_diff A B\n");
        return 2;
    }
    for (int i = 0; i < 2; i++) {
        if (wispi_safetensors_open(argv[1 + i], 1, &files[i], &err) != WISP_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 2;
        }
    }
    compare_tensors(files[0], files[1]);
    compare_text(files[0], files[1], "format");
    compare_text(files[0], files[1], "wisp.version");
    compare_text(files[0], files[1], "wisp.results");
    compare_facts(files[0], files[1]);
    int64_t n = wispi_safetensors_count(files[0]);
    if (!differences)
        printf("%lld tensors are the same\n", (long long)n);
    wispi_safetensors_close(files[0]);
    wispi_safetensors_close(files[1]);
    return n == 0 ? 2 : differences ? 1 : 0;
}

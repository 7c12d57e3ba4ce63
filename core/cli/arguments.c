/* arguments.c - a small table-driven reader of command lines. */
#include "arguments.h"

#include <string.h>

static const wispi_flag everywhere[] = {
    {"--plugin-path", "DIR", "look for plugins in DIR first; may be repeated",
     offsetof(wispi_call, plugin_folders)},
    {"--allow-insecure-plugins", NULL, "load plugins that everybody may change, too",
     offsetof(wispi_call, allow_insecure)},
    {"--verbose", NULL, "say more about what is going on", offsetof(wispi_call, verbose)},
    {"--quiet", NULL, "warnings and errors only", offsetof(wispi_call, quiet)},
    {"--help", NULL, "show this text", offsetof(wispi_call, help)},
    {"--version", NULL, "show the version", offsetof(wispi_call, version)},
    {NULL, NULL, NULL, 0},
};

static const struct {
    const char *letter, *name;
} short_names[] = {{"-h", "--help"}, {"-v", "--verbose"}, {"-q", "--quiet"}, {"-o", "--output"}};

static const wispi_flag *find_in(const wispi_flag *flags, const char *name, size_t n)
{
    for (; flags && flags->name; flags++)
        if (strlen(flags->name) == n && strncmp(flags->name, name, n) == 0)
            return flags;
    return NULL;
}

static int unknown_flag(const wispi_verb *verb, const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (const wispi_flag *f = everywhere; f->name; f++)
        names[n++] = f->name;
    for (const wispi_flag *f = verb ? verb->flags : NULL; f && f->name; f++)
        names[n++] = f->name;
    return wispi_report_wrong_call(
        "unknown option %s; the nearest known one is %s (see wisp %s%s--help)", word,
        wispi_nearest_word(word, names, n), verb ? verb->name : "", verb ? " " : "");
}

static int unknown_verb(const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (const wispi_verb *const *verb = wispi_verbs; *verb; verb++)
        names[n++] = (*verb)->name;
    return wispi_report_wrong_call(
        "there is no verb \"%s\"; the nearest known one is \"%s\" (see wisp --help)", word,
        wispi_nearest_word(word, names, n));
}

static int add_argument(wispi_call *call, const char *word)
{
    if (call->n_arguments == WISPI_MOST_ARGUMENTS)
        return wispi_report_wrong_call("more than %d arguments", WISPI_MOST_ARGUMENTS);
    call->arguments[call->n_arguments++] = word;
    return WISPI_EXIT_DONE;
}

static int add_folder(wispi_call *call, const char *folder)
{
    if (call->n_plugin_folders == WISPI_MOST_FOLDERS)
        return wispi_report_wrong_call("--plugin-path is given more than %d times",
                                       WISPI_MOST_FOLDERS);
    call->plugin_folders[call->n_plugin_folders++] = folder;
    return WISPI_EXIT_DONE;
}

/* `value` is what stands behind '=', or NULL; the next word may serve instead, and is then used
 * up by advancing *at. */
static int set_flag(wispi_call *call, const wispi_flag *flag, const char *value, char **argv,
                    int *at)
{
    char *field = (char *)call + flag->offset;
    if (!flag->value) {
        if (value)
            return wispi_report_wrong_call("%s takes no value", flag->name);
        memcpy(field, &(int32_t){1}, sizeof(int32_t));
        return WISPI_EXIT_DONE;
    }
    if (!value)
        value = argv[*at + 1] ? argv[++*at] : NULL;
    if (!value || value[0] == '\0')
        return wispi_report_wrong_call("%s needs a value: %s %s", flag->name, flag->name,
                                       flag->value);
    if (flag->offset == offsetof(wispi_call, plugin_folders))
        return add_folder(call, value);
    if (flag->offset == offsetof(wispi_call, arguments))
        return add_argument(call, value);
    memcpy(field, &value, sizeof value);
    return WISPI_EXIT_DONE;
}

static int read_flag(wispi_call *call, char **argv, int *at)
{
    const char *word = argv[*at];
    for (size_t i = 0; i < sizeof short_names / sizeof short_names[0]; i++)
        if (strcmp(word, short_names[i].letter) == 0)
            word = short_names[i].name;
    size_t n = strcspn(word, "=");
    const wispi_flag *flag = find_in(everywhere, word, n);
    if (!flag && call->verb)
        flag = find_in(call->verb->flags, word, n);
    if (!flag)
        return unknown_flag(call->verb, word);
    return set_flag(call, flag, word[n] == '=' ? word + n + 1 : NULL, argv, at);
}

static const wispi_verb *find_verb(const char *name)
{
    for (const wispi_verb *const *verb = wispi_verbs; *verb; verb++)
        if (strcmp((*verb)->name, name) == 0)
            return *verb;
    return NULL;
}

/* The first word is the verb; `help` before it asks for its help. */
static int read_word(wispi_call *call, const char *word)
{
    if (!call->verb && !call->help && strcmp(word, "help") == 0) {
        call->help = 1;
        return WISPI_EXIT_DONE;
    }
    if (!call->verb) {
        call->verb = find_verb(word);
        return call->verb ? WISPI_EXIT_DONE : unknown_verb(word);
    }
    return add_argument(call, word);
}

static int check_count(const wispi_call *call)
{
    const wispi_verb *verb = call->verb;
    if (!verb)
        return wispi_report_wrong_call("what shall be done? See wisp --help");
    if (call->n_arguments >= verb->least && (verb->most < 0 || call->n_arguments <= verb->most))
        return WISPI_EXIT_DONE;
    return wispi_report_wrong_call("%s arguments; the call is: wisp %s %s",
                                   call->n_arguments < verb->least ? "too few" : "too many",
                                   verb->name, verb->arguments);
}

int wispi_parse_arguments(int argc, char **argv, wispi_call *call)
{
    int flags_ended = 0;
    for (int i = 1; i < argc; i++) {
        int code = WISPI_EXIT_DONE;
        if (!flags_ended && strcmp(argv[i], "--") == 0)
            flags_ended = 1;
        else if (!flags_ended && argv[i][0] == '-' && argv[i][1] != '\0')
            code = read_flag(call, argv, &i);
        else
            code = read_word(call, argv[i]);
        if (code != WISPI_EXIT_DONE)
            return code;
    }
    return call->help || call->version ? WISPI_EXIT_DONE : check_count(call);
}

static void print_flags(const wispi_flag *flags)
{
    for (; flags && flags->name; flags++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", flags->name, flags->value ? " " : "",
                 flags->value ? flags->value : "");
        printf("  %-24s %s\n", left, flags->help);
    }
}

static void print_all_verbs(void)
{
    printf("wisp - self-supervised pre-training of small vision networks\n\n"
           "usage: wisp VERB [arguments] [options]\n\n");
    for (const wispi_verb *const *verb = wispi_verbs; *verb; verb++)
        printf("  %-10s %s\n", (*verb)->name, (*verb)->summary);
    printf("\nwisp VERB --help tells more about one of them.\n");
}

void wispi_print_help(const wispi_verb *verb)
{
    if (verb)
        printf("wisp %s - %s\n\nusage: wisp %s %s\n\n", verb->name, verb->summary, verb->name,
               verb->arguments);
    else
        print_all_verbs();
    if (verb && verb->details)
        printf("%s\n", verb->details);
    printf("%soptions:\n", verb ? "" : "\n");
    print_flags(verb ? verb->flags : NULL);
    print_flags(everywhere);
    if (verb)
        printf("\nexample:\n  %s\n", verb->example);
    printf("\nexit codes: 0 done, 1 the run failed, 2 the call or the configuration is wrong\n");
}

/* json_lines.c - is every line of these files one JSON object, and is the last one ended?
 *
 *   json_lines FILE...
 *
 * Prints how many lines there are. Exit 0: yes, 1: no. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_line(const char *path, long number, const char *line, size_t n)
{
    json_error_t problem;
    if (line[n - 1] != '\n') {
        printf("%s:%ld: the line has no end\n", path, number);
        return 0;
    }
    json_t *value = json_loadb(line, n, JSON_REJECT_DUPLICATES, &problem);
    int good = json_is_object(value);
    if (!good)
        printf("%s:%ld: no JSON object: %s\n", path, number, problem.text);
    json_decref(value);
    return good;
}

static int check_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    int good = file != NULL;
    long number = 0;
    if (!file)
        perror(path);
    for (ssize_t n; file && (n = getline(&line, &room, file)) > 0;)
        good &= check_line(path, ++number, line, (size_t)n);
    free(line);
    if (file)
        fclose(file);
    printf("%s: %ld lines\n", path, number);
    return good && number > 0;
}

int main(int argc, char **argv)
{
    int good = argc > 1;
    for (int i = 1; i < argc; i++)
        good &= check_file(argv[i]);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

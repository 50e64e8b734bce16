/* Looking names up in the command table, and guessing which one a mistyped word meant. */
#include "cli.h"

#include <string.h>

enum { WORD_MAX = 32 };

const Command *cli_command_find(const char *name) {
    for (const Command *command = cli_commands; command->name; command++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}

static const Option *find_among(const Option *options, const char *name) {
    for (const Option *option = options; option && option->name; option++)
        if (!strcmp(option->name, name))
            return option;
    return NULL;
}

const Option *cli_option_find(const Command *command, const char *name) {
    const Option *option = find_among(command ? command->options : NULL, name);
    return option ? option : find_among(cli_global_options, name);
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other (optimal string alignment). */
static size_t edit_distance(const char *a, const char *b) {
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > WORD_MAX || columns > WORD_MAX)
        return WORD_MAX;
    size_t table[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= rows; i++)
        table[i][0] = i;
    for (size_t j = 0; j <= columns; j++)
        table[0][j] = j;
    for (size_t i = 1; i <= rows; i++)
        for (size_t j = 1; j <= columns; j++) {
            size_t best = smaller(table[i - 1][j], table[i][j - 1]) + 1;
            best = smaller(best, table[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = smaller(best, table[i - 2][j - 2] + 1);
            table[i][j] = best;
        }
    return table[rows][columns];
}

const char *cli_nearest(const char *word, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t length = strlen(word);
    size_t best = length / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        bool begins = length >= 2 && !strncmp(names[i], word, length);
        size_t distance = begins ? 1 : edit_distance(word, names[i]);
        if (distance < best && distance < strlen(names[i])) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

/* Help, from the command table. */
#include "cli.h"

#include <string.h>

enum { TEXT_COLUMN = 22, TEXT_WIDTH = 80 };

/* With blanks, so that a line can end between them. */
static void append_choices(char *out, size_t capacity, const char *choices) {
    size_t used = 0;
    for (const char *at = choices; *at && used + 2 < capacity; at++) {
        out[used++] = *at == '|' ? ',' : *at;
        if (*at == '|')
            out[used++] = ' ';
    }
    out[used] = '\0';
}

static void print_option(const Option *option, FILE *out) {
    char left[64], text[512];
    bool takes = option->argument.kind != ARGUMENT_NONE, chooses = option->argument.choices != NULL;
    snprintf(left, sizeof left, "--%s%s%s", option->name, takes ? " " : "", takes ? option->argument.name : "");
    int used = snprintf(text, sizeof text, "%s%s", option->help, chooses ? ": " : "");
    append_choices(text + used, sizeof text - (size_t)used, chooses ? option->argument.choices : "");
    fprintf(out, "  %-*s", TEXT_COLUMN - 2, left);
    if (strlen(left) + 4 > TEXT_COLUMN)
        fprintf(out, "\n%*s", TEXT_COLUMN, "");
    cli_print_wrapped(out, text, TEXT_WIDTH, TEXT_COLUMN, TEXT_COLUMN);
}

static void print_options(const char *title, const Option *options, FILE *out) {
    fprintf(out, "\n%s\n", title);
    for (const Option *option = options; option->name; option++)
        print_option(option, out);
}

void cli_help(FILE *out) {
    fputs("sweepctl: scaling-law studies, from a sweep file to a compute-optimal frontier.\n\n"
          "Usage: sweepctl [--home DIR] VERB [ARGUMENT] [OPTIONS]\n\nVerbs\n",
          out);
    for (const Command *command = cli_commands; command->name; command++) {
        char left[64];
        const Argument *positional = &command->positional;
        const char *open = positional->required ? "" : "[", *close = positional->required ? "" : "]";
        bool takes = positional->kind != ARGUMENT_NONE;
        snprintf(left, sizeof left, "%s %s%s%s", command->name, takes ? open : "", takes ? positional->name : "", takes ? close : "");
        fprintf(out, "  %-*s%s\n", TEXT_COLUMN - 2, left, command->summary);
    }
    print_options("Options of every verb", cli_global_options, out);
    fputc('\n', out);
    cli_print_wrapped(
        out,
        "Exit codes: 0 ok, 1 error, 2 usage or bad sweep file, 3 finished with failed runs, 4 no daemon, 124 wait timed out, 130 "
        "interrupted.\n"
        "'sweepctl VERB --help' tells more; begin with 'sweepctl run sweeps/quickstart.yaml'.",
        TEXT_WIDTH, 0, 0);
}

void cli_help_command(const Command *command, FILE *out) {
    const Argument *positional = &command->positional;
    fprintf(out, "sweepctl %s: %s\n\nUsage: sweepctl %s", command->name, command->summary, command->name);
    if (positional->kind != ARGUMENT_NONE)
        fprintf(out, positional->required ? " %s" : " [%s]", positional->kind == ARGUMENT_CHOICE ? positional->choices : positional->name);
    if (positional->more)
        fprintf(out, " [%s]", positional->more);
    fprintf(out, "%s\n", command->options ? " [OPTIONS]" : "");
    if (command->details) {
        fputc('\n', out);
        cli_print_wrapped(out, command->details, TEXT_WIDTH, 0, 0);
    }
    if (command->options)
        print_options("Options", command->options, out);
    print_options("Options of every verb", cli_global_options, out);
}

/* cli: what the files of `sweepctl` share. A verb is a row of the command table (commands.c) and a function of one file (verb_*.c);
 * the table drives dispatch, the checks of options, each verb's help, and shell completion. */
#pragma once

#include "sweepd/base.h"

#include <stdio.h>

/* What sweepctl exits with. A verb returns one of these, or a negative value with the Error set, which counts as CLI_FAILED.
 * Whatever is not CLI_OK is reported with the error's text when it has one. */
typedef enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,       /* wrong arguments, or a wrong sweep file or CSV */
    CLI_RUNS_FAILED = 3, /* the sweep has finished, with failed or cancelled runs */
    CLI_NO_DAEMON = 4,
    CLI_TIMED_OUT = 124,
    CLI_INTERRUPTED = 130,
} CliExit;

/* ---- the command table ---- */

typedef enum {
    ARGUMENT_NONE, /* a flag, or a verb without a positional */
    ARGUMENT_TEXT,
    ARGUMENT_RUN,   /* a run's id, or the first digits of its key */
    ARGUMENT_SWEEP, /* a sweep's name */
    ARGUMENT_FILE,
    ARGUMENT_DIRECTORY,
    ARGUMENT_CHOICE,  /* one of `choices`, written "a|b|c" */
    ARGUMENT_CHOICES, /* several of them: a list with commas, given once or again */
    ARGUMENT_INTEGER, /* from minimum to maximum */
    ARGUMENT_NUMBER,  /* the same, with fractions */
    ARGUMENT_NUMBERS, /* several of them, likewise */
} ArgumentKind;

typedef struct Argument {
    ArgumentKind kind;
    const char *name; /* as help shows it: "FILE", "N" */
    const char *choices;
    double minimum, maximum;
    bool required;    /* positionals alone */
    const char *more; /* likewise: names of what may follow, "SOURCE OUT"; NULL: nothing */
    bool many;        /* likewise: given as often as one likes */
} Argument;

typedef struct Option {
    const char *name; /* without the dashes */
    Argument argument;
    const char *help;
} Option;

typedef struct Cli Cli;
typedef struct Arguments Arguments;
typedef int (*Verb)(const Cli *cli, const Arguments *arguments, Error *error);

typedef struct Command {
    const char *name;
    Verb run;
    const char *summary; /* one line */
    Argument positional;
    const Option *options; /* ends with a NULL name; may be NULL */
    const char *details;   /* for the verb's own help */
} Command;

extern const Command cli_commands[];      /* ends with a NULL name */
extern const Option cli_global_options[]; /* likewise */

const Command *cli_command_find(const char *name);
/* The option of the verb or the global one; NULL when there is none. command may be NULL. */
const Option *cli_option_find(const Command *command, const char *name);
/* The name among `count` that a mistyped word most likely meant, or NULL. */
const char *cli_nearest(const char *word, const char *const *names, size_t count);

/* ---- parsed arguments ---- */

enum { ARGUMENTS_MAX = 32, ARGUMENTS_MORE_MAX = 2 };

struct Arguments {
    const Command *command; /* NULL: none was named */
    const char *positional; /* the first; NULL: none was given */
    const char *positionals[ARGUMENTS_MAX];
    size_t positional_count;
    const char *more[ARGUMENTS_MORE_MAX]; /* what followed it where the verb takes `more` */
    size_t more_count;
    size_t count;
    struct {
        const Option *option;
        const char *value; /* NULL for a flag */
    } given[ARGUMENTS_MAX];
};

/* 0, or CLI_USAGE with the error saying what is wrong and what was perhaps meant. Points into argv. */
int arguments_parse(Arguments *out, int argc, char **argv, Error *error);
bool arguments_flag(const Arguments *arguments, const char *option);
/* The last value given, or `otherwise`. */
const char *arguments_text(const Arguments *arguments, const char *option, const char *otherwise);
double arguments_number(const Arguments *arguments, const char *option, double otherwise);
/* The values of an option in turn: *index is 0 to begin with. NULL past the last. */
const char *arguments_next(const Arguments *arguments, const char *option, size_t *index);
/* Whether any value of an ARGUMENT_CHOICES names the choice. */
bool arguments_chose(const Arguments *arguments, const char *option, const char *choice);
/* Every number of an ARGUMENT_NUMBERS; at most capacity, returns how many there are. */
size_t arguments_numbers(const Arguments *arguments, const char *option, double *out, size_t capacity);

/* The short help of `sweepctl`, and the help of one verb. */
void cli_help(FILE *out);
void cli_help_command(const Command *command, FILE *out);
/* The shell's completion script. shell: "bash", "zsh", "fish". */
void cli_completion(const char *shell, FILE *out);

/* ---- what every verb is given ---- */

struct Cli {
    const char *home_option; /* --home, or NULL */
    bool terminal;           /* stdout is one */
    bool color;
    int width; /* columns to fit; 0: no limit */
};

void cli_init(Cli *cli, const Arguments *arguments);
/* Columns to fit now: $COLUMNS, else the terminal's, else 0. A terminal's can change. */
int cli_width(bool terminal);
/* path_home of --home. */
int cli_home(const Cli *cli, char out[PATH_TEXT_MAX], Error *error);
/* "sweepctl: ..." on stderr, for what is worth saying but no failure. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Sets the error and returns CLI_USAGE. */
int cli_usage(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes a finished buffer to stdout, with an error when the buffer failed. */
int cli_print(const Buffer *buffer, Error *error);
/* Whole words up to `width` (0: no limit), the lines after the first indented; `at` is the column that the cursor is in. Newlines stay. */
void cli_print_wrapped(FILE *out, const char *text, size_t width, size_t at, size_t indent);
/* A line of prose to stdout, wrapped to the Cli's width, with a newline. */
void cli_say(const Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same under a label: "  key        ...". */
void cli_say_row(const Cli *cli, const char *label, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* SIGINT, SIGTERM and SIGHUP set a flag instead of ending the program. */
void interrupt_catch(void);
bool interrupt_seen(void);
/* Sleeps; returns early when interrupted. */
void interrupt_sleep(double seconds);

int verb_run(const Cli *cli, const Arguments *arguments, Error *error);
int verb_validate(const Cli *cli, const Arguments *arguments, Error *error);
int verb_plan(const Cli *cli, const Arguments *arguments, Error *error);
int verb_submit(const Cli *cli, const Arguments *arguments, Error *error);
int verb_status(const Cli *cli, const Arguments *arguments, Error *error);
int verb_watch(const Cli *cli, const Arguments *arguments, Error *error);
int verb_wait(const Cli *cli, const Arguments *arguments, Error *error);
int verb_runs(const Cli *cli, const Arguments *arguments, Error *error);
int verb_show(const Cli *cli, const Arguments *arguments, Error *error);
int verb_logs(const Cli *cli, const Arguments *arguments, Error *error);
int verb_cancel(const Cli *cli, const Arguments *arguments, Error *error);
int verb_retry(const Cli *cli, const Arguments *arguments, Error *error);
int verb_pause(const Cli *cli, const Arguments *arguments, Error *error);
int verb_resume(const Cli *cli, const Arguments *arguments, Error *error);
int verb_fit(const Cli *cli, const Arguments *arguments, Error *error);
int verb_plot(const Cli *cli, const Arguments *arguments, Error *error);
int verb_predict(const Cli *cli, const Arguments *arguments, Error *error);
int verb_compare(const Cli *cli, const Arguments *arguments, Error *error);
int verb_export(const Cli *cli, const Arguments *arguments, Error *error);
int verb_daemon(const Cli *cli, const Arguments *arguments, Error *error);
int verb_data(const Cli *cli, const Arguments *arguments, Error *error);
int verb_doctor(const Cli *cli, const Arguments *arguments, Error *error);
int verb_completion(const Cli *cli, const Arguments *arguments, Error *error);

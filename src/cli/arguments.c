/* Command lines, read against the command table. The first word that is not an option names the verb; after it, options and the
 * positional come in any order. Values are checked here, against the kind and range that the table states, so that no verb sees
 * one that is wrong. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One choice of `length` bytes. */
static bool choice_listed(const char *choices, const char *value, size_t length) {
    for (const char *at = choices; length > 0 && at; at = strchr(at, '|')) {
        at += *at == '|';
        if (!strncmp(at, value, length) && (at[length] == '|' || !at[length]))
            return true;
    }
    return false;
}

static bool number_within(const Argument *argument, const char *value, size_t length, bool whole) {
    char *end = NULL;
    double number = strtod(value, &end);
    if (length == 0 || end != value + length || !isfinite(number))
        return false;
    return number >= argument->minimum && number <= argument->maximum && (!whole || number == floor(number));
}

/* what: "--workers" or "SHELL". One value, or one entry of a list. */
static int check_entry(const Argument *argument, const char *what, const char *value, size_t length, Error *error) {
    bool chooses = argument->kind == ARGUMENT_CHOICE || argument->kind == ARGUMENT_CHOICES, whole = argument->kind == ARGUMENT_INTEGER;
    bool counts = whole || argument->kind == ARGUMENT_NUMBER || argument->kind == ARGUMENT_NUMBERS;
    if (chooses && !choice_listed(argument->choices, value, length))
        return cli_usage(error, "%s is one of %s, not '%.*s'", what, argument->choices, (int)length, value);
    if (counts && !number_within(argument, value, length, whole))
        return cli_usage(error, "%s takes a %snumber from %.15g to %.15g, not '%.*s'", what, whole ? "whole " : "", argument->minimum,
                         argument->maximum, (int)length, value);
    if (length == 0)
        return cli_usage(error, "%s is empty", what);
    return 0;
}

static int check_value(const Argument *argument, const char *what, const char *value, Error *error) {
    bool list = argument->kind == ARGUMENT_CHOICES || argument->kind == ARGUMENT_NUMBERS;
    if (!list)
        return check_entry(argument, what, value, strlen(value), error);
    int result = 0;
    for (const char *at = value; at && !result; at = strchr(at, ',')) {
        at += at > value;
        result = check_entry(argument, what, at, strcspn(at, ","), error);
    }
    return result;
}

static int unknown_option(const Command *command, const char *name, Error *error) {
    const char *names[ARGUMENTS_MAX];
    size_t count = 0;
    for (const Option *option = command ? command->options : NULL; option && option->name && count < ARGUMENTS_MAX; option++)
        names[count++] = option->name;
    for (const Option *option = cli_global_options; option->name && count < ARGUMENTS_MAX; option++)
        names[count++] = option->name;
    const char *nearest = cli_nearest(name, names, count);
    const char *verb = command ? command->name : "", *space = command ? " " : "";
    if (nearest)
        return cli_usage(error, "sweepctl%s%s has no option '--%s'; did you mean '--%s'?", space, verb, name, nearest);
    return cli_usage(error, "sweepctl%s%s has no option '--%s'%s; see 'sweepctl%s%s --help'", space, verb, name,
                     command ? "" : " before the verb", space, verb);
}

static int unknown_verb(const char *name, Error *error) {
    const char *names[ARGUMENTS_MAX];
    size_t count = 0;
    for (const Command *command = cli_commands; command->name && count < ARGUMENTS_MAX; command++)
        names[count++] = command->name;
    const char *nearest = cli_nearest(name, names, count);
    if (nearest)
        return cli_usage(error, "there is no verb '%s'; did you mean '%s'?", name, nearest);
    return cli_usage(error, "there is no verb '%s'; 'sweepctl --help' lists them", name);
}

static int take_positional(Arguments *out, const char *word, Error *error) {
    if (!out->command) {
        out->command = cli_command_find(word);
        return out->command ? 0 : unknown_verb(word, error);
    }
    const Argument *positional = &out->command->positional;
    if (out->positional && positional->more && out->more_count < ARGUMENTS_MORE_MAX) {
        out->more[out->more_count++] = word;
        return *word ? 0 : cli_usage(error, "an argument of %s is empty", out->command->name);
    }
    if (positional->kind == ARGUMENT_NONE || (out->positional && !positional->many))
        return cli_usage(error, "%s does not take the argument '%s'; see 'sweepctl %s --help'", out->command->name, word,
                         out->command->name);
    if (out->positional_count == ARGUMENTS_MAX)
        return cli_usage(error, "more than %d arguments", ARGUMENTS_MAX);
    out->positional = out->positional ? out->positional : word;
    out->positionals[out->positional_count++] = word;
    return check_value(positional, positional->name, word, error);
}

/* word: "--name", "--name=value" or "-h"; *index moves on when the next word is the value. */
static int take_option(Arguments *out, int argc, char **argv, int *index, Error *error) {
    const char *word = argv[*index];
    char name[64];
    size_t length = strcspn(word + 2, "=");
    const char *value = word[2 + length] == '=' ? word + 2 + length + 1 : NULL;
    if (!strcmp(word, "-h"))
        text_copy(name, sizeof name, "help");
    else if (word[1] != '-' || length >= sizeof name)
        return cli_usage(error, "options begin with two dashes; '%s' is none; see 'sweepctl --help'", word);
    else
        text_copy(name, length + 1, word + 2);
    const Option *option = cli_option_find(out->command, name);
    if (!option)
        return unknown_option(out->command, name, error);
    if (option->argument.kind == ARGUMENT_NONE && value)
        return cli_usage(error, "--%s takes no value", name);
    if (option->argument.kind != ARGUMENT_NONE && !value) {
        if (*index + 1 >= argc)
            return cli_usage(error, "--%s needs a value: --%s %s", name, name, option->argument.name);
        value = argv[++*index];
    }
    if (out->count == ARGUMENTS_MAX)
        return cli_usage(error, "more than %d options", ARGUMENTS_MAX);
    out->given[out->count].option = option;
    out->given[out->count++].value = value;
    char what[80];
    snprintf(what, sizeof what, "--%s", name);
    return value ? check_value(&option->argument, what, value, error) : 0;
}

int arguments_parse(Arguments *out, int argc, char **argv, Error *error) {
    memset(out, 0, sizeof *out);
    bool options_end = false;
    int result = 0;
    for (int i = 1; i < argc && !result; i++) {
        if (!options_end && !strcmp(argv[i], "--"))
            options_end = true;
        else if (!options_end && argv[i][0] == '-' && argv[i][1])
            result = take_option(out, argc, argv, &i, error);
        else
            result = take_positional(out, argv[i], error);
    }
    bool asks = arguments_flag(out, "help") || arguments_flag(out, "version");
    if (!result && !asks && out->command && out->command->positional.required && !out->positional) {
        result = cli_usage(error, "%s needs %s; see 'sweepctl %s --help'", out->command->name, out->command->positional.name,
                           out->command->name);
    }
    return result;
}

bool arguments_flag(const Arguments *arguments, const char *option) {
    for (size_t i = 0; i < arguments->count; i++)
        if (!strcmp(arguments->given[i].option->name, option))
            return true;
    return false;
}

const char *arguments_text(const Arguments *arguments, const char *option, const char *otherwise) {
    for (size_t i = arguments->count; i > 0; i--)
        if (!strcmp(arguments->given[i - 1].option->name, option))
            return arguments->given[i - 1].value;
    return otherwise;
}

double arguments_number(const Arguments *arguments, const char *option, double otherwise) {
    const char *text = arguments_text(arguments, option, NULL);
    return text ? strtod(text, NULL) : otherwise;
}

const char *arguments_next(const Arguments *arguments, const char *option, size_t *index) {
    while (*index < arguments->count) {
        size_t i = (*index)++;
        if (!strcmp(arguments->given[i].option->name, option))
            return arguments->given[i].value;
    }
    return NULL;
}

bool arguments_chose(const Arguments *arguments, const char *option, const char *choice) {
    size_t index = 0, length = strlen(choice);
    for (const char *value; (value = arguments_next(arguments, option, &index));)
        for (const char *at = value; at; at = strchr(at, ',')) {
            at += at > value;
            if (strcspn(at, ",") == length && !strncmp(at, choice, length))
                return true;
        }
    return false;
}

size_t arguments_numbers(const Arguments *arguments, const char *option, double *out, size_t capacity) {
    size_t index = 0, count = 0;
    for (const char *value; (value = arguments_next(arguments, option, &index));)
        for (const char *at = value; at; at = strchr(at, ',')) {
            at += at > value;
            if (count < capacity)
                out[count] = strtod(at, NULL);
            count++;
        }
    return count;
}

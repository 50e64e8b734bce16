/* Completion scripts, written from the command table. Each script holds the names as words; sweeps' names are asked of sweepctl itself
 * when they are needed. */
#include "cli.h"

#include <string.h>

static void print_words(const char *choices, FILE *out) {
    for (const char *at = choices; *at; at++)
        fputc(*at == '|' ? ' ' : *at, out);
}

/* Text inside single quotes; the table's texts may hold quotes, which all three shells take as '\''. */
static void print_quoted(const char *text, FILE *out) {
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

/* ---- bash ---- */

static void bash_value(const Argument *argument, const char *indent, FILE *out) {
    fputs(indent, out);
    if (argument->choices) {
        fputs("words='", out);
        print_words(argument->choices, out);
        fputs("' ;;\n", out);
    } else if (argument->kind == ARGUMENT_SWEEP) {
        fputs("words=$(sweepctl completion --sweeps 2>/dev/null) ;;\n", out);
    } else if (argument->kind == ARGUMENT_FILE) {
        fputs("kind=f ;;\n", out);
    } else if (argument->kind == ARGUMENT_DIRECTORY) {
        fputs("kind=d ;;\n", out);
    } else {
        fputs("kind=none ;;\n", out);
    }
}

static void bash_option_values(const char *verb, const Option *options, FILE *out) {
    for (const Option *option = options; option && option->name; option++) {
        if (option->argument.kind == ARGUMENT_NONE)
            continue;
        fprintf(out, "        %s:--%s) ", verb, option->name);
        bash_value(&option->argument, "", out);
    }
}

static void print_option_names(const Option *options, FILE *out) {
    for (const Option *option = options; option && option->name; option++)
        fprintf(out, " --%s", option->name);
}

static void bash_script(FILE *out) {
    fputs("# bash completion for sweepctl\n"
          "_sweepctl() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb= words= options= kind= i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        --home) ((i++)) ;;\n"
          "        -*) ;;\n"
          "        *) verb=${COMP_WORDS[i]}; break ;;\n"
          "        esac\n"
          "    done\n"
          "    case $verb:$previous in\n",
          out);
    bash_option_values("*", cli_global_options, out);
    for (const Command *command = cli_commands; command->name; command++)
        bash_option_values(command->name, command->options, out);
    fputs("        *)\n            case $verb in\n            '') words='", out);
    for (const Command *command = cli_commands; command->name; command++)
        fprintf(out, "%s%s", command == cli_commands ? "" : " ", command->name);
    fputs("' ;;\n", out);
    for (const Command *command = cli_commands; command->name; command++) {
        fprintf(out, "            %s) options='", command->name);
        print_option_names(command->options, out);
        fputs("' ; ", out);
        bash_value(&command->positional, "", out);
    }
    fputs("            esac\n            options=\"$options", out);
    print_option_names(cli_global_options, out);
    fputs("\" ;;\n"
          "    esac\n"
          "    if [[ $current == -* ]]; then words=$options; kind=; fi\n"
          "    case $kind in\n"
          "    f) mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
          "    d) mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
          "    none) COMPREPLY=() ;;\n"
          "    *) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\") ;;\n"
          "    esac\n"
          "}\n"
          "complete -o filenames -F _sweepctl sweepctl\n",
          out);
}

/* ---- zsh ---- */

static void zsh_value(const Argument *argument, FILE *out) {
    if (argument->kind == ARGUMENT_NONE)
        return;
    fprintf(out, ":%s:", argument->name);
    if (argument->choices) {
        fputc('(', out);
        print_words(argument->choices, out);
        fputc(')', out);
    } else if (argument->kind == ARGUMENT_SWEEP) {
        fputs("_sweepctl_sweeps", out);
    } else if (argument->kind == ARGUMENT_FILE) {
        fputs("_files", out);
    } else if (argument->kind == ARGUMENT_DIRECTORY) {
        fputs("_directories", out);
    } else {
        fputc(' ', out);
    }
}

/* _arguments takes brackets and colons as its own, so a help text goes without them. */
static void zsh_options(const Option *options, FILE *out) {
    for (const Option *option = options; option && option->name; option++) {
        fprintf(out, " '--%s[", option->name);
        for (const char *at = option->help; *at; at++)
            if (!strchr("[]:'", *at))
                fputc(*at, out);
        fputc(']', out);
        zsh_value(&option->argument, out);
        fputc('\'', out);
    }
}

static void zsh_script(FILE *out) {
    fputs("#compdef sweepctl\n"
          "_sweepctl_sweeps() { compadd -- ${(f)\"$(sweepctl completion --sweeps 2>/dev/null)\"} }\n"
          "_sweepctl() {\n"
          "    local state line\n"
          "    _arguments -C",
          out);
    zsh_options(cli_global_options, out);
    fputs(" '1:verb:->verb' '*::argument:->argument'\n    case $state in\n    verb)\n        local -a verbs=(\n", out);
    for (const Command *command = cli_commands; command->name; command++) {
        char row[160];
        snprintf(row, sizeof row, "%s:%s", command->name, command->summary);
        fputs("            ", out);
        print_quoted(row, out);
        fputc('\n', out);
    }
    fputs("        )\n        _describe verb verbs ;;\n    argument)\n        case $line[1] in\n", out);
    for (const Command *command = cli_commands; command->name; command++) {
        fprintf(out, "        %s) _arguments", command->name);
        zsh_options(command->options, out);
        zsh_options(cli_global_options, out);
        if (command->positional.kind != ARGUMENT_NONE) {
            fputs(command->positional.many ? " '*" : " '1", out);
            zsh_value(&command->positional, out);
            fputc('\'', out);
        }
        fputs(" ;;\n", out);
    }
    fputs("        esac ;;\n    esac\n}\n"
          "if [[ $funcstack[1] == _sweepctl ]]; then _sweepctl \"$@\"; else compdef _sweepctl sweepctl; fi\n",
          out);
}

/* ---- fish ---- */

static void fish_value(const Argument *argument, FILE *out) {
    if (argument->choices) {
        fputs(" -x -a '", out);
        print_words(argument->choices, out);
        fputc('\'', out);
    } else if (argument->kind == ARGUMENT_SWEEP) {
        fputs(" -x -a '(sweepctl completion --sweeps 2>/dev/null)'", out);
    } else if (argument->kind == ARGUMENT_FILE || argument->kind == ARGUMENT_DIRECTORY) {
        fputs(" -r -F", out);
    } else if (argument->kind != ARGUMENT_NONE) {
        fputs(" -x", out);
    }
}

static void fish_options(const char *condition, const Option *options, FILE *out) {
    for (const Option *option = options; option && option->name; option++) {
        fprintf(out, "complete -c sweepctl%s -l %s", condition, option->name);
        fish_value(&option->argument, out);
        fputs(" -d ", out);
        print_quoted(option->help, out);
        fputc('\n', out);
    }
}

static void fish_script(FILE *out) {
    fputs("# fish completion for sweepctl\ncomplete -c sweepctl -f\n", out);
    fish_options("", cli_global_options, out);
    for (const Command *command = cli_commands; command->name; command++) {
        char condition[96];
        fprintf(out, "complete -c sweepctl -n __fish_use_subcommand -a %s -d ", command->name);
        print_quoted(command->summary, out);
        fputc('\n', out);
        snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", command->name);
        fish_options(condition, command->options, out);
        const Argument *positional = &command->positional;
        if (positional->kind != ARGUMENT_NONE && positional->kind != ARGUMENT_RUN) {
            fprintf(out, "complete -c sweepctl%s", condition);
            fish_value(positional, out);
            fputc('\n', out);
        }
    }
}

void cli_completion(const char *shell, FILE *out) {
    if (!strcmp(shell, "bash"))
        bash_script(out);
    else if (!strcmp(shell, "zsh"))
        zsh_script(out);
    else
        fish_script(out);
}

/* What every verb is given: the terminal, the home, notes, interruption. */
#include "cli.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH_MIN = 20, WIDTH_MAX = 10000 };

/* $COLUMNS counts in a pipe too: whoever exports it says how wide the reader's place is. */
int cli_width(bool terminal) {
    const char *text = getenv("COLUMNS");
    long columns = text ? strtol(text, NULL, 10) : 0;
    if (columns >= WIDTH_MIN && columns <= WIDTH_MAX)
        return (int)columns;
    struct winsize size = {0};
    if (!terminal)
        return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= WIDTH_MIN ? size.ws_col : 80;
}

void cli_init(Cli *cli, const Arguments *arguments) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    cli->home_option = arguments_text(arguments, "home", NULL);
    if (cli->home_option) /* sweep files look for packs in the home, too */
        setenv("SWEEPD_HOME", cli->home_option, 1);
    cli->terminal = isatty(STDOUT_FILENO);
    cli->color = cli->terminal && !arguments_flag(arguments, "no-color") && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
    cli->width = cli_width(cli->terminal);
}

int cli_home(const Cli *cli, char out[PATH_TEXT_MAX], Error *error) {
    return path_home(cli->home_option, out, error);
}

void cli_note(const char *format, ...) {
    enum { NOTE_MAX = 4 * PATH_TEXT_MAX };
    char text[NOTE_MAX], shown[NOTE_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    text_copy_plain(shown, sizeof shown, text);
    fflush(stdout);
    fprintf(stderr, "sweepctl: %s\n", shown);
}

int cli_usage(Error *error, const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    error_set(error, "%s", text);
    return CLI_USAGE;
}

int cli_print(const Buffer *buffer, Error *error) {
    if (buffer_check(buffer, error, "the output") < 0)
        return -1;
    fwrite(buffer->data, 1, buffer->size, stdout); /* main checks the stream once, at the end */
    return 0;
}

/* Columns that a word takes: a colour (ESC [ ... m) takes none, and of a UTF-8 character only the first byte counts. */
static size_t word_columns(const char *word, size_t length) {
    size_t columns = 0;
    for (size_t i = 0; i < length; i++) {
        if (word[i] == '\033')
            i += strcspn(word + i, "m");
        else
            columns += ((unsigned char)word[i] & 0xc0) != 0x80;
    }
    return columns;
}

void cli_print_wrapped(FILE *out, const char *text, size_t width, size_t at, size_t indent) {
    bool begun = false;
    while (*text) {
        size_t length = strcspn(text, " \n"), columns = word_columns(text, length);
        if (begun && width && at + 1 + columns > width) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            begun = false;
        }
        fprintf(out, "%s%.*s", begun ? " " : "", (int)length, text);
        at += begun + columns;
        begun = true;
        text += length;
        if (*text == '\n') {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            begun = false;
        }
        text += *text != '\0';
    }
    fputc('\n', out);
}

void cli_say(const Cli *cli, const char *format, ...) {
    char text[2048];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    cli_print_wrapped(stdout, text, (size_t)cli->width, 0, 0);
}

void cli_say_row(const Cli *cli, const char *label, const char *format, ...) {
    enum { INDENT = 13 };
    char text[2048];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    printf("  %-*s", INDENT - 2, label);
    cli_print_wrapped(stdout, text, (size_t)cli->width, INDENT, INDENT);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

void interrupt_catch(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool interrupt_seen(void) {
    return interrupted != 0;
}

void interrupt_sleep(double seconds) {
    struct timespec span = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    if (!interrupted)
        nanosleep(&span, NULL);
}

#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 1024 };

typedef enum { OPTION_TEXT, OPTION_INTEGER, OPTION_SECONDS, OPTION_SIZE, OPTION_ON, OPTION_OFF, OPTION_HELP, OPTION_VERSION } OptionKind;

/* What the command line says. */
typedef struct Given {
    const char *home, *gpus, *listen, *token_file, *log_path;
    int64_t workers; /* -1: the machine decides */
    int64_t threads, cores, retry_limit, leave_with;
    double memory_bytes, lease_seconds, heartbeat_seconds;
    bool unpinned, detach;
} Given;

typedef struct Option {
    const char *name;
    const char *value; /* its name in the help; NULL: the option takes none */
    OptionKind kind;
    size_t place;        /* in Given, of what it sets */
    int64_t least, most; /* of an integer */
    const char *help;
} Option;

#define PLACE(member) offsetof(Given, member)
static const Option options[] = {
    {"home", "DIR", OPTION_TEXT, PLACE(home), 0, 0, "where everything is kept; default $SWEEPD_HOME, else\n~/.local/share/sweepd"},
    {"workers", "N", OPTION_INTEGER, PLACE(workers), 0, FLEET_MAX,
     "at most N worker processes on this machine; 0 starts none;\ndefault: as many as cores allow"},
    {"threads", "N", OPTION_INTEGER, PLACE(threads), 1, THREADS_MAX,
     "threads of each worker; default: one for a run, more for the\nlast large ones when cores would be idle"},
    {"cores", "N", OPTION_INTEGER, PLACE(cores), 1, THREADS_MAX, "cores to use; default: all"},
    {"memory", "SIZE", OPTION_SIZE, PLACE(memory_bytes), 0, 0,
     "memory that workers may take together, as 16G or 900M; default:\nthe machine's, less a tenth, at most 1 GiB of it"},
    {"gpus", "N|LIST", OPTION_TEXT, PLACE(gpus), 0, 0,
     "GPUs to use: how many, or which, as 0,1,3; default: those of\nCUDA_VISIBLE_DEVICES, else all"},
    {"no-pin", NULL, OPTION_ON, PLACE(unpinned), 0, 0, "workers do not tie each run to cores of its own"},
    {"listen", "ADDRESS:PORT", OPTION_TEXT, PLACE(listen), 0, 0, "serve TCP too; needs --token-file"},
    {"token-file", "FILE", OPTION_TEXT, PLACE(token_file), 0, 0, "holds the token that every TCP request must carry"},
    {"lease-seconds", "S", OPTION_SECONDS, PLACE(lease_seconds), 0, 0,
     "a run whose worker is silent for S seconds goes to another;\ndefault 60"},
    {"heartbeat-seconds", "S", OPTION_SECONDS, PLACE(heartbeat_seconds), 0, 0,
     "how often workers report; at most a fifth of the lease;\ndefault 5"},
    {"retry-limit", "N", OPTION_INTEGER, PLACE(retry_limit), 1, INT_MAX, "failures of its own that make a run failed; default 3"},
    {"log", "FILE", OPTION_TEXT, PLACE(log_path), 0, 0, "append messages to FILE; default: standard error"},
    {"foreground", NULL, OPTION_OFF, PLACE(detach), 0, 0, "stay in the foreground; the default"},
    {"detach", NULL, OPTION_ON, PLACE(detach), 0, 0,
     "go to the background once the daemon serves; messages go to\nHOME/sweepd.log unless --log says otherwise"},
    {"leave-with", "PID", OPTION_INTEGER, PLACE(leave_with), 1, INT_MAX,
     "once PID, which started the daemon, has ended: leave when nothing\nis left to be done; as 'sweepctl run' starts it"},
    {"help", NULL, OPTION_HELP, 0, 0, 0, "print this and exit"},
    {"version", NULL, OPTION_VERSION, 0, 0, 0, "print the version and exit"},
};
enum { OPTION_COUNT = sizeof options / sizeof *options, HELP_COLUMN = 26 };

static void print_help(void) {
    puts("Usage: sweepd [OPTION]...\n"
         "The daemon of scaling-law studies: keeps the queue and the database of a home directory, starts\n"
         "workers, and serves the HTTP API that sweepctl and sweep-worker speak.\n");
    for (const Option *option = options; option < options + OPTION_COUNT; option++) {
        int column = printf("  --%s %s", option->name, option->value ? option->value : "");
        for (const char *line = option->help; line; column = 0) {
            size_t length = strcspn(line, "\n");
            printf("%*s%.*s\n", HELP_COLUMN - column, "", (int)length, line);
            line = line[length] ? line + length + 1 : NULL;
        }
    }
    puts("\nSIGTERM or SIGINT: workers checkpoint and leave, then the daemon does; a second one ends it at once.\n"
         "Exit codes: 0 stopped as asked, 1 error, 2 usage.");
}

static int usage(Error *error, const char *option, const char *value, const char *wanted) {
    error_set(error, "--%s %s: %s", option, value, wanted);
    return OPTIONS_USAGE;
}

static bool read_integer(const char *text, int64_t least, int64_t most, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return *text != '\0' && *end == '\0' && errno == 0 && *out >= least && *out <= most;
}

static bool read_seconds(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    return *text != '\0' && *end == '\0' && isfinite(*out) && *out >= 0.01 && *out <= 1e6;
}

static bool read_size(const char *text, double *out) {
    static const char units[] = "KMGT";
    char *end;
    *out = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit)
        *out *= (double)(1ULL << (10 * (unit - units + 1)));
    bool ends = unit ? end[1] == '\0' : *end == '\0';
    return *text >= '0' && *text <= '9' && ends && *out >= 1 << 20 && *out <= 1e18;
}

static int read_option(Given *given, const Option *option, const char *text, Error *error) {
    void *place = (char *)given + option->place;
    char wanted[96];
    switch (option->kind) {
    case OPTION_TEXT:
        *(const char **)place = text;
        return 0;
    case OPTION_INTEGER:
        snprintf(wanted, sizeof wanted, "must be a whole number from %lld to %lld", (long long)option->least, (long long)option->most);
        return read_integer(text, option->least, option->most, place) ? 0 : usage(error, option->name, text, wanted);
    case OPTION_SECONDS:
        return read_seconds(text, place) ? 0 : usage(error, option->name, text, "must be a number of seconds from 0.01 to 1000000");
    case OPTION_SIZE:
        return read_size(text, place)
                   ? 0
                   : usage(error, option->name, text, "must be at least 1M: bytes, or a number with K, M, G or T for KiB, MiB, GiB or TiB");
    case OPTION_ON:
    case OPTION_OFF:
        *(bool *)place = option->kind == OPTION_ON;
        return 0;
    case OPTION_HELP:
        print_help();
        return OPTIONS_EXIT;
    case OPTION_VERSION:
        printf("sweepd %s (%s)\n", version_text(), version_commit());
        return OPTIONS_EXIT;
    }
    return OPTIONS_USAGE;
}

/* "127.0.0.1:8080", "[::1]:8080", "host:8080". */
static int read_listen(DaemonOptions *out, const char *text, Error *error) {
    const char *colon = strrchr(text, ':');
    const char *begin = text, *end = colon;
    int64_t port = 0;
    if (colon == NULL || !read_integer(colon + 1, 0, 65535, &port))
        return usage(error, "listen", text, "must be ADDRESS:PORT with a port up to 65535");
    if (*begin == '[' && end > begin && end[-1] == ']') {
        begin++;
        end--;
    }
    size_t length = (size_t)(end - begin);
    if (length == 0 || length >= sizeof out->address)
        return usage(error, "listen", text, "must be ADDRESS:PORT");
    memcpy(out->address, begin, length);
    out->address[length] = '\0';
    out->port = (int)port;
    return 0;
}

/* What was not given is what the machine has. */
static void read_machine(DaemonOptions *out, const Given *given) {
    Machine machine;
    RoomHost *room = &out->queue.room;
    machine_read(&machine);
    text_copy(out->queue.host, sizeof out->queue.host, machine.host);
    room->cores = given->cores ? given->cores : machine.cores;
    room->memory_bytes = given->memory_bytes > 0 ? given->memory_bytes : room_of_machine(machine.memory_bytes);
    if (!given->gpus)
        room->gpus = machine.gpus;
    if (given->workers < 0) {
        int64_t places = room->cores / (out->threads > 0 ? out->threads : 1);
        out->workers = places < 1 ? 1 : places > FLEET_MAX ? FLEET_MAX : (int)places;
    }
}

static int check_given(const Given *given, Error *error) {
    if (given->lease_seconds < 5 * given->heartbeat_seconds)
        error_set(error, "--lease-seconds %g: must be at least five times --heartbeat-seconds %g", given->lease_seconds,
                  given->heartbeat_seconds);
    else if ((given->listen == NULL) != (given->token_file == NULL))
        error_set(error, "--listen and --token-file go together");
    else
        return 0;
    return OPTIONS_USAGE;
}

static int take_given(DaemonOptions *out, const Given *given, Error *error) {
    *out = (DaemonOptions){
        .workers = (int)given->workers, .threads = (int)given->threads, .unpinned = given->unpinned, .detach = given->detach};
    out->queue.lease_seconds = given->lease_seconds;
    out->queue.heartbeat_seconds = given->heartbeat_seconds;
    out->queue.retry_limit = given->retry_limit;
    out->queue.threads = given->threads;
    out->leave_with = (pid_t)given->leave_with;
    if (out->leave_with && given->detach)
        return usage(error, "leave-with", "PID", "not beside --detach, for which the daemon takes another parent");
    if (given->log_path && !text_copy(out->log_path, sizeof out->log_path, given->log_path))
        return usage(error, "log", "FILE", "the path is too long");
    if (given->gpus && gpus_read_option(given->gpus, &out->queue.room.gpus) != 0)
        return usage(error, "gpus", given->gpus,
                     "must be a number of GPUs, or their numbers, as 0,1,3; no more than CUDA_VISIBLE_DEVICES has, where that lists names");
    read_machine(out, given);
    if (path_home(given->home, out->home, error) != 0)
        return -1;
    int result = given->listen ? read_listen(out, given->listen, error) : 0;
    if (result == 0 && given->token_file)
        result = wire_token_read(given->token_file, out->token, error);
    if (result == 0 && given->token_file)
        result = path_format(out->token_path, error, "%s", given->token_file);
    if (result == 0 && out->detach && out->log_path[0] == '\0')
        result = path_format(out->log_path, error, "%s/sweepd.log", out->home);
    return result;
}

static int read_given(Given *given, int argc, char **argv, Error *error) {
    struct option table[OPTION_COUNT + 1] = {{0}};
    for (size_t i = 0; i < OPTION_COUNT; i++)
        table[i] = (struct option){.name = options[i].name, .has_arg = options[i].value ? required_argument : no_argument};
    opterr = 0;
    for (int index, found; (found = getopt_long(argc, argv, ":", table, &index)) != -1;) {
        if (found == '?' || found == ':') {
            error_set(error, found == '?' ? "%s: no such option" : "%s: needs a value", argv[optind - 1]);
            return OPTIONS_USAGE;
        }
        int result = read_option(given, &options[index], optarg, error);
        if (result != 0)
            return result;
    }
    if (optind < argc) {
        error_set(error, "%s: sweepd takes options only", argv[optind]);
        return OPTIONS_USAGE;
    }
    return check_given(given, error);
}

int options_parse(DaemonOptions *out, int argc, char **argv, Error *error) {
    Given given = {.workers = -1, .retry_limit = 3, .lease_seconds = 60, .heartbeat_seconds = 5};
    error->text[0] = '\0';
    int result = read_given(&given, argc, argv, error);
    return result ? result : take_given(out, &given, error);
}

#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 1024, TOKEN_FILE_MAX = 4096 };

static const char help_text[] = "Usage: sweepd [OPTION]...\n"
                                "The daemon of scaling-law studies: keeps the queue and the database of a home directory, starts\n"
                                "workers, and serves the HTTP API that sweepctl and sweep-worker speak.\n"
                                "\n"
                                "  --home DIR              where everything is kept; default $SWEEPD_HOME, else\n"
                                "                          ~/.local/share/sweepd\n"
                                "  --workers N             at most N worker processes on this machine; 0 starts none;\n"
                                "                          default: as many as cores allow\n"
                                "  --threads N             threads of each worker; default: one for a run, more for the\n"
                                "                          last large ones when cores would be idle\n"
                                "  --cores N               cores to use; default: all\n"
                                "  --memory SIZE           memory that workers may take together, as 16G or 900M; default:\n"
                                "                          the machine's, less a tenth, at most 1 GiB of it\n"
                                "  --gpus N|LIST           GPUs to use: how many, or which, as 0,1,3; default: those of\n"
                                "                          CUDA_VISIBLE_DEVICES, else all\n"
                                "  --no-pin                workers do not tie each run to cores of its own\n"
                                "  --listen ADDRESS:PORT   serve TCP too; needs --token-file\n"
                                "  --token-file FILE       holds the token that every TCP request must carry\n"
                                "  --lease-seconds S       a run whose worker is silent for S seconds goes to another;\n"
                                "                          default 60\n"
                                "  --heartbeat-seconds S   how often workers report; at most a fifth of the lease;\n"
                                "                          default 5\n"
                                "  --retry-limit N         failures of its own that make a run failed; default 3\n"
                                "  --log FILE              append messages to FILE; default: standard error\n"
                                "  --foreground            stay in the foreground; the default\n"
                                "  --detach                go to the background once the daemon serves; messages go to\n"
                                "                          HOME/sweepd.log unless --log says otherwise\n"
                                "  --help                  print this and exit\n"
                                "  --version               print the version and exit\n"
                                "\n"
                                "SIGTERM or SIGINT: workers checkpoint and leave, then the daemon does; a second one ends it at once.\n"
                                "Exit codes: 0 stopped as asked, 1 error, 2 usage.\n";

enum {
    OPTION_HOME = 1000,
    OPTION_WORKERS,
    OPTION_THREADS,
    OPTION_CORES,
    OPTION_MEMORY,
    OPTION_GPUS,
    OPTION_NO_PIN,
    OPTION_LISTEN,
    OPTION_TOKEN_FILE,
    OPTION_LEASE,
    OPTION_HEARTBEAT,
    OPTION_RETRY,
    OPTION_LOG,
    OPTION_FOREGROUND,
    OPTION_DETACH,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option option_table[] = {
    {"home", required_argument, NULL, OPTION_HOME},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"cores", required_argument, NULL, OPTION_CORES},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"gpus", required_argument, NULL, OPTION_GPUS},
    {"no-pin", no_argument, NULL, OPTION_NO_PIN},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"token-file", required_argument, NULL, OPTION_TOKEN_FILE},
    {"lease-seconds", required_argument, NULL, OPTION_LEASE},
    {"heartbeat-seconds", required_argument, NULL, OPTION_HEARTBEAT},
    {"retry-limit", required_argument, NULL, OPTION_RETRY},
    {"log", required_argument, NULL, OPTION_LOG},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"detach", no_argument, NULL, OPTION_DETACH},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

typedef struct Given {
    const char *home, *token_file, *listen;
    bool workers, gpus;
} Given;

static int usage(Error *error, const char *option, const char *value, const char *wanted) {
    error_set(error, "%s %s: %s", option, value, wanted);
    return OPTIONS_USAGE;
}

static int read_integer(const char *option, const char *text, long minimum, long maximum, long *out, Error *error) {
    char *end, wanted[96];
    errno = 0;
    *out = strtol(text, &end, 10);
    if (*text != '\0' && *end == '\0' && errno == 0 && *out >= minimum && *out <= maximum)
        return 0;
    snprintf(wanted, sizeof wanted, "must be a whole number from %ld to %ld", minimum, maximum);
    return usage(error, option, text, wanted);
}

static int read_seconds(const char *option, const char *text, double *out, Error *error) {
    char *end;
    *out = strtod(text, &end);
    if (*text != '\0' && *end == '\0' && isfinite(*out) && *out >= 0.01 && *out <= 1e6)
        return 0;
    return usage(error, option, text, "must be a number of seconds from 0.01 to 1000000");
}

static int read_size(const char *option, const char *text, double *out, Error *error) {
    static const char units[] = "KMGT";
    char *end;
    *out = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit)
        *out *= (double)(1ULL << (10 * (unit - units + 1)));
    bool ends = unit ? end[1] == '\0' : *end == '\0';
    if (*text >= '0' && *text <= '9' && ends && *out >= 1 << 20 && *out <= 1e18)
        return 0;
    return usage(error, option, text, "must be at least 1M: bytes, or a number with K, M, G or T for KiB, MiB, GiB or TiB");
}

static int read_option(DaemonOptions *out, Given *given, int option, Error *error) {
    long number = 0;
    int result = 0;
    switch (option) {
    case OPTION_HOME:
        given->home = optarg;
        return 0;
    case OPTION_WORKERS:
        result = read_integer("--workers", optarg, 0, FLEET_MAX, &number, error);
        out->workers = (int)number;
        given->workers = true;
        return result;
    case OPTION_THREADS:
        result = read_integer("--threads", optarg, 1, THREADS_MAX, &number, error);
        out->threads = (int)number;
        return result;
    case OPTION_CORES:
        result = read_integer("--cores", optarg, 1, THREADS_MAX, &number, error);
        out->queue.room.cores = number;
        return result;
    case OPTION_MEMORY:
        return read_size("--memory", optarg, &out->queue.room.memory_bytes, error);
    case OPTION_GPUS:
        given->gpus = true;
        return gpus_read_option(optarg, &out->queue.room.gpus) == 0
                   ? 0
                   : usage(error, "--gpus", optarg, "must be a number of GPUs, or their numbers, as 0,1,3");
    case OPTION_NO_PIN:
        out->unpinned = true;
        return 0;
    case OPTION_LISTEN:
        given->listen = optarg;
        return 0;
    case OPTION_TOKEN_FILE:
        given->token_file = optarg;
        return 0;
    case OPTION_LEASE:
        return read_seconds("--lease-seconds", optarg, &out->queue.lease_seconds, error);
    case OPTION_HEARTBEAT:
        return read_seconds("--heartbeat-seconds", optarg, &out->queue.heartbeat_seconds, error);
    case OPTION_RETRY:
        result = read_integer("--retry-limit", optarg, 1, INT_MAX, &number, error);
        out->queue.retry_limit = number;
        return result;
    case OPTION_LOG:
        return text_copy(out->log_path, sizeof out->log_path, optarg) ? 0 : usage(error, "--log", "FILE", "the path is too long");
    case OPTION_FOREGROUND:
        out->detach = false;
        return 0;
    case OPTION_DETACH:
        out->detach = true;
        return 0;
    case OPTION_HELP:
        fputs(help_text, stdout);
        return OPTIONS_EXIT;
    case OPTION_VERSION:
        printf("sweepd %s (%s)\n", version_text(), version_commit());
        return OPTIONS_EXIT;
    default:
        return OPTIONS_USAGE;
    }
}

/* "127.0.0.1:8080", "[::1]:8080", "host:8080". */
static int read_listen(DaemonOptions *out, const char *text, Error *error) {
    const char *colon = strrchr(text, ':');
    const char *begin = text, *end = colon;
    long port = 0;
    Error ignored;
    if (colon == NULL || read_integer("", colon + 1, 0, 65535, &port, &ignored) != 0)
        return usage(error, "--listen", text, "must be ADDRESS:PORT with a port up to 65535");
    if (*begin == '[' && end > begin && end[-1] == ']') {
        begin++;
        end--;
    }
    size_t length = (size_t)(end - begin);
    if (length == 0 || length >= sizeof out->address)
        return usage(error, "--listen", text, "must be ADDRESS:PORT");
    memcpy(out->address, begin, length);
    out->address[length] = '\0';
    out->port = (int)port;
    return 0;
}

static int read_token(DaemonOptions *out, const char *path, Error *error) {
    Buffer text;
    buffer_init(&text, TOKEN_FILE_MAX);
    int result = file_read(path, TOKEN_FILE_MAX, &text, error);
    if (result == 0) {
        size_t length = text.data == NULL ? 0 : strcspn(text.data, " \t\r\n");
        if (length == 0 || length >= sizeof out->token)
            result = error_set(error, "%s: must hold a token of 1 to %d characters", path, WIRE_TOKEN_MAX - 1);
        else
            memcpy(out->token, text.data, length);
    }
    buffer_deinit(&text);
    return result;
}

/* What was not given is what the machine has. */
static void read_machine(DaemonOptions *out, const Given *given) {
    Machine machine;
    RoomHost *room = &out->queue.room;
    machine_read(&machine);
    text_copy(out->queue.host, sizeof out->queue.host, machine.host);
    out->queue.threads = out->threads;
    if (room->cores == 0)
        room->cores = machine.cores;
    if (room->memory_bytes == 0)
        room->memory_bytes = room_of_machine(machine.memory_bytes);
    if (!given->gpus)
        room->gpus = machine.gpus;
    if (!given->workers) {
        int64_t places = room->cores / (out->threads > 0 ? out->threads : 1);
        out->workers = places < 1 ? 1 : places > FLEET_MAX ? FLEET_MAX : (int)places;
    }
}

static int check_options(DaemonOptions *out, const Given *given, Error *error) {
    if (out->queue.lease_seconds < 5 * out->queue.heartbeat_seconds) {
        error_set(error, "--lease-seconds %g: must be at least five times --heartbeat-seconds %g", out->queue.lease_seconds,
                  out->queue.heartbeat_seconds);
        return OPTIONS_USAGE;
    }
    if ((given->listen == NULL) != (given->token_file == NULL)) {
        error_set(error, "--listen and --token-file go together");
        return OPTIONS_USAGE;
    }
    read_machine(out, given);
    if (path_home(given->home, out->home, error) != 0)
        return -1;
    int result = given->listen == NULL ? 0 : read_listen(out, given->listen, error);
    if (result == 0 && given->token_file != NULL)
        result = read_token(out, given->token_file, error);
    if (result == 0 && out->detach && out->log_path[0] == '\0')
        result = path_format(out->log_path, error, "%s/sweepd.log", out->home);
    return result;
}

int options_parse(DaemonOptions *out, int argc, char **argv, Error *error) {
    Given given = {0};
    *out = (DaemonOptions){.queue = {.lease_seconds = 60, .heartbeat_seconds = 5, .retry_limit = 3}};
    error->text[0] = '\0';
    opterr = 0;
    for (;;) {
        int option = getopt_long(argc, argv, ":", option_table, NULL);
        if (option == -1)
            break;
        if (option == '?' || option == ':') {
            error_set(error, option == '?' ? "%s: no such option" : "%s: needs a value", argv[optind - 1]);
            return OPTIONS_USAGE;
        }
        int result = read_option(out, &given, option, error);
        if (result != 0)
            return result;
    }
    if (optind < argc) {
        error_set(error, "%s: sweepd takes options only", argv[optind]);
        return OPTIONS_USAGE;
    }
    return check_options(out, &given, error);
}

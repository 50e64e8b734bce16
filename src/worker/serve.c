/* serve: lease, train, report, again. */
#include "worker.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double SERVE_PATIENCE_SECONDS = 60; /* without a daemon and without a run */
static const double SERVE_CALL_SECONDS = 30;
enum { SERVE_THREADS_MAX = 1024 };

static const char serve_help[] = "Usage: sweep-worker serve [--home DIR] [--socket PATH | --url URL --token-file FILE]\n"
                                 "                          [--name NAME] [--threads N] [--gpus N|LIST] [--no-pin]\n"
                                 "                          [--checkpoint-seconds S] [--once]\n"
                                 "Lease runs from the daemon, train them and report, until told to leave.\n"
                                 "\n"
                                 "  --home DIR               directory of the daemon's data (SWEEPD_HOME, ~/.local/share/sweepd)\n"
                                 "  --socket PATH            the daemon's Unix socket (default: that of the home)\n"
                                 "  --url URL                the daemon's address on TCP, http://host:port\n"
                                 "  --token-file FILE        holds the token that TCP needs\n"
                                 "  --name NAME              name by which the daemon's executor knows this worker\n"
                                 "  --threads N              threads of the matrix products (default: as the daemon says with each run)\n"
                                 "  --gpus N|LIST            GPUs of this machine: how many, or which, as 0,1,3 (default: those of\n"
                                 "                           CUDA_VISIBLE_DEVICES, else all); the daemon knows its own machine's\n"
                                 "  --no-pin                 do not tie each run to cores of its own\n"
                                 "  --checkpoint-seconds S   time between checkpoints (SWEEPD_CHECKPOINT_SECONDS, 60)\n"
                                 "  --once                   leave after one run, or when there is none\n"
                                 "\n"
                                 "SIGTERM, SIGINT and SIGUSR1: checkpoint, hand the lease back, exit 0.\n"
                                 "Exit codes: 0 told to leave, 1 error, 2 usage.\n";

typedef struct ServeState {
    WorkerSettings settings;
    char home[PATH_TEXT_MAX], socket[PATH_TEXT_MAX], token[WIRE_TOKEN_MAX];
    const char *home_given, *socket_given, *token_file;
    bool gpus_given, unpinned;
    GpuSet gpus;
    HttpClient *client;
    Machine machine;
    LeaseAnswer leases;
    size_t runs_max;  /* to ask for */
    int64_t sweep_id; /* that the last runs came from */
    double heard_at;  /* the daemon's last sign of life */
    Backoff backoff;
} ServeState;

/* ---- arguments ---- */

static int serve_read_option(ServeState *state, int option) {
    int64_t number;
    switch (option) {
    case 'H':
        state->home_given = optarg;
        return 0;
    case 's':
        state->socket_given = optarg;
        return 0;
    case 'u':
        state->settings.url = optarg;
        return 0;
    case 'f':
        state->token_file = optarg;
        return 0;
    case 'n':
        state->settings.name = optarg;
        return 0;
    case 'p':
        state->unpinned = true;
        return 0;
    case 'o':
        state->settings.once = true;
        return 0;
    case 't':
        if (worker_read_integer(optarg, 1, SERVE_THREADS_MAX, &number))
            return worker_fail(WORKER_EXIT_USAGE, "--threads %s: a whole number from 1 to %d is wanted", optarg, SERVE_THREADS_MAX);
        state->settings.threads = (int)number;
        return 0;
    case 'g':
        state->gpus_given = true;
        if (gpus_read_option(optarg, &state->gpus))
            return worker_fail(WORKER_EXIT_USAGE,
                               "--gpus %s: a number of GPUs is wanted, or their numbers, as 0,1,3; no more than CUDA_VISIBLE_DEVICES has, "
                               "where that lists names",
                               optarg);
        return 0;
    case 'c':
        if (worker_read_seconds(optarg, 0.01, WORKER_CHECKPOINT_SECONDS_MAX, &state->settings.checkpoint_seconds))
            return worker_fail(WORKER_EXIT_USAGE, "--checkpoint-seconds %s: a number from 0.01 to %d is wanted", optarg,
                               WORKER_CHECKPOINT_SECONDS_MAX);
        return 0;
    default:
        return worker_fail(WORKER_EXIT_USAGE, "try 'sweep-worker serve --help'");
    }
}

static int serve_read_options(ServeState *state, int argc, char **argv, bool *help) {
    static const struct option options[] = {
        {"home", required_argument, NULL, 'H'}, {"socket", required_argument, NULL, 's'},
        {"url", required_argument, NULL, 'u'},  {"token-file", required_argument, NULL, 'f'},
        {"name", required_argument, NULL, 'n'}, {"threads", required_argument, NULL, 't'},
        {"once", no_argument, NULL, 'o'},       {"checkpoint-seconds", required_argument, NULL, 'c'},
        {"gpus", required_argument, NULL, 'g'}, {"no-pin", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},       {0},
    };
    int option, code;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            *help = true;
            return 0;
        }
        if ((code = serve_read_option(state, option)))
            return code;
    }
    if (optind < argc)
        return worker_fail(WORKER_EXIT_USAGE, "serve takes no argument '%s'", argv[optind]);
    if (state->settings.url && (state->socket_given || !state->token_file))
        return worker_fail(WORKER_EXIT_USAGE, "--url needs --token-file and excludes --socket");
    if (state->token_file && !state->settings.url)
        return worker_fail(WORKER_EXIT_USAGE, "--token-file serves only with --url");
    return 0;
}

static int serve_connect(ServeState *state, Error *error) {
    if (path_home(state->home_given, state->home, error))
        return -1;
    state->settings.home = state->home;
    if (state->settings.url) {
        if (wire_token_read(state->token_file, state->token, error))
            return -1;
        wire_token_warn(state->token_file);
        return http_client_new(&state->client, NULL, state->settings.url, state->token, error);
    }
    if (state->socket_given ? path_format(state->socket, error, "%s", state->socket_given)
                            : wire_socket_path(state->home, state->socket, error))
        return -1;
    return http_client_new(&state->client, state->socket, NULL, NULL, error);
}

/* ---- leasing ---- */

enum { LEASE_NOT_NOW = 1 }; /* the daemon is away: ask again after a while */

static int serve_ask(ServeState *state, Error *error) {
    LeaseRequest request = {.environment = state->settings.environment,
                            .runs_max = state->settings.once ? 1 : (int64_t)state->runs_max,
                            .sweep_id = state->sweep_id,
                            .cores = state->machine.cores,
                            .memory_bytes = state->machine.memory_bytes,
                            .gpus = state->gpus_given ? state->gpus : state->machine.gpus};
    text_copy(request.worker, sizeof request.worker, state->settings.name);
    text_copy(request.bf16_backend, sizeof request.bf16_backend,
              backend_available(BACKEND_ONEDNN_BF16) ? backend_text(BACKEND_ONEDNN_BF16) : "");
    Buffer body, answer;
    int status = 0;
    buffer_init(&body, WIRE_BODY_MAX);
    buffer_init(&answer, WIRE_BODY_MAX);
    lease_answer_deinit(&state->leases);
    lease_request_encode(&request, &body);
    int result = http_client_call(state->client, "/v1/leases", body.data, body.size, SERVE_CALL_SECONDS, &answer, &status, error);
    bool refused = result == WIRE_STATUS && status < 500 && status != 408 && status != 429;
    if (!result)
        result = lease_answer_decode(&state->leases, answer.data, answer.size, error) ? -1 : 0;
    else /* a daemon that dies while it answers is one that is away */
        result = refused ? -1 : LEASE_NOT_NOW;
    buffer_deinit(&body);
    buffer_deinit(&answer);
    return result;
}

/* A worker without a run that finds no daemon leaves after a while: the next daemon starts its own. */
static int serve_wait_for_daemon(ServeState *state, Error *error) {
    if (clock_monotonic() - state->heard_at > SERVE_PATIENCE_SECONDS)
        return error_prefix(error, "no daemon for %.0f seconds", SERVE_PATIENCE_SECONDS);
    stop_wait(-1, backoff_next(&state->backoff));
    return 0;
}

/* One turn. 0: again; ATTEMPT_LEAVE; -1. */
static int serve_turn(ServeState *state, Error *error) {
    int result = serve_ask(state, error);
    if (result == LEASE_NOT_NOW)
        return state->settings.once ? -1 : serve_wait_for_daemon(state, error);
    if (result)
        return result;
    state->heard_at = clock_monotonic();
    backoff_reset(&state->backoff);
    if (!state->leases.count) {
        cores_pin(0);
        if (state->leases.leave || state->settings.once)
            return ATTEMPT_LEAVE;
        double wait = state->leases.retry_seconds;
        stop_wait(-1, wait < 0.05 ? 0.05 : wait > 60 ? 60 : wait);
        return 0;
    }
    if (state->leases.sweep_id != state->sweep_id)
        state->runs_max = 1;
    state->sweep_id = state->leases.sweep_id;
    result = batch_run(&state->settings, state->client, &state->leases, &state->runs_max, error);
    state->heard_at = clock_monotonic();
    return !result && state->settings.once ? ATTEMPT_LEAVE : result;
}

static int serve_loop(ServeState *state, Error *error) {
    if (stop_init(error) || serve_connect(state, error))
        return -1;
    machine_read(&state->machine);
    cores_init(!state->unpinned);
    worker_environment(state->settings.threads, &state->settings.environment);
    state->runs_max = 1;
    state->heard_at = clock_monotonic();
    backoff_init(&state->backoff, 0.1, 5, (uint64_t)getpid());
    int result = 0;
    while (!result && !stop_requested())
        result = serve_turn(state, error);
    return result < 0 ? -1 : 0;
}

int worker_serve(int argc, char **argv) {
    bool help = false;
    Error error = {0};
    ServeState *state = calloc(1, sizeof *state);
    if (!state)
        return worker_fail(WORKER_EXIT_ERROR, "out of memory");
    state->settings = (WorkerSettings){.name = "", .checkpoint_seconds = worker_checkpoint_seconds()};
    int code = serve_read_options(state, argc, argv, &help);
    if (help)
        fputs(serve_help, stdout);
    else if (!code && serve_loop(state, &error))
        code = worker_fail(WORKER_EXIT_ERROR, "%s", error.text);
    http_client_free(state->client);
    lease_answer_deinit(&state->leases);
    free(state);
    return code;
}

/* train: one run by hand, with no daemon. The directory is that of a leased run, with points.jsonl and result.json in place of a journal.
 */
#include "worker.h"

#include "sweepd/safetensors.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRAIN_THREADS_MAX = 1024, TRAIN_RESULT_MAX = 1 << 16 };

static const char train_help[] =
    "Usage: sweep-worker train SPEC --out DIR [--init FILE] [--save FILE] [--threads N]\n"
    "                          [--backend NAME] [--gpus N|LIST] [--home DIR] [--checkpoint-seconds S] [--json]\n"
    "Train one run with no daemon. SPEC is a run's JSON, or a sweep file (.yaml, .yml) of exactly one run.\n"
    "\n"
    "  --out DIR                takes spec.json, points.jsonl, result.json and, while it trains, a\n"
    "                           checkpoint, from which the same command goes on\n"
    "  --init FILE              start from these weights (safetensors, float32)\n"
    "  --save FILE              write the final weights (safetensors, float32); of what may be there\n"
    "                           already, only such a file is replaced\n"
    "  --threads N              threads of the matrix products (default 1)\n"
    "  --backend NAME           openblas (fp32 only) or onednn (default: the faster one here)\n"
    "  --gpus N|LIST            GPUs to take the run's from: how many, or which, as 0,1,3 (default: those\n"
    "                           of CUDA_VISIBLE_DEVICES, else all)\n"
    "  --home DIR               where packed data is kept (SWEEPD_HOME, ~/.local/share/sweepd)\n"
    "  --checkpoint-seconds S   time between checkpoints (SWEEPD_CHECKPOINT_SECONDS, 60)\n"
    "  --json                   print result.json at the end in place of the table\n"
    "\n"
    "Exit codes: 0 trained, finished before, or diverged (and says so); 1 error, or stopped by a signal\n"
    "after a checkpoint; 2 usage or bad SPEC.\n";

typedef struct HandRun {
    const char *spec, *out, *init, *save, *home_given, *backend;
    int threads;
    GpuSet gpus;
    double checkpoint_seconds;
    bool json;

    Run run;
    char home[PATH_TEXT_MAX];
    RunFiles files;
    char init_digest[SHA256_HEX_MAX]; /* "" without --init */
    Trainer *trainer;
    double memory_bytes; /* the most that was seen */
    Journal points;
    bool has_points, printed_header;
    Point columns; /* the first point that was printed */
    Point last;
} HandRun;

/* ---- arguments ---- */

static int train_read_option(HandRun *hand, int option) {
    int64_t number;
    switch (option) {
    case 'o':
        hand->out = optarg;
        return 0;
    case 'i':
        hand->init = optarg;
        return 0;
    case 's':
        hand->save = optarg;
        return 0;
    case 'H':
        hand->home_given = optarg;
        setenv("SWEEPD_HOME", optarg, 1); /* a sweep file looks for packs there, too */
        return 0;
    case 'j':
        hand->json = true;
        return 0;
    case 'b':
        hand->backend = optarg;
        return !strcmp(optarg, "openblas") || !strcmp(optarg, "onednn")
                   ? 0
                   : worker_fail(WORKER_EXIT_USAGE, "--backend %s: openblas or onednn is wanted", optarg);
    case 't':
        if (worker_read_integer(optarg, 1, TRAIN_THREADS_MAX, &number))
            return worker_fail(WORKER_EXIT_USAGE, "--threads %s: a whole number from 1 to %d is wanted", optarg, TRAIN_THREADS_MAX);
        hand->threads = (int)number;
        return 0;
    case 'g':
        if (gpus_read_option(optarg, &hand->gpus))
            return worker_fail(WORKER_EXIT_USAGE,
                               "--gpus %s: a number of GPUs is wanted, or their numbers, as 0,1,3; no more than CUDA_VISIBLE_DEVICES has, "
                               "where that lists names",
                               optarg);
        return 0;
    case 'c':
        if (worker_read_seconds(optarg, 0.01, WORKER_CHECKPOINT_SECONDS_MAX, &hand->checkpoint_seconds))
            return worker_fail(WORKER_EXIT_USAGE, "--checkpoint-seconds %s: a number from 0.01 to %d is wanted", optarg,
                               WORKER_CHECKPOINT_SECONDS_MAX);
        return 0;
    default:
        return worker_fail(WORKER_EXIT_USAGE, "try 'sweep-worker train --help'");
    }
}

static int train_read_options(HandRun *hand, int argc, char **argv, bool *help) {
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'},
        {"init", required_argument, NULL, 'i'},
        {"save", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"backend", required_argument, NULL, 'b'},
        {"gpus", required_argument, NULL, 'g'},
        {"home", required_argument, NULL, 'H'},
        {"checkpoint-seconds", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option, code;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            *help = true;
            return 0;
        }
        if ((code = train_read_option(hand, option)))
            return code;
    }
    if (optind + 1 != argc)
        return worker_fail(WORKER_EXIT_USAGE, "train takes one SPEC, %d were given; try 'sweep-worker train --help'", argc - optind);
    if (!hand->out)
        return worker_fail(WORKER_EXIT_USAGE, "train needs --out DIR");
    hand->spec = argv[optind];
    return 0;
}

/* ---- the run ---- */

static bool train_is_sweep_file(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

static int train_read_sweep(HandRun *hand, const Buffer *text, Error *error) {
    Sweep *sweep = NULL;
    SweepCursor cursor;
    int result = sweep_parse(&sweep, text->data, text->size, hand->spec, error);
    if (result)
        return result;
    long long count = (long long)sweep_run_count(sweep);
    sweep_cursor_init(&cursor, sweep);
    if (sweep_check_data(sweep, hand->spec, error)) {
        sweep_free(sweep);
        return SWEEP_INVALID;
    }
    if (count != 1 || !sweep_cursor_next(&cursor, &hand->run))
        error_set(error, "%s holds %lld runs and train takes a file of one; 'sweepctl run' trains a sweep", hand->spec, count);
    else
        count = 0;
    sweep_free(sweep);
    return count ? SWEEP_INVALID : 0;
}

static int train_read_spec(HandRun *hand) {
    Error error = {0};
    Buffer text;
    buffer_init(&text, SWEEP_FILE_MAX);
    int result = file_read(hand->spec, SWEEP_FILE_MAX, &text, &error);
    if (!result)
        result = train_is_sweep_file(hand->spec) ? train_read_sweep(hand, &text, &error)
                                                 : run_parse(&hand->run, text.data, text.size, hand->spec, &error);
    buffer_deinit(&text);
    return result ? worker_fail(WORKER_EXIT_USAGE, "%s", error.text) : 0;
}

/* ---- weights to start from: they decide the numbers as much as the spec does, so the directory remembers them ---- */

static int train_check_weights(HandRun *hand, Error *error) {
    Buffer there;
    buffer_init(&there, SHA256_HEX_MAX);
    int result = 0;
    bool begun = file_exists(hand->files.result) || file_exists(hand->files.checkpoint);
    if (hand->init && digest_file(DIGEST_SHA256, hand->init, hand->init_digest, error))
        return -1;
    if (file_exists(hand->files.weights))
        result = file_read(hand->files.weights, SHA256_HEX_MAX, &there, error);
    const char *before = there.data ? there.data : "";
    if (!result && begun && strcmp(before, hand->init_digest))
        result = error_set(error, "%s was begun from other weights; give the same --init, or another --out", hand->out);
    else if (!result && !begun && hand->init)
        result = file_write_atomic(hand->files.weights, hand->init_digest, strlen(hand->init_digest), 0644, error);
    else if (!result && !begun)
        unlink(hand->files.weights);
    buffer_deinit(&there);
    return result;
}

/* ---- what is printed ---- */

static int train_column_width(const char *name) {
    enum { NARROWEST = 10 };
    return strlen(name) < NARROWEST ? NARROWEST : (int)strlen(name);
}

/* The first point's metrics are the columns. */
static void train_print_header(HandRun *hand, const Point *point) {
    hand->columns = *point;
    hand->printed_header = true;
    printf("%10s %12s %12s %9s", "step", "examples", "FLOPs", "seconds");
    for (size_t i = 0; i < point->metric_count; i++)
        printf(" %*s", train_column_width(point->metrics[i].name), point->metrics[i].name);
    putchar('\n');
}

static void train_print_value(const char *name, double value, int width) {
    printf(" %*.*f", width, metric_is_count(name, value) ? 0 : 4, value);
}

static bool train_has_column(const HandRun *hand, const char *name) {
    for (size_t i = 0; i < hand->columns.metric_count; i++)
        if (!strcmp(hand->columns.metrics[i].name, name))
            return true;
    return false;
}

/* What is measured at the end alone has no column and stands below, under its name. */
static void train_print_others(const HandRun *hand, const Point *point) {
    for (size_t i = 0; i < point->metric_count; i++) {
        const Metric *metric = &point->metrics[i];
        if (train_has_column(hand, metric->name))
            continue;
        printf("%10s %-45s", "", metric->name);
        train_print_value(metric->name, metric->value, 10);
        putchar('\n');
    }
}

static void train_print_point(HandRun *hand, const Point *point) {
    if (!hand->printed_header)
        train_print_header(hand, point);
    printf("%10lld %12.0f %12.4g %9.2f", (long long)point->step, point->examples, point->flops, point->seconds);
    for (size_t i = 0; i < hand->columns.metric_count; i++) {
        const char *name = hand->columns.metrics[i].name;
        train_print_value(name, point_metric(point, name), train_column_width(name));
    }
    putchar('\n');
    train_print_others(hand, point);
    fflush(stdout);
}

static void train_note_memory(HandRun *hand) {
    double others = hand->trainer ? hand->trainer->memory_bytes : 0;
    hand->memory_bytes = fmax(hand->memory_bytes, process_memory_bytes() + others);
}

static bool train_should_stop(void *context) {
    (void)context;
    return stop_requested();
}

static void train_on_progress(void *context, const Trainer *trainer) {
    (void)trainer;
    train_note_memory(context);
}

static int train_on_point(void *context, const Point *point, Error *error) {
    HandRun *hand = context;
    train_note_memory(hand);
    if (journal_append(&hand->points, point, error))
        return -1;
    hand->last = *point;
    if (!hand->json)
        train_print_point(hand, point);
    return 0;
}

/* ---- result.json ---- */

static void train_format_text(Buffer *out, const char *name, const char *value) {
    buffer_printf(out, ",\"%s\":", name);
    buffer_append_json(out, value);
}

static void train_format_result(const HandRun *hand, const char *key, RunState state, Buffer *out) {
    Environment environment;
    worker_environment(hand->threads, &environment);
    worker_environment_add(hand->trainer, &hand->run, &environment);
    buffer_append_text(out, "{\"schema_version\":1");
    train_format_text(out, "key", key);
    train_format_text(out, "state", run_state_text(state));
    buffer_printf(out, ",\"steps\":%lld,\"flops\":", (long long)hand->trainer->step);
    buffer_append_double(out, hand->trainer->flops);
    buffer_append_text(out, ",\"seconds\":");
    buffer_append_double(out, hand->trainer->seconds);
    buffer_append_text(out, ",\"metrics\":");
    point_format_metrics(&hand->last, out);
    train_format_text(out, "initial_weights", hand->init_digest);
    train_format_text(out, "host", environment.host);
    train_format_text(out, "cpu", environment.cpu);
    train_format_text(out, "version", environment.version);
    train_format_text(out, "backend", environment.backend);
    train_format_text(out, "data_digest", environment.data_digest);
    buffer_printf(out, ",\"threads\":%d,\"memory_bytes\":%.0f}\n", hand->threads, hand->memory_bytes);
}

/* Weights first, then the result, then the checkpoint goes: a kill in between repeats a step and loses none. */
static int train_finish(HandRun *hand, RunState state, Error *error) {
    char key[RUN_KEY_MAX];
    Buffer text;
    buffer_init(&text, TRAIN_RESULT_MAX);
    int result = run_key(&hand->run, key, error);
    if (!result && hand->save)
        result = trainer_save_weights(hand->trainer, hand->save, error);
    if (!result) {
        train_format_result(hand, key, state, &text);
        result = buffer_check(&text, error, hand->files.result);
    }
    if (!result)
        result = file_write_atomic(hand->files.result, text.data, text.size, 0644, error);
    if (!result) {
        checkpoint_remove(hand->files.checkpoint);
        if (hand->json)
            fputs(text.data, stdout);
    }
    buffer_deinit(&text);
    return result;
}

/* ---- training ---- */

static int train_open_points(HandRun *hand, bool resumed, Error *error) {
    if (journal_init(&hand->points, hand->files.points, resumed, error))
        return -1;
    hand->has_points = true;
    return resumed ? journal_keep_until(&hand->points, hand->trainer->step, &hand->last, error) : 0;
}

static int train_loop(HandRun *hand, Error *error) {
    bool resumed;
    TrainerOptions options = {.home = hand->home,
                              .threads = hand->threads,
                              .gpus = gpus_first(hand->gpus, hand->run.resources.gpus),
                              .init_weights = hand->init,
                              .backend = hand->backend};
    int result = run_files_trainer(&hand->files, &hand->run, &options, &hand->trainer, &resumed, error);
    if (!result)
        result = train_open_points(hand, resumed, error);
    if (result)
        return result == TRAIN_STOPPED || result == TRAIN_DIVERGED ? -1 : result;
    if (resumed)
        fprintf(stderr, "sweep-worker: goes on at step %lld of %lld\n", (long long)hand->trainer->step, (long long)hand->trainer->steps);
    TrainLoop loop = {
        .checkpoint_path = hand->files.checkpoint,
        .checkpoint_seconds = hand->checkpoint_seconds,
        .should_stop = train_should_stop,
        .on_progress = train_on_progress,
        .on_point = train_on_point,
        .context = hand,
    };
    result = train_run(hand->trainer, &loop, error);
    train_note_memory(hand);
    return result;
}

static int train_to_end(HandRun *hand) {
    Error error = {0};
    int result = train_loop(hand, &error);
    if (result == TRAIN_STOPPED)
        return worker_fail(WORKER_EXIT_ERROR, "stopped at step %lld of %lld; the same command goes on from there",
                           (long long)hand->trainer->step, (long long)hand->trainer->steps);
    if (result && result != TRAIN_DIVERGED)
        return worker_fail(WORKER_EXIT_ERROR, "%s", error.text);
    if (result == TRAIN_DIVERGED)
        fprintf(stderr, "sweep-worker: the run diverged: its loss became non-finite by step %lld of %lld\n", (long long)hand->trainer->step,
                (long long)hand->trainer->steps);
    if (train_finish(hand, result ? RUN_DIVERGED : RUN_DONE, &error))
        return worker_fail(WORKER_EXIT_ERROR, "%s", error.text);
    return WORKER_EXIT_OK;
}

static int train_print_finished(const HandRun *hand) {
    Error error;
    Buffer text;
    if (hand->save && !file_exists(hand->save))
        return worker_fail(WORKER_EXIT_ERROR, "the run in %s is finished and its weights were not kept; give --save with another --out",
                           hand->out);
    fprintf(stderr, "sweep-worker: the run in %s is finished; nothing is trained again\n", hand->out);
    buffer_init(&text, TRAIN_RESULT_MAX);
    int result = hand->json ? file_read(hand->files.result, TRAIN_RESULT_MAX, &text, &error) : 0;
    if (!result && hand->json)
        fputs(text.data, stdout);
    buffer_deinit(&text);
    return result ? worker_fail(WORKER_EXIT_ERROR, "%s", error.text) : WORKER_EXIT_OK;
}

/* Weights take the place of weights alone. */
static int train_check_save(const HandRun *hand) {
    struct stat there;
    if (!hand->save || lstat(hand->save, &there) || safetensors_is_there(hand->save))
        return 0;
    return worker_fail(WORKER_EXIT_USAGE,
                       "--save %s: what is there is no file of weights (safetensors), or a symbolic link; choose another", hand->save);
}

static int train_in_directory(HandRun *hand) {
    Error error = {0};
    if (train_check_save(hand))
        return WORKER_EXIT_USAGE;
    int result = run_files_init(&hand->files, hand->out, &hand->run, &error);
    if (result == RUN_FILES_OTHER)
        return worker_fail(WORKER_EXIT_USAGE, "%s; give another --out", error.text);
    if (result || train_check_weights(hand, &error))
        return worker_fail(WORKER_EXIT_ERROR, "%s", error.text);
    if (file_exists(hand->files.result))
        return train_print_finished(hand);
    if (path_home(hand->home_given, hand->home, &error) || stop_init(&error))
        return worker_fail(WORKER_EXIT_ERROR, "%s", error.text);
    return train_to_end(hand);
}

int worker_train(int argc, char **argv) {
    bool help = false;
    HandRun *hand = calloc(1, sizeof *hand);
    if (!hand)
        return worker_fail(WORKER_EXIT_ERROR, "out of memory");
    hand->threads = 1;
    hand->gpus = gpus_of_machine();
    hand->checkpoint_seconds = worker_checkpoint_seconds();
    int code = train_read_options(hand, argc, argv, &help);
    if (help)
        fputs(train_help, stdout);
    else if (!code && !(code = train_read_spec(hand)))
        code = train_in_directory(hand);
    trainer_free(hand->trainer);
    if (hand->has_points)
        journal_deinit(&hand->points);
    free(hand);
    return code;
}

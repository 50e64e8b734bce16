/* The external trainer: runs the user's own program, reads a point from each line of its output, and makes an outcome of its end.
 *
 * The program keeps its own checkpoints, in the run's directory, which stays from attempt to attempt. What is kept here, in the place of a
 * checkpoint, is how far the points have come: a program that goes on from its checkpoint measures again what it had measured after it, and
 * those points are passed over, or goes on after the last point, which nobody would measure again. */
#include "external.h"
#include "saved.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const double TURN_SECONDS = 0.05; /* between two looks at the world */
static const double GRACE_SECONDS = 5;   /* from SIGTERM to SIGKILL */
static const double DRAIN_SECONDS = 0.2; /* for output that is on its way when the program has ended */
enum { READ_MAX = 1 << 16 };

/* One attempt's run of the program. */
typedef struct Session {
    External *external;
    const TrainLoop *loop;
    char directory[PATH_TEXT_MAX], log_path[PATH_TEXT_MAX];
    Process process;
    Buffer line; /* of its output, without an end yet */
    int log;     /* descriptor */
    size_t logged;
    char tail[EXTERNAL_TAIL_MAX]; /* of its last line on stderr */
    size_t tail_size;
    bool tail_ended;
    int verdict;    /* what its end means, whatever its exit code; 0: nothing yet */
    double kill_at; /* monotonic; 0: it was not asked to end */
    double ends_at; /* its time limit, monotonic; 0: none */
} Session;

/* ---- start ---- */

static int session_start(Session *session, Error *error) {
    const Program *program = &session->external->base.run.program;
    ExternalCall call;
    int result = external_call_init(&call, session->external, session->directory, error);
    if (!result) {
        const char *where = *program->directory ? program->directory : session->directory;
        result = process_start(&session->process, call.arguments, call.environment, where, error);
        result = result == PROCESS_MISSING ? TRAIN_REFUSED : result;
    }
    external_call_deinit(&call);
    return result;
}

/* The directory is that of the checkpoint; making it is a part of keeping one. */
static int session_open(Session *session, Error *error) {
    const TrainLoop *loop = session->loop;
    if (!loop->checkpoint_path)
        return train_refuse(error, "an external program needs a directory to run in");
    text_copy(session->directory, sizeof session->directory, loop->checkpoint_path);
    char *slash = strrchr(session->directory, '/');
    if (!slash || slash == session->directory)
        return train_refuse(error, "%s: expected a file in a directory of its own", loop->checkpoint_path);
    *slash = '\0';
    if (loop->on_checkpoint && loop->on_checkpoint(loop->context, error))
        return TRAIN_UNSAVED;
    char *whole = realpath(session->directory, NULL);
    if (!whole || !text_copy(session->directory, sizeof session->directory, whole)) {
        free(whole);
        return error_set_errno(error, errno, "cannot find %s", session->directory), TRAIN_UNSAVED;
    }
    free(whole);
    if (path_format(session->log_path, error, "%s/log", session->directory))
        return -1;
    session->log = open(session->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (session->log < 0)
        return error_set_errno(error, errno, "cannot open %s", session->log_path), TRAIN_UNSAVED;
    return 0;
}

/* Asks the program to end, and remembers why: the first reason stands. */
static void session_end(Session *session, int verdict) {
    if (session->verdict == 0)
        session->verdict = verdict;
    if (session->kill_at > 0)
        return;
    session->kill_at = clock_monotonic() + GRACE_SECONDS;
    process_signal(&session->process, SIGTERM);
}

/* ---- its output ---- */

static bool is_diverged(const Point *point) {
    for (size_t i = 0; i < point->metric_count; i++) {
        size_t size = strlen(point->metrics[i].name);
        if (size >= 5 && !strcmp(point->metrics[i].name + size - 5, "_loss") && !isfinite(point->metrics[i].value))
            return true;
    }
    return false;
}

/* A directory that is gone is the program's doing, and no fault of the machine. */
static int session_keep(const Session *session, Error *error) {
    const TrainLoop *loop = session->loop;
    Trainer *trainer = &session->external->base;
    if (!loop->checkpoint_path) /* the directory may be another's by now */
        return 0;
    if ((!loop->on_checkpoint || !loop->on_checkpoint(loop->context, error)) &&
        !trainer->interface->save(trainer, loop->checkpoint_path, error))
        return 0;
    if (file_exists(session->directory))
        return TRAIN_UNSAVED;
    return error_set(error, "the program has removed its run's directory, %s", session->directory);
}

static int take_point(Session *session, const Point *point, Error *error) {
    Trainer *trainer = &session->external->base;
    const TrainLoop *loop = session->loop;
    trainer->step = point->step;
    trainer->flops = point->flops;
    trainer->seconds = point->seconds;
    if (loop->on_point && loop->on_point(loop->context, point, error))
        return -1;
    return is_diverged(point) ? TRAIN_DIVERGED : session_keep(session, error);
}

/* After the first thing that ends the run nothing more is taken, but for a stop: a program that is asked to end may measure once more. */
static void take_line(Session *session, const char *line, size_t size, Error *error) {
    Point point;
    if (session->verdict != 0 && session->verdict != TRAIN_STOPPED)
        return;
    int result = external_line(session->external, line, size, &point, error);
    if (result == LINE_POINT)
        result = take_point(session, &point, error);
    else if (result == LINE_NOTHING)
        result = 0;
    if (result) {
        session->verdict = 0;
        session_end(session, result);
    }
}

static void take_output(Session *session, const char *text, size_t size, Error *error) {
    for (const char *end; (end = memchr(text, '\n', size)); size -= (size_t)(end - text) + 1, text = end + 1) {
        buffer_append(&session->line, text, (size_t)(end - text));
        take_line(session, session->line.data ? session->line.data : "", session->line.size, error);
        buffer_clear(&session->line);
    }
    /* A line that is too long is told at once, for its end may never come. */
    size_t room = session->line.size < EXTERNAL_LINE_MAX ? EXTERNAL_LINE_MAX - session->line.size : 0;
    buffer_append(&session->line, text, size < room ? size : room);
    if (session->line.size >= EXTERNAL_LINE_MAX) {
        take_line(session, session->line.data, session->line.size, error);
        buffer_clear(&session->line);
    }
}

/* ---- its stderr ---- */

static void take_errors(Session *session, const char *text, size_t size) {
    static const char cut[] = "\nthe program says more than the log takes; the rest is dropped\n";
    size_t room = EXTERNAL_LOG_MAX - session->logged, kept = size < room ? size : room;
    ssize_t ignored = write(session->log, text, kept);
    session->logged += kept;
    if (kept > 0 && session->logged == EXTERNAL_LOG_MAX)
        ignored = write(session->log, cut, sizeof cut - 1);
    (void)ignored;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') {
            session->tail_ended = true;
            continue;
        }
        if (session->tail_ended)
            session->tail_size = 0;
        session->tail_ended = false;
        if (session->tail_size < sizeof session->tail - 1)
            session->tail[session->tail_size++] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
        session->tail[session->tail_size] = '\0';
    }
}

/* A turn's worth of both; false: there was nothing. */
static bool session_read(Session *session, char chunk[READ_MAX], Error *error) {
    size_t output = process_read(&session->process.output, chunk, READ_MAX);
    take_output(session, chunk, output, error);
    size_t errors = process_read(&session->process.errors, chunk, READ_MAX);
    take_errors(session, chunk, errors);
    return output > 0 || errors > 0;
}

/* ---- while it runs ---- */

static void session_look(Session *session, Error *error) {
    const TrainLoop *loop = session->loop;
    double now = clock_monotonic();
    if (session->verdict == 0 && loop->should_stop && loop->should_stop(loop->context))
        session_end(session, TRAIN_STOPPED);
    if (session->verdict == 0 && session->ends_at > 0 && now >= session->ends_at) {
        error_set(error, "the program took longer than its %g s", session->external->base.run.program.time_limit);
        session_end(session, TRAIN_TIMEOUT);
    }
    if (session->kill_at > 0 && now >= session->kill_at)
        process_signal(&session->process, SIGKILL);
    if (loop->on_progress)
        loop->on_progress(loop->context, &session->external->base);
}

/* What others of its group still hold open is not waited for. */
static void session_drain(Session *session, char chunk[READ_MAX], Error *error) {
    double end = clock_monotonic() + DRAIN_SECONDS;
    while ((session->process.output >= 0 || session->process.errors >= 0) && clock_monotonic() < end)
        if (!session_read(session, chunk, error))
            process_wait(&session->process, 0.001);
    if (session->line.size > 0)
        take_line(session, session->line.data, session->line.size, error);
}

static int session_run(Session *session, Error *error) {
    char *chunk = malloc(READ_MAX);
    if (!chunk)
        return error_set_memory(error, "no memory for a program's output");
    while (!process_ended(&session->process)) {
        process_wait(&session->process, session->process.output >= 0 ? TURN_SECONDS : TURN_SECONDS / 10);
        session_read(session, chunk, error);
        session_look(session, error);
    }
    session_drain(session, chunk, error);
    free(chunk);
    session->external->base.memory_bytes = session->process.memory_bytes;
    return 0;
}

/* ---- its end ---- */

/* That memory ran out, a program can tell by words alone: they are CUDA's and Python's. */
static int session_fail(const Session *session, const char *how, Error *error) {
    const Trainer *trainer = &session->external->base;
    bool silent = WIFEXITED(session->process.status) && WEXITSTATUS(session->process.status) == 0 && trainer->step < trainer->steps;
    error_set(error, "the program ended at step %lld of %lld: %s%s%s%s", (long long)trainer->step, (long long)trainer->steps, how,
              silent ? ", but it printed no point for the last step" : "", *session->tail ? ": " : "", session->tail);
    if (error && (strstr(session->tail, "out of memory") || strstr(session->tail, "MemoryError")))
        error->memory = true;
    int code = WIFEXITED(session->process.status) ? WEXITSTATUS(session->process.status) : -1;
    return code == EXTERNAL_EXIT_REFUSED ? TRAIN_REFUSED : -1;
}

static int session_judge(const Session *session, Error *error) {
    char how[64];
    bool well = WIFEXITED(session->process.status) && WEXITSTATUS(session->process.status) == 0;
    const Trainer *trainer = &session->external->base;
    process_describe(&session->process, how, sizeof how);
    if (well && trainer->step == trainer->steps && (session->verdict == 0 || session->verdict == TRAIN_STOPPED))
        return 0;
    return session->verdict ? session->verdict : session_fail(session, how, error);
}

static int external_run(Trainer *trainer, const TrainLoop *loop, Error *error) {
    External *external = (External *)trainer;
    if (external->ended) /* well, and its result was not delivered */
        return 0;
    Session *session = calloc(1, sizeof *session);
    if (!session)
        return error_set_memory(error, "no memory for a program");
    session->external = external;
    session->loop = loop;
    session->log = -1;
    session->process = process_none;
    buffer_init(&session->line, 2 * EXTERNAL_LINE_MAX);
    external->begun = clock_monotonic();
    double limit = trainer->run.program.time_limit;
    session->ends_at = limit > 0 ? external->begun + limit : 0;
    int result = session_open(session, error);
    if (!result)
        result = session_start(session, error);
    if (!result)
        result = session_run(session, error);
    if (!result)
        result = session_judge(session, error);
    if (!result) {
        external->ended = true;
        result = session_keep(session, error);
    }
    process_deinit(&session->process);
    buffer_deinit(&session->line);
    if (session->log >= 0)
        close(session->log);
    free(session);
    return result;
}

/* ---- how far it has come: a safetensors file without tensors ---- */

enum { KEPT_ENDED, KEPT_FLOPS, KEPT_PARAMS, KEPT_PARAMS_TOLD, KEPT_SECONDS, KEPT_STEP, KEPT_COUNT };
static const char *const kept_names[KEPT_COUNT] = {"ended", "flops", "params", "params_told", "seconds", "step"};
static const double KEPT_MAX = 1e300;

static SavedForm kept_form(const char *key) {
    return (SavedForm){.format = "sweepd-external-2", .run = key, .names = kept_names, .count = KEPT_COUNT};
}

static int external_save(Trainer *trainer, const char *path, Error *error) {
    const External *external = (const External *)trainer;
    char key[RUN_KEY_MAX], step[SAVED_TEXT_MAX], seconds[SAVED_TEXT_MAX], params[SAVED_TEXT_MAX], flops[SAVED_TEXT_MAX];
    if (run_key(&trainer->run, key, error))
        return -1;
    const SavedForm form = kept_form(key);
    snprintf(step, sizeof step, "%lld", (long long)trainer->step);
    snprintf(seconds, sizeof seconds, "%.17g", trainer->seconds);
    snprintf(params, sizeof params, "%.17g", external->params);
    snprintf(flops, sizeof flops, "%.17g", external->run_flops);
    const char *const texts[KEPT_COUNT] = {external->ended ? "1" : "0", flops, params, external->params_told ? "1" : "0", seconds, step};
    return saved_write(&form, texts, NULL, 0, path, error);
}

static int external_take(External *external, const Safetensors *file, const char *path, Error *error) {
    Trainer *trainer = &external->base;
    int64_t step, told, ended;
    double seconds, params, flops;
    if (!saved_whole(file, kept_names[KEPT_STEP], trainer->steps, &step) || !saved_whole(file, kept_names[KEPT_PARAMS_TOLD], 1, &told) ||
        !saved_whole(file, kept_names[KEPT_ENDED], 1, &ended) || !saved_number(file, kept_names[KEPT_SECONDS], KEPT_MAX, &seconds) ||
        !saved_number(file, kept_names[KEPT_PARAMS], KEPT_MAX, &params) || !saved_number(file, kept_names[KEPT_FLOPS], KEPT_MAX, &flops))
        return train_refuse(error, "%s: damaged: one of its numbers is none in bounds", path);
    trainer->step = external->resumed = step;
    trainer->seconds = external->seconds_before = seconds;
    external->params = params;
    external->run_flops = flops;
    external->params_told = told > 0;
    external->ended = ended > 0;
    trainer->flops = flops * (double)step / (double)trainer->steps;
    return 0;
}

static int external_load(Trainer *trainer, const char *path, Error *error) {
    char key[RUN_KEY_MAX];
    Safetensors *file;
    if (run_key(&trainer->run, key, error))
        return -1;
    const SavedForm form = kept_form(key);
    int result = saved_open(&file, &form, path, error);
    if (!result)
        result = external_take((External *)trainer, file, path, error);
    safetensors_free(file);
    return result;
}

static void external_free(Trainer *trainer) {
    free(trainer);
}

static const TrainerInterface external_interface = {
    .name = "external",
    .run = external_run,
    .save = external_save,
    .load = external_load,
    .free = external_free,
};

int external_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error) {
    *out = NULL;
    if (options->init_weights)
        return train_refuse(error, "%s: an external program starts from weights of its own", options->init_weights);
    External *external = calloc(1, sizeof *external);
    if (!external)
        return error_set_memory(error, "no memory for a trainer");
    external->base = (Trainer){.interface = &external_interface, .run = *run, .steps = run_steps(run)};
    external->params = (double)run_params(run);
    external->run_flops = run_flops(run).exact;
    external->last_step = -1;
    external->gpus = options->gpus;
    int result = external->base.steps < 1 ? train_refuse(error, "the run has no steps: epochs, batch and examples are at least 1") : 0;
    if (!result && gpus_count(options->gpus) < run->resources.gpus)
        result = train_refuse(error, "the run needs %lld GPUs, and has been given %lld", (long long)run->resources.gpus,
                              (long long)gpus_count(options->gpus));
    if (!result && *run->data_digest)
        result = train_locate_data(external->data_path, options->home, run, error);
    if (result) {
        free(external);
        return result;
    }
    external->base.environment.threads = options->threads;
    text_copy(external->base.environment.backend, sizeof external->base.environment.backend, external_interface.name);
    text_copy(external->base.environment.data_digest, sizeof external->base.environment.data_digest, run->data_digest);
    *out = &external->base;
    return 0;
}

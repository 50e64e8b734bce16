/* One leased run, from its lease to its result.
 *
 * Whatever happens ends in a verdict, and the reporter delivers it; the exceptions are a lease that is another's and a daemon that wants
 * the run dropped, after which nothing is said, and nothing is written to a directory that another may be using.
 *
 * Most of what a directory costs, a small run need not pay. It is made when there is something to keep: when the run has taken a while,
 * when a checkpoint is due, or when it has come to no good and its log says why. A run without one has a result that is trained again
 * sooner than it would be read, so its attempt does not wait until that is delivered. */
#include "worker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double ATTEMPT_SMALL_SECONDS = 0.25; /* a run that takes longer has a directory */

typedef struct Attempt {
    const WorkerSettings *settings;
    const Lease *lease;
    RunFiles files;
    double begun;
    bool opened;   /* the directory is there, and the log is in it */
    bool unusable; /* it could not be made */
    Reporter *reporter;
    Trainer *trainer;
    TrainLoop loop;
    double memory_bytes; /* the most that was seen */
    size_t kept;         /* points that the journal has, or had before they were acknowledged */

    bool hindered; /* by this machine: a disk that is full, a directory that cannot be used */
    Outcome outcome;
    RunState state;
    char detail[RECORD_TEXT_MAX];
} Attempt;

void worker_environment(int threads, Environment *out) {
    Machine machine;
    machine_read(&machine);
    *out = (Environment){.pid = getpid(), .threads = threads};
    text_copy(out->host, sizeof out->host, machine.host);
    text_copy(out->cpu, sizeof out->cpu, machine.cpu);
    snprintf(out->version, sizeof out->version, "%s (%s)", version_text(), version_commit());
    BackendKind plain;
    (void)backend_choose(BACKEND_FP32, &plain, NULL); /* every machine has it */
    text_copy(out->backend, sizeof out->backend, backend_text(plain));
}

void worker_environment_add(const Trainer *trainer, const Run *run, Environment *out) {
    text_copy(out->backend, sizeof out->backend, trainer ? trainer->environment.backend : trainer_backend(run));
    if (trainer)
        text_copy(out->data_digest, sizeof out->data_digest, trainer->environment.data_digest);
}

/* ---- the directory ---- */

static int attempt_open(Attempt *attempt, Error *error) {
    if (attempt->opened)
        return 0;
    int result = run_files_make(&attempt->files, &attempt->lease->run, error);
    attempt->unusable = result != 0;
    if (result)
        return result;
    attempt->opened = true;
    log_open(attempt->files.log, NULL);
    log_write(LOG_INFO, "attempt %lld of run %.12s", (long long)attempt->lease->attempt_number, attempt->lease->key);
    return 0;
}

/* Points that a checkpoint is past are measured by nobody again. While the daemon is away they become many. */
static int attempt_keep_points(Attempt *attempt, Error *error) {
    Buffer text;
    size_t kept = attempt->kept;
    bool append;
    buffer_init(&text, RUN_FILES_JOURNAL_MAX);
    int result = reporter_format_points(attempt->reporter, &kept, &append, &text, error);
    if (!result && text.size)
        result = append ? file_append(attempt->files.journal, text.data, text.size, error)
                        : file_write_atomic(attempt->files.journal, text.data, text.size, 0644, error);
    attempt->kept = result ? 0 : kept;
    buffer_deinit(&text);
    return result;
}

/* ---- what the training loop asks ---- */

/* A directory that cannot be made stops the run: the checkpoint that is then due says why. */
static bool attempt_is_unusable(Attempt *attempt) {
    if (!attempt->opened && !attempt->unusable && clock_monotonic() - attempt->begun > ATTEMPT_SMALL_SECONDS)
        attempt_open(attempt, NULL);
    return attempt->unusable;
}

static bool attempt_should_stop(void *context) {
    Attempt *attempt = context;
    bool dropped = reporter_state(attempt->reporter) != REPORTER_RUNNING;
    if (dropped)
        attempt->loop.checkpoint_path = NULL; /* the directory may be another worker's by now */
    return dropped || attempt_is_unusable(attempt) || stop_requested() || reporter_directive(attempt->reporter) != DIRECTIVE_CONTINUE;
}

static void attempt_note_memory(Attempt *attempt) {
    double own = process_memory_bytes(), others = attempt->trainer ? attempt->trainer->memory_bytes : 0;
    attempt->memory_bytes = fmax(attempt->memory_bytes, own + others);
}

static void attempt_on_progress(void *context, const Trainer *trainer) {
    Attempt *attempt = context;
    attempt_note_memory(attempt);
    reporter_progress(attempt->reporter, (double)trainer->step, trainer->flops + trainer->eval_flops);
}

static int attempt_on_point(void *context, const Point *point, Error *error) {
    Attempt *attempt = context;
    attempt_note_memory(attempt);
    reporter_progress(attempt->reporter, (double)point->step, point->flops + attempt->trainer->eval_flops);
    return reporter_point(attempt->reporter, point, error);
}

static int attempt_on_checkpoint(void *context, Error *error) {
    Attempt *attempt = context;
    return attempt_open(attempt, error) || attempt_keep_points(attempt, error) ? -1 : 0;
}

/* ---- the verdict ---- */

static void attempt_decide(Attempt *attempt, Outcome outcome, RunState state, const char *detail) {
    attempt->outcome = outcome;
    attempt->state = state;
    text_copy(attempt->detail, sizeof attempt->detail, detail);
}

static void attempt_decide_failure(Attempt *attempt, int result, const Error *error) {
    attempt->hindered = attempt->hindered && !error->memory;
    if (attempt->hindered)
        attempt_decide(attempt, OUTCOME_PREEMPTED, RUN_PENDING, error->text);
    else if (error->memory)
        attempt_decide(attempt, OUTCOME_OUT_OF_MEMORY, RUN_FAILED, error->text);
    else
        attempt_decide(attempt, result > 0 ? OUTCOME_REFUSED : OUTCOME_CRASHED, RUN_FAILED, error->text);
}

/* Before a run's first step nothing but the machine can break. */
static void attempt_decide_unprepared(Attempt *attempt, int result, const Error *error) {
    attempt->hindered = result < 0;
    attempt_decide_failure(attempt, result, error);
}

static void attempt_decide_training(Attempt *attempt, int result, const Error *error) {
    char detail[RECORD_TEXT_MAX];
    switch (result) {
    case 0:
        attempt_decide(attempt, OUTCOME_OK, RUN_DONE, "");
        break;
    case TRAIN_DIVERGED:
        snprintf(detail, sizeof detail, "the loss became non-finite by step %lld of %lld", (long long)attempt->trainer->step,
                 (long long)attempt->trainer->steps);
        attempt_decide(attempt, OUTCOME_OK, RUN_DIVERGED, detail);
        break;
    case TRAIN_STOPPED:
        snprintf(detail, sizeof detail, "stopped at step %lld of %lld", (long long)attempt->trainer->step,
                 (long long)attempt->trainer->steps);
        attempt_decide(attempt, OUTCOME_PREEMPTED, RUN_PENDING, detail);
        break;
    case TRAIN_TIMEOUT:
        attempt_decide(attempt, OUTCOME_TIMEOUT, RUN_FAILED, error->text);
        break;
    case TRAIN_UNSAVED:
        attempt->hindered = true;
        attempt_decide_failure(attempt, result, error);
        break;
    default:
        attempt_decide_failure(attempt, result, error);
    }
}

/* ---- the steps of an attempt, each 0 when the next may follow, else with the verdict set ---- */

static int attempt_hand_on(Attempt *attempt, PointList *left, Error *error) {
    int result = 0;
    for (size_t i = 0; i < left->count && !result; i++)
        result = reporter_point(attempt->reporter, &left->points[i], error);
    points_deinit(left);
    return result;
}

static int attempt_find_files(Attempt *attempt, const char *directory, Error *error) {
    char path[PATH_TEXT_MAX], key[RUN_KEY_MAX];
    PointList left = {0};
    if (run_key(&attempt->lease->run, key, error))
        return -1;
    if (strcmp(key, attempt->lease->key)) {
        error_set(error, "this worker reads the run as %.12s, the daemon as %.12s: their versions differ", key, attempt->lease->key);
        return TRAIN_REFUSED;
    }
    if (path_format(path, error, "%s/%.2s/%s", directory, key, key) || run_files_name(&attempt->files, path, error))
        return -1;
    int result = file_exists(attempt->files.directory) ? attempt_open(attempt, error) : 0;
    if (!result)
        result = run_files_journal(&attempt->files, attempt->lease->attempt_id, &left, error);
    int handed_on = attempt_hand_on(attempt, &left, error);
    return result ? result : handed_on;
}

static int attempt_prepare(Attempt *attempt, const char *directory) {
    Error error = {0};
    bool resumed = false;
    TrainerOptions options = {.home = attempt->settings->home, .threads = (int)attempt->lease->threads, .gpus = attempt->lease->gpus};
    int result = attempt_find_files(attempt, directory, &error);
    if (!result)
        result = run_files_trainer(&attempt->files, &attempt->lease->run, &options, &attempt->trainer, &resumed, &error);
    if (result) {
        attempt_decide_unprepared(attempt, result, &error);
        return result;
    }
    const Trainer *trainer = attempt->trainer;
    if (resumed)
        log_write(LOG_INFO, "resumes at step %lld of %lld", (long long)trainer->step, (long long)trainer->steps);
    reporter_progress(attempt->reporter, (double)trainer->step, trainer->flops + trainer->eval_flops);
    return 0;
}

static void attempt_train(Attempt *attempt) {
    Error error = {0};
    attempt->loop = (TrainLoop){
        .checkpoint_path = attempt->files.checkpoint,
        .checkpoint_seconds = attempt->settings->checkpoint_seconds,
        .should_stop = attempt_should_stop,
        .on_progress = attempt_on_progress,
        .on_point = attempt_on_point,
        .on_checkpoint = attempt_on_checkpoint,
        .context = attempt,
    };
    int result = train_run(attempt->trainer, &attempt->loop, &error);
    attempt_note_memory(attempt);
    attempt_decide_training(attempt, result, &error);
}

/* ---- delivery ---- */

/* A finished run whose result is slow to deliver is saved at its end, so that whatever becomes of this process, nothing is trained twice.
 */
static void attempt_save(void *context) {
    Attempt *attempt = context;
    Error error;
    bool finished = attempt->outcome == OUTCOME_OK && attempt->state == RUN_DONE;
    if (finished &&
        (attempt_keep_points(attempt, &error) || attempt->trainer->interface->save(attempt->trainer, attempt->files.checkpoint, &error)))
        log_write(LOG_WARNING, "%s", error.text);
}

/* Called once nothing more will be sent. */
static int attempt_close(Attempt *attempt, Error *error) {
    ReporterState state = reporter_state(attempt->reporter);
    bool leave = stop_requested() || reporter_directive(attempt->reporter) == DIRECTIVE_STOP;
    if (state == REPORTER_REJECTED)
        return error_set(error, "the daemon and this worker do not understand each other; see %s", attempt->files.log);
    if (state == REPORTER_ABANDONED) {
        log_write(LOG_WARNING, "the daemon could not be told: %s; what it must know is kept here", outcome_text(attempt->outcome));
        return leave ? ATTEMPT_LEAVE : error_set(error, "a result could not be delivered; it is kept in %s", attempt->files.directory);
    }
    if (state == REPORTER_DELIVERED) {
        log_write(LOG_INFO, "attempt %lld is over: %s%s%s", (long long)attempt->lease->attempt_number, outcome_text(attempt->outcome),
                  *attempt->detail ? ": " : "", attempt->detail);
        if (attempt->outcome == OUTCOME_OK) {
            checkpoint_remove(attempt->files.checkpoint);
            run_files_remove_journals(&attempt->files);
        } else {
            unlink(attempt->files.journal); /* all of it went before the result */
        }
    }
    return leave ? ATTEMPT_LEAVE : 0;
}

static int attempt_finish(Attempt *attempt, Error *error) {
    Environment environment = attempt->settings->environment;
    environment.threads = attempt->lease->threads;
    environment.memory_bytes = attempt->memory_bytes;
    worker_environment_add(attempt->trainer, &attempt->lease->run, &environment);
    if (attempt->outcome != OUTCOME_OK)
        attempt_open(attempt, NULL);
    reporter_result(attempt->reporter, attempt->outcome, attempt->state, attempt->detail, &environment);
    int result = 0;
    if (attempt->opened) {
        batch_deliver(attempt->reporter, reporter_state, attempt->outcome == OUTCOME_PREEMPTED, attempt_save, attempt);
        result = attempt_close(attempt, error);
    }
    if (result >= 0 && attempt->hindered) /* here the next run would fare no better */
        result = error_set(error, "%s", attempt->detail);
    return result;
}

int attempt_run(const WorkerSettings *settings, Reporter *reporter, const Lease *lease, const char *directory, Error *error) {
    Attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return error_set_memory(error, "out of memory");
    attempt->settings = settings;
    attempt->lease = lease;
    attempt->reporter = reporter;
    attempt->begun = clock_monotonic();
    cores_pin((int)lease->threads);
    if (!attempt_prepare(attempt, directory))
        attempt_train(attempt);
    int result = attempt_finish(attempt, error);
    trainer_free(attempt->trainer);
    if (attempt->opened)
        log_close();
    free(attempt);
    return result;
}

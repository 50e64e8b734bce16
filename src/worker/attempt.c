/* One leased run, from its directory to its acknowledged result.
 *
 * Whatever happens ends in a verdict, and the reporter delivers it; the exceptions are a lease that is another's and a daemon that wants
 * the run dropped, after which nothing is said, and nothing is written to a directory that another may be using. */
#include "worker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double ATTEMPT_RELEASE_SECONDS = 8;         /* to hand a lease back before leaving */
static const double ATTEMPT_SAVE_SECONDS = 2;            /* a result not delivered by then is made safe by a last checkpoint */
static const double ATTEMPT_DELIVER_SECONDS = 24 * 3600; /* for a result, before the worker gives up */

typedef struct Attempt {
    const WorkerSettings *settings;
    const Lease *lease;
    RunFiles files;
    Journal journal;
    bool has_journal;
    Reporter *reporter;
    Trainer *trainer;
    TrainLoop loop;

    bool hindered; /* by this machine: a disk that is full, a directory that cannot be used */
    Outcome outcome;
    RunState state;
    char detail[RECORD_TEXT_MAX];
} Attempt;

void worker_environment(const Trainer *trainer, int threads, Environment *out) {
    Machine machine;
    machine_read(&machine);
    *out = (Environment){.pid = getpid(), .threads = threads};
    text_copy(out->host, sizeof out->host, machine.host);
    text_copy(out->cpu, sizeof out->cpu, machine.cpu);
    snprintf(out->version, sizeof out->version, "%s (%s)", version_text(), version_commit());
    BackendKind usual;
    (void)backend_choose(BACKEND_AUTO, &usual, NULL); /* auto refuses nothing */
    const char *backend = trainer && *trainer->environment.backend ? trainer->environment.backend : backend_text(usual);
    text_copy(out->backend, sizeof out->backend, backend);
    if (trainer)
        text_copy(out->data_digest, sizeof out->data_digest, trainer->environment.data_digest);
}

/* ---- what the training loop asks ---- */

static bool attempt_should_stop(void *context) {
    Attempt *attempt = context;
    bool dropped = reporter_state(attempt->reporter) != REPORTER_RUNNING;
    if (dropped)
        attempt->loop.checkpoint_path = NULL; /* the directory may be another worker's by now */
    return dropped || stop_requested() || reporter_directive(attempt->reporter) != DIRECTIVE_CONTINUE;
}

static void attempt_on_progress(void *context, const Trainer *trainer) {
    Attempt *attempt = context;
    reporter_progress(attempt->reporter, (double)trainer->step, trainer->flops);
}

static int attempt_on_point(void *context, const Point *point, Error *error) {
    Attempt *attempt = context;
    if (journal_append(&attempt->journal, point, error)) {
        attempt->hindered = true;
        return -1;
    }
    reporter_progress(attempt->reporter, (double)point->step, point->flops);
    reporter_point(attempt->reporter);
    return 0;
}

/* ---- the verdict ---- */

static void attempt_decide(Attempt *attempt, Outcome outcome, RunState state, const char *detail) {
    attempt->outcome = outcome;
    attempt->state = state;
    text_copy(attempt->detail, sizeof attempt->detail, detail);
}

/* Lower layers report a failed allocation as any other error; its text is the one thing that tells. */
static bool attempt_is_memory(const char *text) {
    static const char *const phrases[] = {"out of memory", "no memory", "fit in memory", "allocate memory"};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (strstr(text, phrases[i]))
            return true;
    return false;
}

static void attempt_decide_failure(Attempt *attempt, int result, const Error *error) {
    attempt->hindered = attempt->hindered && !attempt_is_memory(error->text);
    if (attempt->hindered)
        attempt_decide(attempt, OUTCOME_PREEMPTED, RUN_PENDING, error->text);
    else if (attempt_is_memory(error->text))
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
    case TRAIN_UNSAVED:
        attempt->hindered = true;
        attempt_decide_failure(attempt, result, error);
        break;
    default:
        attempt_decide_failure(attempt, result, error);
    }
}

/* ---- the steps of an attempt, each 0 when the next may follow, else with the verdict set ---- */

static int attempt_open(Attempt *attempt) {
    Error error = {0};
    char key[RUN_KEY_MAX];
    int result = run_key(&attempt->lease->run, key, &error);
    if (!result && strcmp(key, attempt->lease->key)) {
        error_set(&error, "this worker reads the run as %.12s, the daemon as %.12s: their versions differ", key, attempt->lease->key);
        result = TRAIN_REFUSED;
    }
    if (!result)
        result = run_files_init(&attempt->files, attempt->lease->directory, &attempt->lease->run, &error);
    if (!result) {
        log_open(attempt->files.log, NULL);
        result = run_files_journal(&attempt->files, attempt->lease->attempt_id, &attempt->journal, &error);
        attempt->has_journal = !result;
    }
    if (result)
        attempt_decide_unprepared(attempt, result, &error);
    return result;
}

static int attempt_prepare(Attempt *attempt) {
    Error error = {0};
    bool resumed;
    TrainerOptions options = {.home = attempt->settings->home, .threads = attempt->settings->threads};
    int result = run_files_trainer(&attempt->files, &attempt->lease->run, &options, &attempt->trainer, &resumed, &error);
    if (result) {
        attempt_decide_unprepared(attempt, result, &error);
        return result;
    }
    const Trainer *trainer = attempt->trainer;
    log_write(LOG_INFO, "attempt %lld of run %.12s %s step %lld of %lld", (long long)attempt->lease->attempt_number, attempt->lease->key,
              resumed ? "resumes at" : "begins at", (long long)trainer->step, (long long)trainer->steps);
    reporter_progress(attempt->reporter, (double)trainer->step, trainer->flops);
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
        .context = attempt,
    };
    int result = train_run(attempt->trainer, &attempt->loop, &error);
    attempt_decide_training(attempt, result, &error);
}

/* ---- delivery ---- */

static void attempt_save(const Attempt *attempt) {
    Error error;
    if (attempt->trainer->interface->save(attempt->trainer, attempt->files.checkpoint, &error))
        log_write(LOG_WARNING, "%s", error.text);
}

/* Until the daemon has the result, or it cannot be had in time. A finished run whose result is slow to deliver is saved at its end, so that
 * whatever becomes of this process, nothing is trained twice. */
static void attempt_deliver(const Attempt *attempt) {
    double begun = clock_monotonic();
    double end = begun + (attempt->outcome == OUTCOME_PREEMPTED ? ATTEMPT_RELEASE_SECONDS : ATTEMPT_DELIVER_SECONDS);
    bool saved = attempt->outcome != OUTCOME_OK || attempt->state != RUN_DONE;
    bool stopping = false;
    while (reporter_state(attempt->reporter) == REPORTER_RUNNING) {
        double now = clock_monotonic();
        if (stop_requested() && !stopping) {
            stopping = true;
            end = fmin(end, now + ATTEMPT_RELEASE_SECONDS);
        }
        if (!saved && now >= begun + ATTEMPT_SAVE_SECONDS) {
            attempt_save(attempt);
            saved = true;
        }
        if (now >= end)
            reporter_abandon(attempt->reporter);
        else
            stop_wait(reporter_descriptor(attempt->reporter), fmin(1, end - now));
    }
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
            unlink(attempt->files.checkpoint);
            run_files_remove_journals(&attempt->files);
        } else if (attempt->has_journal && journal_is_empty(&attempt->journal)) {
            unlink(attempt->files.journal);
        }
        if (attempt->hindered) /* here the next run would fare no better */
            return error_set(error, "%s", attempt->detail);
    }
    return leave ? ATTEMPT_LEAVE : 0;
}

int attempt_run(const WorkerSettings *settings, HttpClient *client, const Lease *lease, Error *error) {
    int result = -1;
    Environment environment;
    Attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return error_set(error, "out of memory");
    attempt->settings = settings;
    attempt->lease = lease;
    bool opened = !attempt_open(attempt);
    if (reporter_new(&attempt->reporter, client, lease, attempt->has_journal ? &attempt->journal : NULL, error))
        goto out;
    if (opened && !attempt_prepare(attempt))
        attempt_train(attempt);
    worker_environment(attempt->trainer, settings->threads, &environment);
    reporter_result(attempt->reporter, attempt->outcome, attempt->state, attempt->detail, &environment);
    attempt_deliver(attempt);
    result = attempt_close(attempt, error);
out:
    reporter_free(attempt->reporter);
    trainer_free(attempt->trainer);
    if (attempt->has_journal)
        journal_deinit(&attempt->journal);
    free(attempt);
    log_close();
    return result;
}

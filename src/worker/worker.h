/* worker, private: what the files of sweep-worker owe each other. docs/worker.md describes the run directory, the journal and the signals
 * for people. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/record.h"
#include "sweepd/sweep.h"
#include "sweepd/train.h"
#include "sweepd/wire.h"

#include <pthread.h>
#include <stdio.h>

/* Exit codes of every verb. */
enum { WORKER_EXIT_OK = 0, WORKER_EXIT_ERROR = 1, WORKER_EXIT_USAGE = 2 };

/* ---- the verbs, each with its own arguments (argv[0] is the verb); an exit code comes back ---- */

int worker_serve(int argc, char **argv);
int worker_train(int argc, char **argv);
int worker_rate(int argc, char **argv);
int worker_bench(int argc, char **argv);

/* Says what is wrong on stderr and hands back `code`. */
int worker_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whole numbers and seconds from the command line: 0, or 1 when the text is not one or is out of range. */
int worker_read_integer(const char *text, int64_t least, int64_t most, int64_t *out);
int worker_read_seconds(const char *text, double least, double most, double *out);
/* Seconds between checkpoints: $SWEEPD_CHECKPOINT_SECONDS where that is a number in range, else 60. */
double worker_checkpoint_seconds(void);
enum { WORKER_CHECKPOINT_SECONDS_MAX = 1000000 };

/* ---- stop requests: SIGTERM, SIGINT, SIGUSR1 ---- */

/* Handles the three signals, ignores SIGPIPE. Once per process. */
int stop_init(Error *error);
bool stop_requested(void);
/* Sleeps until a stop is requested, `descriptor` (or -1) becomes readable, or the time is over. */
void stop_wait(int descriptor, double seconds);

/* ---- the cores of this process ---- */

/* Once per process; not enabled: the others do nothing. */
void cores_init(bool enabled);
/* Keeps every thread of this process on so many cores, which no other worker of the machine has meanwhile; on any core where so many are
 * not to be had. 0: on any. Calls with the same number keep the cores. */
void cores_pin(int count);
/* Lets the calling thread run anywhere. */
void cores_free_thread(void);

/* ---- points in memory, on their way to the daemon ---- */

typedef struct PointList {
    Point *points; /* [count] */
    size_t count, capacity;
} PointList;

int points_append(PointList *list, const Point *point, Error *error);
/* The first `count` go. */
void points_drop(PointList *list, size_t count);
void points_deinit(PointList *list);
/* Those from number `from` on as lines of a journal, and back; a line that is not a point is passed over with a warning. */
int points_format(const PointList *list, size_t from, Buffer *out, Error *error);
int points_parse(PointList *list, const Buffer *text, Error *error);

/* ---- points in a file, one JSON object a line ---- */

typedef struct Journal {
    int descriptor;
} Journal;

/* keep: points that are there stay (a last line without its end is cut off); else the file starts empty. */
int journal_init(Journal *journal, const char *path, bool keep, Error *error);
void journal_deinit(Journal *journal);
/* On disk when this returns. */
int journal_append(Journal *journal, const Point *point, Error *error);
/* Drops the points past `step`, which a trainer resumed there measures again; *last is the last one kept, untouched when there is none. */
int journal_keep_until(Journal *journal, int64_t step, Point *last, Error *error);
/* One line of the journal, without its newline. */
void journal_format_point(const Point *point, Buffer *out);
/* 0, or 1 when the line is not a point. */
int journal_parse_point(Point *out, const char *line, size_t size);

/* ---- waiting longer after each failure ---- */

typedef struct Backoff {
    Rng rng;
    double first, cap; /* seconds */
    int failures;
} Backoff;

void backoff_init(Backoff *backoff, double first, double cap, uint64_t seed);
void backoff_reset(Backoff *backoff);
/* Seconds to wait now: min(cap, first 2^failures), times a random share in [0.5, 1), so that a returning daemon is not met by all at once.
 */
double backoff_next(Backoff *backoff);

/* ---- the reporter: the one thread that talks to the daemon while another trains ---- */

typedef struct Reporter Reporter;

typedef enum {
    REPORTER_RUNNING,   /* not over */
    REPORTER_DELIVERED, /* the daemon has the result */
    REPORTER_DROPPED,   /* the lease is another's, or the daemon wants no report: nothing more is sent */
    REPORTER_REJECTED,  /* the daemon does not understand this worker: a fault of the program, see the log */
    REPORTER_ABANDONED, /* told to give up by reporter_abandon */
} ReporterState;

/* client and leases outlive the reporter; the client is the reporter's alone until reporter_free. Everything but reporter_free is called by
 * one other thread, which trains; nothing but reporter_wait makes it wait. */
int reporter_new(Reporter **out, HttpClient *client, const LeaseAnswer *leases, Error *error);
/* Ends the thread: waits for a message under way, sends no other. */
void reporter_free(Reporter *reporter);
/* The next lease to train, which is the current one from then on; NULL when none waits any more. */
const Lease *reporter_next(Reporter *reporter);
/* Hands those back that still wait, as the reporter does itself with those that wait for long. */
void reporter_release(Reporter *reporter);
bool reporter_handed_back(Reporter *reporter);
/* Of the current lease: */
void reporter_progress(Reporter *reporter, double step, double flops);
int reporter_point(Reporter *reporter, const Point *point, Error *error);
/* Its points that the daemon has not acknowledged, as lines of a journal that has the first *kept of all its points: *append, and only
 * those behind them, or where none of them is needed any more, all. *kept is then the number of all. */
int reporter_format_points(Reporter *reporter, size_t *kept, bool *append, Buffer *out, Error *error);
Directive reporter_directive(Reporter *reporter);
/* The last report: points that wait go with it or before it. A result in which the environment's host is empty leaves what the lease's
 * request said. */
void reporter_result(Reporter *reporter, Outcome outcome, RunState state, const char *detail, const Environment *environment);
ReporterState reporter_state(Reporter *reporter);
/* Of all: REPORTER_DELIVERED once each lease is over, in whatever way. */
ReporterState reporter_state_of_all(Reporter *reporter);
/* Until one of the two may have changed, a stop is requested, or the time is over. */
void reporter_wait(Reporter *reporter, double seconds);
void reporter_abandon(Reporter *reporter);

/* ---- leased runs ---- */

typedef struct WorkerSettings {
    const char *home;        /* absolute */
    const char *socket_path; /* or NULL with a URL */
    const char *url, *token;
    const char *name;
    int threads;
    double checkpoint_seconds;
    bool once;
    Environment environment; /* of the process: worker_environment without a trainer */
} WorkerSettings;

enum {
    ATTEMPT_LEAVE = 1, /* a signal or the daemon wants the worker to go */
};

/* Trains the reporter's current lease and says what became of it. `directory` holds the run directories. 0: on with the next;
 * ATTEMPT_LEAVE; -1: this worker cannot go on, its machine being in the way or the daemon out of reach. */
int attempt_run(const WorkerSettings *settings, Reporter *reporter, const Lease *lease, const char *directory, Error *error);

/* Trains and reports what the leases name, in their order. As attempt_run, and how many leases to ask for next time: more when these took
 * next to no time, one when they did not. */
int batch_run(const WorkerSettings *settings, HttpClient *client, const LeaseAnswer *leases, size_t *runs_max, Error *error);
/* Until `state` says that the daemon knows, or it cannot be told in time: soon when the worker is to leave. `late`, where it is not NULL,
 * is called once when that takes long. */
void batch_deliver(Reporter *reporter, ReporterState (*state)(Reporter *), bool leave, void (*late)(void *context), void *context);

/* Host, processor, version, backend of fp32, pid, threads of this process. */
void worker_environment(int threads, Environment *out);
/* What the run's attempt is made with: backend and data as the trainer knows them. NULL: there is none yet; the backend that it would get.
 */
void worker_environment_add(const Trainer *trainer, const Run *run, Environment *out);

/* ---- the run directory ---- */

enum { RUN_FILES_JOURNAL_MAX = 64 << 20 }; /* bytes of a journal: 10000 points of 72 metrics take half of them */

typedef struct RunFiles {
    char directory[PATH_TEXT_MAX], spec[PATH_TEXT_MAX], checkpoint[PATH_TEXT_MAX], log[PATH_TEXT_MAX];
    char journal[PATH_TEXT_MAX];                                               /* of a leased run; run_files_journal names it */
    char points[PATH_TEXT_MAX], result[PATH_TEXT_MAX], weights[PATH_TEXT_MAX]; /* of a run by hand */
} RunFiles;

/* Names them; nothing is made. */
int run_files_name(RunFiles *files, const char *directory, Error *error);
/* Makes the directory that was named, writes spec.json where there is none, removes what a killed process left half-written. 0;
 * RUN_FILES_OTHER when it holds another run; -1. */
enum { RUN_FILES_OTHER = 1 };
int run_files_make(const RunFiles *files, const Run *run, Error *error);
/* Both. */
int run_files_init(RunFiles *files, const char *directory, const Run *run, Error *error);

/* Names the attempt's own journal. With a checkpoint to go on from, `left` takes the points that earlier attempts did not deliver, each
 * once; their journals stay as they are until run_files_remove_journals, for one of them may not be dead but asleep. */
int run_files_journal(RunFiles *files, int64_t attempt_id, PointList *left, Error *error);
void run_files_remove_journals(const RunFiles *files);

/* Prepares the run's trainer, from its checkpoint where that is good; a bad one is set aside with a warning in the log. 0, TRAIN_REFUSED,
 * -1. *resumed says which. */
int run_files_trainer(const RunFiles *files, const Run *run, const TrainerOptions *options, Trainer **out, bool *resumed, Error *error);

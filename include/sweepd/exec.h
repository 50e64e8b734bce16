/* exec: where workers come from. An executor starts workers, tells which have ended and how, and stops them. It knows nothing of runs:
 * workers lease those by themselves. */
#pragma once

#include "sweepd/base.h"

enum { EXEC_NAME_MAX = 64 };

typedef struct ExecWorker {
    char name[EXEC_NAME_MAX]; /* unique among this executor's workers: "local-4711" */
    int64_t pid;              /* 0 when the executor has none */
    bool ended;
    bool by_signal;
    int code;         /* exit code, or the signal */
    char detail[128]; /* for people: "signal 9 (Killed)", "exit code 1" */
} ExecWorker;

typedef struct Executor Executor;

typedef struct ExecutorInterface {
    const char *name; /* "local" */
    /* Each returns 0 or -1. Starts one worker. */
    int (*start)(Executor *executor, ExecWorker *out, Error *error);
    /* Workers that ended since the last call, at most capacity. */
    int (*reap)(Executor *executor, ExecWorker *out, size_t capacity, size_t *count, Error *error);
    /* Asks every worker to checkpoint and leave (SIGTERM). */
    void (*stop)(Executor *executor);
    size_t (*alive)(const Executor *executor);
    void (*free)(Executor *executor);
} ExecutorInterface;

struct Executor {
    const ExecutorInterface *interface;
};

typedef struct ExecLocalSettings {
    const char *program; /* sweep-worker */
    const char *home;
    const char *socket_path;
    int threads;          /* per worker; 0: it is told with each run */
    bool unpinned;        /* workers do not tie their runs to cores */
    const char *log_path; /* workers' stdout and stderr are appended here */
} ExecLocalSettings;

/* Local processes, each in a session of its own so that a terminal's Ctrl-C does not reach it; they outlive the daemon. The strings are
 * copied. */
int exec_local_new(Executor **out, const ExecLocalSettings *settings, Error *error);
void exec_free(Executor *executor);

/* A real daemon in a home of its own, and a worker made by hand. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/types.h>

#include "sweepd/wire.h"

typedef struct Harness {
    char home[64];
    char socket_path[PATH_TEXT_MAX];
    pid_t pid; /* 0: not running */
    HttpClient *client;
    Buffer answer;
    int status;
    Error error;
    int64_t sequence;
    unsigned long file_limit; /* bytes that a file of the daemon may have; 0: no limit */
    bool here;                /* the worker says that it is on this machine, not elsewhere: */
    pid_t pid_of_worker;      /* this process, 0: the test's own */
} Harness;

extern const char harness_sweep[]; /* "tiny": four runs */

void harness_init(Harness *harness);
void harness_deinit(Harness *harness); /* ends the daemon and removes the home */
/* Starts sweepd with --home and the options, which end with NULL, and waits until it answers. */
void harness_start(Harness *harness, const char *const options[]);
/* Sends the signal and waits; returns what waitpid says. */
int harness_end(Harness *harness, int signal);

/* body NULL: GET. Returns the HTTP status; the answer is in harness->answer. */
int harness_call(Harness *harness, const char *path, const char *body);
/* Fails the test with the answer when the status is another. */
void harness_expect(Harness *harness, const char *path, const char *body, int status);
bool harness_answer_has(const Harness *harness, const char *text);
void harness_submit(Harness *harness, const char *text, int status);
void harness_run_states(Harness *harness, int64_t by_state[RUN_STATES]);

/* The worker. */
void harness_lease_some(Harness *harness, const char *worker, int64_t runs_max, int64_t sweep_id, LeaseAnswer *out);
void harness_lease(Harness *harness, const char *worker, Lease *out); /* one, which must be there */
bool harness_lease_none(Harness *harness, const char *worker);        /* nothing must be there; whether the worker is to leave */
Report *harness_report(Harness *harness, const Lease *lease, ReportKind kind);
/* Adds a point with a test_error. */
void harness_point(Report *report, int64_t step, double test_error);
/* Sends and frees; returns the report's status, or the whole message's when that is not 200. */
int harness_send(Harness *harness, Report *report, Directive *directive);

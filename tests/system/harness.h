/* A site: a home of its own under /tmp, and the real programs run in it. One site at a time per test process. A function that cannot do
 * what it says fails the test that called it. Programs are those of $SWEEPD_BIN_DIR. */
#pragma once

#include "sweepd/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <jansson.h>
#include <sys/types.h>

/* Generous, for machines that are slow or busy: no test passes or fails by them on a machine that works. */
static const double SITE_SECONDS = 120;

/* For cmocka. The end of a site ends every process that was started in it, and removes its directory. */
int site_set_up(void **state);
int site_tear_down(void **state);

/* out = the site's directory / name; the home is "home". */
void site_path(char out[PATH_TEXT_MAX], const char *name);
const char *site_home(void);
void site_write(const char *name, const char *text);

/* Both are there, not empty, and have the same bytes. */
void site_assert_same_file(const char *a, const char *b);

/* A small sweep on Fashion-MNIST: widths as YAML ("[8, 16]"), one depth, one size of data, so many epochs. */
void site_write_sweep(const char *file, const char *name, const char *widths, int examples, int epochs);

typedef struct Output {
    int code; /* exit code, or minus the signal */
    double seconds;
    char *out, *err;
} Output;

/* Runs to the end. The list of arguments ends with NULL. Give the result to output_free. */
Output site_run(const char *program, ...) __attribute__((sentinel));
void output_free(Output *output);
/* The same, with an expected exit code; the output is dropped, or shown when the code is another. */
void site_expect(int code, const char *program, ...) __attribute__((sentinel));
/* Standard output as JSON, of a program that ends with 0. Owned by the caller. */
json_t *site_json(const char *program, ...) __attribute__((sentinel));

/* Starts in the background; its output goes to the file `program`.out of the site. */
pid_t site_start(const char *program, ...) __attribute__((sentinel));
/* Exit code, or minus the signal, of what site_start started. */
int site_wait(pid_t pid);

/* Until the site's daemon answers. */
void site_await_daemon(void);
/* sweepd with so many workers and this lease (seconds, at least 0.5; NULL: 60), answering when this returns. */
pid_t site_start_daemon(const char *workers, const char *lease_seconds);
pid_t site_start_worker(const char *name);

/* Waits until condition(context) holds. */
void site_until(bool (*condition)(void *context), void *context, const char *what);
void site_sleep(double seconds);

/* ---- questions, asked by sweepctl --json ---- */

/* Of `runs SWEEP`, the array. Owned by the caller. */
json_t *site_runs(const char *sweep);
/* Of `show RUN`, the object "run". Owned by the caller. */
json_t *site_show(int64_t run_id);
int64_t site_count(const char *sweep, const char *state);
/* The run's id by its width; 0: none. */
int64_t site_run_of_width(const char *sweep, int64_t width);
/* The pid that trains the run now, by its open attempt; 0: none. */
pid_t site_worker_of(int64_t run_id);
/* Waits until the run is being trained and has a checkpoint, and freezes its worker (SIGSTOP), so that what follows does not race with the
 * run's end. The worker's pid. */
pid_t site_freeze(int64_t run_id);
/* Sends the signal to a frozen worker and lets it go on. */
void site_thaw(pid_t pid, int number);
/* The path of a file in the run's directory. */
void site_run_path(char out[PATH_TEXT_MAX], int64_t run_id, const char *name);
/* The run's directory holds a checkpoint. */
bool site_has_checkpoint(int64_t run_id);
/* "crashed,ok": the outcomes of a run's attempts in their order. */
void site_outcomes(int64_t run_id, char *out, size_t capacity);

/* Trains the run by hand from its own specification and compares every point's metrics, to the last bit. */
void site_assert_as_undisturbed(int64_t run_id);

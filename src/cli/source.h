/* Where what is known about sweeps and runs comes from: the daemon, or, when none serves the home, the store opened read-only (which
 * is said on stderr). Verbs read through this and cannot tell which it is, unless they ask. */
#pragma once

#include "cli.h"

#include "sweepd/wire.h"

typedef struct Source Source;

typedef enum { SOURCE_ANY, SOURCE_DAEMON } SourceNeed;

/* 0; CLI_NO_DAEMON when a daemon is needed and none answers (the error says how to start one), or when there is no database either
 * (the error says that the home holds nothing yet). */
int source_open(Source **out, const Cli *cli, SourceNeed need, Error *error);
/* The same without a note and without an error text, for callers that can go on without. */
int source_open_quietly(Source **out, const char *home, SourceNeed need, Error *error);
void source_free(Source *source);
bool source_is_daemon(const Source *source);
const char *source_home(const Source *source);
/* Sets the error for "this needs a daemon" and returns CLI_NO_DAEMON. */
int source_no_daemon(const char *home, Error *error);

/* ---- reading: 0, CLI_FAILED with the error when there is no such sweep or run, CLI_NO_DAEMON when it went away, or negative ---- */

int source_sweep(Source *source, const char *name, SweepRecord *out, Error *error);
/* Newest first; malloc'ed. */
int source_sweeps(Source *source, SweepRecord **out, size_t *count, Error *error);
/* Calls `each` for the sweep's runs in the sweep's order; state -1: all. A non-zero return ends the walk and is handed back. */
typedef int (*SourceEach)(void *context, const RunRecord *record, Error *error);
int source_runs(Source *source, const SweepRecord *sweep, int state, SourceEach each, void *context, Error *error);
/* At most `limit` of them in an array that the caller gives. */
int source_runs_first(Source *source, const SweepRecord *sweep, int state, size_t limit, RunRecord *out, size_t *count, Error *error);
int source_run(Source *source, const char *name, RunDetail *out, Error *error);
/* Of the run's log, from byte `from` on or with FILE_END its end, at most `bytes`, into an initialised buffer. CLI_FAILED also when it has
 * none. */
int source_log(Source *source, const char *name, int64_t from, int64_t bytes, Buffer *out, Error *error);
/* The sweep's file as it was submitted last, into an initialised buffer. */
int source_sweep_text(Source *source, const SweepRecord *sweep, Buffer *out, Error *error);
/* The same, parsed. Any run of it tells what the files were that it names. 0, SWEEP_INVALID, or as source_sweep_text. */
int source_sweep_parse(Source *source, const SweepRecord *sweep, Sweep **out, Error *error);
/* What the sweep file says of fits. 0, or as source_sweep_parse, with the defaults. */
int source_fit_settings(Source *source, const SweepRecord *sweep, FitSettings *out, Error *error);

/* ---- asking the daemon to act ---- */

int source_status(Source *source, StatusRecord *out, Error *error);
/* What to do when a call finds no daemon any more: revive returns 0 when one serves the home again, and the call is made once more; what
 * else it returns is the call's result. */
typedef int (*SourceRevive)(void *context, Error *error);
void source_set_revive(Source *source, SourceRevive revive, void *context);
/* How often one came back. */
size_t source_revivals(const Source *source);
/* body NULL: GET. out: initialised. 0, CLI_FAILED with the daemon's message, CLI_NO_DAEMON, or negative. */
int source_call(Source *source, const char *path, const Buffer *body, double timeout_seconds, Buffer *out, Error *error);
/* Joins texts into a path of the API; each part is escaped: source_path(path, "/v1/sweeps/", name, "/cancel"). tail may be "". */
int source_path(char out[PATH_TEXT_MAX], const char *head, const char *name, const char *tail, Error *error);

/* The whole way in one command: a daemon if there is none, the sweep, its progress, its results, its law, its figures. A daemon that was
 * started here is stopped here, on every way out, unless others use it by then. One that goes while it is needed, whoever started it, is
 * replaced: every call may be made twice, so the work goes on at the call that failed. */
#include "change.h"
#include "figures.h"
#include "holdouts.h"
#include "progress.h"
#include "service.h"
#include "submit.h"
#include "sweep_file.h"

#include <stdlib.h>
#include <string.h>

enum { RESTARTS_MAX = 5 };

typedef struct Session {
    const Cli *cli;
    const Arguments *arguments;
    char home[PATH_TEXT_MAX];
    Sweep *sweep;
    Buffer text; /* of the file */
    Source *source;
    pid_t daemon; /* 0: it is another's */
    int restarts;
    SubmitRecord submitted;
    SweepRecord last;
} Session;

/* ---- before ---- */

static int session_join(Session *session, Source **source, Error *error) {
    const char *workers = arguments_text(session->arguments, "workers", NULL);
    int result = service_join(session->home, workers, true, &session->daemon, source, error);
    if (!result && !session->daemon && workers)
        cli_note("a daemon already serves %s with its own number of workers; --workers has no effect", session->home);
    return result;
}

static int session_revive(void *context, Error *error) {
    Session *session = context;
    Source *source = NULL;
    if (interrupt_seen())
        return CLI_INTERRUPTED;
    if (session->restarts++ == RESTARTS_MAX)
        return error_set(error, "the daemon of %s has gone %d times; see its sweepd.log", session->home, RESTARTS_MAX + 1);
    cli_note("the daemon has gone; seeing to another, which goes on from the last checkpoints");
    int result = session_join(session, &source, error);
    source_free(source); /* its socket is the old one's */
    return result;
}

/* A daemon that began to stop meanwhile refuses it. */
static int session_submit(Session *session, Error *error) {
    const char *path = session->arguments->positional;
    int result = session_join(session, &session->source, error);
    if (!result)
        source_set_revive(session->source, session_revive, session);
    while (!result && (result = submit_sweep(session->source, path, &session->text, &session->submitted, error)) == CLI_FAILED &&
           !service_serves(session->home) && session->restarts < RESTARTS_MAX)
        result = session_revive(session, error);
    return result;
}

static int session_retry(Session *session, Error *error) {
    char path[PATH_TEXT_MAX];
    int64_t changed = 0;
    if (!arguments_flag(session->arguments, "retry"))
        return 0;
    int result = source_path(path, "/v1/sweeps/", session->submitted.name, "/retry", error);
    if (!result)
        result = change_ask(session->source, path, &changed, error);
    if (!result)
        printf("%lld run%s to be tried again\n", (long long)changed, changed == 1 ? " is" : "s are");
    return result;
}

/* ---- after ---- */

static int show_figures(const Session *session, const Fits *fits, Error *error) {
    char directory[PATH_TEXT_MAX];
    if (arguments_flag(session->arguments, "no-plot"))
        return 0;
    int result = figures_directory(directory, arguments_text(session->arguments, "out", NULL), fits->study->name, error);
    printf("\nFigures ('sweepctl plot %s' draws more)\n", fits->study->name);
    return result ? result : figures_draw(fits, FIGURES_FIRST, NULL, session->source, directory, error);
}

/* A fit that is refused is told where it would stand; the runs are what was asked for, so it is no failure. */
static int show_law(const Session *session, const Study *study, Error *error) {
    Fits fits;
    Error unkept = {0};
    int result = fits_make(&fits, study, error);
    if (result)
        return result;
    result = fits_print(&fits, session->cli, error);
    if (!result)
        result = holdouts_summarise(session->cli, study, error);
    if (!result && fits_store(&fits, session->source, &study->sweep, &unkept))
        cli_note("the fit was not kept: %s", unkept.text);
    if (!result)
        result = interrupt_seen() ? CLI_INTERRUPTED : show_figures(session, &fits, error);
    fits_deinit(&fits);
    return result;
}

static int show_study(const Session *session, Error *error) {
    Study study;
    StudyOptions options;
    int result = study_options_read(&options, session->arguments, sweep_fit_settings(session->sweep), error);
    if (!result)
        result = study_load(&study, session->source, &session->last, &options, error);
    if (result)
        return result;
    putchar('\n');
    result = study_print(&study, session->cli, error);
    if (!result && study_check_metric(&study, arguments_flag(session->arguments, "metric"), error))
        cli_note("%s", error->text);
    else if (!result && study.point_count == 0)
        cli_note("no run has finished with a result, so there is nothing to fit or to draw");
    else if (!result)
        result = show_law(session, &study, error);
    study_deinit(&study);
    return result;
}

/* ---- */

static int session_run(Session *session, Error *error) {
    int result = session_submit(session, error);
    if (result)
        return result;
    submit_print(&session->submitted);
    submit_tell(session->source, session->sweep, &session->submitted);
    result = session_retry(session, error);
    fflush(stdout);
    if (!result)
        result = progress_follow(session->source, session->cli, session->submitted.name, &session->last, error);
    if (!result)
        result = show_study(session, error);
    return result ? result : progress_exit(session->source, &session->last, error);
}

/* Why the daemon stays: others' runs; or such as no machine has room for, which it does not wait for for ever. */
static void tell_stays(const Session *session) {
    SweepRecord *sweeps = NULL;
    const SweepRecord *waits = NULL;
    size_t count = 0;
    bool under_way = false;
    Error ignored = {0};
    if (source_sweeps(session->source, &sweeps, &count, &ignored))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(sweeps[i].name, sweep_name(session->sweep)) || progress_finished(&sweeps[i]))
            continue;
        if (progress_stuck(&sweeps[i]))
            waits = &sweeps[i];
        else
            under_way = under_way || !strcmp(sweeps[i].state, "active") || sweeps[i].by_state[RUN_RUNNING] > 0;
    }
    if (waits && !under_way)
        cli_note("sweep %s waits: %s; nothing else is left to be done, so the daemon leaves in some seconds", waits->name, waits->waiting);
    else
        cli_note("other sweeps are under way: the daemon stays until they have finished, then leaves");
    free(sweeps);
}

/* 0, SERVICE_STAYS, or negative. */
static int session_stop(const Session *session, bool interrupted, Error *error) {
    if (!session->daemon)
        return SERVICE_STAYS;
    if (interrupted)
        cli_note("stopping: running runs write their checkpoints");
    source_set_revive(session->source, NULL, NULL);
    int result = service_stop(session->source, session->daemon, sweep_name(session->sweep), error);
    if (result == SERVICE_STAYS)
        tell_stays(session);
    return result;
}

static void tell_interrupted(const Session *session, bool stopped) {
    if (!session->submitted.sweep_id)
        cli_note("stopped before the sweep was submitted");
    else if (stopped)
        cli_note("stopped; running runs were checkpointed. Go on with 'sweepctl run %s'", session->arguments->positional);
    else
        cli_note("stopped watching; the daemon goes on with sweep %s ('sweepctl cancel %s' would end it)", session->submitted.name,
                 session->submitted.name);
}

static int session_end(const Session *session, int result) {
    Error error = {0};
    int stopped = session_stop(session, result == CLI_INTERRUPTED, &error);
    if (stopped && stopped != SERVICE_STAYS) {
        cli_note("%s", error.text);
        return result ? result : CLI_FAILED;
    }
    if (result == CLI_INTERRUPTED)
        tell_interrupted(session, !stopped);
    return result;
}

int verb_run(const Cli *cli, const Arguments *arguments, Error *error) {
    Session session = {.cli = cli, .arguments = arguments};
    interrupt_catch();
    int result = sweep_file_read(arguments->positional, &session.text, &session.sweep, error);
    if (!result)
        result = submit_check(session.sweep, arguments->positional, error);
    if (!result)
        result = cli_home(cli, session.home, error);
    if (!result) {
        result = session_run(&session, error);
        if (interrupt_seen())
            result = CLI_INTERRUPTED;
        result = session_end(&session, result);
    }
    source_free(session.source);
    sweep_free(session.sweep);
    buffer_deinit(&session.text);
    return result;
}

/* The whole way in one command: a daemon if there is none, the sweep, its progress, its results, its law, its figures. What was started
 * here is stopped here, on every way out. */
#include "figures.h"
#include "progress.h"
#include "service.h"
#include "submit.h"
#include "sweep_file.h"

typedef struct Session {
    const Cli *cli;
    const Arguments *arguments;
    Sweep *sweep;
    Buffer text; /* of the file */
    Source *source;
    pid_t daemon; /* 0: it was there before */
    SubmitRecord submitted;
    SweepRecord last;
} Session;

/* ---- before ---- */

static int session_connect(Session *session, Error *error) {
    char home[PATH_TEXT_MAX];
    const char *workers = arguments_text(session->arguments, "workers", NULL);
    if (cli_home(session->cli, home, error) < 0)
        return -1;
    int result = source_open_quietly(&session->source, home, SOURCE_DAEMON, error);
    if (!result && workers)
        cli_note("a daemon already serves %s with its own number of workers; --workers has no effect", home);
    if (result != CLI_NO_DAEMON)
        return result;
    *error = (Error){0};
    return service_start(home, workers, &session->daemon, &session->source, error);
}

/* ---- after ---- */

static int show_figures(const Session *session, const Study *study, const Fits *fits, Error *error) {
    char directory[PATH_TEXT_MAX];
    if (arguments_flag(session->arguments, "no-plot"))
        return 0;
    int result = figures_directory(directory, arguments_text(session->arguments, "out", NULL), study->sweep.name, error);
    printf("\nFigures\n");
    return result ? result : figures_draw(study, fits, session->source, directory, error);
}

/* A fit that is refused is told where it would stand; the runs are what was asked for, so it is no failure. */
static int show_law(const Session *session, const Study *study, Error *error) {
    Fits fits;
    Error unkept = {0};
    int result = fits_make(&fits, study->sweep.name, study->points, study->point_count, &study->options, study, error);
    if (result)
        return result;
    result = fits_print(&fits, session->cli, error);
    if (!result && fits_store(&fits, session->source, &study->sweep, &unkept))
        cli_note("the fit was not kept: %s", unkept.text);
    if (!result)
        result = interrupt_seen() ? CLI_INTERRUPTED : show_figures(session, study, &fits, error);
    fits_deinit(&fits);
    return result;
}

static int show_study(const Session *session, Error *error) {
    Study study;
    StudyOptions options;
    study_options_read(&options, session->arguments, sweep_fit_settings(session->sweep));
    int result = study_load(&study, session->source, &session->last, &options, error);
    if (result)
        return result;
    putchar('\n');
    result = study_print(&study, session->cli, error);
    if (!result && study.point_count == 0)
        cli_note("no run has finished with a result, so there is nothing to fit or to draw");
    else if (!result)
        result = show_law(session, &study, error);
    study_deinit(&study);
    return result;
}

/* ---- */

static int session_run(Session *session, Error *error) {
    const char *path = session->arguments->positional;
    int result = session_connect(session, error);
    if (!result)
        result = submit_sweep(session->source, path, &session->text, &session->submitted, error);
    if (result)
        return result;
    submit_print(&session->submitted);
    fflush(stdout);
    result = progress_follow(session->source, session->cli, session->submitted.name, &session->last, error);
    if (!result)
        result = show_study(session, error);
    return result ? result : progress_exit(session->source, &session->last, error);
}

static void tell_end(const Session *session, int result) {
    if (result == CLI_INTERRUPTED && session->daemon)
        cli_note("stopped; running runs were checkpointed. Go on with 'sweepctl run %s'", session->arguments->positional);
    else if (result == CLI_INTERRUPTED)
        cli_note("stopped watching; the daemon, which was there before, goes on with sweep %s", session->last.name);
}

static int session_stop(const Session *session, int result) {
    Error stop_error = {0};
    if (!session->daemon || !session->source)
        return result;
    if (result == CLI_INTERRUPTED)
        cli_note("stopping: running runs write their checkpoints");
    int stopped = service_stop(session->source, session->daemon, &stop_error);
    if (!stopped)
        return result;
    cli_note("%s", stop_error.text);
    return result ? result : CLI_FAILED;
}

int verb_run(const Cli *cli, const Arguments *arguments, Error *error) {
    Session session = {.cli = cli, .arguments = arguments};
    interrupt_catch();
    int result = sweep_file_read(arguments->positional, &session.text, &session.sweep, error);
    if (!result)
        result = submit_check(session.sweep, arguments->positional, error);
    if (!result) {
        result = session_run(&session, error);
        if (interrupt_seen())
            result = CLI_INTERRUPTED;
        result = session_stop(&session, result);
        tell_end(&session, result);
    }
    source_free(session.source);
    sweep_free(session.sweep);
    buffer_deinit(&session.text);
    return result;
}

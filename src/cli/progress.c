#include "progress.h"

#include "format.h"

#include <math.h>
#include <string.h>

enum { RATE_SAMPLES = 64, BAR_WIDTH = 28, RUNNING_SHOWN = 4, COUNTED_RUNS = 3 };

const char progress_problem[] = "the daemon has a problem: ";
static const double problem_seconds = 2.0, poll_seconds = 0.5, plain_line_seconds = 10.0, rate_window_seconds = 30.0;

/* ---- one look ---- */

static double run_rate(const RunRecord *run, double now) {
    if (run->has_point && run->last.seconds > 0)
        return run->last.flops / run->last.seconds;
    return run->started_at > 0 && now > run->started_at ? run->done_flops / (now - run->started_at) : 0;
}

/* Runs may be under way with no FLOP of the plan left: it has not what eval takes, and is 0 while an external program's is not known. */
static void set_rate(Progress *progress, double rate) {
    double flops = progress->sweep.planned_flops - progress->sweep.done_flops;
    progress->flops_per_second = rate > 0 ? rate : NAN;
    progress->seconds_left = rate > 0 && flops > 0 ? flops / rate : NAN;
    if (progress_finished(&progress->sweep))
        progress->seconds_left = 0;
}

int progress_read(Progress *out, Source *source, const char *sweep, Error *error) {
    memset(out, 0, sizeof *out);
    int result = source_sweep(source, sweep, &out->sweep, error);
    size_t limit = sizeof out->running / sizeof *out->running;
    if (!result && out->sweep.by_state[RUN_RUNNING] > 0)
        result = source_runs_first(source, &out->sweep, RUN_RUNNING, limit, out->running, &out->running_count, error);
    double rate = 0, now = clock_unix();
    for (size_t i = 0; i < out->running_count; i++)
        rate += run_rate(&out->running[i], now);
    /* Those beyond the ones that were asked for run about as fast. */
    if (out->running_count)
        rate *= (double)out->sweep.by_state[RUN_RUNNING] / (double)out->running_count;
    /* What a daemon that is gone left as running does not run. */
    set_rate(out, source_is_daemon(source) ? rate : 0);
    return result;
}

static int64_t ended(const SweepRecord *sweep) {
    return sweep->runs - sweep->by_state[RUN_PENDING] - sweep->by_state[RUN_RUNNING];
}

bool progress_finished(const SweepRecord *sweep) {
    return sweep->by_state[RUN_PENDING] == 0 && sweep->by_state[RUN_RUNNING] == 0;
}

double progress_share(const SweepRecord *sweep) {
    if (progress_finished(sweep))
        return 1;
    return sweep->planned_flops > 0 ? fmin(1, sweep->done_flops / sweep->planned_flops) : (double)ended(sweep) / (double)sweep->runs;
}

double progress_run_share(const RunRecord *run) {
    double planned = run->flops.exact + run->eval_flops;
    if (run->flops.exact > 0)
        return fmin(1, run->done_flops / planned);
    return run->has_point && run->steps > 0 ? fmin(1, (double)run->last.step / (double)run->steps) : 0;
}

bool progress_stuck(const SweepRecord *sweep) {
    return sweep->oversized > 0 && sweep->oversized == sweep->by_state[RUN_PENDING] && sweep->by_state[RUN_RUNNING] == 0;
}

int progress_exit(Source *source, const SweepRecord *sweep, Error *error) {
    RunRecord first = {0};
    size_t count = 0;
    Error ignored = {0};
    long long failed = (long long)sweep->by_state[RUN_FAILED], cancelled = (long long)sweep->by_state[RUN_CANCELLED];
    if (failed == 0 && progress_stuck(sweep)) {
        error_set(error,
                  "%lld run%s more memory or GPUs than any machine here has and stay%s pending; see 'sweepctl runs %s --state pending'",
                  (long long)sweep->oversized, sweep->oversized == 1 ? " needs" : "s need", sweep->oversized == 1 ? "s" : "", sweep->name);
        return CLI_RUNS_FAILED;
    }
    if (failed == 0 && cancelled == 0)
        return CLI_OK;
    if (failed == 0) {
        error_set(error, "%lld run%s cancelled; see 'sweepctl runs %s --state cancelled'", cancelled, cancelled == 1 ? " was" : "s were",
                  sweep->name);
        return CLI_RUNS_FAILED;
    }
    bool known = source_runs_first(source, sweep, RUN_FAILED, 1, &first, &count, &ignored) == 0 && count == 1 && *first.detail;
    error_set(error,
              "%lld run%s failed%s%s; see 'sweepctl runs %s --state failed'; 'sweepctl run FILE --retry', or 'sweepctl retry %s' while a "
              "daemon runs, "
              "tries again",
              failed, failed == 1 ? "" : "s",
              known && failed > 1 ? ", the first with: "
              : known             ? ": "
                                  : "",
              known ? first.detail : "", sweep->name, sweep->name);
    return CLI_RUNS_FAILED;
}

/* ---- words ---- */

static void append_states(const SweepRecord *sweep, Buffer *out) {
    static const RunState shown[] = {RUN_RUNNING, RUN_DIVERGED, RUN_FAILED, RUN_CANCELLED};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (sweep->by_state[shown[i]])
            buffer_printf(out, ", %lld %s", (long long)sweep->by_state[shown[i]], run_state_text(shown[i]));
}

static void append_compute(const Progress *progress, const char *gap, Buffer *out) {
    char done[FORMAT_MAX], planned[FORMAT_MAX], rate[FORMAT_MAX], left[FORMAT_MAX];
    buffer_printf(out, "%s of %s", format_scaled(progress->sweep.done_flops, "FLOP", done),
                  format_known_scaled(progress->sweep.planned_flops, "FLOP", planned));
    if (progress_finished(&progress->sweep))
        return;
    if (isfinite(progress->flops_per_second) && isfinite(progress->seconds_left))
        buffer_printf(out, "%s%s", gap, format_scaled(progress->flops_per_second, "FLOP/s", rate));
    if (isfinite(progress->seconds_left))
        buffer_printf(out, "%s%s left", gap, format_left(progress->seconds_left, left));
    else
        buffer_printf(out, "%stime left not known yet", gap);
}

void progress_line(const Progress *progress, Buffer *out) {
    const SweepRecord *sweep = &progress->sweep;
    buffer_printf(out, "%s: %lld of %lld runs ended", sweep->name, (long long)ended(sweep), (long long)sweep->runs);
    append_states(sweep, out);
    if (strcmp(sweep->state, "active") != 0 && *sweep->state)
        buffer_printf(out, " (%s)", sweep->state);
    buffer_append_text(out, "; ");
    append_compute(progress, "; ", out);
}

/* ---- the rate as it is seen here ---- */

/* The latest looks, in a ring; their ends give a rate that counts everything, evaluation and idle workers included. While the FLOPs to come
 * are not known, runs are counted, from the first look on. */
typedef struct RateWindow {
    struct {
        double time, flops;
    } samples[RATE_SAMPLES];
    size_t count;
    double began;
    int64_t ended_before;
} RateWindow;

static void count_runs(const RateWindow *window, Progress *progress, double now) {
    int64_t here = ended(&progress->sweep) - window->ended_before, left = progress->sweep.runs - ended(&progress->sweep);
    if (here >= COUNTED_RUNS)
        progress->seconds_left = (double)left * (now - window->began) / (double)here;
}

static void rate_update(RateWindow *window, Progress *progress) {
    double now = clock_monotonic(), flops = progress->sweep.done_flops;
    if (window->count == 0) {
        window->began = now;
        window->ended_before = ended(&progress->sweep);
    }
    size_t capacity = RATE_SAMPLES;
    if (window->count == capacity || (window->count > 0 && now - window->samples[0].time > rate_window_seconds)) {
        memmove(window->samples, window->samples + 1, (window->count - 1) * sizeof *window->samples);
        window->count--;
    }
    window->samples[window->count].time = now;
    window->samples[window->count++].flops = flops;
    double span = now - window->samples[0].time, gained = flops - window->samples[0].flops;
    if (span >= 2.0 && gained > 0)
        set_rate(progress, gained / span);
    if (progress->sweep.planned_flops == 0)
        count_runs(window, progress, now);
}

/* ---- the block on a terminal ---- */

typedef struct Block {
    Buffer text;
    int lines; /* that are on the screen now */
} Block;

/* Cuts to the terminal's width, so that one line stays one line. All text here is ASCII. */
static void block_line(Block *block, const Buffer *line) {
    size_t width = (size_t)cli_width(true) - 1;
    buffer_append(&block->text, line->data, line->size < width ? line->size : width);
    buffer_append_text(&block->text, "\033[K\n");
    block->lines++;
}

static void bar_append(double share, Buffer *out) {
    int full = (int)(share * BAR_WIDTH + 1e-9);
    buffer_append_text(out, "[");
    for (int i = 0; i < BAR_WIDTH; i++)
        buffer_append_text(out, i < full ? "#" : "-");
    buffer_append_text(out, "]");
}

static void block_running(Block *block, const Progress *progress, const char *metric, Buffer *line) {
    for (size_t i = 0; i < progress->running_count && i < RUNNING_SHOWN; i++) {
        const RunRecord *run = &progress->running[i];
        char share[FORMAT_MAX], examples[FORMAT_MAX], value[FORMAT_MAX];
        double last = run->has_point ? point_metric(&run->last, metric) : (double)NAN;
        buffer_clear(line);
        buffer_printf(line, "  running  %-16s on %9s examples  %6s", run->model, format_count(run->examples, examples),
                      format_percent(progress_run_share(run), share));
        if (isfinite(last))
            buffer_printf(line, "  %s %s", metric, format_metric(metric, last, value));
        block_line(block, line);
    }
}

static void block_draw(Block *block, const Progress *progress, const char *metric, Buffer *line) {
    char share[FORMAT_MAX];
    const SweepRecord *sweep = &progress->sweep;
    buffer_clear(&block->text);
    if (block->lines)
        buffer_printf(&block->text, "\r\033[%dA", block->lines); /* a typed ^C has moved the cursor along its line */
    block->lines = 0;
    buffer_clear(line);
    buffer_printf(line, "%s  ", sweep->name);
    bar_append(progress_share(sweep), line);
    buffer_printf(line, " %s  %lld of %lld runs", format_percent(progress_share(sweep), share), (long long)ended(sweep),
                  (long long)sweep->runs);
    append_states(sweep, line);
    if (strcmp(sweep->state, "active") != 0 && *sweep->state)
        buffer_printf(line, " (%s)", sweep->state);
    block_line(block, line);
    buffer_clear(line);
    buffer_append_text(line, "  ");
    append_compute(progress, "   ", line);
    block_line(block, line);
    block_running(block, progress, metric, line);
    buffer_append_text(&block->text, "\033[J");
    fwrite(block->text.data, 1, block->text.size, stdout);
    fflush(stdout);
}

/* ---- following ---- */

/* Each reason once, however often the daemon gives it. */
static bool tell_once(const char *what, const char *reason, char *told, size_t capacity) {
    if (!*reason || strcmp(reason, told) == 0)
        return false;
    cli_note("%s%s", what, reason);
    text_copy(told, capacity, reason);
    return true;
}

bool progress_tell(Source *source, const SweepRecord *sweep, ProgressTold *told) {
    StatusRecord status;
    Error ignored = {0};
    bool idle = sweep->by_state[RUN_PENDING] > 0 && sweep->by_state[RUN_RUNNING] == 0, any = false;
    if (!source_is_daemon(source))
        return false;
    double now = clock_monotonic();
    if (idle || (!progress_finished(sweep) && now - told->problem_at >= problem_seconds)) {
        told->problem_at = now;
        if (source_status(source, &status, &ignored) == 0)
            any = tell_once(progress_problem, status.problem, told->problem, sizeof told->problem);
    }
    /* How much is free changes often; which run it is that waits does not. */
    bool due = told->waiting_at == 0 || now - told->waiting_at >= plain_line_seconds;
    if ((idle || sweep->oversized > 0) && due && tell_once("", sweep->waiting, told->waiting, sizeof told->waiting)) {
        told->waiting_at = now;
        any = true;
    }
    return any;
}

static void show_plain(const Progress *progress, Buffer *line, double *shown_at) {
    double now = clock_monotonic();
    if (*shown_at > 0 && now - *shown_at < plain_line_seconds && !progress_finished(&progress->sweep))
        return;
    buffer_clear(line);
    progress_line(progress, line);
    puts(line->data);
    fflush(stdout);
    *shown_at = now;
}

int progress_follow(Source *source, const Cli *cli, const char *sweep, SweepRecord *last, Error *error) {
    Progress progress;
    RateWindow window = {0};
    Block block = {0};
    Buffer line;
    double shown_at = 0;
    ProgressTold told = {0};
    FitSettings fit = {0};
    Error ignored = {0};
    int result;
    buffer_init(&line, 4096);
    buffer_init(&block.text, 16384);
    for (size_t revivals = source_revivals(source); !(result = progress_read(&progress, source, sweep, error));) {
        if (revivals != source_revivals(source))
            block.lines = 0; /* notes were written below it */
        revivals = source_revivals(source);
        rate_update(&window, &progress);
        if (cli->terminal && !*fit.metric)
            source_fit_settings(source, &progress.sweep, &fit, &ignored); /* else the defaults */
        if (cli->terminal)
            block_draw(&block, &progress, fit.metric, &line);
        else
            show_plain(&progress, &line, &shown_at);
        if (progress_tell(source, &progress.sweep, &told))
            block.lines = 0; /* what was drawn above stays */
        if (progress_finished(&progress.sweep) || progress_stuck(&progress.sweep) || interrupt_seen())
            break;
        if (!source_is_daemon(source)) {
            result = source_no_daemon(source_home(source), error);
            break;
        }
        interrupt_sleep(poll_seconds);
    }
    *last = progress.sweep;
    bool finished = !result && (progress_finished(&progress.sweep) || progress_stuck(&progress.sweep));
    buffer_deinit(&line);
    buffer_deinit(&block.text);
    return finished ? 0 : interrupt_seen() ? CLI_INTERRUPTED : result;
}

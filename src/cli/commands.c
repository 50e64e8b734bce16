/* The command table. */
#include "cli.h"

#define FLAG                                                                                                                               \
    { .kind = ARGUMENT_NONE }
#define VALUE(which, called)                                                                                                               \
    { .kind = which, .name = called }
#define SWEEP(is_required)                                                                                                                 \
    { .kind = ARGUMENT_SWEEP, .name = "SWEEP", .required = (is_required) }
#define SWEEP_FILE                                                                                                                         \
    { .kind = ARGUMENT_FILE, .name = "FILE", .required = true }
#define RUN                                                                                                                                \
    { .kind = ARGUMENT_RUN, .name = "RUN", .required = true }
#define CHOICE(called, list)                                                                                                               \
    { .kind = ARGUMENT_CHOICE, .name = called, .choices = (list) }
#define CHOICES(called, list)                                                                                                              \
    { .kind = ARGUMENT_CHOICES, .name = called, .choices = (list) }
#define SHARE                                                                                                                              \
    { .kind = ARGUMENT_NUMBER, .name = "SHARE", .minimum = 0, .maximum = 0.99 }
#define INTEGER(called, from, to)                                                                                                          \
    { .kind = ARGUMENT_INTEGER, .name = called, .minimum = (from), .maximum = (to) }

const Option cli_global_options[] = {
    {"home", VALUE(ARGUMENT_DIRECTORY, "DIR"), "the directory that keeps everything (else $SWEEPD_HOME, else ~/.local/share/sweepd)"},
    {"no-color", FLAG, "no colours; so does the variable NO_COLOR"},
    {"help", FLAG, "this help; after a verb, that verb's"},
    {"version", FLAG, "the version and the commit it was built from"},
    {0},
};

static const Option json_options[] = {
    {"json", FLAG, "one JSON object instead of tables"},
    {0},
};

static const Option submit_options[] = {
    {"dry-run", FLAG, "show the plan and submit nothing"},
    {"json", FLAG, "one JSON object instead of tables"},
    {0},
};

static const Option run_options[] = {
    {"workers", INTEGER("N", 1, 1024), "how many workers the daemon may start (default: one a core)"},
    {"out", VALUE(ARGUMENT_DIRECTORY, "DIR"), "where the figures go (default: ./SWEEP-plots)"},
    {"no-plot", FLAG, "draw no figures"},
    {"retry", FLAG, "try the sweep's failed runs again, as 'retry SWEEP' does"},
    {0},
};

static const Option plan_options[] = {
    {"workers", INTEGER("N", 1, 100000), "estimate the time for N workers (default: one a core)"},
    {"json", FLAG, "one JSON object instead of tables"},
    {0},
};

static const Option wait_options[] = {
    {"timeout", {.kind = ARGUMENT_NUMBER, .name = "SECONDS", .minimum = 0, .maximum = 1e9}, "give up after this long, with exit code 124"},
    {0},
};

static const Option runs_options[] = {
    {"state", CHOICE("STATE", "pending|running|done|diverged|failed|cancelled"), "only runs in this state"},
    {"json", FLAG, "one JSON object instead of a table"},
    {0},
};

static const Option show_options[] = {
    {"json", FLAG, "all of it as one JSON object"},
    {"spec", FLAG, "only the run's canonical specification, as sweep-worker train reads it"},
    {0},
};

static const Option logs_options[] = {
    {"bytes", INTEGER("N", 1, 1048576), "at most the last N bytes (default 65536)"},
    {"follow", FLAG, "the whole log, and what is added to it until the run has ended"},
    {0},
};

static const Option one_run_options[] = {
    {"run", VALUE(ARGUMENT_RUN, "RUN"), "one run, by its id or the first digits of its key, instead of a sweep"},
    {0},
};

#define METHODS "envelope|isoflop|parametric|vpnls|power|all"
#define METHOD_OPTION                                                                                                                      \
    { "method", CHOICES("METHODS", METHODS), "which fits, one or several with commas (default: the sweep file's fit.methods)" }
#define POINTS_OPTION                                                                                                                      \
    {                                                                                                                                      \
        "points", VALUE(ARGUMENT_FILE, "FILE.csv"),                                                                                        \
            "a table instead of a sweep, '-': standard input. Columns params, examples, loss and, if known, flops, configuration, weight"  \
    }
#define COUNT_OPTION(called)                                                                                                               \
    { called, CHOICE("WHICH", "exact|paper|6nd"), "how compute is counted (default: the sweep file's, else exact)" }
#define STUDY_OPTIONS                                                                                                                      \
    {"metric", VALUE(ARGUMENT_TEXT, "NAME"),                                                                                               \
     "the measure that is fitted (default: the sweep file's fit.metric, else test_error); for a table, what to call its column loss"},     \
        {"params", CHOICE("WHICH", "total|body"), "all parameters, or those of the blocks alone (default: the sweep file's, else total)"}, \
        {"where", VALUE(ARGUMENT_TEXT, "EXPR"),                                                                                            \
         "only runs, or rows, with these fields: comparisons (= != < <= > >=) joined by 'and', as in 'depth = 1 and lr < 0.01'"},          \
        {"drop-first-share", SHARE, "leave out this share of the runs, those of least compute (default: the sweep file's, else 0)"},       \
        {"loss", CHOICE("WHICH", "huber|mse|asymmetric"),                                                                                  \
         "of log residuals; asymmetric: for under-tuned runs (default: the sweep file's, else huber)"},                                    \
        {"bootstrap", INTEGER("N", 0, 100000), "resamples for the intervals, 0 for none (default: the sweep file's, else 1000)"}, {        \
        "seed", INTEGER("N", 0, 9007199254740991), "of the resampling (default 0)"                                                         \
    }

static const Option fit_options[] = {
    POINTS_OPTION,
    METHOD_OPTION,
    COUNT_OPTION("flops"),
    STUDY_OPTIONS,
    {"cloud", VALUE(ARGUMENT_FILE, "FILE.csv"), "write the bootstrap's draws of every exponent, coefficient and constant there"},
    {"json", FLAG, "one JSON object instead of text"},
    {0},
};

static const Option predict_options[] = {
    {"flops",
     {.kind = ARGUMENT_NUMBERS, .name = "C", .minimum = 1e-300, .maximum = 1e300},
     "the budgets to predict for, in FLOPs: one, or several with commas"},
    {"holdout",
     {.kind = ARGUMENT_NUMBER, .name = "SHARE", .minimum = 0.01, .maximum = 0.95},
     "instead: fit without this share of the runs, those of most compute, and score what the fit says of them"},
    POINTS_OPTION,
    METHOD_OPTION,
    COUNT_OPTION("convention"),
    STUDY_OPTIONS,
    {"json", FLAG, "one JSON object instead of tables"},
    {0},
};

static const Option compare_options[] = {
    {"points", VALUE(ARGUMENT_FILE, "FILE.csv"), "a table, beside or instead of sweeps; may be given again"},
    {"method", CHOICES("METHODS", METHODS), "by which fits, one or several with commas (default: parametric)"},
    COUNT_OPTION("flops"),
    STUDY_OPTIONS,
    {"out", VALUE(ARGUMENT_DIRECTORY, "DIR"), "draw the frontiers beside each other into DIR"},
    {"json", FLAG, "one JSON object instead of text"},
    {0},
};

static const Option plot_options[] = {
    {"kind", CHOICES("KINDS", "error-compute|frontier|curves|isoflop|contours|residuals|cloud|holdout|all"),
     "which figures, one or several with commas (default: all)"},
    {"out", VALUE(ARGUMENT_DIRECTORY, "DIR"), "where the figures go (default: ./SWEEP-plots)"},
    POINTS_OPTION,
    METHOD_OPTION,
    COUNT_OPTION("flops"),
    STUDY_OPTIONS,
    {"holdout", {.kind = ARGUMENT_NUMBER, .name = "SHARE", .minimum = 0.01, .maximum = 0.95}, "of the figure holdout (default 0.25)"},
    {0},
};

static const Option export_options[] = {
    {"format", CHOICE("FORMAT", "csv|jsonl"), "default csv"},
    {"out", VALUE(ARGUMENT_FILE, "FILE"), "write to FILE instead of standard output"},
    {"points", FLAG, "one row for each point along each run, instead of one for each run"},
    {0},
};

static const Option daemon_options[] = {
    {"workers", INTEGER("N", 0, 1024), "start: how many workers it may start (default: one a core)"},
    {"json", FLAG, "status: one JSON object"},
    {0},
};

static const Option data_options[] = {
    {"size", INTEGER("N", 1, 4096), "pack: resize every image to N x N (default: as the format has them; image folders need it)"},
    {"grey", FLAG, "pack: one channel instead of three"},
    {"colour", FLAG, "pack: three channels, of grey images three equal ones"},
    {"classes", VALUE(ARGUMENT_TEXT, "LIST"), "pack: only these, as in 0-4,7; they are numbered anew from 0"},
    {"name", VALUE(ARGUMENT_TEXT, "NAME"), "pack: the data set's name in the pack (default: from OUT)"},
    {"threads", INTEGER("N", 1, 256), "pack: decode with N threads (default: one a core)"},
    {"url", VALUE(ARGUMENT_TEXT, "URL"), "fetch: from here, a mirror, instead of the known address"},
    {"md5", VALUE(ARGUMENT_TEXT, "HEX"), "fetch: what the file's MD5 must be (default: as known)"},
    {"sha256", VALUE(ARGUMENT_TEXT, "HEX"), "fetch: what the file's SHA-256 must be"},
    {"json", FLAG, "one JSON object"},
    {0},
};

static const Option completion_options[] = {
    {"sweeps", FLAG, "the names of the sweeps instead, as completion asks for them"},
    {0},
};

const Command cli_commands[] = {
    {"run", verb_run, "train a sweep, fit its law and draw it, all in one command", SWEEP_FILE, run_options,
     "Starts sweepd when none serves the home, submits FILE, shows progress until every run has ended, then prints the results, the "
     "fitted law and the paths of the figures. Stops what it started, unless other sweeps are under way. Ctrl-C does so at once: running "
     "runs are checkpointed, and the same command goes on from there."},
    {"validate", verb_validate, "check a sweep file", SWEEP_FILE, NULL,
     "Prints the file's name and its number of runs, or the first mistake with its line and column (exit code 2)."},
    {"plan", verb_plan, "parameters, FLOPs and time of a sweep, before it is run", SWEEP_FILE, plan_options,
     "Counts every run of FILE: per model its parameters, its multiply-adds and the training FLOPs in three conventions, and how long "
     "this machine would take at the rate measured on it. Needs no data and no daemon."},
    {"submit", verb_submit, "give a sweep to the daemon", SWEEP_FILE, submit_options,
     "Runs that the store has already are shared, not trained again. A changed file of the same name changes the sweep. With --dry-run "
     "nothing is submitted: the plan is shown, as 'sweepctl plan' shows it."},
    {"status", verb_status, "how far all sweeps are, or one", SWEEP(false), json_options,
     "Without a daemon the database is read as it was left."},
    {"watch", verb_watch, "follow a sweep until it has finished", SWEEP(true), NULL,
     "On a terminal one block that is drawn anew, in a pipe a line every ten seconds. Ctrl-C stops watching, not the sweep."},
    {"wait", verb_wait, "wait, without a display, until a sweep has finished", SWEEP(true), wait_options,
     "Exit code 0 when every run is done or has diverged, which is a result; 3 when some failed or were cancelled, or what is left needs "
     "more memory or GPUs than any machine has; 124 when the time was up."},
    {"runs", verb_runs, "the runs of a sweep", SWEEP(true), runs_options, NULL},
    {"show", verb_show, "everything known about one run", RUN, show_options,
     "Its specification, its attempts with the environment of each, its points, and its events. RUN is an id or the first digits of a "
     "key."},
    {"logs", verb_logs, "the log of one run", RUN, logs_options,
     "What the worker says of the run, and an external program on its stderr. With --follow, Ctrl-C stops following, not the run."},
    {"cancel", verb_cancel, "cancel a sweep, or one run", SWEEP(false), one_run_options,
     "Pending runs are cancelled unless another sweep wants them; running ones stop at their next heartbeat. Submitting the file again "
     "brings a sweep back, retry --run a run."},
    {"retry", verb_retry, "make failed and cancelled runs pending again", SWEEP(false), one_run_options,
     "Of a sweep that is active or paused, or one run that such a sweep has. A sweep that was cancelled as a whole is refused: submitting "
     "its file again brings it back, with its cancelled runs; then retry makes its failed ones pending again."},
    {"pause", verb_pause, "start no more runs of a sweep", SWEEP(true), NULL, "Runs that are running go on to their end."},
    {"resume", verb_resume, "undo pause", SWEEP(true), NULL, NULL},
    {"fit", verb_fit, "the compute-optimal frontier of a sweep or of a table", SWEEP(false), fit_options,
     "Fits the finished runs and says how sure each number is, with 95 % intervals from a bootstrap over configurations. Methods: "
     "parametric, "
     "the law L = E + A P^-alpha + B N^-beta; vpnls, the same law by variable projection; isoflop, parabolas at equal compute; envelope, "
     "the "
     "lowest loss at each compute; power, E(C) = a (b + C)^-alpha + E_inf. Says beside the numbers why they may be wrong, or refuses, with "
     "the "
     "run that would mend it (exit code 1 when nothing could be fitted)."},
    {"predict", verb_predict, "the best model and data at a budget, or a check of that", SWEEP(false), predict_options,
     "With --flops: P*(C), N*(C), the model nearest to it that can be built (of the sweep's kind and depths, at any width) and the loss to "
     "expect, with intervals, and whether C is beyond what was fitted. With --holdout: fits the runs of little compute and scores what "
     "they "
     "say about those of much."},
    {"compare",
     verb_compare,
     "whether the exponents of several sweeps differ",
     {.kind = ARGUMENT_SWEEP, .name = "SWEEP", .many = true},
     compare_options,
     "Fits each sweep or table by itself and gives, for each two, the difference of their exponents with its interval, from independent "
     "draws of both bootstraps."},
    {"plot", verb_plot, "draw the figures of a sweep or of a table", SWEEP(false), plot_options,
     "error-compute: error against compute; frontier: P*(C) and N*(C); curves: training curves; isoflop: parabolas with their vertices; "
     "contours: lines of equal loss over P and N; residuals: what the law leaves; cloud: the bootstrap's (alpha, beta); holdout: "
     "prediction "
     "against truth. Each as PNG, SVG and PDF, with its table. Needs gnuplot."},
    {"export", verb_export, "a sweep's runs or points as a table", SWEEP(true), export_options, NULL},
    {"daemon",
     verb_daemon,
     "start, stop or look at the daemon",
     {.kind = ARGUMENT_CHOICE, .name = "ACTION", .choices = "start|stop|status", .required = true},
     daemon_options,
     "'stop' has running runs checkpointed; they go on when a daemon is started again. 'status' exits with 4 when none serves the home."},
    {"data",
     verb_data,
     "data sets: list, fetch, pack, verify, show",
     {.kind = ARGUMENT_CHOICE, .name = "ACTION", .choices = "list|fetch|pack|verify|show", .required = true, .more = "NAME, or SOURCE OUT"},
     data_options,
     "list: what can be fetched, what else was, and the packs of the home.\n"
     "fetch NAME: downloads a known data set, or what any --url has under a NAME of your own, into HOME/data/downloads. Ctrl-C and "
     "failures leave a part from which the same "
     "command goes on; only what is whole and has its checksum gets its name.\n"
     "pack SOURCE OUT: makes a pack from a folder, tar or zip, or from a NAME that was fetched: CIFAR-10 and CIFAR-100 (binary), STL-10 "
     "(binary), Tiny ImageNet, IDX, or train/CLASS/ and val/CLASS/ of JPEG and PNG images. OUT is a name, for HOME/data/OUT.pack, which "
     "sweep "
     "files then call `data: {name: OUT}`, or a file's path with a '/'. Images that cannot be read and names with '..' are listed and left "
     "out; files that no "
     "format takes are counted.\n"
     "verify [NAME|FILE]: reads all bytes of a pack, or of all packs of the home, and checks them and the header against its digest.\n"
     "show NAME|FILE: shapes, counts, classes, digest, as the header has them. It looks at header, labels and class names, not at the "
     "images: whether a pack is whole, verify tells."},
    {"doctor", verb_doctor, "check that everything needed is in place", FLAG, NULL,
     "Exit code 1 when something is amiss; each line says how to mend it."},
    {"completion",
     verb_completion,
     "a completion script for a shell",
     {.kind = ARGUMENT_CHOICE, .name = "SHELL", .choices = "bash|zsh|fish"},
     completion_options,
     "bash: source <(sweepctl completion bash)\n"
     "zsh:  source <(sweepctl completion zsh)\n"
     "fish: sweepctl completion fish | source"},
    {0},
};

/* `run` beside others on one home: daemons that come and go under it, with the real programs. */
#include "cli.h"

#include "../system/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONG_EPOCHS = 120, COMMANDS = 4 };

static void sweep_file(char path[PATH_TEXT_MAX], const char *name, const char *widths, int epochs) {
    char file[64];
    snprintf(file, sizeof file, "%s.yaml", name);
    site_write_sweep(file, name, widths, 2000, epochs);
    site_path(path, file);
}

static pid_t start_run(const char *name, const char *widths, int epochs) {
    char path[PATH_TEXT_MAX];
    sweep_file(path, name, widths, epochs);
    return site_start("sweepctl", "run", path, "--no-plot", "--workers", "2", NULL);
}

/* A file under the site; text is what must be in it. */
typedef struct Expected {
    const char *file, *text;
} Expected;

static bool file_says(void *context) {
    const Expected *expected = context;
    char path[PATH_TEXT_MAX];
    Buffer text;
    Error error;
    site_path(path, expected->file);
    buffer_init(&text, 1 << 24);
    bool says = file_read(path, text.max, &text, &error) == 0 && strstr(text.data, expected->text);
    buffer_deinit(&text);
    return says;
}

static void assert_file_says(const char *file, const char *text) {
    Expected expected = {file, text};
    if (!file_says(&expected))
        fail_msg("'%s' is not in %s", text, file);
}

static void until_file_says(const char *file, const char *text) {
    Expected expected = {file, text};
    site_until(file_says, &expected, text);
}

static bool is_submitted(void *context) {
    Output output = site_run("sweepctl", "status", context, NULL);
    int code = output.code;
    output_free(&output);
    return code == 0;
}

static void until_submitted(char *sweep) {
    site_until(is_submitted, sweep, "the sweep is submitted");
}

/* Not asked by a call: one that waits until it is idle would take it for work. */
static bool no_daemon(void *context) {
    char path[PATH_TEXT_MAX];
    (void)context;
    site_path(path, "home/sweepd.pid");
    return !file_exists(path);
}

static pid_t daemon_pid(void) {
    json_t *status = site_json("sweepctl", "daemon", "status", "--json", NULL);
    pid_t pid = (pid_t)json_integer_value(json_object_get(status, "pid"));
    json_decref(status);
    assert_true(pid > 0);
    return pid;
}

/* ---- starting ---- */

static void test_all_at_once(void **state) {
    (void)state;
    static const char *const names[COMMANDS] = {"one", "two", "three", "three"};
    pid_t runs[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        runs[i] = start_run(names[i], "[8, 16]", 4);
    for (size_t i = 0; i < COMMANDS; i++)
        assert_int_equal(site_wait(runs[i]), 0);
    for (size_t i = 0; i < COMMANDS - 1; i++)
        assert_int_equal(site_count(names[i], "done"), 2);
    site_until(no_daemon, NULL, "the daemon that they started has left");
}

/* Its runs are finished first. */
static void test_the_daemon_of_a_killed_run_leaves(void **state) {
    (void)state;
    pid_t run = start_run("orphaned", "[8, 16]", 4);
    until_submitted("orphaned");
    assert_int_equal(kill(run, SIGKILL), 0);
    waitpid(run, NULL, 0);
    site_until(no_daemon, NULL, "the daemon has left");
    assert_int_equal(site_count("orphaned", "done"), 2);
}

/* A process that holds the home's lock as a daemon does that does not serve yet, or no longer. */
static pid_t hold_lock(void) {
    char path[PATH_TEXT_MAX], text[32];
    assert_int_equal(directory_make(site_home(), 0700, NULL), 0);
    site_path(path, "home/lock");
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(flock(file, LOCK_EX | LOCK_NB), 0);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    int size = snprintf(text, sizeof text, "%d\n", (int)pid);
    assert_int_equal(pwrite(file, text, (size_t)size, 0), size);
    close(file);
    return pid;
}

static void let_go(pid_t holder) {
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
}

static void test_lock_is_waited_for(void **state) {
    (void)state;
    pid_t holder = hold_lock();
    pid_t run = start_run("locked", "[8]", 2);
    until_file_says("home/sweepd.log", "another sweepd");
    let_go(holder);
    assert_int_equal(site_wait(run), 0);
    assert_int_equal(site_count("locked", "done"), 1);
}

static void test_interrupted_while_starting(void **state) {
    (void)state;
    pid_t holder = hold_lock();
    pid_t run = start_run("early", "[8]", 2);
    until_file_says("home/sweepd.log", "another sweepd");
    kill(run, SIGINT);
    assert_int_equal(site_wait(run), CLI_INTERRUPTED);
    let_go(holder);
    assert_file_says("sweepctl-0.out", "sweepctl: stopped before the sweep was submitted\n");
    Expected blame = {"sweepctl-0.out", "did not"};
    assert_false(file_says(&blame));
}

/* ---- a daemon that goes ---- */

static void test_stopping_daemon_is_waited_for(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    pid_t daemon = site_start_daemon("1", NULL);
    sweep_file(path, "before", "[32]", LONG_EPOCHS);
    site_expect(0, "sweepctl", "submit", path, NULL);
    pid_t worker = site_freeze(site_run_of_width("before", 32));
    kill(daemon, SIGTERM); /* it waits for its worker */
    pid_t run = start_run("after", "[8]", 2);
    until_file_says("sweepctl-1.out", "is stopping");
    site_thaw(worker, SIGTERM);
    assert_int_equal(site_wait(daemon), 0);
    assert_int_equal(site_wait(run), 0);
    assert_int_equal(site_count("after", "done"), 1);
}

static void run_outlives_daemon(int number) {
    pid_t run = start_run("cut", "[16, 32]", LONG_EPOCHS / 2);
    until_submitted("cut");
    pid_t worker = site_freeze(site_run_of_width("cut", 32));
    kill(daemon_pid(), number);
    site_thaw(worker, number == SIGKILL ? SIGCONT : SIGTERM);
    assert_int_equal(site_wait(run), 0);
    assert_int_equal(site_count("cut", "done"), 2);
    assert_file_says("sweepctl-0.out", "the daemon has gone");
    site_until(no_daemon, NULL, "the second daemon has left too");
}

static void test_killed_daemon_is_replaced(void **state) {
    (void)state;
    run_outlives_daemon(SIGKILL);
}

static void test_stopped_daemon_is_replaced(void **state) {
    (void)state;
    run_outlives_daemon(SIGTERM);
}

/* Whoever started the daemon ends first; the other's sweep goes on. */
static void test_daemon_stays_for_others(void **state) {
    (void)state;
    pid_t first = start_run("first", "[32]", LONG_EPOCHS);
    until_submitted("first");
    pid_t first_worker = site_freeze(site_run_of_width("first", 32));
    pid_t second = start_run("second", "[64]", LONG_EPOCHS);
    until_submitted("second");
    pid_t second_worker = site_freeze(site_run_of_width("second", 64));
    pid_t daemon = daemon_pid();
    site_thaw(first_worker, SIGCONT);
    assert_int_equal(site_wait(first), 0);
    assert_file_says("sweepctl-0.out", "other sweeps are under way");
    assert_int_equal(daemon_pid(), daemon);
    site_thaw(second_worker, SIGCONT);
    assert_int_equal(site_wait(second), 0);
    Expected gone = {"sweepctl-1.out", "has gone"};
    assert_false(file_says(&gone));
    site_until(no_daemon, NULL, "the daemon leaves when nothing is left to do");
}

/* ---- too little memory ---- */

/* Room for one small run. */
static void start_small_daemon(void) {
    site_start("sweepd", "--home", site_home(), "--workers", "2", "--memory", "90M", NULL);
    site_await_daemon();
}

static void assert_says_once(const Output *output, int code, const char *text) {
    const char *first = strstr(output->err, text);
    if (output->code != code || !first || strstr(first + 1, text))
        fail_msg("exit code %d, not %d, or '%s' is not once in %s", output->code, code, text, output->err);
}

static void test_a_run_that_never_fits_is_not_waited_for(void **state) {
    (void)state;
    static const char reason[] = "more than the 90 MiB of this machine",
                      left[] = "1 run needs more memory or GPUs than any machine here has";
    char path[PATH_TEXT_MAX];
    start_small_daemon();
    sweep_file(path, "mixed", "[8, 2048]", 2);
    Output run = site_run("sweepctl", "run", path, "--no-plot", NULL), watch = site_run("sweepctl", "watch", "mixed", NULL),
           wait = site_run("sweepctl", "wait", "mixed", NULL);
    assert_says_once(&run, CLI_RUNS_FAILED, reason);
    assert_says_once(&run, CLI_RUNS_FAILED, left);
    assert_says_once(&watch, CLI_RUNS_FAILED, left);
    assert_says_once(&wait, CLI_RUNS_FAILED, reason);
    assert_int_equal(site_count("mixed", "done"), 1);
    assert_int_equal(site_count("mixed", "pending"), 1);
    output_free(&run);
    output_free(&watch);
    output_free(&wait);
}

/* The daemon of `run` stays for a sweep that nothing here can run, and it is said which and why. */
static void test_what_the_daemon_stays_for_is_told(void **state) {
    (void)state;
    static const char file[] = "version: 1\nname: never\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: toy}\n"
                               "trainer: {kind: external, command: [\"true\"], params: 5, flops: 100, steps: 1}\n"
                               "resources: {memory: 6.8e13}\ngrid: {depth: 1, width: 8, examples: 100}\n"
                               "train: {epochs: 1, batch: 100, optimizer: {name: sgd, lr: 0.1}}\n";
    char path[PATH_TEXT_MAX];
    pid_t daemon = site_start_daemon("1", NULL);
    site_write("never.yaml", file);
    site_path(path, "never.yaml");
    site_expect(CLI_OK, "sweepctl", "submit", path, NULL);
    kill(daemon, SIGTERM);
    site_wait(daemon);
    sweep_file(path, "after", "[8]", 2);
    Output output = site_run("sweepctl", "run", path, "--no-plot", NULL);
    assert_says_once(&output, CLI_OK, "sweep never waits: run 1 needs ");
    assert_null(strstr(output.err, "other sweeps are under way"));
    output_free(&output);
}

static void test_waiting_for_memory_is_told(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    start_small_daemon();
    sweep_file(path, "first", "[32]", LONG_EPOCHS);
    site_expect(0, "sweepctl", "submit", path, NULL);
    pid_t worker = site_freeze(site_run_of_width("first", 32));
    sweep_file(path, "second", "[8]", 2);
    site_expect(0, "sweepctl", "submit", path, NULL);
    Output wait = site_run("sweepctl", "wait", "second", "--timeout", "0.5", NULL);
    assert_says_once(&wait, CLI_TIMED_OUT, "of this machine are free until run 1 ends");
    output_free(&wait);
    site_thaw(worker, SIGCONT);
    site_expect(0, "sweepctl", "wait", "second", NULL);
}

/* ---- a full disk ---- */

static bool status_tells(void *context) {
    Output output = site_run("sweepctl", "status", "full", NULL);
    bool tells = output.code == 0 && strstr(output.err, context);
    output_free(&output);
    return tells;
}

/* It comes while a run is running, and the daemon can write no more. */
static void test_a_full_disk_is_told_while_runs_run(void **state) {
    (void)state;
    static char problem[] = "the daemon has a problem: ";
    char path[PATH_TEXT_MAX];
    struct rlimit full = {4096, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    pid_t daemon = site_start_daemon("1", NULL);
    sweep_file(path, "full", "[32]", LONG_EPOCHS);
    site_expect(CLI_OK, "sweepctl", "submit", path, NULL);
    pid_t worker = site_freeze(site_run_of_width("full", 32));
    assert_int_equal(prlimit(daemon, RLIMIT_FSIZE, &full, NULL), 0);
    Output pause = site_run("sweepctl", "pause", "full", NULL);
    assert_int_not_equal(pause.code, CLI_OK);
    output_free(&pause);
    site_until(status_tells, problem, "the status tells of the daemon's problem");
    Output wait = site_run("sweepctl", "wait", "full", "--timeout", "0.5", NULL);
    assert_says_once(&wait, CLI_TIMED_OUT, problem);
    output_free(&wait);
    kill(daemon, SIGKILL);
    kill(worker, SIGKILL);
    signal(SIGXFSZ, SIG_DFL);
}

/* ---- failed runs, tried again ---- */

static void test_run_tries_failed_runs_again(void **state) {
    (void)state;
    static const char file[] = "version: 1\nname: mended\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: toy}\n"
                               "trainer: {kind: external, command: [sh, program], directory: %s, params: 5, flops: 100, steps: 1}\n"
                               "grid: {depth: 1, width: [8, 16], examples: 100}\n"
                               "train: {epochs: 1, batch: 100, optimizer: {name: sgd, lr: 0.1}}\n";
    char text[PATH_TEXT_MAX + 1024], directory[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
    site_path(directory, ".");
    site_path(path, "mended.yaml");
    snprintf(text, sizeof text, file, directory);
    site_write("mended.yaml", text);
    site_write("program", "exit 78\n");
    Output output = site_run("sweepctl", "run", path, "--no-plot", NULL);
    assert_says_once(&output, CLI_RUNS_FAILED, "'sweepctl run FILE --retry'");
    output_free(&output);
    site_write("program", "echo '{\"step\": 1, \"test_error\": 0.5}'\n");
    site_expect(CLI_RUNS_FAILED, "sweepctl", "run", path, "--no-plot", NULL);
    site_expect(CLI_OK, "sweepctl", "run", path, "--no-plot", "--retry", NULL);
    assert_int_equal(site_count("mended", "done"), 2);
}

static void file_date(const char *path, time_t when) {
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Results of a program that was written since are shared, which is said. */
static void test_shared_results_of_an_earlier_program_are_told(void **state) {
    (void)state;
    static const char file[] = "version: 1\nname: a\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: toy}\n"
                               "trainer: {kind: external, command: [sh, train.sh, '{width}'], directory: %s, params: 5, flops: 100, "
                               "steps: 1}\n"
                               "grid: {depth: 1, width: [8, 16], examples: 100}\n"
                               "train: {epochs: 1, batch: 100, optimizer: {name: sgd, lr: 0.1}}\n";
    char text[1024 + PATH_TEXT_MAX], path[PATH_TEXT_MAX], program[PATH_TEXT_MAX];
    site_path(program, "train.sh");
    site_write("train.sh", "echo '{\"step\": 1, \"test_error\": 0.5}'\n");
    file_date(program, time(NULL) - 60);
    site_path(path, "");
    snprintf(text, sizeof text, file, path);
    site_write("a.yaml", text);
    site_path(path, "a.yaml");
    site_expect(CLI_OK, "sweepctl", "run", path, "--no-plot", NULL);
    Output output = site_run("sweepctl", "run", path, "--no-plot", NULL);
    assert_null(strstr(output.err, "was written after"));
    output_free(&output);
    file_date(program, time(NULL) + 60);
    output = site_run("sweepctl", "run", path, "--no-plot", NULL);
    assert_says_once(&output, CLI_OK, "train.sh was written after 2 of the shared results were begun: raise trainer.version");
    output_free(&output);
}

/* Results of the program in another directory are shared, which is said. */
static void test_shared_results_of_another_program_are_told(void **state) {
    (void)state;
    static const char file[] = "version: 1\nname: %s\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: toy}\n"
                               "trainer: {kind: external, command: [sh, -c, 'echo \"{{\\\"step\\\": 1, \\\"test_error\\\": 0.5}}\"'], "
                               "directory: %s, params: 5, flops: 100, steps: 1}\n"
                               "grid: {depth: 1, width: [8, 16], examples: 100}\n"
                               "train: {epochs: 1, batch: 100, optimizer: {name: sgd, lr: 0.1}}\n";
    char text[1024], path[PATH_TEXT_MAX];
    site_path(path, "a.yaml");
    snprintf(text, sizeof text, file, "a", "/tmp");
    site_write("a.yaml", text);
    site_expect(CLI_OK, "sweepctl", "run", path, "--no-plot", NULL);
    site_path(path, "b.yaml");
    snprintf(text, sizeof text, file, "b", "/");
    site_write("b.yaml", text);
    Output output = site_run("sweepctl", "run", path, "--no-plot", NULL);
    assert_says_once(&output, CLI_OK, "2 of the shared results are of the program in /tmp; yours is in /: set trainer.version");
    output_free(&output);
}

/* ---- what others decided ---- */

static void assert_refused(const char *verb, const char *sweep, const char *reason) {
    Output output = site_run("sweepctl", verb, sweep, NULL);
    assert_int_equal(output.code, CLI_FAILED);
    if (!strstr(output.err, reason))
        fail_msg("'%s' is not in %s", reason, output.err);
    output_free(&output);
}

static void test_cancelled_is_no_success(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    site_start_daemon("0", NULL);
    sweep_file(path, "given-up", "[8, 16]", 2);
    site_expect(CLI_OK, "sweepctl", "submit", path, NULL);
    Output output = site_run("sweepctl", "pause", "given-up", NULL);
    assert_string_equal(output.out, "sweep given-up: paused\n");
    output_free(&output);
    site_expect(CLI_OK, "sweepctl", "cancel", "given-up", NULL);
    site_expect(CLI_RUNS_FAILED, "sweepctl", "wait", "given-up", NULL);
    site_expect(CLI_RUNS_FAILED, "sweepctl", "watch", "given-up", NULL);
    site_expect(CLI_FAILED, "sweepctl", "plot", "given-up", NULL);
    assert_refused("retry", "given-up",
                   "sweep given-up is cancelled; submit its file again to bring it back, with its cancelled runs, and then");
    assert_refused("resume", "given-up", "sweep given-up is cancelled; submit its file again to bring it back\n");
    site_expect(CLI_OK, "sweepctl", "submit", path, NULL);
    output = site_run("sweepctl", "retry", "given-up", NULL); /* what was cancelled is pending already */
    assert_string_equal(output.out, "sweep given-up: to be tried again, 0 runs changed\n");
    output_free(&output);
}

static void test_done_run_is_not_retried(void **state) {
    (void)state;
    pid_t run = start_run("through", "[8]", 2);
    assert_int_equal(site_wait(run), 0);
    site_start_daemon("0", NULL);
    Output output = site_run("sweepctl", "retry", "--run", "1", NULL);
    assert_int_equal(output.code, CLI_OK);
    assert_string_equal(output.out, "run 1 is done; nothing was changed\n");
    output_free(&output);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_at_once, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_the_daemon_of_a_killed_run_leaves, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_lock_is_waited_for, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_interrupted_while_starting, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_stopping_daemon_is_waited_for, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_killed_daemon_is_replaced, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_daemon_is_replaced, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_daemon_stays_for_others, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_a_run_that_never_fits_is_not_waited_for, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_what_the_daemon_stays_for_is_told, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_for_memory_is_told, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_disk_is_told_while_runs_run, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_run_tries_failed_runs_again, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_results_of_another_program_are_told, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_results_of_an_earlier_program_are_told, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_cancelled_is_no_success, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_done_run_is_not_retried, site_set_up, site_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

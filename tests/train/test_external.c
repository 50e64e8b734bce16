/* External programs through the seam: what they may say, how they may end, and what becomes of each. The programs are shell scripts. */
#include "fixture.h"

#include <sys/stat.h>
#include <time.h>

typedef struct Tried {
    int result;
    Error error;
    FixturePoints points;
    int64_t step;
    double seconds;
} Tried;

/* 4 steps; params and flops by the program unless a test says otherwise. */
static Run program_run(const char *script) {
    Run run = {
        .model = {.kind = MODEL_BMLP, .inputs = 4, .classes = 2, .depth = 2, .width = 16, .expansion = 4},
        .examples = 400,
        .seed = 3,
        .epochs = 1,
        .batch = 100,
        .evaluations = 1,
        .trainer = TRAINER_EXTERNAL,
        .program = {.name = "toy"},
    };
    optimizer_settings_default(OPTIMIZER_SGD, &run.optimizer);
    run.optimizer.lr = 0.5;
    scratch_write(scratch_path("script"), script, strlen(script));
    snprintf(run.program.command, sizeof run.program.command, "[\"/bin/sh\",\"%s\"]", scratch_path("script"));
    return run;
}

static Run sized_run(const char *script) {
    Run run = program_run(script);
    strcpy(run.program.params, "depth * width");
    strcpy(run.program.flops, "1000 * depth");
    return run;
}

/* As a worker does it: from the checkpoint where there is one. */
static Tried try_run_to(const Run *run, int64_t stop_at) {
    Tried tried = {0};
    char checkpoint[PATH_TEXT_MAX];
    strcpy(checkpoint, scratch_path("checkpoint"));
    Trainer *trainer = NULL;
    TrainerOptions options = {.home = scratch_root, .threads = 2};
    double begun = clock_monotonic();
    tried.result = trainer_new(&trainer, run, &options, &tried.error);
    if (!tried.result) {
        TrainLoop loop = fixture_loop(&tried.points, checkpoint);
        tried.points.stop_at = stop_at;
        if (file_exists(checkpoint))
            assert_int_equal(trainer->interface->load(trainer, checkpoint, &tried.error), 0);
        tried.result = train_run(trainer, &loop, &tried.error);
        tried.step = trainer->step;
        assert_true(trainer->flops >= 0 && trainer->step <= trainer->steps);
    }
    tried.seconds = clock_monotonic() - begun;
    trainer_free(trainer);
    return tried;
}

static Tried try_run(const Run *run) {
    return try_run_to(run, -1);
}

static void remove_files(void) {
    static const char *const names[] = {"checkpoint", "log", "trace", "script", "well"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(scratch_path(names[i]));
}

static int clean(void **state) {
    (void)state;
    remove_files();
    return 0;
}

static char *read_file(const char *name) {
    size_t size;
    char *text = (char *)scratch_read(scratch_path(name), &size);
    return text ? text : strdup("");
}

#define POINT(step) "echo '{\"step\":" #step ",\"test_error\":0.5}'\n"
#define TOLD        "echo '{\"params\":32,\"flops\":8000,\"steps\":4}'\n"

/* ---- what a program is told, and tells ---- */

static void test_points_are_kept_with_what_they_leave_out(void **state) {
    (void)state;
    Run run = program_run(TOLD "echo '{\"step\":1,\"test_error\":0.5,\"train_loss\":1.5}'\n"
                               "echo '{\"step\":4,\"test_error\":0.25,\"examples\":7,\"flops\":8000,\"seconds\":3.5}'\n");
    Tried tried = try_run(&run);
    assert_int_equal(tried.result, 0);
    assert_int_equal(tried.points.count, 2);
    const Point *first = &tried.points.points[0], *last = &tried.points.points[1];
    assert_int_equal(first->step, 1);
    assert_true(first->examples == 100 && first->flops == 2000 && first->seconds >= 0);
    assert_true(point_metric(first, "test_error") == 0.5 && point_metric(first, "train_loss") == 1.5);
    assert_true(point_metric(first, "params") == 32 && point_metric(last, "params") == 32);
    assert_true(last->examples == 7 && last->flops == 8000 && last->seconds == 3.5);
}

/* What is said at one point and not at the next does not fall between the two. */
static void test_what_is_said_once_is_not_undone(void **state) {
    (void)state;
    Run run = program_run(TOLD "echo '{\"step\":1,\"flops\":5000,\"examples\":300,\"seconds\":900}'\n" POINT(2) POINT(4));
    Tried tried = try_run(&run);
    if (tried.result)
        fail_msg("%s", tried.error.text);
    assert_int_equal(tried.points.count, 3);
    assert_true(tried.points.points[1].flops == 5000 && tried.points.points[2].flops == 8000);
}

/* Sizes that the sweep file states are no metric. */
static void test_sizes_of_the_sweep_file(void **state) {
    (void)state;
    Run run = sized_run(POINT(2) POINT(4));
    Tried tried = try_run(&run);
    assert_int_equal(tried.result, 0);
    assert_true(tried.points.points[0].flops == 1000 && tried.points.points[1].flops == 2000);
    assert_int_equal(tried.points.points[0].metric_count, 1);
}

static void test_arguments_and_environment(void **state) {
    (void)state;
    char expected[PATH_TEXT_MAX * 3];
    Run run = sized_run("echo \"$@\" > \"$SWEEPD_RUN_DIR/trace\"\n"
                        "echo \"$SWEEPD_SPEC|$SWEEPD_DATA|$SWEEPD_STEP|$OMP_NUM_THREADS|$(pwd)\" >> \"$SWEEPD_RUN_DIR/trace\"\n"
                        "cat >> \"$SWEEPD_RUN_DIR/trace\"\n" POINT(4));
    snprintf(run.program.command, sizeof run.program.command,
             "[\"sh\",\"%s\",\"{depth}\",\"--lr={lr}\",\"{{{seed}}}\",\"$HOME *\",\"{spec}\"]", scratch_path("script"));
    strcpy(run.data_name, "small");
    strcpy(run.data_digest, fixture_digest);
    strcpy(run.program.directory, "/");
    Tried tried = try_run(&run);
    if (tried.result)
        fail_msg("%s", tried.error.text);
    char *trace = read_file("trace");
    snprintf(expected, sizeof expected, "2 --lr=0.5 {3} $HOME * %s/spec.json\n%s/spec.json|%s/data/small-%s.pack|0|2|/\n", scratch_root,
             scratch_root, scratch_root, fixture_digest);
    assert_string_equal(trace, expected);
    free(trace);
}

static void test_data_by_path(void **state) {
    (void)state;
    char expected[PATH_TEXT_MAX];
    Run run = sized_run("echo \"$SWEEPD_DATA\" > \"$SWEEPD_RUN_DIR/trace\"\n" POINT(4));
    strcpy(run.data_name, "small");
    strcpy(run.data_digest, fixture_digest);
    snprintf(run.data_pack, sizeof run.data_pack, "%s/data/../data/small-%s.pack", scratch_root, fixture_digest);
    snprintf(expected, sizeof expected, "%s\n", run.data_pack);
    remove(scratch_path("checkpoint"));
    Tried tried = try_run(&run);
    if (tried.result)
        fail_msg("%s", tried.error.text);
    char *trace = read_file("trace");
    assert_string_equal(trace, expected);
    free(trace);
}

/* ---- how it ends ---- */

static void check_end(const Run *run, int result, const char *message) {
    remove(scratch_path("checkpoint"));
    Tried tried = try_run(run);
    if (tried.result != result || !strstr(tried.error.text, message))
        fail_msg("result %d, expected %d and \"%s\" in: %s", tried.result, result, message, tried.error.text);
}

static void check_script(const char *script, int result, const char *message) {
    Run run = sized_run(script);
    check_end(&run, result, message);
}

static void test_crashes(void **state) {
    (void)state;
    check_script(POINT(1) "echo first >&2; echo boom >&2; exit 3\n", -1, "the program ended at step 1 of 4: exit code 3: boom");
    check_script("kill -9 $$\n", -1, "ended at step 0 of 4: signal 9 (Killed)");
    check_script(POINT(3), -1, "ended at step 3 of 4: exit code 0, but it printed no point for the last step");
    check_script(POINT(4) "exit 1\n", -1, "exit code 1");
    check_script("exit 78\n", TRAIN_REFUSED, "exit code 78");
    char *log = read_file("log");
    assert_non_null(strstr(log, "first\nboom\n"));
    free(log);
}

/* Its last point does not make a run that failed a finished one. */
static void test_a_failure_after_the_last_point_stays_one(void **state) {
    (void)state;
    Run run = sized_run("echo \"from $SWEEPD_STEP\" >> trace\n" POINT(4) "[ -e well ] || exit 3\n");
    for (int i = 0; i < 2; i++) {
        Tried tried = try_run(&run);
        assert_int_equal(tried.result, -1);
        assert_non_null(strstr(tried.error.text, "exit code 3"));
        assert_int_equal(tried.points.count, i == 0);
    }
    scratch_write(scratch_path("well"), "", 0);
    Tried tried = try_run(&run);
    assert_int_equal(tried.result, 0);
    assert_int_equal(tried.points.count, 0);
    char *trace = read_file("trace");
    assert_string_equal(trace, "from 0\nfrom 4\nfrom 4\n");
    free(trace);
}

/* Else the machine would seem to hinder it, and it would be tried for ever. */
static void test_a_program_that_removes_its_directory_fails(void **state) {
    (void)state;
#define REMOVE "while [ -e \"$SWEEPD_RUN_DIR\" ]; do rm -rf \"$SWEEPD_RUN_DIR\"; done\n"
    static const char *const scripts[] = {POINT(1) REMOVE POINT(2) "sleep 1000\n", POINT(4) REMOVE};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        check_script(scripts[i], -1, "the program has removed its run's directory, ");
        assert_int_equal(mkdir(scratch_root, 0700), 0);
    }
}

static void test_memory_that_ran_out_is_told_by_words(void **state) {
    (void)state;
    Run run = sized_run("echo 'RuntimeError: CUDA out of memory' >&2; exit 1\n");
    Tried tried = try_run(&run);
    assert_true(tried.result == -1 && tried.error.memory);
    run = sized_run("exit 1\n");
    tried = try_run(&run);
    assert_true(tried.result == -1 && !tried.error.memory);
}

static void test_what_is_missing_is_refused(void **state) {
    (void)state;
    Run run = sized_run("");
    strcpy(run.program.command, "[\"no-such-program-anywhere\"]");
    check_end(&run, TRAIN_REFUSED, "no-such-program-anywhere: no such program along PATH");
    strcpy(run.program.command, "[\"./absent\"]");
    check_end(&run, TRAIN_REFUSED, "cannot start ./absent in ");
    run = sized_run(POINT(4));
    strcpy(run.program.directory, "/no/such/directory");
    check_end(&run, TRAIN_REFUSED, "/no/such/directory");
    run = sized_run(POINT(4));
    strcpy(run.data_name, "small");
    memset(run.data_digest, 'a', SHA256_HEX_MAX - 1);
    check_end(&run, TRAIN_REFUSED, "small");
    text_copy(run.data_pack, sizeof run.data_pack, scratch_path("no.pack"));
    check_end(&run, TRAIN_REFUSED, "no.pack: No such file");
}

static void test_a_loss_that_is_none_diverges(void **state) {
    (void)state;
    static const char *const values[] = {"NaN", "-Infinity", "null"};
    for (size_t i = 0; i < 3; i++) {
        char script[256];
        snprintf(script, sizeof script, "echo '{\"step\":2, \"train_loss\": %s, \"note_NaN\": 1}'\nsleep 1000\n", values[i]);
        Run run = sized_run(script);
        Tried tried = try_run(&run);
        assert_int_equal(tried.result, TRAIN_DIVERGED);
        assert_int_equal(tried.points.count, 1);
        assert_true(isnan(point_metric(&tried.points.points[0], "train_loss")) && point_metric(&tried.points.points[0], "note_NaN") == 1);
        remove_files();
    }
}

/* ---- lines that are none ---- */

static void test_wrong_lines_are_named(void **state) {
    (void)state;
    char many[1024] = "{\"step\":2";
    for (int i = 0; i <= POINT_METRICS_MAX; i++)
        snprintf(many + strlen(many), 16, ",\"m%d\":1", i);
    strcat(many, "}");
    const struct {
        const char *line, *message;
    } cases[] = {
        {"hello", "line 2 of the program's output: not JSON: "},
        {"", "line 2 of the program's output: not JSON: an empty line"},
        {"[1]", "line 2 of the program's output: expected a JSON object"},
        {"{\"step\":2,\"step\":3}", "line 2 of the program's output: not JSON: duplicate"},
        {"{\"test_error\":1}", "line 2 of the program's output: step: expected a whole number"},
        {"{\"step\":1.5}", "step: expected a whole number"},
        {"{\"step\":5}", "line 2 of the program's output: step: 5, but the run has 4 steps"},
        {"{\"step\":1}", "step: 1 after 1"},
        {"{\"step\":2,\"test_error\":\"low\"}", "test_error: expected a number, or null"},
        {"{\"step\":2,\"a b\":1}", "\"a b\": a metric's name has 1 to 63 letters"},
        {"{\"step\":2,\"params\":1}", "params: belongs into the first line"},
        {"{\"step\":2,\"flops\":2100}", "flops: 2100 at step 2 of 4, but the run's are 2000"},
        {"{\"step\":4,\"flops\":1000}", "flops: 1000 at step 4 of 4, but the run's are 2000"},
        {"{\"step\":2,\"flops\":-1}", "flops: expected a number of at least 0"},
        {"{\"step\":2,\"seconds\":null}", "seconds: expected a number of at least 0"},
        {"{\"step\":2,\"flops\":499}", "flops: 499 after 500"},
        {"{\"step\":2,\"examples\":9}'\necho '{\"step\":3,\"examples\":8}", "line 3 of the program's output: examples: 8 after 9"},
        {"{\"step\":2,\"seconds\":5}'\necho '{\"step\":3,\"seconds\":4}", "line 3 of the program's output: seconds: 4 after 5"},
        {many, "more than 72 metrics"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char script[2048];
        snprintf(script, sizeof script, POINT(1) "echo '%s'\nsleep 1000\n", cases[i].line);
        check_script(script, -1, cases[i].message);
    }
}

static void test_the_first_line_must_agree(void **state) {
    (void)state;
    check_script("echo '{\"params\":33}'\n", -1,
                 "line 1 of the program's output: params: 33, but the sweep file, or an earlier attempt, says 32");
    check_script("echo '{\"steps\":5}'\n", -1, "steps: 5, but the sweep file, or an earlier attempt, says 4");
    check_script("echo '{\"flops\":0}'\n", -1, "flops: 0; expected a number of at least 1");
    check_script("echo '{\"width\":5}'\n", -1, "no \"step\", and \"width\" is none of params, flops, steps");
    Run run = program_run(POINT(1));
    check_end(&run, -1, "line 1 of the program's output: flops: neither the sweep file nor the program's first line says how many");
    run = program_run("echo '{\"flops\":5}'\n" POINT(1));
    check_end(&run, -1, "line 2 of the program's output: params: neither");
}

/* ---- floods ---- */

static void test_floods_are_cut(void **state) {
    (void)state;
    check_script("yes\n", -1, "line 1 of the program's output: not JSON");
    check_script("yes '' \n", -1, "an empty line");
    check_script("head -c 1000000 /dev/zero | tr '\\0' x; sleep 1000\n", -1, "line 1 of the program's output: longer than 65535 bytes");
    remove_files();
    Run run = sized_run("head -c 20000000 /dev/zero | tr '\\0' e >&2\n" POINT(4));
    assert_int_equal(try_run(&run).result, 0);
    struct stat status;
    assert_int_equal(stat(scratch_path("log"), &status), 0);
    assert_in_range(status.st_size, 16 << 20, (16 << 20) + 200);
}

/* ---- hanging, and signals ---- */

static pid_t read_pid(const char *name) {
    char *text = read_file(name);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    free(text);
    return pid;
}

/* Or has ended and waits for whoever reaps in this place. */
static bool is_gone(pid_t pid) {
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return true;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'Z';
    fclose(file);
    return state == 'Z';
}

static bool ends_soon(pid_t pid) {
    assert_true(pid > 1);
    for (int i = 0; i < 500 && !is_gone(pid); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return is_gone(pid);
}

static void test_the_time_limit_ends_it(void **state) {
    (void)state;
    Run run = sized_run(POINT(1) "trap 'exit 0' TERM\nsleep 1000 & echo $! > trace\nwait\n");
    run.program.time_limit = 0.3;
    Tried tried = try_run(&run);
    assert_int_equal(tried.result, TRAIN_TIMEOUT);
    assert_string_equal(tried.error.text, "the program took longer than its 0.3 s");
    assert_true(tried.seconds >= 0.3);
    assert_int_equal(tried.points.count, 1);
    assert_true(ends_soon(read_pid("trace")));
}

/* It and what it started ignore SIGTERM: after five seconds they are killed. */
static void test_what_ignores_sigterm_is_killed(void **state) {
    (void)state;
    Run run = sized_run("trap '' TERM\n(trap '' TERM; sleep 1000) & echo $! > trace\nwhile :; do sleep 1000; done\n");
    run.program.time_limit = 0.2;
    Tried tried = try_run(&run);
    assert_int_equal(tried.result, TRAIN_TIMEOUT);
    assert_true(tried.seconds >= 5);
    assert_true(ends_soon(read_pid("trace")));
}

/* In a group of its own making, or in the worker's. */
static void test_what_left_its_group_is_ended(void **state) {
    (void)state;
    static const char script[] = "exec /usr/bin/python3 -c 'import os, time; os.setpgid(0, os.getpgid(os.getppid())); time.sleep(30)'\n";
    Run run = sized_run(script);
    run.program.time_limit = 0.5;
    Tried tried = try_run(&run);
    assert_int_equal(tried.result, TRAIN_TIMEOUT);
    assert_true(tried.seconds < 20);
}

/* What the program leaves behind neither holds the run up nor outlives it. */
static void test_nothing_is_left_behind(void **state) {
    (void)state;
    Run run = sized_run("sleep 1000 & echo $! > trace\n" POINT(4));
    Tried tried = try_run(&run);
    assert_int_equal(tried.result, 0);
    assert_true(ends_soon(read_pid("trace")));
}

/* ---- stopped and resumed ---- */

/* Writes its steps as it goes; asked to end, it says one more point. */
static const char stoppable[] =
    "trap 'echo \"{\\\"step\\\":3,\\\"test_error\\\":0.3}\"; exit 0' TERM\n"
    "echo \"from $SWEEPD_STEP\" >> trace\n"
    "echo '{\"params\":32,\"flops\":8000}'\n"
    "if [ $SWEEPD_STEP = 0 ]; then\n" POINT(1) POINT(2) "sleep 1000 & wait\nfi\n" POINT(1) POINT(2) POINT(3) POINT(4);

static void test_a_stopped_run_goes_on(void **state) {
    (void)state;
    Run run = program_run(stoppable);
    Tried first = try_run_to(&run, 2);
    assert_int_equal(first.result, TRAIN_STOPPED);
    assert_int_equal(first.points.count, 3);
    assert_int_equal(first.step, 3);
    Tried second = try_run(&run);
    if (second.result)
        fail_msg("%s", second.error.text);
    assert_int_equal(second.points.count, 1);
    assert_int_equal(second.points.points[0].step, 4);
    assert_true(second.points.points[0].flops == 8000 && second.points.points[0].seconds >= first.points.points[2].seconds);
    char *trace = read_file("trace");
    assert_string_equal(trace, "from 0\nfrom 3\n");
    free(trace);
    /* Its result was not delivered: it is at its end, and the program is not needed. */
    Tried third = try_run(&run);
    assert_int_equal(third.result, 0);
    assert_int_equal(third.step, 4);
    assert_int_equal(third.points.count, 0);
}

static void test_another_runs_checkpoint_is_refused(void **state) {
    (void)state;
    Run run = program_run(TOLD POINT(4));
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = scratch_root, .threads = 1};
    assert_int_equal(try_run(&run).result, 0);
    run.seed++;
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), 0);
    assert_int_equal(trainer->interface->load(trainer, scratch_path("checkpoint"), &error), TRAIN_REFUSED);
    assert_int_equal(trainer->step, 0);
    trainer_free(trainer);
}

/* How far the points have come, and what the program said: none of it may change. */
static void test_a_damaged_checkpoint_is_refused(void **state) {
    (void)state;
    Run run = program_run(TOLD POINT(4));
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = scratch_root, .threads = 1};
    assert_int_equal(try_run(&run).result, 0);
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), 0);
    size_t size;
    free(scratch_read(scratch_path("checkpoint"), &size));
    fixture_assert_protected(trainer, scratch_path("checkpoint"), 0, size);
    fixture_assert_unreadable(trainer, scratch_path("checkpoint"));
    assert_int_equal(trainer->step, 4);
    trainer_free(trainer);
}

/* A line of the most bytes that one may have is read; one more byte is too many. */
static void test_the_longest_line(void **state) {
    (void)state;
    char script[512];
    static const char fill[] = "{ printf '%%s' '%s'; head -c %d /dev/zero | tr '\\0' ' '; printf '\\n'; }\n" POINT(4);
    const char *point = "{\"step\":1,\"test_error\":1}";
    snprintf(script, sizeof script, fill, point, 65535 - (int)strlen(point));
    Run run = sized_run(script);
    Tried tried = try_run(&run);
    if (tried.result)
        fail_msg("%s", tried.error.text);
    assert_int_equal(tried.points.count, 2);
    remove_files();
    snprintf(script, sizeof script, fill, point, 65536 - (int)strlen(point));
    check_script(script, -1, "line 1 of the program's output: longer than 65535 bytes");
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_points_are_kept_with_what_they_leave_out),
        TEST(test_what_is_said_once_is_not_undone),
        TEST(test_sizes_of_the_sweep_file),
        TEST(test_arguments_and_environment),
        TEST(test_data_by_path),
        TEST(test_crashes),
        TEST(test_a_failure_after_the_last_point_stays_one),
        TEST(test_a_program_that_removes_its_directory_fails),
        TEST(test_memory_that_ran_out_is_told_by_words),
        TEST(test_what_is_missing_is_refused),
        TEST(test_a_loss_that_is_none_diverges),
        TEST(test_wrong_lines_are_named),
        TEST(test_the_first_line_must_agree),
        TEST(test_floods_are_cut),
        TEST(test_the_time_limit_ends_it),
        TEST(test_what_ignores_sigterm_is_killed),
        TEST(test_what_left_its_group_is_ended),
        TEST(test_nothing_is_left_behind),
        TEST(test_a_stopped_run_goes_on),
        TEST(test_another_runs_checkpoint_is_refused),
        TEST(test_a_damaged_checkpoint_is_refused),
        TEST(test_the_longest_line),
    };
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}

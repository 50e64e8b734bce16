/* Programs of the user's own through the real daemon and workers: the examples of docs/external-trainers.md as they stand there, and
 * programs that are stopped, killed, slow, or fail. */
#include "harness.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- the examples of the page ---- */

/* The indented lines after "<!-- file: NAME -->", without their indent, and with the site's directory in place of the page's. */
static void take_example(const char *name) {
    static const char place[] = "/home/me/study";
    char mark[64], directory[PATH_TEXT_MAX];
    const char *page = getenv("SWEEPD_PROTOCOL");
    Buffer text, out;
    buffer_init(&text, 1 << 20);
    buffer_init(&out, 1 << 16);
    snprintf(mark, sizeof mark, "<!-- file: %s -->\n\n", name);
    site_path(directory, "");
    directory[strlen(directory) - 1] = '\0';
    assert_non_null(page);
    assert_int_equal(file_read(page, text.max, &text, NULL), 0);
    const char *at = strstr(text.data, mark);
    assert_non_null(at);
    for (at += strlen(mark); strncmp(at, "    ", 4) == 0; at = strchr(at, '\n') + 1) {
        const char *line = at + 4, *end = strchr(at, '\n'), *found = strstr(line, place);
        if (found && found < end) {
            buffer_append(&out, line, (size_t)(found - line));
            buffer_append_text(&out, directory);
            line = found + strlen(place);
        }
        buffer_append(&out, line, (size_t)(end + 1 - line));
    }
    assert_true(out.size > 0);
    site_write(name, out.data);
    buffer_deinit(&text);
    buffer_deinit(&out);
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Every run of the examples: their law, 6 P N FLOPs, four points. */
static void check_runs(const char *sweep, size_t count, double precision) {
    size_t index;
    json_t *run, *runs = site_runs(sweep);
    assert_int_equal(json_array_size(runs), count);
    json_array_foreach(runs, index, run) {
        double params = number(run, "depth") * number(run, "width") * number(run, "width"), examples = number(run, "examples");
        const json_t *last = json_object_get(run, "last");
        assert_string_equal(json_string_value(json_object_get(run, "state")), "done");
        assert_true(number(run, "params") == params);
        assert_true(number(json_object_get(run, "flops"), "exact") == 6 * params * examples);
        assert_true(number(last, "step") == 4 && number(last, "flops") == 6 * params * examples && number(last, "examples") == examples);
        double error = number(json_object_get(last, "metrics"), "test_error");
        assert_true(fabs(error / (0.05 + 2 * pow(params, -0.4) + 4 * pow(examples, -0.5)) - 1) < precision);
    }
    json_decref(runs);
}

static void test_the_python_example(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    take_example("train.py");
    take_example("mine.yaml");
    site_path(path, "mine.yaml");
    json_t *plan = site_json("sweepctl", "plan", path, "--json", NULL);
    assert_true(number(json_object_get(plan, "flops"), "exact") == 0); /* not told yet */
    json_decref(plan);
    site_expect(0, "sweepctl", "run", path, "--workers", "2", "--no-plot", NULL);
    check_runs("mine", 48, 1e-12);
    json_t *fit = site_json("sweepctl", "fit", "mine", "--method", "parametric", "--json", NULL);
    assert_true(fabs(number(fit, "alpha") / 0.4 - 1) < 1e-2 && fabs(number(fit, "beta") / 0.5 - 1) < 1e-2);
    json_decref(fit);
    Output refused = site_run("sweepctl", "fit", "mine", "--flops", "paper", NULL);
    assert_int_equal(refused.code, 1);
    assert_non_null(strstr(refused.err, "FLOPs are not known by this count"));
    output_free(&refused);
}

static void test_the_shell_example(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    take_example("train.sh");
    take_example("shell.yaml");
    site_path(path, "shell.yaml");
    json_t *plan = site_json("sweepctl", "plan", path, "--json", NULL);
    assert_true(number(json_object_get(plan, "flops"), "exact") == 6.0 * (64 + 256 + 1024) * 5500);
    json_decref(plan);
    Output ran = site_run("sweepctl", "run", path, "--workers", "2", "--no-plot", NULL); /* six runs are too few for a fit, which says so */
    output_free(&ran);
    check_runs("shell", 6, 1e-4);
}

/* ---- one run, disturbed ---- */

static const char disturbed[] = "version: 1\n"
                                "name: one\n"
                                "data: {inputs: 4, classes: 2, examples: 100}\n"
                                "model: {name: toy}\n"
                                "trainer: {kind: external, command: [sh, %s, \"%s\"], params: 5, flops: 100, steps: 10%s}\n"
                                "grid: {depth: 1, width: 8, examples: 100}\n"
                                "train: {epochs: 1, batch: 10, optimizer: {name: sgd, lr: 0.1}}\n";

static void submit_one(const char *script, const char *more) {
    char text[2 * PATH_TEXT_MAX + 1024], program[PATH_TEXT_MAX], directory[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
    site_write("program.sh", script);
    site_path(program, "program.sh");
    site_path(directory, "");
    snprintf(text, sizeof text, disturbed, program, directory, more);
    site_write("one.yaml", text);
    site_path(path, "one.yaml");
    site_expect(0, "sweepctl", "submit", path, NULL);
}

/* Half its steps; at each one more it waits for the file "go" of the site. */
static const char waiting[] = "echo $$ >> pids\n"
                              "trap 'echo stopped >> trace; exit 0' TERM\n"
                              "echo \"from $SWEEPD_STEP\" >> trace\n"
                              "step=$SWEEPD_STEP\n"
                              "while [ $step -lt 10 ]; do\n"
                              "    step=$((step + 1))\n"
                              "    echo \"{\\\"step\\\": $step, \\\"test_error\\\": 0.$step}\"\n"
                              "    while [ $step -ge 5 ] && [ ! -e \"$1/go\" ]; do sleep 0.02; done\n"
                              "done\n";

static size_t point_count(void) {
    json_t *run = site_show(1);
    size_t count = json_array_size(json_object_get(run, "points"));
    json_decref(run);
    return count;
}

static bool is_half_way(void *context) {
    (void)context;
    return point_count() == 5;
}

static bool is_done(void *context) {
    const char *state = context;
    return site_count("one", state) == 1;
}

static void check_text(const char *name, const char *expected) {
    char path[PATH_TEXT_MAX];
    Buffer text;
    buffer_init(&text, 1 << 16);
    site_run_path(path, 1, name);
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    assert_string_equal(text.data, expected);
    buffer_deinit(&text);
}

/* The first pid that the program wrote. */
static pid_t program_pid(void) {
    char path[PATH_TEXT_MAX];
    Buffer text;
    buffer_init(&text, 1 << 16);
    site_run_path(path, 1, "pids");
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    pid_t pid = (pid_t)strtol(text.data, NULL, 10);
    buffer_deinit(&text);
    return pid;
}

static bool program_is_gone(void *context) {
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)*(pid_t *)context);
    FILE *file = fopen(path, "r");
    if (!file)
        return true;
    const char *state = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    return !state || state[2] == 'Z';
}

/* Points are kept once, each; the program went on where they ended. */
static void disturb(int number, const char *outcomes, const char *trace) {
    char had[128];
    site_start_daemon("1", NULL);
    submit_one(waiting, "");
    site_until(is_half_way, NULL, "half of the points are there");
    pid_t program = program_pid(), worker = site_worker_of(1);
    assert_true(program > 1 && worker > 1);
    assert_int_equal(kill(worker, number), 0);
    site_until(program_is_gone, &program, "the program is gone");
    site_write("go", "");
    site_until(is_done, "done", "the run is done");
    site_outcomes(1, had, sizeof had);
    assert_string_equal(had, outcomes);
    assert_int_equal(point_count(), 10);
    check_text("trace", trace);
}

static void test_a_worker_that_leaves_takes_its_program_along(void **state) {
    (void)state;
    disturb(SIGTERM, "preempted,ok", "from 0\nstopped\nfrom 5\n");
}

static void test_a_worker_that_is_killed_leaves_no_program(void **state) {
    (void)state;
    disturb(SIGKILL, "crashed,ok", "from 0\nfrom 5\n");
}

/* One in the program's group, and one in a session of its own. */
static const char starting[] = "sleep 1000 & echo $! >> pids; setsid sleep 1000 & echo $! >> pids\n";

static void take_all_along(int number, const char *more) {
    char script[sizeof starting + sizeof waiting], path[PATH_TEXT_MAX];
    long pids[3];
    Buffer text;
    snprintf(script, sizeof script, "%s%s", starting, waiting);
    site_start_daemon("1", NULL);
    submit_one(script, more);
    site_until(is_half_way, NULL, "half of the points are there");
    buffer_init(&text, 1 << 16);
    site_run_path(path, 1, "pids");
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    assert_int_equal(sscanf(text.data, "%ld %ld %ld", &pids[0], &pids[1], &pids[2]), 3);
    buffer_deinit(&text);
    if (number)
        assert_int_equal(kill(site_worker_of(1), number), 0);
    for (int i = 0; i < 3; i++)
        site_until(program_is_gone, &(pid_t){(pid_t)pids[i]}, "the program and its children are gone");
}

static void test_a_killed_worker_leaves_nothing_of_its_program(void **state) {
    (void)state;
    take_all_along(SIGKILL, "");
}

static void test_a_stopped_worker_leaves_nothing_of_its_program(void **state) {
    (void)state;
    take_all_along(SIGTERM, "");
}

static void test_out_of_time_nothing_is_left(void **state) {
    (void)state;
    take_all_along(0, ", time_limit: 3");
}

static void test_failures_end_it(void **state) {
    (void)state;
    char had[128];
    site_start_daemon("1", NULL);
    submit_one("echo '{\"step\":2}'; echo 'no such thing' >&2; exit 4\n", "");
    site_until(is_done, "failed", "the run has failed");
    site_outcomes(1, had, sizeof had);
    assert_string_equal(had, "crashed,crashed,crashed");
    json_t *run = site_show(1);
    assert_string_equal(json_string_value(json_object_get(json_object_get(run, "record"), "detail")),
                        "the program ended at step 2 of 10: exit code 4: no such thing");
    json_decref(run);
    Output log = site_run("sweepctl", "logs", "1", NULL);
    assert_non_null(strstr(log.out, "no such thing"));
    output_free(&log);
}

static void test_a_log_is_followed_to_its_end(void **state) {
    (void)state;
    site_start_daemon("1", NULL);
    submit_one("for i in 1 2 3 4; do echo \"said $i\" >&2; sleep 0.4; done; echo '{\"step\":10}'\n", "");
    Output log = site_run("sweepctl", "logs", "1", "--follow", NULL);
    assert_int_equal(log.code, 0);
    const char *first = strstr(log.out, "said 1\n"), *last = strstr(log.out, "said 4\n");
    assert_true(first && last && first < last && !strstr(last + 1, "said"));
    output_free(&log);
    site_until(is_done, "done", "the run is done");
}

/* A limit that was too short is no part of the key: with another the same run is tried again, and goes on where it was. */
static void test_time_limits_count_and_can_be_moved(void **state) {
    (void)state;
    char had[128];
    site_start_daemon("1", NULL);
    submit_one(waiting, ", time_limit: 0.5");
    site_until(is_done, "failed", "the run has failed");
    site_outcomes(1, had, sizeof had);
    assert_string_equal(had, "timeout,timeout,timeout");
    site_write("go", "");
    submit_one(waiting, ", time_limit: 600");
    site_expect(0, "sweepctl", "retry", "one", NULL);
    site_until(is_done, "done", "the run is done");
    assert_int_equal(point_count(), 10);
}

static void test_what_cannot_start_is_refused(void **state) {
    (void)state;
    char had[128];
    site_start_daemon("1", NULL);
    submit_one("", ", directory: /no/such/place");
    site_until(is_done, "failed", "the run has failed");
    site_outcomes(1, had, sizeof had);
    assert_string_equal(had, "refused");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_the_python_example),
        CASE(test_the_shell_example),
        CASE(test_a_worker_that_leaves_takes_its_program_along),
        CASE(test_a_worker_that_is_killed_leaves_no_program),
        CASE(test_a_killed_worker_leaves_nothing_of_its_program),
        CASE(test_a_stopped_worker_leaves_nothing_of_its_program),
        CASE(test_out_of_time_nothing_is_left),
        CASE(test_failures_end_it),
        CASE(test_time_limits_count_and_can_be_moved),
        CASE(test_a_log_is_followed_to_its_end),
        CASE(test_what_cannot_start_is_refused),
    };
    return cmocka_run_group_tests_name("external", tests, NULL, NULL);
}

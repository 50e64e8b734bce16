/* What the runs of an external program are given of a machine: GPUs and cores of their own. The GPUs are numbers alone: no test needs any.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>

static const char sweep_format[] = "version: 1\n"
                                   "name: taken\n"
                                   "data: {inputs: 4, classes: 2, examples: 100}\n"
                                   "model: {name: toy}\n"
                                   "trainer: {kind: external, command: [sh, %s, \"%s\", \"{gpus}\"], params: 5, flops: 100, steps: 1}\n"
                                   "resources: {cpus: 1, memory: 1e6%s}\n"
                                   "grid: {depth: 1, width: [1, 2, 3, 4], examples: 100}\n"
                                   "train: {epochs: 1, batch: 100, optimizer: {name: sgd, lr: 0.1}}\n";

/* Fails when another run has the same devices; waits for so many at once, or for the file `go`. */
static const char taking[] = "[ \"$CUDA_VISIBLE_DEVICES\" = \"$2\" ] && [ \"$SWEEPD_GPUS\" = \"$2\" ] || exit 3\n"
                             "echo \"$CUDA_VISIBLE_DEVICES\" >> \"$1/had\"\n"
                             "mkdir \"$1/gpu-$2\" || exit 4\n"
                             "while [ ! -e \"$1/go\" ]; do sleep 0.02; done\n"
                             "sleep 0.1\n"
                             "rmdir \"$1/gpu-$2\"\n"
                             "echo '{\"step\": 1, \"test_error\": 0.5}'\n";

static void submit(const char *script, const char *resources) {
    char text[2 * PATH_TEXT_MAX + 1024], program[PATH_TEXT_MAX], directory[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
    site_write("program.sh", script);
    site_path(program, "program.sh");
    site_path(directory, "");
    directory[strlen(directory) - 1] = '\0';
    snprintf(text, sizeof text, sweep_format, program, directory, resources);
    site_write("taken.yaml", text);
    site_path(path, "taken.yaml");
    site_expect(0, "sweepctl", "submit", path, NULL);
}

static void start_daemon(const char *gpus) {
    site_start("sweepd", "--home", site_home(), "--workers", "4", "--cores", "4", "--gpus", gpus, NULL);
    site_await_daemon();
}

static bool two_run(void *context) {
    (void)context;
    return site_count("taken", "running") == 2;
}

static bool one_runs(void *context) {
    (void)context;
    return site_count("taken", "running") == 1;
}

static bool all_done(void *context) {
    (void)context;
    return site_count("taken", "done") + site_count("taken", "failed") == 4;
}

/* How many lines of the file `had` are this one. */
static size_t count_lines(const char *line) {
    char path[PATH_TEXT_MAX];
    size_t count = 0;
    Buffer text;
    buffer_init(&text, 1 << 16);
    site_path(path, "had");
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    for (const char *at = text.data; *at; at = strchr(at, '\n') + 1)
        count += strcspn(at, "\n") == strlen(line) && !strncmp(at, line, strlen(line));
    buffer_deinit(&text);
    return count;
}

static void test_each_run_has_a_gpu_of_its_own(void **state) {
    (void)state;
    start_daemon("3,5");
    submit(taking, ", gpus: 1");
    site_until(two_run, NULL, "two runs are under way");
    json_t *shown = site_show(4);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(shown, "record"), "gpus")), 1);
    json_decref(shown);
    site_write("go", "");
    site_until(all_done, NULL, "all runs are over");
    assert_int_equal(site_count("taken", "done"), 4);
    assert_int_equal(count_lines("3") + count_lines("5"), 4);
    assert_true(count_lines("3") > 0 && count_lines("5") > 0);
}

static void test_with_one_gpu_runs_take_turns(void **state) {
    (void)state;
    start_daemon("1");
    submit(taking, ", gpus: 1");
    site_until(one_runs, NULL, "a run is under way");
    json_t *sweep = site_json("sweepctl", "status", "taken", "--json", NULL);
    char *text = json_dumps(sweep, 0);
    assert_non_null(strstr(text, "needs 1 GPU; 0 GPUs of the 1 GPU of this machine are free until run"));
    free(text);
    json_decref(sweep);
    site_write("go", "");
    site_until(all_done, NULL, "all runs are over");
    assert_int_equal(site_count("taken", "done"), 4);
    assert_int_equal(count_lines("0"), 4);
}

static void test_too_few_gpus_are_told_of(void **state) {
    (void)state;
    start_daemon("1");
    submit(taking, ", gpus: 2");
    Output waited = site_run("sweepctl", "wait", "taken", NULL);
    assert_int_equal(waited.code, 3);
    assert_non_null(strstr(waited.err, "needs 2 GPUs, more than the 1 GPU of this machine"));
    output_free(&waited);
    submit("[ -z \"$CUDA_VISIBLE_DEVICES\" ] && [ \"${CUDA_VISIBLE_DEVICES+set}\" ] && echo '{\"step\": 1, \"test_error\": 0.5}'\n", "");
    site_until(all_done, NULL, "the same runs, which now want none, are over");
    assert_int_equal(site_count("taken", "done"), 4);
}

/* Each run says how many cores it may use, and which; both wait for the other. */
static const char looking[] = "sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status >> \"$1/had\"\n"
                              "while [ ! -e \"$1/go\" ]; do sleep 0.02; done\n"
                              "echo '{\"step\": 1, \"test_error\": 0.5}'\n";

static bool two_have_looked(void *context) {
    (void)context;
    char path[PATH_TEXT_MAX];
    size_t lines = 0;
    Buffer text;
    buffer_init(&text, 1 << 16);
    site_path(path, "had");
    if (file_read(path, text.max, &text, NULL) == 0)
        for (const char *at = strchr(text.data, '\n'); at; at = strchr(at + 1, '\n'))
            lines++;
    buffer_deinit(&text);
    return lines >= 2;
}

static void test_each_run_has_cores_of_its_own(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    Machine machine;
    machine_read(&machine);
    if (machine.cores < 2)
        skip();
    setenv("SWEEPD_CORE_LOCKS", strrchr(site_home(), '-'), 1); /* other tests' workers are of another machine */
    site_start("sweepd", "--home", site_home(), "--workers", "2", "--cores", "2", NULL);
    site_await_daemon();
    unsetenv("SWEEPD_CORE_LOCKS");
    submit(looking, "");
    site_until(two_have_looked, NULL, "two runs have told their cores");
    Buffer text;
    buffer_init(&text, 1 << 16);
    site_path(path, "had");
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    int first = -1, second = -1, size = -1;
    assert_int_equal(sscanf(text.data, "%d %d%n", &first, &second, &size), 2);
    assert_int_equal(size, text.size - 1); /* single numbers, no ranges */
    assert_int_not_equal(first, second);
    buffer_deinit(&text);
    site_write("go", "");
    site_until(all_done, NULL, "all runs are over");
    assert_int_equal(site_count("taken", "done"), 4);
}

static void test_workers_that_pin_nothing(void **state) {
    (void)state;
    site_start("sweepd", "--home", site_home(), "--workers", "2", "--no-pin", NULL);
    site_await_daemon();
    submit(looking, "");
    site_write("go", "");
    site_until(all_done, NULL, "all runs are over");
    assert_int_equal(site_count("taken", "done"), 4);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_each_run_has_a_gpu_of_its_own), CASE(test_with_one_gpu_runs_take_turns), CASE(test_too_few_gpus_are_told_of),
        CASE(test_each_run_has_cores_of_its_own), CASE(test_workers_that_pin_nothing),
    };
    return cmocka_run_group_tests_name("resources", tests, NULL, NULL);
}

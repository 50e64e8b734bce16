/* A study from the command line to its figures; sweeps that share runs; Ctrl-C and going on. */
#include "harness.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char study[] = "version: 1\n"
                            "name: study\n"
                            "data:  {name: fashion-mnist, validation: 1000}\n"
                            "model: {kind: bmlp, expansion: 2}\n"
                            "grid:\n"
                            "  depth: [1]\n"
                            "  width: [2, 4, 8, 16]\n"
                            "  examples: {from: 250, to: 4000, points: 4}\n"
                            "  seed: [0]\n"
                            "train:\n"
                            "  epochs: 4\n"
                            "  batch: 64\n"
                            "  optimizer: {name: adamw, lr: 3.0e-3}\n"
                            "fit: {metric: test_loss, methods: [parametric, isoflop], bootstrap: 20}\n";

/* Files of this kind that have something in them: an empty picture has a few hundred bytes. */
static size_t count_files(const char *directory, const char *suffix) {
    size_t count = 0;
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
        size_t length = strlen(entry->d_name), end = strlen(suffix);
        struct stat status;
        assert_int_equal(fstatat(dirfd(entries), entry->d_name, &status, 0), 0);
        count += length > end && !strcmp(entry->d_name + length - end, suffix) && status.st_size > 4096;
    }
    closedir(entries);
    return count;
}

static void assert_attempts(const char *sweep, int64_t each) {
    size_t index;
    json_t *run, *runs = site_runs(sweep);
    json_array_foreach(runs, index, run) assert_int_equal(json_integer_value(json_object_get(run, "attempts")), each);
    json_decref(runs);
}

static void test_run_to_fit_and_figures(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX], out[PATH_TEXT_MAX];
    site_write("study.yaml", study);
    site_path(file, "study.yaml");
    site_path(out, "figures");
    Output first = site_run("sweepctl", "run", file, "--workers", "2", "--out", out, NULL);
    if (first.code)
        fail_msg("exit code %d\n%s%s", first.code, first.out, first.err);
    assert_non_null(strstr(first.out, "0.35")); /* the paper's exponents stand beside the fitted ones */
    assert_non_null(strstr(first.out, ".png"));
    output_free(&first);
    assert_int_equal(count_files(out, ".png"), 3);
    assert_int_equal(count_files(out, ".svg"), 3);
    site_expect(4, "sweepctl", "daemon", "status", NULL); /* what it started, it stopped */
    assert_int_equal(site_count("study", "done"), 16);    /* read with no daemon */
    assert_attempts("study", 1);
    site_expect(0, "sweepctl", "run", file, "--no-plot", NULL);
    assert_attempts("study", 1); /* a second run trains nothing */
    json_decref(site_json("sweepctl", "fit", "study", "--json", NULL));
}

static void assert_submitted(const char *file, int64_t runs, int64_t added, int64_t shared) {
    json_t *answer = site_json("sweepctl", "submit", file, "--json", NULL), *submitted = json_object_get(answer, "submitted");
    assert_int_equal(json_integer_value(json_object_get(submitted, "runs")), runs);
    assert_int_equal(json_integer_value(json_object_get(submitted, "added")), added);
    assert_int_equal(json_integer_value(json_object_get(submitted, "shared")), shared);
    json_decref(answer);
}

static void test_shared_runs_run_once(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX];
    site_write_sweep("shared.yaml", "shared", "[4, 8]", 500, 3);
    site_path(file, "shared.yaml");
    site_start_daemon("0", NULL); /* nothing runs between the submits */
    assert_submitted(file, 2, 2, 0);
    assert_submitted(file, 2, 0, 2);
    site_start_worker("by-hand");
    site_expect(0, "sweepctl", "wait", "shared", "--timeout", "100", NULL);
    site_write_sweep("shared.yaml", "shared", "[4, 8, 16]", 500, 3);
    assert_submitted(file, 3, 1, 2);
    site_start_worker("by-hand-again");
    site_expect(0, "sweepctl", "wait", "shared", "--timeout", "100", NULL);
    assert_int_equal(site_count("shared", "done"), 3);
    assert_attempts("shared", 1);
}

static bool is_running(void *context) {
    Output output = site_run("sweepctl", "status", context, "--json", NULL);
    json_t *tree = json_loads(output.out, 0, NULL);
    json_int_t running = json_integer_value(json_object_get(json_object_get(json_object_get(tree, "sweep"), "by_state"), "running"));
    json_decref(tree);
    output_free(&output);
    return running > 0;
}

static void test_interrupted_and_gone_on(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX], outcomes[128];
    site_write_sweep("long.yaml", "long", "[32]", 2000, 120);
    site_path(file, "long.yaml");
    pid_t pid = site_start("sweepctl", "run", file, "--workers", "1", "--no-plot", NULL);
    site_until(is_running, "long", "a run is running");
    int64_t run_id = site_run_of_width("long", 32);
    pid_t worker = site_freeze(run_id);
    assert_int_equal(kill(pid, SIGINT), 0);
    site_thaw(worker, SIGCONT);
    assert_int_not_equal(site_wait(pid), 0);
    site_expect(4, "sweepctl", "daemon", "status", NULL);
    site_outcomes(run_id, outcomes, sizeof outcomes);
    assert_string_equal(outcomes, "preempted");
    Output again = site_run("sweepctl", "run", file, "--workers", "1", "--no-plot", NULL);
    assert_true(again.code == 0 || again.code == 1); /* one run cannot carry a fit, which may be an error */
    output_free(&again);
    site_outcomes(run_id, outcomes, sizeof outcomes);
    assert_string_equal(outcomes, "preempted,ok");
    site_assert_as_undisturbed(run_id);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {CASE(test_run_to_fit_and_figures), CASE(test_shared_runs_run_once),
                                       CASE(test_interrupted_and_gone_on)};
    return cmocka_run_group_tests_name("study", tests, NULL, NULL);
}

#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

json_t *site_runs(const char *sweep) {
    json_t *answer = site_json("sweepctl", "runs", sweep, "--json", NULL);
    json_t *runs = json_incref(json_object_get(answer, "runs"));
    assert_true(json_is_array(runs));
    json_decref(answer);
    return runs;
}

json_t *site_show(int64_t run_id) {
    char id[32];
    snprintf(id, sizeof id, "%lld", (long long)run_id);
    json_t *answer = site_json("sweepctl", "show", id, "--json", NULL);
    json_t *run = json_incref(json_object_get(answer, "run"));
    assert_true(json_is_object(run));
    json_decref(answer);
    return run;
}

int64_t site_count(const char *sweep, const char *state) {
    json_t *answer = site_json("sweepctl", "status", sweep, "--json", NULL);
    json_t *count = json_object_get(json_object_get(json_object_get(answer, "sweep"), "by_state"), state);
    assert_true(json_is_integer(count));
    int64_t value = json_integer_value(count);
    json_decref(answer);
    return value;
}

int64_t site_run_of_width(const char *sweep, int64_t width) {
    int64_t id = 0;
    size_t index;
    json_t *run, *runs = site_runs(sweep);
    json_array_foreach(runs, index, run) {
        if (json_integer_value(json_object_get(run, "width")) == width)
            id = json_integer_value(json_object_get(run, "id"));
    }
    json_decref(runs);
    return id;
}

pid_t site_worker_of(int64_t run_id) {
    pid_t pid = 0;
    size_t index;
    json_t *attempt, *run = site_show(run_id);
    json_array_foreach(json_object_get(run, "attempts"), index, attempt) {
        if (!strcmp(json_string_value(json_object_get(attempt, "outcome")), "open"))
            pid = (pid_t)json_integer_value(json_object_get(json_object_get(attempt, "environment"), "pid"));
    }
    json_decref(run);
    return pid;
}

void site_run_path(char out[PATH_TEXT_MAX], int64_t run_id, const char *name) {
    json_t *run = site_show(run_id);
    const char *key = json_string_value(json_object_get(json_object_get(run, "record"), "key"));
    assert_non_null(key);
    assert_int_equal(path_format(out, NULL, "%s/runs/%.2s/%s/%s", site_home(), key, key, name), 0);
    json_decref(run);
}

bool site_has_checkpoint(int64_t run_id) {
    char path[PATH_TEXT_MAX];
    site_run_path(path, run_id, "checkpoint.safetensors");
    return file_exists(path);
}

void site_outcomes(int64_t run_id, char *out, size_t capacity) {
    size_t index, used = 0;
    json_t *attempt, *run = site_show(run_id);
    *out = '\0';
    json_array_foreach(json_object_get(run, "attempts"), index, attempt) {
        used +=
            (size_t)snprintf(out + used, capacity - used, "%s%s", index ? "," : "", json_string_value(json_object_get(attempt, "outcome")));
        assert_true(used < capacity);
    }
    json_decref(run);
}

/* ---- a run under way ---- */

static bool freeze(void *context) {
    int64_t run_id = *(int64_t *)context;
    pid_t pid = site_worker_of(run_id);
    if (pid <= 0 || kill(pid, SIGSTOP))
        return false;
    if (site_has_checkpoint(run_id))
        return true;
    kill(pid, SIGCONT);
    return false;
}

pid_t site_freeze(int64_t run_id) {
    site_until(freeze, &run_id, "the run is under way and has a checkpoint");
    pid_t pid = site_worker_of(run_id);
    assert_true(pid > 0);
    return pid;
}

void site_thaw(pid_t pid, int number) {
    assert_int_equal(kill(pid, number), 0);
    assert_int_equal(kill(pid, SIGCONT), 0);
}

/* ---- undisturbed ---- */

static json_t *metrics_of(const json_t *point) {
    json_t *metrics = json_object_get(point, "metrics");
    assert_true(json_is_object(metrics) && json_object_size(metrics) > 0);
    return metrics;
}

static void assert_same_lines(const char *path, const json_t *points) {
    Buffer text;
    buffer_init(&text, 1 << 20);
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    size_t index = 0;
    char *rest = text.data;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n"), index++) {
        json_t *expected = json_loads(line, 0, NULL), *found = json_array_get(points, index);
        assert_non_null(expected);
        assert_int_equal(json_integer_value(json_object_get(found, "step")), json_integer_value(json_object_get(expected, "step")));
        assert_true(json_equal(metrics_of(found), metrics_of(expected)));
        json_decref(expected);
    }
    assert_true(index > 1);
    assert_int_equal(json_array_size(points), index);
    buffer_deinit(&text);
}

void site_assert_as_undisturbed(int64_t run_id) {
    char id[32], spec[PATH_TEXT_MAX], out[PATH_TEXT_MAX], points[PATH_TEXT_MAX], name[64];
    snprintf(id, sizeof id, "%lld", (long long)run_id);
    snprintf(name, sizeof name, "undisturbed-%s", id);
    site_path(out, name);
    assert_int_equal(path_format(points, NULL, "%s/points.jsonl", out), 0);
    Output shown = site_run("sweepctl", "show", id, "--spec", NULL);
    assert_int_equal(shown.code, 0);
    snprintf(name, sizeof name, "undisturbed-%s.json", id);
    site_write(name, shown.out);
    output_free(&shown);
    site_path(spec, name);
    site_expect(0, "sweep-worker", "train", spec, "--out", out, "--home", site_home(), NULL);
    json_t *run = site_show(run_id);
    assert_same_lines(points, json_object_get(run, "points"));
    json_decref(run);
}

#include "rate.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 16 };

static const double measure_seconds = 20; /* until the worker is given up */

/* What sweep-worker evaluates to find its examples per second. */
static const Architecture rate_evaluation_model = {
    .kind = MODEL_BMLP, .inputs = 784, .classes = 10, .depth = 2, .width = 32, .expansion = 4};
/* A data set that the program does not know by name is taken to have a test set of this share of its training examples. */
static const double test_share = 1.0 / 6;
static const double evaluated_training_examples = 10000; /* at most */

extern char **environ;

/* ---- reading ---- */

static int parse_rates(Rate *out, const json_t *root, Error *error) {
    const json_t *rates = json_object_get(root, "rates");
    size_t count = json_array_size(rates);
    if (count == 0 || count > RATE_WIDTHS_MAX)
        return error_set(error, "rates: must be a list of 1 to %d", RATE_WIDTHS_MAX);
    for (size_t i = 0; i < count; i++) {
        out->widths[i] = json_number_value(json_object_get(json_array_get(rates, i), "width"));
        out->flops_per_second[i] = json_number_value(json_object_get(json_array_get(rates, i), "flops_per_second"));
        if (!(out->widths[i] > (i ? out->widths[i - 1] : 0)) || !(out->flops_per_second[i] > 0))
            return error_set(error, "rates[%zu]: widths must ascend and flops_per_second be positive", i);
    }
    out->count = count;
    out->evaluation_examples_per_second = json_number_value(json_object_get(root, "evaluation_examples_per_second"));
    if (!(out->evaluation_examples_per_second > 0))
        return error_set(error, "evaluation_examples_per_second: must be positive");
    return 0;
}

int rate_parse(Rate *out, const char *json, size_t size, Error *error) {
    json_error_t problem;
    json_t *root = json_loadb(json, size, 0, &problem);
    *out = (Rate){0};
    int result = root ? parse_rates(out, root, error) : error_set(error, "line %d: %s", problem.line, problem.text);
    json_decref(root);
    return result;
}

/* ---- the cache ---- */

/* Whatever is wrong with the file, measuring again mends it. */
static bool cache_read(Rate *out, const char *path, const Machine *machine) {
    Buffer text;
    Error ignored = {0};
    bool right = false;
    buffer_init(&text, ANSWER_MAX);
    if (file_exists(path) && file_read(path, ANSWER_MAX, &text, &ignored) == 0) {
        json_t *root = json_loadb(text.data, text.size, 0, NULL);
        const char *cpu = json_string_value(json_object_get(root, "cpu"));
        const char *version = json_string_value(json_object_get(root, "version"));
        const char *commit = json_string_value(json_object_get(root, "commit"));
        right = cpu && version && commit && !strcmp(cpu, machine->cpu) && !strcmp(version, version_text()) &&
                !strcmp(commit, version_commit()) && parse_rates(out, root, &ignored) == 0;
        json_decref(root);
    }
    buffer_deinit(&text);
    return right;
}

/* A home that cannot be written costs the next plan another measurement, no more. */
static void cache_write(const Rate *rate, const char *home, const char *path, const Machine *machine) {
    Buffer text;
    Error ignored = {0};
    buffer_init(&text, ANSWER_MAX);
    buffer_append_text(&text, "{\"schema_version\":1,\"cpu\":");
    buffer_append_json(&text, machine->cpu);
    buffer_printf(&text, ",\"version\":\"%s\",\"commit\":\"%s\",\"rates\":[", version_text(), version_commit());
    for (size_t i = 0; i < rate->count; i++) {
        buffer_printf(&text, "%s{\"width\":%.0f,\"flops_per_second\":", i ? "," : "", rate->widths[i]);
        buffer_append_double(&text, rate->flops_per_second[i]);
        buffer_append_text(&text, "}");
    }
    buffer_append_text(&text, "],\"evaluation_examples_per_second\":");
    buffer_append_double(&text, rate->evaluation_examples_per_second);
    buffer_append_text(&text, "}\n");
    if (!text.failed && directory_make(home, 0700, &ignored) == 0)
        (void)file_write_atomic(path, text.data, text.size, 0600, &ignored);
    buffer_deinit(&text);
}

/* ---- measuring ---- */

static int spawn_worker(pid_t *pid, int *output, Error *error) {
    char program[PATH_TEXT_MAX], name[] = "sweep-worker", verb[] = "rate", json[] = "--json";
    char *arguments[] = {name, verb, json, NULL};
    int ends[2];
    if (path_program("sweep-worker", program, error) < 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(error, "cannot make a pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int number = posix_spawn(pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *output = ends[0];
    if (number)
        close(ends[0]);
    return number ? error_set_errno(error, number, "cannot start %s", program) : 0;
}

static int read_answer(int output, Buffer *answer, Error *error) {
    double deadline = clock_monotonic() + measure_seconds;
    for (;;) {
        char piece[4096];
        struct pollfd ready = {.fd = output, .events = POLLIN};
        double left = deadline - clock_monotonic();
        if (left <= 0 || poll(&ready, 1, (int)(left * 1000) + 1) <= 0)
            return error_set(error, "sweep-worker rate did not answer within %.0f seconds", measure_seconds);
        ssize_t got = read(output, piece, sizeof piece);
        if (got < 0)
            return error_set(error, "cannot read from sweep-worker");
        if (got == 0)
            return buffer_check(answer, error, "the answer of sweep-worker rate");
        buffer_append(answer, piece, (size_t)got);
    }
}

static int measure(Rate *out, Error *error) {
    Buffer answer;
    pid_t pid;
    int output = -1, status = 0;
    if (spawn_worker(&pid, &output, error) < 0)
        return -1;
    buffer_init(&answer, ANSWER_MAX);
    int result = read_answer(output, &answer, error);
    close(output);
    if (result)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (!result && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        result = error_set(error, "sweep-worker rate failed");
    if (!result && rate_parse(out, answer.data ? answer.data : "", answer.size, error) < 0)
        result = error_prefix(error, "sweep-worker rate");
    buffer_deinit(&answer);
    return result;
}

int rate_read(Rate *out, const char *home, Error *error) {
    char path[PATH_TEXT_MAX];
    Machine machine;
    machine_read(&machine);
    if (path_format(path, error, "%s/rate.json", home) < 0)
        return -1;
    if (cache_read(out, path, &machine))
        return 0;
    int result = measure(out, error);
    if (!result)
        cache_write(out, home, path, &machine);
    return result;
}

/* ---- using ---- */

/* Straight lines in log width and log rate; level beyond both ends. */
static double rate_at(const Rate *rate, double width) {
    size_t i = 1;
    if (width <= rate->widths[0] || rate->count == 1)
        return rate->flops_per_second[0];
    while (i + 1 < rate->count && rate->widths[i] < width)
        i++;
    double share = log(width / rate->widths[i - 1]) / log(rate->widths[i] / rate->widths[i - 1]);
    double low = log(rate->flops_per_second[i - 1]), high = log(rate->flops_per_second[i]);
    return exp(low + fmin(share, 1) * (high - low));
}

/* Examples that the trainer evaluates at each point: of the training subset, all of validation, all of the test set. */
static double evaluated(const Run *run) {
    const Dataset *dataset = sweep_dataset_find(run->data_name);
    double test = dataset ? (double)dataset->test_examples : test_share * (double)run->examples;
    return fmin((double)run->examples, evaluated_training_examples) + (double)run->validation + test;
}

/* Of one training, which executes so many flops, with its points. */
static double training_seconds(const Rate *rate, const Run *run, double flops) {
    Training training = run_training(run);
    double here = rate_at(rate, (double)run->model.width), there = rate_at(rate, (double)rate_evaluation_model.width);
    double size = (double)arch_forward_macs(&run->model) / (double)arch_forward_macs(&rate_evaluation_model);
    double points = fmin((double)run->evaluations, (double)arch_steps(&training));
    double evaluation = points * evaluated(run) * size * there / here / rate->evaluation_examples_per_second;
    return flops / here + evaluation;
}

double rate_run_seconds(const Rate *rate, const Run *run) {
    if (run->trainer != TRAINER_BUILTIN)
        return 0;
    double seconds = training_seconds(rate, run, run_flops(run).exact);
    for (size_t i = 0; i < run->transfer_count; i++) {
        Run own;
        run_transfer(run, i, &own);
        seconds += training_seconds(rate, &own, run_transfer_flops(run, i).exact);
    }
    return seconds;
}

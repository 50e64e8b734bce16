#include "harness.h"

#include "../scratch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, CHILDREN_MAX = 32, CAPTURE_MAX = 64 << 20 };

static char site_directory[64], site_home_path[80];
static pid_t children[CHILDREN_MAX];
static size_t child_count;

/* ---- the directory ---- */

int site_set_up(void **state) {
    (void)state;
    child_count = 0;
    text_copy(site_directory, sizeof site_directory, "/tmp/swsys-XXXXXX");
    if (!mkdtemp(site_directory))
        return -1;
    snprintf(site_home_path, sizeof site_home_path, "%s/home", site_directory);
    setenv("SWEEPD_HOME", site_home_path, 1);
    setenv("SWEEPD_CHECKPOINT_SECONDS", "0.05", 1);
    setenv("NO_COLOR", "1", 1);
    return 0;
}

const char *site_home(void) {
    return site_home_path;
}

void site_path(char out[PATH_TEXT_MAX], const char *name) {
    assert_int_equal(path_format(out, NULL, "%s/%s", site_directory, name), 0);
}

void site_write(const char *name, const char *text) {
    char path[PATH_TEXT_MAX];
    site_path(path, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

void site_assert_same_file(const char *a, const char *b) {
    Buffer left, right;
    buffer_init(&left, CAPTURE_MAX);
    buffer_init(&right, CAPTURE_MAX);
    assert_int_equal(file_read(a, left.max, &left, NULL), 0);
    assert_int_equal(file_read(b, right.max, &right, NULL), 0);
    assert_true(left.size > 0);
    assert_int_equal(left.size, right.size);
    assert_memory_equal(left.data, right.data, left.size);
    buffer_deinit(&left);
    buffer_deinit(&right);
}

void site_write_sweep(const char *file, const char *name, const char *widths, int examples, int epochs) {
    char text[2048];
    snprintf(text, sizeof text,
             "version: 1\n"
             "name: %s\n"
             "data:  {name: fashion-mnist, validation: 1000}\n"
             "model: {kind: bmlp, expansion: 2}\n"
             "grid:\n"
             "  depth: [1]\n"
             "  width: %s\n"
             "  examples: [%d]\n"
             "  seed: [0]\n"
             "train:\n"
             "  epochs: %d\n"
             "  batch: 128\n"
             "  optimizer: {name: lion, lr: 1.0e-3, weight_decay: 0.1}\n"
             "  schedule: {name: cosine, warmup: 0.05}\n"
             "  label_smoothing: 0.1\n",
             name, widths, examples, epochs);
    site_write(file, text);
}

/* ---- the end: processes whose command line names this site's own directory are this site's ---- */

static bool process_is_of_site(const char *pid_text) {
    char path[64], line[4096];
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid_text);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    ssize_t size = read(descriptor, line, sizeof line - 1);
    close(descriptor);
    return size > 0 && memmem(line, (size_t)size, site_directory, strlen(site_directory));
}

static void kill_processes(void) {
    for (size_t i = 0; i < child_count; i++)
        if (children[i] > 0) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
        }
    DIR *processes = opendir("/proc");
    for (struct dirent *entry = readdir(processes); entry; entry = readdir(processes))
        if (isdigit((unsigned char)*entry->d_name) && atoi(entry->d_name) != getpid() && process_is_of_site(entry->d_name))
            kill(atoi(entry->d_name), SIGKILL);
    closedir(processes);
}

int site_tear_down(void **state) {
    (void)state;
    kill_processes();
    for (int tries = 0; tries < 20 && directory_remove(site_directory); tries++)
        site_sleep(0.1); /* a process that is ending may still write */
    return 0;
}

/* ---- programs ---- */

static size_t collect(char **arguments, const char *program, va_list list) {
    static char path[PATH_TEXT_MAX];
    Error error;
    if (path_program(program, path, &error))
        fail_msg("%s", error.text);
    size_t count = 0;
    arguments[count++] = path;
    for (char *next = va_arg(list, char *); next && count + 1 < ARGUMENTS_MAX; next = va_arg(list, char *))
        arguments[count++] = next;
    arguments[count] = NULL;
    return count;
}

static pid_t spawn(char *const *arguments, int out, int err) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int empty = open("/dev/null", O_RDONLY);
    if (dup2(empty, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    execv(arguments[0], arguments);
    _exit(127);
}

static int open_output(const char *name) {
    char path[PATH_TEXT_MAX];
    site_path(path, name);
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(descriptor >= 0);
    return descriptor;
}

static char *read_output(int descriptor) {
    off_t size = lseek(descriptor, 0, SEEK_END);
    assert_true(size >= 0 && size < CAPTURE_MAX);
    char *text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(pread(descriptor, text, (size_t)size, 0), size);
    close(descriptor);
    return text;
}

static int decode_status(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int wait_child(pid_t pid, const char *what) {
    int status;
    double end = clock_monotonic() + SITE_SECONDS;
    for (;;) {
        pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid)
            return decode_status(status);
        assert_true(done == 0 || errno == EINTR);
        if (clock_monotonic() > end) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            fail_msg("%s (%d) did not end within %.0f seconds", what, (int)pid, SITE_SECONDS);
        }
        site_sleep(0.005);
    }
}

static Output run_arguments(char *const *arguments) {
    int out = open_output("stdout"), err = open_output("stderr");
    double begun = clock_monotonic();
    pid_t pid = spawn(arguments, out, err);
    Output output = {.code = wait_child(pid, arguments[0])};
    output.seconds = clock_monotonic() - begun;
    output.out = read_output(out);
    output.err = read_output(err);
    return output;
}

Output site_run(const char *program, ...) {
    char *arguments[ARGUMENTS_MAX];
    va_list list;
    va_start(list, program);
    collect(arguments, program, list);
    va_end(list);
    return run_arguments(arguments);
}

void output_free(Output *output) {
    free(output->out);
    free(output->err);
    *output = (Output){0};
}

static void expect_code(const Output *output, int code, char *const *arguments) {
    if (output->code != code)
        fail_msg("%s %s: exit code %d, not %d\n%s%s", arguments[0], arguments[1] ? arguments[1] : "", output->code, code, output->out,
                 output->err);
}

void site_expect(int code, const char *program, ...) {
    char *arguments[ARGUMENTS_MAX];
    va_list list;
    va_start(list, program);
    collect(arguments, program, list);
    va_end(list);
    Output output = run_arguments(arguments);
    expect_code(&output, code, arguments);
    output_free(&output);
}

json_t *site_json(const char *program, ...) {
    char *arguments[ARGUMENTS_MAX];
    va_list list;
    va_start(list, program);
    collect(arguments, program, list);
    va_end(list);
    Output output = run_arguments(arguments);
    expect_code(&output, 0, arguments);
    json_error_t error;
    json_t *tree = json_loads(output.out, JSON_REJECT_DUPLICATES, &error);
    if (!tree)
        fail_msg("%s %s: not JSON: %s\n%.400s", arguments[0], arguments[1], error.text, output.out);
    output_free(&output);
    return tree;
}

pid_t site_start(const char *program, ...) {
    char *arguments[ARGUMENTS_MAX], name[64];
    va_list list;
    va_start(list, program);
    collect(arguments, program, list);
    va_end(list);
    assert_true(child_count < CHILDREN_MAX);
    snprintf(name, sizeof name, "%s-%zu.out", program, child_count);
    int out = open_output(name);
    pid_t pid = spawn(arguments, out, out);
    close(out);
    children[child_count++] = pid;
    return pid;
}

int site_wait(pid_t pid) {
    int code = wait_child(pid, "a program in the background");
    for (size_t i = 0; i < child_count; i++)
        if (children[i] == pid)
            children[i] = 0;
    return code;
}

static bool daemon_answers(void *context) {
    (void)context;
    Output output = site_run("sweepctl", "daemon", "status", NULL);
    int code = output.code;
    output_free(&output);
    return code == 0;
}

void site_await_daemon(void) {
    site_until(daemon_answers, NULL, "the daemon answers");
}

pid_t site_start_daemon(const char *workers, const char *lease_seconds) {
    const char *lease = lease_seconds ? lease_seconds : "60", *heartbeat = lease_seconds ? "0.1" : "1";
    pid_t pid = site_start("sweepd", "--home", site_home_path, "--workers", workers, "--lease-seconds", lease, "--heartbeat-seconds",
                           heartbeat, NULL);
    site_await_daemon();
    return pid;
}

pid_t site_start_worker(const char *name) {
    return site_start("sweep-worker", "serve", "--home", site_home_path, "--name", name, NULL);
}

void site_until(bool (*condition)(void *context), void *context, const char *what) {
    double end = clock_monotonic() + SITE_SECONDS;
    while (!condition(context)) {
        if (clock_monotonic() > end)
            fail_msg("not within %.0f seconds: %s", SITE_SECONDS, what);
        site_sleep(0.02);
    }
}

void site_sleep(double seconds) {
    poll(NULL, 0, (int)(seconds * 1e3));
}

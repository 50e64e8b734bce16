/* Local workers as real processes: small shell scripts that write down what they were given. */
#include "../scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "sweepd/exec.h"

typedef struct Fixture {
    char home[64], program[96], log[96];
    Executor *executor;
} Fixture;

static int set_up(void **state) {
    Fixture *fixture = calloc(1, sizeof *fixture);
    strcpy(fixture->home, "/tmp/sweepd-exec-XXXXXX");
    assert_non_null(mkdtemp(fixture->home));
    snprintf(fixture->program, sizeof fixture->program, "%s/sweep-worker", fixture->home);
    snprintf(fixture->log, sizeof fixture->log, "%s/log", fixture->home);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    Fixture *fixture = *state;
    exec_free(fixture->executor);
    directory_remove(fixture->home);
    free(fixture);
    return 0;
}

static void make_executor(Fixture *fixture, const char *script) {
    Error error = {0};
    if (script != NULL)
        assert_int_equal(file_write_atomic(fixture->program, script, strlen(script), 0700, &error), 0);
    ExecLocalSettings settings = {fixture->program, "/a home/$(x)", "/a socket", 3, false, fixture->log};
    assert_int_equal(exec_local_new(&fixture->executor, &settings, &error), 0);
}

static ExecWorker start(Fixture *fixture) {
    ExecWorker worker;
    Error error = {0};
    if (fixture->executor->interface->start(fixture->executor, &worker, &error) != 0)
        fail_msg("%s", error.text);
    return worker;
}

static ExecWorker reap_one(Fixture *fixture) {
    ExecWorker ended[4];
    size_t count = 0;
    Error error = {0};
    while (count == 0) {
        assert_int_equal(fixture->executor->interface->reap(fixture->executor, ended, 4, &count, &error), 0);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    assert_int_equal(count, 1);
    assert_true(ended[0].ended);
    return ended[0];
}

static void expect_log(const Fixture *fixture, const char *expected) {
    Buffer text;
    Error error = {0};
    buffer_init(&text, 1 << 16);
    assert_int_equal(file_read(fixture->log, 1 << 16, &text, &error), 0);
    assert_string_equal(text.data, expected);
    buffer_deinit(&text);
}

/* The words arrive as they are, and both streams are appended to the log. */
static void test_arguments(void **state) {
    Fixture *fixture = *state;
    char expected[256];
    setenv("OPENBLAS_NUM_THREADS", "64", 1);
    make_executor(fixture, "#!/bin/sh\nfor word; do echo \"$word\"; done\necho \"$OPENBLAS_NUM_THREADS $OMP_NUM_THREADS\" >&2\n");
    ExecWorker worker = start(fixture);
    assert_string_equal(reap_one(fixture).name, worker.name);
    snprintf(expected, sizeof expected, "serve\n--home\n/a home/$(x)\n--socket\n/a socket\n--name\n%s\n--threads\n3\n3 3\n", worker.name);
    expect_log(fixture, expected);
    unsetenv("OPENBLAS_NUM_THREADS");
}

/* The worker gets a session of its own, default signals, and none of the daemon's files. */
static void test_inherits_nothing(void **state) {
    Fixture *fixture = *state;
    sigset_t blocked, before;
    int file = open("/dev/null", O_RDONLY);
    assert_int_equal(dup2(file, 77), 77);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    make_executor(fixture, "#!/bin/sh\nset -- $(cat /proc/$$/stat)\n[ \"$6\" = $$ ] && echo session\n"
                           "[ -e /proc/$$/fd/77 ] || echo files\n"
                           "exec grep -E 'Sig(Blk|Ign)' /proc/$$/status\n"); /* exec: a shell blocks signals while it forks */
    start(fixture);
    assert_int_equal(reap_one(fixture).code, 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(file);
    close(77);
    expect_log(fixture, "session\nfiles\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void test_ends(void **state) {
    Fixture *fixture = *state;
    make_executor(fixture, "#!/bin/sh\nexit 7\n");
    start(fixture);
    ExecWorker ended = reap_one(fixture);
    assert_true(!ended.by_signal && ended.code == 7);
    assert_string_equal(ended.detail, "exit code 7");
    assert_int_equal(fixture->executor->interface->alive(fixture->executor), 0);
}

static void test_stop_and_strangers(void **state) {
    Fixture *fixture = *state;
    make_executor(fixture, "#!/bin/sh\nwhile :; do sleep 0.05; done\n");
    pid_t stranger = fork();
    if (stranger == 0)
        _exit(3);
    ExecWorker first = start(fixture), second = start(fixture);
    assert_string_not_equal(first.name, second.name);
    assert_int_equal(fixture->executor->interface->alive(fixture->executor), 2);
    kill((pid_t)first.pid, SIGKILL);
    ExecWorker ended = reap_one(fixture);
    assert_int_equal(ended.pid, first.pid);
    assert_true(ended.by_signal && ended.code == SIGKILL);
    assert_non_null(strstr(ended.detail, "signal 9"));
    fixture->executor->interface->stop(fixture->executor);
    ended = reap_one(fixture);
    assert_int_equal(ended.pid, second.pid);
    assert_int_equal(ended.code, SIGTERM);
    /* A child that the executor did not start is left for whoever did. */
    int status = 0;
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    assert_int_equal(WEXITSTATUS(status), 3);
}

static void test_missing_program(void **state) {
    Fixture *fixture = *state;
    ExecWorker worker;
    Error error = {0};
    make_executor(fixture, NULL);
    assert_int_equal(fixture->executor->interface->start(fixture->executor, &worker, &error), -1);
    assert_non_null(strstr(error.text, "sweep-worker"));
    assert_int_equal(fixture->executor->interface->alive(fixture->executor), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inherits_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_and_strangers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_program, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

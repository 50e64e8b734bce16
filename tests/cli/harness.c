#include "harness.h"

#include "../scratch.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_LIMIT = 32, OUTPUT_LIMIT = 1 << 26 };

static char folder[PATH_TEXT_MAX], home[PATH_TEXT_MAX];

extern char **environ;

const char *harness_folder(void) {
    Error error;
    if (!*folder) {
        const char *parent = getenv("TMPDIR");
        assert_int_equal(path_format(folder, &error, "%s/sweepctl-test-XXXXXX", parent ? parent : "/tmp"), 0);
        assert_non_null(mkdtemp(folder));
    }
    return folder;
}

const char *harness_home(void) {
    Error error;
    if (!*home)
        assert_int_equal(path_format(home, &error, "%s/home", harness_folder()), 0);
    return home;
}

void harness_clean(void) {
    if (*folder)
        directory_remove(folder);
    *folder = *home = '\0';
}

const char *harness_file(const char *name, const char *text) {
    static char path[PATH_TEXT_MAX];
    Error error;
    assert_int_equal(path_format(path, &error, "%s/%s", harness_folder(), name), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, &error), 0);
    return path;
}

static int scratch(void) {
    char path[PATH_TEXT_MAX];
    Error error;
    assert_int_equal(path_format(path, &error, "%s/said-XXXXXX", harness_folder()), 0);
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    return file;
}

static void collect(int file, Buffer *out) {
    char part[4096];
    ssize_t got;
    buffer_init(out, OUTPUT_LIMIT);
    buffer_append_text(out, "");
    lseek(file, 0, SEEK_SET);
    while ((got = read(file, part, sizeof part)) > 0)
        buffer_append(out, part, (size_t)got);
    close(file);
    buffer_append(out, "", 1); /* so that data is never NULL; */
    out->size--;               /* the NUL is not counted */
}

static int wait_for(const char *program, char **arguments, int out, int err) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void sweepctl(Said *said, ...) {
    static char name[] = "sweepctl";
    char *arguments[ARGUMENTS_LIMIT] = {name};
    size_t count = 1;
    va_list values;
    va_start(values, said);
    for (const char *value; (value = va_arg(values, const char *)) != NULL && count + 1 < ARGUMENTS_LIMIT;)
        arguments[count++] = (char *)(uintptr_t)value;
    va_end(values);
    const char *program = getenv("SWEEPCTL");
    assert_non_null(program);
    setenv("SWEEPD_HOME", harness_home(), 1);
    int out = scratch(), err = scratch();
    said->code = wait_for(program, arguments, out, err);
    collect(out, &said->out);
    collect(err, &said->err);
}

void said_clear(Said *said) {
    buffer_deinit(&said->out);
    buffer_deinit(&said->err);
}

void assert_says(const Buffer *text, const char *piece) {
    if (!strstr(text->data, piece))
        fail_msg("'%s' is not in:\n%s", piece, text->data);
}

json_t *said_json(const Said *said) {
    json_error_t problem;
    json_t *root = json_loadb(said->out.data, said->out.size, 0, &problem);
    if (!json_is_object(root))
        fail_msg("no JSON object (%s):\n%s", problem.text, said->out.data);
    assert_int_equal(json_integer_value(json_object_get(root, "schema_version")), 1);
    return root;
}

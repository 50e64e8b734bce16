#include "sweepd/base.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/sweepd-test-XXXXXX";

static int folder_make(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static void path_of(char out[PATH_TEXT_MAX], const char *name) {
    assert_int_equal(path_format(out, NULL, "%s/%s", folder, name), 0);
}

static int count_entries(const char *directory) {
    int count = 0;
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        count += entry->d_name[0] != '.';
    closedir(stream);
    return count;
}

static void test_atomic_write_reads_back_with_its_mode(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    Error error;
    path_of(path, "atomic");
    assert_int_equal(file_write_atomic(path, "first", 5, 0600, &error), 0);
    assert_int_equal(file_write_atomic(path, "second", 6, 0640, &error), 0);
    Buffer text;
    buffer_init(&text, 100);
    assert_int_equal(file_read(path, 100, &text, &error), 0);
    assert_string_equal(text.data, "second");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    buffer_deinit(&text);
    unlink(path);
}

static void test_pieces_are_written_one_behind_the_other(void **state) {
    (void)state;
    Error error;
    Buffer text;
    char path[PATH_TEXT_MAX];
    const FilePiece pieces[] = {{"one", 3}, {NULL, 0}, {" two", 4}};
    path_of(path, "pieces");
    buffer_init(&text, 100);
    assert_int_equal(file_write_pieces(path, pieces, 3, 0644, &error), 0);
    assert_int_equal(file_read(path, 100, &text, &error), 0);
    assert_string_equal(text.data, "one two");
    buffer_deinit(&text);
    unlink(path);
}

static void test_failed_write_leaves_nothing(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    Error error;
    path_of(path, "no-such-folder/file");
    assert_int_equal(file_write_atomic(path, "x", 1, 0600, &error), -1);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, "No such file"));
    assert_false(file_exists(path));
}

/* Whether files here may be without a name. */
static bool unnamed_files(void) {
    int descriptor = open(folder, O_TMPFILE | O_RDWR, 0600);
    if (descriptor >= 0)
        close(descriptor);
    return descriptor >= 0;
}

/* The limit on a file's size ends a writer in the middle, as a kill does. Of a file without a name nothing is left; of one with a name,
 * which other file systems need, it is removed. */
static void test_what_a_killed_writer_left_is_removed(void **state) {
    (void)state;
    char own[PATH_TEXT_MAX], path[PATH_TEXT_MAX], other[PATH_TEXT_MAX], left[PATH_TEXT_MAX];
    path_of(own, "own");
    path_of(path, "own/weights");
    path_of(other, "own/weights.backup");
    assert_int_equal(directory_make(own, 0755, NULL), 0);
    assert_int_equal(file_write_atomic(path, "old", 3, 0644, NULL), 0);
    assert_int_equal(file_write_atomic(other, "old", 3, 0644, NULL), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {2, 2}, none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        setrlimit(RLIMIT_FSIZE, &limit);
        signal(SIGXFSZ, SIG_DFL);
        file_write_atomic(path, "newer", 5, 0644, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_entries(own), unnamed_files() ? 2 : 3);
    path_of(left, "own/weights.tmp-a1B2c3");
    assert_int_equal(file_write_atomic(left, "part", 4, 0600, NULL), 0);
    file_remove_temporaries(own);
    assert_int_equal(count_entries(own), 2);
    assert_true(file_exists(path) && file_exists(other));
    unlink(path);
    unlink(other);
    rmdir(own);
}

/* Of several that write the same name at once, each replaces the whole, and nobody sees a part or a second name stay. */
static void test_writers_at_once(void **state) {
    (void)state;
    enum { WRITERS = 4, ROUNDS = 50, SIZE = 5000 };
    char own[PATH_TEXT_MAX], path[PATH_TEXT_MAX], bytes[SIZE];
    int status;
    path_of(own, "crowd");
    path_of(path, "crowd/file");
    assert_int_equal(directory_make(own, 0755, NULL), 0);
    for (int i = 0; i < WRITERS; i++)
        if (fork() == 0) {
            memset(bytes, 'a' + i, sizeof bytes);
            int failed = 0;
            for (int j = 0; j < ROUNDS; j++)
                failed += file_write_atomic(path, bytes, sizeof bytes, 0644, NULL) != 0;
            _exit(failed);
        }
    int running = WRITERS;
    while (running) {
        Buffer text;
        buffer_init(&text, SIZE);
        if (file_exists(path)) {
            assert_int_equal(file_read(path, SIZE, &text, NULL), 0);
            assert_int_equal(text.size, SIZE);
            assert_memory_equal(text.data, text.data + 1, SIZE - 1);
        }
        buffer_deinit(&text);
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            running--;
        }
    }
    assert_int_equal(count_entries(own), 1);
    unlink(path);
    rmdir(own);
}

static void test_a_directory_is_not_replaced(void **state) {
    (void)state;
    char own[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
    Error error;
    path_of(own, "taken");
    path_of(path, "taken/folder");
    assert_int_equal(directory_make(path, 0755, NULL), 0);
    assert_int_equal(file_write_atomic(path, "x", 1, 0600, &error), -1);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(count_entries(own), 1);
    rmdir(path);
    rmdir(own);
}

static void test_read_is_bounded(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    Error error;
    path_of(path, "big");
    assert_int_equal(file_write_atomic(path, "0123456789", 10, 0600, &error), 0);
    Buffer text;
    buffer_init(&text, 100);
    assert_int_equal(file_read(path, 9, &text, &error), -1);
    assert_non_null(strstr(error.text, "larger than 9 bytes"));
    buffer_deinit(&text);
    unlink(path);
}

static void test_a_part_is_read(void **state) {
    (void)state;
    static const struct {
        int64_t from;
        size_t bytes;
        const char *text;
    } parts[] = {
        {0, 4, "0123"}, {8, 4, "89"}, {10, 4, ""}, {99, 4, ""}, {INT64_MAX, 4, ""}, {FILE_END, 3, "789"}, {FILE_END, 99, "0123456789"}};
    char path[PATH_TEXT_MAX];
    Error error;
    path_of(path, "parts");
    Buffer text;
    buffer_init(&text, 100);
    assert_int_equal(file_read_part(path, 0, 4, &text, &error), FILE_MISSING);
    assert_int_equal(file_write_atomic(path, "0123456789", 10, 0600, &error), 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        buffer_clear(&text);
        assert_int_equal(file_read_part(path, parts[i].from, parts[i].bytes, &text, &error), 0);
        assert_string_equal(text.data ? text.data : "", parts[i].text);
    }
    assert_int_equal(file_read_part(folder, 0, 4, &text, &error), -1);
    assert_non_null(strstr(error.text, folder));
    buffer_deinit(&text);
    unlink(path);
}

static void test_directories_are_made_with_parents(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX], file[PATH_TEXT_MAX];
    Error error;
    path_of(path, "a/b/c");
    assert_int_equal(directory_make(path, 0700, &error), 0);
    assert_int_equal(directory_make(path, 0700, &error), 0);
    path_of(file, "a/file");
    assert_int_equal(file_write_atomic(file, "", 0, 0600, &error), 0);
    assert_int_equal(directory_make(file, 0700, &error), -1);
    assert_int_equal(directory_make("", 0700, &error), -1);
    unlink(file);
    rmdir(path);
    path_of(path, "a/b");
    rmdir(path);
    path_of(path, "a");
    assert_int_equal(rmdir(path), 0);
}

static void test_home_follows_option_then_environment(void **state) {
    (void)state;
    char home[PATH_TEXT_MAX];
    setenv("SWEEPD_HOME", "/from/environment", 1);
    assert_int_equal(path_home("/given", home, NULL), 0);
    assert_string_equal(home, "/given");
    assert_int_equal(path_home(NULL, home, NULL), 0);
    assert_string_equal(home, "/from/environment");
    unsetenv("SWEEPD_HOME");
    setenv("XDG_DATA_HOME", "/data", 1);
    assert_int_equal(path_home(NULL, home, NULL), 0);
    assert_string_equal(home, "/data/sweepd");
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", "/people/ada", 1);
    assert_int_equal(path_home(NULL, home, NULL), 0);
    assert_string_equal(home, "/people/ada/.local/share/sweepd");
}

static void test_programs_are_found_where_the_variable_says(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    Error error;
    setenv("SWEEPD_BIN_DIR", "/bin", 1);
    assert_int_equal(path_program("sh", path, &error), 0);
    assert_string_equal(path, "/bin/sh");
    assert_int_equal(path_program("no-such-program", path, &error), -1);
    unsetenv("SWEEPD_BIN_DIR");
    assert_int_equal(path_program("sh", path, &error), 0);
    assert_int_equal(path_program("no-such-program", path, &error), -1);
    assert_non_null(strstr(error.text, "no-such-program"));
}

static int folder_remove(void **state) {
    (void)state;
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atomic_write_reads_back_with_its_mode),
        cmocka_unit_test(test_pieces_are_written_one_behind_the_other),
        cmocka_unit_test(test_failed_write_leaves_nothing),
        cmocka_unit_test(test_what_a_killed_writer_left_is_removed),
        cmocka_unit_test(test_writers_at_once),
        cmocka_unit_test(test_a_directory_is_not_replaced),
        cmocka_unit_test(test_read_is_bounded),
        cmocka_unit_test(test_a_part_is_read),
        cmocka_unit_test(test_directories_are_made_with_parents),
        cmocka_unit_test(test_home_follows_option_then_environment),
        cmocka_unit_test(test_programs_are_found_where_the_variable_says),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}

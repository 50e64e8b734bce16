/* What of two that fetch the same file the one does in the middle of the other's work: the calls where it matters are this program's own.
 */
#include "fixture.h"
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

static void (*before_rename)(void), (*before_lock)(void);

static void call_once(void (**hook)(void)) {
    void (*call)(void) = *hook;
    *hook = NULL;
    if (call)
        call();
}

int rename(const char *from, const char *to) {
    call_once(&before_rename);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int fcntl(int descriptor, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_OFD_SETLK)
        call_once(&before_lock);
    return (int)syscall(SYS_fcntl, descriptor, command, argument);
}

static void clean(void) {
    remove(scratch_path("file"));
    remove(scratch_path("file.part"));
    remove(scratch_path("file.part.from"));
}

static void assert_file(const char *name, const char *text) {
    size_t size;
    uint8_t *bytes = scratch_read(scratch_path(name), &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
    free(bytes);
}

static int outcome_of_another;

static void open_another(void) {
    Part part;
    Error error;
    outcome_of_another = part_open(&part, scratch_path("file"), &error);
    part_close(&part);
}

static void test_locked_until_it_has_its_name(void **state) {
    (void)state;
    Part part;
    Error error;
    clean();
    scratch_write(scratch_path("file.part"), "whole", 5);
    assert_int_equal(part_open(&part, scratch_path("file"), &error), 0);
    outcome_of_another = -1;
    before_rename = open_another;
    assert_int_equal(part_publish(&part, scratch_path("file"), &error), 0);
    assert_int_equal(outcome_of_another, DATA_REFUSED);
    assert_file("file", "whole");
}

static void publish(void) {
    assert_int_equal(renameat(AT_FDCWD, scratch_path("file.part"), AT_FDCWD, scratch_path("file")), 0);
}

static void publish_and_begin_another(void) {
    publish();
    scratch_write(scratch_path("file.part"), "begun", 5);
}

static void remove_part(void) {
    assert_int_equal(unlink(scratch_path("file.part")), 0);
}

/* What was opened has become the whole file, or is gone, by the time that its lock is to be had. */
static void test_what_is_locked_is_the_part(void **state) {
    (void)state;
    void (*const hooks[])(void) = {publish, publish_and_begin_another, remove_part};
    const int64_t sizes[] = {0, 5, 0};
    for (int i = 0; i < 3; i++) {
        Part part;
        Error error;
        clean();
        scratch_write(scratch_path("file.part"), "whole file", 10);
        before_lock = hooks[i];
        assert_int_equal(part_open(&part, scratch_path("file"), &error), 0);
        assert_int_equal(part.size, sizes[i]);
        assert_int_equal(part_begin(&part, &(PartOrigin){.total = 3}, &error), 0);
        assert_int_equal(write(part.descriptor, "new", 3), 3);
        part_close(&part);
        assert_file("file.part", "new");
        if (hooks[i] != remove_part)
            assert_file("file", "whole file");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locked_until_it_has_its_name),
        cmocka_unit_test(test_what_is_locked_is_the_part),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}

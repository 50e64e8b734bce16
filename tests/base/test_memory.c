#include "../scratch.h"
#include "memory.h"

#include <sys/mman.h>

static const char *write_in(const char *group, const char *name, const char *text) {
    static char path[PATH_TEXT_MAX];
    assert_int_equal(path_format(path, NULL, "%s%s", scratch_root, group), 0);
    assert_int_equal(directory_make(path, 0755, NULL), 0);
    assert_int_equal(path_format(path, NULL, "%s%s/%s", scratch_root, group, name), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
    return path;
}

static void test_the_least_limit_of_a_group_and_those_above_it(void **state) {
    (void)state;
    write_in("/a/b/c", "memory.max", "max\n");
    write_in("/a/b", "memory.max", "4000000\n");
    write_in("/a", "memory.max", "5000000\n");
    assert_true(memory_group_limit(write_in("", "groups", "0::/a/b/c\n"), scratch_root) == 4e6);
    assert_true(memory_group_limit(write_in("", "groups", "0::/a\n"), scratch_root) == 5e6);
    assert_true(memory_group_limit(write_in("", "groups", "0::/elsewhere\n"), scratch_root) == MEMORY_UNLIMITED);
    write_in("", "memory.max", "3000000\n"); /* a container's own group is the root */
    assert_true(memory_group_limit(write_in("", "groups", "0::/elsewhere/deep\n"), scratch_root) == 3e6);
}

static void test_version_1_has_a_tree_for_memory(void **state) {
    (void)state;
    write_in("/memory/job", "memory.limit_in_bytes", "7000000\n");
    write_in("/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(memory_group_limit(write_in("", "groups", "5:cpu,cpuacct:/job\n4:memory:/job\n"), scratch_root) == 7e6);
    assert_true(memory_group_limit(write_in("", "groups", "5:cpu,cpuacct:/job\n"), scratch_root) == MEMORY_UNLIMITED);
}

static void test_what_is_wrong_limits_nothing(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "max", "-5", "0", "x", "\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_in("/wrong", "memory.max", wrong[i]);
        write_in("", "memory.max", wrong[i]);
        assert_true(memory_group_limit(write_in("", "groups", "0::/wrong\n:::\nrubbish\n0::\n"), scratch_root) == MEMORY_UNLIMITED);
    }
    assert_true(memory_group_limit("/no/such/file", scratch_root) == MEMORY_UNLIMITED);
}

static void test_a_machine_has_some_memory(void **state) {
    (void)state;
    Machine machine;
    machine_read(&machine);
    assert_true(machine.memory_bytes > 1 << 20);
    assert_true(machine.memory_bytes <= (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE));
}

/* What is written to counts, what is mapped from a file does not. */
static void test_own_memory(void **state) {
    (void)state;
    enum { SIZE = 64 << 20, MARGIN = 8 << 20 };
    double before = process_memory_bytes();
    char *own = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(own, MAP_FAILED);
    memset(own, 1, SIZE);
    double after = process_memory_bytes();
    assert_true(before > 0 && after > before + SIZE - MARGIN && after < before + SIZE + MARGIN);
    char path[PATH_TEXT_MAX];
    assert_int_equal(path_format(path, NULL, "%s/large", scratch_root), 0);
    assert_int_equal(file_write_atomic(path, own, SIZE, 0600, NULL), 0);
    munmap(own, SIZE);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const char *mapped = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fileno(file), 0);
    fclose(file);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    int sum = 0;
    for (size_t i = 0; i < SIZE; i += 1024)
        sum += mapped[i];
    assert_int_equal(sum, SIZE / 1024);
    assert_true(process_memory_bytes() < before + MARGIN);
    munmap((void *)(uintptr_t)mapped, SIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least_limit_of_a_group_and_those_above_it),
        cmocka_unit_test(test_version_1_has_a_tree_for_memory),
        cmocka_unit_test(test_what_is_wrong_limits_nothing),
        cmocka_unit_test(test_a_machine_has_some_memory),
        cmocka_unit_test(test_own_memory),
    };
    return cmocka_run_group_tests_name("memory", tests, scratch_setup, scratch_teardown);
}

/* The run directory: each attempt has a journal of its own, and none takes a point from another. */
#include "../scratch.h"
#include "worker.h"

#include <sys/stat.h>

static char directory[] = "/tmp/sweepd-run-[files]-XXXXXX"; /* brackets are no pattern here */
static RunFiles first, second;
static PointList left; /* what an attempt finds */

static const Run run = {
    .model = {.kind = MODEL_BMLP, .inputs = 16, .classes = 4, .depth = 1, .width = 8, .expansion = 4},
    .data_name = "small",
    .data_digest = "0000000000000000000000000000000000000000000000000000000000000000",
    .examples = 100,
    .epochs = 1,
    .batch = 10,
    .evaluations = 3,
    .optimizer = {.kind = OPTIMIZER_SGD, .lr = 0.1},
};

static void open_files(RunFiles *files) {
    Error error = {0};
    if (run_files_init(files, directory, &run, &error))
        fail_msg("%s", error.text);
}

static void find(RunFiles *files, int64_t attempt_id) {
    points_deinit(&left);
    assert_int_equal(run_files_journal(files, attempt_id, &left, NULL), 0);
}

static int set_up(void **state) {
    (void)state;
    memcpy(strrchr(directory, '-') + 1, "XXXXXX", 6);
    if (!mkdtemp(directory) || log_open("/dev/null", NULL))
        return -1;
    open_files(&first);
    find(&first, 1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    points_deinit(&left);
    return directory_remove(directory);
}

/* As an attempt does before a checkpoint. */
static void keep(const RunFiles *files, const int64_t *steps, size_t count) {
    PointList list = {0};
    Buffer text;
    buffer_init(&text, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        Point point = {.step = steps[i], .metrics = {{"test_loss", 1.0 / (double)steps[i]}}, .metric_count = 1};
        assert_int_equal(points_append(&list, &point, NULL), 0);
    }
    assert_int_equal(points_format(&list, 0, &text, NULL), 0);
    assert_int_equal(file_write_atomic(files->journal, text.data, text.size, 0644, NULL), 0);
    points_deinit(&list);
    buffer_deinit(&text);
}

static void write_checkpoint(void) {
    assert_int_equal(file_write_atomic(first.checkpoint, "x", 1, 0644, NULL), 0);
}

static void open_second(void) {
    open_files(&second);
    find(&second, 2);
}

/* In any order: journals are read as the directory lists them. */
static void expect_left(const int64_t *steps, size_t expected) {
    assert_int_equal(left.count, expected);
    for (size_t i = 0; i < expected; i++) {
        size_t found = 0;
        for (size_t j = 0; j < left.count; j++)
            found += left.points[j].step == steps[i] && left.points[j].metrics[0].value == 1.0 / (double)steps[i];
        assert_int_equal(found, 1);
    }
}

static void test_what_was_not_delivered_is_taken_over_and_left(void **state) {
    (void)state;
    keep(&first, (const int64_t[]){10, 20}, 2);
    write_checkpoint();
    open_second();
    expect_left((const int64_t[]){10, 20}, 2);
    assert_true(file_exists(first.journal));
}

/* It measures a point and writes a checkpoint past it, and the attempt that resumes from that is the third. */
static void test_a_point_of_a_worker_that_wakes_up_is_kept(void **state) {
    (void)state;
    keep(&first, (const int64_t[]){10}, 1);
    write_checkpoint();
    open_second();
    keep(&second, (const int64_t[]){10, 15}, 2);
    keep(&first, (const int64_t[]){10, 20}, 2);
    find(&second, 3);
    expect_left((const int64_t[]){10, 15, 20}, 3); /* 10 is in two journals, and taken over once */
    run_files_remove_journals(&second);
    assert_false(file_exists(first.journal) || file_exists(second.journal));
}

static void test_without_a_checkpoint_nothing_is_taken_over(void **state) {
    (void)state;
    keep(&first, (const int64_t[]){10}, 1);
    open_second();
    expect_left(NULL, 0);
}

static void test_nothing_is_made_by_naming(void **state) {
    (void)state;
    RunFiles named;
    char path[PATH_TEXT_MAX];
    assert_int_equal(path_format(path, NULL, "%s/a/b", directory), 0);
    assert_int_equal(run_files_name(&named, path, NULL), 0);
    assert_int_equal(run_files_journal(&named, 1, &left, NULL), 0);
    assert_false(file_exists(path) || file_exists(named.journal));
}

static void test_what_a_killed_writer_left_is_removed(void **state) {
    (void)state;
    char temporary[PATH_TEXT_MAX];
    write_checkpoint();
    assert_int_equal(path_format(temporary, NULL, "%s.tmp-a1B2c3", first.checkpoint), 0);
    assert_int_equal(rename(first.checkpoint, temporary), 0);
    write_checkpoint();
    open_second();
    assert_false(file_exists(temporary));
    assert_true(file_exists(first.checkpoint) && file_exists(first.spec));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_what_was_not_delivered_is_taken_over_and_left), CASE(test_a_point_of_a_worker_that_wakes_up_is_kept),
        CASE(test_without_a_checkpoint_nothing_is_taken_over),    CASE(test_nothing_is_made_by_naming),
        CASE(test_what_a_killed_writer_left_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

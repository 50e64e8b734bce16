/* The run directory: each attempt has a journal of its own, and none takes a point from another. */
#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/sweepd-run-[files]-XXXXXX"; /* brackets are no pattern here */
static RunFiles first, second;
static Journal asleep, awake;

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

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void open_files(RunFiles *files) {
    Error error = {0};
    if (run_files_init(files, directory, &run, &error))
        fail_msg("%s", error.text);
}

static int set_up(void **state) {
    (void)state;
    memcpy(strrchr(directory, '-') + 1, "XXXXXX", 6);
    if (!mkdtemp(directory) || log_open("/dev/null", NULL))
        return -1;
    open_files(&first);
    return run_files_journal(&first, 1, &asleep, NULL);
}

static int tear_down(void **state) {
    (void)state;
    journal_deinit(&asleep);
    journal_deinit(&awake);
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_checkpoint(void) {
    assert_int_equal(file_write_atomic(first.checkpoint, "x", 1, 0644, NULL), 0);
}

static void open_second(void) {
    open_files(&second);
    assert_int_equal(run_files_journal(&second, 2, &awake, NULL), 0);
}

static void append(Journal *journal, int64_t step) {
    Point point = {.step = step, .metrics = {{"test_loss", 1.0 / (double)step}}, .metric_count = 1};
    assert_int_equal(journal_append(journal, &point, NULL), 0);
}

/* What is read, and what to acknowledge. */
static int64_t expect_steps(Journal *journal, const int64_t *steps, size_t expected) {
    Point points[8];
    size_t count;
    int64_t end;
    bool more;
    assert_int_equal(journal_read(journal, points, 8, &count, &end, &more, NULL), 0);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(points[i].step, steps[i]);
        assert_true(points[i].metrics[0].value == 1.0 / (double)steps[i]);
    }
    return end;
}

/* The first attempt has delivered its points and is stopped before it empties its journal; the second is done by the time it does. */
static void test_a_worker_that_wakes_up_takes_nothing_away(void **state) {
    (void)state;
    append(&asleep, 10);
    write_checkpoint();
    int64_t delivered = expect_steps(&asleep, (const int64_t[]){10}, 1);
    open_second();
    append(&awake, 20);
    assert_int_equal(journal_acknowledge(&asleep, delivered, NULL), 0);
    expect_steps(&awake, (const int64_t[]){10, 20}, 2);
    assert_true(journal_is_empty(&asleep));
}

/* It measures a point and writes a checkpoint past it, and the attempt that resumes from that is the third. */
static void test_a_point_of_a_worker_that_wakes_up_is_kept(void **state) {
    (void)state;
    append(&asleep, 10);
    write_checkpoint();
    open_second();
    append(&asleep, 20);
    journal_deinit(&awake);
    assert_int_equal(run_files_journal(&second, 3, &awake, NULL), 0);
    expect_steps(&awake, (const int64_t[]){10, 20}, 2); /* 10 is in two journals, and taken over once */
    run_files_remove_journals(&second);
    assert_false(file_exists(first.journal) || file_exists(second.journal));
}

static void test_without_a_checkpoint_nothing_is_taken_over(void **state) {
    (void)state;
    append(&asleep, 10);
    open_second();
    assert_true(journal_is_empty(&awake));
    expect_steps(&asleep, (const int64_t[]){10}, 1);
}

static void test_the_beginning_of_a_line_is_not_taken_over(void **state) {
    (void)state;
    append(&asleep, 10);
    assert_int_equal(write(asleep.descriptor, "{\"step\":20,", 11), 11);
    write_checkpoint();
    open_second();
    append(&awake, 20);
    expect_steps(&awake, (const int64_t[]){10, 20}, 2);
}

static void test_what_a_killed_writer_left_is_removed(void **state) {
    (void)state;
    char left[PATH_TEXT_MAX];
    write_checkpoint();
    assert_int_equal(path_format(left, NULL, "%s.tmp-a1B2c3", first.checkpoint), 0);
    assert_int_equal(rename(first.checkpoint, left), 0);
    write_checkpoint();
    open_second();
    assert_false(file_exists(left));
    assert_true(file_exists(first.checkpoint) && file_exists(first.spec));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_a_worker_that_wakes_up_takes_nothing_away),  CASE(test_a_point_of_a_worker_that_wakes_up_is_kept),
        CASE(test_without_a_checkpoint_nothing_is_taken_over), CASE(test_the_beginning_of_a_line_is_not_taken_over),
        CASE(test_what_a_killed_writer_left_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

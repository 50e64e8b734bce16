/* The journal of points: what is appended is read back to the last bit, once, in order; a torn end and foreign lines do no harm. */
#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/sweepd-journal-XXXXXX";
static char path[PATH_TEXT_MAX];

static int set_up_group(void **state) {
    (void)state;
    return mkdtemp(directory) && !path_format(path, NULL, "%s/journal.jsonl", directory) ? 0 : -1;
}

static int tear_down_group(void **state) {
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static Point point_at(int64_t step) {
    Point point = {.step = step, .examples = 128.0 * (double)step, .flops = 1e10 / 3 * (double)step, .seconds = 0.1};
    point_set_metric(&point, "test_error", 1.0 / (double)(step + 2));
    point_set_metric(&point, "test_loss", NAN);
    return point;
}

static void append(Journal *journal, int64_t step) {
    Point point = point_at(step);
    assert_int_equal(journal_append(journal, &point, NULL), 0);
}

static void write_text(const char *text) {
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static void test_point_survives_to_the_bit(void **state) {
    (void)state;
    Point in = point_at(7), out;
    Buffer line;
    buffer_init(&line, 4096);
    journal_format_point(&in, &line);
    assert_int_equal(journal_parse_point(&out, line.data, line.size), 0);
    assert_int_equal(out.step, 7);
    assert_true(out.examples == in.examples && out.flops == in.flops && out.seconds == in.seconds);
    assert_int_equal(out.metric_count, 2);
    assert_true(point_metric(&out, "test_error") == 1.0 / 9);
    assert_true(isnan(point_metric(&out, "test_loss")));
    buffer_deinit(&line);
}

static void test_reads_in_order_and_empties(void **state) {
    (void)state;
    Journal journal;
    Point points[3];
    size_t count;
    int64_t end;
    bool more;
    assert_int_equal(journal_init(&journal, path, false, NULL), 0);
    assert_true(journal_is_empty(&journal));
    for (int64_t step = 1; step <= 5; step++)
        append(&journal, step);
    assert_int_equal(journal_read(&journal, points, 3, &count, &end, &more, NULL), 0);
    assert_int_equal(count, 3);
    assert_int_equal(points[0].step, 1);
    assert_true(more);
    assert_int_equal(journal_read(&journal, points, 3, &count, &end, &more, NULL), 0);
    assert_int_equal(points[0].step, 1); /* not acknowledged: the same again */
    assert_int_equal(journal_acknowledge(&journal, end, NULL), 0);
    assert_int_equal(journal_read(&journal, points, 3, &count, &end, &more, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(points[1].step, 5);
    assert_false(more);
    append(&journal, 6); /* between a message and its answer */
    assert_int_equal(journal_acknowledge(&journal, end, NULL), 0);
    assert_false(journal_is_empty(&journal));
    assert_int_equal(journal_read(&journal, points, 3, &count, &end, &more, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(points[0].step, 6);
    assert_int_equal(journal_acknowledge(&journal, end, NULL), 0);
    assert_true(journal_is_empty(&journal));
    append(&journal, 7);
    assert_int_equal(journal_read(&journal, points, 3, &count, &end, &more, NULL), 0);
    assert_int_equal(points[0].step, 7);
    journal_deinit(&journal);
}

static void test_kept_for_the_next_attempt(void **state) {
    (void)state;
    Journal journal;
    Point point;
    size_t count;
    int64_t end;
    bool more;
    assert_int_equal(journal_init(&journal, path, false, NULL), 0);
    append(&journal, 1);
    journal_deinit(&journal);
    assert_int_equal(journal_init(&journal, path, true, NULL), 0);
    assert_int_equal(journal_read(&journal, &point, 1, &count, &end, &more, NULL), 0);
    assert_int_equal(count, 1);
    journal_deinit(&journal);
    assert_int_equal(journal_init(&journal, path, false, NULL), 0);
    assert_true(journal_is_empty(&journal));
    journal_deinit(&journal);
}

static void test_torn_and_foreign_lines(void **state) {
    (void)state;
    Journal journal;
    Point points[8];
    size_t count;
    int64_t end;
    bool more;
    write_text("not json\n"
               "{\"step\":-1,\"examples\":1,\"flops\":1,\"seconds\":1,\"metrics\":{}}\n"
               "{\"step\":3,\"examples\":1,\"flops\":1,\"seconds\":1,\"metrics\":{\"test_error\":0.5}}\n"
               "{\"step\":4,\"examples\":1,\"flops\":1,\"seco");
    assert_int_equal(journal_init(&journal, path, true, NULL), 0);
    append(&journal, 5);
    assert_int_equal(journal_read(&journal, points, 8, &count, &end, &more, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(points[0].step, 3);
    assert_int_equal(points[1].step, 5);
    assert_false(more);
    journal_deinit(&journal);
}

static void test_keeps_until_a_step(void **state) {
    (void)state;
    Journal journal;
    Point points[8], last = {.step = -1};
    size_t count;
    int64_t end;
    bool more;
    assert_int_equal(journal_init(&journal, path, false, NULL), 0);
    for (int64_t step = 10; step <= 50; step += 10)
        append(&journal, step);
    assert_int_equal(journal_keep_until(&journal, 35, &last, NULL), 0);
    assert_int_equal(last.step, 30);
    append(&journal, 40);
    assert_int_equal(journal_read(&journal, points, 8, &count, &end, &more, NULL), 0);
    assert_int_equal(count, 4);
    assert_int_equal(points[3].step, 40);
    last.step = -1;
    assert_int_equal(journal_keep_until(&journal, 5, &last, NULL), 0);
    assert_int_equal(last.step, -1);
    assert_true(journal_is_empty(&journal));
    journal_deinit(&journal);
}

static void test_backoff_grows_to_its_cap(void **state) {
    (void)state;
    Backoff backoff;
    backoff_init(&backoff, 0.2, 10, 1);
    double full = 0.2;
    for (int i = 0; i < 100; i++) {
        double wait = backoff_next(&backoff);
        assert_true(wait >= 0.5 * full && wait < full);
        full = fmin(10, 2 * full);
    }
    backoff_reset(&backoff);
    assert_true(backoff_next(&backoff) < 0.2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_point_survives_to_the_bit), cmocka_unit_test(test_reads_in_order_and_empties),
        cmocka_unit_test(test_kept_for_the_next_attempt), cmocka_unit_test(test_torn_and_foreign_lines),
        cmocka_unit_test(test_keeps_until_a_step),        cmocka_unit_test(test_backoff_grows_to_its_cap),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}

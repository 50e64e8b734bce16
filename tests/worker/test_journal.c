/* Points in memory and in a journal: what is appended is read back to the last bit, in order; a torn end and foreign lines do no harm. */
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

static void expect_lines(const int64_t *steps, size_t count) {
    Buffer text;
    PointList list = {0};
    buffer_init(&text, 1 << 20);
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    assert_int_equal(points_parse(&list, &text, NULL), 0);
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list.points[i].step, steps[i]);
    points_deinit(&list);
    buffer_deinit(&text);
}

static void test_a_list_gives_and_takes_in_order(void **state) {
    (void)state;
    PointList list = {0}, back = {0};
    Buffer text;
    buffer_init(&text, 1 << 20);
    for (int64_t step = 1; step <= 20; step++) {
        Point point = point_at(step);
        assert_int_equal(points_append(&list, &point, NULL), 0);
    }
    points_drop(&list, 3);
    assert_int_equal(list.count, 17);
    assert_int_equal(points_format(&list, 0, &text, NULL), 0);
    assert_int_equal(points_parse(&back, &text, NULL), 0);
    assert_int_equal(back.count, 17);
    for (size_t i = 0; i < back.count; i++)
        assert_true(back.points[i].step == (int64_t)i + 4 && back.points[i].flops == list.points[i].flops);
    points_drop(&list, 17);
    assert_int_equal(list.count, 0);
    points_deinit(&list);
    points_deinit(&back);
    buffer_deinit(&text);
}

static void test_kept_or_begun_anew(void **state) {
    (void)state;
    Journal journal;
    assert_int_equal(journal_init(&journal, path, false, NULL), 0);
    append(&journal, 1);
    journal_deinit(&journal);
    assert_int_equal(journal_init(&journal, path, true, NULL), 0);
    append(&journal, 2);
    journal_deinit(&journal);
    expect_lines((const int64_t[]){1, 2}, 2);
    assert_int_equal(journal_init(&journal, path, false, NULL), 0);
    journal_deinit(&journal);
    expect_lines(NULL, 0);
}

static void test_torn_and_foreign_lines(void **state) {
    (void)state;
    Journal journal;
    Point last = {.step = -1};
    write_text("not json\n"
               "{\"step\":-1,\"examples\":1,\"flops\":1,\"seconds\":1,\"metrics\":{}}\n"
               "{\"step\":3,\"examples\":1,\"flops\":1,\"seconds\":1,\"metrics\":{\"test_error\":0.5}}\n"
               "{\"step\":4,\"examples\":1,\"flops\":1,\"seco");
    expect_lines((const int64_t[]){3}, 1);
    assert_int_equal(journal_init(&journal, path, true, NULL), 0);
    append(&journal, 5);
    expect_lines((const int64_t[]){3, 5}, 2);
    assert_int_equal(journal_keep_until(&journal, 4, &last, NULL), 0);
    assert_int_equal(last.step, 3);
    expect_lines((const int64_t[]){3}, 1);
    journal_deinit(&journal);
}

static void test_keeps_until_a_step(void **state) {
    (void)state;
    Journal journal;
    Point last = {.step = -1};
    assert_int_equal(journal_init(&journal, path, false, NULL), 0);
    for (int64_t step = 10; step <= 50; step += 10)
        append(&journal, step);
    assert_int_equal(journal_keep_until(&journal, 35, &last, NULL), 0);
    assert_int_equal(last.step, 30);
    append(&journal, 40);
    expect_lines((const int64_t[]){10, 20, 30, 40}, 4);
    last.step = -1;
    assert_int_equal(journal_keep_until(&journal, 5, &last, NULL), 0);
    assert_int_equal(last.step, -1);
    expect_lines(NULL, 0);
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
        cmocka_unit_test(test_point_survives_to_the_bit), cmocka_unit_test(test_a_list_gives_and_takes_in_order),
        cmocka_unit_test(test_kept_or_begun_anew),        cmocka_unit_test(test_torn_and_foreign_lines),
        cmocka_unit_test(test_keeps_until_a_step),        cmocka_unit_test(test_backoff_grows_to_its_cap),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}

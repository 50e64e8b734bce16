#include "fixture.h"

#include "sweepd/queue.h"

static const double GIB = 0x1p30;

static void test_what_fits_waits_or_never_fits(void **state) {
    (void)state;
    char text[RECORD_TEXT_MAX];
    const RoomHost host = {4, 24 * GIB}, unknown = {0, 0};
    const HostWorker workers[] = {{11, 1, 2 * GIB}, {12, 2, 20 * GIB}};
    assert_int_equal(room_check(&host, workers, 2, 2 * GIB), ROOM_FITS);
    room_describe(&host, workers, 2, 2 * GIB, "this machine", text);
    assert_string_equal(text, "");
    assert_int_equal(room_check(&host, workers, 2, 3.1 * GIB), ROOM_WAITS);
    room_describe(&host, workers, 2, 3.1 * GIB, "this machine", text);
    assert_string_equal(text, "needs 3.1 GiB; 2.0 GiB of the 24.0 GiB of this machine are free until run 11 ends");
    room_describe(&host, workers, 2, 23 * GIB, "node7", text);
    assert_string_equal(text, "needs 23.0 GiB; 2.0 GiB of the 24.0 GiB of node7 are free until several runs end");
    assert_int_equal(room_check(&host, NULL, 0, 40 * GIB), ROOM_NEVER);
    room_describe(&host, NULL, 0, 40 * GIB, "this machine", text);
    assert_string_equal(text, "needs 40.0 GiB, more than the 24.0 GiB of this machine");
    assert_int_equal(room_check(&unknown, workers, 2, 40 * GIB), ROOM_FITS);
    assert_int_equal(room_free_cores(&host, workers, 2), 1);
    assert_int_equal(room_free_cores(&unknown, workers, 2), 0);
}

static void test_threads(void **state) {
    (void)state;
    Run large = {.model = {MODEL_BMLP, SMLP_TEXT, 784, 10, 6, 1024, 4}, .batch = 1024, .examples = 10000}, small = large;
    small.model.width = 32;
    assert_int_equal(room_threads(&large, 4, 8), 1);
    assert_int_equal(room_threads(&large, 4, 3), 1);
    assert_int_equal(room_threads(&large, 4, 1), 2);
    assert_int_equal(room_threads(&large, 4, 0), 4);
    assert_int_equal(room_threads(&large, 0, 0), 1);
    assert_int_equal(room_threads(&small, 4, 0), 1);
    large.trainer = TRAINER_SIMULATED;
    assert_int_equal(room_threads(&large, 4, 0), 1);
}

static int ask(Queue *queue, int64_t pid, double memory, double now, QueueLease *out) {
    Environment environment = {.host = "here", .pid = pid};
    QueueRequest request = {.environment = &environment, .worker = "w", .runs_max = 1, .host = {2, memory}};
    size_t count;
    int64_t sweep_id;
    return queue_lease(queue, &request, now, out, &count, &sweep_id, NULL);
}

static int end(Queue *queue, const QueueLease *lease, double memory, double now) {
    Point last = point_at(SWEEP_STEPS, 0.25);
    Environment environment = {.host = "here", .pid = 1, .threads = 1, .memory_bytes = memory};
    return queue_result(queue, lease->attempt_id, lease->token, OUTCOME_OK, RUN_DONE, "", &environment, &last, 1, now, NULL);
}

/* Of three runs two do not fit beside each other, until one was measured and found small. */
static void test_leases_leave_room(void **state) {
    QueueSettings settings = {0};
    Queue *queue;
    Store *store = store_at(*state);
    QueueLease first, second;
    char text[RECORD_TEXT_MAX];
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit(store, "a", 3, 2, 1);
    assert_int_equal(ask(queue, 1, 100 << 20, 10, &first), 0);
    assert_int_equal(first.threads, 1);
    assert_int_equal(ask(queue, 2, 100 << 20, 10, &second), QUEUE_EMPTY);
    assert_int_equal(queue_sweep_waiting(queue, 1, text, NULL), 0);
    assert_non_null(strstr(text, "MiB of here are free until run"));
    assert_int_equal(end(queue, &first, 8 << 20, 11), 0);
    assert_int_equal(ask(queue, 1, 100 << 20, 12, &first), 0); /* of the same shape: 8 MiB are known to do */
    assert_int_equal(ask(queue, 2, 100 << 20, 12, &second), 0);
    assert_int_equal(ask(queue, 3, 1 << 20, 12, &second), QUEUE_EMPTY);
    assert_sound(store);
    queue_free(queue);
    store_free(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits_waits_or_never_fits),
        cmocka_unit_test(test_threads),
        cmocka_unit_test_setup_teardown(test_leases_leave_room, home_setup, home_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fixture.h"

#include "sweepd/queue.h"

static const double GIB = 0x1p30;

static void test_what_fits_waits_or_never_fits(void **state) {
    (void)state;
    char text[RECORD_TEXT_MAX];
    const RoomHost host = {4, 24 * GIB, 0}, unknown = {0};
    const HostWorker workers[] = {{11, 1, 2 * GIB, 0}, {12, 2, 20 * GIB, 0}};
    assert_int_equal(room_check(&host, workers, 2, (Need){2 * GIB, 0}), ROOM_FITS);
    room_describe(&host, workers, 2, (Need){2 * GIB, 0}, "this machine", text);
    assert_string_equal(text, "");
    assert_int_equal(room_check(&host, workers, 2, (Need){3.1 * GIB, 0}), ROOM_WAITS);
    room_describe(&host, workers, 2, (Need){3.1 * GIB, 0}, "this machine", text);
    assert_string_equal(text, "needs 3.1 GiB; 2.0 GiB of the 24.0 GiB of this machine are free until run 11 ends");
    room_describe(&host, workers, 2, (Need){23 * GIB, 0}, "node7", text);
    assert_string_equal(text, "needs 23.0 GiB; 2.0 GiB of the 24.0 GiB of node7 are free until several runs end");
    assert_int_equal(room_check(&host, NULL, 0, (Need){40 * GIB, 0}), ROOM_NEVER);
    room_describe(&host, NULL, 0, (Need){40 * GIB, 0}, "this machine", text);
    assert_string_equal(text, "needs 40.0 GiB, more than the 24.0 GiB of this machine");
    assert_int_equal(room_check(&unknown, workers, 2, (Need){40 * GIB, 0}), ROOM_FITS);
    assert_int_equal(room_free_cores(&host, workers, 2), 1);
    assert_int_equal(room_free_cores(&unknown, workers, 2), 0);
}

static void test_threads(void **state) {
    (void)state;
    Run large = {.model = {MODEL_BMLP, SMLP_TEXT, 784, 10, 6, 1024, 4, 0}, .batch = 1024, .examples = 10000}, small = large;
    small.model.width = 32;
    assert_int_equal(room_threads(&large, 4, 8), 1);
    assert_int_equal(room_threads(&large, 4, 3), 1);
    assert_int_equal(room_threads(&large, 4, 1), 2);
    assert_int_equal(room_threads(&large, 4, 0), 4);
    assert_int_equal(room_threads(&large, 0, 0), 1);
    assert_int_equal(room_threads(&small, 4, 0), 1);
    large.trainer = TRAINER_SIMULATED;
    assert_int_equal(room_threads(&large, 4, 0), 1);
    large.resources.cpus = 3;
    assert_int_equal(room_threads(&large, 1, 8), 3);
}

static int ask_as(Queue *queue, const Environment *environment, double memory, double now, QueueLease *out) {
    QueueRequest request = {.environment = environment, .worker = "w", .runs_max = 1, .host = {2, memory, 0}};
    size_t count;
    int64_t sweep_id;
    return queue_lease(queue, &request, now, out, &count, &sweep_id, NULL);
}

static int ask(Queue *queue, int64_t pid, double memory, double now, QueueLease *out) {
    return ask_as(queue, &(Environment){.host = "here", .pid = pid}, memory, now, out);
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
    int64_t oversized;
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit(store, "a", 3, 2, 1);
    assert_int_equal(ask(queue, 1, 100 << 20, 10, &first), 0);
    assert_int_equal(first.threads, 1);
    assert_int_equal(ask(queue, 2, 100 << 20, 10, &second), QUEUE_EMPTY);
    assert_int_equal(queue_sweep_waiting(queue, 1, text, &oversized, NULL), 0);
    assert_non_null(strstr(text, "MiB of here are free until run"));
    assert_int_equal(oversized, 0);
    assert_int_equal(end(queue, &first, 8 << 20, 11), 0);
    assert_int_equal(ask(queue, 1, 100 << 20, 12, &first), 0); /* of the same shape: 8 MiB are known to do */
    assert_int_equal(ask(queue, 2, 100 << 20, 12, &second), 0);
    assert_int_equal(ask(queue, 3, 1 << 20, 12, &second), QUEUE_EMPTY);
    assert_sound(store);
    queue_free(queue);
    store_free(store);
}

/* ---- runs that need what they are told to ---- */

static const double MIB = 0x1p20;

/* A queue with one sweep of so many runs, of which the dearest has the highest id; each needs 20 MiB. */
static Queue *queue_of_small(Store *store, double patience_seconds, int runs) {
    QueueSettings settings = {.patience_seconds = patience_seconds};
    Queue *queue;
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit(store, "a", runs, 1, 0);
    for (int id = 1; id <= runs; id++)
        assert_int_equal(store_run_set_memory(store, id, id * MIB, 20 * MIB, NULL), 0);
    return queue;
}

static void close_queue(Queue *queue, Store *store) {
    assert_sound(store);
    queue_free(queue);
    store_free(store);
}

/* The room is of 90 MiB. Run 8 takes 50 of them and keeps 7, which needs 80, out; small ones go past, until patience ends. */
static void test_small_runs_do_not_go_past_for_ever(void **state) {
    Store *store = store_at(*state);
    Queue *queue = queue_of_small(store, 100, 8);
    QueueLease large, small, other;
    assert_int_equal(store_run_set_memory(store, 8, 8 * MIB, 50 * MIB, NULL), 0);
    assert_int_equal(store_run_set_memory(store, 7, 7 * MIB, 80 * MIB, NULL), 0);
    assert_int_equal(ask(queue, 1, 100 * MIB, 10, &large), 0);
    assert_int_equal(large.run_id, 8);
    assert_int_equal(ask(queue, 2, 100 * MIB, 20, &small), 0);
    assert_int_equal(small.run_id, 6);
    assert_int_equal(end(queue, &large, 0, 30), 0);
    assert_int_equal(ask(queue, 1, 100 * MIB, 119, &other), 0);
    assert_int_equal(other.run_id, 5);
    assert_int_equal(end(queue, &small, 0, 119), 0);
    assert_int_equal(ask(queue, 2, 100 * MIB, 121, &small), QUEUE_EMPTY); /* 20 of 90 MiB are taken, and 4 would fit */
    assert_int_equal(end(queue, &other, 0, 500), 0);
    assert_int_equal(ask(queue, 2, 100 * MIB, 501, &large), 0);
    assert_int_equal(large.run_id, 7);
    assert_int_equal(end(queue, &large, 0, 600), 0);
    assert_int_equal(ask(queue, 1, 100 * MIB, 601, &small), 0);
    assert_int_equal(ask(queue, 2, 100 * MIB, 601, &other), 0);
    close_queue(queue, store);
}

static void test_a_run_keeps_its_threads(void **state) {
    Store *store = store_at(*state);
    Queue *queue = queue_of_small(store, 0, 2);
    QueueLease lease;
    Environment three = {.host = "here", .pid = 1, .threads = 3}, two = {.host = "here", .pid = 2, .threads = 2};
    assert_int_equal(ask_as(queue, &three, 100 * MIB, 10, &lease), 0);
    assert_int_equal(lease.threads, 3);
    assert_int_equal(queue_result(queue, lease.attempt_id, lease.token, OUTCOME_PREEMPTED, RUN_PENDING, "", NULL, NULL, 0, 11, NULL), 0);
    int64_t first = lease.run_id;
    assert_int_equal(ask_as(queue, &two, 100 * MIB, 12, &lease), 0);
    assert_int_equal(lease.run_id, first);
    assert_int_equal(lease.attempt_number, 2);
    assert_int_equal(lease.threads, 3);
    two.pid = 3;
    assert_int_equal(ask_as(queue, &two, 100 * MIB, 13, &lease), 0);
    assert_int_not_equal(lease.run_id, first);
    assert_int_equal(lease.threads, 2);
    close_queue(queue, store);
}

/* A run that is too large for one host waits for the other, which has room of its own. */
static void test_two_hosts(void **state) {
    Store *store = store_at(*state);
    Queue *queue = queue_of_small(store, 0, 4);
    QueueLease lease;
    char text[RECORD_TEXT_MAX];
    int64_t oversized;
    Environment small = {.host = "small", .pid = 1}, big = {.host = "big", .pid = 1};
    assert_int_equal(store_run_set_memory(store, 4, 4 * MIB, 80 * MIB, NULL), 0);
    assert_int_equal(ask_as(queue, &small, 40 * MIB, 10, &lease), 0);
    assert_int_equal(lease.run_id, 3);
    assert_int_equal(queue_sweep_waiting(queue, 1, text, &oversized, NULL), 0);
    assert_string_equal(text, "run 4 needs 80 MiB, more than the 36 MiB of small");
    assert_int_equal(oversized, 1);
    small.pid = 2;
    assert_int_equal(ask_as(queue, &small, 40 * MIB, 11, &lease), QUEUE_EMPTY);
    assert_int_equal(ask_as(queue, &big, 100 * MIB, 12, &lease), 0);
    assert_int_equal(lease.run_id, 4);
    assert_int_equal(queue_sweep_waiting(queue, 1, text, &oversized, NULL), 0);
    assert_int_equal(oversized, 0);
    assert_non_null(strstr(text, " are free until run "));
    close_queue(queue, store);
}

/* ---- runs that say what they take ---- */

static void submit_limited(Store *store, int cpus, int memory) {
    static const char format[] = "version: 1\nname: b\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: toy}\n"
                                 "trainer: {kind: external, command: [prog], params: width, flops: 1e8 * width, steps: 20}\n"
                                 "resources: {cpus: %d, memory: %d}\ngrid: {depth: 1, width: [7, 8, 9], examples: 50}\n"
                                 "train: {epochs: 2, batch: 10, optimizer: {name: sgd, lr: 0.1}}\n";
    char text[1024];
    Sweep *sweep;
    SubmitRecord record;
    Error error = {0};
    int size = snprintf(text, sizeof text, format, cpus, memory);
    assert_int_equal(sweep_parse(&sweep, text, (size_t)size, "t", &error), 0);
    assert_int_equal(store_sweep_submit(store, sweep, text, (size_t)size, 1, &record, &error), 0);
    sweep_free(sweep);
}

/* Of two cores: a run that wants both waits until both are free, and nothing goes past it; resubmitted to want one, it goes. */
static void test_leases_leave_cores(void **state) {
    QueueSettings settings = {0};
    Queue *queue;
    Store *store = store_at(*state);
    QueueLease first, second;
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit_limited(store, 2, 1 << 20);
    assert_int_equal(ask(queue, 1, 100 << 20, 10, &first), 0);
    assert_int_equal(first.threads, 2);
    assert_int_equal(first.run.model.width, 9);
    assert_true(run_of(store, first.run_id).memory_bytes == 1 << 20);
    assert_int_equal(ask(queue, 2, 100 << 20, 11, &second), QUEUE_EMPTY);
    submit_limited(store, 1, 2 << 20);
    assert_int_equal(ask(queue, 2, 100 << 20, 11, &second), QUEUE_EMPTY); /* the first still has both */
    assert_int_equal(end(queue, &first, 8 << 20, 12), 0);
    assert_int_equal(ask(queue, 1, 100 << 20, 13, &first), 0);
    assert_int_equal(ask(queue, 2, 100 << 20, 13, &second), 0);
    assert_int_equal(first.threads, 1);
    assert_int_equal(second.threads, 1);
    assert_true(run_of(store, second.run_id).memory_bytes == 2 << 20);
    assert_sound(store);
    queue_free(queue);
    store_free(store);
}

/* ---- GPUs ---- */

static void submit_on_gpus(Store *store, const char *name, int gpus, const char *widths) {
    static const char format[] = "version: 1\nname: %s\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: %s}\n"
                                 "trainer: {kind: external, command: [prog], params: width, flops: 1e8 * width, steps: 20}\n"
                                 "resources: {memory: 1e6, gpus: %d}\ngrid: {depth: 1, width: %s, examples: 50}\n"
                                 "train: {epochs: 2, batch: 10, optimizer: {name: sgd, lr: 0.1}}\n";
    char text[1024];
    Sweep *sweep;
    SubmitRecord record;
    Error error = {0};
    int size = snprintf(text, sizeof text, format, name, name, gpus, widths);
    assert_int_equal(sweep_parse(&sweep, text, (size_t)size, "t", &error), 0);
    assert_int_equal(store_sweep_submit(store, sweep, text, (size_t)size, 1, &record, &error), 0);
    sweep_free(sweep);
}

static int ask_with_gpus(Queue *queue, int64_t pid, GpuSet gpus, double now, QueueLease *out) {
    QueueRequest request = {.environment = &(Environment){.host = "here", .pid = pid}, .worker = "w", .runs_max = 8, .sweep_id = 1};
    QueueLease leases[8];
    size_t count;
    int64_t sweep_id;
    request.host.gpus = gpus;
    int result = queue_lease(queue, &request, now, leases, &count, &sweep_id, NULL);
    if (result == 0) {
        assert_int_equal(count, 1);
        *out = leases[0];
    }
    return result;
}

static void test_what_gpus_are_there(void **state) {
    (void)state;
    char text[RECORD_TEXT_MAX];
    const RoomHost host = {4, 24 * GIB, 0x0b}, none = {0};
    const HostWorker workers[] = {{11, 1, GIB, 0x02}, {12, 1, GIB, 0x08}};
    assert_int_equal(room_free_gpus(&host, workers, 2), 0x01);
    assert_int_equal(room_check(&host, workers, 2, (Need){GIB, 1}), ROOM_FITS);
    assert_int_equal(room_check(&host, workers, 2, (Need){GIB, 2}), ROOM_WAITS);
    room_describe(&host, workers, 2, (Need){GIB, 2}, "this machine", text);
    assert_string_equal(text, "needs 2 GPUs; 1 GPU of the 3 GPUs of this machine are free until run 11 ends");
    room_describe(&host, workers, 2, (Need){GIB, 3}, "node7", text);
    assert_string_equal(text, "needs 3 GPUs; 1 GPU of the 3 GPUs of node7 are free until several runs end");
    room_describe(&host, workers, 2, (Need){23 * GIB, 1}, "node7", text);
    assert_string_equal(text, "needs 23.0 GiB; 22.0 GiB of the 24.0 GiB of node7 are free until run 11 ends");
    room_describe(&none, NULL, 0, (Need){GIB, 1}, "this machine", text);
    assert_string_equal(text, "needs 1 GPU, more than the 0 GPUs of this machine");
}

/* Each goes alone, on devices of its own, also after the daemon was begun again; the third waits for an end. */
static void test_no_two_runs_share_a_gpu(void **state) {
    Store *store = store_at(*state);
    Queue *queue;
    QueueSettings settings = {0};
    QueueLease first, second, third;
    char text[RECORD_TEXT_MAX];
    int64_t oversized;
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit_on_gpus(store, "a", 1, "[7, 8, 9]");
    assert_int_equal(ask_with_gpus(queue, 1, 0x0a, 10, &first), 0);
    assert_int_equal(first.gpus, 0x02);
    queue_free(queue);
    assert_int_equal(queue_new(&queue, store, &settings, 11, NULL), 0);
    assert_int_equal(ask_with_gpus(queue, 2, 0x0a, 12, &second), 0);
    assert_int_equal(second.gpus, 0x08);
    assert_int_equal(ask_with_gpus(queue, 3, 0x0a, 13, &third), QUEUE_EMPTY);
    assert_int_equal(queue_sweep_waiting(queue, 1, text, &oversized, NULL), 0);
    assert_string_equal(text, "run 1 needs 1 GPU; 0 GPUs of the 2 GPUs of here are free until run 3 ends");
    assert_int_equal(oversized, 0);
    assert_int_equal(queue_expire(queue, 500, NULL), 0); /* both are lost */
    assert_int_equal(ask_with_gpus(queue, 3, 0x0a, 501, &third), 0);
    assert_int_equal(third.gpus, 0x02);
    assert_int_equal(third.attempt_number, 2);
    close_queue(queue, store);
}

/* What fits nowhere is nothing to stay for; a host that could take it is. */
static void test_what_fits_nowhere_keeps_nobody(void **state) {
    Store *store = store_at(*state);
    Queue *queue;
    QueueSettings settings = {0};
    QueueLease lease;
    bool can;
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit_on_gpus(store, "large", 2, "[9]");
    assert_int_equal(queue_can_go_on(queue, &can, NULL), 0);
    assert_true(can); /* nobody knows yet */
    assert_int_equal(ask_with_gpus(queue, 1, 0x01, 10, &lease), QUEUE_EMPTY);
    assert_int_equal(queue_can_go_on(queue, &can, NULL), 0);
    assert_false(can);
    assert_int_equal(ask_with_gpus(queue, 1, 0x03, 11, &lease), 0);
    assert_int_equal(lease.gpus, 0x03);
    close_queue(queue, store);
}

/* A run that wants more than there is stays, and says why; those without GPUs go past it for ever, those with only while there is patience.
 */
static void test_runs_wait_for_gpus(void **state) {
    Store *store = store_at(*state);
    Queue *queue;
    QueueSettings settings = {.patience_seconds = 100};
    QueueLease one, other;
    char text[RECORD_TEXT_MAX];
    int64_t oversized;
    bool can;
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit_on_gpus(store, "small", 1, "[1, 2]");
    submit_on_gpus(store, "large", 2, "[9]");
    submit_on_gpus(store, "none", 0, "[3, 4]");
    assert_int_equal(ask_with_gpus(queue, 1, 0x01, 10, &one), 0); /* of the sweep `small`, run 2 */
    assert_int_equal(one.run_id, 2);
    assert_int_equal(queue_sweep_waiting(queue, 2, text, &oversized, NULL), 0);
    assert_string_equal(text, "run 3 needs 2 GPUs, more than the 1 GPU of here");
    assert_int_equal(queue_can_go_on(queue, &can, NULL), 0);
    assert_true(can);
    assert_int_equal(oversized, 1);
    assert_int_equal(ask_with_gpus(queue, 2, 0x03, 11, &other), 0); /* the other GPU comes: it is not enough for the large one */
    assert_int_equal(other.run_id, 5);
    assert_int_equal(other.gpus, 0);
    assert_int_equal(queue_sweep_waiting(queue, 2, text, &oversized, NULL), 0);
    assert_int_equal(oversized, 0);
    assert_int_equal(end(queue, &other, 0, 12), 0);
    assert_int_equal(ask_with_gpus(queue, 2, 0x03, 200, &other), 0); /* no patience: run 1 would fit, and is not let past */
    assert_int_equal(other.run_id, 4);
    assert_int_equal(end(queue, &other, 0, 201), 0);
    assert_int_equal(ask_with_gpus(queue, 2, 0x03, 202, &other), QUEUE_EMPTY);
    assert_int_equal(end(queue, &one, 0, 203), 0);
    assert_int_equal(ask_with_gpus(queue, 2, 0x03, 204, &other), 0);
    assert_int_equal(other.run_id, 1); /* both are free, and it is of the older sweep */
    assert_int_equal(end(queue, &other, 0, 205), 0);
    assert_int_equal(ask_with_gpus(queue, 2, 0x03, 206, &other), 0);
    assert_int_equal(other.run_id, 3);
    assert_int_equal(other.gpus, 0x03);
    close_queue(queue, store);
}

/* A daemon that starts no workers says nothing of what fits: those to come may be on larger machines. */
static void test_the_daemons_own_machine(void **state) {
    Store *store = store_at(*state);
    Queue *queue;
    QueueSettings settings = {.host = "own", .room = {2, 50 * MIB, 0}};
    char text[RECORD_TEXT_MAX];
    int64_t oversized;
    size_t wanted;
    assert_int_equal(queue_new(&queue, store, &settings, 0, NULL), 0);
    submit(store, "a", 2, 1, 0);
    assert_int_equal(store_run_set_memory(store, 1, MIB, 20 * MIB, NULL), 0);
    assert_int_equal(store_run_set_memory(store, 2, 2 * MIB, 80 * MIB, NULL), 0);
    assert_int_equal(queue_workers_wanted(queue, 0, 0, 1, &wanted, NULL), 0);
    assert_int_equal(queue_sweep_waiting(queue, 1, text, &oversized, NULL), 0);
    assert_int_equal(oversized, 0);
    assert_string_equal(text, "");
    assert_int_equal(queue_workers_wanted(queue, 0, 2, 1, &wanted, NULL), 0);
    assert_int_equal(wanted, 1);
    assert_int_equal(queue_sweep_waiting(queue, 1, text, &oversized, NULL), 0);
    assert_int_equal(oversized, 1);
    assert_string_equal(text, "run 2 needs 80 MiB, more than the 50 MiB of this machine");
    close_queue(queue, store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits_waits_or_never_fits),
        cmocka_unit_test(test_threads),
        cmocka_unit_test_setup_teardown(test_leases_leave_room, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_small_runs_do_not_go_past_for_ever, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_a_run_keeps_its_threads, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_two_hosts, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_leases_leave_cores, home_setup, home_teardown),
        cmocka_unit_test(test_what_gpus_are_there),
        cmocka_unit_test_setup_teardown(test_no_two_runs_share_a_gpu, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_runs_wait_for_gpus, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_what_fits_nowhere_keeps_nobody, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_the_daemons_own_machine, home_setup, home_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

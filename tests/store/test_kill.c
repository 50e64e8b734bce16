/* A process that leases, reports and finishes runs as the daemon does is killed at random moments. It writes down what it was told is kept,
 * as a worker that got the answer would know it; afterwards the database must be sound and know all of that. Half of the rounds write in
 * batches, which acknowledge at their end. The moments are those of the clock; what is checked holds for any. */
#include "fixture.h"

#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { ROUNDS = 12, RUNS = 400, BATCH = 7 };

/* In memory that both processes see. done[id]: how often the end of a run was acknowledged. */
typedef struct Acknowledged {
    _Atomic int total;
    int done[RUNS + 1];
} Acknowledged;

static void finish_one_run(Store *store, int *finished, int64_t *run_id) {
    AttemptRecord attempt = begin_next(store, 'a', 10);
    Point points[] = {point_at(1, 0.5), point_at(SWEEP_STEPS, 0.25)};
    assert_int_equal(store_point_add(store, attempt.id, points, 2, NULL), 0);
    assert_int_equal(store_attempt_renew(store, attempt.id, 80, 2, 2e6, NULL), 0);
    bool done = attempt.run_id % 3 != 0 || attempt.number > 2;
    assert_int_equal(store_attempt_end(store, attempt.id,
                                       &(AttemptEnd){.outcome = done ? OUTCOME_OK : OUTCOME_PREEMPTED,
                                                     .detail = "",
                                                     .run_state = done ? RUN_DONE : RUN_PENDING,
                                                     .now = 20},
                                       NULL),
                     0);
    if (done)
        run_id[(*finished)++] = attempt.run_id;
}

static void work_until_killed(const char *home, bool batched, Acknowledged *acknowledged) {
    Store *store = store_at(home);
    int64_t pending, running, run_id[BATCH];
    while (store_pending_count(store, 1, &pending, &running, NULL) == 0 && pending > 0) {
        int finished = 0, group = batched ? BATCH : 1;
        assert_true(!batched || store_batch_begin(store, NULL) == 0);
        for (int i = 0; i < group && store_pending_count(store, 1, &pending, &running, NULL) == 0 && pending > 0; i++)
            finish_one_run(store, &finished, run_id);
        assert_true(!batched || store_batch_end(store, NULL) == 0);
        for (int i = 0; i < finished; i++)
            acknowledged->done[run_id[i]]++;
        acknowledged->total += finished;
    }
    for (;;)
        pause();
}

/* What the daemon does when it starts again, at once: leases that nobody will come back for end. */
static void end_open_attempts(Store *store) {
    AttemptRecord open[RUNS];
    size_t count;
    assert_int_equal(store_attempt_expired(store, INFINITY, open, RUNS, &count, NULL), 0);
    assert_true(count <= 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(store_attempt_end(store, open[i].id,
                                           &(AttemptEnd){.outcome = OUTCOME_LOST, .detail = "", .run_state = RUN_PENDING, .now = 30}, NULL),
                         0);
}

static void check_acknowledged(Store *store, const Acknowledged *acknowledged) {
    for (int64_t id = 1; id <= RUNS; id++) {
        RunRecord run = run_of(store, id);
        assert_true(acknowledged->done[id] <= 1);
        assert_true(!acknowledged->done[id] || (run.state == RUN_DONE && run.has_point && run.last.step == SWEEP_STEPS));
    }
}

/* After `more` further runs, and then anywhere in the next ones. */
static void kill_in_mid_work(const char *home, bool batched, int more, useconds_t delay, Acknowledged *acknowledged) {
    int status, target = acknowledged->total + more;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        work_until_killed(home, batched, acknowledged);
    while (acknowledged->total < target) {
        assert_int_equal(waitpid(child, &status, WNOHANG), 0);
        usleep(200);
    }
    usleep(delay);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_nothing_acknowledged_is_lost(void **state) {
    Acknowledged *acknowledged = mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(acknowledged != MAP_FAILED);
    Store *store = store_at(*state);
    submit(store, "a", RUNS / 4, 4, 1);
    store_free(store);
    Rng rng;
    rng_init(&rng, 7, 1);
    for (int round = 0; round < ROUNDS; round++) {
        kill_in_mid_work(*state, round % 2, (int)rng_below(&rng, 15), (useconds_t)rng_below(&rng, 20000), acknowledged);
        store = store_at(*state);
        assert_sound(store);
        check_acknowledged(store, acknowledged);
        end_open_attempts(store);
        assert_sound(store);
        store_free(store);
    }
    assert_true(acknowledged->total > 0);
    munmap(acknowledged, sizeof *acknowledged);
}

static void test_a_submit_is_all_or_nothing(void **state) {
    Store *store = store_at(*state);
    submit(store, "a", 2, 2, 1);
    store_free(store);
    for (int round = 0; round < 6; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            store = store_at(*state);
            submit(store, "a", 50, 20, 2);
            submit(store, "a", 2, 2, 3);
            for (;;)
                pause();
        }
        int status;
        usleep((useconds_t)(2000 + 15000 * round));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        store = store_at(*state);
        SweepRecord sweep = sweep_of(store, "a");
        assert_true(sweep.runs == 4 || sweep.runs == 1000);
        assert_sound(store);
        store_free(store);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_acknowledged_is_lost, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_a_submit_is_all_or_nothing, home_setup, home_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

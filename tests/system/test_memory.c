/* What a worker takes of its machine: its tensors, and little more. Address sanitizer's own memory would drown that. */
#include "harness.h"

#include "sweepd/arch.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const double MORE_BYTES = 64 << 20; /* that a worker may take beside its tensors */

typedef struct Shape {
    int depth, width, batch;
    const char *precision, *optimizer, *threads;
    int states;
} Shape;

static void write_spec(const Shape *shape) {
    char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: memory\ndata: {name: fashion-mnist, validation: 1000}\nmodel: {kind: bmlp, expansion: 4}\n"
             "grid: {depth: [%d], width: [%d], examples: [%d], seed: [0]}\n"
             "train: {epochs: 2, batch: %d, precision: %s, evaluations: 1, optimizer: {name: %s, lr: 1.0e-4, weight_decay: 0.1}}\n",
             shape->depth, shape->width, shape->batch, shape->batch, shape->precision, shape->optimizer);
    site_write("memory.yaml", text);
}

static double tensor_bytes(const Shape *shape, const json_t *result) {
    Architecture arch = {MODEL_BMLP, SMLP_TEXT, 784, 10, shape->depth, shape->width, 4, 0};
    bool bf16 = strstr(json_string_value(json_object_get(result, "backend")), ", bf16") != NULL;
    return arch_parameter_bytes(&arch, shape->states, bf16) + arch_batch_bytes(&arch, shape->batch, bf16);
}

/* The largest of all children so far, so that a shape must take more than those before it. */
static double most_of_children(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
    return (double)usage.ru_maxrss * 1024;
}

static double mapped_bytes(const json_t *result) {
    char path[PATH_TEXT_MAX];
    struct stat status;
    const char *digest = json_string_value(json_object_get(result, "data_digest"));
    assert_int_equal(path_format(path, NULL, "%s/data/fashion-mnist-%s.pack", site_home(), digest), 0);
    assert_int_equal(stat(path, &status), 0);
    return (double)status.st_size;
}

static void check_shape(const Shape *shape) {
    char spec[PATH_TEXT_MAX], out[PATH_TEXT_MAX], name[64];
    snprintf(name, sizeof name, "out-%d-%d-%s", shape->depth, shape->width, shape->precision);
    write_spec(shape);
    site_path(spec, "memory.yaml");
    site_path(out, name);
    json_t *result = site_json("sweep-worker", "train", spec, "--out", out, "--threads", shape->threads, "--json", NULL);
    double said = json_number_value(json_object_get(result, "memory_bytes")), seen = most_of_children() - mapped_bytes(result);
    double tensors = tensor_bytes(shape, result);
    if (said < tensors || said > tensors + MORE_BYTES || seen > tensors + MORE_BYTES)
        fail_msg("%s: tensors of %.1f MiB; the worker says %.1f, %.1f were seen", name, tensors / 0x1p20, said / 0x1p20, seen / 0x1p20);
    json_decref(result);
}

/* Checkpoints are written all the time (harness), and the first run packs the data set. */
static void test_a_worker_takes_its_tensors_and_little_more(void **state) {
    (void)state;
    static const Shape shapes[] = {
        {2, 64, 128, "fp32", "lion", "1", 1},
        {1, 512, 512, "fp32", "lion", "2", 1},
        {6, 256, 128, "fp32", "adamw", "1", 2},
        {1, 1024, 1024, "auto", "lion", "1", 1},
    };
    if (SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(&shapes[i]);
}

typedef struct Took {
    int64_t pid;
    double bytes;
} Took;

static Took took_of_width(const char *sweep, int64_t width) {
    json_t *run = site_show(site_run_of_width(sweep, width)), *attempts = json_object_get(run, "attempts");
    json_t *environment = json_object_get(json_array_get(attempts, 0), "environment");
    assert_int_equal(json_array_size(attempts), 1);
    Took took = {json_integer_value(json_object_get(environment, "pid")), json_number_value(json_object_get(environment, "memory_bytes"))};
    json_decref(run);
    return took;
}

/* The dearest run comes first. */
static void test_a_worker_keeps_nothing_of_a_large_run(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX];
    if (SANITIZED)
        skip();
    site_write_sweep("two.yaml", "two", "[8, 2048]", 500, 1);
    site_path(file, "two.yaml");
    site_start_daemon("1", NULL);
    site_expect(0, "sweepctl", "submit", file, NULL);
    site_expect(0, "sweepctl", "wait", "two", NULL);
    Took large = took_of_width("two", 2048), small = took_of_width("two", 8);
    assert_int_equal(large.pid, small.pid);
    Architecture arch = {MODEL_BMLP, SMLP_TEXT, 784, 10, 1, 2048, 2, 0};
    assert_true(large.bytes > arch_parameter_bytes(&arch, 1, false));
    arch.width = 8;
    double tensors = arch_parameter_bytes(&arch, 1, false) + arch_batch_bytes(&arch, 128, false);
    if (small.bytes > tensors + MORE_BYTES)
        fail_msg("the small run took %.1f MiB after one of %.1f MiB", small.bytes / 0x1p20, large.bytes / 0x1p20);
}

static bool largest_is_told_of(void *context) {
    (void)context;
    json_t *status = site_json("sweepctl", "status", "room", "--json", NULL);
    const char *waiting = json_string_value(json_object_get(json_object_get(status, "sweep"), "waiting"));
    bool told = waiting && strstr(waiting, "more than the 90 MiB of this machine");
    json_decref(status);
    return told && site_count("room", "done") == 2;
}

/* Two runs that do not fit beside each other, and one that never fits, which says so and stands in nobody's way. */
static void test_runs_wait_for_room(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX];
    site_start("sweepd", "--home", site_home(), "--workers", "2", "--memory", "90M", NULL);
    site_write_sweep("room.yaml", "room", "[8, 16, 2048]", 500, 1);
    site_path(file, "room.yaml");
    site_await_daemon();
    site_expect(0, "sweepctl", "submit", file, NULL);
    site_until(largest_is_told_of, NULL, "two runs are done and the third says why it waits");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_worker_takes_its_tensors_and_little_more, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_a_worker_keeps_nothing_of_a_large_run, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_runs_wait_for_room, site_set_up, site_tear_down),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

/* rate: how fast this machine trains, for the time that a plan estimates. Real training steps (forward, backward, optimizer) on random
 * data, at four widths, because small models are bound by memory and large ones by arithmetic. */
#include "worker.h"

#include <getopt.h>
#include <stdlib.h>

enum { RATE_INPUTS = 784, RATE_CLASSES = 10, RATE_DEPTH = 2, RATE_BATCH = 128, RATE_EVALUATION_WIDTH = 32, RATE_THREADS_MAX = 1024 };
static const int64_t rate_widths[] = {8, 32, 128, 512};
static const double RATE_SECONDS = 0.05; /* per width */

static const char rate_help[] = "Usage: sweep-worker rate [--threads N] [--json]\n"
                                "Measure this machine's training rate: FLOP/s of whole training steps of a B-MLP (depth 2,\n"
                                "784 inputs, 10 classes, batch 128, fp32, Lion) at four widths, in about 0.3 seconds.\n"
                                "\n"
                                "  --threads N   threads of the matrix products (default 1)\n"
                                "  --json        one JSON object\n";

typedef struct RateData {
    float x[RATE_BATCH * RATE_INPUTS];
    uint16_t labels[RATE_BATCH];
} RateData;

static void rate_fill(RateData *data) {
    Rng rng;
    rng_init(&rng, 1, 0);
    for (size_t i = 0; i < RATE_BATCH * RATE_INPUTS; i++)
        data->x[i] = (float)rng_normal(&rng);
    for (size_t i = 0; i < RATE_BATCH; i++)
        data->labels[i] = (uint16_t)rng_below(&rng, RATE_CLASSES);
}

static double rate_train(Model *model, Optimizer *optimizer, const RateData *data) {
    const Architecture *arch = model_architecture(model);
    double flops = (double)arch_step_flops(arch, RATE_BATCH, optimizer_flops(OPTIMIZER_LION));
    double begun = 0, elapsed = 0;
    int64_t steps = -1; /* the first step warms caches up and is not counted */
    do {
        model_train_step(model, data->x, data->labels, RATE_BATCH, 0.1f);
        optimizer_step(optimizer, model_parameters(model), model_gradients(model), 1e-4);
        if (++steps == 0)
            begun = clock_monotonic();
        elapsed = clock_monotonic() - begun;
    } while (steps < 1 || elapsed < RATE_SECONDS);
    return flops * (double)steps / elapsed;
}

static double rate_evaluate(Model *model, const RateData *data) {
    double loss = 0, begun = clock_monotonic(), elapsed;
    int64_t errors = 0, examples = 0;
    do {
        model_evaluate(model, data->x, data->labels, RATE_BATCH, &loss, &errors);
        examples += RATE_BATCH;
        elapsed = clock_monotonic() - begun;
    } while (elapsed < RATE_SECONDS / 2);
    return (double)examples / elapsed;
}

/* One width's rate; examples_per_second is set at the width it is measured at. */
static int rate_measure(int64_t width, const RateData *data, double *flops_per_second, double *examples_per_second, Error *error) {
    Architecture arch = {
        .kind = MODEL_BMLP, .inputs = RATE_INPUTS, .classes = RATE_CLASSES, .depth = RATE_DEPTH, .width = width, .expansion = 4};
    OptimizerSettings settings;
    Model *model = NULL;
    Optimizer *optimizer = NULL;
    optimizer_settings_default(OPTIMIZER_LION, &settings);
    settings.lr = 1e-4;
    BackendKind backend;
    int result = backend_choose(BACKEND_FP32, &backend, error);
    if (!result)
        result = model_new(&model, &arch, RATE_BATCH, backend, error);
    if (!result)
        result = optimizer_new(&optimizer, &settings, model_parameter_count(model), error);
    if (!result) {
        model_init_weights(model, 1);
        *flops_per_second = rate_train(model, optimizer, data);
        if (width == RATE_EVALUATION_WIDTH)
            *examples_per_second = rate_evaluate(model, data);
    }
    optimizer_free(optimizer);
    model_free(model);
    return result;
}

enum { RATE_WIDTHS = sizeof rate_widths / sizeof *rate_widths };

static void rate_print_json(const char *cpu, int threads, const double *rates, double examples) {
    Buffer out;
    buffer_init(&out, 1 << 16);
    buffer_append_text(&out, "{\"schema_version\":1,\"cpu\":");
    buffer_append_json(&out, cpu);
    buffer_printf(&out, ",\"threads\":%d,\"rates\":[", threads);
    for (size_t i = 0; i < RATE_WIDTHS; i++) {
        buffer_printf(&out, "%s{\"width\":%lld,\"flops_per_second\":", i ? "," : "", (long long)rate_widths[i]);
        buffer_append_double(&out, rates[i]);
        buffer_append_text(&out, "}");
    }
    buffer_append_text(&out, "],\"evaluation_examples_per_second\":");
    buffer_append_double(&out, examples);
    buffer_append_text(&out, "}");
    puts(out.data);
    buffer_deinit(&out);
}

static void rate_print_table(const char *cpu, int threads, const double *rates, double examples) {
    printf("%s, %d thread%s\n", cpu, threads, threads == 1 ? "" : "s");
    printf("%8s %12s\n", "width", "GFLOP/s");
    for (size_t i = 0; i < RATE_WIDTHS; i++)
        printf("%8lld %12.2f\n", (long long)rate_widths[i], rates[i] / 1e9);
    printf("evaluation at width %d: %.0f examples/s\n", RATE_EVALUATION_WIDTH, examples);
}

static int rate_run(int threads, bool json) {
    Error error = {0};
    Machine machine;
    double rates[RATE_WIDTHS], examples = 0;
    RateData *data = malloc(sizeof *data);
    if (!data)
        return worker_fail(WORKER_EXIT_ERROR, "out of memory");
    rate_fill(data);
    machine_read(&machine);
    backend_set_threads(threads);
    int result = 0;
    for (size_t i = 0; i < RATE_WIDTHS && !result; i++)
        result = rate_measure(rate_widths[i], data, &rates[i], &examples, &error);
    free(data);
    if (result)
        return worker_fail(WORKER_EXIT_ERROR, "%s", error.text);
    (json ? rate_print_json : rate_print_table)(machine.cpu, threads, rates, examples);
    return WORKER_EXIT_OK;
}

int worker_rate(int argc, char **argv) {
    static const struct option options[] = {
        {"threads", required_argument, NULL, 't'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool json = false;
    int64_t threads = 1;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(rate_help, stdout);
            return WORKER_EXIT_OK;
        }
        if (option == 'j')
            json = true;
        else if (option != 't')
            return worker_fail(WORKER_EXIT_USAGE, "try 'sweep-worker rate --help'");
        else if (worker_read_integer(optarg, 1, RATE_THREADS_MAX, &threads))
            return worker_fail(WORKER_EXIT_USAGE, "--threads %s: a whole number from 1 to %d is wanted", optarg, RATE_THREADS_MAX);
    }
    if (optind < argc)
        return worker_fail(WORKER_EXIT_USAGE, "rate takes no argument '%s'", argv[optind]);
    return rate_run((int)threads, json);
}

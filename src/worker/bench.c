/* bench: what a training step takes, and what its matrix products alone would.
 *
 * A step is all that a run's step is: the batch gathered from 60,000 examples of bytes, forward and backward pass, optimizer. Steps and the
 * same step's products alone (same arrays, same layouts) are timed in turn, in slices, so that both see the same machine. */
#include "worker.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BENCH_INPUTS = 784, BENCH_CLASSES = 10, BENCH_EXAMPLES = 60000, BENCH_SLICES_MAX = 4096, BENCH_LIMIT = 1 << 20, BENCH_WARMUP = 1 };
static const double BENCH_SLICE_SECONDS = 0.05;
static const float BENCH_CENTRE = 71.4F, BENCH_SCALE = 1.0F / 89.25F; /* mean .28, deviation .35 of byte / 255 */

static const char bench_help[] = "Usage: sweep-worker bench [OPTION]...\n"
                                 "Time training steps of a B-MLP (784 inputs, 10 classes, expansion 4, Lion) on random data,\n"
                                 "and the same steps' matrix products alone.\n"
                                 "\n"
                                 "  --depth D       blocks (default 6)\n"
                                 "  --width W       width (default 256)\n"
                                 "  --batch B       examples a step (default 256)\n"
                                 "  --precision P   fp32, bf16 or auto (default fp32)\n"
                                 "  --backend NAME  openblas (fp32 only) or onednn (default: the faster one here)\n"
                                 "  --threads N     threads of the matrix products (default 1)\n"
                                 "  --seconds S     time to spend (default 5)\n"
                                 "  --cpu-time      measure processor time, on a machine that others use\n"
                                 "  --json          one JSON object\n";

typedef struct Bench {
    Architecture arch;
    int64_t batch, threads;
    double seconds;
    const char *precision, *backend_name;
    BackendKind backend;
    bool json, cpu_time;

    uint8_t *rows;
    uint32_t *indices;
    float *x; /* NULL where the model takes it rounded */
    uint16_t *labels;
    Model *model;
    Optimizer *optimizer;
    Rng rng;

    size_t slices;
    double step_seconds[BENCH_SLICES_MAX], product_seconds[BENCH_SLICES_MAX]; /* of one step, slice by slice */
} Bench;

/* ---- what is timed ---- */

static void bench_step(Bench *bench) {
    for (int64_t i = 0; i < bench->batch; i++)
        bench->indices[i] = (uint32_t)rng_below(&bench->rng, BENCH_EXAMPLES);
    if (bench->x)
        rows_gather(bench->rows, BENCH_INPUTS, bench->indices, bench->batch, BENCH_CENTRE, BENCH_SCALE, bench->x);
    else
        rows_gather_rounded(bench->rows, BENCH_INPUTS, bench->indices, bench->batch, BENCH_CENTRE, BENCH_SCALE,
                            model_rounded_inputs(bench->model));
    model_train_step(bench->model, bench->x, bench->labels, bench->batch, 0);
    optimizer_step(bench->optimizer, model_parameters(bench->model), model_gradients(bench->model), 1e-5);
    model_rounded_is_current(bench->model);
}

static void bench_products(Bench *bench) {
    model_multiply_only(bench->model, bench->x, bench->batch);
}

static double bench_clock(const Bench *bench) {
    struct timespec now;
    clock_gettime(bench->cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Seconds of one call, over as many as fill a slice. */
static double bench_slice(Bench *bench, void (*work)(Bench *bench)) {
    double begun = bench_clock(bench), elapsed;
    int64_t calls = 0;
    do {
        work(bench);
        calls++;
        elapsed = bench_clock(bench) - begun;
    } while (elapsed < BENCH_SLICE_SECONDS);
    return elapsed / (double)calls;
}

static void bench_measure(Bench *bench) {
    for (int i = 0; i < BENCH_WARMUP; i++)
        bench_step(bench);
    double end = clock_monotonic() + bench->seconds;
    do {
        bench->step_seconds[bench->slices] = bench_slice(bench, bench_step);
        bench->product_seconds[bench->slices] = bench_slice(bench, bench_products);
        bench->slices++;
    } while (clock_monotonic() < end && bench->slices < BENCH_SLICES_MAX);
}

/* ---- preparing ---- */

static int bench_choose(Bench *bench, Error *error) {
    static const struct {
        const char *name;
        BackendPrecision precision;
    } known[] = {{"fp32", BACKEND_FP32}, {"bf16", BACKEND_BF16}, {"auto", BACKEND_AUTO}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(bench->precision, known[i].name))
            return backend_choose_named(bench->backend_name, known[i].precision, &bench->backend, error);
    return 0;
}

static int bench_prepare(Bench *bench, Error *error) {
    size_t batch = (size_t)bench->batch;
    OptimizerSettings settings;
    optimizer_settings_default(OPTIMIZER_LION, &settings);
    settings.lr = 1e-5;
    settings.weight_decay = 1e-3;
    backend_set_threads((int)bench->threads);
    if (bench_choose(bench, error) || model_new(&bench->model, &bench->arch, bench->batch, bench->backend, error) ||
        optimizer_new(&bench->optimizer, &settings, model_parameter_count(bench->model), error))
        return -1;
    optimizer_set_copy(bench->optimizer, model_rounded_parameters(bench->model));
    model_init_weights(bench->model, 1);
    bench->rows = malloc((size_t)BENCH_EXAMPLES * BENCH_INPUTS);
    bench->indices = malloc(batch * sizeof *bench->indices);
    if (!model_rounded_inputs(bench->model))
        bench->x = malloc(batch * BENCH_INPUTS * sizeof *bench->x);
    bench->labels = malloc(batch * sizeof *bench->labels);
    if (!bench->rows || !bench->indices || (!bench->x && !model_rounded_inputs(bench->model)) || !bench->labels)
        return error_set_memory(error, "out of memory for batches of %lld examples", (long long)bench->batch);
    rng_init(&bench->rng, 1, 0);
    for (size_t i = 0; i < (size_t)BENCH_EXAMPLES * BENCH_INPUTS; i += sizeof(uint64_t)) {
        uint64_t bytes = rng_next(&bench->rng);
        memcpy(bench->rows + i, &bytes, sizeof bytes);
    }
    for (size_t i = 0; i < batch; i++)
        bench->labels[i] = (uint16_t)rng_below(&bench->rng, BENCH_CLASSES);
    return 0;
}

static void bench_free(Bench *bench) {
    free(bench->rows);
    free(bench->indices);
    free(bench->x);
    free(bench->labels);
    optimizer_free(bench->optimizer);
    model_free(bench->model);
    free(bench);
}

/* ---- what is printed ---- */

static int bench_compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double bench_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, bench_compare);
    return (values[count / 2] + values[(count - 1) / 2]) / 2;
}

static void bench_print_json(const Bench *bench, const char *cpu, double samples, double gflops, double gemm_gflops) {
    Buffer out;
    buffer_init(&out, 1 << 16);
    buffer_append_text(&out, "{\"schema_version\":1,\"cpu\":");
    buffer_append_json(&out, cpu);
    buffer_append_text(&out, ",\"backend\":");
    buffer_append_json(&out, backend_text(bench->backend));
    buffer_printf(&out, ",\"depth\":%lld,\"width\":%lld,\"batch\":%lld,\"threads\":%lld,\"precision\":\"%s\"", (long long)bench->arch.depth,
                  (long long)bench->arch.width, (long long)bench->batch, (long long)bench->threads,
                  bench->backend == BACKEND_ONEDNN_BF16 ? "bf16" : "fp32");
    buffer_append_text(&out, ",\"samples_per_second\":");
    buffer_append_double(&out, samples);
    buffer_append_text(&out, ",\"gflops\":");
    buffer_append_double(&out, gflops);
    buffer_append_text(&out, ",\"gemm_gflops\":");
    buffer_append_double(&out, gemm_gflops);
    buffer_append_text(&out, "}");
    puts(out.data);
    buffer_deinit(&out);
}

static void bench_print(Bench *bench) {
    Machine machine;
    machine_read(&machine);
    double step = bench_median(bench->step_seconds, bench->slices), products = bench_median(bench->product_seconds, bench->slices);
    double gigaflops = 1e-9 * (double)arch_step_gemm_flops(&bench->arch, bench->batch), samples = (double)bench->batch / step;
    if (bench->json) {
        bench_print_json(bench, machine.cpu, samples, gigaflops / step, gigaflops / products);
        return;
    }
    printf("%s, %lld thread%s, %s\n", machine.cpu, (long long)bench->threads, bench->threads == 1 ? "" : "s", backend_text(bench->backend));
    printf("depth %lld, width %lld, batch %lld\n", (long long)bench->arch.depth, (long long)bench->arch.width, (long long)bench->batch);
    printf("%12.0f samples/s\n%12.1f GFLOP/s of matrix products in whole steps\n%12.1f GFLOP/s of the same products alone\n", samples,
           gigaflops / step, gigaflops / products);
    printf("%12.1f %% of a step's time would do for its products\n", 100 * products / step);
}

/* ---- the command line ---- */

static int bench_read_choice(const char *option, const char *text, const char *const *choices, const char **out) {
    for (size_t i = 0; choices[i]; i++)
        if (!strcmp(text, choices[i])) {
            *out = choices[i];
            return 0;
        }
    return worker_fail(WORKER_EXIT_USAGE, "--%s %s: try 'sweep-worker bench --help'", option, text);
}

static int bench_read_option(Bench *bench, int option) {
    static const char *const precisions[] = {"fp32", "bf16", "auto", NULL}, *const backends[] = {"openblas", "onednn", NULL};
    int64_t *number = option == 'd'   ? &bench->arch.depth
                      : option == 'w' ? &bench->arch.width
                      : option == 'b' ? &bench->batch
                      : option == 't' ? &bench->threads
                                      : NULL;
    if (number)
        return worker_read_integer(optarg, 1, BENCH_LIMIT, number)
                   ? worker_fail(WORKER_EXIT_USAGE, "%s: a whole number from 1 to %d is wanted", optarg, BENCH_LIMIT)
                   : 0;
    switch (option) {
    case 'p':
        return bench_read_choice("precision", optarg, precisions, &bench->precision);
    case 'k':
        return bench_read_choice("backend", optarg, backends, &bench->backend_name);
    case 's':
        return worker_read_seconds(optarg, 0, 3600, &bench->seconds)
                   ? worker_fail(WORKER_EXIT_USAGE, "--seconds %s: a number from 0 to 3600 is wanted", optarg)
                   : 0;
    case 'c':
        bench->cpu_time = true;
        return 0;
    case 'j':
        bench->json = true;
        return 0;
    default:
        return worker_fail(WORKER_EXIT_USAGE, "try 'sweep-worker bench --help'");
    }
}

static int bench_read_options(Bench *bench, int argc, char **argv, bool *help) {
    static const struct option options[] = {{"depth", required_argument, NULL, 'd'},
                                            {"width", required_argument, NULL, 'w'},
                                            {"batch", required_argument, NULL, 'b'},
                                            {"precision", required_argument, NULL, 'p'},
                                            {"backend", required_argument, NULL, 'k'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"cpu-time", no_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option, code = 0;
    while (!code && !*help && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        *help = option == 'h';
        code = *help ? 0 : bench_read_option(bench, option);
    }
    if (!code && !*help && optind < argc)
        return worker_fail(WORKER_EXIT_USAGE, "bench takes no argument '%s'", argv[optind]);
    return code;
}

int worker_bench(int argc, char **argv) {
    Error error = {0};
    bool help = false;
    Bench *bench = calloc(1, sizeof *bench);
    if (!bench)
        return worker_fail(WORKER_EXIT_ERROR, "out of memory");
    bench->arch =
        (Architecture){.kind = MODEL_BMLP, .inputs = BENCH_INPUTS, .classes = BENCH_CLASSES, .depth = 6, .width = 256, .expansion = 4};
    bench->batch = 256;
    bench->threads = 1;
    bench->seconds = 5;
    bench->precision = "fp32";
    int code = bench_read_options(bench, argc, argv, &help);
    if (help) {
        fputs(bench_help, stdout);
    } else if (!code && bench_prepare(bench, &error)) {
        code = worker_fail(WORKER_EXIT_ERROR, "%s", error.text);
    } else if (!code) {
        bench_measure(bench);
        bench_print(bench);
    }
    bench_free(bench);
    return code;
}

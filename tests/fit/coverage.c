/* How often the intervals hold the truth: many simulated studies of a known law, each fitted with its bootstrap.
 *
 *     fit-coverage [--studies N] [--resamples N] [--noise S] [--level L] [--threads N] [--seed N] [--law N] [--method NAME]
 *                  [--loss huber|mse|asymmetric] [--at-least SHARE] [--at-most SHARE]
 *
 * prints a table in Markdown, a row for each law and method. The plain studies have the quickstart's shape, 10 sizes by 8 numbers of
 * examples; those of isoflop have 8 budgets of 10 sizes around each budget's optimum. Exit 1 when the share of an exponent's intervals that
 * hold the truth lies outside --at-least to --at-most. */
#include "internal.h"
#include "known_law.h"

#include <getopt.h>
#include <stdio.h>

typedef struct Simulation {
    TrueLaw law;
    double sizes[2], examples[2];
} Simulation;

static const Simulation SIMULATIONS[] = {
    {{0.08, 3, 5, 0.40, 0.45}, {6e3, 4e5}, {500, 55000}},
    {{0.10, 2, 20, 0.30, 0.55}, {6e3, 4e5}, {500, 55000}},
    {{0.15, 40, 8, 0.60, 0.40}, {6e3, 4e5}, {500, 55000}},
    {{1.69, 406.4, 410.7, 0.34, 0.28}, {1e7, 1e10}, {1e9, 1e12}},
    {{1.8172, 482.01, 2085.43, 0.3478, 0.3658}, {1e7, 1e10}, {1e9, 1e12}},
};
enum { SIMULATIONS_COUNT = sizeof SIMULATIONS / sizeof *SIMULATIONS, POINTS = 80 };

/* What is counted: the exponent of P* (that of N* is 1 minus it), and the law's constants where the method has them. */
enum { QUANTITY_PARAMS, QUANTITY_EXAMPLES, QUANTITY_E, QUANTITY_ALPHA, QUANTITY_BETA, QUANTITIES };

typedef struct Outcome {
    bool fitted, bound;
    FitEstimate estimates[QUANTITIES];
} Outcome;

typedef struct Run {
    const Simulation *simulation;
    FitMethod method;
    FitLoss loss;
    int64_t studies, resamples;
    double noise, level;
    uint64_t seed;
    int threads;
    Outcome *outcomes; /* [studies] */
} Run;

/* 8 budgets over the compute of the plain grid's middle, each with 10 sizes within a factor 8 of its optimum. */
static void make_isoflop_points(const Run *run, uint64_t seed, FitPoint *points) {
    enum { BUDGETS = 8, SIZES = 10 };
    const Simulation *simulation = run->simulation;
    double low = 6 * simulation->sizes[0] * simulation->examples[0], high = 6 * simulation->sizes[1] * simulation->examples[1];
    Rng rng;
    rng_init(&rng, seed, 7);
    for (size_t i = 0; i < BUDGETS * SIZES; i++) {
        double flops = low * pow(high / low, (double)(i / SIZES) / (BUDGETS - 1));
        double best = law_g(&simulation->law) * pow(flops / 6, law_params_exponent(&simulation->law));
        double params = best * pow(8, 2 * (double)(i % SIZES) / (SIZES - 1) - 1), examples = flops / (6 * params);
        double loss = law_loss(&simulation->law, params, examples) * exp(run->noise * rng_normal(&rng));
        points[i] = (FitPoint){params, examples, flops, loss, 0, (int64_t)i};
    }
}

static void simulate(void *context, int member, int64_t index) {
    (void)member;
    const Run *run = context;
    FitPoint points[POINTS];
    uint64_t seed = run->seed * 1000003 + (uint64_t)index;
    if (run->method == FIT_ISOFLOP) {
        make_isoflop_points(run, seed, points);
    } else {
        law_grid(&run->simulation->law, points, 10, run->simulation->sizes, 8, run->simulation->examples, run->noise, seed);
    }
    FitOptions options;
    fit_options_default(&options);
    options.resamples = run->resamples;
    options.level = run->level;
    options.loss = run->loss;
    options.seed = seed;
    Fit fit;
    Outcome *outcome = &run->outcomes[index];
    *outcome = (Outcome){.fitted = fit_make(&fit, run->method, points, POINTS, &options, NULL) == 0};
    if (outcome->fitted) {
        static const char *const names[] = {"E", "alpha", "beta"};
        outcome->estimates[QUANTITY_PARAMS] = fit.params.exponent;
        outcome->estimates[QUANTITY_EXAMPLES] = fit.examples.exponent;
        for (int i = 0; i < 3; i++) {
            const FitParameter *parameter = fit_parameter(&fit, names[i]);
            outcome->estimates[QUANTITY_E + i] = parameter == NULL ? fit_estimate(NAN) : parameter->estimate;
            outcome->bound |= parameter != NULL && parameter->at_bound;
        }
    }
    fit_deinit(&fit);
}

typedef struct Tally {
    int64_t stated, held, below, above; /* of the truth: intervals that hold it, that lie below it, above it */
    double width;                       /* mean */
} Tally;

static Tally tally(const Run *run, int quantity, double truth) {
    Tally out = {0};
    for (int64_t i = 0; i < run->studies; i++) {
        const FitEstimate *estimate = &run->outcomes[i].estimates[quantity];
        if (run->outcomes[i].fitted && !isnan(estimate->lo)) {
            out.stated++;
            out.below += estimate->hi < truth;
            out.above += estimate->lo > truth;
            out.width += estimate->hi - estimate->lo;
        }
    }
    out.held = out.stated - out.below - out.above;
    out.width /= (double)out.stated;
    return out;
}

/* Prints a row; returns false when the share of an exponent lies outside `bounds`. */
static bool run_print(const Run *run, const double bounds[2]) {
    const TrueLaw *law = &run->simulation->law;
    const double a = law_params_exponent(law), truths[QUANTITIES] = {a, 1 - a, law->E, law->alpha, law->beta};
    int64_t refused = 0, bound = 0;
    for (int64_t i = 0; i < run->studies; i++) {
        refused += !run->outcomes[i].fitted;
        bound += run->outcomes[i].bound;
    }
    printf("| %s | %g, %g, %g, %g, %g | %lld | %lld |", fit_method_text(run->method), law->E, law->A, law->B, law->alpha, law->beta,
           (long long)refused, (long long)bound);
    bool good = true;
    for (int i = 0; i < QUANTITIES; i++) {
        Tally counts = tally(run, i, truths[i]);
        double share = (double)counts.held / (double)counts.stated;
        if (counts.stated == 0) {
            printf(" - |");
        } else {
            printf(" %.1f (%lld, %lld), %.3f |", 100 * share, (long long)counts.below, (long long)counts.above, counts.width);
        }
        good = good && (i > QUANTITY_EXAMPLES || (share >= bounds[0] && share <= bounds[1]));
    }
    printf("\n");
    fflush(stdout);
    return good;
}

typedef struct Arguments {
    Run run;          /* what all rows share; its method counts where only_method is set */
    double bounds[2]; /* on the share that holds the truth */
    int only_law;     /* -1: every law */
    bool only_method;
} Arguments;

/* False: a flag that is none, or a value that is none of its. */
static bool find_method(const char *name, FitMethod *out) {
    for (*out = 0; *out < FIT_METHODS; ++*out) {
        if (strcmp(name, fit_method_text(*out)) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_arguments(Arguments *out, int argc, char **argv) {
    static const struct option flags[] = {{"studies", 1, NULL, 'n'}, {"resamples", 1, NULL, 'r'}, {"noise", 1, NULL, 's'},
                                          {"level", 1, NULL, 'l'},   {"threads", 1, NULL, 't'},   {"seed", 1, NULL, 'S'},
                                          {"law", 1, NULL, 'L'},     {"method", 1, NULL, 'm'},    {"at-least", 1, NULL, 'a'},
                                          {"at-most", 1, NULL, 'b'}, {"loss", 1, NULL, 'o'},      {NULL, 0, NULL, 0}};
    *out = (Arguments){
        .run = {.studies = 1000, .resamples = 1000, .noise = 0.02, .level = 0.95, .threads = 1}, .bounds = {0, 1}, .only_law = -1};
    for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        switch (flag) {
        case 'n':
            out->run.studies = strtoll(optarg, NULL, 10);
            break;
        case 'r':
            out->run.resamples = strtoll(optarg, NULL, 10);
            break;
        case 's':
            out->run.noise = strtod(optarg, NULL);
            break;
        case 'l':
            out->run.level = strtod(optarg, NULL);
            break;
        case 't':
            out->run.threads = (int)strtol(optarg, NULL, 10);
            break;
        case 'S':
            out->run.seed = strtoull(optarg, NULL, 10);
            break;
        case 'L':
            out->only_law = (int)strtol(optarg, NULL, 10);
            break;
        case 'a':
            out->bounds[0] = strtod(optarg, NULL);
            break;
        case 'b':
            out->bounds[1] = strtod(optarg, NULL);
            break;
        case 'o':
            if (fit_loss_find(optarg, &out->run.loss) != 0) {
                return false;
            }
            break;
        case 'm':
            out->only_method = true;
            if (!find_method(optarg, &out->run.method)) {
                return false;
            }
            break;
        default:
            return false;
        }
    }
    return out->run.studies > 0;
}

/* Every row that the arguments ask for; false when a share lies outside their bounds. */
static bool run_rows(const Arguments *arguments) {
    static const FitMethod methods[] = {FIT_PARAMETRIC, FIT_VPNLS, FIT_ISOFLOP};
    FitOptions threads;
    fit_options_default(&threads);
    threads.threads = arguments->run.threads;
    bool good = true;
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        for (int i = 0; i < SIMULATIONS_COUNT; i++) {
            if ((arguments->only_law < 0 || arguments->only_law == i) && (!arguments->only_method || methods[m] == arguments->run.method)) {
                Run one = arguments->run;
                one.method = methods[m];
                one.simulation = &SIMULATIONS[i];
                fit_parallel(one.studies, &threads, false, simulate, &one);
                good = run_print(&one, arguments->bounds) && good;
            }
        }
    }
    return good;
}

int main(int argc, char **argv) {
    Arguments arguments;
    if (!read_arguments(&arguments, argc, argv)) {
        fprintf(stderr, "usage: see tests/fit/coverage.c\n");
        return 2;
    }
    arguments.run.outcomes = calloc((size_t)arguments.run.studies, sizeof *arguments.run.outcomes);
    if (arguments.run.outcomes == NULL) {
        return 2;
    }
    printf("| method | law: E, A, B, alpha, beta | refused | E at 0 | P\\* exponent | N\\* exponent | E | alpha | beta "
           "|\n|---|---|---|---|---|---|---|---|---|\n");
    bool good = run_rows(&arguments);
    free(arguments.run.outcomes);
    return good ? 0 : 1;
}

/* What a fit says at a compute, or of a run: the value from the estimates, the interval from the cloud, draw by draw. */
#include "law.h"
#include "power.h"

#include <math.h>
#include <stdlib.h>

bool fit_has_intervals(const Fit *fit) {
    if (fit->cloud_count == 0) {
        return false;
    }
    bool any = isfinite(fit->params.exponent.lo);
    for (size_t i = 0; i < fit->parameter_count; i++) {
        any = any || isfinite(fit->parameters[i].estimate.lo);
    }
    return any;
}

/* The estimates in the order of a draw. */
static void estimates_of(const Fit *fit, double draw[FIT_FRONTIER_COLUMNS + FIT_PARAMETERS_MAX]) {
    size_t column = 0;
    if (fit_method_has_frontier(fit->method)) {
        draw[column++] = fit->params.exponent.value;
        draw[column++] = fit->params.coefficient.value;
        draw[column++] = fit->examples.exponent.value;
        draw[column++] = fit->examples.coefficient.value;
    }
    for (size_t i = 0; i < fit->parameter_count; i++) {
        draw[column++] = fit->parameters[i].estimate.value;
    }
}

/* What is asked of each draw, and where. */
typedef struct Question {
    double (*answer)(const struct Question *question, const double *draw);
    double flops, params, examples;
} Question;

static double answer_params(const Question *question, const double *draw) {
    return draw[1] * pow(question->flops, draw[0]);
}

static double answer_examples(const Question *question, const double *draw) {
    return draw[3] * pow(question->flops, draw[2]);
}

static double answer_loss(const Question *question, const double *draw) {
    const double *law = draw + FIT_FRONTIER_COLUMNS;
    return law[LAW_E] + law[LAW_A] * pow(question->params, -law[LAW_ALPHA]) + law[LAW_B] * pow(question->examples, -law[LAW_BETA]);
}

static double answer_loss_at_optimum(const Question *question, const double *draw) {
    const Question optimum = {.params = answer_params(question, draw), .examples = answer_examples(question, draw)};
    return answer_loss(&optimum, draw);
}

static double answer_power(const Question *question, const double *law) {
    return power_loss(law, question->flops);
}

/* *out is NaN throughout where memory runs out and -1 comes back. */
static int ask(FitEstimate *out, const Fit *fit, const Question *question, double level, Error *error) {
    double draw[FIT_FRONTIER_COLUMNS + FIT_PARAMETERS_MAX];
    estimates_of(fit, draw);
    *out = fit_estimate(question->answer(question, draw));
    if (!fit_has_intervals(fit)) {
        return 0;
    }
    double *values = calloc(fit->cloud_count, sizeof *values);
    if (values == NULL) {
        return error_set_memory(error, "out of memory for %zu draws", fit->cloud_count);
    }
    for (size_t i = 0; i < fit->cloud_count; i++) {
        values[i] = question->answer(question, fit->cloud + i * fit->cloud_columns);
    }
    int result = fit_estimate_interval(out, values, fit->cloud_count, 1, level, error);
    free(values);
    return result;
}

FitEstimate fit_frontier_at(const Fit *fit, bool examples, double flops, double level) {
    const Question question = {.answer = examples ? answer_examples : answer_params, .flops = flops};
    FitEstimate at = fit_estimate(NAN);
    if (fit_method_has_frontier(fit->method)) {
        ask(&at, fit, &question, level, NULL);
    }
    return at;
}

static bool has_surface(const Fit *fit) {
    return fit->method == FIT_PARAMETRIC || fit->method == FIT_VPNLS;
}

FitEstimate fit_predict_loss(const Fit *fit, double params, double examples, double level) {
    const Question question = {.answer = answer_loss, .params = params, .examples = examples};
    FitEstimate loss = fit_estimate(NAN);
    if (has_surface(fit)) {
        ask(&loss, fit, &question, level, NULL);
    }
    return loss;
}

int fit_predict(FitPrediction *out, const Fit *fit, double flops, double level, Error *error) {
    const FitEstimate none = fit_estimate(NAN);
    *out = (FitPrediction){.flops = flops, .params = none, .examples = none, .loss = none};
    if (!(flops > 0) || !isfinite(flops) || !(level > 0 && level < 1)) {
        return error_set(error, "compute must be positive and finite, and the level between 0 and 1: %g, %g", flops, level);
    }
    out->beyond = flops < fit->flops_lowest * (1 - 1e-9) || flops > fit->flops_highest * (1 + 1e-9);
    Question question = {.flops = flops};
    if (fit_method_has_frontier(fit->method)) {
        question.answer = answer_params;
        if (ask(&out->params, fit, &question, level, error) < 0) {
            return -1;
        }
        question.answer = answer_examples;
        if (ask(&out->examples, fit, &question, level, error) < 0) {
            return -1;
        }
    }
    if (fit_method_has_law(fit->method)) {
        question.answer = has_surface(fit) ? answer_loss_at_optimum : answer_power;
        return ask(&out->loss, fit, &question, level, error);
    }
    return 0;
}

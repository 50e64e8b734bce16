/* Fits as JSON. Every method's object has the same keys; what a method does not have is null or empty. */
#include "fits.h"
#include "tuning.h"

#include <math.h>
#include <string.h>

enum { CLOUD_STORED_MAX = 10000 };

static void encode_number(const char *before, double value, Buffer *out) {
    buffer_append_text(out, before);
    buffer_append_double(out, value);
}

void estimate_encode(const FitEstimate *estimate, Buffer *out) {
    encode_number("{\"value\":", estimate->value, out);
    encode_number(",\"lo\":", estimate->lo, out);
    encode_number(",\"hi\":", estimate->hi, out);
    buffer_append_text(out, "}");
}

static void encode_frontier(const char *name, const FitFrontier *frontier, Buffer *out) {
    buffer_printf(out, "\"%s\":{", name);
    encode_number("\"value\":", frontier->exponent.value, out);
    encode_number(",\"lo\":", frontier->exponent.lo, out);
    encode_number(",\"hi\":", frontier->exponent.hi, out);
    encode_number(",\"coefficient\":", frontier->coefficient.value, out);
    encode_number(",\"coefficient_lo\":", frontier->coefficient.lo, out);
    encode_number(",\"coefficient_hi\":", frontier->coefficient.hi, out);
    buffer_append_text(out, "}");
}

static void encode_list(const FitWarnings *warnings, bool *begun, Buffer *out) {
    for (size_t i = 0; i < warnings->count; i++) {
        buffer_append_text(out, *begun ? ",{\"code\":" : "{\"code\":");
        buffer_append_json(out, warnings->items[i].code);
        buffer_append_text(out, ",\"text\":");
        buffer_append_json(out, warnings->items[i].text);
        buffer_append_text(out, "}");
        *begun = true;
    }
}

void warnings_encode(const FitWarnings *first, const FitWarnings *second, Buffer *out) {
    bool begun = false;
    buffer_append_text(out, ",\"warnings\":[");
    encode_list(first, &begun, out);
    encode_list(second, &begun, out);
    buffer_append_text(out, "]");
}

void study_encode(const Study *study, Buffer *out) {
    const StudyOptions *options = &study->options;
    buffer_append_text(out, ",\"source\":");
    buffer_append_json(out, study->name);
    buffer_printf(out, ",\"points\":%zu,\"metric\":", study->point_count);
    buffer_append_json(out, options->metric);
    if (!study->of_table)
        buffer_printf(out, ",\"flops\":\"%s\",\"params\":\"%s\"", flop_count_text(options->flops), options->body_params ? "body" : "total");
    buffer_printf(out, ",\"loss\":\"%s\",\"bootstrap\":%lld,\"seed\":%llu,\"left_out\":{\"where\":%lld,\"first\":%lld}",
                  fit_loss_text(options->loss), (long long)options->resamples, (unsigned long long)options->seed,
                  (long long)study->left_out.unwanted, (long long)study->left_out.first);
    tuning_encode(study, out);
}

/* ---- one method ---- */

/* The names of the laws' constants are there for every method, and the method's own as well. */
static void encode_parameters(const Fit *fit, Buffer *out) {
    static const char *const names[] = {"E", "A", "B", "alpha", "beta"};
    bool begun = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const FitParameter *parameter = fit_parameter(fit, names[i]);
        buffer_printf(out, ",\"%s\":", names[i]);
        buffer_append_double(out, parameter ? parameter->estimate.value : NAN);
    }
    for (size_t i = 0; i < fit->parameter_count; i++) {
        const FitParameter *parameter = &fit->parameters[i];
        bool said = false;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            said = said || !strcmp(names[j], parameter->name);
        if (!said) {
            buffer_printf(out, ",\"%s\":", parameter->name);
            buffer_append_double(out, parameter->estimate.value);
        }
    }
    buffer_append_text(out, ",\"intervals\":{");
    for (size_t i = 0; i < fit->parameter_count; i++) {
        buffer_printf(out, "%s\"%s\":[", i ? "," : "", fit->parameters[i].name);
        encode_number("", fit->parameters[i].estimate.lo, out);
        encode_number(",", fit->parameters[i].estimate.hi, out);
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, "},\"at_bound\":[");
    for (size_t i = 0; i < fit->parameter_count; i++)
        if (fit->parameters[i].at_bound) {
            buffer_printf(out, "%s\"%s\"", begun ? "," : "", fit->parameters[i].name);
            begun = true;
        }
    buffer_append_text(out, "]");
}

/* Of ln predicted - ln measured. */
static void encode_residuals(const Fits *fits, const Fit *fit, Buffer *out) {
    double sum = 0, squares = 0;
    size_t worst = 0;
    if (!fit->residuals || fit->points == 0) {
        buffer_append_text(out, ",\"residuals\":null");
        return;
    }
    for (size_t i = 0; i < fit->points; i++) {
        sum += fit->residuals[i];
        squares += fit->residuals[i] * fit->residuals[i];
        worst = fabs(fit->residuals[i]) > fabs(fit->residuals[worst]) ? i : worst;
    }
    const FitPoint *point = &fits->study->points[fit->source[worst]];
    encode_number(",\"residuals\":{\"rms\":", sqrt(squares / (double)fit->points), out);
    encode_number(",\"mean\":", sum / (double)fit->points, out);
    encode_number(",\"worst\":{\"value\":", fit->residuals[worst], out);
    encode_number(",\"params\":", point->params, out);
    encode_number(",\"examples\":", point->examples, out);
    encode_number(",\"flops\":", point->flops, out);
    encode_number(",\"loss\":", point->loss, out);
    buffer_append_text(out, "}}");
}

static void encode_budgets(const Fit *fit, Buffer *out) {
    buffer_printf(out, ",\"budgets_used\":%zu,\"budgets\":[", fit->budgets_used);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        encode_number(i ? ",{\"flops\":" : "{\"flops\":", budget->flops, out);
        encode_number(",\"params\":", budget->params, out);
        encode_number(",\"examples\":", budget->examples, out);
        encode_number(",\"loss\":", budget->loss, out);
        encode_number(",\"misfit\":", budget->misfit, out);
        encode_number(",\"weight\":", budget->weight, out);
        buffer_printf(out, ",\"sizes\":%zu,\"refused\":%s}", budget->points, budget->refused ? "true" : "false");
    }
    buffer_append_text(out, "]");
}

static void encode_fit(const Fits *fits, const Fit *fit, Buffer *out) {
    encode_number(",\"objective\":", fit->objective, out);
    encode_parameters(fit, out);
    encode_number(",\"flops_per_param_example\":", fit->c, out);
    encode_number(",\"flops_power_of_params\":", fit->c_power, out);
    buffer_append_text(out, ",\"exponents\":{");
    encode_frontier("P", &fit->params, out);
    buffer_append_text(out, ",");
    encode_frontier("N", &fit->examples, out);
    buffer_printf(out, "},\"starts\":{\"tried\":%lld,\"at_optimum\":%lld}", (long long)fit->starts_tried,
                  (long long)fit->starts_at_optimum);
    encode_number(",\"condition\":", fit->condition, out);
    encode_residuals(fits, fit, out);
    if (fit->method == FIT_ISOFLOP)
        encode_budgets(fit, out);
}

/* What the store keeps of a cloud; of a larger one evenly spaced draws, for they are in no order. */
static void encode_cloud(const Fit *fit, Buffer *out) {
    size_t kept = fit->cloud_count < CLOUD_STORED_MAX ? fit->cloud_count : CLOUD_STORED_MAX;
    buffer_printf(out, ",\"cloud\":{\"draws\":%zu,\"columns\":[", fit->cloud_count);
    for (size_t i = 0; i < fit->cloud_columns; i++)
        buffer_printf(out, "%s\"%s\"", i ? "," : "", fit_cloud_column(fit, i));
    buffer_append_text(out, "],\"values\":[");
    for (size_t i = 0; i < kept; i++) {
        const double *draw = fit->cloud + i * fit->cloud_count / kept * fit->cloud_columns;
        for (size_t j = 0; j < fit->cloud_columns; j++) {
            buffer_printf(out, j ? "," : i ? ",[" : "[");
            if (isfinite(draw[j]))
                buffer_printf(out, "%.9g", draw[j]);
            else
                buffer_append_text(out, "null");
        }
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, "]}");
}

static void encode_begin(const Fits *fits, FitMethod method, bool alone, Buffer *out) {
    buffer_printf(out, "{%s\"method\":\"%s\"", alone ? "\"schema_version\":1," : "", fit_method_text(method));
    study_encode(fits->study, out);
}

/* alone: with schema_version. */
static void encode_method(const Fits *fits, FitMethod method, bool alone, bool cloud, Buffer *out) {
    const Fit *fit = fits_find(fits, method);
    const FitRefusal *refusal = fits_refusal(fits, method);
    encode_begin(fits, method, alone, out);
    if (fit) {
        encode_fit(fits, fit, out);
    } else {
        buffer_append_text(out, ",\"refused\":");
        buffer_append_json(out, refusal->text);
        buffer_append_text(out, ",\"refusal\":");
        buffer_append_json(out, refusal->code);
    }
    if (fit && cloud)
        encode_cloud(fit, out);
    warnings_encode(fit ? &fit->warnings : &refusal->warnings, &fits->warnings, out);
    buffer_append_text(out, "}");
}

void fits_encode(const Fits *fits, Buffer *out) {
    bool alone = fits->count + fits->refused == 1, begun = false;
    if (!alone)
        buffer_append_text(out, "{\"schema_version\":1,\"fits\":[");
    for (size_t i = 0; i < FIT_METHODS; i++) {
        FitMethod method = fits_order[i];
        if (!fits_find(fits, method) && !fits_refusal(fits, method))
            continue;
        buffer_append_text(out, begun ? "," : "");
        encode_method(fits, method, alone, false, out);
        begun = true;
    }
    buffer_append_text(out, alone ? "\n" : "]}\n");
}

int fits_store(const Fits *fits, Source *source, const SweepRecord *sweep, Error *error) {
    char path[PATH_TEXT_MAX];
    int result = source_path(path, "/v1/sweeps/", sweep->name, "/fits", error);
    for (size_t i = 0; i < fits->count && !result; i++) {
        FitMethod method = fits->fits[i].method;
        Buffer body, answer;
        buffer_init(&body, WIRE_BODY_MAX);
        buffer_init(&answer, WIRE_BODY_MAX);
        buffer_printf(&body, "{\"method\":\"%s\",\"fit\":", fit_method_text(method));
        encode_method(fits, method, true, true, &body);
        buffer_append_text(&body, "}");
        result = buffer_check(&body, error, "the fit");
        if (!result)
            result = source_call(source, path, &body, 30, &answer, error);
        buffer_deinit(&body);
        buffer_deinit(&answer);
    }
    return result;
}

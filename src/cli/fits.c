#include "fits.h"

#include <string.h>
#include <unistd.h>

/* ---- making ---- */

static void on_progress(void *context, int64_t done, int64_t of) {
    const char *method = context;
    if (done < of)
        fprintf(stderr, "\rbootstrap of the %s fit: %lld of %lld\033[K", method, (long long)done, (long long)of);
    else
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

static void fit_options_make(FitOptions *out, const StudyOptions *options, const char *method) {
    Machine machine;
    machine_read(&machine);
    fit_options_default(out);
    out->resamples = options->resamples;
    out->seed = options->seed;
    out->threads = machine.cores;
    if (isatty(STDERR_FILENO)) {
        out->on_progress = on_progress;
        out->context = (void *)(uintptr_t)method;
    }
}

/* A refusal is an outcome to be told, not a failure: its text is kept. */
static int settle(Fits *fits, int result, FitMethod method, char refusal[ERROR_TEXT_MAX], const Error *error) {
    if (result == FIT_REFUSED)
        text_copy(refusal, ERROR_TEXT_MAX, error->text);
    else if (result == 0)
        fits->fitted |= method;
    return result < 0 ? result : 0;
}

int fits_make(Fits *out, const char *source, const FitPoint *points, size_t count, const StudyOptions *options, const Study *study,
              Error *error) {
    FitOptions fit_options;
    *out = (Fits){.options = options, .of_table = !study, .source = source, .points = count, .methods = options->methods};
    int result = 0;
    if (options->methods & FIT_PARAMETRIC) {
        fit_options_make(&fit_options, options, "parametric");
        result = fit_parametric(&out->parametric, points, count, &fit_options, error);
        result = settle(out, result, FIT_PARAMETRIC, out->parametric_refusal, error);
        if (study)
            study_warnings(study, &out->parametric.warnings);
    }
    if (!result && options->methods & FIT_ISOFLOP) {
        fit_options_make(&fit_options, options, "IsoFLOP");
        result = fit_isoflop(&out->isoflop, points, count, &fit_options, error);
        result = settle(out, result, FIT_ISOFLOP, out->isoflop_refusal, error);
        if (study)
            study_warnings(study, &out->isoflop.warnings);
    }
    if (result)
        fits_deinit(out);
    return result;
}

void fits_deinit(Fits *fits) {
    if (!fits)
        return;
    if (fits->fitted & FIT_PARAMETRIC)
        fit_parametric_deinit(&fits->parametric);
    if (fits->fitted & FIT_ISOFLOP)
        fit_isoflop_deinit(&fits->isoflop);
    fits->fitted = 0;
}

/* ---- JSON ---- */

static void encode_number(const char *before, double value, Buffer *out) {
    buffer_append_text(out, before);
    buffer_append_double(out, value);
}

static void encode_exponent(const char *name, const FitFrontier *frontier, Buffer *out) {
    buffer_printf(out, "\"%s\":{", name);
    encode_number("\"value\":", frontier->exponent.value, out);
    encode_number(",\"lo\":", frontier->exponent.lo, out);
    encode_number(",\"hi\":", frontier->exponent.hi, out);
    encode_number(",\"coefficient\":", frontier->coefficient.value, out);
    encode_number(",\"coefficient_lo\":", frontier->coefficient.lo, out);
    encode_number(",\"coefficient_hi\":", frontier->coefficient.hi, out);
    buffer_append_text(out, "}");
}

static void encode_exponents(const FitFrontier *params, const FitFrontier *examples, Buffer *out) {
    buffer_append_text(out, ",\"exponents\":{");
    encode_exponent("P", params, out);
    buffer_append_text(out, ",");
    encode_exponent("N", examples, out);
    buffer_append_text(out, "}");
}

static void encode_warnings(const FitWarnings *warnings, Buffer *out) {
    buffer_append_text(out, ",\"warnings\":[");
    for (size_t i = 0; i < warnings->count; i++) {
        buffer_append_text(out, i ? ",{\"code\":" : "{\"code\":");
        buffer_append_json(out, warnings->items[i].code);
        buffer_append_text(out, ",\"text\":");
        buffer_append_json(out, warnings->items[i].text);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
}

static void encode_parametric(const ParametricFit *fit, Buffer *out) {
    const struct {
        const char *name;
        const FitEstimate *estimate;
    } constants[] = {{"E", &fit->E}, {"A", &fit->A}, {"B", &fit->B}, {"alpha", &fit->alpha}, {"beta", &fit->beta}};
    encode_number(",\"objective\":", fit->objective, out);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        buffer_printf(out, ",\"%s\":", constants[i].name);
        buffer_append_double(out, constants[i].estimate->value);
    }
    buffer_append_text(out, ",\"intervals\":{");
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        buffer_printf(out, "%s\"%s\":[", i ? "," : "", constants[i].name);
        encode_number("", constants[i].estimate->lo, out);
        encode_number(",", constants[i].estimate->hi, out);
        buffer_append_text(out, "]");
    }
    encode_number("},\"flops_per_param_example\":", fit->c, out);
    encode_exponents(&fit->params, &fit->examples, out);
    buffer_printf(out, ",\"starts\":{\"tried\":%lld,\"at_optimum\":%lld}", (long long)fit->starts_tried, (long long)fit->starts_at_optimum);
    encode_warnings(&fit->warnings, out);
}

static void encode_isoflop(const IsoflopFit *fit, Buffer *out) {
    encode_exponents(&fit->params, &fit->examples, out);
    buffer_printf(out, ",\"budgets_used\":%zu,\"budgets\":[", fit->budgets_used);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        encode_number(i ? ",{\"flops\":" : "{\"flops\":", budget->flops, out);
        encode_number(",\"params\":", budget->params, out);
        encode_number(",\"examples\":", budget->examples, out);
        encode_number(",\"loss\":", budget->loss, out);
        buffer_printf(out, ",\"sizes\":%zu,\"refused\":%s}", budget->points, budget->refused ? "true" : "false");
    }
    buffer_append_text(out, "]");
    encode_warnings(&fit->warnings, out);
}

void fits_encode_method(const Fits *fits, FitMethod method, bool alone, Buffer *out) {
    bool parametric = method == FIT_PARAMETRIC;
    const char *refusal = parametric ? fits->parametric_refusal : fits->isoflop_refusal;
    buffer_append_text(out, alone ? "{\"schema_version\":1,\"method\":" : "{\"method\":");
    buffer_append_json(out, parametric ? "parametric" : "isoflop");
    buffer_append_text(out, ",\"source\":");
    buffer_append_json(out, fits->source);
    buffer_printf(out, ",\"points\":%zu,\"metric\":", fits->points);
    buffer_append_json(out, fits->options->metric);
    if (!fits->of_table)
        buffer_printf(out, ",\"flops\":\"%s\",\"params\":\"%s\"", flop_count_text(fits->options->flops),
                      fits->options->body_params ? "body" : "total");
    buffer_printf(out, ",\"bootstrap\":%lld,\"seed\":%llu", (long long)fits->options->resamples, (unsigned long long)fits->options->seed);
    if (!(fits->fitted & method)) {
        buffer_append_text(out, ",\"refused\":");
        buffer_append_json(out, refusal);
        encode_warnings(parametric ? &fits->parametric.warnings : &fits->isoflop.warnings, out);
    } else if (parametric) {
        encode_parametric(&fits->parametric, out);
    } else {
        encode_isoflop(&fits->isoflop, out);
    }
    buffer_append_text(out, "}");
}

void fits_encode(const Fits *fits, Buffer *out) {
    if (fits->methods != (FIT_PARAMETRIC | FIT_ISOFLOP)) {
        fits_encode_method(fits, (FitMethod)fits->methods, true, out);
        buffer_append_text(out, "\n");
        return;
    }
    buffer_append_text(out, "{\"schema_version\":1,\"fits\":[");
    fits_encode_method(fits, FIT_PARAMETRIC, false, out);
    buffer_append_text(out, ",");
    fits_encode_method(fits, FIT_ISOFLOP, false, out);
    buffer_append_text(out, "]}\n");
}

int fits_store(const Fits *fits, Source *source, const SweepRecord *sweep, Error *error) {
    char path[PATH_TEXT_MAX];
    int result = source_path(path, "/v1/sweeps/", sweep->name, "/fits", error);
    for (unsigned method = FIT_ISOFLOP; method <= FIT_PARAMETRIC && !result; method <<= 1) {
        if (!(fits->fitted & method))
            continue;
        Buffer body, answer;
        buffer_init(&body, WIRE_BODY_MAX);
        buffer_init(&answer, WIRE_BODY_MAX);
        buffer_printf(&body, "{\"method\":\"%s\",\"fit\":", method == FIT_PARAMETRIC ? "parametric" : "isoflop");
        fits_encode_method(fits, (FitMethod)method, true, &body);
        buffer_append_text(&body, "}");
        result = buffer_check(&body, error, "the fit");
        if (!result)
            result = source_call(source, path, &body, 30, &answer, error);
        buffer_deinit(&body);
        buffer_deinit(&answer);
    }
    return result;
}

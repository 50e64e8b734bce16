#include "fits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const FitMethod fits_order[FIT_METHODS] = {FIT_PARAMETRIC, FIT_VPNLS, FIT_ISOFLOP, FIT_ENVELOPE, FIT_POWER};

const char *fits_method_title(FitMethod method) {
    static const char *const titles[FIT_METHODS] = {"Envelope", "IsoFLOP parabolas", "Parametric law",
                                                    "Parametric law by variable projection", "Power law of the lowest losses"};
    return titles[method];
}

/* ---- making ---- */

static void on_progress(void *context, int64_t done, int64_t of) {
    const char *method = context;
    if (done < of)
        fprintf(stderr, "\rbootstrap of the %s fit: %lld of %lld\033[K", method, (long long)done, (long long)of);
    else
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

void fits_options(FitOptions *out, const StudyOptions *options, const char *method) {
    Machine machine;
    machine_read(&machine);
    fit_options_default(out);
    out->loss = options->loss;
    out->resamples = options->resamples;
    out->seed = options->seed;
    out->threads = machine.cores;
    if (isatty(STDERR_FILENO)) {
        out->on_progress = on_progress;
        out->context = (void *)(uintptr_t)method;
    }
}

/* A refusal is an outcome to be told, not a failure. */
static int make_one(Fits *out, FitMethod method, Error *error) {
    const Study *study = out->study;
    FitOptions options;
    Fit *fit = &out->fits[out->count];
    fits_options(&options, &study->options, fit_method_text(method));
    int result = fit_make(fit, method, study->points, study->point_count, &options, error);
    if (result == FIT_REFUSED) {
        FitRefusal *refusal = &out->refusals[out->refused++];
        refusal->method = method;
        refusal->warnings = fit->warnings;
        text_copy(refusal->text, sizeof refusal->text, error->text);
        text_copy(refusal->code, sizeof refusal->code, fit->refusal);
        *fit = (Fit){0};
        return 0;
    }
    out->count += result == 0;
    return result;
}

/* How a sweep file comes to runs at equal compute, which the fit asks for. */
static void advise(FitWarnings *warnings, const Sweep *file) {
    const char *advice = sweep_is_external(file) ? "In a sweep file of an external program they are listed under include."
                                                 : "A sweep file's design does so.";
    for (size_t i = 0; i < warnings->count; i++) {
        FitWarning *warning = &warnings->items[i];
        size_t used = strlen(warning->text);
        if (!strcmp(warning->code, "interpolated"))
            snprintf(warning->text + used, sizeof warning->text - used, " %s", advice);
    }
}

int fits_make(Fits *out, const Study *study, Error *error) {
    *out = (Fits){.study = study};
    int result = 0;
    for (size_t i = 0; i < FIT_METHODS && !result; i++)
        if (study->options.methods & 1u << fits_order[i])
            result = make_one(out, fits_order[i], error);
    for (size_t i = 0; study->file && i < out->count; i++)
        advise(&out->fits[i].warnings, study->file);
    for (size_t i = 0; study->file && i < out->refused; i++)
        advise(&out->refusals[i].warnings, study->file);
    study_warnings(study, &out->warnings);
    fit_warn_apart(out->fits, out->count);
    if (result)
        fits_deinit(out);
    return result;
}

void fits_deinit(Fits *fits) {
    if (!fits)
        return;
    for (size_t i = 0; i < fits->count; i++)
        fit_deinit(&fits->fits[i]);
    fits->count = 0;
}

const Fit *fits_find(const Fits *fits, FitMethod method) {
    for (size_t i = 0; i < fits->count; i++)
        if (fits->fits[i].method == method)
            return &fits->fits[i];
    return NULL;
}

const FitRefusal *fits_refusal(const Fits *fits, FitMethod method) {
    for (size_t i = 0; i < fits->refused; i++)
        if (fits->refusals[i].method == method)
            return &fits->refusals[i];
    return NULL;
}

int fits_result(const Fits *fits, Error *error) {
    if (fits->count)
        return CLI_OK;
    error_set(error, "refused: %s", fits->refused ? fits->refusals[0].text : "no method was asked for");
    return CLI_FAILED;
}

/* ---- the cloud ---- */

enum { CLOUD_COLUMNS_MAX = FIT_FRONTIER_COLUMNS + FIT_METHODS * FIT_PARAMETERS_MAX, CLOUD_TEXT_MAX = 1 << 30 };

/* The distinct columns of all clouds, in the order of their first appearance. */
static size_t cloud_columns(const Fits *fits, const char *names[CLOUD_COLUMNS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < fits->count; i++)
        for (size_t j = 0; j < fits->fits[i].cloud_columns; j++) {
            const char *name = fit_cloud_column(&fits->fits[i], j);
            size_t k = 0;
            while (k < count && strcmp(names[k], name) != 0)
                k++;
            if (k == count)
                names[count++] = name;
        }
    return count;
}

static void write_draw(const Fit *fit, size_t draw, const char *const *names, size_t count, Buffer *out) {
    buffer_printf(out, "%s,%zu", fit_method_text(fit->method), draw);
    for (size_t i = 0; i < count; i++) {
        size_t column = 0;
        while (column < fit->cloud_columns && strcmp(fit_cloud_column(fit, column), names[i]) != 0)
            column++;
        buffer_append_text(out, ",");
        if (column < fit->cloud_columns)
            buffer_append_double(out, fit->cloud[draw * fit->cloud_columns + column]);
    }
    buffer_append_text(out, "\n");
}

int fits_write_cloud(const Fits *fits, const char *path, Error *error) {
    const char *names[CLOUD_COLUMNS_MAX];
    size_t count = cloud_columns(fits, names);
    Buffer out;
    buffer_init(&out, CLOUD_TEXT_MAX);
    buffer_append_text(&out, "method,draw");
    for (size_t i = 0; i < count; i++)
        buffer_printf(&out, ",%s", names[i]);
    buffer_append_text(&out, "\n");
    for (size_t i = 0; i < fits->count; i++)
        for (size_t draw = 0; draw < fits->fits[i].cloud_count; draw++)
            write_draw(&fits->fits[i], draw, names, count, &out);
    int result = buffer_check(&out, error, "the cloud");
    if (!result)
        result = file_write_atomic(path, out.data, out.size, 0644, error);
    buffer_deinit(&out);
    return result;
}

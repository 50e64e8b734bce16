#include "fits.h"

#include <stdlib.h>
#include <string.h>

enum { CSV_MAX = 1 << 30 };

static const FitSettings table_settings = {.metric = "loss", .methods = FIT_PARAMETRIC | FIT_ISOFLOP, .bootstrap = 1000};

static int show(const Fits *fits, const Cli *cli, bool json, Error *error) {
    if (!json)
        return fits_print(fits, cli, error);
    Buffer out;
    buffer_init(&out, 1 << 24);
    fits_encode(fits, &out);
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

/* With nothing fitted the refusal is the error. A person at a terminal has just read it. */
static int refused(const Fits *fits, const Cli *cli, bool json, Error *error) {
    if (fits->fitted)
        return CLI_OK;
    if (json || !cli->terminal)
        error_set(error, "refused: %s", fits->methods & FIT_PARAMETRIC ? fits->parametric_refusal : fits->isoflop_refusal);
    return CLI_FAILED;
}

/* ---- a table ---- */

static int read_table(const char *path, FitPoint **points, size_t *count, Error *error) {
    Buffer text;
    buffer_init(&text, CSV_MAX);
    int result = file_read(strcmp(path, "-") ? path : "/dev/stdin", CSV_MAX, &text, error) < 0 ? CLI_USAGE : 0;
    if (!result)
        result =
            fit_points_read_csv(points, count, text.data ? text.data : "", text.size, strcmp(path, "-") ? path : "standard input", error);
    buffer_deinit(&text);
    return result == FIT_CSV_INVALID ? CLI_USAGE : result;
}

static int fit_table(const Cli *cli, const Arguments *arguments, const char *path, Error *error) {
    StudyOptions options;
    FitPoint *points = NULL;
    size_t count = 0;
    Fits fits;
    if (arguments_flag(arguments, "flops") || arguments_flag(arguments, "params"))
        return cli_usage(error, "--flops and --params choose among a sweep's counts; a table has its own columns of those names");
    study_options_read(&options, arguments, &table_settings);
    int result = read_table(path, &points, &count, error);
    if (!result)
        result = fits_make(&fits, strcmp(path, "-") ? path : "standard input", points, count, &options, NULL, error);
    if (!result) {
        result = show(&fits, cli, arguments_flag(arguments, "json"), error);
        result = result ? result : refused(&fits, cli, arguments_flag(arguments, "json"), error);
        fits_deinit(&fits);
    }
    free(points);
    return result;
}

/* ---- a sweep ---- */

static int fit_study(const Cli *cli, const Arguments *arguments, const Study *study, Source *source, Error *error) {
    Fits fits;
    Error unkept = {0};
    int result = fits_make(&fits, study->sweep.name, study->points, study->point_count, &study->options, study, error);
    if (result)
        return result;
    result = show(&fits, cli, arguments_flag(arguments, "json"), error);
    if (!result && source_is_daemon(source) && fits_store(&fits, source, &study->sweep, &unkept))
        cli_note("the fit was not kept: %s", unkept.text);
    result = result ? result : refused(&fits, cli, arguments_flag(arguments, "json"), error);
    fits_deinit(&fits);
    return result;
}

int verb_fit(const Cli *cli, const Arguments *arguments, Error *error) {
    const char *table = arguments_text(arguments, "points", NULL);
    Source *source;
    Study study;
    if (!table == !arguments->positional)
        return cli_usage(error, "fit takes either a sweep or --points FILE.csv");
    if (table)
        return fit_table(cli, arguments, table, error);
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    result = study_open(&study, source, arguments, error);
    if (!result) {
        result = fit_study(cli, arguments, &study, source, error);
        study_deinit(&study);
    }
    source_free(source);
    return result;
}

#include "fits.h"

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

/* The reasons are in what was shown; a person at a terminal has just read them. */
static int conclude(const Fits *fits, const Cli *cli, Error *error) {
    if (fits->count)
        return CLI_OK;
    error_set(error, "refused: nothing could be fitted; standard output says why");
    if (cli->terminal)
        error->text[0] = '\0';
    return CLI_FAILED;
}

static int fit_study(const Cli *cli, const Arguments *arguments, const Study *study, Source *source, Error *error) {
    Fits fits;
    Error unkept = {0};
    bool json = arguments_flag(arguments, "json");
    const char *cloud = arguments_text(arguments, "cloud", NULL);
    int result = fits_make(&fits, study, error);
    if (result)
        return result;
    result = show(&fits, cli, json, error);
    if (!result && cloud && fits.count)
        result = fits_write_cloud(&fits, cloud, error);
    if (!result && source && source_is_daemon(source) && fits_store(&fits, source, &study->sweep, &unkept))
        cli_note("the fit was not kept: %s", unkept.text);
    if (!result)
        result = conclude(&fits, cli, error);
    fits_deinit(&fits);
    return result;
}

int verb_fit(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    Study study;
    int result = study_open_either(&study, &source, cli, arguments, error);
    if (!result)
        result = fit_study(cli, arguments, &study, source, error);
    study_deinit(&study);
    source_free(source);
    return result;
}

#include "figures.h"

int verb_plot(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    Study study = {0};
    Fits fits = {0};
    char directory[PATH_TEXT_MAX];
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    result = study_open(&study, source, arguments, error);
    if (!result)
        result = figures_directory(directory, arguments_text(arguments, "out", NULL), study.sweep.name, error);
    if (!result)
        result = fits_make(&fits, study.sweep.name, study.points, study.point_count, &study.options, &study, error);
    if (!result && !(fits.fitted & FIT_PARAMETRIC) && fits.methods & FIT_PARAMETRIC)
        cli_note("%s", fits.parametric_refusal);
    if (!result && !(fits.fitted & FIT_ISOFLOP) && fits.methods & FIT_ISOFLOP)
        cli_note("%s", fits.isoflop_refusal);
    if (!result)
        result = figures_draw(&study, &fits, source, directory, error);
    fits_deinit(&fits);
    study_deinit(&study);
    source_free(source);
    return result;
}

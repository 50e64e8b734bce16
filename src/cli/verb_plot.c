#include "figures.h"
#include "holdouts.h"

#include <string.h>

static const double holdout_share = 0.25; /* when --holdout does not say */

static unsigned kinds_chosen(const Arguments *arguments) {
    unsigned kinds = 0;
    for (PlotKind kind = 0; kind < PLOT_COMPARISON; kind++)
        if (arguments_chose(arguments, "kind", "all") || arguments_chose(arguments, "kind", plot_kind_text(kind)))
            kinds |= 1u << kind;
    return kinds ? kinds : (1u << PLOT_COMPARISON) - 1;
}

static void note_refusals(const Fits *fits) {
    for (size_t i = 0; i < fits->refused; i++)
        cli_note("%s: %s", fits_method_title(fits->refusals[i].method), fits->refusals[i].text);
}

/* By the first method asked for that has a law; where that is refused, the figure is left out. */
static int make_holdout(FitHoldout *out, bool *made, const Study *study, const Arguments *arguments, Error *error) {
    for (size_t i = 0; i < FIT_METHODS; i++) {
        FitMethod method = fits_order[i];
        if (!(study->options.methods & 1u << method) || !fit_method_has_law(method))
            continue;
        int result = holdout_make(out, study, method, arguments_number(arguments, "holdout", holdout_share), error);
        if (result == FIT_REFUSED)
            cli_note("no hold-out prediction: %s", error->text);
        *made = result == 0;
        return result < 0 ? result : 0;
    }
    return 0;
}

static int draw(const Arguments *arguments, const Study *study, Source *source, const char *directory, Error *error) {
    Fits fits;
    FitHoldout holdout;
    bool held = false;
    unsigned kinds = kinds_chosen(arguments);
    int result = fits_make(&fits, study, error);
    if (result)
        return result;
    note_refusals(&fits);
    if (kinds & 1u << PLOT_HOLDOUT)
        result = make_holdout(&holdout, &held, study, arguments, error);
    if (!result)
        result = figures_draw(&fits, kinds, held ? &holdout : NULL, source, directory, error);
    if (held)
        fit_holdout_deinit(&holdout);
    fits_deinit(&fits);
    return result;
}

int verb_plot(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    Study study;
    char directory[PATH_TEXT_MAX];
    int result = study_open_either(&study, &source, cli, arguments, error);
    const char *name = study.of_table ? "table" : study.name;
    if (!result)
        result = figures_directory(directory, arguments_text(arguments, "out", NULL), name, error);
    if (!result)
        result = draw(arguments, &study, source, directory, error);
    study_deinit(&study);
    source_free(source);
    return result;
}

/* The figures of a study, drawn into a directory. */
#pragma once

#include "fits.h"

#include "sweepd/plot.h"

/* asked, or ./NAME-plots. */
int figures_directory(char out[PATH_TEXT_MAX], const char *asked, const char *sweep, Error *error);

enum { FIGURES_FIRST = 1u << PLOT_ERROR_COMPUTE | 1u << PLOT_FRONTIER | 1u << PLOT_CURVES }; /* what `run` draws */

/* The kinds of figures, a bit each. holdout: NULL without PLOT_HOLDOUT. A kind that has nothing to draw is passed over with a note, unless
 * it is the only one. Prints the paths of what was written; source: NULL for a table. 0, CLI_FAILED, negative. */
int figures_draw(const Fits *fits, unsigned kinds, const FitHoldout *holdout, Source *source, const char *directory, Error *error);
/* The frontiers of several studies beside each other, of the first method that each was fitted by. paths: printed. */
int figures_compare(const Fits *fits, size_t count, const char *directory, bool paths, Error *error);

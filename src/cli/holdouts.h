/* predict --holdout: fits of the runs of little compute, scored on those of much. */
#pragma once

#include "fits.h"

/* Makes and tells one for each method asked for that has a law of the loss. 0, CLI_FAILED when all are refused, or negative. */
int holdouts_tell(const Cli *cli, const Arguments *arguments, const Study *study, Error *error);
/* For the figure. 0, FIT_REFUSED, negative. The caller clears it by fit_holdout_deinit. */
int holdout_make(FitHoldout *out, const Study *study, FitMethod method, double share, Error *error);

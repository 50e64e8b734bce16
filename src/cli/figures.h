/* The figures of a study. */
#pragma once

#include "fits.h"

/* "./SWEEP-plots", or what was asked for. */
int figures_directory(char out[PATH_TEXT_MAX], const char *asked, const char *sweep, Error *error);
/* Draws every figure that the study and its fits allow into the directory, which is made, and prints the paths to stdout. 0, or CLI_FAILED
 * when gnuplot is missing, or negative. */
int figures_draw(const Study *study, const Fits *fits, Source *source, const char *directory, Error *error);

/* Tuning inside a cell: of the settings that every cell of a study tried, the one that did best by the selecting metric enters the fit. */
#pragma once

#include "study.h"

/* Marks the finished runs of settings that another beat, and counts what won. A study without tuned keys is left as it is. 0 or negative.
 */
int tuning_select(Study *study, Error *error);
/* "tuned_edge": a number that won at the edge of what was tried, with its key and value. */
void tuning_warn(const Study *study, FitWarnings *out);
/* ,"tuned":{"select":..,"cells":..,"values":[{"key":..,"value":..,"won":..,"edge":..},...]}, or nothing. */
void tuning_encode(const Study *study, Buffer *out);
/* A line for each key, or nothing. */
void tuning_print(const Study *study, const Cli *cli);

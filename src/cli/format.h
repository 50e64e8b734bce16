/* Numbers as people read them. Each function writes into `out` and returns it. */
#pragma once

#include "sweepd/base.h"

enum { FORMAT_MAX = 48 };

/* Three significant digits and a prefix by thousands: "1.23 T" + unit. unit: "FLOP", "FLOP/s", "B", or "" for "1.23 M". NaN: "-". */
const char *format_scaled(double value, const char *unit, char out[FORMAT_MAX]);
/* "3.2 ms", "0.12 s", "8.1 s", "42 s", "2 min 05 s", "3 h 07 min", "2 d 04 h"; "-" for NaN. */
const char *format_duration(double seconds, char out[FORMAT_MAX]);
const char *format_left(double seconds, char out[FORMAT_MAX]); /* the same of time left, which is an estimate: "under a second" */
/* "11,801,680". */
const char *format_count(int64_t value, char out[FORMAT_MAX]);
/* Both of what is above 0 as soon as it is known, such as an external program's parameters: "?" until then. */
const char *format_known_count(int64_t value, char out[FORMAT_MAX]);
const char *format_known_scaled(double value, const char *unit, char out[FORMAT_MAX]);
/* A share in [0, 1] as "12.3 %". */
const char *format_percent(double share, char out[FORMAT_MAX]);
/* "2026-11-23 18:20:05", local time; "-" for 0. */
const char *format_time(double unix_seconds, char out[FORMAT_MAX]);
/* A metric: errors and accuracies as "12.34 %", losses as "0.4321", counts as "7,771,895", NaN as "-". */
const char *format_metric(const char *name, double value, char out[FORMAT_MAX]);
/* Not so "params", which an external program tells beside the metrics of its points: it is the run's own, and told as that. */
bool format_is_metric(const char *name);
/* "0.137 to 0.213": with three decimals when fixed, as exponents are told, else with three significant digits; "none" where an end is not
 * finite. */
const char *format_interval(double lo, double hi, bool fixed, char out[FORMAT_MAX]);

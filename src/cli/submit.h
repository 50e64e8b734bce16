/* What `submit` and `run` share. */
#pragma once

#include "source.h"

/* CLI_USAGE when the sweep can only be planned, or names files that do not fit. */
int submit_check(const Sweep *sweep, const char *path, Error *error);
/* As source_call. text: the file as it was read. */
int submit_sweep(Source *source, const char *path, const Buffer *text, SubmitRecord *out, Error *error);
/* "sweep quickstart: 80 runs, 80 new, 0 shared" */
void submit_print(const SubmitRecord *record);
/* On stderr, that results are shared which an external program gave in another directory, or before it was changed. */
void submit_tell(Source *source, const Sweep *sweep, const SubmitRecord *record);

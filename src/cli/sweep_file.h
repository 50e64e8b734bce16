/* Reading the sweep file that a verb is given. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/sweep.h"

/* text: initialised here in any case; clear it with buffer_deinit. 0; CLI_USAGE when the file cannot be read or is wrong; negative. */
int sweep_file_read(const char *path, Buffer *text, Sweep **out, Error *error);

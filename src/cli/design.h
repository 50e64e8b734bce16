/* A sweep's design, as `plan` and `submit --dry-run` show it: per budget what is taken, and what was left out and why. */
#pragma once

#include "cli.h"

#include "sweepd/sweep.h"

/* Nothing for a sweep without a design. */
int design_print(const Sweep *sweep, const Cli *cli, Error *error);
/* ,"design":{...}; nothing for a sweep without one. */
void design_encode(const Sweep *sweep, Buffer *out);

/* What tells the daemon to change a sweep or a run. */
#pragma once

#include "source.h"

/* path: of the route, as "/v1/sweeps/NAME/retry"; *changed: how many runs. As source_call. */
int change_ask(Source *source, const char *path, int64_t *changed, Error *error);

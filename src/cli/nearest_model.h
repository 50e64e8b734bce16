/* The model that can be built nearest to a fitted optimum: of the sweep's kind and one of its depths, at any width. */
#pragma once

#include "study.h"

enum { NEAREST_DEPTHS_MAX = 64 };

typedef struct NearestModels {
    Run base; /* of the sweep's: all but depth and width */
    int64_t depths[NEAREST_DEPTHS_MAX];
    size_t depth_count; /* 0: not known, as for a table */
    bool body_params;   /* counted is what the study counts */
    const char *none;   /* why there are no depths though the sweep's file is known; NULL: there are */
} NearestModels;

/* From the sweep's file; where it is not known, its runs are of several kinds, or only an external program knows its parameters, there are
 * no depths. */
void nearest_models_find(NearestModels *out, const Study *study);
/* The parameters that the study counts. */
int64_t nearest_model_params(const NearestModels *models, const Run *run);
/* Of one depth, by the ratio of the counts; false where depths are not known or params is no count. */
bool nearest_model_of_depth(const NearestModels *models, int64_t depth, double params, Run *out);
/* Of all depths; of equals the shallower. */
bool nearest_model_find(const NearestModels *models, double params, Run *out);

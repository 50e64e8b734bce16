/* What scripts/make-golden wrote, and the generator from which it drew. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sweepd/model.h"
#include "sweepd/optim.h"

static inline double draw(uint64_t *generator) {
    *generator = *generator * 6364136223846793005U + 1442695040888963407U;
    return (double)(*generator >> 40) / 8388608.0 - 1;
}

static inline int64_t integer(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static inline double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key)); /* 0 when it is absent: a setting that the kind does not have */
}

static inline const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

/* Linear: U(-b, b), b = 1 / sqrt(inputs); norms: 1 and 0, give or take an eighth. */
static inline void draw_parameters(Model *model, uint64_t *generator) {
    for (size_t i = 0; i < model_tensor_count(model); i++) {
        const Tensor *tensor = model_tensor(model, i), *weight = model_tensor(model, i / 2 * 2);
        bool norm = weight->is_vector;
        double centre = norm && i % 2 == 0 ? 1 : 0, spread = norm ? 0.125 : 1 / sqrt((double)weight->columns);
        for (int64_t j = 0; j < tensor->rows * tensor->columns; j++) {
            tensor->data[j] = (float)(centre + spread * draw(generator));
        }
    }
}

static inline Architecture item_architecture(const json_t *document, const json_t *item) {
    bool bmlp = strcmp(text(item, "model"), "bmlp") == 0;
    return (Architecture){
        .kind = bmlp ? MODEL_BMLP : MODEL_SMLP,
        .form = strcmp(text(item, "form"), "code") == 0 ? SMLP_CODE : SMLP_TEXT,
        .inputs = integer(document, "inputs"),
        .classes = integer(document, "classes"),
        .depth = integer(document, "depth"),
        .width = integer(document, "width"),
        .expansion = bmlp ? integer(document, "expansion") : 0,
    };
}

static inline OptimizerSettings item_optimizer(const json_t *item) {
    const json_t *object = json_object_get(item, "settings");
    OptimizerSettings settings = {
        .lr = number(object, "lr"),
        .weight_decay = number(object, "weight_decay"),
        .beta1 = number(object, "beta1"),
        .beta2 = number(object, "beta2"),
        .epsilon = number(object, "epsilon"),
        .momentum = number(object, "momentum"),
    };
    while (strcmp(optimizer_kind_text(settings.kind), text(item, "optimizer")) != 0)
        assert_true(settings.kind++ < OPTIMIZER_SGD);
    assert_true(settings.lr > 0);
    return settings;
}

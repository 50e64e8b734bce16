#include "sweepd/sweep.h"

#include <string.h>

static const Dataset datasets[] = {
    {
        .name = "fashion-mnist",
        .title = "Fashion-MNIST",
        .height = 28,
        .width = 28,
        .channels = 1,
        .inputs = 784,
        .classes = 10,
        .examples = 60000,
        .test_examples = 10000,
        .digest = "f186e338c90b8f43e25771795cd29324122702abf9a353a3ac8d21ff7f80948d",
    },
};

const Dataset *sweep_dataset_at(size_t index) {
    return index < sizeof datasets / sizeof *datasets ? &datasets[index] : NULL;
}

const Dataset *sweep_dataset_find(const char *name) {
    for (size_t i = 0; i < sizeof datasets / sizeof *datasets; i++)
        if (strcmp(datasets[i].name, name) == 0)
            return &datasets[i];
    return NULL;
}

#include "sweepd/exec.h"

void exec_free(Executor *executor) {
    if (executor != NULL)
        executor->interface->free(executor);
}

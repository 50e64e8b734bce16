#include "builtin.h"
#include "external.h"
#include "simulated.h"

int trainer_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error) {
    static int (*const makers[])(Trainer **, const Run *, const TrainerOptions *, Error *) = {
        [TRAINER_BUILTIN] = builtin_new,
        [TRAINER_SIMULATED] = simulated_new,
        [TRAINER_EXTERNAL] = external_new,
    };
    return makers[run->trainer](out, run, options, error);
}

void trainer_free(Trainer *trainer) {
    if (trainer)
        trainer->interface->free(trainer);
}

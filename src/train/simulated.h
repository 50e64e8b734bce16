/* simulated (private): the trainer that trains nothing and draws its losses from the run's law. */
#pragma once

#include "sweepd/train.h"

int simulated_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error);

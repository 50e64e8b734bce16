/* transfer (private to train): the items of `eval`, each trained by a built-in trainer of its own once the run's training is over. */
#pragma once

#include "builtin.h"

/* That every item has its data, of the shape that the model reads; before a run is trained. 0, TRAIN_REFUSED, -1. */
int transfer_check(const Builtin *main, Error *error);
/* Of a run whose checkpoint was loaded: how much of eval is done by the checkpoints of its items, for whoever watches. */
void transfer_resume(Builtin *main, const char *checkpoint_path);
/* The interface's `finish`. */
int transfer_finish(Trainer *trainer, const TrainLoop *loop, Point *out, Error *error);

/* Of an item whose body is frozen. Features that are kept are made a piece at a time, before its first step: 0 when they are all there,
 * TRANSFER_LOOKED after a piece, -1. */
enum { TRANSFER_LOOKED = 1 };
int transfer_look(Builtin *item, Error *error);
/* The features and labels of a batch whose places in the item's examples are order[0..batch). */
void transfer_gather(Builtin *item, const uint32_t *order);
/* Gradients of the head, from the batch that stands ready. */
float transfer_train(Builtin *item);

/* The two models in double precision, written for reading: the loss that finite differences are taken of. */
#pragma once

#include "sweepd/arch.h"

/* parameters: [arch_params_total], in the order of model_parameters. x: [batch, inputs]. masks: [depth, batch, hidden], factors of what a
 * block's last layer reads; NULL: 1. The mean smoothed cross-entropy. */
double double_network_loss(const Architecture *arch, const double *parameters, const float *x, const float *masks, const uint16_t *labels,
                           int64_t batch, double smoothing);
int64_t double_network_hidden(const Architecture *arch);

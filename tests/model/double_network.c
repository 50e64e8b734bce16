#include "double_network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 256 }; /* of any layer that a test makes */

/* Reads a weight and a bias from *at and moves it on. */
static void linear(const double **at, int64_t inputs, int64_t outputs, const double *in, double *out) {
    const double *weight = *at, *bias = weight + inputs * outputs;
    for (int64_t i = 0; i < outputs; i++) {
        out[i] = bias[i];
        for (int64_t j = 0; j < inputs; j++) {
            out[i] += weight[i * inputs + j] * in[j];
        }
    }
    *at = bias + outputs;
}

static void norm(const double **at, int64_t width, const double *in, double *out) {
    const double *gain = *at, *shift = gain + width;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < width; i++) {
        mean += in[i] / (double)width;
    }
    for (int64_t i = 0; i < width; i++) {
        variance += (in[i] - mean) * (in[i] - mean) / (double)width;
    }
    for (int64_t i = 0; i < width; i++) {
        out[i] = gain[i] * (in[i] - mean) / sqrt(variance + 1e-5) + shift[i];
    }
    *at = shift + width;
}

static void gelu(int64_t count, double *x) {
    for (int64_t i = 0; i < count; i++) {
        x[i] *= 0.5 * (1 + erf(x[i] / sqrt(2)));
    }
}

int64_t double_network_hidden(const Architecture *arch) {
    return arch->kind == MODEL_BMLP ? arch->expansion * arch->width : arch->width;
}

static void drop(const Architecture *arch, const float *mask, double *x) {
    for (int64_t i = 0; mask != NULL && i < double_network_hidden(arch); i++) {
        x[i] *= (double)mask[i];
    }
}

static void block(const Architecture *arch, const float *mask, const double **at, double *z) {
    double normed[SIDE_MAX], hidden[SIDE_MAX], out[SIDE_MAX];
    int64_t width = arch->width;
    norm(at, width, z, normed);
    if (arch->kind == MODEL_BMLP) {
        linear(at, width, arch->expansion * width, normed, hidden);
        gelu(arch->expansion * width, hidden);
        drop(arch, mask, hidden);
        linear(at, arch->expansion * width, width, hidden, out);
        for (int64_t i = 0; i < width; i++) {
            z[i] += out[i];
        }
        return;
    }
    if (arch->form == SMLP_CODE) {
        gelu(width, normed);
    }
    drop(arch, mask, normed);
    linear(at, width, width, normed, z);
    for (int64_t i = 0; i < width && arch->form == SMLP_TEXT; i++) {
        z[i] = fmax(z[i], 0);
    }
}

static double cross_entropy(const Architecture *arch, const double *logits, uint16_t label, double smoothing) {
    double sum = 0, loss = 0;
    for (int64_t i = 0; i < arch->classes; i++) {
        sum += exp(logits[i]);
    }
    for (int64_t i = 0; i < arch->classes; i++) {
        double wanted = smoothing / (double)arch->classes + (i == label ? 1 - smoothing : 0);
        loss += wanted * (log(sum) - logits[i]);
    }
    return loss;
}

double double_network_loss(const Architecture *arch, const double *parameters, const float *x, const float *masks, const uint16_t *labels,
                           int64_t batch, double smoothing) {
    const int64_t hidden = double_network_hidden(arch);
    double loss = 0;
    for (int64_t i = 0; i < batch; i++) {
        double in[SIDE_MAX], z[SIDE_MAX], logits[SIDE_MAX];
        const double *at = parameters;
        for (int64_t j = 0; j < arch->inputs; j++) {
            in[j] = (double)x[i * arch->inputs + j];
        }
        linear(&at, arch->inputs, arch->width, in, z);
        for (int64_t j = 0; j < arch->depth; j++) {
            block(arch, masks != NULL ? masks + (j * batch + i) * hidden : NULL, &at, z);
        }
        linear(&at, arch->width, arch->classes, z, logits);
        loss += cross_entropy(arch, logits, labels[i], smoothing) / (double)batch;
    }
    return loss;
}

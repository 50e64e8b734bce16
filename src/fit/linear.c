#include "linear.h"

bool linear_solve(double *matrix, double *right, size_t n, double floor) {
    for (size_t i = 0; i < n; i++) {
        if (!(matrix[i * n + i] > floor)) {
            return false;
        }
        for (size_t j = i + 1; j < n; j++) {
            double factor = matrix[j * n + i] / matrix[i * n + i];
            for (size_t k = i; k < n; k++) {
                matrix[j * n + k] -= factor * matrix[i * n + k];
            }
            right[j] -= factor * right[i];
        }
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++) {
            right[i] -= matrix[i * n + k] * right[k];
        }
        right[i] /= matrix[i * n + i];
    }
    return true;
}

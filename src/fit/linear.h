/* Small dense symmetric matrices, row-major. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Solves matrix x = right in place of right; the matrix is overwritten. It is positive definite or false comes back: so that no pivoting is
 * needed, and a pivot of at most `floor` means that it is not. */
bool linear_solve(double *matrix, double *right, size_t n, double floor);

#include "surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int surface_init(Surface *surface, const FitPoint *points, const double *weights, size_t count, Error *error) {
    *surface = (Surface){.points = calloc(count + 1, sizeof(SurfacePoint))};
    if (surface->points == NULL) {
        return error_set(error, "out of memory for %zu points", count);
    }
    double total = 0, x = 0, y = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < count; i++) {
        double weight = weights == NULL ? 1 : weights[i];
        if (weight > 0) {
            SurfacePoint point = {log(points[i].params), log(points[i].examples), log(points[i].loss), weight};
            surface->points[surface->count++] = point;
            total += weight;
            x += weight * point.x;
            y += weight * point.y;
        }
    }
    surface->x_mean = x / total;
    surface->y_mean = y / total;
    for (size_t i = 0; i < surface->count; i++) {
        SurfacePoint *point = &surface->points[i];
        point->x -= surface->x_mean;
        point->y -= surface->y_mean;
        xx += point->weight * point->x * point->x;
        yy += point->weight * point->y * point->y;
    }
    surface->x_scale = xx > 0 ? sqrt(xx / total) : 1;
    surface->y_scale = yy > 0 ? sqrt(yy / total) : 1;
    for (size_t i = 0; i < surface->count; i++) {
        surface->points[i].x /= surface->x_scale;
        surface->points[i].y /= surface->y_scale;
    }
    return 0;
}

void surface_deinit(Surface *surface) {
    if (surface != NULL) {
        free(surface->points);
        *surface = (Surface){0};
    }
}

void surface_from_law(const Surface *surface, const Law *law, double *variables) {
    memset(variables, 0, SURFACE_PADDED * sizeof *variables);
    variables[SURFACE_A] = law->a - law->alpha * surface->x_mean;
    variables[SURFACE_B] = law->b - law->beta * surface->y_mean;
    variables[SURFACE_E] = law->e;
    variables[SURFACE_ALPHA] = law->alpha * surface->x_scale;
    variables[SURFACE_BETA] = law->beta * surface->y_scale;
}

Law surface_to_law(const Surface *surface, const double *variables) {
    Law law = {.e = variables[SURFACE_E],
               .alpha = variables[SURFACE_ALPHA] / surface->x_scale,
               .beta = variables[SURFACE_BETA] / surface->y_scale};
    law.a = variables[SURFACE_A] + law.alpha * surface->x_mean;
    law.b = variables[SURFACE_B] + law.beta * surface->y_mean;
    return law;
}

/* One point's share of the Hessian. With shares s_k of the three terms and their gradients g_k, the log-sum-exp has the
 * gradient sum s_k g_k and the Hessian sum s_k g_k g_k' - (gradient)(gradient)'. The g_k are (1, 0, 0, -x, 0), (0, 1, 0, 0, -y) and
 * (0, 0, 1, 0, 0), so that few entries of the sum are not 0. */
static void add_curvature(const SurfacePoint *point, const double share[3], double slope, double curve, double majorizing,
                          double (*hessian)[SURFACE_VARIABLES], double (*majorant)[SURFACE_VARIABLES]) {
    const double along_params = -share[0] * point->x, along_examples = -share[1] * point->y;
    const double gradient[SURFACE_VARIABLES] = {share[0], share[1], share[2], along_params, along_examples};
    for (int i = 0; i < SURFACE_VARIABLES; i++) {
        for (int j = 0; j <= i; j++) {
            double outer = gradient[i] * gradient[j];
            hessian[i][j] += (curve - slope) * outer;
            majorant[i][j] += majorizing * outer;
        }
    }
    hessian[SURFACE_A][SURFACE_A] += slope * share[0];
    hessian[SURFACE_B][SURFACE_B] += slope * share[1];
    hessian[SURFACE_E][SURFACE_E] += slope * share[2];
    hessian[SURFACE_ALPHA][SURFACE_A] += slope * along_params;
    hessian[SURFACE_ALPHA][SURFACE_ALPHA] -= slope * along_params * point->x;
    hessian[SURFACE_BETA][SURFACE_B] += slope * along_examples;
    hessian[SURFACE_BETA][SURFACE_BETA] -= slope * along_examples * point->y;
}

/* exp of a number that is at most 0, where 1e-26 is nothing: most starts lie far out, and there exp is slow. */
static double exp_share(double x) {
    return x == 0 ? 1 : x < -60 ? 0 : exp(x);
}

double surface_evaluate(const Surface *surface, const double *variables, double *gradient, double (*hessian)[SURFACE_VARIABLES],
                        double (*majorant)[SURFACE_VARIABLES]) {
    double sum = 0, total[SURFACE_VARIABLES] = {0};
    if (hessian != NULL) {
        memset(hessian, 0, SURFACE_VARIABLES * sizeof *hessian);
        memset(majorant, 0, SURFACE_VARIABLES * sizeof *majorant);
    }
    for (size_t i = 0; i < surface->count; i++) {
        const SurfacePoint *point = &surface->points[i];
        double u = variables[SURFACE_A] - variables[SURFACE_ALPHA] * point->x;
        double v = variables[SURFACE_B] - variables[SURFACE_BETA] * point->y;
        double e = variables[SURFACE_E], top = u > v ? u : v;
        top = top > e ? top : e;
        double share[3] = {exp_share(u - top), exp_share(v - top), exp_share(e - top)};
        double mass = share[0] + share[1] + share[2], per_mass = 1 / mass;
        for (int k = 0; k < 3; k++) {
            share[k] *= per_mass;
        }
        double residual = (top + log(mass) - point->target) / HUBER_DELTA, size = fabs(residual);
        bool inside = size <= 1;
        sum += point->weight * (inside ? residual * residual / 2 : size - 0.5);
        double slope = point->weight * (inside ? residual : copysign(1, residual)) / HUBER_DELTA;
        total[SURFACE_A] += slope * share[0];
        total[SURFACE_B] += slope * share[1];
        total[SURFACE_E] += slope * share[2];
        total[SURFACE_ALPHA] -= slope * share[0] * point->x;
        total[SURFACE_BETA] -= slope * share[1] * point->y;
        if (hessian != NULL) {
            double full = point->weight / (HUBER_DELTA * HUBER_DELTA);
            add_curvature(point, share, slope, inside ? full : 0, inside ? full : full / size, hessian, majorant);
        }
    }
    if (gradient != NULL) {
        memset(gradient, 0, SURFACE_PADDED * sizeof *gradient);
        memcpy(gradient, total, sizeof total);
    }
    return sum;
}

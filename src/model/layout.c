/* Where a model's tensors and activations lie.
 *
 * Parameters have no gaps between them, so that an optimizer and a checkpoint see one array; gradients mirror them. Activations are placed
 * by an Arena, which runs twice: once without memory to measure, once to hand out. */
#include "network.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIGNMENT = 64, ALIGNMENT_FLOATS = ALIGNMENT / sizeof(float) };

/* More than any machine holds; below it no product of sizes overflows. */
static const double floats_max = 1e15;

typedef struct Arena {
    float *base; /* NULL while measuring */
    size_t used; /* floats */
} Arena;

static float *arena_take(Arena *arena, int64_t rows, int64_t columns) {
    size_t size = ((size_t)rows * (size_t)columns + ALIGNMENT_FLOATS - 1) / ALIGNMENT_FLOATS * ALIGNMENT_FLOATS;
    float *taken = arena->base != NULL ? arena->base + arena->used : NULL;
    arena->used += size;
    return taken;
}

/* The same for an array of operands. */
static void *arena_take_operands(const Model *model, Arena *arena, int64_t rows, int64_t columns) {
    int64_t share = (int64_t)(sizeof(float) / operand_size(model->backend->operands));
    return arena_take(arena, 1, (rows * columns + share - 1) / share);
}

static float *floats_new(Model *model, size_t count) {
    float *floats = pages_new(count * sizeof(float));
    model->bytes += floats != NULL ? count * sizeof(float) : 0;
    return floats;
}

/* ---- activations ---- */

static void place_block_activations(Model *model, Block *block, Arena *arena) {
    int64_t batch = model->batch_max, width = model->arch.width, hidden = block->last.inputs;
    block->norm.columns = width;
    block->norm.normal = arena_take(arena, batch, width);
    block->norm.inverse = arena_take(arena, batch, 1);
    block->normed = arena_take_operands(model, arena, batch, width);
    if (model->arch.kind == MODEL_BMLP) {
        block->hidden = arena_take_operands(model, arena, batch, hidden);
    }
    if (!network_has_relu(model)) {
        block->activated = arena_take_operands(model, arena, batch, hidden);
    }
}

static void place_activations(Model *model, Arena *arena) {
    int64_t batch = model->batch_max, width = model->arch.width, classes = model->arch.classes;
    float *z = arena_take(arena, batch, width);
    for (int64_t i = 0; i < model->arch.depth; i++) {
        Block *block = &model->blocks[i];
        block->z = z;
        place_block_activations(model, block, arena);
        if (model->arch.kind == MODEL_SMLP) {
            z = arena_take(arena, batch, width);
        }
    }
    model->z = z;
    model->logits = arena_take(arena, batch, classes);
    model->dz = arena_take(arena, batch, width);
    model->dnormed = arena_take_operands(model, arena, batch, width);
    if (model->arch.kind == MODEL_BMLP) {
        model->dhidden = arena_take_operands(model, arena, batch, model->arch.expansion * width);
    }
    model->scratch = arena_take(arena, 1, loss_scratch_floats(classes));
    model->z_operand = model->z;
    model->logits_operand = model->logits;
    model->dz_operand = model->dz;
    if (model->backend->operands != OPERAND_FLOAT) {
        model->x_operand = arena_take_operands(model, arena, batch, model->arch.inputs);
        model->z_operand = arena_take_operands(model, arena, batch, width);
        model->logits_operand = arena_take_operands(model, arena, batch, classes);
        model->dz_operand = arena_take_operands(model, arena, batch, width);
    }
}

/* ---- parameters ---- */

typedef struct Placement {
    Model *model;
    size_t tensors, parameters;
} Placement;

/* The next one in the order of arch_tensor. */
static Tensor *place_tensor(Placement *at) {
    Model *model = at->model;
    Tensor *tensor = &model->tensors[at->tensors];
    char *text = model->names[at->tensors];
    ArchTensor shape;
    arch_tensor(&model->arch, at->tensors, &shape);
    text_copy(text, ARCH_TENSOR_NAME_MAX, shape.name);
    *tensor =
        (Tensor){text, shape.rows, shape.columns, shape.is_vector, model->parameters + at->parameters, model->gradients + at->parameters};
    at->tensors++;
    at->parameters += (size_t)(shape.rows * shape.columns);
    return tensor;
}

static void place_linear(Placement *at, Linear *linear) {
    Tensor *weight = place_tensor(at), *bias = place_tensor(at);
    linear->weight = weight->data;
    linear->dweight = weight->gradient;
    linear->bias = bias->data;
    linear->dbias = bias->gradient;
    linear->operand = weight->data;
    if (at->model->rounded != NULL) {
        linear->operand = at->model->rounded + (weight->data - at->model->parameters);
    }
}

static void place_norm(Placement *at, Block *block) {
    Tensor *gain = place_tensor(at), *shift = place_tensor(at);
    block->norm.gain = gain->data;
    block->dgain = gain->gradient;
    block->norm.shift = shift->data;
    block->dshift = shift->gradient;
}

static void place_block(Placement *at, Block *block) {
    place_norm(at, block);
    if (at->model->arch.kind == MODEL_BMLP) {
        place_linear(at, &block->expand);
    }
    place_linear(at, &block->last);
}

static void place_parameters(Model *model) {
    Placement at = {model, 0, 0};
    place_linear(&at, &model->input);
    for (int64_t i = 0; i < model->arch.depth; i++) {
        place_block(&at, &model->blocks[i]);
    }
    place_linear(&at, &model->head);
}

static void set_shapes(Model *model) {
    const Architecture *arch = &model->arch;
    int64_t hidden = arch->kind == MODEL_BMLP ? arch->expansion * arch->width : arch->width;
    model->input = (Linear){.inputs = arch->inputs, .outputs = arch->width};
    model->head = (Linear){.inputs = arch->width, .outputs = arch->classes};
    for (int64_t i = 0; i < arch->depth; i++) {
        model->blocks[i].expand = (Linear){.inputs = arch->width, .outputs = hidden};
        model->blocks[i].last = (Linear){.inputs = hidden, .outputs = arch->width};
    }
}

static int check_sizes(const Model *model, Error *error) {
    const Architecture *arch = &model->arch;
    int64_t expansion = arch->kind == MODEL_BMLP ? arch->expansion : 1;
    if (arch->depth < 1 || arch->width < 1 || arch->inputs < 1 || arch->classes < 1 || expansion < 1 || model->batch_max < 1) {
        return error_set(error, "a model's depth, width, expansion, inputs, classes and batch are at least 1");
    }
    if (arch->classes > UINT16_MAX + 1) {
        return error_set(error, "%lld classes are more than labels can name (%d)", (long long)arch->classes, UINT16_MAX + 1);
    }
    double width = (double)arch->width, batch = (double)model->batch_max, hidden = (double)expansion * width;
    if (hidden > INT_MAX || (double)arch->inputs > INT_MAX || batch > INT_MAX) {
        return error_set(error, "a side of a matrix is longer than %d", INT_MAX);
    }
    double block = 2 * hidden * width + 5 * width + hidden + batch * (4 * width + 2 * hidden);
    double ends = ((double)arch->inputs + (double)arch->classes) * (width + batch) + batch * (4 * width + hidden);
    if ((double)arch->depth * block + ends > floats_max) {
        return error_set_memory(error, "a model of this size does not fit in memory");
    }
    return 0;
}

int network_layout(Model *model, Error *error) {
    if (check_sizes(model, error) < 0) {
        return -1;
    }
    size_t depth = (size_t)model->arch.depth;
    model->parameter_count = (size_t)arch_params_total(&model->arch);
    model->tensor_count = arch_tensor_count(&model->arch);
    model->blocks = calloc(depth, sizeof *model->blocks);
    model->tensors = calloc(model->tensor_count, sizeof *model->tensors);
    model->names = calloc(model->tensor_count, sizeof *model->names);
    model->parameters = floats_new(model, model->parameter_count);
    model->gradients = floats_new(model, model->parameter_count);
    if (model->blocks == NULL || model->tensors == NULL || model->names == NULL || model->parameters == NULL || model->gradients == NULL) {
        return error_set_memory(error, "out of memory for a model of %zu parameters", model->parameter_count);
    }
    if (model->backend->operands == OPERAND_BFLOAT16) {
        model->rounded = (uint16_t *)floats_new(model, (model->parameter_count + 1) / 2);
        if (model->rounded == NULL) {
            return error_set_memory(error, "out of memory for %zu rounded parameters", model->parameter_count);
        }
    }
    set_shapes(model);
    place_parameters(model);

    Arena measure = {NULL, 0};
    place_activations(model, &measure);
    Arena arena = {model->activations = floats_new(model, measure.used), 0};
    if (model->activations == NULL) {
        return error_set_memory(error, "out of memory for the activations of a batch of %lld", (long long)model->batch_max);
    }
    place_activations(model, &arena);
    return 0;
}

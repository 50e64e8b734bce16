/* oneDNN: products of floats, and of bfloat16 with float sums, for processors with AVX-512 and AMX.
 *
 * The library compiles a kernel for each shape of product and calls it a primitive. A state keeps those that its model has needed, each
 * with the memory objects that say where its matrices lie, so that a product only moves their pointers.
 *
 * Layouts. The library takes plain matrices, transposed or not, and copies them piece by piece into the order that its kernels read. With
 * vector instructions that costs little: on one core with AVX-512 BF16, plain products run at 205 to 225 GFLOP/s and packed ones at 215 to
 * 228, less than packing them takes. AMX multiplies several times faster, so there the copies count: products with a transposed left factor
 * (weight gradients) and with a plain right one (input gradients) are packed first, by the library's own reorders. A packed factor lives
 * for one product, so all plans pack into the same two places. */
#include "backend.h"
#include "panels.h"

#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of gcc's OpenMP, whose header is the compiler's own and not everyone's. */
extern void omp_set_num_threads(int threads);

enum { PLAN_MAX = 128, MATRICES = 3, FACTORS = 2 };
static const int64_t packed_product_min = 1 << 24; /* multiply-adds, for packing to pay */
static const int64_t narrow_columns = 9;           /* below which half of our kernels' lanes idle */
static const int64_t small_product = 4000000;      /* multiply-adds, below which a call of the library costs too much */
static const int64_t own_product = 1 << 20;        /* multiply-adds, from which our kernels are the fastest for every transposition */

/* A product's primitive. Factors that are packed have a reorder, which reads `plain` and fills the state's place for them. */
typedef struct Plan {
    Product shape; /* its pointers mean nothing */
    int threads;
    dnnl_primitive_t primitive, reorders[FACTORS];
    dnnl_memory_t memories[MATRICES], plain[FACTORS];
} Plan;

typedef struct State {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    bool pack_always, pack_never;
    bool leaves; /* products that others multiply faster to them */
    Panels panels;
    void *packed[FACTORS];
    size_t packed_bytes[FACTORS];
    size_t count, next; /* plans made; the one that makes room when there is none */
    Plan plans[PLAN_MAX];
} State;

static int thread_count = 1;
static PackPolicy pack_policy = PACK_WHERE_IT_GAINS;

void backend_onednn_set_packing(PackPolicy policy) {
    pack_policy = policy;
}

/* ---- what the machine has ---- */

static bool has_instructions(dnnl_cpu_isa_t wanted) {
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)wanted) == (unsigned)wanted;
}

const char *backend_onednn_instructions(void) {
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *text;
    } known[] = {
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_sse41, "sse41"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (has_instructions(known[i].isa)) {
            return known[i].text;
        }
    }
    return "no vector instructions";
}

bool backend_onednn_gains(void) {
    return has_instructions(dnnl_cpu_isa_avx512_core);
}

bool backend_onednn_has_bfloat16(void) {
    return has_instructions(dnnl_cpu_isa_avx512_core_bf16);
}

static const char *text_of(char *text, size_t capacity, const char *precision) {
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, capacity, "onednn %d.%d.%d %s, %s", version->major, version->minor, version->patch, backend_onednn_instructions(),
             precision);
    return text;
}

/* Our kernels use one thread. AMX multiplies bfloat16 faster than they do even where it begins later. */
static bool panels_gain(OperandType operands) {
    return thread_count == 1 &&
           (operands == OPERAND_FLOAT ? panels_has_float() : panels_has_bfloat16() && !has_instructions(dnnl_cpu_isa_avx512_core_amx));
}

/* Measured where there is no AMX. */
static bool panels_gain_most(OperandType operands) {
    return panels_gain(operands) && !has_instructions(dnnl_cpu_isa_avx512_core_amx);
}

static const char *text_float(void) {
    static char text[192], precision[128] = "fp32";
    if (backend_openblas_has_small_kernels()) {
        snprintf(precision, sizeof precision, "fp32; small products by %s%s%s", panels_gain(OPERAND_FLOAT) ? "sweepd and " : "",
                 backend_openblas.text(), panels_gain_most(OPERAND_FLOAT) ? ", others by sweepd" : "");
    }
    return text_of(text, sizeof text, precision);
}

static const char *text_bfloat16(void) {
    static char text[192];
    return text_of(text, sizeof text, panels_gain(OPERAND_BFLOAT16) ? "bf16; products by sweepd" : "bf16");
}

/* ---- plans ---- */

static void plan_free(Plan *plan) {
    for (int i = 0; i < FACTORS; i++) {
        dnnl_primitive_destroy(plan->reorders[i]);
        dnnl_memory_destroy(plan->plain[i]);
    }
    for (int i = 0; i < MATRICES; i++) {
        dnnl_memory_destroy(plan->memories[i]);
    }
    dnnl_primitive_destroy(plan->primitive);
    *plan = (Plan){0};
}

static bool is_packed(const State *state, const Product *p, int factor) {
    if (state->pack_never) {
        return false;
    }
    bool gains = p->transpose_a || (factor == 1 && !p->transpose_b);
    return state->pack_always || (gains && p->m * p->n * p->k >= packed_product_min);
}

/* A matrix as the model has it. */
static dnnl_status_t describe_plain(dnnl_memory_desc_t *out, int64_t rows, int64_t columns, bool transposed, OperandType type) {
    const dnnl_dims_t sizes = {rows, columns}, strides = {transposed ? 1 : columns, transposed ? rows : 1};
    return dnnl_memory_desc_init_by_strides(out, 2, sizes, type == OPERAND_FLOAT ? dnnl_f32 : dnnl_bf16, strides);
}

static dnnl_status_t plan_describe(const State *state, const Product *p, dnnl_memory_desc_t plain[MATRICES],
                                   dnnl_memory_desc_t wanted[MATRICES]) {
    dnnl_status_t status = describe_plain(&plain[0], p->m, p->k, p->transpose_a, p->operands);
    status = status ? status : describe_plain(&plain[1], p->k, p->n, p->transpose_b, p->operands);
    status = status ? status : describe_plain(&plain[2], p->m, p->n, false, p->result);
    for (int i = 0; i < MATRICES && !status; i++) {
        wanted[i] = plain[i];
        if (i < FACTORS && is_packed(state, p, i)) {
            status = dnnl_memory_desc_init_by_tag(&wanted[i], 2, plain[i].dims, plain[i].data_type, dnnl_format_tag_any);
        }
    }
    return status;
}

static dnnl_status_t attributes_make(const Product *p, dnnl_primitive_attr_t *out) {
    dnnl_post_ops_t operations = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(out);
    if (!status && p->accumulate) {
        status = dnnl_post_ops_create(&operations);
        status = status ? status : dnnl_post_ops_append_sum(operations, 1);
        status = status ? status : dnnl_primitive_attr_set_post_ops(*out, operations);
        dnnl_post_ops_destroy(operations);
    }
    return status;
}

static dnnl_status_t packed_reserve(State *state, int factor, size_t bytes) {
    enum { ALIGNMENT = 64 };
    if (bytes <= state->packed_bytes[factor]) {
        return dnnl_success;
    }
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    free(state->packed[factor]);
    state->packed[factor] = aligned_alloc(ALIGNMENT, rounded);
    state->packed_bytes[factor] = state->packed[factor] != NULL ? rounded : 0;
    return state->packed[factor] != NULL ? dnnl_success : dnnl_out_of_memory;
}

static dnnl_status_t reorder_make(const State *state, Plan *plan, int factor, const dnnl_memory_desc_t *plain,
                                  const dnnl_memory_desc_t *packed) {
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status = dnnl_memory_create(&plan->plain[factor], plain, state->engine, DNNL_MEMORY_NONE);
    status = status ? status : dnnl_reorder_primitive_desc_create(&description, plain, state->engine, packed, state->engine, NULL);
    status = status ? status : dnnl_primitive_create(&plan->reorders[factor], description);
    dnnl_primitive_desc_destroy(description);
    return status;
}

/* description: of the primitive, which chose the layouts. */
static dnnl_status_t memories_make(State *state, Plan *plan, const dnnl_memory_desc_t plain[MATRICES],
                                   const_dnnl_primitive_desc_t description) {
    static const dnnl_query_t queries[MATRICES] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < MATRICES && !status; i++) {
        const dnnl_memory_desc_t *chosen = dnnl_primitive_desc_query_md(description, queries[i], 0);
        bool packed = i < FACTORS && !dnnl_memory_desc_equal(chosen, &plain[i]);
        status = dnnl_memory_create(&plan->memories[i], chosen, state->engine, DNNL_MEMORY_NONE);
        if (!status && packed) {
            status = packed_reserve(state, i, dnnl_memory_desc_get_size(chosen));
            status = status ? status : reorder_make(state, plan, i, &plain[i], chosen);
        }
    }
    return status;
}

static dnnl_status_t plan_make(State *state, Plan *plan, const Product *p) {
    dnnl_memory_desc_t plain[MATRICES], wanted[MATRICES];
    dnnl_matmul_desc_t operation;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status = plan_describe(state, p, plain, wanted);
    *plan = (Plan){.shape = *p, .threads = thread_count};
    status = status ? status : dnnl_matmul_desc_init(&operation, &wanted[0], &wanted[1], NULL, &wanted[2]);
    status = status ? status : attributes_make(p, &attributes);
    status = status ? status : dnnl_primitive_desc_create(&description, &operation, attributes, state->engine, NULL);
    status = status ? status : dnnl_primitive_create(&plan->primitive, description);
    status = status ? status : memories_make(state, plan, plain, description);
    dnnl_primitive_desc_destroy(description);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

static bool plan_fits(const Plan *plan, const Product *p) {
    const Product *s = &plan->shape;
    return s->m == p->m && s->n == p->n && s->k == p->k && s->transpose_a == p->transpose_a && s->transpose_b == p->transpose_b &&
           s->accumulate == p->accumulate && s->operands == p->operands && s->result == p->result && plan->threads == thread_count;
}

/* NULL when the library could not make one. */
static Plan *plan_find(State *state, const Product *p) {
    for (size_t i = 0; i < state->count; i++) {
        if (plan_fits(&state->plans[i], p)) {
            return &state->plans[i];
        }
    }
    Plan *plan = &state->plans[state->next];
    plan_free(plan);
    if (plan_make(state, plan, p)) {
        plan_free(plan);
        return NULL;
    }
    state->next = (state->next + 1) % PLAN_MAX;
    state->count = state->count < PLAN_MAX ? state->count + 1 : PLAN_MAX;
    return plan;
}

/* ---- products ---- */

/* The library reads a, b and never writes them; its handles have no const. */
static void *handle_of(const void *pointer) {
    return (void *)(uintptr_t)pointer;
}

static dnnl_status_t plan_run(const State *state, const Plan *plan, const Product *p) {
    void *const matrices[MATRICES] = {handle_of(p->a), handle_of(p->b), p->c};
    static const int names[MATRICES] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    dnnl_exec_arg_t arguments[MATRICES];
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < MATRICES && !status; i++) {
        arguments[i] = (dnnl_exec_arg_t){names[i], plan->memories[i]};
        if (i < FACTORS && plan->reorders[i] != NULL) {
            const dnnl_exec_arg_t copy[] = {{DNNL_ARG_FROM, plan->plain[i]}, {DNNL_ARG_TO, plan->memories[i]}};
            status = dnnl_memory_set_data_handle(plan->plain[i], matrices[i]);
            status = status ? status : dnnl_memory_set_data_handle(plan->memories[i], state->packed[i]);
            status = status ? status : dnnl_primitive_execute(plan->reorders[i], state->stream, 2, copy);
        } else {
            status = dnnl_memory_set_data_handle(plan->memories[i], matrices[i]);
        }
    }
    return status ? status : dnnl_primitive_execute(plan->primitive, state->stream, MATRICES, arguments);
}

/* 0; 1: not multiplied. */
static int multiply_panels(State *state, const Product *p) {
    if (!panels_gain(p->operands)) {
        return 1;
    }
    return p->operands == OPERAND_FLOAT ? panels_multiply_float(&state->panels, p) : panels_multiply_bfloat16(&state->panels, p);
}

/* A call of the library takes a microsecond or two before it multiplies. Of floats, OpenBLAS's small kernels are slow only where both
 * factors are summed along their rows. 0; 1: not multiplied. */
static int multiply_small(State *state, const Product *p) {
    const bool openblas = p->operands == OPERAND_FLOAT && p->result == OPERAND_FLOAT && backend_openblas_has_small_kernels();
    const bool slow = !p->transpose_a && p->transpose_b && p->n >= narrow_columns;
    if ((slow || p->operands != OPERAND_FLOAT) && multiply_panels(state, p) == 0) {
        return 0;
    }
    if (openblas) {
        backend_openblas.multiply(NULL, p);
    }
    return openblas ? 0 : 1;
}

/* Products that are faster without the library. 0; 1: not multiplied. */
static int multiply_without(State *state, const Product *p) {
    const int64_t work = p->m * p->n * p->k;
    if (!state->leaves) {
        return 1;
    }
    if (work >= own_product && panels_gain_most(p->operands) && multiply_panels(state, p) == 0) {
        return 0;
    }
    return work < small_product ? multiply_small(state, p) : 1;
}

/* The library fails only when memory ends; the reference needs none. */
static void multiply_onednn(void *state, const Product *p) {
    if (multiply_without(state, p) == 0) {
        return;
    }
    static _Thread_local int applied; /* the count is OpenMP's for each thread that calls */
    if (applied != thread_count) {
        omp_set_num_threads(thread_count);
        applied = thread_count;
    }
    const Plan *plan = plan_find(state, p);
    if (plan == NULL || plan_run(state, plan, p)) {
        log_write(LOG_WARNING, "oneDNN could not multiply [%lld, %lld] by [%lld, %lld]; the slow reference does", (long long)p->m,
                  (long long)p->k, (long long)p->k, (long long)p->n);
        backend_naive.multiply(NULL, p);
    }
}

static void set_threads_onednn(int threads) {
    thread_count = threads;
}

static void close_onednn(void *opened) {
    State *state = opened;
    for (size_t i = 0; i < state->count; i++) {
        plan_free(&state->plans[i]);
    }
    for (int i = 0; i < FACTORS; i++) {
        free(state->packed[i]);
    }
    dnnl_stream_destroy(state->stream);
    dnnl_engine_destroy(state->engine);
    panels_deinit(&state->panels);
    free(state);
}

static int open_onednn(void **out, Error *error) {
    State *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return error_set_memory(error, "out of memory for the matrix backend");
    }
    state->leaves = pack_policy == PACK_WHERE_IT_GAINS;
    state->pack_always = pack_policy == PACK_ALWAYS;
    state->pack_never = pack_policy == PACK_NEVER || (!state->pack_always && !has_instructions(dnnl_cpu_isa_avx512_core_amx));
    if (dnnl_engine_create(&state->engine, dnnl_cpu, 0) || dnnl_stream_create(&state->stream, state->engine, dnnl_stream_default_flags)) {
        close_onednn(state);
        return error_set(error, "oneDNN could not be started");
    }
    *out = state;
    return 0;
}

const MatrixBackend backend_onednn = {
    .name = "onednn",
    .operands = OPERAND_FLOAT,
    .multiply = multiply_onednn,
    .set_threads = set_threads_onednn,
    .text = text_float,
    .open = open_onednn,
    .close = close_onednn,
};

const MatrixBackend backend_onednn_bfloat16 = {
    .name = "onednn bf16",
    .operands = OPERAND_BFLOAT16,
    .multiply = multiply_onednn,
    .set_threads = set_threads_onednn,
    .text = text_bfloat16,
    .open = open_onednn,
    .close = close_onednn,
};

/* Training by hand, as a bound for what a compiler can reach: the two networks of the disk workloads, and the pointwise
 * chain. Built by reference_steps.py with gcc for the processor at hand; vectors are 16 floats, wherever it runs.
 *
 * A row is 25 features, padded with zeros to two vectors, which stay zero through training. A product takes five rows
 * at a time, so that its ten sums stay in registers; biases are what the sums start from, activations and derivatives are
 * applied before anything is stored, and a weight's gradient is never stored at all: the optimiser takes it from the
 * registers. The only thing ever transposed is a hidden layer's weights, for the gradient of its input.
 */
#include <immintrin.h>
#include <math.h>

enum { BATCH = 25, WIDTH = 25, TILE = 5, LANES = 16, ROW = 2 * LANES, STEP_INPUTS = 2 * BATCH };

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int Mask __attribute__((vector_size(4 * LANES)));
typedef struct { Vector low, high; } Row;
typedef enum { TANH, RELU } Activation;
typedef enum { SQUARES, CROSS_ENTROPY } Loss;
typedef struct { Activation activations[3]; int outputs; Loss loss; int adam; } Task;

/* Parameters, or a moment of each; the Python side fills this in as an array of rows. */
typedef struct {
    Row first[2], first_bias, hidden[2][ROW], hidden_bias[2], last[2], last_bias;
} Net;

typedef struct {
    int adam;
    float rate, beta1, beta2, epsilon, root; /* rate and root: Adam's corrections of this step are in them */
} Optimiser;

#define INLINE static inline __attribute__((always_inline))
#define PRAGMA(text) _Pragma(#text)
#define UNROLLED(n) PRAGMA(GCC unroll n)

INLINE Vector where(Mask mask, Vector x) { return (Vector)(mask & (Mask)x); }

/* tanh between the bounds, of a vector or a float: a quotient of polynomials with Eigen's coefficients, good to 1e-6. */
#define TANH_BOUND 7.90531110763549805f
#define TANH_WITHIN(x) ({ \
    __typeof__(x) s = (x) * (x), over = s * -2.76076847742355e-16f + 2.00018790482477e-13f; \
    __typeof__(x) under = s * 1.19825839466702e-06f + 1.18534705686654e-04f; \
    over = over * s + -8.60467152213735e-11f; \
    over = over * s + 5.12229709037114e-08f; \
    over = over * s + 1.48572235717979e-05f; \
    over = over * s + 6.37261928875436e-04f; \
    over = over * s + 4.89352455891786e-03f; \
    under = under * s + 2.26843463243900e-03f; \
    under = under * s + 4.89352518554385e-03f; \
    (x) * over / under; \
})

INLINE float tanh_of(float x) {
    x = fminf(fmaxf(x, -TANH_BOUND), TANH_BOUND);
    return TANH_WITHIN(x);
}

INLINE Vector tanh_of_each(Vector x) {
    x = (Vector)_mm512_min_ps(_mm512_max_ps((__m512)x, _mm512_set1_ps(-TANH_BOUND)), _mm512_set1_ps(TANH_BOUND));
    return TANH_WITHIN(x);
}

INLINE Vector activated(Activation activation, Vector x) { return activation == TANH ? tanh_of_each(x) : (Vector)_mm512_max_ps((__m512)x, _mm512_setzero_ps()); }

/* g times the derivative, from the activation's value. */
INLINE Vector derived(Activation activation, Vector y, Vector g) {
    return activation == TANH ? g - g * y * y : where(y > 0, g);
}

INLINE void add_product(Row *sum, float x, const Row *y) {
    sum->low += x * y->low;
    sum->high += x * y->high;
}

INLINE void add(Row *sum, const Row *x) {
    sum->low += x->low;
    sum->high += x->high;
}

/* Five rows of a product: tile[i] = start + Σ over k of left[i·row_step + k·step] · right[k]. */
INLINE void product(Row tile[TILE], Row start, const float *left, int row_step, int step, const Row *right, int depth) {
    Row a = start, b = start, c = start, d = start, e = start; /* an array would not stay in registers */
    UNROLLED(5)
    for (int k = 0; k < depth; k++, left += step) {
        Row row = right[k];
        add_product(&a, left[0], &row);
        add_product(&b, left[row_step], &row);
        add_product(&c, left[2 * row_step], &row);
        add_product(&d, left[3 * row_step], &row);
        add_product(&e, left[4 * row_step], &row);
    }
    tile[0] = a, tile[1] = b, tile[2] = c, tile[3] = d, tile[4] = e;
}

INLINE void forward(Row *y, Activation activation, const float *x, int inputs, int x_row, const Row *weight, Row bias) {
    for (int r = 0; r < BATCH; r += TILE) {
        Row tile[TILE];
        product(tile, bias, x + r * x_row, x_row, 1, weight, inputs);
        UNROLLED(5)
        for (int i = 0; i < TILE; i++) {
            y[r + i].low = activated(activation, tile[i].low);
            y[r + i].high = activated(activation, tile[i].high);
        }
    }
}

/* The gradient of a layer's input, before its activation: y is the activation's value. */
INLINE void backward(Row *out, Activation activation, const Row *y, const Row *g, const Row *transposed) {
    for (int r = 0; r < BATCH; r += TILE) {
        Row tile[TILE];
        product(tile, (Row){}, (const float *)(g + r), ROW, 1, transposed, WIDTH);
        UNROLLED(5)
        for (int i = 0; i < TILE; i++) {
            out[r + i].low = derived(activation, y[r + i].low, tile[i].low);
            out[r + i].high = derived(activation, y[r + i].high, tile[i].high);
        }
    }
}

INLINE void update_vector(const Optimiser *o, Vector *p, Vector *m, Vector *v, Vector g) {
    if (!o->adam) {
        *p -= o->rate * g;
        return;
    }
    *m = o->beta1 * *m + (1 - o->beta1) * g;
    *v = o->beta2 * *v + (1 - o->beta2) * g * g;
    Vector under = (Vector)_mm512_sqrt_ps((__m512)*v) * o->root + o->epsilon;
    *p -= (Vector)_mm512_div_ps((__m512)(o->rate * *m), (__m512)under); /* `/` would be a reciprocal and a Newton step */
}

INLINE void update(const Optimiser *o, Row *p, Row *m, Row *v, const Row *g) {
    update_vector(o, &p->low, &m->low, &v->low, g->low);
    update_vector(o, &p->high, &m->high, &v->high, g->high);
}

/* Both take the gradient g of a layer's output; x is its input, of WIDTH features. */
INLINE void update_weight(const Optimiser *o, Row *p, Row *m, Row *v, const Row *x, const Row *g) {
    for (int k = 0; k < WIDTH; k += TILE) {
        Row tile[TILE];
        product(tile, (Row){}, (const float *)x + k, 1, ROW, g, BATCH);
        UNROLLED(5)
        for (int i = 0; i < TILE; i++) update(o, p + k + i, m + k + i, v + k + i, tile + i);
    }
}

INLINE void update_bias(const Optimiser *o, Row *p, Row *m, Row *v, const Row *g) {
    Row even = g[BATCH - 1], odd = {};
    for (int r = 0; r + 1 < BATCH; r += 2) add(&even, g + r), add(&odd, g + r + 1);
    add(&even, &odd);
    update(o, p, m, v, &even);
}

/* Two shuffles of vectors a and b, and between them every element of both. The number of an element is its vector's, which
 * differs in one bit, and its lane's. PAIRS makes of lane bits (1, 0) and the vector's bit v: lanes (0, v), and bit 1
 * chooses the shuffle. QUARTERS makes of lane bits (3, 2): lanes (v, 3), and bit 2 chooses. So PAIRS over vectors that differ
 * in bit 1, then in bit 0, and QUARTERS over bit 2, then bit 3, exchange the numbers of vectors and lanes. */
#define PAIRS(a, b, second) __builtin_shuffle(a, b, (Mask){0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29} + 2 * second)
#define QUARTERS(a, b, second) __builtin_shuffle(a, b, (Mask){0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27} + 4 * second)

#define EXCHANGE(SHUFFLE, rows, bit) UNROLLED(16) for (int i = 0; i < LANES; i++) if (!(i & bit)) { \
    Vector first = SHUFFLE(rows[i], rows[i + bit], 0), second = SHUFFLE(rows[i], rows[i + bit], 1); \
    rows[i] = first, rows[i + bit] = second; \
}

INLINE void transpose_block(Vector *to, const Vector *from) { /* every second vector: a row has two */
    Vector rows[LANES];
    UNROLLED(16)
    for (int i = 0; i < LANES; i++) rows[i] = from[2 * i];
    EXCHANGE(PAIRS, rows, 2)
    EXCHANGE(PAIRS, rows, 1)
    EXCHANGE(QUARTERS, rows, 4)
    EXCHANGE(QUARTERS, rows, 8)
    UNROLLED(16)
    for (int i = 0; i < LANES; i++) to[2 * i] = rows[i];
}

INLINE void transpose(Row to[ROW], const Row from[ROW]) {
    transpose_block(&to[0].low, &from[0].low);
    transpose_block(&to[0].high, &from[LANES].low);
    transpose_block(&to[LANES].low, &from[0].high);
    transpose_block(&to[LANES].high, &from[LANES].high);
}

#define ADD(SHUFFLE, rows, bit, added) UNROLLED(16) for (int i = 0; i < LANES; i++) if (!(i & (bit | added))) \
    rows[i] = SHUFFLE(rows[i], rows[i + bit], 0) + SHUFFLE(rows[i], rows[i + bit], 1);

/* Lane i is the sum of rows[i]: a transposition in which rows are added as soon as they can be. */
INLINE Vector sums(Vector rows[LANES]) {
    ADD(PAIRS, rows, 2, 0)
    ADD(PAIRS, rows, 1, 2)
    ADD(QUARTERS, rows, 4, 3)
    ADD(QUARTERS, rows, 8, 7)
    return rows[0];
}

/* One output of the last layer, for all samples: the batch on the lanes. */
INLINE Row outputs(const Row *x, Row weight, float bias) {
    Vector rows[LANES];
    Row y;
    UNROLLED(16)
    for (int i = 0; i < LANES; i++) rows[i] = x[i].low * weight.low + x[i].high * weight.high;
    y.low = sums(rows) + bias;
    UNROLLED(16)
    for (int i = 0; i < LANES; i++) {
        rows[i] = i + LANES < BATCH ? x[i + LANES].low * weight.low + x[i + LANES].high * weight.high : (Vector){};
    }
    y.high = sums(rows) + bias;
    return y;
}

INLINE float total(Row x) { return _mm512_reduce_add_ps((__m512)(x.low + x.high)); }

/* z: one output, the batch on the lanes; becomes the gradient of the loss by it. Returns its share of the loss. */
INLINE float loss_gradient(Loss loss, float *z, const float *targets, int count) {
    float sum = 0;
    for (int i = 0; i < ROW; i++) {
        float used = i < BATCH;
        if (loss == SQUARES) {
            float error = used * (z[i] - targets[i]);
            sum += error * error;
            z[i] = error * (2.0f / count);
        } else { /* of the sigmoid */
            float small = expf(-fabsf(z[i])), share = 1 / (1 + small);
            sum += used * (fmaxf(z[i], 0) - z[i] * targets[i] + logf(1 + small));
            z[i] = used * ((z[i] < 0 ? small * share : share) - targets[i]) * (1.0f / count);
        }
    }
    return sum / count;
}

/* The last layer, back and updated: the gradient of its input goes to g. */
INLINE void last_layer(Task task, const Optimiser *o, Net *p, Net *m, Net *v, const Row *x, const Row *errors, Row *g) {
    Row weight[2] = {p->last[0], p->last[1]}, sum[2] = {}, bias = {};
    UNROLLED(5)
    for (int r = 0; r < BATCH; r++) {
        Row back = {};
        UNROLLED(2)
        for (int j = 0; j < task.outputs; j++) {
            float error = ((const float *)(errors + j))[r];
            add_product(&back, error, weight + j);
            add_product(sum + j, error, x + r);
        }
        g[r].low = derived(task.activations[2], x[r].low, back.low);
        g[r].high = derived(task.activations[2], x[r].high, back.high);
    }
    UNROLLED(2)
    for (int j = 0; j < task.outputs; j++) {
        update(o, p->last + j, m->last + j, v->last + j, sum + j);
        bias.low[j] = total(errors[j]);
    }
    update(o, &p->last_bias, &m->last_bias, &v->last_bias, &bias);
}

INLINE void step(Task task, const Optimiser *o, Net *p, Net *m, Net *v, const float *x, const float *targets, float *loss) {
    static Row y[3][BATCH], g[3][BATCH], transposed[ROW], errors[2];
    Row g0[2] = {};
    forward(y[0], task.activations[0], x, 2, 2, p->first, p->first_bias);
    UNROLLED(2)
    for (int i = 0; i < 2; i++) {
        forward(y[i + 1], task.activations[i + 1], (float *)y[i], WIDTH, ROW, p->hidden[i], p->hidden_bias[i]);
    }
    *loss = 0;
    UNROLLED(2)
    for (int j = 0; j < task.outputs; j++) {
        errors[j] = outputs(y[2], p->last[j], p->last_bias.low[j]);
        *loss += loss_gradient(task.loss, (float *)(errors + j), targets + j * ROW, BATCH * task.outputs);
    }
    last_layer(task, o, p, m, v, y[2], errors, g[2]);
    UNROLLED(2)
    for (int i = 1; i >= 0; i--) {
        transpose(transposed, p->hidden[i]);
        backward(g[i], task.activations[i], y[i], g[i + 1], transposed);
        update_weight(o, p->hidden[i], m->hidden[i], v->hidden[i], y[i], g[i + 1]);
        update_bias(o, p->hidden_bias + i, m->hidden_bias + i, v->hidden_bias + i, g[i + 1]);
    }
    UNROLLED(5)
    for (int r = 0; r < BATCH; r++) {
        add_product(g0, x[2 * r], g[0] + r);
        add_product(g0 + 1, x[2 * r + 1], g[0] + r);
    }
    for (int k = 0; k < 2; k++) update(o, p->first + k, m->first + k, v->first + k, g0 + k);
    update_bias(o, &p->first_bias, &m->first_bias, &v->first_bias, g[0]);
}

/* x: [steps][25][2]; targets: [steps][outputs][32], the batch padded to a row. */
void epoch_sgd(Net *p, const float *x, const float *targets, int steps, float rate, float *losses) {
    const Task task = {.activations = {TANH, TANH, TANH}, .outputs = 2, .loss = SQUARES, .adam = 0};
    Optimiser o = {.adam = task.adam, .rate = rate};
    for (int s = 0; s < steps; s++) step(task, &o, p, p, p, x + s * STEP_INPUTS, targets + s * 2 * ROW, losses + s);
}

/* powers: β₁ and β₂ to the number of steps so far. */
void epoch_adam(Net *p, Net *m, Net *v, double *powers, const float *x, const float *targets, int steps, float rate, float *losses) {
    const Task task = {.activations = {TANH, RELU, RELU}, .outputs = 1, .loss = CROSS_ENTROPY, .adam = 1};
    Optimiser o = {.adam = task.adam, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f};
    for (int s = 0; s < steps; s++) {
        powers[0] *= 0.9, powers[1] *= 0.999;
        o.rate = (float)(rate / (1 - powers[0]));
        o.root = (float)(1 / sqrt(1 - powers[1]));
        step(task, &o, p, m, v, x + s * STEP_INPUTS, targets + s * ROW, losses + s);
    }
}

INLINE float sigmoid_of(float x) { return 1 / (1 + expf(-x)); }

/* The pointwise chain, forward, backward and updated, in one pass over memory. `d_` is the gradient of what follows. */
double pointwise(const float *restrict x, float *restrict a, float *restrict b, long count, float rate) {
    enum { BLOCK = 4096 }; /* whose sum is float; count is a multiple */
    const float scale = rate / (float)count;
    double sum = 0;
    _Pragma("omp parallel for reduction(+ : sum)")
    for (long start = 0; start < count; start += BLOCK) {
        float part = 0;
        _Pragma("omp simd reduction(+ : part)")
        for (long i = start; i < start + BLOCK; i++) {
            float affine = x[i] * a[i] + b[i], bent = tanh_of(affine), gate = sigmoid_of(affine), gated = bent * gate;
            float shifted = gated + x[i], bell = expf(-shifted * shifted), wave = tanh_of(bell * a[i] + bent);
            float choice = sigmoid_of(wave * b[i] - gated), centre = choice * affine + bell;
            float outer = expf(-centre * centre);
            part += outer * wave + centre;

            float d_centre = 1 - 2 * centre * outer * wave;
            float d_choice = d_centre * affine * choice * (1 - choice); /* of the sigmoid's argument */
            float d_wave = (outer + d_choice * b[i]) * (1 - wave * wave); /* of the tanh's */
            float d_bell = d_centre + d_wave * a[i];
            float d_shifted = -2 * shifted * bell * d_bell, d_gated = d_shifted - d_choice;
            float d_bent = (d_wave + d_gated * gate) * (1 - bent * bent), d_gate = d_gated * bent * gate * (1 - gate);
            float d_affine = d_centre * choice + d_bent + d_gate;
            a[i] -= scale * (d_wave * bell + d_affine * x[i]);
            b[i] -= scale * (d_choice * wave + d_affine);
        }
        sum += part;
    }
    return sum / (double)count;
}

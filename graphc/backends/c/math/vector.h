/* What an operator is on a vector. scalar.h has the same for one lane. Comparisons give 0 or -1 in each lane. */

static inline vecf splat_vecf(elem c) { return c - (vecf){0}; }

static inline veci splat_veci(elei c) { return c - (veci){0}; }

static inline veci bits_vecf(vecf x) { return (veci)x; }

/* For arithmetic, which wraps around. */
static inline vecu words_vecf(vecf x) { return (vecu)x; }

static inline vecf from_bits_veci(veci x) { return (vecf)x; }

static inline veci eq_vecf(vecf a, vecf b) { return a == b; }

static inline veci ne_vecf(vecf a, vecf b) { return a != b; }

static inline veci lt_vecf(vecf a, vecf b) { return a < b; }

static inline veci le_vecf(vecf a, vecf b) { return a <= b; }

static inline veci gt_vecf(vecf a, vecf b) { return a > b; }

static inline veci ge_vecf(vecf a, vecf b) { return a >= b; }

static inline veci eq_veci(veci a, veci b) { return a == b; }

static inline veci ne_veci(veci a, veci b) { return a != b; }

static inline veci lt_veci(veci a, veci b) { return a < b; }

static inline veci le_veci(veci a, veci b) { return a <= b; }

static inline veci gt_veci(veci a, veci b) { return a > b; }

static inline veci ge_veci(veci a, veci b) { return a >= b; }

static inline vecf select_vecf(veci m, vecf a, vecf b) { return (vecf)(((veci)a & m) | ((veci)b & ~m)); }

static inline veci select_veci(veci m, veci a, veci b) { return (a & m) | (b & ~m); }

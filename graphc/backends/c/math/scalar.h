/* vector.h for one lane, where C has other operators. */

static inline vecf splat_vecf(elem c) { return c; }

static inline veci splat_veci(elei c) { return c; }

static inline veci bits_vecf(vecf x) {
  union { vecf f; veci i; } u = {.f = x};
  return u.i;
}

static inline vecu words_vecf(vecf x) { return (vecu)bits_vecf(x); }

static inline vecf from_bits_veci(veci x) {
  union { veci i; vecf f; } u = {.i = x};
  return u.f;
}

static inline veci eq_vecf(vecf a, vecf b) { return -(a == b); }

static inline veci ne_vecf(vecf a, vecf b) { return -(a != b); }

static inline veci lt_vecf(vecf a, vecf b) { return -(a < b); }

static inline veci le_vecf(vecf a, vecf b) { return -(a <= b); }

static inline veci gt_vecf(vecf a, vecf b) { return -(a > b); }

static inline veci ge_vecf(vecf a, vecf b) { return -(a >= b); }

static inline veci eq_veci(veci a, veci b) { return -(a == b); }

static inline veci ne_veci(veci a, veci b) { return -(a != b); }

static inline veci lt_veci(veci a, veci b) { return -(a < b); }

static inline veci le_veci(veci a, veci b) { return -(a <= b); }

static inline veci gt_veci(veci a, veci b) { return -(a > b); }

static inline veci ge_veci(veci a, veci b) { return -(a >= b); }

static inline vecf select_vecf(veci m, vecf a, vecf b) { return m ? a : b; }

static inline veci select_veci(veci m, veci a, veci b) { return m ? a : b; }

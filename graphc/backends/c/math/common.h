/* Functions that are written alike for f32 and f64, and those of integers. */

/* Rounded once, also where that takes a call for each lane. */
static inline vecf fma_vecf(vecf a, vecf b, vecf c) {
#if __has_builtin(__builtin_elementwise_fma)
  return __builtin_elementwise_fma(a, b, c);
#else
  union { vecf v; elem lane[LANES]; } x = {.v = a}, y = {.v = b}, z = {.v = c};
  for (int i = 0; i < LANES; i++) x.lane[i] = libm_fma(x.lane[i], y.lane[i], z.lane[i]);
  return x.v;
#endif
}

/* Rounded once only where that is as fast as twice. */
static inline vecf muladd_vecf(vecf a, vecf b, vecf c) {
#ifdef FUSED
  return fma_vecf(a, b, c);
#else
  return a * b + c;
#endif
}

/* One step of Horner's rule. */
static inline vecf horner_vecf(vecf p, vecf x, elem c) { return muladd_vecf(p, x, splat_vecf(c)); }

/* The second operand if either is NaN: a clamp with the bound first keeps NaN. */
static inline vecf least_vecf(vecf a, vecf b) { return select_vecf(lt_vecf(a, b), a, b); }

/* The second operand if either is NaN. */
static inline vecf greatest_vecf(vecf a, vecf b) { return select_vecf(gt_vecf(a, b), a, b); }

/* NaN if either operand is. */
static inline vecf minimum_vecf(vecf a, vecf b) { return select_vecf(ne_vecf(a, a), a, least_vecf(a, b)); }

/* NaN if either operand is. */
static inline vecf maximum_vecf(vecf a, vecf b) { return select_vecf(ne_vecf(a, a), a, greatest_vecf(a, b)); }

static inline vecf abs_vecf(vecf x) { return from_bits_veci(bits_vecf(x) & ~bits_vecf(splat_vecf(-0.0))); }

static inline vecf copysign_vecf(vecf x, vecf sign) {
  veci mask = bits_vecf(splat_vecf(-0.0));
  return from_bits_veci((bits_vecf(x) & ~mask) | (bits_vecf(sign) & mask));
}

/* 0 for NaN, as in torch. */
static inline vecf sign_vecf(vecf x) {
  veci one = bits_vecf(splat_vecf(1)), minus_one = bits_vecf(splat_vecf(-1));
  return from_bits_veci((gt_vecf(x, splat_vecf(0)) & one) | (lt_vecf(x, splat_vecf(0)) & minus_one));
}

static inline vecf sqrt_vecf(vecf x) {
  union { vecf v; elem lane[LANES]; } u = {.v = x};
  for (int i = 0; i < LANES; i++) u.lane[i] = libm_sqrt(u.lane[i]);
  return u.v;
}

/* The libm's own: a vector version of one ulp would need the logarithm in twice the precision. */
static inline vecf pow_vecf(vecf x, vecf y) {
  union { vecf v; elem lane[LANES]; } u = {.v = x}, w = {.v = y};
  for (int i = 0; i < LANES; i++) u.lane[i] = libm_pow(u.lane[i], w.lane[i]);
  return u.v;
}

/* What is large has no digits after the point, and a large sum loses them. */
static inline vecf floor_vecf(vecf x) {
#if __has_builtin(__builtin_elementwise_floor)
  return __builtin_elementwise_floor(x);
#else
  vecf a = abs_vecf(x), large = large_vecf(), y = copysign_vecf((a + large) - large, x);
  y = select_vecf(gt_vecf(y, x), y - splat_vecf(1), y);
  return select_vecf(lt_vecf(a, large), y, x);
#endif
}

/* The sine of |x| and some quarter turns more: odd quarters have the cosine of what is left of x, and the last two of
 * four the negative. */
static inline vecf turned_sine_vecf(vecf x, veci further) {
  vecf turned = quarters_vecf(abs_vecf(x)), r = unturned_vecf(abs_vecf(x), turned);
  vecu quarter = words_vecf(turned) + (vecu)further;
  veci odd = (veci)(quarter << (int)(8 * sizeof(elem) - 1)) >> (int)(8 * sizeof(elem) - 1);
  veci sign = (veci)(quarter << (int)(8 * sizeof(elem) - 2)) & bits_vecf(splat_vecf(-0.0));
  return from_bits_veci(bits_vecf(select_vecf(odd, near_cos_vecf(r), near_sin_vecf(r))) ^ sign);
}

static inline vecf sin_vecf(vecf x) {
  vecf y = turned_sine_vecf(x, splat_veci(0));
  if (any_above_vecf(abs_vecf(x), reach_vecf())) y = far_sin_vecf(abs_vecf(x), y);
  return from_bits_veci(bits_vecf(y) ^ (bits_vecf(x) & bits_vecf(splat_vecf(-0.0))));
}

static inline vecf cos_vecf(vecf x) {
  vecf y = turned_sine_vecf(x, splat_veci(1));
  return any_above_vecf(abs_vecf(x), reach_vecf()) ? far_cos_vecf(abs_vecf(x), y) : y;
}

/* The libm's own for what is out of reach: to turn it back takes hundreds of digits of pi. */
static noinline vecf far_sin_vecf(vecf x, vecf within_reach) {
  union { vecf v; elem lane[LANES]; } u = {.v = x}, y = {.v = within_reach}, reach = {.v = reach_vecf()};
  for (int i = 0; i < LANES; i++) y.lane[i] = u.lane[i] > reach.lane[i] ? libm_sin(u.lane[i]) : y.lane[i];
  return y.v;
}

static noinline vecf far_cos_vecf(vecf x, vecf within_reach) {
  union { vecf v; elem lane[LANES]; } u = {.v = x}, y = {.v = within_reach}, reach = {.v = reach_vecf()};
  for (int i = 0; i < LANES; i++) y.lane[i] = u.lane[i] > reach.lane[i] ? libm_cos(u.lane[i]) : y.lane[i];
  return y.v;
}

/* Whether x is larger than y in any lane. */
static inline int any_above_vecf(vecf x, vecf y) {
  union { veci v; elei lane[LANES]; } above = {.v = gt_vecf(x, y)};
  elei any = 0;
  for (int i = 0; i < LANES; i++) any |= above.lane[i];
  return any != 0;
}

/* e^x / (1 + e^x) for negative x, so that small results keep their digits. */
static inline vecf sigmoid_vecf(vecf x) {
  vecf one = splat_vecf(1), e = exp_below_vecf(copysign_vecf(x, splat_vecf(-1)));
  return select_vecf(lt_vecf(x, splat_vecf(0)), e, one) / (one + e);
}

/* 1 - e^-v with v = -log erfc|x|, which is smooth: the closer the result is to 1, the less an error of v matters. */
static inline vecf erf_vecf(vecf x) {
  vecf minus_v = log_erfc_vecf(abs_vecf(x)), n = octaves_vecf(minus_v), s = power_of_two_vecf(n);
  return copysign_vecf(muladd_vecf(expm1_reduced_vecf(reduced_vecf(minus_v, n)), s, s - splat_vecf(1)), x);
}

static inline vecf log_vecf(vecf x) { return log_of_parts_vecf(exponent_vecf(x), mantissa_vecf(x) - splat_vecf(1)); }

/* The logarithm of u = 1 + x, to whose mantissa is added what the sum has lost. The bounds are for infinite u. */
static inline vecf log1p_vecf(vecf x) {
  vecf one = splat_vecf(1), u = x + one, m = mantissa_vecf(u);
  vecf lost = greatest_vecf(x - (u - one), -one);
  vecf down = greatest_vecf(from_bits_veci((veci)(words_vecf(one) - (words_vecf(u) - words_vecf(m)))), splat_vecf(0));
  return copysign_vecf(log_of_parts_vecf(exponent_vecf(u), muladd_vecf(lost, down, m - one)), x);
}

static inline veci minimum_veci(veci a, veci b) { return select_veci(lt_veci(a, b), a, b); }

static inline veci maximum_veci(veci a, veci b) { return select_veci(gt_veci(a, b), a, b); }

static inline veci abs_veci(veci x) { return select_veci(lt_veci(x, splat_veci(0)), (veci)-(vecu)x, x); }

static inline veci sign_veci(veci x) { return lt_veci(x, splat_veci(0)) - gt_veci(x, splat_veci(0)); }

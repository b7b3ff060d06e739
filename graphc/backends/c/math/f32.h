/* Functions whose constants are those of f32.

The polynomials and quotients are minimax: fitted in 70 decimal digits by Remez's exchange, for the least relative error
of the function that is computed from them, and rounded. They alone are off by 2^-32 (cos), 2^-28 (erf), 2^-27 (tanh,
sin), 2^-26 (expm1) and 2^-25 (log). Numerators and denominators are free to share a factor: the one that they have puts
them just below a power of two for small x, where sums are rounded least.

Errors over all numbers, in units in the last place, where products and sums are rounded together, and apart:

             tanh  exp  expm1  log  log1p  sigmoid  erf  sin  cos
  together   3.1   1.1  1.7    1.2  1.3    2.5      3.2  1.6  1.6
  apart      3.7   1.1  1.7    1.4  1.4    2.5      3.2  2.5  2.7 */

/* 2^n for -127 <= n <= 128: the sum has n where its shift puts the exponent. */
static inline vecf power_of_two_vecf(vecf n) {
  return from_bits_veci((veci)(words_vecf(n + splat_vecf(0x1.8p23 + 127)) << 23));
}

/* p 2^n for -254 <= n <= 254, in two steps: the second may round to a denormal number or give infinity. */
static inline vecf scale_vecf(vecf p, vecf n) {
  vecu e = words_vecf(n + splat_vecf(0x1.8p23 + 254)) - words_vecf(splat_vecf(0x1.8p23)), half = e >> 1;
  return p * from_bits_veci((veci)(half << 23)) * from_bits_veci((veci)((e - half) << 23));
}

/* x / log 2 to the next integer: so large a sum has no digits after the point. */
static inline vecf octaves_vecf(vecf x) {
  vecf large = splat_vecf(0x1.8p23);
  return muladd_vecf(x, splat_vecf(1.4426950408889634), large) - large;
}

/* x - n log 2. The first part of log 2 has so few digits that its product with n is exact. */
static inline vecf reduced_vecf(vecf x, vecf n) {
  return muladd_vecf(n, splat_vecf(-1.42860677e-6), muladd_vecf(n, splat_vecf(-0.693145752), x));
}

/* e^r - 1 for |r| <= log(2) / 2 */
static inline vecf expm1_reduced_vecf(vecf r) {
  vecf p = splat_vecf(0.0013882502);
  p = horner_vecf(p, r, 0.0083665475);
  p = horner_vecf(p, r, 0.0416672);
  p = horner_vecf(p, r, 0.16666543);
  p = horner_vecf(p, r, 0.49999997);
  return muladd_vecf(r * r, p, r);
}

/* e^x for x <= 89 */
static inline vecf exp_below_vecf(vecf x) {
  vecf y = greatest_vecf(splat_vecf(-104), x), n = octaves_vecf(y);
  return scale_vecf(expm1_reduced_vecf(reduced_vecf(y, n)) + splat_vecf(1), n);
}

static inline vecf exp_vecf(vecf x) { return exp_below_vecf(least_vecf(splat_vecf(89), x)); }

/* Halved before the end, since 2^n may be just out of range. What is tiny is its own result, sign and all. */
static inline vecf expm1_vecf(vecf x) {
  vecf y = least_vecf(splat_vecf(89), greatest_vecf(splat_vecf(-18), x)), n = octaves_vecf(y);
  vecf s = power_of_two_vecf(n - splat_vecf(1)), p = expm1_reduced_vecf(reduced_vecf(y, n));
  vecf half = muladd_vecf(p, s, s - splat_vecf(0.5));
  return select_vecf(lt_vecf(abs_vecf(x), splat_vecf(1e-8)), x, half + half);
}

/* With p / q = tanh(x / 2): the closer 2 p q / (q^2 + p^2) is to 1, the less errors of p and q matter. At the bound it
 * is rounded to 1; up to there q - p is large enough that no rounding leads beyond 1. */
static inline vecf tanh_vecf(vecf x) {
  vecf y = least_vecf(splat_vecf(8.82), greatest_vecf(splat_vecf(-8.82), x)), z = y * y;
  vecf p = splat_vecf(1.029e-4);
  p = horner_vecf(p, z, 0.026799703);
  p = horner_vecf(p, z, 0.9);
  vecf q = splat_vecf(2.2152233e-6);
  q = horner_vecf(q, z, 0.0021724738);
  q = horner_vecf(q, z, 0.20359935);
  q = horner_vecf(q, z, 1.8);
  p = p * y;
  return (p + p) * q / muladd_vecf(q, q, p * p);
}

/* log erfc x for x >= 0 */
static inline vecf log_erfc_vecf(vecf x) {
  vecf y = least_vecf(splat_vecf(4), x), yy = y * y;
  vecf p = splat_vecf(1.1763542e-4), odd_p = splat_vecf(-9.255634e-6);
  p = horner_vecf(p, yy, 0.0016669857), odd_p = horner_vecf(odd_p, yy, -6.328151e-4);
  p = horner_vecf(p, yy, -0.01915309), odd_p = horner_vecf(odd_p, yy, -1.6035151e-4);
  p = horner_vecf(p, yy, 0.6366194), odd_p = horner_vecf(odd_p, yy, 0.10277784);
  p = horner_vecf(muladd_vecf(odd_p, y, p), y, 1.1283792);
  return -y * p;
}

/* x = mantissa 2^exponent with 3/4 <= mantissa < 3/2. The exponent of 0 and of infinity is infinite, the mantissa of
 * numbers below 0 is NaN, and the logarithm of all of them comes out right. */
static inline vecf mantissa_vecf(vecf x) {
  vecf y = select_vecf(lt_vecf(x, splat_vecf(0x1p-126)), x * splat_vecf(0x1p24), x);
  vecu start = words_vecf(splat_vecf(0.75)), m = (words_vecf(y) - start) & (vecu)splat_veci(0x7fffff);
  return select_vecf(ge_vecf(x, splat_vecf(0)), from_bits_veci((veci)(m + start)), splat_vecf(__builtin_nanf("")));
}

/* The biased exponent is made a number by putting it behind a large one's point. */
static inline vecf exponent_vecf(vecf x) {
  veci denormal = lt_vecf(x, splat_vecf(0x1p-126));
  vecf y = select_vecf(denormal, x * splat_vecf(0x1p24), x);
  vecu e = (words_vecf(y) - words_vecf(splat_vecf(0.75)) + words_vecf(splat_vecf(1))) >> 23;
  vecf bias = select_vecf(denormal, splat_vecf(0x1p23 + 151), splat_vecf(0x1p23 + 127));
  vecf k = from_bits_veci((veci)e | bits_vecf(splat_vecf(0x1p23))) - bias;
  k = select_vecf(lt_vecf(x, splat_vecf(__builtin_inff())), k, x);
  return select_vecf(eq_vecf(x, splat_vecf(0)), splat_vecf(-__builtin_inff()), k);
}

/* k log 2 + log(1 + f) for -1/4 <= f <= 1/2 */
static inline vecf log_of_parts_vecf(vecf k, vecf f) {
  vecf p = splat_vecf(0.054132447);
  p = horner_vecf(p, f, -0.12067362);
  p = horner_vecf(p, f, 0.14983913);
  p = horner_vecf(p, f, -0.16822812);
  p = horner_vecf(p, f, 0.19977078);
  p = horner_vecf(p, f, -0.24993442);
  p = horner_vecf(p, f, 0.3333355);
  p = horner_vecf(p, f, -0.5000006);
  vecf r = muladd_vecf(f * f, p, f);
  return muladd_vecf(k, splat_vecf(0.693145752), muladd_vecf(k, splat_vecf(1.42860677e-6), r));
}

/* Numbers from here on are integers. */
static inline vecf large_vecf(void) { return splat_vecf(0x1p23); }

/* x / (pi/2) to the next integer, which stands in the last digits of a large sum. */
static inline vecf quarters_vecf(vecf x) { return muladd_vecf(x, splat_vecf(0.63661977), splat_vecf(0x1.8p23)); }

/* Up to where `unturned` is right; beyond, it would need more parts of pi/2. */
static inline vecf reach_vecf(void) {
#ifdef FUSED
  return splat_vecf(1e5);
#else
  return splat_vecf(6400);
#endif
}

/* x - n pi/2, for pi/2 to 67 binary places. Where differences cancel they are exact, and so are products that are
 * rounded apart, since parts of pi/2 have so few digits then. */
static inline vecf unturned_vecf(vecf x, vecf quarters) {
  vecf n = quarters - splat_vecf(0x1.8p23);
#ifdef FUSED
  vecf r = muladd_vecf(n, splat_vecf(-1.5707964), x);
  return muladd_vecf(n, splat_vecf(1.7151245e-15), muladd_vecf(n, splat_vecf(4.371139e-8), r));
#else
  vecf r = muladd_vecf(n, splat_vecf(4.4535846e-6), muladd_vecf(n, splat_vecf(-1.5708008), x));
  return muladd_vecf(n, splat_vecf(1.6513996e-13), muladd_vecf(n, splat_vecf(8.7038643e-10), r));
#endif
}

/* The sine of |r| <= pi/4 and a little more */
static inline vecf near_sin_vecf(vecf r) {
  vecf z = r * r, p = splat_vecf(-0.00019507883);
  p = horner_vecf(p, z, 0.008332106);
  p = horner_vecf(p, z, -0.16666654);
  return muladd_vecf(r * z, p, r);
}

/* The cosine of |r| <= pi/4 and a little more */
static inline vecf near_cos_vecf(vecf r) {
  vecf z = r * r, p = splat_vecf(2.4430085e-5);
  p = horner_vecf(p, z, -0.0013887298);
  p = horner_vecf(p, z, 0.041666646);
  p = horner_vecf(p, z, -0.5);
  return horner_vecf(p, z, 1);
}

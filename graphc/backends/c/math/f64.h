/* Functions whose constants are those of f64. They were found as those in f32.h, and they
alone are off by 2^-63 (cos), 2^-62 (log), 2^-59 (erf), 2^-56 (expm1, sin) and 2^-54 (tanh).

Errors over some million numbers of all sizes, in units in the last place, as in f32.h:

             tanh  exp  expm1  log  log1p  sigmoid  erf  sin  cos
  together   3.3   1.1  2.2    0.9  0.9    2.5      3.5  1.6  1.6
  apart      3.7   1.1  2.3    0.9  0.9    2.5      3.9  2.4  2.4 */

/* 2^n for -1023 <= n <= 1024: the sum has n where its shift puts the exponent. */
static inline vecf power_of_two_vecf(vecf n) {
  return from_bits_veci((veci)(words_vecf(n + splat_vecf(0x1.8p52 + 1023)) << 52));
}

/* p 2^n for -2046 <= n <= 2046, in two steps: the second may round to a denormal number or give infinity. */
static inline vecf scale_vecf(vecf p, vecf n) {
  vecu e = words_vecf(n + splat_vecf(0x1.8p52 + 2046)) - words_vecf(splat_vecf(0x1.8p52)), half = e >> 1;
  return p * from_bits_veci((veci)(half << 52)) * from_bits_veci((veci)((e - half) << 52));
}

/* x / log 2 to the next integer: so large a sum has no digits after the point. */
static inline vecf octaves_vecf(vecf x) {
  vecf large = splat_vecf(0x1.8p52);
  return muladd_vecf(x, splat_vecf(1.4426950408889634), large) - large;
}

/* x - n log 2. The first part of log 2 has so few digits that its product with n is exact. */
static inline vecf reduced_vecf(vecf x, vecf n) {
  return muladd_vecf(n, splat_vecf(-1.9082149292705877e-10), muladd_vecf(n, splat_vecf(-0.6931471803691238), x));
}

/* e^r - 1 for |r| <= log(2) / 2 */
static inline vecf expm1_reduced_vecf(vecf r) {
  vecf rr = r * r;
  vecf p = splat_vecf(2.505378409107624e-8), odd_p = splat_vecf(2.762609279919311e-7);
  p = horner_vecf(p, rr, 2.7557407658717368e-6);
  p = horner_vecf(p, rr, 0.0001984126971874227), odd_p = horner_vecf(odd_p, rr, 2.4801505142712055e-5);
  p = horner_vecf(p, rr, 0.008333333333389719), odd_p = horner_vecf(odd_p, rr, 0.0013888888931667183);
  p = horner_vecf(p, rr, 0.16666666666666588), odd_p = horner_vecf(odd_p, rr, 0.041666666666576466);
  p = horner_vecf(muladd_vecf(odd_p, r, p), r, 0.5000000000000006);
  return muladd_vecf(rr, p, r);
}

/* e^x for x <= 710 */
static inline vecf exp_below_vecf(vecf x) {
  vecf y = greatest_vecf(splat_vecf(-746), x), n = octaves_vecf(y);
  return scale_vecf(expm1_reduced_vecf(reduced_vecf(y, n)) + splat_vecf(1), n);
}

static inline vecf exp_vecf(vecf x) { return exp_below_vecf(least_vecf(splat_vecf(710), x)); }

/* Halved before the end, since 2^n may be just out of range. What is tiny is its own result, sign and all. */
static inline vecf expm1_vecf(vecf x) {
  vecf y = least_vecf(splat_vecf(710), greatest_vecf(splat_vecf(-38), x)), n = octaves_vecf(y);
  vecf s = power_of_two_vecf(n - splat_vecf(1)), p = expm1_reduced_vecf(reduced_vecf(y, n));
  vecf half = muladd_vecf(p, s, s - splat_vecf(0.5));
  return select_vecf(lt_vecf(abs_vecf(x), splat_vecf(1e-17)), x, half + half);
}

/* With p / q = tanh(x / 2): the closer 2 p q / (q^2 + p^2) is to 1, the less errors of p and q matter. At the bound it
 * is rounded to 1; up to there q - p is large enough that no rounding leads beyond 1. */
static inline vecf tanh_vecf(vecf x) {
  vecf y = least_vecf(splat_vecf(19.1), greatest_vecf(splat_vecf(-19.1), x)), z = y * y;
  vecf p = splat_vecf(1.6376032062444244e-13);
  p = horner_vecf(p, z, 7.266287926365241e-10);
  p = horner_vecf(p, z, 7.676923775649809e-7);
  p = horner_vecf(p, z, 0.0002729725527803445);
  p = horner_vecf(p, z, 0.032421618124930475);
  p = horner_vecf(p, z, 0.9);
  vecf q = splat_vecf(9.401357471316776e-16);
  q = horner_vecf(q, z, 1.3683497936446589e-11);
  q = horner_vecf(q, z, 2.733657114936922e-8);
  q = horner_vecf(q, z, 1.6494569394833168e-5);
  q = horner_vecf(q, z, 0.003449548126383415);
  q = horner_vecf(q, z, 0.21484323624986035);
  q = horner_vecf(q, z, 1.8);
  p = p * y;
  return (p + p) * q / muladd_vecf(q, q, p * p);
}

/* log erfc x for x >= 0 */
static inline vecf log_erfc_vecf(vecf x) {
  vecf y = least_vecf(splat_vecf(6), x), yy = y * y;
  vecf p = splat_vecf(0.005891696294750182), odd_p = splat_vecf(0.0002069560464173602);
  p = horner_vecf(p, yy, 0.3496692559098971), odd_p = horner_vecf(odd_p, yy, 0.06117512993731775);
  p = horner_vecf(p, yy, 2.999494879979345), odd_p = horner_vecf(odd_p, yy, 1.2603317171738784);
  p = horner_vecf(p, yy, 4.415207750804991), odd_p = horner_vecf(odd_p, yy, 4.671740733773794);
  p = horner_vecf(muladd_vecf(odd_p, y, p), y, 1.974663542417147);
  vecf q = splat_vecf(0.00020699285851154086), odd_q = splat_vecf(0.005887425246848805);
  q = horner_vecf(q, yy, 0.06019721101490001);
  q = horner_vecf(q, yy, 1.1067265636437105), odd_q = horner_vecf(odd_q, yy, 0.33021425246982167);
  q = horner_vecf(q, yy, 2.92554421902252), odd_q = horner_vecf(odd_q, yy, 2.3302711179951214);
  q = horner_vecf(muladd_vecf(odd_q, y, q), y, 1.75);
  return -y * p / q;
}

/* x = mantissa 2^exponent with 3/4 <= mantissa < 3/2. The exponent of 0 and of infinity is infinite, the mantissa of
 * numbers below 0 is NaN, and the logarithm of all of them comes out right. */
static inline vecf mantissa_vecf(vecf x) {
  vecf y = select_vecf(lt_vecf(x, splat_vecf(0x1p-1022)), x * splat_vecf(0x1p54), x);
  vecu start = words_vecf(splat_vecf(0.75)), m = (words_vecf(y) - start) & (vecu)splat_veci(0xfffffffffffff);
  return select_vecf(ge_vecf(x, splat_vecf(0)), from_bits_veci((veci)(m + start)), splat_vecf(__builtin_nanf("")));
}

/* The biased exponent is made a number by putting it behind a large one's point. */
static inline vecf exponent_vecf(vecf x) {
  veci denormal = lt_vecf(x, splat_vecf(0x1p-1022));
  vecf y = select_vecf(denormal, x * splat_vecf(0x1p54), x);
  vecu e = (words_vecf(y) - words_vecf(splat_vecf(0.75)) + words_vecf(splat_vecf(1))) >> 52;
  vecf bias = select_vecf(denormal, splat_vecf(0x1p52 + 1077), splat_vecf(0x1p52 + 1023));
  vecf k = from_bits_veci((veci)e | bits_vecf(splat_vecf(0x1p52))) - bias;
  k = select_vecf(lt_vecf(x, splat_vecf(__builtin_inff())), k, x);
  return select_vecf(eq_vecf(x, splat_vecf(0)), splat_vecf(-__builtin_inff()), k);
}

/* k log 2 + log(1 + f) for -1/4 <= f <= 1/2, by f - h + s (h + s^2 P(s^2)) as in fdlibm */
static inline vecf log_of_parts_vecf(vecf k, vecf f) {
  vecf s = f / (f + splat_vecf(2)), z = s * s, h = f * f * splat_vecf(0.5);
  vecf p = splat_vecf(0.13837943235416958);
  p = horner_vecf(p, z, 0.13174362898518874);
  p = horner_vecf(p, z, 0.1539106579971706);
  p = horner_vecf(p, z, 0.18181667313794228);
  p = horner_vecf(p, z, 0.22222224271995616);
  p = horner_vecf(p, z, 0.28571428556049183);
  p = horner_vecf(p, z, 0.4000000000005574);
  p = horner_vecf(p, z, 0.666666666666666);
  vecf r = muladd_vecf(s, muladd_vecf(p, z, h), k * splat_vecf(1.9082149292705877e-10));
  return muladd_vecf(k, splat_vecf(0.6931471803691238), f - (h - r));
}

/* Numbers from here on are integers. */
static inline vecf large_vecf(void) { return splat_vecf(0x1p52); }

/* x / (pi/2) to the next integer, which stands in the last digits of a large sum. */
static inline vecf quarters_vecf(vecf x) {
  return muladd_vecf(x, splat_vecf(0.6366197723675814), splat_vecf(0x1.8p52));
}

/* Up to where `unturned` is right; beyond, it would need more parts of pi/2. */
static inline vecf reach_vecf(void) {
#ifdef FUSED
  return splat_vecf(1e9);
#else
  return splat_vecf(1.6e6);
#endif
}

/* x - n pi/2, for pi/2 to 159 binary places. Where differences cancel they are exact, and so are products that are
 * rounded apart, since parts of pi/2 have so few digits then. */
static inline vecf unturned_vecf(vecf x, vecf quarters) {
  vecf n = quarters - splat_vecf(0x1.8p52);
#ifdef FUSED
  vecf r = muladd_vecf(n, splat_vecf(-1.5707963267948966), x);
  return muladd_vecf(n, splat_vecf(1.4973849048591698e-33), muladd_vecf(n, splat_vecf(-6.123233995736766e-17), r));
#else
  vecf r = muladd_vecf(n, splat_vecf(-6.077100506303966e-11), muladd_vecf(n, splat_vecf(-1.5707963267341256), x));
  return muladd_vecf(n, splat_vecf(-8.4784276603689e-32), muladd_vecf(n, splat_vecf(-2.0222662487111665e-21), r));
#endif
}

/* The sine of |r| <= pi/4 and a little more */
static inline vecf near_sin_vecf(vecf r) {
  vecf z = r * r, p = splat_vecf(1.589748391771631e-10);
  p = horner_vecf(p, z, -2.5050756232678232e-8);
  p = horner_vecf(p, z, 2.7557313595699414e-6);
  p = horner_vecf(p, z, -0.00019841269829358384);
  p = horner_vecf(p, z, 0.00833333333332184);
  p = horner_vecf(p, z, -0.1666666666666663);
  return muladd_vecf(r * z, p, r);
}

/* The cosine of |r| <= pi/4 and a little more */
static inline vecf near_cos_vecf(vecf r) {
  vecf z = r * r, p = splat_vecf(-1.1359262807348733e-11);
  p = horner_vecf(p, z, 2.087571381155524e-9);
  p = horner_vecf(p, z, -2.755731426424451e-7);
  p = horner_vecf(p, z, 2.4801587289101633e-5);
  p = horner_vecf(p, z, -0.0013888888888873392);
  p = horner_vecf(p, z, 0.041666666666666595);
  p = horner_vecf(p, z, -0.5);
  return horner_vecf(p, z, 1);
}

/* Instructions of AVX-512 that vector extensions have no name for, under GCC's. clang, which has others, finds most of
them by itself. immintrin.h has portable names and takes a second to read.

-1 is for all lanes, 4 for rounding as usual, 1 for rounding down, 14 for "greater", and 11 for a mantissa from 3/4 to
3/2, or NaN for numbers below 0. */

#ifndef __clang__
static inline vecf fma_vecf(vecf a, vecf b, vecf c) { return __builtin_ia32_vfmaddpacked512_mask(a, b, c, -1, 4); }
#endif

#ifndef __clang__
static inline vecf least_vecf(vecf a, vecf b) { return __builtin_ia32_minpacked512_mask(a, b, a, -1, 4); }
#endif

#ifndef __clang__
static inline vecf greatest_vecf(vecf a, vecf b) { return __builtin_ia32_maxpacked512_mask(a, b, a, -1, 4); }
#endif

#ifndef __clang__
static inline vecf sqrt_vecf(vecf x) { return __builtin_ia32_sqrtpacked512_mask(x, x, -1, 4); }
#endif

#ifndef __clang__
static inline vecf floor_vecf(vecf x) { return __builtin_ia32_rndscalepacked_mask(x, 1, x, -1, 4); }
#endif

#ifndef __clang__
static inline int any_above_vecf(vecf x, vecf y) { return __builtin_ia32_cmppacked512_mask(x, y, 14, -1, 4) != 0; }
#endif

#ifndef __clang__
static inline vecf scale_vecf(vecf p, vecf n) { return __builtin_ia32_scalefpacked512_mask(p, n, p, -1, 4); }
#endif

#ifndef __clang__
static inline vecf mantissa_vecf(vecf x) { return __builtin_ia32_getmantpacked512_mask(x, 11, x, -1, 4); }
#endif

#ifndef __clang__
static inline vecf exponent_vecf(vecf x) {
  vecf m = mantissa_vecf(x);
  return __builtin_ia32_getexppacked512_mask(x, x, -1, 4) - __builtin_ia32_getexppacked512_mask(m, m, -1, 4);
}
#endif

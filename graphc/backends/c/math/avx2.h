/* avx512.h for registers of 32 bytes. */

#if defined(__FMA__) && !defined(__clang__)
static inline vecf fma_vecf(vecf a, vecf b, vecf c) { return __builtin_ia32_vfmaddpacked256(a, b, c); }
#endif

#ifndef __clang__
static inline vecf least_vecf(vecf a, vecf b) { return __builtin_ia32_minpacked256(a, b); }
#endif

#ifndef __clang__
static inline vecf greatest_vecf(vecf a, vecf b) { return __builtin_ia32_maxpacked256(a, b); }
#endif

#ifndef __clang__
static inline vecf sqrt_vecf(vecf x) { return __builtin_ia32_sqrtpacked256(x); }
#endif

#ifndef __clang__
static inline vecf floor_vecf(vecf x) { return __builtin_ia32_roundpacked256(x, 1); }
#endif

#ifndef __clang__
static inline int any_above_vecf(vecf x, vecf y) { return __builtin_ia32_movmskpacked256((vecf)gt_vecf(x, y)) != 0; }
#endif

#ifndef __clang__
static inline vecf select_vecf(veci m, vecf a, vecf b) { return __builtin_ia32_blendvpacked256(b, a, (vecf)m); }
#endif

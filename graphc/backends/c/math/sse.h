/* avx512.h for registers of 16 bytes. */

#if defined(__FMA__) && !defined(__clang__)
static inline vecf fma_vecf(vecf a, vecf b, vecf c) { return __builtin_ia32_vfmaddpacked(a, b, c); }
#endif

#if defined(__SSE2__) && !defined(__clang__)
static inline vecf least_vecf(vecf a, vecf b) { return __builtin_ia32_minpacked(a, b); }
#endif

#if defined(__SSE2__) && !defined(__clang__)
static inline vecf greatest_vecf(vecf a, vecf b) { return __builtin_ia32_maxpacked(a, b); }
#endif

#if defined(__SSE2__) && !defined(__clang__)
static inline vecf sqrt_vecf(vecf x) { return __builtin_ia32_sqrtpacked(x); }
#endif

#if defined(__SSE4_1__) && !defined(__clang__)
static inline vecf floor_vecf(vecf x) { return __builtin_ia32_roundpacked(x, 1); }
#endif

#if defined(__SSE2__) && !defined(__clang__)
static inline int any_above_vecf(vecf x, vecf y) { return __builtin_ia32_movmskpacked((vecf)gt_vecf(x, y)) != 0; }
#endif

#if defined(__SSE4_1__) && !defined(__clang__)
static inline vecf select_vecf(veci m, vecf a, vecf b) { return __builtin_ia32_blendvpacked(b, a, (vecf)m); }
#endif

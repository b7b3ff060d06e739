/* What compilers learn of the calls of a function is not used inside it. */
#if defined(__GNUC__) && !defined(__clang__)
#define APART __attribute__((noipa))
#else
#define APART __attribute__((noinline))
#endif

typedef float f32;
typedef double f64;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef i8 i8x1;
typedef i16 i16x1;
typedef u8 u8x1;

static inline i64 floordiv_i64(i64 a, i64 b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static inline i64 mod_i64(i64 a, i64 b) { return a - floordiv_i64(a, b) * b; }

static inline i64 pow_i64(i64 base, i64 exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
  unsigned long long result = 1, square = (unsigned long long)base;
  for (; exponent; exponent >>= 1, square *= square)
    if (exponent & 1) result *= square;
  return (i64)result;
}

/* Random words as in graphc/expr/philox.py. */
static void philox(u32 c[4], u32 k0, u32 k1) {
  for (int round = 0; round < 10; round++) {
    const u64 p0 = (u64)c[0] * 0xD2511F53u, p1 = (u64)c[2] * 0xCD9E8D57u;
    c[0] = (u32)(p1 >> 32) ^ c[1] ^ k0;
    c[1] = (u32)p1;
    c[2] = (u32)(p0 >> 32) ^ c[3] ^ k1;
    c[3] = (u32)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

static i64 philox_i64(i64 seed, i64 step, i64 stream, i64 place) {
  const u64 block = (u64)place >> 2;
  u32 c[4] = {(u32)block, (u32)(block >> 32), (u32)step, (u32)stream};
  philox(c, (u32)seed, (u32)((u64)seed >> 32));
  return c[place & 3];
}

/* BLAS, from the library that the process has loaded already. It counts by columns. */
typedef void gemm_of_f32(const char *, const char *, const int *, const int *, const int *, const f32 *, const f32 *,
                         const int *, const f32 *, const int *, const f32 *, f32 *, const int *);
typedef void gemm_of_f64(const char *, const char *, const int *, const int *, const int *, const f64 *, const f64 *,
                         const int *, const f64 *, const int *, const f64 *, f64 *, const int *);
static gemm_of_f32 *sgemm;
static gemm_of_f64 *dgemm;

/* Threads, of the OpenMP runtime that the process has loaded already: a second one would fight it for the cores. Without
   it, one thread does the shares of all, one after the other. */
typedef void fork_of(void (*)(void *), void *, unsigned, unsigned);
typedef int number_of(void);
static fork_of *fork_join;
static number_of *thread_number, *team_size;

static void join_alone(void (*share)(void *), void *call, unsigned threads, unsigned flags) {
  (void)threads, (void)flags;
  share(call);
}
static int number_alone(void) { return 0; }
static int size_alone(void) { return 1; }

static inline long share_start(long extent, long grain, long id, long threads) {
  const long grains = (extent + grain - 1) / grain, start = grains * id / threads * grain;
  return start < extent ? start : extent;
}

void graphc_link(gemm_of_f32 *single_precision, gemm_of_f64 *double_precision, fork_of *fork, number_of *number,
                 number_of *size) {
  sgemm = single_precision;
  dgemm = double_precision;
  fork_join = fork ? fork : join_alone;
  thread_number = number ? number : number_alone;
  team_size = size ? size : size_alone;
}

/* Sizes and distances that BLAS takes, as integers of 32 bits. */
#ifndef MOST_OF_BLAS
#define MOST_OF_BLAS 0x7FFFFFFF
#endif

/* Larger products are made piece by piece, and of one column where columns lie further apart. */
#define GEMM(type, call)                                                                                              \
  static void gemm_##type(char ta, char tb, long m, long n, long k, const type *a, long lda, const type *b, long ldb, \
                          type *c, long ldc) {                                                                        \
    if (m <= 0 || n <= 0) return;                                                                                     \
    if (k <= 0) {                                                                                                     \
      for (long j = 0; j < n; j++)                                                                                    \
        for (long i = 0; i < m; i++) c[j * ldc + i] = 0;                                                              \
      return;                                                                                                         \
    }                                                                                                                 \
    const long most = MOST_OF_BLAS;                                                                                   \
    long pm = m < most ? m : most, pn = n < most ? n : most, pk = k < most ? k : most;                                \
    if (lda > most) *(ta == 'N' ? &pk : &pm) = 1;                                                                     \
    if (ldb > most) *(tb == 'N' ? &pn : &pk) = 1;                                                                     \
    if (ldc > most) pn = 1;                                                                                           \
    const type one = 1, zero = 0;                                                                                     \
    for (long j = 0; j < n; j += pn)                                                                                  \
      for (long i = 0; i < m; i += pm)                                                                                \
        for (long t = 0; t < k; t += pk) {                                                                            \
          const int im = m - i < pm ? m - i : pm, in = n - j < pn ? n - j : pn, ik = k - t < pk ? k - t : pk;         \
          /* A matrix of one column may lie anyhow; BLAS wants the distance to the next one all the same. */          \
          const long ra = ta == 'N' ? im : ik, rb = tb == 'N' ? ik : in;                                              \
          const int ia = lda > most || lda < ra ? ra : lda, ib = ldb > most || ldb < rb ? rb : ldb;                   \
          const int ic = ldc > most || ldc < im ? im : ldc;                                                           \
          call(&ta, &tb, &im, &in, &ik, &one, a + (ta == 'N' ? i + t * lda : t + i * lda), &ia,                       \
               b + (tb == 'N' ? t + j * ldb : j + t * ldb), &ib, t ? &one : &zero, c + j * ldc + i, &ic);             \
        }                                                                                                             \
  }
GEMM(f32, sgemm)
GEMM(f64, dgemm)

static __attribute__((noinline)) void k0(const f32 *restrict p0, f32 *restrict p1) {
  for (long i1 = 0; i1 < 2; i1++) {
    {
      {
        const long i0 = 0;
        f32x8 t1 = gathern_f32x8(p0 + i0 * 2 + i1, 2, 5);
        store_f32x8(p1 + i0 + i1 * 8, t1);
      }
    }
  }
}

static __attribute__((noinline)) void k1(const f32 *restrict p0, f32 *restrict p1) {
  {
    {
      const long i0 = 0;
      f32x8 t1 = loadn_f32x8(p0 + i0, 5);
      store_f32x8(p1 + i0, t1);
    }
  }
}

static __attribute__((noinline)) void k2(const f32 *restrict p0, f32 *restrict p1) {
  for (long i0 = 0; i0 < 1; i0++) {
    {
      {
        const long i1 = 0;
        f32x8 t1 = loadn_f32x8(p0 + i0 * 5 + i1, 5);
        store_f32x8(p1 + i0 * 8 + i1, t1);
      }
    }
  }
}

static __attribute__((noinline)) void k3(const f32 *restrict p0, f32 *restrict p1) {
  {
    {
      const long i0 = 0;
      f32x8 t1 = loadn_f32x8(p0 + i0, 1);
      store_f32x8(p1 + i0, t1);
    }
  }
}

static __attribute__((noinline)) void k4(long n0, const f64 *restrict p0, f32 *restrict p1, f32 *restrict p2) {
  {
    f32x1 t1 = (f32)((i64)(i64)(n0));
    f32x1 t2 = (f32)1.0f / t1;
    f64x1 t3 = p0[0];
    f32x1 t4 = (f32)(t3);
    p1[0] = t2;
    p2[0] = t4;
  }
}

static __attribute__((noinline)) void k5(const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long lo, long hi) {
  for (long i0_0 = lo; i0_0 < hi; i0_0 += 30) {
    const long i0_n = hi - i0_0 < 30 ? hi - i0_0 : 30;
    {
      const long i1_0 = 0;
      f32x8 t1[30];
      contract_f32x8_1(i0_n, 2, p0 + i0_0 * 2, 2, 1, p1 + i1_0, 8, 5, t1);
      for (long i0_1 = 0; i0_1 < i0_n; i0_1++) {
        const long i0 = i0_0 + i0_1;
        {
          for (long v = 0; v < 1; v++) {
            const long i1 = i1_0 + v * 8;
            f32x8 t2 = t1[i0_1 * 1 + v];
            f32x8 t3 = load_f32x8(p2 + i1);
            f32x8 t4 = t2 + t3;
            f32x8 t5 = tanh_f32x8(t4);
            store_f32x8(p3 + i0 * 8 + i1, t5);
          }
        }
      }
    }
  }
}

static __attribute__((noinline)) void k6(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, const f32 *restrict p3, const f32 *restrict p4, f32 *restrict p5, f32 *restrict p6, long lo, long hi) {
  f32x8 t1 = {0};
  for (long i0_low = lo; i0_low < hi; i0_low += 4096) {
    const long i0_high = hi - i0_low < 4096 ? hi : i0_low + 4096;
    f32x8 t1_block = {0};
    for (long i0_0 = i0_low; i0_0 < i0_high; i0_0 += 32) {
      const long i0_n = i0_high - i0_0 < 32 ? i0_high - i0_0 : 32;
      const long i0_v = (i0_n + 7) / 8;
      f32x8 t2[4];
      inner_f32x8(i0_n, 1, 5, p0 + i0_0 * 8, 8, p1 + 0, 8, t2);
      for (long i1 = 0; i1 < 1; i1++) {
        f32x8 t1_part = {0};
        {
          for (long i0_1 = 0; i0_1 < i0_n; i0_1 += 8) {
            const long i0 = i0_0 + i0_1;
            if (i0_n - i0_1 >= 8) {
              f32x8 t3 = t2[i1 * i0_v + i0_1 / 8];
              f32x8 t4 = splat_f32x8(p2[0]);
              f32x8 t5 = t3 + t4;
              f32x8 t6 = load_f32x8(p3 + i0 + i1);
              f32x8 t7 = t5 - t6;
              f32x8 t8 = t7 * t7;
              f32x8 t9 = t7 * splat_f32x8(2.0f);
              f32x8 t10 = splat_f32x8(p4[0]);
              f32x8 t11 = t10 * t9;
              store_f32x8(p5 + i0 + i1 * (n0 + 8), t11);
              t1_part += t8;
            }
            else {
              const long t12 = i0_n - i0_1;
              f32x8 t13 = t2[i1 * i0_v + i0_1 / 8];
              f32x8 t14 = splat_f32x8(p2[0]);
              f32x8 t15 = t13 + t14;
              f32x8 t16 = loadn_f32x8(p3 + i0 + i1, t12);
              f32x8 t17 = t15 - t16;
              f32x8 t18 = t17 * t17;
              f32x8 t19 = t17 * splat_f32x8(2.0f);
              f32x8 t20 = splat_f32x8(p4[0]);
              f32x8 t21 = t20 * t19;
              store_f32x8(p5 + i0 + i1 * (n0 + 8), t21);
              t1_part += select_f32x8(iota_f32x8 < (i32x8){(i32)t12, (i32)t12, (i32)t12, (i32)t12, (i32)t12, (i32)t12, (i32)t12, (i32)t12}, t18, splat_f32x8(0));
            }
          }
        }
        t1_block += t1_part;
      }
    }
    t1 += t1_block;
  }
  const f32 t22 = hsum_f32x8(t1);
  p6[0] = t22;
}

static __attribute__((noinline)) void k7(long n0, const f32 *restrict p0, f32 *restrict p1) {
  {
    f32x1 t1 = p0[0];
    f32x1 t2 = (f32)((i64)(i64)(n0));
    f32x1 t3 = t1 / t2;
    p1[0] = t3;
  }
}

static __attribute__((noinline)) void k8(long n0, const f32 *restrict p0, const f32 *restrict p1, f32 *restrict p2) {
  for (long i0 = 0; i0 < 1; i0++) {
    f32x8 t1 = splat_f32x8(0);
    for (long r0_low = 0; r0_low < n0; r0_low += 4096) {
      const long r0_high = n0 - r0_low < 4096 ? n0 : r0_low + 4096;
      f32x8 t2 = splat_f32x8(0);
      {
        long r0 = r0_low;
        for (; r0 + 8 <= r0_high; r0 += 8) {
          f32x8 t3 = load_f32x8(p0 + r0 + i0 * (n0 + 8));
          t2 = t2 + t3;
        }
        if (r0 < r0_high) {
          const long t4 = r0_high - r0;
          f32x8 t5 = load_f32x8(p0 + r0 + i0 * (n0 + 8));
          t2 = t2 + select_f32x8(iota_f32x8 < (i32x8){(i32)t4, (i32)t4, (i32)t4, (i32)t4, (i32)t4, (i32)t4, (i32)t4, (i32)t4}, t5, splat_f32x8(0));
        }
      }
      t1 = t1 + t2;
    }
    const f32 t6 = hsum_f32x8(t1);
    {
      f32x1 t7 = p1[0];
      f32x1 t8 = t6 * t7;
      f32x1 t9 = p2[i0];
      f32x1 t10 = t9 - t8;
      p2[i0] = t10;
    }
  }
}

static __attribute__((noinline)) void k9(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long lo, long hi) {
  for (long i0_0 = lo; i0_0 < hi; i0_0 += 30) {
    const long i0_n = hi - i0_0 < 30 ? hi - i0_0 : 30;
    {
      const long i1_0 = 0;
      f32x8 t1[30];
      contract_f32x8_1(i0_n, 1, p0 + i0_0, 1, (n0 + 8), p1 + i1_0, 8, 5, t1);
      for (long i0_1 = 0; i0_1 < i0_n; i0_1++) {
        const long i0 = i0_0 + i0_1;
        {
          for (long v = 0; v < 1; v++) {
            const long i1 = i1_0 + v * 8;
            f32x8 t2 = t1[i0_1 * 1 + v];
            f32x8 t3 = load_f32x8(p2 + i0 * 8 + i1);
            f32x8 t4 = t3 * t3;
            f32x8 t5 = splat_f32x8(1.0f) - t4;
            f32x8 t6 = t2 * t5;
            store_f32x8(p3 + i0 * 8 + i1, t6);
          }
        }
      }
    }
  }
}

static __attribute__((noinline)) void k10(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long lo, long hi) {
  for (long i1_0 = lo; i1_0 < hi; i1_0 += 30) {
    const long i1_n = hi - i1_0 < 30 ? hi - i1_0 : 30;
    {
      const long i0_0 = 0;
      f32x8 t1[30];
      contract_f32x8_1(i1_n, n0, p0 + i1_0, 1, 2, p1 + i0_0, 8, 5, t1);
      for (long i1_1 = 0; i1_1 < i1_n; i1_1++) {
        const long i1 = i1_0 + i1_1;
        {
          for (long v = 0; v < 1; v++) {
            const long i0 = i0_0 + v * 8;
            f32x8 t2 = t1[i1_1 * 1 + v];
            f32x8 t3 = splat_f32x8(p2[0]);
            f32x8 t4 = t2 * t3;
            f32x8 t5 = load_f32x8(p3 + i0 + i1 * 8);
            f32x8 t6 = t5 - t4;
            store_f32x8(p3 + i0 + i1 * 8, t6);
          }
        }
      }
    }
  }
}

static __attribute__((noinline)) void k11(long n0, const f32 *restrict p0, const f32 *restrict p1, f32 *restrict p2, long lo, long hi) {
  {
    for (long i0 = lo; i0 < hi; i0 += 8) {
      f32x8 t1 = splat_f32x8(0);
      for (long r0_0 = 0; r0_0 < n0; r0_0 += 4096) {
        const long r0_1 = n0 - r0_0 < 4096 ? n0 : r0_0 + 4096;
        f32x8 t1_0 = splat_f32x8(0), t1_1 = splat_f32x8(0), t1_2 = splat_f32x8(0), t1_3 = splat_f32x8(0);
        long r0 = r0_0;
        for (; r0 + 4 <= r0_1; r0++) {
          {
            f32x8 t2 = load_f32x8(p0 + r0 * 8 + i0);
            t1_0 = t1_0 + t2;
          }
          r0++;
          {
            f32x8 t3 = load_f32x8(p0 + r0 * 8 + i0);
            t1_1 = t1_1 + t3;
          }
          r0++;
          {
            f32x8 t4 = load_f32x8(p0 + r0 * 8 + i0);
            t1_2 = t1_2 + t4;
          }
          r0++;
          {
            f32x8 t5 = load_f32x8(p0 + r0 * 8 + i0);
            t1_3 = t1_3 + t5;
          }
        }
        for (; r0 < r0_1; r0++) {
          f32x8 t6 = load_f32x8(p0 + r0 * 8 + i0);
          t1_0 = t1_0 + t6;
        }
        t1 = t1 + t1_0;
        t1 = t1 + t1_1;
        t1 = t1 + t1_2;
        t1 = t1 + t1_3;
      }
      f32x8 t7 = splat_f32x8(p1[0]);
      f32x8 t8 = t1 * t7;
      f32x8 t9 = load_f32x8(p2 + i0);
      f32x8 t10 = t9 - t8;
      store_f32x8(p2 + i0, t10);
    }
  }
}

static __attribute__((noinline)) void k12(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long lo, long hi) {
  for (long i0_0 = lo; i0_0 < hi; i0_0 += 30) {
    const long i0_n = hi - i0_0 < 30 ? hi - i0_0 : 30;
    {
      const long i1_0 = 0;
      f32x8 t1[30];
      contract_f32x8_1(i0_n, n0, p0 + i0_0 * (n0 + 8), (n0 + 8), 1, p1 + i1_0, 8, 5, t1);
      for (long i0_1 = 0; i0_1 < i0_n; i0_1++) {
        const long i0 = i0_0 + i0_1;
        {
          for (long v = 0; v < 1; v++) {
            const long i1 = i1_0 + v * 8;
            f32x8 t2 = t1[i0_1 * 1 + v];
            f32x8 t3 = splat_f32x8(p2[0]);
            f32x8 t4 = t2 * t3;
            f32x8 t5 = load_f32x8(p3 + i0 * 8 + i1);
            f32x8 t6 = t5 - t4;
            store_f32x8(p3 + i0 * 8 + i1, t6);
          }
        }
      }
    }
  }
}

static __attribute__((noinline)) void k13(const f32 *restrict p0, f32 *restrict p1) {
  for (long i0 = 0; i0 < 5; i0++) {
    {
      {
        const long i1 = 0;
        f32x8 t1 = gathern_f32x8(p0 + i0 + i1 * 8, 8, 2);
        storen_f32x8(p1 + i0 * 2 + i1, t1, 2);
      }
    }
  }
}

static __attribute__((noinline)) void k14(const f32 *restrict p0, f32 *restrict p1) {
  {
    {
      const long i0 = 0;
      f32x8 t1 = load_f32x8(p0 + i0);
      storen_f32x8(p1 + i0, t1, 5);
    }
  }
}

static __attribute__((noinline)) void k15(const f32 *restrict p0, f32 *restrict p1) {
  for (long i0 = 0; i0 < 1; i0++) {
    {
      {
        const long i1 = 0;
        f32x8 t1 = load_f32x8(p0 + i0 * 8 + i1);
        storen_f32x8(p1 + i0 * 5 + i1, t1, 5);
      }
    }
  }
}

static __attribute__((noinline)) void k16(const f32 *restrict p0, f32 *restrict p1) {
  {
    {
      const long i0 = 0;
      f32x8 t1 = load_f32x8(p0 + i0);
      storen_f32x8(p1 + i0, t1, 1);
    }
  }
}

struct k5_call {
  const f32 *p0;
  const f32 *p1;
  const f32 *p2;
  f32 *p3;
  long extent;
  long threads;
};
static void k5_share(void *p) {
  struct k5_call *c = p;
  /* OpenMP may start fewer threads than it is asked for: each takes every share whose turn it is. */
  for (long id = thread_number(); id < c->threads; id += team_size()) {
    const long lo = share_start(c->extent, 30, id, c->threads);
    const long hi = share_start(c->extent, 30, id + 1, c->threads);
    k5(c->p0, c->p1, c->p2, c->p3, lo, hi);
  }
}
static __attribute__((noinline)) void k5_shared(const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long extent, long threads) {
  struct k5_call c = {p0, p1, p2, p3, extent, threads};
  fork_join(k5_share, &c, threads, 0);
}

struct k6_call {
  long n0;
  const f32 *p0;
  const f32 *p1;
  const f32 *p2;
  const f32 *p3;
  const f32 *p4;
  f32 *p5;
  f32 *p6;
  long extent;
  long threads;
  f32 p6_sums[64];
};
static void k6_share(void *p) {
  struct k6_call *c = p;
  /* OpenMP may start fewer threads than it is asked for: each takes every share whose turn it is. */
  for (long id = thread_number(); id < c->threads; id += team_size()) {
    const long lo = share_start(c->extent, 32, id, c->threads);
    const long hi = share_start(c->extent, 32, id + 1, c->threads);
    k6(c->n0, c->p0, c->p1, c->p2, c->p3, c->p4, c->p5, &c->p6_sums[id], lo, hi);
  }
}
static __attribute__((noinline)) void k6_shared(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, const f32 *restrict p3, const f32 *restrict p4, f32 *restrict p5, f32 *restrict p6, long extent, long threads) {
  struct k6_call c = {n0, p0, p1, p2, p3, p4, p5, p6, extent, threads};
  fork_join(k6_share, &c, threads, 0);
  f32 p6_total = 0;
  for (long t = 0; t < threads; t++) p6_total += c.p6_sums[t];
  p6[0] = p6_total;
}

struct k9_call {
  long n0;
  const f32 *p0;
  const f32 *p1;
  const f32 *p2;
  f32 *p3;
  long extent;
  long threads;
};
static void k9_share(void *p) {
  struct k9_call *c = p;
  /* OpenMP may start fewer threads than it is asked for: each takes every share whose turn it is. */
  for (long id = thread_number(); id < c->threads; id += team_size()) {
    const long lo = share_start(c->extent, 30, id, c->threads);
    const long hi = share_start(c->extent, 30, id + 1, c->threads);
    k9(c->n0, c->p0, c->p1, c->p2, c->p3, lo, hi);
  }
}
static __attribute__((noinline)) void k9_shared(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long extent, long threads) {
  struct k9_call c = {n0, p0, p1, p2, p3, extent, threads};
  fork_join(k9_share, &c, threads, 0);
}

struct k10_call {
  long n0;
  const f32 *p0;
  const f32 *p1;
  const f32 *p2;
  f32 *p3;
  long extent;
  long threads;
};
static void k10_share(void *p) {
  struct k10_call *c = p;
  /* OpenMP may start fewer threads than it is asked for: each takes every share whose turn it is. */
  for (long id = thread_number(); id < c->threads; id += team_size()) {
    const long lo = share_start(c->extent, 30, id, c->threads);
    const long hi = share_start(c->extent, 30, id + 1, c->threads);
    k10(c->n0, c->p0, c->p1, c->p2, c->p3, lo, hi);
  }
}
static __attribute__((noinline)) void k10_shared(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long extent, long threads) {
  struct k10_call c = {n0, p0, p1, p2, p3, extent, threads};
  fork_join(k10_share, &c, threads, 0);
}

struct k11_call {
  long n0;
  const f32 *p0;
  const f32 *p1;
  f32 *p2;
  long extent;
  long threads;
};
static void k11_share(void *p) {
  struct k11_call *c = p;
  /* OpenMP may start fewer threads than it is asked for: each takes every share whose turn it is. */
  for (long id = thread_number(); id < c->threads; id += team_size()) {
    const long lo = share_start(c->extent, 4096, id, c->threads);
    const long hi = share_start(c->extent, 4096, id + 1, c->threads);
    k11(c->n0, c->p0, c->p1, c->p2, lo, hi);
  }
}
static __attribute__((noinline)) void k11_shared(long n0, const f32 *restrict p0, const f32 *restrict p1, f32 *restrict p2, long extent, long threads) {
  struct k11_call c = {n0, p0, p1, p2, extent, threads};
  fork_join(k11_share, &c, threads, 0);
}

struct k12_call {
  long n0;
  const f32 *p0;
  const f32 *p1;
  const f32 *p2;
  f32 *p3;
  long extent;
  long threads;
};
static void k12_share(void *p) {
  struct k12_call *c = p;
  /* OpenMP may start fewer threads than it is asked for: each takes every share whose turn it is. */
  for (long id = thread_number(); id < c->threads; id += team_size()) {
    const long lo = share_start(c->extent, 30, id, c->threads);
    const long hi = share_start(c->extent, 30, id + 1, c->threads);
    k12(c->n0, c->p0, c->p1, c->p2, c->p3, lo, hi);
  }
}
static __attribute__((noinline)) void k12_shared(long n0, const f32 *restrict p0, const f32 *restrict p1, const f32 *restrict p2, f32 *restrict p3, long extent, long threads) {
  struct k12_call c = {n0, p0, p1, p2, p3, extent, threads};
  fork_join(k12_share, &c, threads, 0);
}

void graphc_enter(const long *n, void *const *b) {
  const long n0 = n[0]; (void)n0;
  const long threads = n[1]; (void)threads;
  /* 0.weight in another layout */
  k0(b[9], b[10]);
  /* 0.bias in another layout */
  k1(b[11], b[12]);
  /* 2.weight in another layout */
  k2(b[13], b[14]);
  /* 2.bias in another layout */
  k3(b[15], b[16]);
}

void graphc_step(const long *n, void *const *b) {
  const long n0 = n[0]; (void)n0;
  const long threads = n[1]; (void)threads;
  /* %21 div, %35 cast   [mseloss model.py:8 backward; model.py:9] */
  k4(n0, b[17], b[2], b[3]);
  /* %4 matmul, %7 add, %8 tanh   [sequential.0 model.py:8; sequential.1 model.py:8] */
  if (threads > 1 && 25 * n0 >= 1048576) k5_shared(b[0], b[10], b[12], b[4], n0, threads); else k5(b[0], b[10], b[12], b[4], 0, n0);
  /* %11 matmul, %14 add, %15 sub, %16 square, %25 mul, %26 mul, %17 sum   [sequential.2 model.py:8; mseloss model.py:8; mseloss model.py:8 backward] */
  if (threads > 1 && 12 * n0 >= 1048576) k6_shared(n0, b[4], b[14], b[16], b[1], b[2], b[5], b[6], n0, threads); else k6(n0, b[4], b[14], b[16], b[1], b[2], b[5], b[6], 0, n0);
  /* %19 div   [mseloss model.py:8] */
  k7(n0, b[6], b[8]);
  /* %48 sum, %50 mul, %51 sub   [sequential.2 model.py:8 backward; model.py:9] */
  k8(n0, b[5], b[3], b[16]);
  /* %27 matmul, %29 square, %30 sub, %31 mul   [sequential.2 model.py:8 backward; sequential.1 model.py:8 backward] */
  if (threads > 1 && 25 * n0 >= 1048576) k9_shared(n0, b[5], b[14], b[4], b[7], n0, threads); else k9(n0, b[5], b[14], b[4], b[7], 0, n0);
  /* %33 matmul, %37 mul, %38 sub   [sequential.0 model.py:8 backward; model.py:9] */
  if (threads > 1 && (10 * n0 + 30) >= 1048576) k10_shared(n0, b[0], b[7], b[3], b[10], 2, threads); else k10(n0, b[0], b[7], b[3], b[10], 0, 2);
  /* %39 sum, %41 mul, %42 sub   [sequential.0 model.py:8 backward; model.py:9] */
  if (threads > 1 && (5 * n0 + 15) >= 1048576) k11_shared(n0, b[7], b[3], b[12], 5, threads); else k11(n0, b[7], b[3], b[12], 0, 5);
  /* %44 matmul, %46 mul, %47 sub   [sequential.2 model.py:8 backward; model.py:9] */
  if (threads > 1 && (5 * n0 + 15) >= 1048576) k12_shared(n0, b[5], b[4], b[3], b[14], 1, threads); else k12(n0, b[5], b[4], b[3], b[14], 0, 1);
}


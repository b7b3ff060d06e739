/* Where the time of a step goes: the plan's step once more, with a counter read after each kernel. */

static inline u64 tick_count(void) {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  u64 count;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
#else
  return (u64)(1e9 * graphc_now());
#endif
}

/* Adds what has passed since `then` and returns the present. */
static inline u64 spend(u64 *ticks, u64 then) {
  const u64 now = tick_count();
  *ticks += now - then;
  return now;
}

void graphc_timed_step(const long *n, void *const *b, u64 *ticks);

/* As a call that makes `repeats` steps. `ticks` has a place for each task of the step, and then for an interval in which
   nothing is done, for what comes before the steps and after them, and for everything. Returns the seconds of everything. */
double graphc_profile(const long *n, void *const *b, u64 *ticks, long repeats) {
  u64 *const rest = ticks + TASKS;
  const double start = graphc_now();
  const u64 first = tick_count();
  graphc_enter(n, b);
  u64 then = spend(rest + 1, first);
  for (long i = 0; i < repeats; i++) graphc_timed_step(n, b, ticks);
  then = tick_count();
  graphc_leave(n, b);
  then = spend(rest + 2, then);
  rest[3] += then - first;
  return graphc_now() - start;
}

/* Calls and training loops. */

void graphc_call(const long *n, void *const *b) {
  graphc_enter(n, b);
  graphc_step(n, b);
  graphc_leave(n, b);
}

/* An epoch's order of samples: sorted by keys of 64 random bits, as in graphc/runtime/shuffle.py. The keys are uniform,
   so that their leading bits cut them into buckets of about one; `starts` has 2^bits + 1 places. */
void graphc_shuffle(long samples, u64 seed, u64 epoch, u64 stream, int bits, u64 *keys, long *starts, u64 *sorted,
                    long *order) {
  for (long i = 0; i < samples; i += 2) {
    u32 c[4] = {(u32)(i / 2), (u32)((u64)(i / 2) >> 32), (u32)epoch, (u32)stream};
    philox(c, (u32)seed, (u32)(seed >> 32));
    keys[i] = (u64)c[0] << 32 | c[1];
    if (i + 1 < samples) keys[i + 1] = (u64)c[2] << 32 | c[3];
  }
  const long buckets = 1L << bits;
  const int shift = 64 - bits;
  for (long k = 0; k <= buckets; k++) starts[k] = 0;
  for (long i = 0; i < samples; i++) starts[(keys[i] >> shift) + 1]++;
  for (long k = 0; k < buckets; k++) starts[k + 1] += starts[k];
  for (long i = 0; i < samples; i++) {
    const long at = starts[keys[i] >> shift]++;
    sorted[at] = keys[i];
    order[at] = i;
  }
  for (long i = 1; i < samples; i++) {
    const u64 key = sorted[i];
    const long sample = order[i];
    long j = i;
    for (; j > 0 && sorted[j - 1] > key; j--) sorted[j] = sorted[j - 1], order[j] = order[j - 1];
    sorted[j] = key;
    order[j] = sample;
  }
}

/* A training run. `epoch` and `position` (in samples) say where it is; a call goes on until `epochs` are done or about
   `budget` seconds have passed. The fields up to `history` are set by the caller and never change. After each epoch,
   `look` goes through the run `held_out` once, if there is one; an epoch is done when that is, too. */
struct graphc_run {
  const long *whole, *last; /* sizes of a batch, and of the last one of an epoch */
  void **b;
  long samples, batch, inputs, scalars;
  const long *input;        /* buffer of each input, with its data, the bytes of a row, and room for a batch */
  const char *const *data;
  const long *row;
  char *const *gathered;
  const long *scalar;       /* buffer of each scalar output, and its type: 0 float32, 1 float64, 2 int64 */
  const long *type;
  long shuffle, bits;
  u64 seed, stream;
  u64 *keys, *sorted;
  long *starts, *order;
  double *history, *seconds; /* means of each epoch from `first` on, and how long it took */
  double *totals;
  long first, epoch, position;
  long unshuffled;           /* `position` is within an epoch whose order is not there yet */
  long epochs;
  double budget;
  void (*look)(struct graphc_run *);
  struct graphc_run *held_out;
};

struct graphc_time { long seconds, nanoseconds; };
int clock_gettime(int clock, struct graphc_time *time);

static double graphc_now(void) {
  struct graphc_time time;
#ifdef __APPLE__
  clock_gettime(6, &time); /* CLOCK_MONOTONIC */
#else
  clock_gettime(1, &time);
#endif
  return time.seconds + 1e-9 * time.nanoseconds;
}

static void graphc_batch(struct graphc_run *run, long rows) {
  for (long k = 0; k < run->inputs; k++) {
    const long row = run->row[k];
    if (!run->shuffle) {
      run->b[run->input[k]] = (void *)(run->data[k] + run->position * row);
      continue;
    }
    char *to = run->gathered[k];
    const long *order = run->order + run->position;
    if (row % 4 == 0 && row <= 64)
      for (long i = 0; i < rows; i++, to += row)
        for (long j = 0; j < row; j += 4) __builtin_memcpy(to + j, run->data[k] + order[i] * row + j, 4);
    else
      for (long i = 0; i < rows; i++, to += row) __builtin_memcpy(to, run->data[k] + order[i] * row, row);
    run->b[run->input[k]] = run->gathered[k];
  }
}

static void graphc_sum(struct graphc_run *run, long rows) {
  for (long k = 0; k < run->scalars; k++) {
    const void *p = run->b[run->scalar[k]];
    const double value = run->type[k] == 0 ? *(const f32 *)p : run->type[k] == 1 ? *(const f64 *)p : *(const i64 *)p;
    run->totals[k] += value * rows;
  }
}

void graphc_fit(struct graphc_run *run) {
  const double start = graphc_now();
  double before = start;
  long unseen = 0, look = 1; /* steps since the clock was read, and when to read it again */
  graphc_enter(run->whole, run->b);
  while (run->epoch < run->epochs) {
    if (run->shuffle && (run->position == 0 || run->unshuffled))
      graphc_shuffle(run->samples, run->seed, run->epoch, run->stream, run->bits, run->keys, run->starts, run->sorted,
                     run->order);
    run->unshuffled = 0;
    if (run->position == 0)
      for (long k = 0; k < run->scalars; k++) run->totals[k] = 0;
    int late = 0;
    while (run->position < run->samples && !late) {
      const long left = run->samples - run->position, rows = left < run->batch ? left : run->batch;
      graphc_batch(run, rows);
      graphc_step(rows == run->batch ? run->whole : run->last, run->b);
      graphc_sum(run, rows);
      run->position += rows;
      if (++unseen >= look) {
        const double passed = graphc_now() - before;
        if (passed < 1e-4) look = 2 * unseen;
        else if (passed > 1e-3 && look > 1) look /= 2;
        unseen = 0;
        before += passed;
        run->seconds[run->epoch - run->first] += passed;
        late = before - start > run->budget;
      }
    }
    if (run->position == run->samples) {
      double now = graphc_now();
      run->seconds[run->epoch - run->first] += now - before;
      unseen = 0;
      for (long k = 0; k < run->scalars; k++)
        run->history[(run->epoch - run->first) * run->scalars + k] = run->totals[k] / run->samples;
      if (run->held_out) {
        graphc_leave(run->whole, run->b);
        run->held_out->epochs = run->epoch + 1;
        run->look(run->held_out);
        graphc_enter(run->whole, run->b);
        now = graphc_now();
        if (run->held_out->epoch == run->epoch) break;
      }
      before = now;
      late = now - start > run->budget;
      run->epoch++;
      run->position = 0;
    }
    if (late) break;
  }
  graphc_leave(run->whole, run->b);
}

"""The building blocks of generated kernels as C text, for vectors of any length: loads, sums along lanes, transposes,
and the tiles of small products.

Names end in the vector type and, for tiles, in rows × vectors. Nothing here knows a network: sizes and strides are
arguments, so that one copy serves all kernels of a program.
"""

from __future__ import annotations

from functools import cache

__all__ = ["block", "tile_rows", "tile_vectors"]

REGISTERS = {64: 32, 32: 16, 16: 16}
"""Vector registers by their bytes: AVX-512, AVX2, SSE. NEON has 32, which smaller tiles leave unused."""


def tile_vectors(vectors: int) -> list[int]:
    """How many vectors of a row each tile takes: at most 4, and as equal as can be."""
    tiles = -(-vectors // 4)
    return [vectors // tiles + (t < vectors % tiles) for t in range(tiles)]


def tile_rows(vectors: int, vector_bytes: int) -> int:
    """Rows of a tile: as many accumulators as leave room for a row of the other factor, but no more than pay."""
    free = REGISTERS[vector_bytes] - vectors - 1
    return max(1, min(free // vectors, {1: 8, 2: 7}.get(vectors, 6)))


@cache
def block(name: str) -> tuple[str, tuple[str, ...]]:
    """The text of a block, and the blocks that it needs. `name` is such as `load f32 16` or `contract f32 16 2`."""
    kind, element, lanes_text, *rest = name.split()
    lanes = int(lanes_text)
    vector = f"{element}x{lanes}"
    size = int(element[1:]) // 8
    match kind:
        case "load":
            return _load(element, vector), ()
        case "partial":
            return _partial(element, vector, lanes, size), (f"load {element} {lanes}",)
        case "gather":
            return _gather(element, vector, lanes), ()
        case "hsum":
            return _horizontal(element, vector, lanes), ()
        case "iota":
            return f"static const i{size * 8}x{lanes} iota_{vector} = {{{', '.join(map(str, range(lanes)))}}};\n", ()
        case "truth":
            return _truth(lanes), ()
        case "mask":
            return _MASK, ()
        case "transpose":
            return _transpose(element, vector, lanes), (f"load {element} {lanes}", f"partial {element} {lanes}")
        case "contract":
            vectors, partial, more = int(rest[0]), rest[1] == "partial", "more" in rest
            needs = [f"load {element} {lanes}"] + ([f"partial {element} {lanes}"] if partial else [])
            return _contract(element, vector, lanes, vectors, partial, more, lanes * size), tuple(needs)
        case "inner":
            return _inner(element, vector, lanes), (f"load {element} {lanes}", f"partial {element} {lanes}")
    raise AssertionError(f"there is no block {name!r}")


def _truth(lanes: int) -> str:
    """Bytes that are 0 or 1 as masks, and back."""
    return (
        f"typedef u8 u8x{lanes} __attribute__((vector_size({lanes})));\n"
        f"static inline i32x{lanes} load_truth_x{lanes}(const u8 *p) {{\n"
        f"  u8x{lanes} x;\n"
        f"  __builtin_memcpy(&x, p, {lanes});\n"
        f"  return -__builtin_convertvector(x, i32x{lanes});\n}}\n"
        f"static inline void store_truth_x{lanes}(u8 *p, i32x{lanes} m) {{\n"
        f"  const u8x{lanes} x = __builtin_convertvector(m & 1, u8x{lanes});\n"
        f"  __builtin_memcpy(p, &x, {lanes});\n}}\n"
    )


_MASK = """\
/* p[i] says whether random word i is at least `least`, for i from lo (a multiple of 32) to hi; eight blocks of four
   words at a time, in 64 bits each, so that products fit. */
typedef u64 u64x8_ __attribute__((vector_size(64)));
static void random_mask(u8 *p, i64 seed, i64 step, i64 stream, u64 least, long lo, long hi) {
  const u64x8_ low = (u64x8_){0} + 0xFFFFFFFFull;
  for (long i = lo; i < hi; i += 32) {
    u64x8_ block = (u64x8_){0, 1, 2, 3, 4, 5, 6, 7} + (u64)(i / 4), c0 = block & low, c1 = block >> 32;
    u64x8_ c2 = (u64x8_){0} + (u32)step, c3 = (u64x8_){0} + (u32)stream;
    u32 k0 = (u32)seed, k1 = (u32)((u64)seed >> 32);
    for (int round = 0; round < 10; round++) {
      const u64x8_ p0 = c0 * 0xD2511F53ull, p1 = c2 * 0xCD9E8D57ull;
      c0 = (p1 >> 32) ^ c1 ^ k0;
      c1 = p1 & low;
      c2 = (p0 >> 32) ^ c3 ^ k1;
      c3 = p0 & low;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    u8 found[32];
    for (int b = 0; b < 8; b++) {
      found[4 * b] = c0[b] >= least;
      found[4 * b + 1] = c1[b] >= least;
      found[4 * b + 2] = c2[b] >= least;
      found[4 * b + 3] = c3[b] >= least;
    }
    __builtin_memcpy(p + i, found, hi - i < 32 ? hi - i : 32);
  }
}
"""


def _load(element: str, vector: str) -> str:
    return (
        f"static inline {vector} load_{vector}(const {element} *p) {{ return *(const {vector}_u *)p; }}\n"
        f"static inline void store_{vector}({element} *p, {vector} x) {{ *({vector}_u *)p = x; }}\n"
    )


def _partial(element: str, vector: str, lanes: int, size: int) -> str:
    """The first n lanes; the others are 0 when loaded, and untouched when stored."""
    type_ = {"f32": "ps", "f64": "pd", "i32": "d", "i64": "q"}[element]
    bits = size * 8
    order = ", ".join(map(str, range(lanes)))
    store = (
        f"static inline void storen_{vector}({element} *p, {vector} x, long n) {{\n"
        f"  union {{ {vector} v; {element} e[{lanes}]; }} u = {{x}};\n"
        f"  for (long l = 0; l < {lanes}; l++) if (l < n) p[l] = u.e[l];\n"
        "}\n"
    )
    # Not volatile, gcc 12 makes one load of a whole vector of loads of some of its elements, and reads past their end.
    generic = (
        f"static inline {vector} loadn_{vector}(const {element} *p, long n) {{\n"
        f"  union {{ {vector} v; {element} e[{lanes}]; }} u = {{0}};\n"
        f"  for (long l = 0; l < {lanes}; l++) if (l < n) u.e[l] = ((const volatile {element} *)p)[l];\n"
        f"  return u.v;\n}}\n{store}"
    )
    if lanes * size not in (16, 32, 64):
        return generic
    if lanes * size < 64:
        wide = "256" if lanes * size == 32 else ""
        masked = (
            f"static inline {vector} loadn_{vector}(const {element} *p, long n) {{\n"
            f"  const i{bits}x{lanes} order = {{{order}}};\n"
            f"  return ({vector})__builtin_ia32_maskload{type_}{wide}((const {vector} *)p, order < (i{bits})n);\n"
            f"}}\n{store}"
        )
        return f"#if defined(__AVX2__) && !defined(__clang__)\n{masked}#else\n{generic}#endif\n"
    load, store = {
        "ps": ("loadups512", "storeups512"),
        "pd": ("loadupd512", "storeupd512"),
        "d": ("loaddqusi512", "storedqusi512"),
        "q": ("loaddqudi512", "storedqudi512"),
    }[type_]
    mask = "unsigned short" if lanes == 16 else "unsigned char"
    cast = {"f32": "float", "f64": "double", "i32": "int", "i64": "long long"}[element]
    masked = (
        f"typedef {cast} {vector}_m __attribute__((vector_size(64)));\n"
        f"static inline {vector} loadn_{vector}(const {element} *p, long n) {{\n"
        f"  return ({vector})__builtin_ia32_{load}_mask((const {cast} *)p, ({vector}_m){{0}}, "
        f"({mask})((1u << n) - 1));\n}}\n"
        f"static inline void storen_{vector}({element} *p, {vector} x, long n) {{\n"
        f"  __builtin_ia32_{store}_mask(({cast} *)p, ({vector}_m)x, ({mask})((1u << n) - 1));\n}}\n"
    )
    return f"#if defined(__AVX512F__) && !defined(__clang__)\n{masked}#else\n{generic}#endif\n"


def _gather(element: str, vector: str, lanes: int) -> str:
    """Lanes from elements that lie `s` apart, and back; the first n of them."""
    every = ", ".join(f"p[{lane} * s]" for lane in range(lanes))
    return (
        f"static inline {vector} gather_{vector}(const {element} *p, long s) {{ return ({vector}){{{every}}}; }}\n"
        f"static inline {vector} gathern_{vector}(const {element} *p, long s, long n) {{\n"
        f"  union {{ {vector} v; {element} e[{lanes}]; }} u = {{0}};\n"
        f"  for (long l = 0; l < n; l++) u.e[l] = p[l * s];\n"
        "  return u.v;\n}\n"
        f"static inline void scattern_{vector}({element} *p, long s, {vector} x, long n) {{\n"
        f"  union {{ {vector} v; {element} e[{lanes}]; }} u = {{x}};\n"
        f"  for (long l = 0; l < n; l++) p[l * s] = u.e[l];\n"
        "}\n"
    )


def _horizontal(element: str, vector: str, lanes: int) -> str:
    """The sum of all lanes, pairwise."""
    lines = [f"static inline {element} hsum_{vector}({vector} x) {{"]
    half = lanes // 2
    while half:
        order = ", ".join(str((lane + half) % lanes) for lane in range(lanes))
        lines.append(f"  x += __builtin_shufflevector(x, x, {order});")
        half //= 2
    lines.append("  return x[0];\n}\n")
    return "\n".join(lines)


def _transpose(element: str, vector: str, lanes: int) -> str:
    """A square of as many rows as lanes; `src` rows beyond `rows` are not read."""
    name = f"transpose_{vector}"
    lines = [
        f"static inline void {name}_square(const {element} *src, long s, long rows, long n, {element} *dst, long d) {{",
        f"  {vector} a[{lanes}], b[{lanes}];",
        f"  if (n >= {lanes}) {{",
        *(f"    a[{i}] = load_{vector}(src + ({i} < rows ? {i} : 0) * s);" for i in range(lanes)),
        "  } else {",
        *(f"    a[{i}] = loadn_{vector}(src + ({i} < rows ? {i} : 0) * s, n);" for i in range(lanes)),
        "  }",
    ]
    source, target, step = "a", "b", 1
    while step < lanes:
        for i in range(lanes):
            if i & step:
                continue
            low = [lane if not lane & step else lanes + (lane - step) for lane in range(lanes)]
            high = [lane + step if not lane & step else lanes + lane for lane in range(lanes)]
            j = i + step
            for to, order in ((i, low), (j, high)):
                picked = ", ".join(map(str, order))
                lines.append(f"  {target}[{to}] = __builtin_shufflevector({source}[{i}], {source}[{j}], {picked});")
        source, target, step = target, source, step * 2
    lines += [f"  store_{vector}(dst + {i} * d, {source}[{i}]);" for i in range(lanes)]
    lines += [
        "}",
        "/* dst[j * d + i] = src[i * s + j]; dst has memory for whole squares. */",
        f"static void {name}(long rows, long columns, const {element} *src, long s, {element} *dst, long d) {{",
        f"  for (long i = 0; i < rows; i += {lanes})",
        f"    for (long j = 0; j < columns; j += {lanes})",
        f"      {name}_square(src + i * s + j, s, rows - i, columns - j, dst + j * d + i, d);",
        "}\n",
    ]
    return "\n".join(lines)


def _tile(element: str, vector: str, lanes: int, rows: int, vectors: int, partial: bool, more: bool) -> list[str]:
    """Sums of `rows` × `vectors` in registers. With few of them, several sums each, so that additions overlap."""
    chains = max(1, 8 // (rows * vectors))
    head = f"static inline void tile_{vector}_{rows}x{vectors}{'p' if partial else ''}{'_more' if more else ''}("
    head += f"long k, const {element} *a, long ai, long ak, const {element} *b, long bk, long n, {vector} *c) {{"
    lines = [head]
    names = [(r, v, s) for s in range(chains) for r in range(rows) for v in range(vectors)]
    lines.append(f"  {vector} {', '.join(f'c{r}_{v}_{s} = {{0}}' for r, v, s in names)};")
    if rows > 1:
        lines.append(f"  const {element} {', '.join(f'*a{r} = a + {r} * ai' for r in range(1, rows))};")

    def step(s: int) -> list[str]:
        found = []
        for v in range(vectors):
            place = f"b + {v * lanes}"
            load = f"loadn_{vector}({place}, n)" if partial and v == vectors - 1 else f"load_{vector}({place})"
            found.append(f"const {vector} b{v} = {load};")
        for r in range(rows):
            found.append(f"const {vector} x{r} = splat_{vector}({'a' if r == 0 else f'a{r}'}[t]);")
            found += [f"c{r}_{v}_{s} = muladd_{vector}(x{r}, b{v}, c{r}_{v}_{s});" for v in range(vectors)]
        return [*found, "t += ak; b += bk;"]

    lines.append("  long t = 0;")
    if chains > 1:
        lines.append(f"  for (; k >= {chains}; k -= {chains}) {{")
        lines += ["    { " + " ".join(step(s)) + " }" for s in range(chains)]
        lines.append("  }")
    lines.append("  for (; k > 0; k--) { " + " ".join(step(0)) + " }")
    for r in range(rows):
        for v in range(vectors):
            total = " + ".join(f"c{r}_{v}_{s}" for s in range(chains))
            lines.append(f"  c[{r * vectors + v}] {'+=' if more else '='} {total};")
    return [*lines, "}"]


def _contract(element: str, vector: str, lanes: int, vectors: int, partial: bool, more: bool, vector_bytes: int) -> str:
    """c[i][v] = Σ_k a[i·ai + k·ak] · b[k·bk + v·lanes …], the last vector with `n` lanes if partial; += if more.

    The m rows are cut into tiles of nearly equal height: a remainder of one row would cost as much as a whole tile.
    The function stands apart: compilers that know the strides of its only call rearrange the loops, and then run out of
    registers, at a third of the speed.
    """
    most = tile_rows(vectors, vector_bytes)
    suffix = ("p" if partial else "") + ("_more" if more else "")
    lines: list[str] = []
    for rows in range(1, most + 1):
        lines += _tile(element, vector, lanes, rows, vectors, partial, more)
    lines += [
        (
            f"static APART void contract_{vector}_{vectors}{suffix}(long m, long k, const {element} *a, long ai, "
            f"long ak, const {element} *b, long bk, long n, {vector} *c) {{"
        ),
        f"  const long tiles = (m + {most - 1}) / {most}, base = tiles ? m / tiles : 0, more = m - base * tiles;",
        "  for (long t = 0; t < tiles; t++) {",
        "    const long rows = base + (t < more);",
        "    switch (rows) {",
        *(
            f"      case {rows}: tile_{vector}_{rows}x{vectors}{suffix}(k, a, ai, ak, b, bk, n, c); break;"
            for rows in range(1, most + 1)
        ),
        "    }",
        f"    a += rows * ai; c += rows * {vectors};",
        "  }",
        "}\n",
    ]
    return "\n".join(lines)


def _inner(element: str, vector: str, lanes: int) -> str:
    """c[j][i / lanes] lane i = Σ_k a[i·ai + k] · b[j·bj + k]: products along the lanes, then sums across them, of as
    many rows at a time as there are lanes.
    """
    lines = [
        f"static inline {vector} across_{vector}({vector} *v) {{",
    ]
    count, step = lanes, 1
    while count > 1:
        for i in range(count // 2):
            # After this, lane l of v[i] holds part of the row that bit `step` of l chooses.
            low = ", ".join(str(lane if not lane & step else lanes + lane - step) for lane in range(lanes))
            high = ", ".join(str(lane + step if not lane & step else lanes + lane) for lane in range(lanes))
            x, y = f"v[{2 * i}]", f"v[{2 * i + 1}]"
            lines.append(
                f"  v[{i}] = __builtin_shufflevector({x}, {y}, {low}) + __builtin_shufflevector({x}, {y}, {high});"
            )
        count //= 2
        step *= 2
    lines += ["  return v[0];", "}"]
    lines += [
        (
            f"static void inner_{vector}(long m, long n, long k, const {element} *a, long ai, const {element} *b, "
            f"long bj, {vector} *c) {{"
        ),
        f"  const long whole = k / {lanes} * {lanes}, rest = k - whole;",
        "  for (long j = 0; j < n; j++)",
        f"    for (long i = 0; i < m; i += {lanes}) {{",
        f"      {vector} v[{lanes}];",
        f"      for (long l = 0; l < {lanes}; l++) {{",
        "        const long row = i + l < m ? i + l : i;",
        f"        {vector} s = {{0}};",
        f"        for (long t = 0; t < whole; t += {lanes})",
        f"          s = muladd_{vector}(load_{vector}(a + row * ai + t), load_{vector}(b + j * bj + t), s);",
        (
            f"        if (rest) s = muladd_{vector}(loadn_{vector}(a + row * ai + whole, rest), "
            f"loadn_{vector}(b + j * bj + whole, rest), s);"
        ),
        "        v[l] = s;",
        "      }",
        f"      *c++ = across_{vector}(v);",
        "    }",
        "}\n",
    ]
    return "\n".join(lines)

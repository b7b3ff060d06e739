"""From scalar expressions to C statements, on one element or on a vector of several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from graphc.dims import Dim, Size
from graphc.expr import Call, Cast, Expr, Index, Literal, Load, Reduce, Select
from graphc.ir import Graph
from graphc.types import dtype_name

__all__ = ["C_TYPES", "Emitter", "Value", "has_vectors", "neutral", "not_native", "size_text", "vectorises"]

C_TYPES = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.bool: "u8",
}
"""What each dtype is in memory."""

_VECTORS = (torch.float32, torch.float64, torch.int64, torch.int32, torch.bool)

_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_LOGIC = {"and": "&", "or": "|"}
_SCALAR_ONLY = ("floordiv", "mod", "philox")


def not_native(graph: Graph) -> str | None:
    """Why a graph cannot be native code, in a sentence; None if it can."""
    for node in graph.nodes:
        if node.type.dtype not in C_TYPES:
            return f"{node.op.name} at {node.origin.location} is {dtype_name(node.type.dtype)}, which C does not have"
    return None


def has_vectors(dtype: torch.dtype) -> bool:
    """Whether the dtype is computed on vectors; others are computed one element at a time."""
    return dtype in _VECTORS


def vectorises(expr: Expr) -> bool:
    """Whether an expression of a kernel's body can be computed on vectors, apart from its loads."""
    match expr:
        case Call(function=function, args=args, dtype=dtype):
            if function in _SCALAR_ONLY or (function in ("pow", "div") and not dtype.is_floating_point):
                return False
            return has_vectors(dtype) and all(map(vectorises, args))
        case Select():
            return all(map(vectorises, (expr.condition, expr.then, expr.otherwise)))
        case Cast(x=x, dtype=dtype):
            return has_vectors(dtype) and vectorises(x)
        case Load(dtype=dtype):
            return has_vectors(dtype)
        case Literal():
            return True
    return False  # an index as a number, or a loop inside


def size_text(size: Size, symbols: Sequence[str]) -> str:
    """A size as C, where the k-th symbol is `n{k}`."""
    if isinstance(size, int):
        return str(size)
    terms = []
    for factors, coefficient in size.terms:
        names = [f"n{symbols.index(name)}" for name, power in factors for _ in range(power)]
        if coefficient != 1 or not names:
            names.insert(0, str(coefficient))
        terms.append(" * ".join(names))
    return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


@dataclass(frozen=True)
class Value:
    """A C expression with its type: an element type of `C_TYPES`, or `m32` or `m64` for a truth value, 0 or -1."""

    text: str
    type: str


class Emitter:
    """Writes statements for expressions; equal expressions once. `lanes` elements are computed at a time."""

    def __init__(
        self,
        lanes: int,
        symbols: Sequence[str],
        load: Callable[[Load], Value],
        say: Callable[[str], None],
        needed: set[tuple[str, torch.dtype, int]],
        name: Callable[[], str],
    ) -> None:
        """`load` gives the value of a load, `say` takes a statement, `needed` collects functions to define."""
        self.lanes = lanes
        self._symbols = symbols
        self._load = load
        self._say = say
        self._needed = needed
        self._name = name
        self._done: dict[Expr, Value] = {}

    def type_name(self, type_: str) -> str:
        return f"{type_.replace('m', 'i')}x{self.lanes}"

    def value(self, expr: Expr) -> Value:
        """The value of `expr`, in a variable unless it is a literal."""
        found = self._done.get(expr)
        if found is None:
            found = self._done[expr] = self._emit(expr)
        return found

    def bind(self, expr: Expr, value: Value) -> None:
        """Let `expr` be a value that is known already."""
        self._done[expr] = value

    def define(self, value: Value) -> Value:
        name = self._name()
        self._say(f"{self.type_name(value.type)} {name} = {value.text};")
        return Value(name, value.type)

    def _emit(self, expr: Expr) -> Value:
        match expr:
            case Load():
                return self._load(expr)
            case Literal():
                return self._literal(expr)
            case Index(name=name):
                return Value(name, "i64")
            case Cast():
                return self.define(self._cast(self.value(expr.x), expr.x.dtype, expr.dtype))
            case Select(condition=condition, then=then, otherwise=otherwise):
                if self.lanes == 1:
                    return self._branch(condition, then, otherwise)
                return self.define(self._select(self.value(condition), self.value(then), self.value(otherwise)))
            case Call():
                return self.define(self._call(expr))
            case Reduce():
                return self._loop(expr)
        raise AssertionError(f"{expr} is no expression")

    def _literal(self, expr: Literal) -> Value:
        value, type_ = expr.value, C_TYPES[expr.dtype]
        if expr.dtype is torch.bool:
            return Value(f"{self._splat('i32')}({-1 if value else 0})" if self.lanes > 1 else str(-bool(value)), "m32")
        if isinstance(value, Dim):
            text = f"({type_})({size_text(value, self._symbols)})"
        elif expr.dtype.is_floating_point:
            text = _float_text(float(value), expr.dtype)
        else:
            text = f"({value}LL)" if value > -(2**63) else "(-0x7fffffffffffffffLL - 1)"
        return Value(f"{self._splat(type_)}({text})" if self.lanes > 1 else f"({type_}){text}", type_)

    def _splat(self, type_: str) -> str:
        return f"splat_{type_}x{self.lanes}"

    def splat(self, text: str, dtype: torch.dtype) -> Value:
        """One element in all lanes."""
        if dtype is torch.bool:
            return Value(f"{self._splat('i32')}(-(i32)({text}))" if self.lanes > 1 else f"-(i32)({text})", "m32")
        type_ = C_TYPES[dtype]
        return Value(f"{self._splat(type_)}({text})" if self.lanes > 1 else text, type_)

    def _mask(self, value: Value, bits: str) -> str:
        """A truth value as a mask of 32 or 64 bits a lane."""
        wanted = f"m{bits}"
        if value.type == wanted:
            return value.text
        if self.lanes == 1:
            return f"(i{bits})({value.text})"
        return f"__builtin_convertvector({value.text}, i{bits}x{self.lanes})"

    def _select(self, condition: Value, then: Value, otherwise: Value) -> Value:
        if then.type[0] == "m":
            mask, b = self._mask(condition, then.type[1:]), self._mask(otherwise, then.type[1:])
            return Value(f"({mask} & {then.text}) | (~{mask} & {b})", then.type)
        if self.lanes == 1:
            return Value(f"({condition.text}) ? {then.text} : {otherwise.text}", then.type)
        mask = self._mask(condition, then.type[1:])
        dtype = next(d for d, name in C_TYPES.items() if name == then.type)
        self._needed.add(("select", dtype, self.lanes))
        return Value(f"select_{then.type}x{self.lanes}({mask}, {then.text}, {otherwise.text})", then.type)

    def _branch(self, condition: Expr, then: Expr, otherwise: Expr) -> Value:
        """One branch only is computed: what it says stays inside it, and what both know is known before."""
        chosen = self.value(condition)
        type_ = "m32" if then.dtype is torch.bool else C_TYPES[then.dtype]
        name = self._name()
        self._say(f"{self.type_name(type_)} {name};")
        for opening, branch in ((f"if ({chosen.text}) {{", then), ("} else {", otherwise)):
            self._say(opening)
            before = dict(self._done)
            value = self.value(branch)
            self._say(f"{name} = {self._mask(value, '32') if type_ == 'm32' else value.text};")
            self._done = before
        self._say("}")
        return Value(name, type_)

    def _loop(self, expr: Reduce) -> Value:
        """A reduction inside an expression, one element at a time."""
        assert self.lanes == 1, "loops inside expressions are not computed on vectors"
        dtype = expr.dtype
        type_, total, at = C_TYPES[dtype], self._name(), expr.index.name
        self._say(f"{type_}x1 {total} = {neutral(expr.combine, dtype)};")
        self._say(f"for (long {at} = 0; {at} < {size_text(expr.size, self._symbols)}; {at}++) {{")
        before = dict(self._done)
        item = self.value(expr.body)
        text = f"({type_})({item.text} & 1)" if item.type[0] == "m" else item.text
        self._say(f"{total} = {self.combine(expr.combine, total, text, dtype)};")
        self._done = before
        self._say("}")
        return self.truth(total) if dtype is torch.bool else Value(total, type_)

    def truth(self, text: str) -> Value:
        return Value(f"-(i32)({text})", "m32")

    def combine(self, how: str, a: str, b: str, dtype: torch.dtype) -> str:
        if how == "sum":
            return self._arithmetic("+", [a, b], dtype)
        function = {"amax": "maximum", "amin": "minimum"}[how]
        if dtype.is_floating_point:
            self._needed.add((function, dtype, self.lanes))
            return f"{function}_{C_TYPES[dtype]}x{self.lanes}({a}, {b})"
        sign = ">" if how == "amax" else "<"
        if self.lanes == 1:
            return f"{a} {sign} {b} ? {a} : {b}"
        self._needed.add(("select", dtype, self.lanes))
        return f"select_{C_TYPES[dtype]}x{self.lanes}({a} {sign} {b}, {a}, {b})"

    def _cast(self, x: Value, source: torch.dtype, dtype: torch.dtype) -> Value:
        type_ = C_TYPES[dtype]
        if dtype is torch.bool:
            zero = self._splat(x.type) + "(0)" if self.lanes > 1 else "0"
            return self._compare(x.text, "!=", zero, x.type)
        if source is torch.bool:
            bits = type_[1:] if type_[1:] in ("32", "64") else "32"
            number = f"({self._mask(x, bits)} & 1)"
            if self.lanes == 1:
                return Value(f"({type_})({number})", type_)
            return Value(f"__builtin_convertvector({number}, {type_}x{self.lanes})", type_)
        if self.lanes == 1:
            # torch goes by way of int64 to uint8, so that what is beyond wraps around; C leaves that open.
            text = f"(i64)({x.text})" if dtype is torch.uint8 and source.is_floating_point else x.text
            return Value(f"({type_})({text})", type_)
        number = x.text
        if (x.type, type_) == ("i32", "f64"):
            # gcc 12 at -O0 fails on the upper half of 16 integers in memory, not on that of a sum, which -O1 omits.
            number = f"{number} + {self._splat('i32')}(0)"
        return Value(f"__builtin_convertvector({number}, {type_}x{self.lanes})", type_)

    def _compare(self, a: str, sign: str, b: str, type_: str) -> Value:
        if self.lanes == 1:
            return Value(f"-(i32)({a} {sign} {b})", "m32")
        if type_[0] == "f" and sign in _COMPARISONS.values():
            # Compilers take a comparison of vectors wider than registers apart; the function does not let them.
            name = next(name for name, each in _COMPARISONS.items() if each == sign)
            dtype = torch.float32 if type_ == "f32" else torch.float64
            self._needed.add((name, dtype, self.lanes))
            return Value(f"{name}_{type_}x{self.lanes}({a}, {b})", f"m{type_[1:]}")
        return Value(f"({a} {sign} {b})", f"m{type_[1:]}")

    def _call(self, expr: Call) -> Value:
        function, dtype = expr.function, expr.args[0].dtype
        args = [self.value(arg) for arg in expr.args]
        texts = [arg.text for arg in args]
        if dtype is torch.bool:
            return self._on_truth(function, args)
        type_ = C_TYPES[dtype]
        if function in _OPERATORS or function == "neg":
            sign = _OPERATORS.get(function, "-")
            return Value(_infix(sign, texts) if _is_place(expr) else self._arithmetic(sign, texts, dtype), type_)
        if function in _COMPARISONS:
            return self._compare(texts[0], _COMPARISONS[function], texts[1], type_)
        if not dtype.is_floating_point and self.lanes == 1:
            return Value(_integer(function, texts, type_), type_)
        if not dtype.is_floating_point and function in ("maximum", "minimum"):
            return Value(
                self.combine({"maximum": "amax", "minimum": "amin"}[function], texts[0], texts[1], dtype), type_
            )
        self._needed.add((function, dtype, self.lanes))
        return Value(f"{function}_{type_}x{self.lanes}({', '.join(texts)})", type_)

    def _arithmetic(self, sign: str, operands: Sequence[str], dtype: torch.dtype) -> str:
        """Operands joined by a sign, or one with it. Integers wrap around, which C promises of unsigned ones only."""
        if dtype.is_floating_point:
            return _infix(sign, operands)
        element = C_TYPES[dtype]
        if element not in ("i32", "i64"):  # C computes those in 32 bits, which are enough
            return f"({element})({_infix(sign, operands)})"
        own = self.type_name(element)
        unsigned = f"u{own[1:]}"
        return f"({own})({_infix(sign, [f'({unsigned})({operand})' for operand in operands])})"

    def _on_truth(self, function: str, args: Sequence[Value]) -> Value:
        bits = args[0].type[1:]
        texts = [self._mask(arg, bits) for arg in args]
        match function:
            case "not":
                return Value(f"~{texts[0]}", args[0].type)
            case "and" | "mul" | "minimum":
                return Value(f"{texts[0]} & {texts[1]}", args[0].type)
            case "or" | "add" | "maximum":
                return Value(f"{texts[0]} | {texts[1]}", args[0].type)
            case "ne":
                return Value(f"{texts[0]} ^ {texts[1]}", args[0].type)
            case "eq":
                return Value(f"~({texts[0]} ^ {texts[1]})", args[0].type)
            case "lt":
                return Value(f"~{texts[0]} & {texts[1]}", args[0].type)
            case "gt":
                return Value(f"{texts[0]} & ~{texts[1]}", args[0].type)
            case "le":
                return Value(f"~{texts[0]} | {texts[1]}", args[0].type)
            case "ge":
                return Value(f"{texts[0]} | ~{texts[1]}", args[0].type)
            case "sign" | "abs":
                return args[0]
        raise AssertionError(f"{function} is not defined for truth values")


def neutral(how: str, dtype: torch.dtype) -> str:
    """What a reduction starts from, as one element."""
    if how == "sum":
        return "0"
    if dtype.is_floating_point:
        return "-__builtin_inff()" if how == "amax" else "__builtin_inff()"
    if dtype is torch.bool:
        return "0" if how == "amax" else "1"
    info = torch.iinfo(dtype)
    value = info.min if how == "amax" else info.max
    return "(-0x7fffffffffffffffLL - 1)" if value == -(2**63) else f"{value}LL"


def _infix(sign: str, operands: Sequence[str]) -> str:
    return f" {sign} ".join(operands) if len(operands) > 1 else f"{sign}{operands[0]}"


def _is_place(expr: Expr) -> bool:
    """Whether a number is made of indices and sizes, and so stays in memory: it does not wrap around."""
    match expr:
        case Call(args=args):
            return all(map(_is_place, args))
        case Literal(dtype=torch.int64) | Index():
            return True
    return False


def _float_text(value: float, dtype: torch.dtype) -> str:
    if dtype is torch.float32:
        value = torch.tensor(value, dtype=torch.float32, device="cpu").item()
    if math.isnan(value):
        return '__builtin_nanf("")'
    if math.isinf(value):
        return "__builtin_inff()" if value > 0 else "(-__builtin_inff())"
    text = f"{value!r}f" if dtype is torch.float32 else repr(value)
    return f"({text})" if value < 0 or text.startswith("-") else text


def _integer(function: str, args: Sequence[str], type_: str) -> str:
    match function:
        case "abs":
            unsigned = f"u{max(32, int(type_[1:]))}"
            return f"({type_})({args[0]} < 0 ? -({unsigned}){args[0]} : ({unsigned}){args[0]})"
        case "sign":
            return f"({type_})(({args[0]} > 0) - ({args[0]} < 0))"
        case "maximum":
            return f"{args[0]} > {args[1]} ? {args[0]} : {args[1]}"
        case "minimum":
            return f"{args[0]} < {args[1]} ? {args[0]} : {args[1]}"
        case "floordiv":
            return f"floordiv_i64({args[0]}, {args[1]})"
        case "mod":
            return f"mod_i64({args[0]}, {args[1]})"
        case "philox":
            return f"philox_i64({', '.join(args)})"
        case "pow":
            return f"({type_})pow_i64({args[0]}, {args[1]})"
    raise AssertionError(f"{function} is not defined for integers")

"""The handle on a node that users and gradient rules hold: torch's operators and methods, building graph.

Methods dispatch by name to the functions that the op files register, so this file knows no op.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, Union

import numpy
import torch

from graphc.dims import Dim, Size
from graphc.errors import DTypeError, GraphcError, ShapeError, SymbolicValueError, brief, compose, explained, one_line
from graphc.ir.elsewhere import METHODS_ELSEWHERE, REMEDIES, TORCH_ELSEWHERE, UFUNCS, missing
from graphc.ir.node import Node
from graphc.ir.op import Op
from graphc.ir.origin import Origin, current_origin
from graphc.types import TensorType, as_index

__all__ = [
    "FUNCTIONS",
    "Attempt",
    "Tensor",
    "TensorLike",
    "apply",
    "complaint",
    "function",
    "is_number",
    "is_tensor_like",
    "range_of_dims",
]

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The functions that users call, by name: what `Tensor` methods dispatch to."""

_F = TypeVar("_F", bound=Callable[..., Any])
_E = TypeVar("_E", bound=GraphcError)
TensorLike = Union["Tensor", int, float, bool, Dim, torch.Tensor]
Dims = int | Sequence[int] | None

INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "pow": "**",
    "matmul": "@",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
"""Functions of two operands that error messages show as their operator."""

_BY_ELEMENT = "a choice by element use graphc.where, and for the larger of two graphc.maximum"


def is_number(value: object) -> bool:
    """Whether `value` promotes like a Python number; a symbolic size and NumPy's scalars do."""
    return isinstance(value, (bool, int, float, Dim, numpy.generic))


def is_tensor_like(value: object) -> bool:
    """Whether `value` may be an operand: a tensor of any kind or a number."""
    return isinstance(value, (Tensor, torch.Tensor)) or is_number(value) or hasattr(value, "__array__")


def range_of_dims(ndim: int) -> str:
    """What to do about a dimension that does not exist."""
    return f"dimensions go from {-ndim} to {ndim - 1}" if ndim else "a 0-d tensor has none"


def function(f: _F) -> _F:
    """Register a user-level function under its name, less the underscore that keeps it apart from a builtin."""
    f.__name__ = f.__qualname__ = f.__name__.rstrip("_")
    FUNCTIONS[f.__name__] = wrapped = explained(f)
    return wrapped  # type: ignore[return-value]  # it has the parameters of f


def apply(op: Op, *operands: Tensor, name: str = "") -> Tensor:
    """The result of `op` on `operands`.

    Raises what the op's `infer` raises, with types and the user's line added; `name` is what the user called, if not
    the op's name.
    """
    nodes = tuple(operand.node for operand in operands)
    origin = current_origin()
    try:
        type_ = op.infer(*(node.type for node in nodes))
    except (ShapeError, DTypeError) as error:
        raise complaint(type(error), name or op.name, str(error), *operands, origin=origin) from None
    return Tensor(Node(op, nodes, type_, origin))


@dataclass(frozen=True, eq=False, slots=True)
class Attempt:
    """A call that built nothing, since it raised an error: the function `name`, what it got, and where it stands."""

    name: str
    operands: tuple[Tensor, ...]
    origin: Origin


def complaint(
    kind: type[_E],
    name: str,
    problem: str,
    *operands: Tensor,
    about: tuple[Tensor, ...] = (),
    remedy: str = "",
    origin: Origin | None = None,
) -> _E:
    """An error that names the function, its operands' types, the user's line and the remedy.

    `about` has the operands where `problem` speaks of them already.
    """
    origin = origin or current_origin()
    remedy = remedy or next((text for part, text in REMEDIES if part in problem), "")
    types = [str(operand.type) for operand in operands]
    if len(types) == 2 and name in INFIX:
        problem += f", in {types[0]} {INFIX[name]} {types[1]}"
    elif types:
        problem += f", in {name}({', '.join(types)})"
    where = origin.location
    if where and origin.scopes and origin.module not in name:
        where += f" in {origin.module} ({origin.scopes[-1].kind})"
    error = kind(compose(name, problem, where=where, remedy=remedy))
    error.attempt = Attempt(name, operands or about, origin)
    return error


class Tensor:
    """A symbolic tensor: nothing runs until a program compiled from it is called.

    Handles are cheap and hashed by identity; `a == b` is the element-wise comparison, as in torch.
    """

    __slots__ = ("__weakref__", "node")

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def type(self) -> TensorType:
        return self.node.type

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.node.type.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.node.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.node.type.shape)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The operands of the node."""
        return tuple(Tensor(node) for node in self.node.inputs)

    def __repr__(self) -> str:
        where = self.node.origin.location
        return f"<symbolic {self.node.op.name} : {self.type}{f', built at {where}' if where else ''}>"

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> Size:
        return self.type.numel

    def size(self, dim: int | None = None) -> Any:
        if dim is None:
            return self.shape
        index = as_index(dim)
        if index is None or not -self.ndim <= index < self.ndim:
            problem = f"dimension {brief(dim)} does not exist, there are {self.ndim}"
            raise complaint(ShapeError, "size", problem, self, remedy=range_of_dims(self.ndim))
        return self.shape[index]

    # What a symbol cannot do.

    def _no_value(self, what: str, alternative: str = _BY_ELEMENT) -> NoReturn:
        raise complaint(
            SymbolicValueError,
            what,
            f"{self!r} has no value yet: graphs are declared first and run after",
            about=(self,),
            remedy=f"compile it with graphc.compile(inputs, outputs) and call the program; for {alternative}",
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or name in {"node", "cell"}:  # half-made by copying, it has nothing to show
            raise AttributeError(name)
        raise missing(f"{self!r}", name, dir(type(self)), METHODS_ELSEWHERE)

    @property
    def requires_grad(self) -> NoReturn:
        self.__getattr__("requires_grad")

    @requires_grad.setter
    def requires_grad(self, value: object) -> NoReturn:
        self.__getattr__("requires_grad")

    def __bool__(self) -> bool:
        self._no_value("bool()")

    def __float__(self) -> float:
        self._no_value("float()", "functions of math use graphc's: graphc.sqrt(x), graphc.floor(x)")

    def __int__(self) -> int:
        self._no_value("int()", "an integer tensor use x.to(torch.int64)")

    def __complex__(self) -> complex:
        self._no_value("complex()")

    def __round__(self, digits: int | None = None) -> int:
        self._no_value("round()", "rounding use graphc.floor(x + 0.5)")

    def __floor__(self) -> int:
        self._no_value("math.floor", "rounding use graphc.floor(x)")

    def __ceil__(self) -> int:
        self._no_value("math.ceil", "rounding use -graphc.floor(-x)")

    def __trunc__(self) -> int:
        self._no_value("math.trunc", "rounding use graphc.floor(x)")

    def __index__(self) -> int:
        self._no_value("index")

    def __format__(self, specification: str) -> str:
        return self._no_value("format()") if specification else repr(self)

    def item(self) -> NoReturn:
        self._no_value("item()")

    def numpy(self) -> NoReturn:
        self._no_value("numpy()")

    def __array__(self, *arguments: object, **options: object) -> NoReturn:
        self._no_value("conversion to a NumPy array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Tensor:
        """An operator with an array on its left builds graph; NumPy's other functions compute at once."""
        name = one_line(str(ufunc.__name__))
        if method == "__call__" and name in UFUNCS and not options:
            return _call(UFUNCS[name], *inputs)
        given = [value for value in inputs if isinstance(value, Tensor)]
        raise _at_once("numpy", name, given, "")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        """torch's functions compute at once. (A TypeError from here lets `torch_tensor + x` go on to `x.__radd__`.)"""
        name = one_line(str(getattr(func, "__name__", func)))
        first = args[0] if args and isinstance(args[0], (tuple, list)) else args
        given = [value for value in first if isinstance(value, Tensor)]
        raise _at_once("torch", name, given, TORCH_ELSEWHERE.get(name, ""))

    def tolist(self) -> NoReturn:
        self._no_value("tolist()")

    def backward(self) -> NoReturn:
        raise complaint(
            SymbolicValueError,
            "backward()",
            "gradients are graph, too",
            self,
            remedy="use graphc.grad(loss, wrt=[...]), or optimizer.minimize(loss) for updates",
        )

    def __iter__(self) -> NoReturn:
        raise complaint(
            SymbolicValueError,
            "iteration",
            f"{self!r} cannot be iterated: nothing has run yet",
            about=(self,),
            remedy="index it (x[0], x[:, 1]) or use functions of the whole tensor, such as x.sum() and x.amax()",
        )

    def __len__(self) -> int:
        if not self.shape:
            problem = "a 0-d tensor has no length, and a symbol no value"
            remedy = "its number of elements is x.numel(), and its value is there once it is compiled"
            raise complaint(SymbolicValueError, "len()", problem, self, remedy=remedy)
        size = self.shape[0]
        if isinstance(size, int):
            return size
        problem = f"the first size, {size}, has no number yet"
        raise complaint(SymbolicValueError, "len()", problem, self, remedy="use x.shape[0]")

    def __contains__(self, item: object) -> bool:
        self._no_value("in")

    def __setitem__(self, key: object, value: object) -> NoReturn:
        self._immutable("item assignment", "build the new value with graphc.where or graphc.cat")

    def __delitem__(self, key: object) -> NoReturn:
        self._immutable("item deletion", "take the rest with slices, and join them with graphc.cat")

    def _immutable(self, what: str, remedy: str) -> NoReturn:
        raise complaint(SymbolicValueError, what, "symbolic tensors are immutable", self, remedy=remedy)

    def _no_operator(self, sign: str, remedy: str) -> NoReturn:
        raise complaint(DTypeError, sign, "graphc has no such operator", self, remedy=remedy)

    def __and__(self, other: object) -> NoReturn:
        self._no_operator("&", "where both hold: a * b of two comparisons, or graphc.where(a, b, False)")

    def __or__(self, other: object) -> NoReturn:
        self._no_operator("|", "where one holds: graphc.maximum(a, b) of two comparisons, or graphc.where(a, True, b)")

    def __xor__(self, other: object) -> NoReturn:
        self._no_operator("^", "where one holds and not both: a != b")

    def __invert__(self) -> NoReturn:
        self._no_operator("~", "the opposite of a comparison is a == False")

    def __mod__(self, other: object) -> NoReturn:
        self._no_operator("%", "use a - b * graphc.floor(a / b)")

    def __floordiv__(self, other: object) -> NoReturn:
        self._no_operator("//", "use graphc.floor(a / b)")

    __rand__, __ror__, __rxor__, __rmod__, __rfloordiv__ = __and__, __or__, __xor__, __mod__, __floordiv__

    # Operators.

    def __hash__(self) -> int:
        return id(self.node)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return _call("eq", self, other) if is_tensor_like(other) else NotImplemented

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return _call("ne", self, other) if is_tensor_like(other) else NotImplemented

    def __lt__(self, other: TensorLike) -> Tensor:
        return _call("lt", self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return _call("le", self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return _call("gt", self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return _call("ge", self, other)

    def __add__(self, other: TensorLike) -> Tensor:
        return _call("add", self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return _call("add", other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return _call("sub", self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return _call("sub", other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return _call("mul", self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return _call("mul", other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return _call("div", self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        # As torch, which differs from a division in the last bit.
        return _call("mul", _call("reciprocal", self), other) if is_number(other) else _call("div", other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return _call("pow", self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return _call("pow", other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return _call("matmul", self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return _call("matmul", other, self)

    def __neg__(self) -> Tensor:
        return _call("neg", self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return _call("abs", self)

    def __getitem__(self, key: Any) -> Tensor:
        return _call("getitem", self, key)

    # Methods, in torch's names and argument order.

    def add(self, other: TensorLike) -> Tensor:
        return _call("add", self, other)

    def sub(self, other: TensorLike) -> Tensor:
        return _call("sub", self, other)

    def mul(self, other: TensorLike) -> Tensor:
        return _call("mul", self, other)

    def div(self, other: TensorLike) -> Tensor:
        return _call("div", self, other)

    def pow(self, exponent: TensorLike) -> Tensor:
        return _call("pow", self, exponent)

    def eq(self, other: TensorLike) -> Tensor:
        return _call("eq", self, other)

    def ne(self, other: TensorLike) -> Tensor:
        return _call("ne", self, other)

    def lt(self, other: TensorLike) -> Tensor:
        return _call("lt", self, other)

    def le(self, other: TensorLike) -> Tensor:
        return _call("le", self, other)

    def gt(self, other: TensorLike) -> Tensor:
        return _call("gt", self, other)

    def ge(self, other: TensorLike) -> Tensor:
        return _call("ge", self, other)

    def neg(self) -> Tensor:
        return _call("neg", self)

    def exp(self) -> Tensor:
        return _call("exp", self)

    def log(self) -> Tensor:
        return _call("log", self)

    def log1p(self) -> Tensor:
        return _call("log1p", self)

    def sqrt(self) -> Tensor:
        return _call("sqrt", self)

    def abs(self) -> Tensor:
        return _call("abs", self)

    def sign(self) -> Tensor:
        return _call("sign", self)

    def square(self) -> Tensor:
        return _call("square", self)

    def reciprocal(self) -> Tensor:
        return _call("reciprocal", self)

    def erf(self) -> Tensor:
        return _call("erf", self)

    def sin(self) -> Tensor:
        return _call("sin", self)

    def cos(self) -> Tensor:
        return _call("cos", self)

    def floor(self) -> Tensor:
        return _call("floor", self)

    def tanh(self) -> Tensor:
        return _call("tanh", self)

    def sigmoid(self) -> Tensor:
        return _call("sigmoid", self)

    def relu(self) -> Tensor:
        return _call("relu", self)

    def minimum(self, other: TensorLike) -> Tensor:
        return _call("minimum", self, other)

    def maximum(self, other: TensorLike) -> Tensor:
        return _call("maximum", self, other)

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:
        return _call("clamp", self, min, max)

    def where(self, condition: Tensor, other: TensorLike) -> Tensor:
        return _call("where", condition, self, other)

    def to(self, dtype: torch.dtype) -> Tensor:
        return _call("cast", self, dtype)

    def float(self) -> Tensor:
        return _call("cast", self, torch.float32)

    def double(self) -> Tensor:
        return _call("cast", self, torch.float64)

    def sum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return _call("sum", self, dim, keepdim)

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return _call("mean", self, dim, keepdim)

    def amax(self, dim: Dims = (), keepdim: bool = False) -> Tensor:
        return _call("amax", self, dim, keepdim)

    def amin(self, dim: Dims = (), keepdim: bool = False) -> Tensor:
        return _call("amin", self, dim, keepdim)

    def softmax(self, dim: int) -> Tensor:
        return _call("softmax", self, dim)

    def log_softmax(self, dim: int) -> Tensor:
        return _call("log_softmax", self, dim)

    def logsumexp(self, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
        return _call("logsumexp", self, dim, keepdim)

    def reshape(self, *shape: Any) -> Tensor:
        return _call("reshape", self, _spread(shape))

    def view(self, *shape: Any) -> Tensor:
        return _call("reshape", self, _spread(shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return _call("flatten", self, start_dim, end_dim)

    def expand(self, *shape: Any) -> Tensor:
        return _call("expand", self, _spread(shape))

    def broadcast_to(self, shape: Sequence[Size]) -> Tensor:
        return _call("broadcast_to", self, shape)

    def permute(self, *dims: Any) -> Tensor:
        return _call("permute", self, _spread(dims))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return _call("transpose", self, dim0, dim1)

    def t(self) -> Tensor:
        return _call("t", self)

    @property
    def T(self) -> Tensor:  # noqa: N802 - torch's name
        return _call("permute", self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Tensor:  # noqa: N802 - torch's name
        return _call("transpose", self, -2, -1)

    def squeeze(self, dim: Dims = None) -> Tensor:
        return _call("squeeze", self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return _call("unsqueeze", self, dim)

    def matmul(self, other: TensorLike) -> Tensor:
        return _call("matmul", self, other)


for _name, _method in list(vars(Tensor).items()):
    if inspect.isfunction(_method) and not _name.startswith("_"):
        setattr(Tensor, _name, explained(_method))


def _at_once(package: str, name: str, given: Sequence[Tensor], remedy: str) -> SymbolicValueError:
    """The error for a function of a library that computes, called on symbols."""
    subject = f"{package}.{name}"
    types = ", ".join(str(each.type) for each in given)
    problem = f"{package} computes at once, and a symbolic tensor has no value yet"
    if types:
        problem += f", in {name}({types})"
    ours = UFUNCS.get(name, name)
    remedy = f"use graphc.{ours}" if ours in FUNCTIONS else remedy or "use graphc's functions and layers"
    return complaint(SymbolicValueError, subject, problem, about=tuple(given), remedy=remedy)


def _call(name: str, *arguments: Any) -> Tensor:
    result: Tensor = FUNCTIONS[name](*arguments)
    return result


def _spread(arguments: tuple[Any, ...]) -> Any:
    """torch takes both `x.reshape(2, 3)` and `x.reshape((2, 3))`."""
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)) else arguments

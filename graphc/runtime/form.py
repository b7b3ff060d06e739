"""The form in which a caller gives several tensors and gets several results: one, a list, a tuple or a dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphc.errors import CompileError, type_name
from graphc.ir import Tensor

__all__ = ["Form"]


@dataclass(frozen=True)
class Form:
    """`names` has one entry for each tensor; `container` is what they come in, None for a tensor by itself."""

    names: tuple[str, ...]
    container: type | None

    @staticmethod
    def of(value: object) -> tuple[Form, list[Tensor]]:
        """The form of `value` and its tensors.

        A tensor by itself is called `loss` if it is 0-d, else `output`; those of a list `output0`, `output1`, …
        """
        if isinstance(value, Tensor):
            return Form(("output" if value.shape else "loss",), None), [value]
        if isinstance(value, Mapping):
            if not all(isinstance(name, str) for name in value):
                raise CompileError(
                    f"compile: outputs are named by strings, not by {list(value)}; write a string for each name"
                )
            form, tensors = Form(tuple(value), dict), list(value.values())
        elif isinstance(value, (list, tuple)):
            form, tensors = Form(tuple(f"output{i}" for i in range(len(value))), type(value)), list(value)
        else:
            remedy = "; call it, as in net(x), and give the tensors that it returns" if callable(value) else ""
            raise CompileError(
                f"compile: outputs are a tensor, a list, a tuple or a dict of tensors, not {type_name(value)}{remedy}"
            )
        for name, tensor in zip(form.names, tensors, strict=True):
            if not isinstance(tensor, Tensor):
                raise CompileError(
                    f"compile: output {name!r} is a {type_name(tensor)}, not a symbolic tensor; a value that is fixed "
                    "is graphc.constant(value)"
                )
        return form, tensors

    def pack(self, values: Sequence[Any]) -> Any:
        """`values` in this form."""
        if self.container is None:
            return values[0]
        if self.container is dict:
            return dict(zip(self.names, values, strict=True))
        return list(values) if self.container is list else tuple(values)

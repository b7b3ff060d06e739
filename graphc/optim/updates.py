"""What a step changes: a mapping from variables to their values after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphc.errors import CompileError, one_line, type_name
from graphc.ir import Tensor, complaint
from graphc.state import Variable

__all__ = ["Updates"]


class Updates(Mapping[Variable, Tensor]):
    """Immutable; `a | b` has the updates of both and raises CompileError for a variable that is in both."""

    def __init__(self, values: Mapping[Variable, Tensor]) -> None:
        self._values = dict(values)

    def __deepcopy__(self, memo: dict[int, object]) -> Updates:
        return self  # its values are graph, which is not copied: copies of its keys would be updated from the originals

    def __getitem__(self, variable: Variable) -> Tensor:
        return self._values[variable]

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __or__(self, other: Mapping[Variable, Tensor]) -> Updates:
        if not isinstance(other, Mapping):
            problem = f"updates | {type_name(other)}: updates are merged with other updates"
            raise TypeError(f"{problem}, as optimizer.minimize(loss) gives them, or with a mapping")
        twice = [variable.name for variable in other if variable in self._values]
        if twice:
            problem = f"both sides update {', '.join(map(repr, twice))}, and a step gives a variable one new value"
            remedy = "give each optimizer parameters of its own; for one step on two losses, minimize their sum"
            raise complaint(CompileError, "updates | updates", problem, remedy=remedy)
        return Updates({**self._values, **other})

    def __ror__(self, other: Mapping[Variable, Tensor]) -> Updates:
        return Updates(other) | self

    def __repr__(self) -> str:
        return f"<updates of {', '.join(one_line(variable.name) for variable in self._values) or 'nothing'}>"

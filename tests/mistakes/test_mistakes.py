"""Errors help: mistakes that users make are refused, in a message that lets them be mended."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest

import graphc
from graphc.errors import ShapeError
from tests.mistakes.corpus import MISTAKES, OUT_OF_REACH
from tests.mistakes.mistake import CRITERIA, Mistake, built, called, raised, says, score

PROMISED = 0.95
"""The share of mistakes whose message meets every criterion."""


def test_messages_help() -> None:
    """At least the promised share; and what falls short is known, with the reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is tried, not of the test
        scores = {title: score(mistake) for title, mistake in MISTAKES.items()}
    short = {title: found for title, found in scores.items() if not found.helps}
    met = Counter(criterion for found in scores.values() for criterion in found.met)
    table = ", ".join(f"{criterion} {met[criterion]}" for criterion in CRITERIA)
    listed = "\n".join(f"{title} lacks {', '.join(found.lacks)}: {found.message}" for title, found in short.items())
    assert len(scores) - len(short) >= PROMISED * len(scores), f"of {len(scores)}: {table}\n{listed}"
    assert set(short) == set(OUT_OF_REACH), listed


def test_enough_mistakes() -> None:
    assert len(MISTAKES) >= 350
    assert len({mistake.make.__name__ for mistake in MISTAKES.values()}) == len(MISTAKES)


# The score can fail ---------------------------------------------------------------------------------------------------

x = graphc.placeholder("x", (2, 3))


def lacks(mistake: Mistake) -> set[str]:
    return set(score(mistake).lacks)


@built("add", "f32[2,3] & f32[4]", "reshape | unsqueeze")
def good() -> object:
    return x + graphc.placeholder("y", (4,))


@built("mul", "f32[4,4]", "buy another computer")
def says_something_else() -> object:
    return x + graphc.placeholder("y", (4,))


@built("add", "f32[4]", "unsqueeze")
def has_another_line() -> object:
    y = x + graphc.placeholder("y", (4,))
    return repr(y)


@raised("add", "f32[4]", "unsqueeze")
def is_chained() -> object:
    try:
        return x + graphc.placeholder("y", (4,))
    except ShapeError as error:
        raise ShapeError(str(error))  # noqa: B904  # here


@called("add", "f32[4]", "unsqueeze")
def has_no_declaration() -> object:
    y = graphc.placeholder("y", (4,))  # declared
    return x + y


@raised("add", "f32[4]", "unsqueeze")
def is_an_assertion() -> object:
    raise AssertionError("add: f32[4] needs unsqueeze")


@raised("add", "f32[4]", "unsqueeze")
def is_accepted() -> object:
    return x + 1.0


@raised("add", "f32[4]", "unsqueeze")
def is_long() -> object:
    raise ShapeError("add: f32[4], unsqueeze; " * 100)


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (good, set()),
        (says_something_else, {"name", "facts", "remedy"}),
        (has_another_line, {"line"}),
        (is_chained, {"short"}),
        (has_no_declaration, {"line"}),
        (is_an_assertion, set(CRITERIA)),
        (is_accepted, set(CRITERIA)),
        (is_long, {"short"}),
    ],
    ids=lambda value: value.title if isinstance(value, Mistake) else "",
)
def test_score(mistake: Mistake, expected: set[str]) -> None:
    assert lacks(mistake) == expected


def test_words_are_whole() -> None:
    assert says("in f32[2,3] @ f32[32,10]", "f32[2,3] & 10")
    assert not says("sizes 32 and 10", "3")
    assert not says("sizes 32 and 10", "32 & 1")
    assert says("use keepdim=True", "unsqueeze | keepdim")
    assert not says("0.weights", "0.weight")

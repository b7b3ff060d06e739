"""The programs in the README and the guide run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def programs(page: str) -> str:
    """The Python blocks of a page, each at its line of the page; excerpts with `...` are left out."""
    text = (ROOT / page).read_text()
    lines = [""] * text.count("\n")
    for block in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        if "    ..." not in block[1]:
            first = text[: block.start(1)].count("\n")
            lines[first : first + block[1].count("\n")] = block[1].splitlines()
    return "\n".join(lines)


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_programs_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compile(programs(page), page, "exec")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    exec(code, namespace)  # noqa: S102 - our own pages
    assert "graphc" in namespace


def test_the_message_about_nan_is_what_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs/guide.md").read_text()
    section = text[text.index("### Where NaN comes from") :]
    program, message = (re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("python", "text"))
    assert program is not None
    assert message is not None
    monkeypatch.chdir(tmp_path)
    code = f"import torch\nimport graphc\nfrom graphc import nn\n{program[1]}"
    exec(compile(code, "docs/guide.md", "exec"), {"__name__": "page"})  # noqa: S102 - our own page
    assert re.sub(r"docs/guide\.md:\d+", "model.py:3", capsys.readouterr().out) == message[1]


@pytest.mark.parametrize(
    "page", sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_nothing_waits_to_be_filled_in(page: str) -> None:
    assert not re.findall(r"@[A-Z]+@", (ROOT / page).read_text())

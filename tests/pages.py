"""Reading the pages of the documentation: their blocks of code, their commands, their links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """Lines between fences, or an indented paragraph: where it begins, its language, its text."""

    page: Path
    line: int  # of its first line, from 1 on
    language: str  # "" where none is named, "indented" where there are no fences
    text: str


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """Every block of code, in order. An indented paragraph counts where it is no part of a list."""
    lines = page.read_text("utf-8").splitlines()
    position = 0
    while position < len(lines):
        fence = re.match(r"\s*```(\w*)", lines[position])
        end = start = position + bool(fence)
        if fence:
            while lines[end].strip() != "```":
                end += 1
        else:
            while end < len(lines) and lines[end].startswith("    "):
                end += 1
        if fence or end > start:
            language = fence[1] if fence else "indented"
            yield Block(
                page, start + 1, language, "\n".join(line.strip() if not fence else line for line in lines[start:end])
            )
        position = max(end + bool(fence), position + 1)


def prose(page: Path) -> str:
    """The page without its fenced blocks; every other character stays in its line."""
    return re.sub(r"^\s*```.*?^\s*```", lambda m: "\n" * m[0].count("\n"), page.read_text("utf-8"), flags=re.S | re.M)


def spans(page: Path) -> Iterator[tuple[int, str]]:
    """Line and text of everything in the prose that stands between backticks, broken lines joined."""
    text = prose(page)
    for match in re.finditer(r"`([^`]+)`", text):
        yield text.count("\n", 0, match.start()) + 1, " ".join(match[1].split())


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Line and target of every link and picture."""
    text = prose(page)
    for match in re.finditer(r"\]\(([^)\s]+)\)", text):
        yield text.count("\n", 0, match.start()) + 1, match[1]


def anchors(page: Path) -> set[str]:
    """What a link may name behind a #: the headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """What stands below a heading of the second level, up to the next one."""
    return re.split(r"^## ", page.read_text("utf-8").partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.M)[0]

"""A study as one HTML page that needs nothing else: the question, what came out, the champions, how to do it again."""

import base64
import html
import io
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from analysis import arguments as take
from analysis import compare, draw, style
from analysis.compare import Comparison
from analysis.names import names_of
from analysis.runs import CHAMPION, RunFolder
from evolution.files import write_atomically
from evolution.genome import loads

LARGEST_DRAWING = 2000  # connections: those above are told, not drawn
CSS = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; padding-bottom: .3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #888; } td { font-variant-numeric: tabular-nums; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }
img { max-width: 100%; height: auto; }
.champions { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid #ddd; padding: .5rem; }
figcaption { font-size: .8rem; overflow-wrap: anywhere; }
"""


def write(folder: Path, path: Path) -> None:
    """Write the page of a study's folder. Raises InputError where there is no study or nothing to compare."""
    take.check_file(path)
    content = page(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def page(folder: Path) -> str:
    """The HTML of a study's folder."""
    study, runs = compare.read_study([folder]), compare.find_runs([folder])
    found = compare.compare_runs(runs, study, **(study.get("compare") or {}))
    with style.style():
        comparison = compare.figure(found)
    asked = compare.PARAMS_FILE if not study else compare.STUDY_FILE
    title = f"Study {folder.resolve().name}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<p>{_text(_summary(runs, found))}</p>",
        "<h2>What was asked</h2>",
        _pre((folder / asked).read_text(encoding="utf-8") if study else "No study file: a folder of runs."),
        "<h2>What came out</h2>",
        _markdown(compare.markdown(found)),
        _image(comparison, f"{compare.title(found)}, every run, means and intervals"),
    ]
    if published := compare.published_table(runs, study):
        parts += ["<h2>Published beside ours</h2>", _markdown(published)]
    parts += ["<h2>Champions</h2>", _champions(runs)]
    parts += ["<h2>Runs</h2>", _runs(runs, found)]
    parts += ["<h2>To do it again</h2>", _again(folder, bool(study), runs)]
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{_text(title)}</title>"
    body = "\n".join(parts)
    return f"<!DOCTYPE html>\n<html lang='en'><head>{head}<style>{CSS}</style></head>\n<body>\n{body}\n</body></html>\n"


def _summary(runs: Sequence[RunFolder], found: Comparison) -> str:
    tasks = ", ".join(dict.fromkeys(run.task for run in runs))
    scripts = ", ".join(dict.fromkeys(run.script for run in runs))
    seeds = sorted({int(run.params.get("seed", 0)) for run in runs})
    return (
        f"{len(runs)} runs of {scripts} on {tasks}, {len(found.groups)} groups, seeds {', '.join(map(str, seeds))}. "
        f"Compared: {compare.title(found)}."
    )


# ---- parts ----------------------------------------------------------------------------------------------------------


def _text(text: object) -> str:
    return html.escape(str(text))


def _pre(text: str) -> str:
    return f"<pre>{_text(text)}</pre>"


def _table(lines: Iterable[Sequence[object]]) -> str:
    header, *rows = lines
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>"


def _markdown(text: str) -> str:
    """What `compare` writes: lines, tables and lists."""
    parts = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("|"):
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            parts.append(_table([rows[0], *rows[2:]]))
        elif lines[0].startswith("- "):
            parts.append("<ul>" + "".join(f"<li>{_text(line.removeprefix('- '))}</li>" for line in lines) + "</ul>")
        else:
            parts.append(f"<p>{_text(block)}</p>")
    return "\n".join(parts)


def _image(figure: Figure, what: str, dpi: int = 130) -> str:
    """A figure as a picture within the page."""
    content = io.BytesIO()
    with style.style():
        figure.savefig(content, format="png", dpi=dpi)
    data = base64.b64encode(content.getvalue()).decode()
    return f"<img alt='{_text(what)}' src='data:image/png;base64,{data}'>"


def _champions(runs: Sequence[RunFolder]) -> str:
    """Every champion's drawing, with its size and where it comes from."""
    parts = []
    for run in runs:
        genome = run.champion
        if genome is None:
            parts.append(f"<figure><figcaption>{_text(run.path.name)}: no champion</figcaption></figure>")
            continue
        size = f"{genome.num_connections} connections, {genome.num_hidden} hidden neurons, {genome.num_layers} layers"
        found = loads((run.path / CHAMPION).read_bytes()).get("provenance", {}).get("generation")
        caption = f"<figcaption>{_text(run.path.name)}: {size}, found in generation {_text(found)}</figcaption>"
        picture = "<p>too large to be drawn here</p>"
        if genome.num_connections <= LARGEST_DRAWING:
            drawn = draw.figure(genome, names_of(genome, run.task), run.path.name)
            picture = _image(drawn, f"champion of {run.path.name}", dpi=70)
        parts.append(f"<figure>{picture}{caption}</figure>")
    return f"<div class='champions'>{''.join(parts)}</div>"


def _runs(runs: Sequence[RunFolder], found: Comparison) -> str:
    values = {run.folder: run for group in found.groups for run in group.found}
    lines: list[Sequence[object]] = [("folder", "seed", found.metric, "of generation", "last generation")]
    for run in runs:
        value = values.get(run.path)
        own = (f"{value.value:.4g}", value.generation) if value else ("", "")
        lines.append((run.path.name, run.params.get("seed"), *own, compare.last_generation(run) if run.scalars else ""))
    return _table(lines)


def _again(folder: Path, is_study: bool, runs: Sequence[RunFolder]) -> str:
    """Commands, and the versions that the champions name."""
    name = folder.resolve().name
    commands = [f"python run-study.py params/study/{name}.yaml"] if is_study else []
    commands += [f"python -m analysis compare {shlex.quote(str(folder))}"]
    commands += [f"python -m analysis report {shlex.quote(str(folder))} --html {shlex.quote(name)}.html"]
    versions: dict[str, None] = {}
    for run in runs:
        if (run.path / CHAMPION).is_file():
            made = loads((run.path / CHAMPION).read_bytes()).get("provenance", {})
            packages = ", ".join(f"{package} {version}" for package, version in made.get("versions", {}).items())
            versions[f"{made.get('code', 'version not recorded')}; {packages}"] = None
    return _pre("\n".join(commands)) + "".join(f"<p>Made by {_text(version)}.</p>" for version in versions)

"""The documentation is true: its Python blocks run, its commands are taken, its files and links are there."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pages import PAGES, ROOT, anchors, blocks, links, name_of, section, spans

import utils
from analysis.__main__ import parse as parse_analysis
from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES
from experiment import EXPERIMENTS, parameters, study
from learning import LEARNING_RULES
from learning.settings import OPTIMIZER_NAMES
from learning.task import EVALUATION_PERIODS

# ---- Python ---------------------------------------------------------------------------------------------------------

# What a page needs that is not there in a test: a cluster, and a signal that ends the waiting.
STAND_INS = {
    "docs/cluster.md": """
import signal, sys, types
class SLURMCluster:
    scheduler_address = "tcp://login:8786"
    def __init__(
        self, *, cores, processes, memory, walltime, job_script_prologue, worker_extra_args, scheduler_options
    ):
        assert cores >= processes >= 1
    def adapt(self, *, minimum_jobs, maximum_jobs):
        assert 0 < minimum_jobs <= maximum_jobs
sys.modules["dask_jobqueue"] = types.SimpleNamespace(SLURMCluster=SLURMCluster)
signal.pause = lambda: None
"""
}


def program(page: Path) -> str:
    """All Python blocks of a page one after another, each at its own line, so that an error names the page's line.

    A block that begins with a comment `# name.py` is that file: it is written, not run here.
    """
    lines = [""] * len(page.read_text("utf-8").splitlines())
    for block in blocks(page):
        if block.language == "python" and not file_name(block.text):
            lines[block.line - 1 : block.line - 1 + block.text.count("\n") + 1] = block.text.splitlines()
    return "\n".join(lines) + "\n"


def file_name(text: str) -> str | None:
    match = re.match(r"# ([\w./-]+\.(py|yaml))\n", text)
    return match[1] if match else None


WITH_PYTHON = [page for page in PAGES if "```python" in page.read_text("utf-8")]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_python_blocks_run(page, tmp_path):
    for block in blocks(page):
        if name := file_name(block.text):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(block.text)
    code = f"{STAND_INS.get(name_of(page), '')}\nexec(compile({program(page)!r}, {str(page)!r}, 'exec'))"
    variables = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "MPLBACKEND": "agg"}
    command = [sys.executable, "-W", "error::SyntaxWarning", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- commands -------------------------------------------------------------------------------------------------------

PYTHON = {"python", ".venv/bin/python", "python3"}
# Programs that are not ours: what follows them is theirs to check.
FOREIGN = {
    "pip",
    ".venv/bin/pip",
    "dask",
    ".venv/bin/dask",
    "sbatch",
    "tensorboard",
    ".venv/bin/tensorboard",
    "git",
    "cd",
}
SHELL = ("", "sh", "bash", "console")


def commands(page: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every command on a page: in shell blocks, in indented ones, and between backticks."""
    for block in blocks(page):
        if block.language in SHELL or block.language == "indented":
            text = re.sub(r"\\\n\s*", " ", block.text)  # a line that goes on
            for offset, line in enumerate(text.splitlines()):
                if line.strip() and (block.language in SHELL or _is_command(line)):
                    yield block.line + offset, line.strip()
    yield from ((line, text) for line, text in spans(page) if _is_command(text))


def _is_command(text: str) -> bool:
    words = text.split()
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return len(words) > 1 and words[0] in {*PYTHON, "make"}


def check(line: str) -> None:
    """Raise InputError or AssertionError unless the command line would be understood."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if not words or words[0] in FOREIGN:
        return
    if words[0] == "make":
        check_make(words[1:])
    else:
        assert words[0] in PYTHON, f"nobody knows the program {words[0]}"
        if words[1] == "-m":
            check_module(words[2], words[3:])
        else:
            check_script(words[1], words[2:])


def check_script(file: str, arguments: list[str]) -> None:
    if file == "run-X.py":  # any of them
        file = "run-wann-gym.py"
    assert (ROOT / file).is_file(), f"there is no {file}"
    script = Path(file).stem
    if script == "run-study":
        check_study(arguments)
        return
    if not script.startswith("run-") or "--help" in arguments:
        return
    # Capitals stand for what the reader knows: a seed, a number of minutes.
    given = parameters._parse_command_line(
        EXPERIMENTS[script], "", [re.sub(r"^(--\w+=)?[A-Z]$", r"\g<1>1", a) for a in arguments]
    )
    params_file = given.get("params_file", "out/")
    assert given.get("resume") or "params_file" in given, "neither a parameter file nor a run to go on with"
    if not params_file.startswith("out/"):  # else a run's own
        parameters.read_params_file(EXPERIMENTS[script], str(ROOT / params_file))


def check_study(arguments: list[str]) -> None:
    study.read([a if not a.startswith("params/") else str(ROOT / a) for a in arguments], utils.check_settings)


@pytest.mark.parametrize("file", sorted(ROOT.glob("params/study/*.yaml")), ids=lambda file: file.stem)
def test_study_files_are_understood(file, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert study.read([str(file)], utils.check_settings).cells


def check_module(module: str, arguments: list[str]) -> None:
    assert importlib.util.find_spec(module), f"there is no module {module}"
    if module == "analysis":
        if arguments and arguments[0] != "COMMAND":
            parse_analysis([re.sub(r"^[A-Z]$", "1", a) for a in arguments])
    elif module == "pytest":
        for file in (a for a in arguments if a.startswith("tests/")):
            assert (ROOT / file.partition("::")[0]).is_file(), f"there is no {file}"
    elif module.startswith("benchmarks"):
        source = Path(importlib.util.find_spec(module).origin)
        sources = [source.with_name("__main__.py") if source.name == "__init__.py" else source]
        sources += sources[0].parent.glob("common.py")
        known = "".join(file.read_text("utf-8") for file in sources)
        for argument in arguments:
            assert f'"{argument}"' in known or not argument.startswith("-"), f"{module} has no {argument}"
            assert module != "benchmarks" or f'"{argument}"' in known, f"there is no benchmark {argument}"


def check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    reproductions = re.search(r"^REPRODUCTIONS := (.*)$", makefile, re.M)
    targets |= {f"reproduce-{name}" for name in (reproductions[1].split() if reproductions else [])}
    for word in words:
        variable, is_variable, _ = word.partition("=")
        if is_variable:
            assert f"$({variable})" in makefile, f"the Makefile has no use for {variable}"
        else:
            assert word in targets, f"make {word}: there is no such target"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_are_understood(page):
    for line, command in commands(page):
        try:
            check(command)
        except (InputError, AssertionError, ValueError, SystemExit) as error:
            pytest.fail(f"{name_of(page)}, line {line}: {command}\n{error}", pytrace=False)


@pytest.mark.parametrize(
    "line",
    [
        "python run-wann-gim.py params/wann-gym/CartPole-v0.yaml",
        "python run-wann-gym.py params/wann-gym/CartPole-v0.yaml --populaton_size 3",
        "python run-wann-gym.py params/wann-gym/CartPole-v9.yaml",
        "python run-wann-gym.py params/wann-gym/CartPole-v0.yaml --seed many",
        "python run-wann-gym.py --seed 3",
        "python -m analysis drow NETWORK.json",
        "python -m analysis draw NETWORK.json --wait 3",
        "python -m benchmarks episods",
        "python -m benchmarks.long_run --hours 3",
        "python -m pytest tests/test_nowhere.py",
        "make tset",
        "make swingup SEEDS=3",
        "KILLS=3 npm test",
    ],
)
def test_a_command_that_is_wrong_is_found(line):
    with pytest.raises((InputError, AssertionError, SystemExit)):
        check(line)


PARAMETER_FILES = sorted(f for f in ROOT.glob("params/*/*.yaml") if f.parent.name != "study")


@pytest.mark.parametrize("file", PARAMETER_FILES, ids=name_of)
def test_the_parameter_files_parse(file):
    assert parameters.read_params(EXPERIMENTS[f"run-{file.parent.name}"], "", [str(file)]).seed is not None


@pytest.mark.parametrize("page", [page for page in PAGES if "```yaml" in page.read_text("utf-8")], ids=name_of)
def test_yaml_blocks_are_the_files_that_they_name(page):
    for block in blocks(page):
        content = yaml.safe_load(block.text) if block.language == "yaml" else None
        if content and (name := file_name(block.text)):
            assert content == yaml.safe_load((ROOT / name).read_text("utf-8")), f"{name_of(page)}, line {block.line}"


def test_the_table_of_parameters_is_current():
    """It is what `python -m experiment.parameters` prints."""
    assert (ROOT / "docs/parameters.md").read_text("utf-8").endswith("\n\n" + parameters.parameter_table())


# ---- files, links, versions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for line, target in links(page):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        where = f"{name_of(page)}, line {line}: {target}"
        assert found.exists(), where
        assert not anchor or anchor in anchors(found), where


OURS = r"(?:analysis|benchmarks|docs|envs|evolution|experiment|learning|networks|params|tests)/[\w./-]+\.(?:py|md|yaml)"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_the_files_that_a_page_names_are_there(page):
    for line, text in spans(page):
        for file in re.findall(rf"(?<![\w/]){OURS}", text):
            assert (ROOT / file).exists(), f"{name_of(page)}, line {line}: {file}"


def test_the_pages_that_the_program_names_are_there():
    """And, behind "section" or a #, their headings."""
    for source in [
        *ROOT.glob("*.py"),
        *ROOT.glob("tests/*.py"),
        *(f for main in ROOT.glob("*/__init__.py") for f in main.parent.rglob("*.py")),
    ]:
        text = " ".join(re.sub(r"\n\s*#?\s*", " ", source.read_text("utf-8")).split())
        for match in re.finditer(r"(docs/[\w-]+\.md)(?:#([\w-]+)|, ([A-Z][a-z]+(?: rules)?)\b)?", text):
            page, anchor, heading = ROOT / match[1], match[2], match[3]
            assert page.exists(), f"{name_of(source)}: {match[0]}"
            known = anchors(page)
            assert not anchor or anchor in known, f"{name_of(source)}: {match[0]}"
            assert not heading or page.name != "method.md" or heading.lower().replace(" ", "-") in known, (
                f"{name_of(source)}: {match[0]}"
            )


METHOD = {
    "Activations": ACTIVATION_NAMES,
    "Evaluation": EVALUATION_PERIODS,
    "Learning rules": [*LEARNING_RULES, *OPTIMIZER_NAMES],
}


@pytest.mark.parametrize("heading", METHOD)
def test_the_page_of_the_method_leaves_nothing_out(heading):
    text = section(ROOT / "docs/method.md", heading)
    assert not [name for name in METHOD[heading] if f"`{name}`" not in text]


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version
    assert re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[1] == version


# ---- installation ---------------------------------------------------------------------------------------------------


def test_the_packages_are_all_installed():
    """Every folder of the program is one of the packages that pyproject.toml names, and every module at the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {f.parent.name for f in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
    assert {name.removesuffix("*") for name in settings["packages"]["find"]["include"]} >= packages
    assert settings["py-modules"] == sorted(f.stem for f in ROOT.glob("*.py") if f.stem.isidentifier())


def test_an_editable_installation_works_from_any_folder(tmp_path):
    """What `pip install --no-deps -e .` makes, built in a copy because it writes beside the sources."""
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "utils.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for package in ROOT.glob("*/__init__.py"):
        (tmp_path / package.parent.name).symlink_to(package.parent)
    (tmp_path / "elsewhere" / "site").mkdir(parents=True)
    build = "import setuptools.build_meta as b; print(b.build_editable('elsewhere'))"
    made = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    wheel = tmp_path / "elsewhere" / made.stdout.split()[-1]
    code = f"""
import importlib.metadata, site, zipfile
zipfile.ZipFile({str(wheel)!r}).extractall("site")
site.addsitedir("site")
import utils, evolution.loop, envs, learning, networks.reference, analysis
assert utils.__file__.startswith({str(tmp_path)!r})
print(importlib.metadata.version("plausible-neuroevolution"))
"""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    used = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "elsewhere",
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert used.returncode == 0, used.stderr
    assert used.stdout.strip() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

"""Whatever a file or a command line holds, the answer is a value or one clear line: never another exception.

`make fuzz` runs the same tests, with new examples each time, until one fails.
"""

import copy
import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from genomes import evolved
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from states import Noise, encoded, evolve, state
from states import settings as settings_for

import utils
from evolution import checkpoint
from evolution.errors import InputError
from evolution.genome import Genome, loads
from experiment import EXPERIMENTS, parameters
from experiment.program import error_line
from networks.reference import forward

ROOT = Path(__file__).parent.parent
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.explain},
)
fuzz = settings.get_profile("fuzz")

TEXTS = [
    "", " ", "true", "null", "~", "nan", ".nan", "-.inf", "1e999", "-1", "0", "1", "1e-3", "0x10", "1:30", "1" * 5000,
    "ß", "\U0001f9a0", "\u202e", "\ud800", "\0", "\x1b[31m", "a\nb", "../..", "/", "digits", "mnist", "dask", "tcp://1",
    "CartPole-v0", "params/wann-gym/CartPole-v0.yaml",
]  # fmt: skip
SNIPPETS = [
    "!!python/object/apply:os.system ['touch hacked']", "!!python/name:os.system", "!!binary aGk=", "!!set {a, b}",
    "&a [*a]", "&a {<<: *a}", "<<: {seed: 1}", "*missing", "{a: {b: {c: [1, [2, [3]]]}}}", "2020-13-45", "2020-01-01",
    "- x", "---", "...", "%YAML 9.9", "? [a]", "[" * 60, "{" * 60, "\t", "seed: 1", "seed: 2", "num_inputs: 5",
    "!!float x", "!!int ''", "!!timestamp x", "'", '"', "|", ">", "\ufeff", "=", "!!omap [a: 1]", "!!pairs [a]", "@",
]  # fmt: skip

texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=20))
numbers = st.one_of(
    st.integers(), st.integers(-(10**30), 10**30), st.floats(), st.sampled_from([0, 1, -1, 2**31, 2**63, 10**400])
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, st.binary(max_size=8), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
scripts = st.sampled_from(list(EXPERIMENTS))
names = st.one_of(st.sampled_from(sorted(parameters.declared())), st.sampled_from(sorted(parameters.declared())), texts)
files = {
    path: path.read_bytes()
    for path in sorted((ROOT / "params").glob("*/*.yaml"))
    if f"run-{path.parent.name}" in EXPERIMENTS
}


@st.composite
def mangled(draw: st.DrawFn, content: bytes, snippets: list[bytes]) -> bytes:
    """The content with up to six places cut, repeated, overwritten, or with something put in."""
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        inserted = draw(st.one_of(st.sampled_from([b"", content[start:end] * 2, *snippets]), st.binary(max_size=6)))
        content = content[:start] + inserted + content[end:]
    return content


def given_or_refused(call):
    """The result, or None where it is one clear line."""
    try:
        return call()
    except InputError as error:
        line = error_line(error, None)
        assert line
        assert len(line) < 6000  # the longest name of a file here has 5000
        line.encode(errors="backslashreplace")
        return None


def read(script, arguments):
    experiment = EXPERIMENTS[script]
    params = given_or_refused(lambda: parameters.read_params(experiment, "", arguments))
    if params is not None:
        for parameter in parameters.used_by(experiment):  # all that is in force is allowed
            value = getattr(params, parameter.name)
            assert value is None or parameter.check(value, "") == value
        if experiment.evolves:
            given_or_refused(lambda: utils.evolution_settings(params))
        assert yaml.safe_load(parameters.yaml_text(params)) == params.as_dict()
    return params


@pytest.fixture(autouse=True, scope="module")
def empty_folder(tmp_path_factory):
    """Everything happens in a folder in which nothing must appear but the file that is read."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("fuzz")
    set_hypothesis_home_dir(ROOT / ".hypothesis")  # else that would be here too
    os.chdir(folder)
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # thousands of checkpoints need not reach the disk
        yield
    left = {path.name for path in folder.iterdir()}
    os.chdir(before)
    assert left <= {"p.yaml", "network.json"}


# ---- parameters -----------------------------------------------------------------------------------------------------


@fuzz
@given(scripts, st.dictionaries(names, values, max_size=6))
def test_parameter_files_of_any_content(script, content):
    Path("p.yaml").write_text(yaml.dump(content, allow_unicode=True), errors="surrogatepass")
    read(script, ["p.yaml"])


@fuzz
@given(st.data())
def test_parameter_files_with_anything_in_them(data):
    path = data.draw(st.sampled_from(sorted(files)))
    snippets = [f"\n{snippet}".encode() for snippet in SNIPPETS] + [f": {snippet}".encode() for snippet in SNIPPETS]
    Path("p.yaml").write_bytes(data.draw(mangled(files[path], snippets)))
    read(f"run-{path.parent.name}", ["p.yaml"])


@fuzz
@given(st.binary(max_size=200))
def test_files_of_any_bytes(content):
    Path("p.yaml").write_bytes(content)
    read("run-wann-gym", ["p.yaml"])


@fuzz
@given(
    scripts,
    st.lists(
        st.one_of(
            st.tuples(names, st.one_of(texts, numbers)).map(lambda pair: (f"--{pair[0]}", str(pair[1]))),
            st.tuples(names, texts).map(lambda pair: (f"--{pair[0]}={pair[1]}",)),
            texts.map(lambda text: (text,)),
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_command_lines_of_any_content(script, groups, with_file):
    arguments = [word for group in groups for word in group if word not in ("-h", "--help")]
    read(script, [str(sorted(files)[0]), *arguments] if with_file else arguments)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_odd_piece_of_yaml_alone(snippet):
    for text in (snippet, f"seed: {snippet}", f"env_name: CartPole-v0\n{snippet}\n"):
        Path("p.yaml").write_text(text)
        read("run-wann-gym", ["p.yaml"])


def test_yaml_that_would_take_memory_or_time_without_end():
    merged = "a0: &a0 {x: 1}\n" + "".join(
        f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
    )
    nested = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    many = "".join(f"k{i}: 1\n" for i in range(5000))
    for text in (merged, nested, many, "[" * 700):
        Path("p.yaml").write_text(text)
        assert read("run-wann-gym", ["p.yaml"]) is None
    Path("p.yaml").write_text("seed: 1".ljust(parameters.LARGEST_FILE + 1))
    with pytest.raises(InputError, match="too large for a parameter file"):
        parameters.read_params(EXPERIMENTS["run-wann-gym"], "", ["p.yaml"])


def test_json_that_nests_without_end():
    for text in ("[" * 100_000, '{"a":' * 100_000):
        Path("network.json").write_text(text)
        with pytest.raises(InputError, match="nested too deeply"):
            Genome.load("network.json")


# ---- networks -------------------------------------------------------------------------------------------------------

NETWORKS = [
    evolved(seed, 3, 2, mutations=12, with_weights=bool(seed % 2), use_bias=seed > 1).to_dict({"seed": seed})
    for seed in range(4)
]
odd = st.one_of(
    numbers,
    texts,
    st.none(),
    st.booleans(),
    st.sampled_from([[], {}, [[]], [[0]], [0, 0], "relu", -0.0, float("nan"), [[0, 1, 2]], 1.0, 0.5]),
)


def corrupted(draw: st.DrawFn, value, replacements):
    """A copy with up to three places, at any depth, removed, repeated or replaced."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        inner = value
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(inner[key], dict | list) and inner[key] and draw(st.booleans()):
                inner = inner[key]
                continue
            action = draw(st.sampled_from(["remove", "replace", "repeat"]))
            if action == "remove":
                del inner[key]
            elif action == "repeat" and isinstance(inner, list):
                inner.append(copy.deepcopy(inner[key]))
            else:
                inner[key] = copy.deepcopy(draw(replacements))
            break
    return value


def check_network(network: Genome | None) -> None:
    """A network that was read computes, and can be written and read again."""
    if network is not None:
        assert Genome.from_dict(json.loads(json.dumps(network.to_dict()))) == network
        assert forward(network, np.ones((1, network.num_observed)), 1.0).shape == (1, network.num_outputs)


@fuzz
@given(st.data())
def test_networks_with_anything_changed(data):
    content = corrupted(data.draw, data.draw(st.sampled_from(NETWORKS)), odd)
    check_network(given_or_refused(lambda: Genome.from_dict(content)))


@fuzz
@given(st.data())
def test_network_files_with_anything_in_them(data):
    content = json.dumps(data.draw(st.sampled_from(NETWORKS))).encode()
    snippets = [
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b'"',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"[" * 100_000,
        b"\\ud800",
    ]
    Path("network.json").write_bytes(data.draw(mangled(content, snippets)))
    check_network(given_or_refused(lambda: Genome.load("network.json")))


@fuzz
@given(values)
def test_any_value_as_a_network(value):
    check_network(given_or_refused(lambda: Genome.from_dict(value)))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_file_that_ends_early_is_refused_wherever_it_ends(network):
    content = Genome.from_dict(network)
    content.save("network.json")
    whole = Path("network.json").read_bytes()
    for length in range(len(whole.rstrip())):
        with pytest.raises(InputError):
            Genome.from_dict(loads(whole[:length]))


@pytest.mark.parametrize("network", NETWORKS[:2])
def test_a_network_file_with_a_flipped_bit_is_read_or_refused(network):
    whole = json.dumps(network).encode()
    for position in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        check_network(given_or_refused(lambda damaged=damaged: Genome.from_dict(loads(bytes(damaged)))))


# ---- checkpoints ----------------------------------------------------------------------------------------------------


CHECKPOINTS = {flag: checkpoint.to_bytes(state(with_weights=flag)) for flag in (False, True)}


def check_checkpoint(content: bytes, with_weights: bool) -> None:
    """A checkpoint that was read can be gone on from, or is refused as another run's."""
    found = given_or_refused(lambda: checkpoint.from_bytes(content))
    if found is None:
        return
    for genome in (*found.population, *([found.champion.genome] if found.champion else [])):
        genome.check()
    settings = settings_for(with_weights=with_weights, num_generations=found.generation + 2)
    with tempfile.TemporaryDirectory() as folder:
        given_or_refused(lambda: evolve(Noise(), settings, Path(folder), found))


@st.composite
def distorted(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    """The array with another type, shape, length or other values."""
    action = draw(st.sampled_from(["type", "shape", "shorter", "longer", "value", "scalar"]))
    if action == "type":
        with np.errstate(all="ignore"):
            return array.astype(
                draw(st.sampled_from([np.float16, np.float64, np.int64, np.uint8, np.bool_, "U3", np.complex64]))
            )
    if action == "shape":
        return array.reshape(-1, 1)
    if action == "shorter":
        return array[: draw(st.integers(0, len(array)))]
    if action == "longer":
        return np.concatenate([array, array])
    if action == "scalar" or not array.size:
        return np.array(1)
    array = array.copy()
    special = [-1, 0, 1, 5, 100] + ([np.nan, np.inf] if array.dtype.kind == "f" else [np.iinfo(array.dtype).max])
    array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(special))
    return array


@fuzz
@given(st.data(), st.booleans())
def test_checkpoints_with_a_good_checksum_and_anything_in_them(data, with_weights):
    meta, arrays = checkpoint.decode(CHECKPOINTS[with_weights])
    if data.draw(st.booleans()):
        meta = corrupted(data.draw, meta, st.one_of(odd, st.text(max_size=3)))
    else:
        name = data.draw(st.sampled_from(sorted(arrays)))
        if data.draw(st.integers(0, 3)):
            arrays[name] = data.draw(distorted(arrays[name]))
        else:
            del arrays[name]
    check_checkpoint(encoded(meta, arrays), with_weights)


@fuzz
@given(st.data())
def test_archives_with_a_good_checksum_and_anything_in_them(data):
    whole = CHECKPOINTS[True]
    start = len(checkpoint.MAGIC) + 65
    body = data.draw(mangled(whole[start:], [b"PK\x03\x04", b"\x93NUMPY", b"\xff" * 8, b"\0" * 8]))
    content = checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    check_checkpoint(content, with_weights=True)

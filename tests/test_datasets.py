"""The data sets: downloads from a local server with every fault, the cache, and preprocessing by hand."""

import dataclasses
import gzip
import hashlib
import http.server
import logging
import multiprocessing
import os
import struct
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import sklearn.datasets
import sklearn.model_selection

from envs import datasets
from envs.datasets import DATASETS, Source, download, fashion_mnist, idx, kmnist, mnist, mnist_1d, preparation
from evolution.errors import InputError

RNG = np.random.default_rng(0)


def packed_idx(array):
    """An IDX file of unsigned bytes."""
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


SMALL = {
    "train-images-idx3-ubyte": packed_idx(RNG.integers(0, 256, (6, 28, 28))),
    "train-labels-idx1-ubyte": packed_idx(np.array([0, 1, 2, 3, 4, 9])),
    "t10k-images-idx3-ubyte": packed_idx(RNG.integers(0, 256, (3, 28, 28))),
    "t10k-labels-idx1-ubyte": packed_idx(np.array([7, 8, 9])),
}
FIRST = "train-images-idx3-ubyte"


def known(**changes):
    """MNIST, whose files are the small ones."""
    files = dataclasses.replace(mnist.FILES, unpacked_md5=[md5(content) for content in SMALL.values()], **changes)
    return Source(files.find, deskew=True)


def md5(content):
    return hashlib.md5(content).hexdigest()


@pytest.fixture(autouse=True)
def small_files(monkeypatch, tmp_path_factory):
    monkeypatch.setitem(DATASETS, "mnist", known())
    monkeypatch.setattr(idx, "DATA", tmp_path_factory.mktemp("data"))
    for name in ("MNIST_DIR", "FASHION_MNIST_DIR", "KMNIST_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mirrors(monkeypatch):
    """Two mirrors here; `answers[mirror][file]` replaces a file: None is a 404, a tuple (body, length) lies."""
    answers: list[dict] = [{}, {}]
    asked: list[str] = []
    over = threading.Event()
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    monkeypatch.setattr(download, "MAX_DOWNLOAD", 50_000)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            _, mirror, file = self.path.split("/")
            answer = answers[int(mirror)].get(file, gzip.compress(SMALL[file.removesuffix(".gz")]))
            if answer is None:
                return self.send_error(404)
            if answer == SILENT:
                over.wait(10)
                return None
            body, length = answer if isinstance(answer, tuple) else (answer, len(answer))
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(DATASETS, "mnist", known(mirrors=(f"{address}/0/", f"{address}/1/")))
    yield answers, asked
    over.set()
    server.shutdown()
    server.server_close()


def local(folder: Path, packed=True):
    folder.mkdir(exist_ok=True)
    for name, content in SMALL.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def test_missing_files_are_downloaded_once(mirrors, tmp_path):
    _, asked = mirrors
    data = datasets.load("mnist", tmp_path / "new/folder")
    assert data.train_images.shape == (6, 256)
    assert data.train_images.dtype == data.test_images.dtype == np.float32
    assert data.train_labels.tolist() == [0, 1, 2, 3, 4, 9]
    assert data.test_labels.tolist() == [7, 8, 9]
    assert data.test_labels.dtype == np.int64
    assert asked == [f"/0/{name}.gz" for name in SMALL]
    again = datasets.load("mnist", tmp_path / "new/folder")
    assert len(asked) == 4
    np.testing.assert_array_equal(again.train_images, data.train_images)


CACHE = "prepared-16x16-deskewed.npz"
SILENT = b""
FAULTS = {  # what a mirror answers, and what is said of it
    "not there": (None, "404"),
    "cut connection": ((b"half", 1000), "broke after 4 of 1000 bytes"),
    "wrong bytes": (gzip.compress(b"something else"), "the MD5 of the unpacked bytes is"),
    "not packed": (b"plain text", "the MD5 of the unpacked bytes is"),
    "truncated": (gzip.compress(SMALL[FIRST])[:-20], "truncated or damaged"),
    "far too much": (bytes(10**5), "more than 50000 bytes"),
    "silent": (SILENT, "timed out"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_mirror_is_taken(fault, mirrors, tmp_path):
    answers, asked = mirrors
    answers[0][f"{FIRST}.gz"], _ = FAULTS[fault]
    assert datasets.load("mnist", tmp_path).train_images.shape == (6, 256)
    assert asked[:2] == [f"/0/{FIRST}.gz", f"/1/{FIRST}.gz"]


@pytest.mark.parametrize("fault", FAULTS)
def test_where_no_mirror_helps_the_error_says_what_to_put_where(fault, mirrors, tmp_path):
    answer, reason = FAULTS[fault]
    for answers in mirrors[0]:
        answers[f"{FIRST}.gz"] = answer
    with pytest.raises(InputError, match="cannot be downloaded") as error:
        datasets.load("mnist", tmp_path)
    message = str(error.value)
    assert all(f"{name}.gz" in message for name in SMALL)
    assert str(tmp_path) in message
    assert "\n" not in message
    assert message.count(reason) == 2  # of each mirror
    assert not list(tmp_path.iterdir())  # nothing half-written


def test_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setitem(DATASETS, "mnist", known(mirrors=("http://127.0.0.1:9/",)))
    with pytest.raises(InputError, match=f"put {FIRST}.gz, .* into {tmp_path}"):
        datasets.load("mnist", tmp_path)


@pytest.mark.parametrize("fault", ["empty", "not packed", "wrong bytes", "truncated"])
def test_a_file_that_is_not_mnists_is_named_and_left_alone(fault, mirrors, tmp_path):
    path = local(tmp_path) / f"{FIRST}.gz"
    content = b"" if fault == "empty" else FAULTS[fault][0]
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not MNIST's file") as error:
        datasets.load("mnist", tmp_path)
    assert str(path) in str(error.value)
    assert path.read_bytes() == content
    assert mirrors[1] == []


def test_unpacked_files_and_the_three_places(tmp_path, monkeypatch):
    given, named, own = (local(tmp_path / name, packed=name != "given") for name in ("given", "named", "own"))
    own.rename(idx.DATA / "mnist")
    own = idx.DATA / "mnist"
    for expected, arguments in ((own, {}), (named, {}), (given, {"data_dir": given})):
        if expected == named:
            monkeypatch.setenv("MNIST_DIR", str(named))
        datasets.load("mnist", **arguments)
        assert (expected / CACHE).exists()
        (expected / CACHE).unlink()


def test_the_cache_is_used_and_made_anew_when_it_is_damaged_or_old(tmp_path, monkeypatch, caplog):
    expected = datasets.load("mnist", local(tmp_path))
    prepared = []
    monkeypatch.setattr(
        preparation, "preprocess", lambda images, *_: prepared.append(1) or expected.train_images[: len(images)]
    )
    datasets.load("mnist", tmp_path)
    assert not prepared
    cache = tmp_path / CACHE
    content = cache.read_bytes()
    cache.write_bytes(content[:-100])
    with caplog.at_level(logging.WARNING):
        datasets.load("mnist", tmp_path)
    assert len(prepared) == 2
    assert "damaged" in caplog.text
    monkeypatch.setattr(preparation, "VERSION", "another")
    datasets.load("mnist", tmp_path)
    assert len(prepared) == 4


def test_prepared_images_are_made_anew_by_another_opencv(tmp_path, monkeypatch):
    """What OpenCV interpolates differs between its versions."""
    expected = datasets.load("mnist", local(tmp_path))
    monkeypatch.setattr(cv2, "__version__", "4.10.0")
    monkeypatch.setattr(cv2, "resize", lambda image, size, **_: np.full(size, 0.5, np.float32))
    other = datasets.load("mnist", tmp_path)
    assert not np.array_equal(other.train_images, expected.train_images)
    monkeypatch.undo()


def test_each_preparation_is_kept_apart(tmp_path, monkeypatch):
    local(tmp_path)
    first = datasets.load("mnist", tmp_path)
    large = datasets.load("mnist", tmp_path, image_size=28)
    raw = datasets.load("mnist", tmp_path, image_size=28, deskew=False)
    assert [d.train_images.shape for d in (first, large, raw)] == [(6, 256), (6, 784), (6, 784)]
    pixels = np.frombuffer(SMALL[FIRST][16:], np.uint8).reshape(6, 784)
    np.testing.assert_array_equal(raw.train_images, pixels.astype(np.float32) / 255)
    assert not np.array_equal(large.train_images, raw.train_images)
    monkeypatch.setattr(preparation, "preprocess", None)
    for expected, keywords in ((first, {}), (large, {"image_size": 28}), (raw, {"image_size": 28, "deskew": False})):
        np.testing.assert_array_equal(datasets.load("mnist", tmp_path, **keywords).train_images, expected.train_images)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path, caplog):
    """The images are then kept in the repository's own folder, and a warning says so where that fails too."""
    local(tmp_path).chmod(0o555)
    assert datasets.load("mnist", tmp_path).train_images.shape == (6, 256)
    assert not (tmp_path / CACHE).exists()
    assert (idx.DATA / "mnist" / CACHE).exists()
    (idx.DATA / "mnist" / CACHE).unlink()
    (idx.DATA / "mnist").chmod(0o555)
    with caplog.at_level(logging.WARNING):
        assert datasets.load("mnist", tmp_path).train_images.shape == (6, 256)
    assert caplog.text.count("cannot be written") == 2
    assert not (tmp_path / CACHE).exists()
    (idx.DATA / "mnist").chmod(0o755)
    tmp_path.chmod(0o755)


def _load(folder, queue):
    queue.put(datasets.load("mnist", folder).train_images.sum())


def test_a_file_in_place_of_the_folder_is_an_error_before_any_download(mirrors, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=f"^MNIST: {path} is not a folder$"):
        datasets.load("mnist", path)
    assert mirrors[1] == []
    assert path.read_bytes() == b"mine"


def test_two_processes_that_start_at_once(tmp_path):
    local(tmp_path)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_load, args=(tmp_path, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    sums = {float(queue.get(timeout=30)) for _ in processes}
    assert len(sums) == 1
    assert float(datasets.load("mnist", tmp_path).train_images.sum()) in sums
    assert sum(path.name.startswith(".") for path in tmp_path.iterdir()) == 0


def test_digits_are_scikit_learns():
    data = datasets.load("digits")
    assert [a.shape for a in data] == [(1347, 64), (1347,), (450, 64), (450,)]
    assert data.train_images.dtype == np.float32
    assert data.train_labels.dtype == np.int64
    assert (data.train_images * 16 == np.round(data.train_images * 16)).all()
    assert data.train_images.max() == 1
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    expected = sklearn.model_selection.train_test_split(images, labels, random_state=0)
    for found, array in zip((data.train_images * 16, data.test_images * 16, *data[1::2]), expected, strict=True):
        np.testing.assert_array_equal(found, array)


def test_digits_without_scikit_learn_are_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^dataset digits: scikit-learn, which it comes with, is not installed$"):
        datasets.load("digits")


def test_an_unknown_name():
    with pytest.raises(InputError, match="there are digits, mnist, fashion_mnist"):
        datasets.load("cifar")


def test_the_resizing_by_hand():
    """Grey rises from left to right: column i of 16 lies at (i + 1/2) 28/16 - 1/2 of 28. It is upright already."""
    image = np.tile(np.arange(28, dtype=np.uint8) * 9, (28, 1))
    row = 9 * ((np.arange(16) + 0.5) * 28 / 16 - 0.5) / 255
    prepared = preparation.preprocess(image[None]).reshape(16, 16)
    np.testing.assert_allclose(prepared, np.tile(row, (16, 1)), atol=1e-6)


def sheared_bar(slope):
    """A bar two pixels wide, 16x16, whose row y is shifted by slope * (y - 8)."""
    image = np.zeros((16, 16), np.float32)
    for y in range(2, 14):
        x = 7.5 + slope * (y - 8)
        left = int(np.floor(x))
        image[y, left] = 1 - (x - left)
        image[y, left + 1] = 1
        image[y, left + 2] = x - left
    return image


@pytest.mark.parametrize("slope", [0.5, -0.25])
def test_a_sheared_bar_becomes_upright(slope):
    columns = np.arange(16)

    def centres(image):
        return (image[3:13] * columns).sum(axis=1) / image[3:13].sum(axis=1)

    bar = sheared_bar(slope)
    assert np.ptp(centres(bar)) == pytest.approx(9 * abs(slope))
    upright = preparation.upright(bar)
    assert np.ptp(centres(upright)) < 0.15
    np.testing.assert_allclose(upright.sum(axis=1)[3:13], 2, atol=0.01)  # a shear moves, and takes nothing away


def test_the_shear_by_hand():
    """Two pixels: (7, 6) and (9, 10). mu11 = 2 * 1 * 2 = 4, mu02 = 2 * 2^2 = 8: row y moves left by (y - 8) / 2."""
    image = np.zeros((16, 16), np.float32)
    image[6, 7] = image[10, 9] = 1
    expected = np.zeros((16, 16), np.float32)
    expected[6, 8] = expected[10, 8] = 1
    np.testing.assert_allclose(preparation.upright(image), expected, atol=1e-6)


def test_images_are_resized_first_and_deskewed_then():
    images = RNG.integers(0, 256, (3, 28, 28)).astype(np.uint8) * np.tri(28, dtype=np.uint8)
    for image, prepared in zip(images, preparation.preprocess(images), strict=True):
        small = cv2.resize(image.astype(np.float32) / 255, (16, 16), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(prepared, preparation.upright(small).ravel())
        assert not np.array_equal(prepared, small.ravel())


def test_what_has_no_height_stays_as_it_is():
    image = np.zeros((16, 16), np.float32)
    image[5, 3:9] = 1
    np.testing.assert_array_equal(preparation.upright(image), image)
    np.testing.assert_array_equal(preparation.upright(np.zeros((16, 16), np.float32)), 0)


# ---- where files lie, and what they hold --------------------------------------------------------------------------


@pytest.mark.parametrize("where", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("name", ["{}", "{}.gz", "dotted", "dotted.gz"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_known_by_their_bytes_under_all_names(where, name, packed, tmp_path):
    """Sites pack them or not, whatever their names say; some have a dot; torchvision has a folder of its own."""
    folder = tmp_path / where
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in SMALL.items():
        called = name.replace("dotted", file.replace("-idx", ".idx")).format(file)
        (folder / called).write_bytes(gzip.compress(content) if packed else content)
    assert datasets.load("mnist", tmp_path).train_labels.tolist() == [0, 1, 2, 3, 4, 9]


def test_of_two_candidates_the_good_one_is_taken(tmp_path):
    local(tmp_path)
    expected = datasets.load("mnist", tmp_path)
    (tmp_path / f"{FIRST}.gz").write_bytes(b"half a download")
    with pytest.raises(InputError, match=f"{FIRST}.gz is not MNIST's file"):
        datasets.load("mnist", tmp_path)
    (tmp_path / FIRST).write_bytes(SMALL[FIRST])
    np.testing.assert_array_equal(datasets.load("mnist", tmp_path).train_images, expected.train_images)


@pytest.mark.parametrize(("module", "variable"), [(fashion_mnist, "FASHION_MNIST_DIR"), (kmnist, "KMNIST_DIR")])
def test_other_sets_have_their_own_folder_and_checksums(module, variable, tmp_path, monkeypatch):
    name = module.__name__.rpartition(".")[2]
    files = [gzip.compress(content, mtime=0) for content in SMALL.values()]
    unpacked = bool(module.FILES.unpacked_md5)
    sums = [md5(content) for content in (SMALL.values() if unpacked else files)]
    sums = {"unpacked_md5" if unpacked else "packed_md5": sums}
    monkeypatch.setitem(DATASETS, name, Source(dataclasses.replace(module.FILES, installed=None, **sums).find))
    for folder in (idx.DATA / name, tmp_path):
        folder.mkdir(exist_ok=True)
        for file, content in zip(SMALL, files, strict=True):
            (folder / f"{file}.gz").write_bytes(content)
    assert datasets.load(name).train_images.shape == (6, 256)
    (idx.DATA / name / "prepared-16x16.npz").unlink()
    monkeypatch.setenv(variable, str(tmp_path))
    datasets.load(name)
    assert (tmp_path / "prepared-16x16.npz").exists()  # not deskewed
    (tmp_path / f"{FIRST}.gz").write_bytes(gzip.compress(SMALL[FIRST][:-1] + b"x", mtime=0))
    with pytest.raises(InputError, match=r"is not .*MNIST's file: the MD5 of the"):
        datasets.load(name)


def test_an_installed_package_is_found_and_written_nowhere(tmp_path, monkeypatch):
    installed = local(tmp_path / "usr")
    installed.chmod(0o555)
    files = dataclasses.replace(
        fashion_mnist.FILES, installed=installed, unpacked_md5=[md5(content) for content in SMALL.values()]
    )
    monkeypatch.setitem(DATASETS, "fashion_mnist", Source(files.find))
    assert datasets.load("fashion_mnist").train_images.shape == (6, 256)
    assert (idx.DATA / "fashion_mnist" / "prepared-16x16.npz").exists()
    installed.chmod(0o755)


def test_the_checksums_of_fashion_mnist():
    """As the issue and Debian's package have them; a sum of a wrong length would refuse every file."""
    assert all(len(sums) == 32 for sums in (*fashion_mnist.FILES.unpacked_md5, *kmnist.FILES.packed_md5))
    assert len({*fashion_mnist.FILES.unpacked_md5, *kmnist.FILES.packed_md5}) == 8


# ---- files of one's own -------------------------------------------------------------------------------------------


def own(classes=3, size=(5, 7)):
    rng = np.random.default_rng(1)
    return {
        "train_images": rng.integers(0, 256, (8, *size)).astype(np.uint8),
        "train_labels": np.arange(8) % classes,
        "test_images": rng.integers(0, 256, (4, *size)).astype(np.uint8),
        "test_labels": np.arange(4) % classes,
    }


def test_an_npz_and_a_folder_of_idx_files_of_any_size(tmp_path):
    arrays = own()
    np.savez(tmp_path / "mine.npz", **arrays)
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, array in zip(SMALL, arrays.values(), strict=True):
        (folder / name.replace("-idx", ".idx")).write_bytes(packed_idx(array))
    found = datasets.load("file", tmp_path / "mine.npz", image_size=6)
    assert found.train_images.shape == (8, 36)
    assert found.test_labels.tolist() == [0, 1, 2, 0]
    resized = cv2.resize(arrays["train_images"][0].astype(np.float32) / 255, (6, 6), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(found.train_images[0], resized.ravel())
    for place in (tmp_path, folder):  # the only archive of a folder, and four files
        again = datasets.load("file", place, image_size=6)
        np.testing.assert_array_equal(again.test_images, found.test_images)


def test_numbers_that_are_no_bytes_stay_as_they_are(tmp_path):
    arrays = own(size=(4, 4))
    arrays |= {name: arrays[name] * 3.0 for name in ("train_images", "test_images")}
    np.savez(tmp_path / "mine.npz", **arrays)
    found = datasets.load("file", tmp_path / "mine.npz", image_size=4)
    np.testing.assert_array_equal(found.train_images, arrays["train_images"].reshape(8, 16))


WRONG = {
    "counts": ({"train_labels": np.arange(7)}, "7 train_labels for 8 train_images"),
    "negative": ({"train_labels": np.arange(8) - 1}, "train_labels hold -1; allowed are 0..6"),
    "unknown": ({"test_labels": np.array([0, 1, 2, 9])}, "test_labels hold 9; allowed are 0..2, those of train_labels"),
    "huge": ({"train_labels": np.arange(8) * 10**9}, "allowed are 0..9999"),
    "one class": ({"train_labels": np.zeros(8, int), "test_labels": np.zeros(4, int)}, "hold one class only, 0"),
    "floats": ({"train_labels": np.arange(8) * 1.0}, r"train_labels of shape \(8,\) \(float64\) are no integers"),
    "nan": ({"train_images": np.full((8, 5, 7), np.nan)}, "train_images hold NaN or infinity"),
    "rows": ({"train_images": np.ones((8, 9)), "test_images": np.ones((4, 9))}, r"images of shape \(8, 9\)"),
    "colours": ({"train_images": np.ones((8, 5, 7, 3))}, "are no grey images"),
    "texts": ({"train_images": np.full((8, 5, 7), "a")}, "are no grey images"),
    "none": ({"train_images": np.ones((0, 5, 7)), "train_labels": np.arange(0)}, "are no grey images"),
    "two sizes": ({"test_images": np.ones((4, 7, 5))}, "train_images are of shape"),
    "objects": ({"train_images": np.array([None] * 8)}, "cannot be read as an .npz"),
    "missing": ({"train_labels": None}, "it lacks train_labels"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_arrays_are_one_line(fault, tmp_path):
    changes, message = WRONG[fault]
    arrays = {name: array for name, array in (own() | changes).items() if array is not None}
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(InputError, match=message) as error:
        datasets.load("file", tmp_path / "mine.npz")
    assert "mine.npz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text", np.lib.format.MAGIC_PREFIX + b"\x01\x00"])
def test_a_file_that_is_no_archive_is_one_line(content, tmp_path):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"mine.npz: cannot be read as an .npz"):
        datasets.load("file", tmp_path / "mine.npz")
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(InputError, match=r"array.npy: cannot be read as an .npz"):
        datasets.load("file", tmp_path / "array.npy")


def test_files_of_ones_own_that_are_missing_or_no_idx_are_one_line(tmp_path):
    for given, message in ((None, "needs data_dir"), (tmp_path / "none", "does not exist")):
        with pytest.raises(InputError, match=message):
            datasets.load("file", given)
    with pytest.raises(InputError, match=f"{FIRST} is missing; put .* into {tmp_path}"):
        datasets.load("file", tmp_path)
    local(tmp_path)
    for content in (b"", b"\0\0", b"\0\0\x08\x03\0\0", b"text that is long enough", SMALL[FIRST][:-1]):
        (tmp_path / f"{FIRST}.gz").write_bytes(content)
        with pytest.raises(InputError, match=f"{FIRST}.gz is not IDX's file|no grey images") as error:
            datasets.load("file", tmp_path)
        assert "\n" not in str(error.value)


# ---- signals ------------------------------------------------------------------------------------------------------


def test_signals_are_the_published_ones():
    """The first values and moments of what the author's package (mnist1d 0.0.2) generates with its seed."""
    data = datasets.load("mnist_1d")
    assert [a.shape for a in data] == [(4000, 40), (4000,), (1000, 40), (1000,)]
    assert np.bincount(np.concatenate([data.train_labels, data.test_labels])).tolist() == [500] * 10
    first, last = [-0.33200567, -0.47191037, -0.77869708, -1.00974083], [0.65987565, 0.87773435, 1.19315184]
    np.testing.assert_allclose(data.train_images[0, :4], first, rtol=1e-6)
    np.testing.assert_allclose(data.test_images[-1, -3:], last, rtol=1e-6)
    assert data.train_labels[:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert data.test_labels[-3:].tolist() == [9, 6, 4]
    assert data.train_images.std() == pytest.approx(0.9976479749365885, rel=1e-6)


def test_a_template_by_hand():
    """Digit 0: mean 77.5/12; it begins and ends at 0 and is whitened, then divided by 6."""
    zero = mnist_1d.templates()[0]
    values = np.array([5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5])
    np.testing.assert_allclose(zero, (values - 5) / values.std() / 6)
    assert np.abs(mnist_1d.templates()[:, [0, -1]]).max() < 1e-15


def test_signals_are_not_resized():
    assert datasets.preparation_of("mnist_1d") == (None, False)
    for keywords in ({"image_size": 16}, {"deskew": True}):
        with pytest.raises(InputError, match="mnist_1d has signals, not images"):
            datasets.load("mnist_1d", **keywords)


def test_preparations_follow_the_set_unless_given():
    assert datasets.preparation_of("digits") == (8, False)
    assert datasets.preparation_of("mnist") == (16, True)
    assert datasets.preparation_of("fashion_mnist") == (16, False)
    assert datasets.preparation_of("mnist", 28, deskew=False) == (28, False)
    for wrong in (0, -1, 1025):
        with pytest.raises(InputError, match=f"image_size is {wrong}; it must be from 1 to 1024"):
            datasets.preparation_of("mnist", wrong)
    assert datasets.load("digits", image_size=16).train_images.shape == (1347, 256)


def test_the_real_mnist(monkeypatch):
    monkeypatch.undo()
    if not os.environ.get("MNIST_DIR"):
        pytest.skip("MNIST_DIR names no folder with MNIST's files")
    data = datasets.load("mnist")
    assert [a.shape for a in data] == [(60000, 256), (60000,), (10000, 256), (10000,)]
    assert np.bincount(data.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert 0 <= data.train_images.min() < data.train_images.max() <= 1
    # Deskewed digits stand upright: the mean slant mu11/mu02 is next to nothing.
    y, x = np.mgrid[:16, :16] - 7.5
    images = data.test_images.reshape(-1, 16, 16)
    mass = images.sum((1, 2))
    cx, cy = ((images * axis).sum((1, 2)) / mass for axis in (x, y))
    mu11 = (images * x * y).sum((1, 2)) / mass - cx * cy
    mu02 = (images * y * y).sum((1, 2)) / mass - cy**2
    assert np.abs(mu11 / mu02).mean() < 0.05


def test_the_prepared_images_are_kept_in_a_folder_that_is_not_there_yet(tmp_path):
    dataset = datasets.load("digits")
    preparation._write_cache((tmp_path / "one" / "two",), "kept.npz", "key", dataset)
    with np.load(tmp_path / "one" / "two" / "kept.npz") as kept:
        np.testing.assert_array_equal(kept["train_images"], dataset.train_images)

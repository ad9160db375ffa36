"""The data sets: downloads from a local server with every fault, the cache, and preprocessing by hand."""

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
from evolution.errors import InputError

RNG = np.random.default_rng(0)


def idx(array):
    """An IDX file of unsigned bytes."""
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


SMALL = {
    "train-images-idx3-ubyte": idx(RNG.integers(0, 256, (6, 28, 28))),
    "train-labels-idx1-ubyte": idx(np.array([0, 1, 2, 3, 4, 9])),
    "t10k-images-idx3-ubyte": idx(RNG.integers(0, 256, (3, 28, 28))),
    "t10k-labels-idx1-ubyte": idx(np.array([7, 8, 9])),
}
FIRST = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(datasets, "FILES", {name: hashlib.md5(content).hexdigest() for name, content in SMALL.items()})
    monkeypatch.delenv("MNIST_DIR", raising=False)


@pytest.fixture
def mirrors(monkeypatch):
    """Two mirrors here; `answers[mirror][file]` replaces a file: None is a 404, a tuple (body, length) lies."""
    answers: list[dict] = [{}, {}]
    asked: list[str] = []
    over = threading.Event()
    monkeypatch.setattr(datasets, "TIMEOUT", 0.5)
    monkeypatch.setattr(datasets, "MAX_DOWNLOAD", 50_000)

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
    monkeypatch.setattr(datasets, "MIRRORS", (f"{address}/0/", f"{address}/1/"))
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


SILENT = b""
FAULTS = {  # what a mirror answers, and what is said of it
    "not there": (None, "404"),
    "cut connection": ((b"half", 1000), "broke after 4 of 1000 bytes"),
    "wrong bytes": (gzip.compress(b"something else"), "the MD5 of the unpacked bytes is"),
    "not packed": (b"plain text", "truncated or damaged"),
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
    monkeypatch.setattr(datasets, "MIRRORS", ("http://127.0.0.1:9/",))
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
    monkeypatch.setattr(datasets, "DEFAULT_FOLDER", own)
    for expected, arguments in ((own, {}), (named, {}), (given, {"data_dir": given})):
        if expected == named:
            monkeypatch.setenv("MNIST_DIR", str(named))
        datasets.load("mnist", **arguments)
        assert (expected / datasets.CACHE).exists()


def test_the_cache_is_used_and_made_anew_when_it_is_damaged_or_old(tmp_path, monkeypatch, caplog):
    expected = datasets.load("mnist", local(tmp_path))
    prepared = []
    monkeypatch.setattr(
        datasets, "preprocess", lambda images: prepared.append(1) or expected.train_images[: len(images)]
    )
    datasets.load("mnist", tmp_path)
    assert not prepared
    cache = tmp_path / datasets.CACHE
    content = cache.read_bytes()
    cache.write_bytes(content[:-100])
    with caplog.at_level(logging.WARNING):
        datasets.load("mnist", tmp_path)
    assert len(prepared) == 2
    assert "damaged" in caplog.text
    monkeypatch.setattr(datasets, "PREPROCESSING", "another")
    datasets.load("mnist", tmp_path)
    assert len(prepared) == 4


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path, caplog):
    local(tmp_path).chmod(0o555)
    with caplog.at_level(logging.WARNING):
        assert datasets.load("mnist", tmp_path).train_images.shape == (6, 256)
    assert "cannot be written" in caplog.text
    assert not (tmp_path / datasets.CACHE).exists()
    tmp_path.chmod(0o755)


def _load(folder, files, queue):
    datasets.FILES = files
    queue.put(datasets.load("mnist", folder).train_images.sum())


def test_a_file_in_place_of_the_folder_is_an_error_before_any_download(mirrors, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=f"^mnist: {path} is not a folder$"):
        datasets.load("mnist", path)
    assert mirrors[1] == []
    assert path.read_bytes() == b"mine"


def test_two_processes_that_start_at_once(tmp_path):
    local(tmp_path)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_load, args=(tmp_path, datasets.FILES, queue)) for _ in range(4)]
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


def test_an_unknown_name():
    with pytest.raises(InputError, match="there are digits and mnist"):
        datasets.load("cifar")


def test_the_resizing_by_hand():
    """Grey rises from left to right: column i of 16 lies at (i + 1/2) 28/16 - 1/2 of 28. It is upright already."""
    image = np.tile(np.arange(28, dtype=np.uint8) * 9, (28, 1))
    row = 9 * ((np.arange(16) + 0.5) * 28 / 16 - 0.5) / 255
    prepared = datasets.preprocess(image[None]).reshape(16, 16)
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
    upright = datasets.deskew(bar)
    assert np.ptp(centres(upright)) < 0.15
    np.testing.assert_allclose(upright.sum(axis=1)[3:13], 2, atol=0.01)  # a shear moves, and takes nothing away


def test_the_shear_by_hand():
    """Two pixels: (7, 6) and (9, 10). mu11 = 2 * 1 * 2 = 4, mu02 = 2 * 2^2 = 8: row y moves left by (y - 8) / 2."""
    image = np.zeros((16, 16), np.float32)
    image[6, 7] = image[10, 9] = 1
    expected = np.zeros((16, 16), np.float32)
    expected[6, 8] = expected[10, 8] = 1
    np.testing.assert_allclose(datasets.deskew(image), expected, atol=1e-6)


def test_images_are_resized_first_and_deskewed_then():
    images = RNG.integers(0, 256, (3, 28, 28)).astype(np.uint8) * np.tri(28, dtype=np.uint8)
    for image, prepared in zip(images, datasets.preprocess(images), strict=True):
        small = cv2.resize(image.astype(np.float32) / 255, (16, 16), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(prepared, datasets.deskew(small).ravel())
        assert not np.array_equal(prepared, small.ravel())


def test_what_has_no_height_stays_as_it_is():
    image = np.zeros((16, 16), np.float32)
    image[5, 3:9] = 1
    np.testing.assert_array_equal(datasets.deskew(image), image)
    np.testing.assert_array_equal(datasets.deskew(np.zeros((16, 16), np.float32)), 0)


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

"""Downloads against a real server on this machine: whole, interrupted, resumed, wrong, refused."""
# pyright: reportOptionalMemberAccess=false

import hashlib
import http.server
import threading

import numpy as np
import pytest
from data_support import idx_bytes, needs_shared_data, private_cache, tar_bytes  # noqa: F401

import dlcore as dl
from dlcore.data.read.files import cache_folder
from dlcore.data.sets import download as downloads
from dlcore.data.sets import named

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves `files`; the first `breaks` answers break off after `limit` bytes.

    ranges: whether it can resume. sizes: whether it says how long an answer is.
    """

    def __init__(self, files):
        self.files, self.breaks, self.limit, self.ranges, self.sizes, self.log = files, 0, 300_000, True, True, []
        self.goal, self.length = "http://example.com/file", ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))

    def answer(self, request):
        asked = request.headers.get("Range")
        self.log.append(asked)
        if request.path.startswith("/moved/"):
            request.send_response(302)
            request.send_header("Location", self.goal)
            request.end_headers()
            return
        content = self.files.get(request.path.removeprefix("/"))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        if content is None or start >= len(content) > 0:
            request.send_error(404 if content is None else 416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.sizes:
            request.send_header("Content-Length", self.length or str(len(content) - start))
        request.end_headers()
        broken = self.breaks > 0
        self.breaks -= broken
        request.wfile.write(content[start : start + self.limit] if broken else content[start:])


@pytest.fixture
def server():
    server = Server({"file": CONTENT})
    server.thread.start()
    yield server
    server.http.shutdown()
    server.thread.join()
    server.http.server_close()


def test_whole_file_under_its_final_name(server, tmp_path):
    target = downloads.download(f"{server.url}/file", tmp_path / "a" / "file", SHA256)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    downloads.download(f"{server.url}/file", target, SHA256)
    assert server.log == [None]  # the second call asks for nothing


def test_interruption_is_resumed_where_it_broke_off(server, tmp_path):
    server.breaks = 2
    assert downloads.download(f"{server.url}/file", tmp_path / "file", SHA256).read_bytes() == CONTENT
    assert server.log == [None, "bytes=300000-", "bytes=600000-"]


def test_interruption_is_restarted_where_the_server_cannot_resume(server, tmp_path):
    server.breaks, server.ranges = 1, False
    assert downloads.download(f"{server.url}/file", tmp_path / "file", SHA256).read_bytes() == CONTENT
    assert server.log == [None, "bytes=300000-"]


def test_never_half_a_file_under_the_final_name(server, tmp_path):
    server.breaks, server.limit = 3, 100_000
    with pytest.raises(
        dl.DataError, match=r"file broke off after 300000 bytes: .* They are kept; run it again to go on"
    ):
        downloads.download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert [path.name for path in tmp_path.iterdir()] == ["file.part"]
    assert downloads.download(f"{server.url}/file", tmp_path / "file", SHA256).read_bytes() == CONTENT
    assert server.log[-1] == "bytes=300000-"


def test_part_that_is_already_whole(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert downloads.download(f"{server.url}/file", tmp_path / "file", SHA256).read_bytes() == CONTENT


def test_wrong_checksum_removes_the_file_and_says_both(server, tmp_path):
    wrong = "0" * 64
    with pytest.raises(dl.DataError, match=f"gave a file with SHA-256 {SHA256}; expects {wrong}"):
        downloads.download(f"{server.url}/file", tmp_path / "file", wrong)
    assert list(tmp_path.iterdir()) == []


def test_part_of_another_file_is_found_out(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    with pytest.raises(dl.DataError, match=r"expects .* It is removed"):
        downloads.download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert downloads.download(f"{server.url}/file", tmp_path / "file", SHA256).read_bytes() == CONTENT


def test_processes_that_start_together_download_once(server, tmp_path):
    threads = [
        threading.Thread(target=downloads.download, args=(f"{server.url}/file", tmp_path / "file", SHA256))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.log == [None]


def test_only_https_from_elsewhere(server, tmp_path):
    with pytest.raises(dl.DataError, match=r"http://example.com/a is not HTTPS; expects https://"):
        downloads.download("http://example.com/a", tmp_path / "a", SHA256)
    with pytest.raises(dl.DataError, match=r"file:///etc/passwd is not HTTPS"):
        downloads.download("file:///etc/passwd", tmp_path / "a", SHA256)
    with pytest.raises(dl.DataError, match=r"broke off after 0 bytes: .*SSL"):  # the server speaks no TLS
        downloads.download(f"{server.url.replace('http', 'https')}/file", tmp_path / "a", SHA256)
    with pytest.raises(dl.DataError, match=r"http://example.com/file is not HTTPS"):
        downloads.download(f"{server.url}/moved/file", tmp_path / "a", SHA256)


def test_what_is_too_large_is_not_fetched(server, tmp_path):
    """Catches a limit that is looked at once the disk is full."""
    with pytest.raises(dl.DataError, match=r"gives 700000 bytes or more; expects at most max_bytes=500000"):
        downloads.download(f"{server.url}/file", tmp_path / "file", SHA256, max_bytes=500_000)
    server.sizes = False  # nothing is said of the size
    with pytest.raises(dl.DataError, match=r"gives \d+ bytes or more; expects at most max_bytes=500000"):
        downloads.download(f"{server.url}/file", tmp_path / "file", SHA256, max_bytes=500_000)
    assert list(tmp_path.iterdir()) == []


def test_missing_file_is_not_tried_again(server, tmp_path):
    with pytest.raises(dl.DataError, match=r"gives no .*nothing: .*404"):
        downloads.download(f"{server.url}/nothing", tmp_path / "nothing", SHA256)
    assert len(server.log) == 1


def small(original: named.Named, files: dict[str, bytes]) -> named.Named:
    return original._replace(files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


def mnist_files():
    images = np.arange(40 * 6, dtype=np.uint8).reshape(40, 3, 2)
    labels = np.arange(40, dtype=np.uint8) % 10
    parts = {"train-images": images, "train-labels": labels, "t10k-images": images[:10] + 1, "t10k-labels": labels[:10]}
    return {f"{name}-idx{3 if 'images' in name else 1}-ubyte.gz": idx_bytes(part) for name, part in parts.items()}


def test_mnist_by_name_is_downloaded_once(server, monkeypatch):
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    server.files = mnist_files()
    monkeypatch.setattr(named, "MNIST", small(named.MNIST, server.files))
    data = dl.data.mnist(base_url=server.url, validation=0.25)
    assert [len(getattr(data, split).inputs) for split in data.splits] == [30, 10, 10]
    assert (data.name, data.target_names) == ("mnist", tuple("0123456789"))
    dl.data.mnist(base_url=server.url)
    assert len(server.log) == 4


def test_mnist_by_name_is_found_in_the_data_folder(server, tmp_path, monkeypatch):
    files = mnist_files()
    monkeypatch.setattr(named, "MNIST", small(named.MNIST, files))
    monkeypatch.setenv("DLCORE_DATA", str(tmp_path))
    for folder, change in (
        ("clothes", b"x"),
        ("numbers", b""),
    ):  # files of the same names, one folder with the right ones
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content + change)
    assert dl.data.mnist(base_url=server.url).train.inputs.shape == (40, 3, 2)
    assert server.log == []


def test_damaged_file_in_the_cache_is_fetched_again(server, monkeypatch):
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    server.files = mnist_files()
    monkeypatch.setattr(named, "MNIST", small(named.MNIST, server.files))
    dl.data.mnist(base_url=server.url)
    stored = cache_folder() / "data" / "mnist" / "t10k-labels-idx1-ubyte.gz"
    stored.write_bytes(b"damaged")
    assert len(dl.data.mnist(base_url=server.url).test.inputs) == 10
    assert len(server.log) == 5


def test_cifar10_by_name(server, monkeypatch):
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    records = b"".join(bytes([label]) + bytes(3072) for label in range(10))
    server.files = {"cifar-10-binary.tar.gz": tar_bytes({"c/data_batch_1.bin": records, "c/test_batch.bin": records})}
    monkeypatch.setattr(named, "CIFAR10", small(named.CIFAR10, server.files))
    data = dl.data.cifar10(base_url=server.url)
    assert (data.train.inputs.shape, data.target_names[3]) == ((10, 32, 32, 3), "cat")


def test_the_checksums_are_those_of_the_real_files():
    folder = needs_shared_data() / "mnist-t10k"
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        assert downloads.checksum(folder / name) == named.MNIST.files[name]


def test_headers_that_are_no_numbers_and_addresses(server, tmp_path):
    for server.length in ("9" * 5000, "\u00b2", "-1"):
        assert downloads.download(f"{server.url}/file", tmp_path / server.length[:9], SHA256).read_bytes() == CONTENT
    for server.goal in ("http://[::1", "https://localhost:99999/"):
        with pytest.raises(dl.DataError, match=r"(leads to an address that is none|is no address): "):
            downloads.download(f"{server.url}/moved/file", tmp_path / "file", SHA256)
    with pytest.raises(dl.DataError, match=r"the server gives no .*404.*Check the address, or put the file at"):
        downloads.download(f"{server.url}/else", tmp_path / "file", SHA256)
    with pytest.raises(dl.DataError, match=r"http://\[::1/file is no address"):
        downloads.download("http://[::1/file", tmp_path / "file", SHA256)

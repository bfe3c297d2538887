"""Downloads: over HTTPS, resumed where they broke off, checked by SHA-256, never half a file under the final name."""

import contextlib
import hashlib
import http.client
import pathlib
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

from dlcore.core.errors import DataError
from dlcore.data.read.files import MAX_BYTES
from dlcore.engine.progress import progress_bar

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 3
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CHUNK = 1 << 18
_NUMBER = "[0-9]{1,18}"  # of bytes, in a header


def download(
    url: str, target: pathlib.Path, sha256: str, *, max_bytes: int = MAX_BYTES, progress: bool | None = None
) -> pathlib.Path:
    """Fetch a file; what is already there under the final name is taken to be right.

    The bytes go to `target` + ".part", which a broken connection leaves behind and the next attempt goes on with. They
    get the final name once their checksum is right; a wrong one removes them.

    Args:
      url: HTTPS; HTTP only from this machine.
      sha256: hexadecimal checksum of the whole file.
      max_bytes: most that the file may hold; what says that it is larger, or goes on after that, is not fetched.
      progress: show a progress bar, in MB; by default where somebody watches.

    Raises:
      DataError: not HTTPS, no connection after a few attempts, a file that is too large, another checksum (with both).
    """
    check_scheme(url)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with part.open("ab") as stream, _locked(stream):
        if target.exists():  # another process was faster
            return target
        for attempt in range(ATTEMPTS):
            try:
                _append(url, stream, max_bytes, progress)
                break
            except DataError:
                part.unlink()
                raise
            except (OSError, http.client.HTTPException) as error:
                status = getattr(error, "code", None)
                if isinstance(status, int) and 400 <= status < 500:
                    raise DataError(
                        f"the server gives no {url}: {error}. Check the address, or put the file at {target} yourself."
                    ) from error
                if attempt == ATTEMPTS - 1:
                    raise DataError(
                        f"the download of {url} broke off after {stream.tell()} bytes: "
                        f"{error or type(error).__name__}. "
                        f"They are kept; run it again to go on, or put the file at {target} yourself."
                    ) from error
        stream.flush()
        found = checksum(part)
        if found != sha256:
            part.unlink()
            raise DataError(
                f"{url} gave a file with SHA-256 {found}; expects {sha256}. It is removed. Try again, or put the right "
                f"file at {target}."
            )
        part.replace(target)
    return target


def checksum(path: pathlib.Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _append(url: str, stream: IO[bytes], max_bytes: int, progress: bool | None) -> None:
    """Fetch what comes after the bytes that `stream` already has."""
    have = stream.seek(0, 2)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = _opener().open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing comes after them; if they are wrong, the checksum will tell
            error.close()
            return
        raise
    except ValueError as error:  # urllib takes apart what the server redirects to
        raise DataError(
            f"{url} leads to an address that is none: {error}. Check it, or get the file yourself."
        ) from error
    with response:
        if have and not _continues(response, have):
            stream.seek(0)
            stream.truncate()
            have = 0
        remaining = response.headers.get("Content-Length")
        total = have + int(remaining) if remaining and re.fullmatch(_NUMBER, remaining) else 0
        _check_size(total, max_bytes, url)
        with progress_bar(round(total / 1e6), shown=progress, label="MB") as advance:
            advance(have / 1e6)
            while chunk := response.read(_CHUNK):
                _check_size(stream.tell() + len(chunk), max_bytes, url)
                stream.write(chunk)
                advance(len(chunk) / 1e6)
    if stream.tell() < total:
        raise http.client.IncompleteRead(b"", total - stream.tell())


def _check_size(found: int, max_bytes: int, url: str) -> None:
    if found > max_bytes:
        raise DataError(
            f"{url} gives {found} bytes or more; expects at most max_bytes={max_bytes}. Raise it if the file is that "
            "large."
        )


def _continues(response: Any, have: int) -> bool:
    """Whether the answer starts at the byte that was asked for; a server may send everything instead."""
    start = re.match(f"bytes ({_NUMBER})-", response.headers.get("Content-Range", ""))
    return response.status == 206 and start is not None and int(start[1]) == have


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTPS only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoDowngrade, urllib.request.HTTPSHandler(context=ssl.create_default_context()))


def check_scheme(url: str) -> None:
    """Raise `DataError` unless the address is HTTPS, or HTTP on this machine."""
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # looked at here only
    except ValueError as error:
        raise DataError(f"{url} is no address: {error}. Expects https://.") from error
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise DataError(f"{url} is not HTTPS; expects https://, or http:// from this machine.")


@contextlib.contextmanager
def _locked(stream: IO[bytes]):
    """Processes that start together (a sweep's workers) wait for the one that downloads."""
    try:
        import fcntl
    except ImportError:  # Windows; a mixed-up file would fail its checksum
        yield
        return
    fcntl.flock(stream, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(stream, fcntl.LOCK_UN)

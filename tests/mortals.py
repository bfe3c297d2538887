"""Processes that compute a small study into a store and are killed at a moment of choice.

`Nursery` starts a process that has imported everything and computed nothing; of it each life is a fork, so that a life
costs no imports. What happens in a life is told by events, in order: `"parts: linked"` says that a part has its name.
The events are hooks around the functions of the system and of dlcore, put there in the life itself.
"""

import functools
import hashlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scripts import script_of

OPENED, HALF, SYNCED, LINKED, GONE, ON_DISK = "opened", "half written", "synced", "linked", "temporary gone", "on disk"
STEPS = (OPENED, HALF, SYNCED, LINKED, GONE, ON_DISK)  # of a commit
CLAIM = ("created", "synced", "moved away")


class Life(NamedTuple):
    """How a process went. killed: by SIGKILL. events: in order. digest: of the results, "" if it did not get there."""

    killed: bool
    events: list[str]
    digest: str
    error: str


class Nursery:
    """A process of which lives are forked, one at a time."""

    def __enter__(self) -> "Nursery":
        script = script_of("import mortals; mortals.serve()")
        self._process = subprocess.Popen(**script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: Any) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def life(
        self,
        call: str,
        store: pathlib.Path | None = None,
        *,
        at: tuple[str, int] | None = None,
        after: float | None = None,
    ) -> Life:
        """One life, to its end or until it is killed.

        Args:
          call: what it computes, of `CALLS`.
          at: event, and which of that name, at which it is killed. after: seconds after which it is killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([call, store and str(store), at, after]), file=self._process.stdin, flush=True)
        return Life(*json.loads(self._process.stdout.readline()))


def serve() -> None:
    """Fork a life for each line of stdin, and tell on stdout how it went."""
    import dlcore as dl

    dl.data.digits()  # whose imports take a second
    for line in sys.stdin:
        call, store, at, after = json.loads(line)
        events, began = os.memfd_create("events"), time.monotonic()
        child = os.fork()
        if not child:
            os._exit(_live(call, store, at, events))
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if after is not None and time.monotonic() - began > after:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.002)
        status = ended[1]
        lines = os.pread(events, os.fstat(events).st_size, 0).decode().splitlines()
        os.close(events)
        result = lines.pop() if lines and lines[-1].startswith("=") else ""
        error = lines.pop() if lines and lines[-1].startswith("!") else ""
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps([killed, lines, result[1:], error[1:]]), flush=True)


def _live(call: str, store: str | None, at: tuple[str, int] | None, events: int) -> int:
    """A life; its exit code."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    counts: dict[str, int] = {}

    def moment(name: str) -> None:
        counts[name] = counts.get(name, 0) + 1
        os.write(events, f"{name}\n".encode())
        if at is not None and name == at[0] and counts[name] == at[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    import dlcore as dl

    dl.setup(num_devices=1, cache=False)
    if store is not None:
        _watch_dlcore(moment)
        _watch_the_system(pathlib.Path(store), moment)
    try:
        results = CALLS[call](store)
    except Exception as error:
        os.write(events, f"!{type(error).__name__}: {error}".replace("\n", " ").encode())
        return 1
    os.write(events, f"={digest(results)}\n".encode())
    return 0


def _watch_dlcore(moment: Callable[[str], None]) -> None:
    """Tell what is done, and be quick to take over from the dead and to write parts of runs."""
    preparation = importlib.import_module("dlcore.engine.preparation")
    executables = importlib.import_module("dlcore.engine.executables")
    program = importlib.import_module("dlcore.engine.program")
    results = importlib.import_module("dlcore.engine.results")
    claims = importlib.import_module("dlcore.engine.durable.claims")
    session = importlib.import_module("dlcore.engine.durable.session")

    def told(name: str, function: Callable) -> Callable:
        @functools.wraps(function)
        def telling(*arguments, **options):
            moment(name)
            return function(*arguments, **options)

        return telling

    preparation.trace = told("tracing", preparation.trace)
    preparation.build = told("lowering", preparation.build)
    executables.compiled = told("compiling", executables.compiled)
    results.Table.dataset = told("assembling", results.Table.dataset)
    segments = program.Program.segments

    def telling_segments(*arguments):
        for segment in segments(*arguments):
            moment("computing")
            yield segment

    program.Program.segments = telling_segments
    claims.Claims.__init__.__kwdefaults__.update(stale_after=1.0, beat=0.2)
    session.SECONDS_BETWEEN_PARTS = program.SECONDS_PER_CALL = 0.0


def _watch_the_system(store: pathlib.Path, moment: Callable[[str], None]) -> None:
    """Tell each step of each write into a store."""
    from dlcore.engine.durable import parts

    def tell(path: Any, step: str) -> None:
        path = pathlib.Path(os.fsdecode(path))
        if path == store or store in path.parents:
            inside = path.relative_to(store).parts
            moment(
                f"{inside[0] if len(inside) > 1 or path.is_dir() else 'mark'}: {step}" if inside else f"mark: {step}"
            )

    def told(function: Callable, step: Callable[..., tuple[Any, str]]) -> Callable:
        def telling(*arguments, **options):
            result = function(*arguments, **options)
            tell(*step(result, *arguments))
            return result

        return telling

    def of_sync(_: Any, handle: int) -> tuple[str, str]:
        path = os.readlink(f"/proc/self/fd/{handle}")
        return path, ON_DISK if os.path.isdir(path) else SYNCED

    def opened(path: Any, mode: str) -> Any:
        stream = open(path, mode)  # noqa: SIM115  `_Slowly` closes it
        tell(path, OPENED)
        return _Slowly(stream, lambda: tell(path, HALF))

    create = os.open

    def creating(path: Any, flags: int, *more: Any, **options: Any) -> int:
        handle = create(path, flags, *more, **options)
        if flags & os.O_EXCL and pathlib.Path(path).parent.name == "claims":
            tell(path, "created")
        return handle

    parts.open = opened  # pyright: ignore[reportAttributeAccessIssue]
    os.open = creating
    os.fsync = told(os.fsync, of_sync)
    os.link = told(os.link, lambda _, source, target: (target, LINKED))
    os.unlink = told(os.unlink, lambda _, path: (path, GONE))
    os.rename = told(os.rename, lambda _, source, target: (source, "moved away"))
    os.mkdir = told(os.mkdir, lambda _, path, *mode: (path, "folder made"))


class _Slowly:
    """A file that tells when half of what is written is there."""

    def __init__(self, stream: Any, half: Callable[[], None]):
        self._stream, self._half = stream, half

    def __enter__(self) -> "_Slowly":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def writelines(self, buffers: Any) -> None:
        content = b"".join(buffers)
        self._stream.write(content[: len(content) // 2])
        self._stream.flush()
        self._half()
        self._stream.write(content[len(content) // 2 :])


def digest(results: xr.Dataset) -> str:
    """SHA-256 of all bits of results, without where they come from."""
    found = hashlib.sha256()
    for name, values in sorted(results.variables.items()):
        found.update(f"{name} {values.dims} {values.dtype} {values.shape}".encode() + values.values.tobytes())
    return found.hexdigest()


def study(store: str | None) -> xr.Dataset:
    """Networks on digits: two programs, three blocks each; then for twice as long, and what is kept of their ends."""
    import dlcore as dl

    axes = {"width": [2, 3], "seed": np.arange(5)}
    if store is not None:
        dl.sweep(_fit, **axes, lane_width=2, store=store)
    longer = functools.partial(_fit, num_records=6)
    return dl.sweep(longer, **axes, lane_width=2, store=store, final_params=True)


def one(store: str | None) -> xr.Dataset:
    """One run, of which a part is written at each record or two."""
    import dlcore as dl

    return dl.run(_fit(3, 0, num_records=9), store=store, final_params=True)


def _fit(width: int, seed: Any, num_records: int = 3) -> Any:
    """A network of one hidden layer learns digits, by hand, since that compiles in a moment."""
    import jax
    import jax.numpy as jnp

    import dlcore as dl

    digits = dl.data.first(dl.data.digits(), 64).train

    def init():
        first, second = jax.random.split(jax.random.key(seed))
        params = {
            "first": 0.1 * jax.random.normal(first, (64, width)),
            "second": jax.random.normal(second, (width, 10)),
        }
        return {"params": params}

    def loss(params):
        logits = jnp.tanh(jnp.asarray(digits.inputs) @ params["first"]) @ params["second"]
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(64), jnp.asarray(digits.targets)])

    def measure(state):
        return {"loss": loss(state["params"])}

    def advance(state):
        value, gradient = jax.value_and_grad(loss)(state["params"])
        return {"params": jax.tree.map(lambda p, g: p - 0.1 * g, state["params"], gradient)}, {"loss": value}

    return dl.Training(init, advance, num_records=num_records, measure=measure)


CALLS = {"study": study, "one": one}

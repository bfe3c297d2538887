"""What stand-in workers do; without JAX, so that their processes start at once."""

import os
import pathlib
import signal
import time


def twice(task):
    """A task that goes well."""
    return 2 * task


def twice_or_die(task):
    """Task 3 kills its worker each time, those in a folder at (task, folder) once."""
    if isinstance(task, tuple):
        number, folder = task
        mark = pathlib.Path(folder, str(number))
        if number == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * task


def wait_for(task):
    """(name, folder): makes a file `begun-NAME`, and ends when there is a file `go`."""
    name, folder = task
    pathlib.Path(folder, f"begun-{name}").write_text(str(os.getpid()))
    deadline = time.monotonic() + 30
    while not pathlib.Path(folder, "go").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return name


def sleep_at_first(folder):
    """How often it has begun; the first time it does not end."""
    begun = pathlib.Path(folder, "begun")
    with begun.open("a") as file:
        file.write(f"{os.getpid()}\n")
    count = len(begun.read_text().split())
    time.sleep(60 if count == 1 else 0)
    return count


def die(task):
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def exit_at_start():
    """An initializer that fails."""
    os._exit(3)


def raise_error(task):
    """An error of the task's own."""
    raise ValueError(f"no {task}")


def surroundings(study, options, name):
    """What a block finds in its worker: `compute` of an assignment."""
    import jax

    from dlcore.engine.axes import Study

    config = jax.config
    return {
        "name": name,
        "pid": os.getpid(),
        "study": isinstance(study, Study),
        "options": tuple(options),
        "value": float(study.fn(0)),
        "devices": len(jax.devices()),
        "gpus": config.read("jax_cuda_visible_devices"),
        "flags": os.environ.get("XLA_FLAGS"),
        "threads": os.environ.get("PJRT_NPROC"),
        "x64": config.jax_enable_x64,
        "precision": config.jax_default_matmul_precision,
        "promotion": config.jax_numpy_rank_promotion,
        "cache": config.jax_compilation_cache_dir,
    }


def fail(study, options, kind):
    """An error in a worker: one of ours, one whose class does not pickle, one that needs two arguments."""
    from dlcore.core.errors import DataError

    class LocalError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    raise DataError("the rows are bad") if kind == "ours" else LocalError("this", "that")


def pid(study, options):
    """The process that computes."""
    return os.getpid()


def number_of(study, options, number, folder):
    """The study's function of a number; task 3 kills its worker once."""
    twice_or_die((number, folder))
    return float(study.fn(number))

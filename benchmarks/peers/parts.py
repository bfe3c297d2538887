"""What is measured: the same work by all libraries, how long a process takes to its first result, and small studies."""

import pathlib
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.measurements import Goal, Numbers
from benchmarks.peers import works
from benchmarks.peers.processes import Turn, seconds_to_result
from benchmarks.peers.turns import NOT_INSTALLED, Peer, Turns, check_agreement, is_installed, take_turns
from benchmarks.peers.work import Work, write

# Of the libraries whose programs are one run: a few runs, one after the other.
ONE_BY_ONE = {
    "pytorch": Peer("pytorch", "one"),
    "torch_compile": Peer("pytorch", "compiled"),
    "keras": Peer("keras_jax", "one"),
    "keras_reused": Peer("keras_jax", "reused"),
    "nnx": Peer("flax_nnx", "one"),
}
NETWORKS = {
    "dlcore": Peer("ours", "study"),
    "raw_jax": Peer("raw_jax", "study"),
    "raw_jax_set_up": Peer("raw_jax", "study_set_up"),
    "raw_jax_sorting": Peer("raw_jax", "study_sorted"),
    "torch_func": Peer("torch_func", "study"),
    **ONE_BY_ONE,
    "sklearn": Peer("scikit_learn", "one"),
}
SAMPLES = {
    "dlcore": Peer("ours", "one"),
    "raw_jax": Peer("raw_jax", "one"),
    "sklearn": Peer("scikit_learn", "logistic"),
    "pytorch": Peer("pytorch", "logistic"),
}
SAMPLES_IN_LANES = {"dlcore_lanes": Peer("ours", "study"), "raw_jax_lanes": Peer("raw_jax", "study")}
OURS = {"dlcore_one": Peer("ours", "one"), "dlcore_8": Peer("ours", "study")}
# Raw JAX, whose convolutions have slow gradients in a loop, and `vmap` of PyTorch's did not get ready within minutes.
IMAGES = {**OURS, **ONE_BY_ONE}
SEQUENCES = {
    **OURS,
    "raw_jax_one": Peer("raw_jax", "one"),
    "raw_jax_8": Peer("raw_jax", "study"),
    "torch_func_8": Peer("torch_func", "sequences"),
    **ONE_BY_ONE,
}
STARTS = {
    "dlcore": Peer("ours", "start"),
    "dlcore_cached": Peer("ours", "start"),
    "raw_jax": Peer("raw_jax", "start"),
    "pytorch": Peer("pytorch", "start"),
    "keras": Peer("keras_jax", "start"),
    "nnx": Peer("flax_nnx", "start"),
    "sklearn": Peer("scikit_learn", "start"),
}


def networks(repeats: int, work: Work = works.NETWORKS, peers: Mapping[str, Peer] = NETWORKS) -> Numbers:
    """128 runs of a 64-128-10 network, 30 epochs: ms a run; PyTorch eager, Keras, NNX and scikit-learn do 4 of them."""
    return compared(work, peers, repeats, ("dlcore",))


def single_sample_descent(
    repeats: int, work: Work = works.SAMPLES, lanes: Work = works.SAMPLES_IN_LANES, peers: Mapping[str, Peer] = SAMPLES
) -> Numbers:
    """Single-sample SGD, logistic regression: us a step and run; 5.7 million steps, PyTorch 2 276, a lane 569 000."""
    numbers = compared(work, peers, repeats, ("dlcore",), per_step=True)
    numbers |= compared(lanes, SAMPLES_IN_LANES, repeats, ("dlcore_lanes",), per_step=True)
    theirs, ours = numbers.get("sklearn_us"), numbers["dlcore_lanes_us"]
    if isinstance(theirs, np.ndarray) and isinstance(ours, np.ndarray):  # not of the same rounds, so by the medians
        numbers["sklearn_over_dlcore_lanes"] = float(np.median(theirs) / np.median(ours))
    return numbers


def convolution(repeats: int, work: Work = works.IMAGES, peers: Mapping[str, Peer] = IMAGES) -> Numbers:
    """A 32-64-128-10 convolutional network, 32 steps of 64 images: one, and each of 8; ms a network."""
    return compared(work, peers, repeats, tuple(OURS))


def recurrent(repeats: int, work: Work = works.SEQUENCES, peers: Mapping[str, Peer] = SEQUENCES) -> Numbers:
    """An LSTM 256 on 64 time steps, 16 steps of 32 sequences: one, and each of 8; ms a network."""
    return compared(work, peers, repeats, tuple(OURS))


def process_start(repeats: int, work: Work = works.ONE_NETWORK, peers: Mapping[str, Peer] = STARTS) -> Numbers:
    """One 64-128-10 network, 30 epochs, from the start of a fresh process to its result: seconds."""
    turns = _started(repeats, work, peers)
    means = check_agreement(work, turns.taken, "dlcore")
    seconds = {name: np.array([turn.seconds[""] for turn in taken]) for name, taken in turns.taken.items()}
    ratios = _ratios(seconds, ("dlcore", "dlcore_cached"))
    accuracies = {f"{name}_accuracy": mean for name, mean in means.items()}
    return {**{f"{name}_s": value for name, value in seconds.items()}, **ratios, **accuracies, **turns.missing}


def _started(repeats: int, work: Work, peers: Mapping[str, Peer]) -> Turns:
    """Each peer in a new process each time, after a warm-up: nothing compiled on disk but for "dlcore_cached"."""
    missing = {name: NOT_INSTALLED for name, peer in peers.items() if not is_installed(peer)}
    able = [name for name in peers if name not in missing]
    taken: dict[str, list[Turn]] = {name: [] for name in able}
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = pathlib.Path(name_of_folder)
        write(folder, work, works.data_of(work))
        for number in range(repeats + 1):
            for name in able[:: -1 if number % 2 else 1]:
                cache = folder / ("warm" if name == "dlcore_cached" else f"{name}-{number}")
                environment = {"XDG_CACHE_HOME": str(cache)}
                seconds, turn = seconds_to_result(name, *peers[name], folder, environment)
                taken[name].append(turn._replace(seconds={"": seconds}))
    return Turns({name: turns[1:] for name, turns in taken.items()}, missing)


def small_studies(repeats: int, work: Work = works.NETWORKS) -> Numbers:
    """Studies of 1, 2, 8 and 128 of the networks: a run's share of the call, of its CPU time, of its program alone."""
    turns = _turns(work, {"dlcore": Peer("ours", "small_studies")}, repeats).taken["dlcore"]
    numbers: Numbers = {}
    largest = works.STUDIES[-1]
    for what in ("call", "cpu", "program"):
        each = {k: np.array([turn.seconds[f"{k}_{what}"] for turn in turns]) / k for k in works.STUDIES}
        numbers |= {f"{what}_of_{k}_ms": 1e3 * value for k, value in each.items()}
        numbers |= {f"{what}_of_{k}_over_{largest}": each[k] / each[largest] for k in works.STUDIES[:-1]}
    return numbers


def repeated_calls(repeats: int, work: Work = works.EIGHT_NETWORKS) -> Numbers:
    """A study of 8 networks called again, and with learning rates it never had: seconds on top of its program."""
    peers = {"dlcore": Peer("ours", "repeated_calls"), "raw_jax": Peer("raw_jax", "repeated_calls")}
    taken = _turns(work, peers, repeats).taken
    check_agreement(work, taken, "dlcore")
    numbers: Numbers = {}
    for name, turns in taken.items():
        program = np.array([turn.seconds["program"] for turn in turns])
        numbers[f"{name}_program_s"] = program
        for what in ("same", "other") if name == "dlcore" else ("same",):
            numbers[f"{name}_{what}_overhead_s"] = np.array([turn.seconds[what] for turn in turns]) - program
    return numbers


def _turns(work: Work, peers: Mapping[str, Peer], repeats: int) -> Turns:
    with tempfile.TemporaryDirectory() as folder:
        write(pathlib.Path(folder), work, works.data_of(work))
        return take_turns(peers, pathlib.Path(folder), repeats)


def compared(
    work: Work, peers: Mapping[str, Peer], repeats: int, ours: Sequence[str], per_step: bool = False
) -> Numbers:
    """Time of a run by each side, or of a step of it, and ratios to ours; final accuracies, which agree.

    Args:
      ours: sides that the others are compared with; the accuracy of the first is the one to reach.
      per_step: microseconds of a step and run, not milliseconds of a run.
    """
    turns = _turns(work, peers, repeats)
    means = check_agreement(work, turns.taken, ours[0])
    costs = {name: np.array([_cost(turn, per_step) for turn in taken]) for name, taken in turns.taken.items()}
    unit = "us" if per_step else "ms"
    return {
        **{f"{name}_{unit}": cost for name, cost in costs.items()},
        **_ratios(costs, ours),
        **{f"{name}_accuracy": mean for name, mean in means.items()},
        **turns.missing,
    }


def _cost(turn: Turn, per_step: bool) -> float:
    one_run = turn.seconds[""] / len(turn.accuracies)
    return 1e6 * one_run / turn.num_steps if per_step else 1e3 * one_run


def _ratios(costs: Mapping[str, np.ndarray], ours: Sequence[str]) -> Numbers:
    """Of the turns of a round, which lie next to each other; ours over raw JAX, others over ours."""
    ratios: Numbers = {}
    for name in costs:
        for base in () if name in ours else ours:
            raw = name.startswith("raw_jax")
            top, bottom = (base, name) if raw else (name, base)
            ratios[f"{top}_over_{bottom}"] = costs[top] / costs[bottom]
    return ratios


GOALS: dict[str, dict[str, Goal]] = {
    "networks": {
        "pytorch_over_dlcore": Goal(">=", 18),
        "torch_func_over_dlcore": Goal(">=", 3),
        "nnx_over_dlcore": Goal(">=", 35),
        "keras_over_dlcore": Goal(">=", 40),
        "dlcore_over_raw_jax": Goal("<=", 1.05),
        "dlcore_over_raw_jax_set_up": Goal("<=", 1.05),
    },
    "single_sample_descent": {
        "sklearn_over_dlcore": Goal(">=", 1),
        "sklearn_over_dlcore_lanes": Goal(">=", 5),
    },
    "convolution": {"pytorch_over_dlcore_one": Goal(">=", 1), "pytorch_over_dlcore_8": Goal(">=", 1.2)},
    "recurrent": {"pytorch_over_dlcore_one": Goal(">=", 0.8), "pytorch_over_dlcore_8": Goal(">=", 1)},
    "process_start": {"pytorch_over_dlcore": Goal(">=", 1), "pytorch_over_dlcore_cached": Goal(">=", 1)},
    "small_studies": {
        f"{what}_of_{count}_over_128": Goal("<=", 1.3) for what in ("call", "cpu", "program") for count in (1, 2, 8)
    },
    "repeated_calls": {"dlcore_same_overhead_s": Goal("<=", 0.1), "dlcore_other_overhead_s": Goal("<=", 0.1)},
}
PARTS = {
    function.__name__: function
    for function in (
        networks,
        single_sample_descent,
        convolution,
        recurrent,
        process_start,
        small_studies,
        repeated_calls,
    )
}

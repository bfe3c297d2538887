"""How long a study takes whose parts have known lengths: its programs and blocks, played through as `sweep` would."""

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

MOST_BLOCKS = 256  # a program and device that are played through; more are taken together


class Lengths(NamedTuple):
    """Seconds of a program's parts.

    lowering: in the main thread. compiling: of each of its functions, in a thread of its own. loading: on each device.
    blocks: how many. block: of one, while all devices are busy.
    """

    lowering: float
    compiling: Sequence[float]
    loading: float
    blocks: int
    block: float


def makespan(programs: Sequence[Lengths], num_devices: int, num_cores: int, *, shares_cores: bool) -> float:
    """Seconds from the first program's lowering to the last block's end.

    The main thread lowers one program after the other, and stops while two blocks a device are waiting; compilers take
    functions in order, devices blocks in order, and wait for their program.

    Args:
      num_cores: also the number of threads that compile.
      shares_cores: whether devices are cores; then what compiles slows them down, and is slowed down by them.
    """
    played = [_together(program, num_devices) for program in programs]
    work = sum(program.lowering + sum(program.compiling) for program in programs)
    of_devices = sum(program.blocks * program.block for program in programs) + num_devices * sum(
        program.loading for program in programs if program.blocks
    )
    end = _played(played, num_devices, num_cores)
    # Where devices are cores, no more is done at once than there are cores.
    return max(end, (work + of_devices) / num_cores) if shares_cores else end


def _together(program: Lengths, num_devices: int) -> Lengths:
    """The program with fewer, longer blocks."""
    waves = program.blocks / num_devices
    factor = math.ceil(waves / MOST_BLOCKS)
    if factor <= 1:
        return program
    rounds = math.ceil(math.ceil(waves) / factor)
    return program._replace(blocks=rounds * num_devices, block=program.block * math.ceil(waves) / rounds)


def _played(programs: Sequence[Lengths], num_devices: int, num_cores: int) -> float:
    """The end of the last block."""
    compilers, devices = [0.0] * num_cores, [0.0] * num_devices
    heapq.heapify(compilers)
    now, end = 0.0, 0.0
    begun: list[float] = []  # when each block is taken from the queue, in order
    for program in programs:
        now += program.lowering
        ready = now
        for seconds in program.compiling:
            done = max(heapq.heappop(compilers), now) + seconds
            heapq.heappush(compilers, done)
            ready = max(ready, done)
        first = set(range(num_devices))  # devices that have not loaded it
        for _ in range(program.blocks):
            if len(begun) >= 2 * num_devices:  # the queue is full until that one is taken
                now = max(now, begun[-2 * num_devices])
            device = min(range(num_devices), key=devices.__getitem__)
            taken = max(devices[device], now)
            begun.append(taken)
            devices[device] = max(taken, ready) + program.block + (program.loading if device in first else 0.0)
            first.discard(device)
            end = max(end, devices[device])
        end = max(end, ready)
    return end

"""The plan of the main job: its parts, claims and design, written down before the measurement."""

from typing import Any

from benchmarks.convergence import (
    comparison,
    cost,
    descents,
    endurance,
    escape,
    gradients,
    orders,
    shuffling,
    theory,
    train_set,
)
from benchmarks.convergence.parts import REVISION, Part, Scale
from benchmarks.convergence.problems import PROBLEMS
from dlcore.evidence.plans import Plan, Revision

# Those that take longest are measured first.
PARTS: tuple[Part, ...] = (
    cost.PART,
    train_set.PART,
    shuffling.PART,
    escape.PART,
    theory.PART,
    endurance.PART,
    gradients.PART,
    orders.PART,
)
QUESTION = "How do batch and stochastic gradient descent converge?"
HISTORY = (
    Revision(
        1,
        "2026-11-26",
        "First plan of claims as conjunctions of sub-claims, after pilots on blocks of seeds from 90 on, which are "
        "never judged. What had been judged before used seeds 100 to 107.",
    ),
)
assert HISTORY[-1].number == REVISION, "a change of design takes a new revision, and with it other seeds"


def plan(scale: Scale) -> Plan:
    """What is claimed and how it is measured at that scale, on its seeds."""
    return Plan(QUESTION, tuple(claim for part in PARTS for claim in part.claims), _design(scale), HISTORY)


def _design(scale: Scale) -> dict[str, Any]:
    problems = {
        problem.title: {
            "targets": list(problem.targets),
            "epochs by batch size": {str(size): epochs for size, epochs in problem.epochs.items()},
            "first learning rates by batch size": {str(size): rate for size, rate in problem.learning_rates.items()},
            "examples between records": problem.record_every,
        }
        for problem in (PROBLEMS[name]() for name in comparison.problems(scale))
    }
    return {
        "scale": "quick" if scale.quick else "full",
        "block": scale.block,
        "seeds": f"{scale.seeds[0]} to {scale.seeds[-1]}",
        "tuning_seeds": f"{scale.tuning_seeds[0]} to {scale.tuning_seeds[-1]}",
        "number of judged seeds": scale.num_seeds,
        "number of tuning seeds": scale.num_tuning_seeds,
        "blocks of time for seconds": scale.num_blocks,
        "problems": problems,
        "sizes of training sets": list(train_set.QUICK_SIZES if scale.quick else train_set.SIZES),
        "target of training sets": train_set.TARGET,
        "epochs of endurance": endurance.EPOCHS,
        "epochs of shuffling": shuffling.EPOCHS,
        "a run has blown up beyond": f"{descents.BLOWN_UP:g} times the initial gap",
        "arrival": f"first record at the target from which on the mean gap over {comparison.WINDOW:g} epochs is at "
        "it, too",
        "tuning": "on tuning seeds alone: learning rates by factors of 2, on and on while the best lies at an "
        "edge, constant and falling as 1/t over several horizons; then rates by factors of 2^(1/4) at the best "
        "horizon. A rate counts if all tuning seeds arrive at it and at the next two",
    }

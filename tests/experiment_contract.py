"""What every experiment promises. Its test file subclasses `ExperimentContract` and names it."""

import functools
from typing import ClassVar

import numpy as np
import pytest
from perturbed import degenerate, perturbed

from dlcore.evidence import Experiment, Outcome, Scale
from experiments.catalog import load

PILOT = 90  # block of seeds that is never judged
TRIES = 4000  # most need a few; some outcomes need several variables at once


@functools.cache
def measured(name):
    return load(name).measure(Scale("quick", PILOT, len(load(name).history)))


class ExperimentContract:
    """It runs, its judge can say everything and never fails, its figures can be drawn.

    name: of the experiment.
    """

    # They measure. Of means of nothing xarray says nothing, unless another thread changes the filters at that moment.
    pytestmark = [pytest.mark.job, pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")]
    name: ClassVar[str]

    @property
    def experiment(self) -> Experiment:
        return load(self.name)

    def test_it_is_measured_judged_and_drawn(self, tmp_path):
        """Catches an experiment whose parts do not fit together; at its smallest scale."""
        verdicts = self.experiment.judge(measured(self.name))
        assert [verdict.claim for verdict in verdicts] == list(self.experiment.claims)
        for verdict in verdicts:
            for part, found in verdict.judged.items():
                conditions = [each.evidence.condition for each in found]
                assert len(set(conditions)) == len(conditions) > 0, (verdict.claim.name, part)
        pictures = self.experiment.draw(measured(self.name))
        assert len({picture.name for picture in pictures}) == len(pictures) > 0
        for picture in pictures:
            assert picture.caption
            picture.figure.savefig(tmp_path / "figure.png")
            assert (tmp_path / "figure.png").stat().st_size > 5000

    def test_the_judge_survives_whatever_was_measured(self):
        """Catches a judge that ends an hour of measurements with an error, or that decides on nothing."""
        with np.errstate(all="ignore"):
            for kind, data in degenerate(measured(self.name)):
                verdicts = self.experiment.judge(data)
                assert [verdict.claim for verdict in verdicts] == list(self.experiment.claims), kind
                if kind == "NaN":
                    assert {verdict.outcome for verdict in verdicts} == {Outcome.INCONCLUSIVE}
                    self.experiment.draw(data)

    def test_every_verdict_is_possible(self):
        """Catches a judge that says the same whatever was measured: no measurement could refute the claim."""
        random = np.random.default_rng(0)
        missing = {claim.name: set(Outcome) for claim in self.experiment.claims}
        data = measured(self.name)
        for attempt in range(TRIES):
            with np.errstate(all="ignore"):
                verdicts = self.experiment.judge(perturbed(data, random) if attempt else data)
            for verdict in verdicts:
                missing[verdict.claim.name].discard(verdict.outcome)
                if sum(map(len, verdict.judged.values())) < 2:
                    missing[verdict.claim.name].discard(Outcome.CONDITIONAL)
            if not any(missing.values()):
                break
        assert not any(missing.values()), missing

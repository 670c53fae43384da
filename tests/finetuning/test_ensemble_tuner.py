"""Every member of an ensemble learns by itself; the whole obeys what every tuner must."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.specs import (
    EnsembleTunerSpec,
    GradientSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import (
    CorrectableSurrogate,
    FineTuner,
    MemberedSurrogate,
    TrainableSurrogate,
)
from finetuna_flows.records import Frame
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import AseSurrogateSpec, EnsembleSpec, ToySpec
from tests.contracts.tuner import FineTunerContract, force_rmse
from tests.finetuning.emt_frames import emt_frames
from tests.systems import EMT

QUICK = GradientSpec(learning_rate=3e-3, epochs=20)
SEEDS = EnsembleSpec((ToySpec(seed=1), ToySpec(seed=2), ToySpec(seed=3)))


class TestOneRecipeForAll(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(SEEDS.build())
        return EnsembleTunerSpec((QUICK,)).build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


class TestUnderTheResidualProcess(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(EnsembleSpec.of_heads(ToySpec(), count=2).build())
        spec = StackSpec((EnsembleTunerSpec((QUICK,)), ResidualGPSpec()))
        return spec.build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


def members_of(surrogate: CorrectableSurrogate) -> Sequence[CorrectableSurrogate]:
    assert isinstance(surrogate.prior, MemberedSurrogate)
    return surrogate.prior.members


def test_copies_come_to_differ_by_the_heads_that_they_may_change() -> None:
    surrogate = CompositeSurrogate(EnsembleSpec((ToySpec(), ToySpec())).build())
    tuner = EnsembleTunerSpec.of_heads(QUICK, (("head.*",), ("backbone.radial",))).build(surrogate)
    here, elsewhere = emt_frames(2)
    assert surrogate.predict(elsewhere.atoms).forces_std is None
    tuner.update([here])
    moved, fresh = [], dict(ToySpec().build().named_parameters())  # type: ignore[attr-defined]  # of the toy
    for member in members_of(surrogate):
        assert isinstance(member.prior, TrainableSurrogate)
        weights = member.prior.named_parameters()
        moved.append({name for name, weight in weights if not weight.equal(fresh[name])})
    assert moved == [{"head.weight"}, {"backbone.radial"}]
    prediction = surrogate.predict(elsewhere.atoms)
    assert prediction.forces_std is not None
    assert prediction.forces_std.max() > 1e-3


def test_the_mean_of_the_members_is_better_than_they_are() -> None:
    frames, unseen = emt_frames(3), emt_frames(5, first=100)
    surrogate = CompositeSurrogate(SEEDS.build())
    recipe = GradientSpec(learning_rate=1e-2, epochs=40, window=None)
    before = force_rmse(surrogate, unseen)
    EnsembleTunerSpec((recipe,)).build(surrogate).update(frames)
    alone = [force_rmse(member, unseen) for member in members_of(surrogate)]
    assert force_rmse(surrogate, unseen) < 0.7 * before
    assert force_rmse(surrogate, unseen) < np.sqrt(np.mean(np.square(alone)))


def test_the_spread_is_smaller_where_the_members_have_learned() -> None:
    frames = emt_frames(4)
    surrogate = CompositeSurrogate(SEEDS.build())
    recipe = GradientSpec(learning_rate=1e-2, epochs=60, window=None)
    EnsembleTunerSpec((recipe,)).build(surrogate).update(frames[:3])
    known, unknown = (surrogate.predict(frame.atoms) for frame in frames[2:])
    assert known.energy_std == pytest.approx(0, abs=1e-9)
    assert unknown.energy_std is not None
    assert unknown.energy_std > 1e-3
    free = free_components(frames[0].atoms)
    assert known.forces_std is not None
    assert unknown.forces_std is not None
    assert known.forces_std[free].mean() < unknown.forces_std[free].mean()


def test_a_member_may_learn_without_weights() -> None:
    surrogate = CompositeSurrogate(EnsembleSpec((ToySpec(), AseSurrogateSpec(EMT))).build())
    spec = EnsembleTunerSpec((QUICK, ResidualGPSpec()))
    report = spec.build(surrogate).update(emt_frames(2))
    assert report.n_frames == 2
    assert report.epochs == 20
    assert report.force_rmse_after < report.force_rmse_before


def test_a_prior_that_is_no_ensemble_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a ToySurrogate has no members.*EnsembleSpec"):
        EnsembleTunerSpec().build(CompositeSurrogate(ToySpec().build()))


def test_a_wrong_number_of_tuners_is_refused() -> None:
    spec = EnsembleTunerSpec((QUICK, QUICK))
    with pytest.raises(ValueError, match=r"holds 2 tuners but the ensemble has 3 members"):
        spec.build(CompositeSurrogate(SEEDS.build()))


def test_no_tuner_is_refused() -> None:
    with pytest.raises(ValueError, match="`tuners` is empty but an ensemble needs at least 1"):
        EnsembleTunerSpec(())


def test_members_cannot_be_taught_on_top_of_a_correction() -> None:
    with pytest.raises(ValueError, match=r"a EnsembleTunerSpec that is not the first.* put it"):
        StackSpec((ResidualGPSpec(), EnsembleTunerSpec()))


def test_a_member_that_cannot_learn_stops_the_update() -> None:
    surrogate = CompositeSurrogate(SEEDS.build())
    tuner = EnsembleTunerSpec((GradientSpec(learning_rate=1e300),)).build(surrogate)
    with pytest.raises(FineTuningError, match=r"loss is (inf|nan)"):
        tuner.update(emt_frames(1))


@pytest.mark.parametrize(
    "spec", [EnsembleTunerSpec(), EnsembleTunerSpec.of_heads(QUICK, [("a.*",), ("b", "c.?")])]
)
def test_spec_survives_json(spec: EnsembleTunerSpec) -> None:
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec

"""The exact Gaussian process with derivative observations, away from any atoms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.derivative_gp import DerivativeGP, Noise, fit_derivative_gp
from finetuna_flows.finetuning.kernel import Kernel, Points, bare_points
from finetuna_flows.geometry import Array

LENGTH = 0.8


def fit(
    inputs: Array,
    energies: Array,
    forces: Array,
    *,
    noise: tuple[float, float] = (1e-3, 2e-3),
    length: float = LENGTH,
) -> DerivativeGP:
    return fit_derivative_gp(
        bare_points(inputs), energies, forces, Kernel(length), Noise(noise[0], noise[1], 0.05)
    )


def at(x: Array) -> Points:
    return bare_points(x[None])


def bowl(x: Array, curvature: float = 3.0) -> tuple[Array, Array]:
    """Energies (m,) and forces (m, d) of a harmonic well at the origin, 7 eV up."""
    return 7 + curvature / 2 * (x**2).sum(axis=1), -curvature * x


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(5)


@pytest.fixture
def process(rng: Generator) -> DerivativeGP:
    inputs = 0.4 * rng.normal(size=(4, 3))
    return fit(inputs, rng.normal(size=4), rng.normal(size=(4, 3)))


def test_predicted_forces_are_minus_the_gradient(process: DerivativeGP, rng: Generator) -> None:
    x, h = 0.5 * rng.normal(size=3), 1e-4
    gradient = [
        (process.mean(at(x + h * axis))[0] - process.mean(at(x - h * axis))[0]) / (2 * h)
        for axis in np.eye(3)
    ]
    assert process.mean(at(x))[1] == pytest.approx(-np.array(gradient), abs=1e-6)


def test_posterior_is_that_of_dense_linear_algebra(rng: Generator) -> None:
    """Every covariance here is a finite difference of the kernel, one entry at a time."""
    m, d, h = 3, 2, 1e-3
    inputs, energies, forces = rng.normal(size=(m, d)), rng.normal(size=m), rng.normal(size=(m, d))
    x = rng.normal(size=d)

    def kernel(a: Array, b: Array) -> float:
        return float(np.exp(-((a - b) @ (a - b)) / (2 * LENGTH**2)))

    def observe(point: Array, component: int | None) -> list[tuple[Array, float]]:
        """The points and weights whose sum is the energy, or minus its central difference."""
        if component is None:
            return [(point, 1.0)]
        step = h * np.eye(d)[component]
        return [(point + step, -0.5 / h), (point - step, 0.5 / h)]

    def covariance(
        ones: list[tuple[Array, int | None]], others: list[tuple[Array, int | None]]
    ) -> Array:
        return np.array(
            [
                [
                    sum(v * w * kernel(a, b) for a, v in observe(*one) for b, w in observe(*other))
                    for other in others
                ]
                for one in ones
            ]
        )

    def all_of(points: Array) -> list[tuple[Array, int | None]]:
        return [(p, i) for p in points for i in (None, *range(d))]

    seen, asked = all_of(inputs), all_of(x[None])
    first = 2.0 ** np.round(np.log2(LENGTH * np.sqrt(np.mean(forces**2))))
    variances = np.tile([0.1**2] + [0.2**2] * d, m) / first**2
    inverse = np.linalg.inv(covariance(seen, seen) + np.diag(variances))
    ones = np.tile([1.0] + [0.0] * d, m)
    observed = np.concatenate([energies[:, None], forces], axis=1).ravel()
    constant = (ones @ inverse @ observed) / (ones @ inverse @ ones)
    misfit = observed - constant * ones
    cross = covariance(asked, seen)
    mean = cross @ inverse @ misfit + constant * np.array([1.0, 0, 0])
    left = np.array([1.0, 0, 0]) - cross @ inverse @ ones
    variance = (
        np.diag(covariance(asked, asked) - cross @ inverse @ cross.T)
        + left**2 / (ones @ inverse @ ones)
    ) * (misfit @ inverse @ misfit / (len(misfit) - 1))

    process = fit(inputs, energies, forces, noise=(0.1, 0.2))
    energy, force = process.mean(at(x))
    energy_std, force_std = process.std(at(x))
    rough = 1e-5  # of the finite differences
    assert [energy, *force] == pytest.approx(mean, rel=rough, abs=rough)
    assert [energy_std, *force_std] == pytest.approx(np.sqrt(variance), rel=rough)


def test_labels_are_reproduced_within_their_noise(rng: Generator) -> None:
    inputs = 0.5 * rng.normal(size=(5, 4))
    energies, forces = bowl(inputs)
    process = fit(inputs, energies, forces)
    for x, energy, force in zip(inputs, energies, forces, strict=True):
        assert process.mean(at(x))[0] == pytest.approx(energy, abs=3e-3)
        assert process.mean(at(x))[1] == pytest.approx(force, abs=6e-3)
        energy_std, force_std = process.std(at(x))
        assert energy_std < 3e-3
        assert (force_std < 6e-3).all()


def test_harmonic_well_is_learned_from_few_labels(rng: Generator) -> None:
    """With a length much longer than the way between them the kernel is a polynomial."""
    inputs = 0.3 * rng.normal(size=(6, 2))
    process = fit(inputs, *bowl(inputs), noise=(1e-5, 1e-5), length=3.0)
    x = np.array([[0.1, -0.2]])
    energies, forces = bowl(x)
    assert process.mean(at(x[0]))[0] == pytest.approx(energies[0], abs=1e-3)
    assert process.mean(at(x[0]))[1] == pytest.approx(forces[0], abs=5e-3)


def test_single_label_has_the_known_posterior() -> None:
    """By hand: the energy fixes the constant, and a force F gives k(s) (1 - u u) F."""
    label, force = np.zeros((1, 2)), np.array([[0.6, 0.0]])
    process = fit(label, np.array([4.0]), force, noise=(0.0, 0.0))
    x = np.array([0.4, 0.0])
    u = x[0] / LENGTH
    energy, predicted = process.mean(at(x))
    assert energy == pytest.approx(4 - 0.6 * x[0] * np.exp(-u * u / 2))
    assert predicted == pytest.approx([0.6 * (1 - u * u) * np.exp(-u * u / 2), 0.0])
    assert process.amplitude == pytest.approx(LENGTH * 0.6 / np.sqrt(2))  # two components


def test_far_away_only_the_prior_is_left(process: DerivativeGP) -> None:
    energy, forces = process.mean(at(np.full(3, 50.0)))
    assert energy == pytest.approx(process.constant)
    assert forces == pytest.approx(0.0, abs=1e-12)
    energy_std, forces_std = process.std(at(np.full(3, 50.0)))
    assert forces_std == pytest.approx(process.amplitude / LENGTH)
    assert energy_std > process.amplitude  # the constant is not known exactly either


def test_spread_never_grows_with_a_label_for_the_same_amplitude(rng: Generator) -> None:
    inputs, x = 0.4 * rng.normal(size=(5, 3)), 0.2 * rng.normal(size=3)
    energies, forces = bowl(inputs)
    few, more = (fit(inputs[:m], energies[:m], forces[:m], noise=(0.0, 0.0)) for m in (2, 5))
    assert (more.std(at(x))[1] / more.amplitude < few.std(at(x))[1] / few.amplitude).all()


def test_order_of_the_coordinates_does_not_matter(rng: Generator) -> None:
    inputs, x = 0.4 * rng.normal(size=(3, 4)), 0.3 * rng.normal(size=4)
    energies, forces = rng.normal(size=3), rng.normal(size=(3, 4))
    order = rng.permutation(4)
    process = fit(inputs, energies, forces)
    shuffled = fit(inputs[:, order], energies, forces[:, order])
    assert shuffled.mean(at(x[order]))[0] == pytest.approx(process.mean(at(x))[0])
    assert shuffled.mean(at(x[order]))[1] == pytest.approx(process.mean(at(x))[1][order])
    assert shuffled.std(at(x[order]))[1] == pytest.approx(process.std(at(x))[1][order])


def test_translation_and_rotation_of_all_coordinates_do_not_matter(rng: Generator) -> None:
    inputs, x = 0.4 * rng.normal(size=(3, 3)), 0.3 * rng.normal(size=3)
    energies, forces = rng.normal(size=3), rng.normal(size=(3, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    process = fit(inputs, energies, forces)
    elsewhere = fit(inputs @ turn + 2.0, energies, forces @ turn)
    assert elsewhere.mean(at(x @ turn + 2.0))[0] == pytest.approx(process.mean(at(x))[0])
    assert elsewhere.mean(at(x @ turn + 2.0))[1] == pytest.approx(process.mean(at(x))[1] @ turn)
    assert elsewhere.std(at(x @ turn + 2.0))[0] == pytest.approx(process.std(at(x))[0])


def test_amplitude_is_where_the_likelihood_is_largest(rng: Generator) -> None:
    """The likelihood left when the constant is integrated out, computed without Cholesky."""
    process = fit(0.4 * rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(3, 2)))
    covariance = process.factor @ process.factor.T
    misfit = covariance @ process.weights
    count = len(misfit) - 1

    def log_likelihood(amplitude: float) -> float:
        scaled = misfit @ np.linalg.solve(amplitude**2 * covariance, misfit)
        return float(-scaled / 2 - count * np.log(amplitude))

    best = process.amplitude
    assert log_likelihood(best) > max(log_likelihood(0.99 * best), log_likelihood(1.01 * best))


def test_amplitude_has_a_floor() -> None:
    label = np.zeros((1, 3))
    process = fit(label, np.array([-3.0]), np.zeros((1, 3)))
    assert process.amplitude == pytest.approx(LENGTH * 0.05)
    assert process.mean(at(label[0]))[0] == pytest.approx(-3.0)


def test_one_coordinate_is_enough() -> None:
    inputs = np.array([[0.0], [0.3]])
    process = fit(inputs, *bowl(inputs))
    assert process.mean(at(np.array([0.15])))[1] == pytest.approx(-0.45, abs=0.02)


def test_the_same_geometry_twice_is_averaged() -> None:
    inputs = np.zeros((2, 2))
    forces = np.array([[1.0, 0.0], [1.2, 0.0]])
    process = fit(inputs, np.array([0.0, 0.0]), forces, noise=(0.0, 0.0))
    assert process.mean(at(inputs[0]))[1] == pytest.approx([1.1, 0.0], abs=1e-4)
    assert np.isfinite(process.std(at(inputs[0]))[1]).all()


def test_energies_far_from_zero_cost_no_precision(rng: Generator) -> None:
    inputs, x = 0.4 * rng.normal(size=(4, 3)), 0.2 * rng.normal(size=3)
    energies, forces = bowl(inputs)
    near, far = fit(inputs, energies, forces), fit(inputs, energies - 1e6, forces)
    assert far.mean(at(x))[1] == pytest.approx(
        near.mean(at(x))[1], abs=1e-6
    )  # 1e6 eV has ten decimals
    assert far.mean(at(x))[0] + 1e6 == pytest.approx(near.mean(at(x))[0], abs=1e-6)


def test_covariance_without_factor_is_refused() -> None:
    inputs = np.full((2, 2), np.nan)
    with pytest.raises(FineTuningError, match=r"covariance of 2 labels .* raise `force_noise`"):
        fit(inputs, np.zeros(2), np.zeros((2, 2)))

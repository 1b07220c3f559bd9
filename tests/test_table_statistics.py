"""Intervals of differences between rows: known variances, coverage on simulated data, Holm's correction."""

import numpy as np
import pytest
from scipy.stats import t as student

from deocc.tables.statistics import compare, holm


def test_a_constant_difference_is_certain():
    values = np.array([[0.5, 0.1, 0.9, 0.3]])
    found = compare(values + 0.1, values, [0, 0, 1, 1])
    assert found.value == pytest.approx(0.1) and found.seeds == 1 and found.people == 2
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.1) and found.p == 0
    assert compare(values, values, [0, 0, 1, 1]).p == 1


def test_with_one_seed_it_is_the_paired_t_test_over_people():
    rng = np.random.default_rng(3)
    d = rng.normal(0.2, 1.0, 200)
    found = compare(d[None], np.zeros((1, 200)), range(200), draws=20_000)
    reach = student.ppf(0.975, 199) * d.std(ddof=1) / np.sqrt(200)
    assert found.value == pytest.approx(d.mean())
    assert found.high - found.value == pytest.approx(reach, rel=0.03)
    p = 2 * student.sf(abs(d.mean()) / (d.std(ddof=1) / np.sqrt(200)), 199)
    assert found.p == pytest.approx(p, rel=0.15)


def test_where_only_seeds_vary_it_is_welchs_t_test_over_seeds():
    first = np.repeat([[0.1], [0.2], [0.6]], 50, 1)
    second = np.repeat([[0.0], [0.3]], 50, 1)
    found = compare(first, second, range(50), draws=20_000)
    variances = [first[:, 0].var(ddof=1) / 3, second[:, 0].var(ddof=1) / 2]
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 1)
    reach = student.ppf(0.975, freedom) * np.sqrt(sum(variances))
    assert found.value == pytest.approx(0.15)
    assert found.high - found.low == pytest.approx(2 * reach, rel=0.05)


def test_exchanged_systems_have_the_mirrored_interval():
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.1, 1, (3, 60)), rng.normal(0, 1, (2, 60))
    one, other = compare(first, second, range(60)), compare(second, first, range(60))
    assert (one.value, one.low, one.high) == (-other.value, -other.high, -other.low) and one.p == other.p
    alone = compare(first[:, :1], second[:, :1], [0])
    assert alone.mirrored().low is None and alone.mirrored().value == -alone.value


def test_cases_of_one_person_are_no_independent_witnesses():
    rng = np.random.default_rng(0)
    person = np.repeat(rng.normal(0, 1, 60), 3)
    wide = compare(person[None], np.zeros((1, 180)), np.repeat(range(60), 3))
    narrow = compare(person[None], np.zeros((1, 180)), range(180))
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(np.sqrt(3), rel=0.1)


@pytest.mark.parametrize("seed_spread", [0.0, 0.05, 0.3])
def test_intervals_hold_the_truth_as_often_as_they_say(seed_spread):
    """Three seeds a side, forty people of three cases: person, seed and residual vary."""
    rng, held, rounds = np.random.default_rng(1), 0, 400
    people = np.repeat(range(40), 3)
    for _ in range(rounds):
        sides = []
        for mean in (0.3, 0.0):
            person = rng.normal(0, 0.3, 40)[people]
            sides.append(mean + person + rng.normal(0, seed_spread, (3, 1)) + rng.normal(0, 0.2, (3, 120)))
        found = compare(*sides, people, draws=300)
        held += found.low <= 0.3 <= found.high
    assert 0.92 <= held / rounds <= 0.99, held / rounds


def test_nothing_where_there_is_nothing_is_found_as_rarely_as_holm_says():
    """Eight comparisons without any difference: one is decided in at most about 5 % of the tables."""
    rng, wrong, rounds = np.random.default_rng(2), 0, 200
    for _ in range(rounds):
        found = [
            compare(rng.normal(0, 1, (1, 60)), rng.normal(0, 1, (1, 60)), range(60), draws=300).p
            for _ in range(8)
        ]
        wrong += min(holm(found)) < 0.05
    assert wrong / rounds <= 0.09


def test_holm_multiplies_step_by_step_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_cases_that_were_not_measured_do_not_count():
    first, second = np.array([[1.0, np.nan, 3.0, 4.0]]), np.array([[0.0, 5.0, 2.0, np.nan]])
    found = compare(first, second, [0, 1, 2, 3])
    assert found.value == 1 and found.people == 2
    nothing = compare(np.full((1, 2), np.nan), np.zeros((1, 2)), [0, 1])
    assert np.isnan(nothing.value) and nothing.p is None

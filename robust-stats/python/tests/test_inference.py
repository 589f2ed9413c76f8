"""Tests and plans: `maturin develop && pytest tests`."""

import numpy as np
import pytest

from septet_robust_stats import Design, identity_test, independence_test, plan, two_sample_test


def test_identity_stands_up_to_a_fraction_of_manipulated_samples():
    counts = np.array([1_200, 960, 960, 960, 960, 960])
    result = identity_test(counts, gamma=0.01)
    assert result.p_value == 0.001 and result.robust_p_value <= 0.01
    assert result.statistic == pytest.approx(200 / 6_000)
    assert result.min_statistic == pytest.approx(140 / 6_000)
    # The robust p-value crosses the level at gamma_star.
    assert identity_test(counts, gamma=result.gamma_star).robust_p_value <= 0.05
    assert identity_test(counts, gamma=result.gamma_star + 0.001).robust_p_value > 0.05
    # Weights need not sum to 1; those of the data explain them.
    fitting = identity_test(counts, counts / 7)
    assert (fitting.p_value, fitting.gamma_star) == (1.0, None)
    assert repr(identity_test(counts, seed=1)) == repr(identity_test(counts, seed=1))


def test_identity_through_a_design():
    design = Design.draw(12, 4, epsilon=2.0, seed=bytes(32))
    server = design.server(key=bytes(16))
    groups = server.groups(np.arange(40_000))
    server.aggregate(groups, design.encode(np.arange(40_000) % 6, groups))
    # Half of the symbols are absent: far from uniform. Their own distribution is rejected with a probability
    # far below 1e-6: 800 manipulated reports are allowed for noise of about 100.
    far = identity_test(server.counts(), design=design, gamma=0.01)
    assert far.robust_p_value <= 0.001 and far.gamma_star > 0.05
    assert identity_test(server.counts(), design=design, gamma=far.gamma_star + 0.01).robust_p_value > 0.05
    near = identity_test(server.counts(), [1] * 6 + [0] * 6, design=design, gamma=0.02)
    assert near.robust_p_value > 0.05
    with pytest.raises(ValueError, match="counts: expected an array of shape"):
        identity_test(server.counts().ravel(), design=design)
    with pytest.raises(ValueError, match="expected an array of shape"):
        identity_test(server.counts())


def test_permutation_tests():
    same = two_sample_test([500, 500], [480, 520])
    other = two_sample_test([500, 500], [300, 700], gamma=0.01)
    assert same.p_value > 0.05 and other.p_value == 0.001
    assert other.shift > 0 and other.robust_p_value <= 0.05
    assert two_sample_test([500, 500], [300, 700], gamma=0.2).robust_p_value > 0.05
    assert independence_test([[300, 200], [200, 300]]).p_value == 0.001
    assert independence_test([[250, 250], [250, 250]]).p_value == 1.0
    with pytest.raises(ValueError, match="table: expected an array of 2 dimensions, found 1"):
        independence_test([1, 2])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: identity_test([1, 2], [1.0, -1.0]), "weights: expected finite nonnegative numbers, found -1"),
        (lambda: identity_test([1, 2], [1.0]), "counts differs: 2 and 1"),
        (lambda: identity_test([1, 2], level=0.0), "level: expected above 0 and below 1, found 0"),
        (lambda: identity_test([1, 2], draws=0), "draws: expected from 1 to 10000000, found 0"),
        (lambda: identity_test([1, -2]), r"counts\[1\]: expected a count"),
        (lambda: two_sample_test([1], [1, 2]), "domain differs: 1 and 2"),
        (lambda: plan(20, gamma=0.01, target=2.0), "target"),
        (lambda: plan(20, gamma=0.01, target=0.1, bits=1, epsilon=1.0), "bits and epsilon: expected one"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_plans_are_dictionaries():
    private = plan(20, gamma=0.01, target=0.1, epsilon=3.0)
    assert private["feasible"] is True and isinstance(private["users"], int)
    assert private["manipulation_floor"] < private["predicted_error"] <= 0.1
    # A plan is one that can be drawn.
    design = Design.draw(20, private["cells"], groups=private["groups"], epsilon=3.0)
    assert design.kept > 0
    clear = plan(20, gamma=0.001, target=0.1)
    assert clear["users"] < plan(20, gamma=0.001, target=0.1, bits=1)["users"]
    assert plan(20, gamma=0.01, target=0.1, power=0.9)["feasible"]
    impossible = plan(20, gamma=0.4, target=0.1, epsilon=3.0)
    assert impossible["feasible"] is False and impossible["manipulation_floor"] > 0.1
    assert "users" not in impossible

"""Designs on arrays: `maturin develop && pytest tests`."""

import os
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import septet_robust_stats
from septet_robust_stats import Design, Estimate

SEED, KEY = bytes(range(32)), bytes(range(16))


def distance(p, q):
    """The total variation."""
    return np.abs(np.asarray(p) - q).sum() / 2


def test_the_example_of_the_readme(capsys):
    text = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    scope = {}
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in snippet.splitlines() if line]) == 12
    exec(snippet, scope)
    estimate, server, values = scope["estimate"], scope["server"], scope["values"]
    truth = np.bincount(values, minlength=20) / len(values)
    assert (server.reports, server.rejected) == (100_000, 0)
    assert estimate.converged and estimate.masses.sum() == pytest.approx(1)
    # The bound holds with probability 95 %, and its slack is a factor of five: never in practice.
    assert distance(estimate.masses, truth) < estimate.error_bound < 0.2
    assert "within" in capsys.readouterr().out


def test_stubs_are_installed():
    folder = Path(septet_robust_stats.__file__).parent
    stubs = (folder / "__init__.pyi").read_text(encoding="utf-8")
    assert (folder / "py.typed").exists()
    # Every public name of the module, and every member of a class, has its line, and no others.
    names = [name for name in dir(septet_robust_stats) if name[0] != "_" and name != "septet_robust_stats"]
    assert sorted(names) == sorted(re.findall(r"^(?:class|def) (\w+)", stubs, re.MULTILINE))
    for name in names:
        thing = getattr(septet_robust_stats, name)
        assert thing.__doc__
        if isinstance(thing, type):
            body = re.search(rf"^class {name}:\n((?:    .*\n|\n)+)", stubs, re.MULTILINE)[1]
            members = [member for member in vars(thing) if member[0] != "_"]
            found = [member for member in re.findall(r"def (\w+)", body) if member[0] != "_"]
            assert sorted(members) == sorted(found), name


def test_seed_and_key_determine_design_and_groups():
    first, second = (Design.draw(20, 4, epsilon=2.0, seed=SEED) for _ in range(2))
    assert first == second and hash(first) == hash(second)
    assert first.to_bytes() == second.to_bytes()
    assert first != Design.draw(20, 4, epsilon=2.0)
    assert first != Design.draw(20, 4, epsilon=2.0, epoch=1, seed=SEED)
    names = np.arange(1_000)
    groups = first.server(key=KEY).groups(names)
    assert groups.dtype == np.uint32 and groups.shape == (1_000,) and groups.max() < first.groups
    assert (groups == second.server(key=KEY).groups(names)).all()
    assert (groups != second.server().groups(names)).any()
    # Integers are names of 8 bytes; str is UTF-8; arrays of text are sequences of str.
    server = first.server(key=KEY)
    assert (groups == server.groups([int(n).to_bytes(8, "little") for n in names])).all()
    assert (groups == server.groups([int(n) for n in names])).all()
    words = ["ä", "client 1", ""]
    assert (server.groups(words) == server.groups([word.encode() for word in words])).all()
    assert (server.groups(np.array(words)) == server.groups(words)).all()
    assert server.groups([]).shape == (0,)


def test_without_privacy_everything_is_deterministic():
    values = np.arange(5_000) % 7
    runs = []
    for _ in range(2):
        design = Design.draw(12, 4, seed=SEED)
        server = design.server(key=KEY)
        groups = server.groups(np.arange(5_000))
        assert server.aggregate(groups, design.encode(values, groups)) == 5_000
        runs.append(server)
    estimates = [runs[0].estimate(0.01), runs[1].estimate(0.01), design.decode(runs[0].counts(), 0.01)]
    for estimate in estimates[1:]:
        assert (estimate.masses == estimates[0].masses).all()
        assert (estimate.standard_errors == estimates[0].standard_errors).all()
        assert estimate.error_bound == estimates[0].error_bound
    counts = runs[0].counts()
    assert counts.dtype == np.uint64 and counts.shape == (design.groups, 4) and counts.sum() == 5_000


def test_designs_and_counts_survive_a_round_trip():
    labels = [f"site {number}" for number in range(12)]
    design = Design.draw(12, 4, epsilon=1.5, groups=15, epoch=3, seed=SEED, labels=labels)
    for copy in [Design.from_bytes(design.to_bytes()), pickle.loads(pickle.dumps(design))]:
        assert copy == design and copy.to_bytes() == design.to_bytes()
        assert (copy.domain, copy.cells, copy.groups, copy.epsilon, copy.epoch) == (12, 4, 15, 1.5, 3)
        assert copy.labels == labels and copy.kept == design.kept > 0
    # Without privacy reports of labels are those of their symbols.
    clear = Design.draw(12, 4, seed=SEED, labels=labels)
    groups = np.arange(12) % clear.groups
    assert (clear.encode(labels, groups) == clear.encode(np.arange(12), groups)).all()
    with pytest.raises(ValueError, match=r'values\[1\]: expected a label of the design, found "site"'):
        clear.encode(["site 3", "site"], groups[:2])
    first, second, both = (design.server(key=KEY) for _ in range(3))
    groups = both.groups(np.arange(2_000))
    reports = design.encode([labels[number % 12] for number in range(2_000)], groups)
    both.aggregate(groups, reports)
    first.aggregate(groups[:700], reports[:700])
    second.aggregate(groups[700:], reports[700:])
    second.aggregate([99], [0])
    first.merge(second)
    assert (first.counts() == both.counts()).all() and first.rejected == 1
    restored = design.server(key=first.key)
    restored.merge(first.to_bytes())
    assert restored.to_bytes() == first.to_bytes() and restored.reports == 2_000
    with pytest.raises(ValueError, match="design differs"):
        Design.draw(12, 4).server().merge(first)


def test_arrays_of_every_type_and_layout():
    design = Design.draw(12, 4, seed=SEED)
    values, groups = np.arange(12), np.arange(12) % design.groups
    cells = design.encode(values, groups)
    assert cells.dtype == np.uint32
    for kind in ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4"]:
        assert (design.encode(values.astype(kind), groups.astype(kind)) == cells).all()
    assert (design.encode(np.repeat(values, 2)[::2], list(groups)) == cells).all()
    assert design.encode([], []).shape == (0,)
    counts = np.random.default_rng(1).integers(1, 100, (design.groups, 4))
    masses = design.decode(counts, 0.0).masses
    assert (design.decode(np.asfortranarray(counts), 0.0).masses == masses).all()
    assert (design.decode(counts.tolist(), 0.0).masses == masses).all()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda d, s: Design.draw(0, 4), ValueError, "domain: expected from 1 to 4294967295 symbols, found 0"),
        (lambda d, s: Design.draw(9, 3, epsilon=-1.0), ValueError, "epsilon: expected a positive number"),
        (lambda d, s: Design.draw(9, 3, groups=1), ValueError, "groups: expected enough partitions"),
        (lambda d, s: Design.draw(9, 3, seed=b"7"), ValueError, "seed: expected 32 bytes, found 1"),
        (lambda d, s: Design.draw(2, 2, labels=["a"]), ValueError, "labels: expected 2 labels, found 1 labels"),
        (lambda d, s: Design.draw(2, 2, labels=["a", "a"]), ValueError, "labels: expected different names"),
        (lambda d, s: Design.from_bytes(b"\x01"), ValueError, "protocol, byte 1"),
        (lambda d, s: d.server(key=b""), ValueError, "key: expected 16 bytes, found 0"),
        (lambda d, s: d.encode([3, 12], [0, 0]), ValueError, r"values\[1\]: expected a symbol from 0 to 11, found 12"),
        (lambda d, s: d.encode([-1], [0]), ValueError, r"values\[0\]: expected a symbol from 0 to 11, found -1"),
        (lambda d, s: d.encode([1], [12]), ValueError, r"groups\[0\]: expected a group from 0 to 11, found 12"),
        (lambda d, s: d.encode([1], [1, 2]), ValueError, "groups: expected 1 entries as in values, found 2"),
        (lambda d, s: d.encode([[1]], [0]), ValueError, r"values: expected an array of shape \(n,\), found \(1, 1\)"),
        (lambda d, s: d.encode([1.0], [0]), TypeError, "values: expected integers, found float64"),
        (lambda d, s: d.encode(["a"], [0]), TypeError, "values: expected integers, found <U1"),
        (lambda d, s: d.encode([2**70], [0]), TypeError, "values: expected integers, found object"),
        (lambda d, s: d.decode(np.ones((2, 4), int), 0.0), ValueError, r"shape \(12, 4\), found \(2, 4\)"),
        (lambda d, s: d.decode(np.full((12, 4), -1), 0.0), ValueError, r"counts\[0\]: expected a count .* found -1"),
        (lambda d, s: d.decode(np.full((12, 4), 2**60), 0.0), ValueError, "counts: expected a sum"),
        (lambda d, s: d.decode(np.zeros((12, 4), int), 0.0), ValueError, "reports: expected at least 1, found 0"),
        (lambda d, s: d.decode(np.ones((12, 4), int), 0.5), ValueError, r"gamma: expected a number in \[0, 0.5\)"),
        (lambda d, s: s.estimate(0.01), ValueError, "reports: expected at least 1, found 0"),
        (lambda d, s: s.groups("name"), TypeError, "names: expected a sequence of names"),
        (lambda d, s: s.groups([1.5]), TypeError, r"names\[0\]: expected bytes, str or an int"),
        (lambda d, s: s.groups(np.array([-1])), ValueError, r"names\[0\]: expected an integer .* found -1"),
        (lambda d, s: s.aggregate([0], [0], names=[]), ValueError, "names: expected 1 entries"),
        (lambda d, s: s.merge(b"\x01\x02"), ValueError, "design counts, byte"),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    design = Design.draw(12, 4, seed=SEED)
    with pytest.raises(error, match=message):
        call(design, design.server())


def test_what_no_client_sends_is_rejected_and_counted():
    design = Design.draw(12, 4, seed=SEED)
    server = design.server()
    # Cells and groups out of range, in every way.
    assert server.aggregate([0, 12, -1, 0, 0, 2], [4, 0, 0, -1, 2**40, 3]) == 1
    names = [b"a", b"b", b"c"]
    groups = server.groups(names)
    assert server.aggregate(groups, [0, 1, 2], names=names) == 3
    # A client's second report, and one for a group of the client's choice.
    assert server.aggregate([groups[0], (server.groups([b"d"])[0] + 1) % 12], [0, 1], names=[b"a", b"d"]) == 0
    assert server.rejections == {"group": 1, "range": 5, "duplicate": 1}
    assert (server.reports, server.rejected) == (4, 7)
    # Names seen by another server are known after a merge.
    other = design.server(key=server.key)
    other.merge(server)
    assert other.aggregate(groups, [0, 1, 2], names=names) == 0


def test_private_reports_have_the_probabilities_of_randomized_response():
    n, cells, epsilon = 200_000, 4, 1.0
    design = Design.draw(12, cells, epsilon=epsilon, groups=12, seed=SEED)
    # One client reports one value again and again: its own cell is the most frequent.
    reports = design.encode(np.zeros(n, int), np.zeros(n, int))
    frequencies = np.sort(np.bincount(reports, minlength=cells) / n)
    keep = np.exp(epsilon) / (np.exp(epsilon) + cells - 1)
    expected = np.array([(1 - keep) / (cells - 1)] * (cells - 1) + [keep])
    # Six standard deviations: a false alarm below 1e-8.
    assert (np.abs(frequencies - expected) < 6 * np.sqrt(0.25 / n)).all()


@pytest.mark.parametrize("cells, gamma", [(2, 0.01), (4, 0.03), (8, 0.1)])
def test_the_bound_covers_manipulated_reports(cells, gamma):
    domain, n = 16, 60_000
    design = Design.draw(domain, cells, seed=SEED)
    server, attacked = design.server(key=KEY), design.server(key=KEY)
    groups = server.groups(np.arange(n))
    truth = np.full(domain, 1 / domain)
    values = np.arange(n) * 7 % domain
    honest = design.encode(values, groups)
    # The adversary moves its reports to the cells that gain most along the weakest direction.
    audit = design.audit()
    assert audit.rank == domain and design.kept == audit.kept <= audit.weakest_ratio
    symbols = np.arange(domain)
    gains = np.zeros((design.groups, cells))
    for group in range(design.groups):
        np.add.at(gains[group], design.encode(symbols, np.full(domain, group)), audit.weakest_direction)
    reports, corrupted = honest.copy(), np.arange(int(gamma * n))
    reports[corrupted] = gains.argmax(axis=1)[groups[corrupted]]
    server.aggregate(groups, honest)
    attacked.aggregate(groups, reports)
    clean, moved = server.estimate(gamma), attacked.estimate(gamma)
    shift = distance(clean.masses, moved.masses)
    bound = moved.manipulation_bound
    assert bound.total == pytest.approx(min(1, bound.manipulation + bound.noise))
    # The attack has an effect, the bound covers it, and the certificate does not exceed the truth.
    assert gamma / 2 < shift <= bound.total
    assert distance(moved.masses, truth) <= moved.error_bound
    assert moved.gamma_lower_bound <= gamma


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_processes_share_no_noise_after_a_fork():
    design = Design.draw(20, 2, epsilon=1.0, seed=SEED)
    values, groups = np.zeros(256, int), np.zeros(256, int)
    design.encode(values, groups)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, design.encode(values, groups).astype(np.uint8).tobytes())
        os._exit(0)
    own = design.encode(values, groups)
    os.waitpid(child, 0)
    other = np.frombuffer(os.read(read, 256), np.uint8)
    os.close(read), os.close(write)
    # 256 private bits are equal with a probability below 1e-50.
    assert (own != other).any()


def test_threads_share_a_server():
    design = Design.draw(20, 4, epsilon=1.0, seed=SEED)
    server = design.server()

    def work(first):
        names = np.arange(first, first + 5_000)
        groups = server.groups(names)
        server.aggregate(groups, design.encode(names % 20, groups), names=names)
        assert isinstance(server.estimate(0.0), Estimate)

    threads = [threading.Thread(target=work, args=(5_000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (server.reports, server.rejected) == (20_000, 0)

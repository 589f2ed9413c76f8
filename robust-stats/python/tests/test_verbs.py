"""The verbs of pure-ldp, on every mechanism: `maturin develop && python -m unittest discover tests`."""

import os
import unittest

from septet_robust_stats import Client, Server


class Verbs(unittest.TestCase):
    def test_every_mechanism_estimates(self):
        for mechanism in ["GRR", "SUE", "OUE", "SS", "OLH", "HR"]:
            client = Client(mechanism, epsilon=3.0, d=10)
            server = Server(mechanism, epsilon=3.0, d=10)
            for i in range(4000):
                server.aggregate(client.privatize(i % 4))
            self.assertEqual(server.n, 4000)
            estimates = server.estimate_all(range(10))
            # Ten standard deviations of the worst mechanism.
            for symbol, estimate in enumerate(estimates):
                truth = 1000 if symbol < 4 else 0
                self.assertLess(abs(estimate - truth), 500, (mechanism, symbol))
            self.assertEqual(server.estimate(3), estimates[3])

    def test_wrong_reports_are_rejected_and_counted(self):
        server = Server("GRR", 1.0, 10)
        other = Client("GRR", 2.0, 10)
        for report in [b"", b"\x01", other.privatize(3)]:
            with self.assertRaises(ValueError):
                server.aggregate(report)
        self.assertEqual((server.n, server.rejected), (0, 3))
        with self.assertRaises(ValueError):
            Client("GRR", -1.0, 10)
        with self.assertRaises(ValueError):
            other.privatize(10)

    @unittest.skipUnless(hasattr(os, "fork"), "this system does not fork")
    def test_parent_and_child_of_a_fork_draw_different_noise(self):
        for mechanism in ["GRR", "SUE", "OUE", "SS", "OLH", "HR"]:
            client = Client(mechanism, epsilon=1.0, d=1000)
            client.privatize(5)
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.write(writer, b"".join(client.privatize(5) for _ in range(20)))
                os._exit(0)
            os.close(writer)
            os.waitpid(child, 0)
            with os.fdopen(reader, "rb") as pipe:
                of_child = pipe.read()
            of_parent = b"".join(client.privatize(5) for _ in range(20))
            self.assertGreater(len(of_child), 200)
            self.assertNotEqual(of_child, of_parent, mechanism)

    def test_a_named_client_counts_once(self):
        for mechanism in ["GRR", "SUE", "OUE", "SS", "OLH", "HR"]:
            client, server = Client(mechanism, 1.0, 10), Server(mechanism, 1.0, 10)
            for name in [b"a", b"b", None, None]:
                server.aggregate(client.privatize(3), client=name)
            with self.assertRaisesRegex(ValueError, "duplicate"):
                server.aggregate(client.privatize(4), client=b"a")
            self.assertEqual((server.n, server.rejected), (4, 1))

    def test_counts_merge(self):
        client, first, second = Client("OUE", 1.0, 5), Server("OUE", 1.0, 5), Server("OUE", 1.0, 5)
        reports = [client.privatize(i % 5) for i in range(100)]
        both = Server("OUE", 1.0, 5)
        for i, report in enumerate(reports):
            both.aggregate(report)
            (first if i % 2 else second).aggregate(report)
        first.merge(second.counts())
        self.assertEqual(first.counts(), both.counts())
        self.assertEqual(first.estimate_all(range(5)), both.estimate_all(range(5)))


if __name__ == "__main__":
    unittest.main()

"""The queries, and the expected answers."""

import json
import os
import struct
from pathlib import Path

import numpy as np

from fleet import MODEL

__all__ = ["INPUT", "MODEL", "OUTPUT", "QUERIES", "SERVERS", "TRUTH", "same"]

INPUT = "input"
OUTPUT = "output"

_FLEET = json.loads(os.environ["CODED_SERVING_FLEET"])

# The addresses `http` and `grpc` by the name of the server.
SERVERS = _FLEET["servers"]


def _tensors(path):
    """Reads a safetensors file: the length of a JSON header, the header, the numbers."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*one["data_offsets"])], "<f4").reshape(one["shape"])
        for name, one in header.items()
    }


def _answers(tensors, queries):
    """A second implementation of the network: additive couplings of two halves, then a linear head."""

    def layer(name, x):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    half = queries.shape[1] // 2
    ordered = queries[:, tensors["order"].astype(int)]
    a, b = ordered[:, :half], ordered[:, half:]
    block = 0
    while f"block.{block}.0.weight" in tensors:
        hidden = np.maximum(layer(f"block.{block}.0", b), 0)
        a, b = b, a + layer(f"block.{block}.1", hidden)
        block += 1
    return layer("head", np.hstack([a, b]))


QUERIES = np.random.default_rng(1).random((5, 256), dtype=np.float32)
TRUTH = _answers(_tensors(_FLEET["network"]), QUERIES)


def same(test, found, rows=slice(None)):
    """Fails the test unless these are the answers to those rows of the queries."""
    expected = TRUTH[rows]
    test.assertEqual(found.dtype, np.float32)
    test.assertEqual(found.shape, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

#!/usr/bin/env python3
"""Asks the Python package of Apache DataSketches for sketches and estimates.

Reads a JSON array of jobs from standard input and writes one of answers. A job either counts:

    {"depth": 3, "buckets": 64, "seed": 9001, "updates": [["apple", 2.5], [12345, 1]], "items": [..]}

or asks a sketch that another program wrote with the default seed (the package reads no other):

    {"bytes": "0201..", "items": [..]}

The answer holds the bytes of the sketch in hexadecimal, its total weight, and for each item the
estimate and the bounds. To make the recorded answers again, on Linux:

    python3 -m venv environment
    environment/bin/pip install datasketches==5.2.0
    environment/bin/python datasketches.py --record < /dev/null > datasketches-5.2.0.json
"""

import json
import random
import sys

from _datasketches import count_min_sketch


def answer(job):
    if "bytes" in job:
        sketch = count_min_sketch.deserialize(bytes.fromhex(job["bytes"]))
    else:
        sketch = count_min_sketch(job["depth"], job["buckets"], job["seed"])
        for item, weight in job["updates"]:
            sketch.update(item, weight)
    return {
        "bytes": sketch.serialize().hex(),
        "depth": sketch.num_hashes,
        "buckets": sketch.num_buckets,
        "total": sketch.total_weight,
        "relative_error": sketch.get_relative_error(),
        "estimates": [sketch.get_estimate(item) for item in job["items"]],
    }


def jobs_to_record():
    draw = random.Random(1)
    words = ["apple", "pear", "", "ß", "日本語", "a" * 15, "a" * 16, "a" * 17, "x" * 100]
    jobs = []
    for depth, buckets, seed, updates in [
        (3, 1024, 9001, 0),
        (1, 3, 9001, 5),
        (3, 64, 9001, 40),
        (4, 61, 1, 200),
        (5, 7, 123456789, 60),
        (2, 100, 2147483647, 150),
        (7, 16, 2**64 - 1, 90),
        (12, 5, 0, 30),
    ]:
        items = words + [draw.randrange(-(2**63), 2**63) for _ in range(6)] + list(range(-3, 12))
        weights = [1.0, 2.5, 1000.0, 0.0, 2.0**40]
        pairs = [[draw.choice(items), draw.choice(weights)] for _ in range(updates)]
        jobs.append(
            {"depth": depth, "buckets": buckets, "seed": seed, "updates": pairs, "items": items}
        )
    return jobs


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        lines = [json.dumps({"job": job, "answer": answer(job)}) for job in jobs_to_record()]
        print("[\n" + ",\n".join(lines) + "\n]")
    else:
        json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)

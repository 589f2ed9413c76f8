#!/usr/bin/env python3
"""Replay the shared traces with libCacheSim and write its miss counts as JSON.

The file holds what our own run of the published wheel printed: trace names, capacities and
counts, nothing of the traces themselves. To regenerate it:

    python3 -m venv /tmp/oracle
    /tmp/oracle/bin/pip install libcachesim==0.3.5 zstandard
    /tmp/oracle/bin/python make_oracle.py "$SEPTET_DATA" libcachesim-0.3.5.json

Every policy runs in a process of its own, so that each starts from the library's initial random
state and an abort inside the library loses one cell only.
"""

import gzip
import importlib.metadata
import json
import lzma
import multiprocessing
import os
import pathlib
import statistics
import struct
import sys
import tempfile

import libcachesim
import zstandard

VERSION = "0.3.5"
RECORD = struct.Struct("<IQIq")  # time, id, size, index of the next request of the same id or -1

POLICIES = {
    "LRU": "LRU",
    "FIFO": "FIFO",
    "CLOCK": "Clock",
    "SIEVE": "Sieve",
    "Belady": "Belady",
    "BeladySize": "BeladySize",
    "S3-FIFO": "S3FIFO",
    "2Q": "TwoQ",
    "SLRU": "SLRU",
    "ARC": "ARC",
    "LIRS": "LIRS",
    "LFU": "LFU",
    "W-TinyLFU": "WTinyLFU",
    "LeCaR": "LeCaR",
    "GDSF": "GDSF",
    "Random": "Random",
}
SIZED_POLICIES = [
    "LRU", "FIFO", "CLOCK", "SIEVE", "S3-FIFO", "GDSF", "LFU", "W-TinyLFU", "BeladySize", "Belady",
]
# Policies that draw at random are run this often, and the mean is recorded.
RUNS = {"LeCaR": 9, "Random": 9}
# The sampling of BeladySize takes minutes on traces of millions of requests.
SLOW = {("P3", "BeladySize"), ("w106", "BeladySize")}

# trace, capacities in pages
UNIT = [
    ("loop", [100, 512, 900]),
    ("gli", [100, 333, 500, 1000]),
    ("multi1", [250, 1000, 1500]),
    ("multi3", [500, 1003, 2000]),
    ("sprite", [100, 500, 1000]),
    ("2_pools", [100, 450, 2000]),
    ("cloudPhysicsIO", [500, 5000, 20000]),
    ("OLTP", [1000, 5000, 15000]),
    ("P3", [20000, 80000]),
    ("w106", [5000, 50000]),
]
# trace, capacities in bytes
SIZED = [
    ("cloudPhysicsIO", [10_000_000, 100_000_000, 500_000_000]),
    ("tencentBlock", [50_000_000, 200_000_000, 1_000_000_000]),
]


def zstd_lines(path):
    with open(path, "rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file)
        return reader.read().decode().splitlines()


def load(data, name):
    """The requests of a trace as (identifier, size) pairs."""
    cache = pathlib.Path(data) / "cache"
    if name in ("OLTP", "P3"):
        for line in zstd_lines(cache / f"{name}.lis.zst"):
            fields = line.split()
            if fields:
                start, count = int(fields[0]), int(fields[1])
                for block in range(start, start + count):
                    yield block, 1
    elif name == "w106":
        for (block,) in struct.iter_unpack("<I", lzma.open(cache / "w106.trace.xz").read()):
            yield block, 1
    elif name == "cloudPhysicsIO":
        bytes_ = (cache / "libcachesim/cloudPhysicsIO.oracleGeneral.bin").read_bytes()
        for _, page, size, _ in RECORD.iter_unpack(bytes_):
            yield page, size
    elif name == "tencentBlock":
        for line in zstd_lines(cache / "tencentBlock.ns1326.sample.csv.zst"):
            _, page, size = line.split()
            yield int(page), int(size)
    else:
        for line in gzip.open(cache / f"lirs/{name}.trace.gz", "rt"):
            line = line.strip()
            if line and line != "*":
                yield int(line), 1


def write_oracle_general(requests, path):
    following = {}
    records = []
    for index in range(len(requests) - 1, -1, -1):
        page, size = requests[index]
        records.append(RECORD.pack(index & 0xFFFFFFFF, page, size, following.get(page, -1)))
        following[page] = index
    with open(path, "wb") as file:
        for record in reversed(records):
            file.write(record)
    return len(following)


def replay(path, policy, capacity, unit, answer):
    parameters = libcachesim.ReaderInitParam(ignore_obj_size=unit)
    reader = libcachesim.TraceReader(
        path, libcachesim.TraceType.ORACLE_GENERAL_TRACE, parameters
    )
    ratios = [
        getattr(libcachesim, POLICIES[policy])(capacity).process_trace(reader)
        for _ in range(RUNS.get(policy, 1))
    ]
    answer.send([statistics.fmean(column) for column in zip(*ratios)])


def miss_ratios(path, policy, capacity, unit):
    """(object miss ratio, byte miss ratio), or None if the library aborted."""
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=replay, args=(path, policy, capacity, unit, send))
    process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        return None
    finally:
        process.join()


def measure(data, plan, policies, unit, folder):
    rows = []
    for name, capacities in plan:
        requests = list(load(data, name))
        total_bytes = sum(size for _, size in requests)
        path = os.path.join(folder, f"{name}.oracleGeneral.bin")
        pages = write_oracle_general(requests, path)
        count = len(requests)
        del requests
        for capacity in capacities:
            misses, missed_bytes = {}, {}
            for policy in policies:
                if (name, policy) in SLOW:
                    continue
                ratios = miss_ratios(path, policy, capacity, unit)
                if ratios is None:
                    print(f"{name} {capacity} {policy}: aborted", file=sys.stderr)
                    continue
                misses[policy] = round(ratios[0] * count)
                missed_bytes[policy] = round(ratios[1] * total_bytes)
            row = {
                "trace": name,
                "requests": count,
                "pages": pages,
                "capacity": capacity,
                "misses": misses,
            }
            if not unit:
                row["bytes"] = total_bytes
                row["missed_bytes"] = missed_bytes
            rows.append(row)
            print(f"{name} {capacity} done", file=sys.stderr)
        os.remove(path)
    return rows


def main():
    data, output = sys.argv[1:]
    installed = importlib.metadata.version("libcachesim")
    if installed != VERSION:
        sys.exit(f"libcachesim {installed} is installed: expected {VERSION}")
    with tempfile.TemporaryDirectory() as folder:
        table = {
            "library": "libcachesim",
            "version": VERSION,
            "made_by": "make_oracle.py",
            "mean_of_runs": RUNS,
            "unit_sizes": measure(data, UNIT, list(POLICIES), True, folder),
            "byte_sizes": measure(data, SIZED, SIZED_POLICIES, False, folder),
        }
    partial = output + ".partial"
    with open(partial, "w") as file:
        json.dump(table, file, indent=1)
        file.write("\n")
    os.replace(partial, output)


if __name__ == "__main__":
    main()

"""One sample of libCacheSim: python sample.py TRACE POLICY CAPACITY [HASH_POWER]"""

import json
import re
import resource
import sys
import time

import libcachesim


def peak_memory():
    # What getrusage reports includes the process that started this one; VmHWM does not.
    try:
        with open("/proc/self/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    trace, policy, capacity = sys.argv[1], sys.argv[2], int(sys.argv[3])
    parameters = {"hashpower": int(sys.argv[4])} if len(sys.argv) > 4 else {}
    baseline = peak_memory()

    begin = time.process_time()
    reader = libcachesim.TraceReader(
        trace,
        libcachesim.TraceType.ORACLE_GENERAL_TRACE,
        libcachesim.ReaderInitParam(ignore_obj_size=True),
    )
    opening = time.process_time() - begin

    # Maps the file's pages; then the cost of reading them.
    empty = libcachesim.LRU(0, hashpower=10)
    empty.process_trace(reader)
    begin = time.process_time()
    empty.process_trace(reader)
    reading = time.process_time() - begin

    begin = time.process_time()
    cache = getattr(libcachesim, policy)(capacity, **parameters)
    miss_ratio, _ = cache.process_trace(reader)
    replay = time.process_time() - begin

    requests = len(reader)
    sample = {
        "requests": requests,
        "misses": round(miss_ratio * requests),
        "replay_seconds": max(replay - reading, 0.0),
        "with_reading_seconds": opening + replay,
        "peak_bytes": peak_memory(),
        "baseline_bytes": baseline,
    }
    print("\n" + json.dumps(sample))


main()

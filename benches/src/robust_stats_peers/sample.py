"""One sample of a Python library: CPU nanoseconds of client and aggregation a report, and the error.

The error is the mean over 1024 symbols or more: small domains are run several times.

Arguments: library, mechanism, domain, epsilon, reports, seed. Values follow Zipf's law.
"""
import json
import random
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
library, mechanism = sys.argv[1:3]
domain, reports, seed = int(sys.argv[3]), int(sys.argv[5]), int(sys.argv[6])
epsilon = float(sys.argv[4])
np.random.seed(seed)
random.seed(seed)
weights = 1.0 / np.arange(1, domain + 1)
masses = weights / weights.sum()


def draw():
    global values, truth
    values = np.random.choice(domain, size=reports, p=masses)
    truth = np.bincount(values, minlength=domain) / reports



def pure_ldp():
    from pure_ldp.frequency_oracles.direct_encoding import DEClient, DEServer
    from pure_ldp.frequency_oracles.hadamard_response import HadamardResponseClient, HadamardResponseServer
    from pure_ldp.frequency_oracles.local_hashing import LHClient, LHServer
    from pure_ldp.frequency_oracles.unary_encoding import UEClient, UEServer

    if mechanism == "GRR":
        client, server = DEClient(epsilon, domain), DEServer(epsilon, domain)
    elif mechanism == "OUE":
        client, server = UEClient(epsilon, domain, use_oue=True), UEServer(epsilon, domain, use_oue=True)
    elif mechanism == "OLH":
        client, server = LHClient(epsilon, domain, use_olh=True), LHServer(epsilon, domain, use_olh=True)
    else:
        server = HadamardResponseServer(epsilon, domain)
        client = HadamardResponseClient(epsilon, domain, server.get_hash_funcs())
    # The library numbers symbols from 1.
    encode = [int(v) + 1 for v in values]
    client.privatise(1)
    start = time.process_time()
    sent = [client.privatise(v) for v in encode]
    middle = time.process_time()
    for report in sent:
        server.aggregate(report)
    end = time.process_time()
    estimates = np.array(server.estimate_all(range(1, domain + 1), suppress_warnings=True, normalization=0))
    return middle - start, end - middle, estimates / reports


def multi_freq_ldpy():
    from multi_freq_ldpy.pure_frequency_oracles.GRR import GRR_Aggregator_MI, GRR_Client
    from multi_freq_ldpy.pure_frequency_oracles.LH import LH_Aggregator_MI, LH_Client
    from multi_freq_ldpy.pure_frequency_oracles.SS import SS_Aggregator_MI, SS_Client
    from multi_freq_ldpy.pure_frequency_oracles.UE import UE_Aggregator_MI, UE_Client

    client, aggregate = {
        "GRR": (lambda v: GRR_Client(v, domain, epsilon), lambda r: GRR_Aggregator_MI(r, domain, epsilon)),
        "OUE": (lambda v: UE_Client(v, domain, epsilon, True), lambda r: UE_Aggregator_MI(r, epsilon, True)),
        "OLH": (lambda v: LH_Client(v, domain, epsilon, True), lambda r: LH_Aggregator_MI(r, domain, epsilon, True)),
        "SS": (lambda v: SS_Client(v, domain, epsilon), lambda r: SS_Aggregator_MI(r, domain, epsilon)),
    }[mechanism]
    encode = [int(v) for v in values]
    # The first call compiles.
    client(0)
    start = time.process_time()
    sent = [client(v) for v in encode]
    middle = time.process_time()
    estimates = aggregate(sent)
    end = time.process_time()
    return middle - start, end - middle, np.array(estimates)


rounds = max(1, 1024 // domain)
errors = []
for _ in range(rounds):
    draw()
    client_s, aggregate_s, estimates = pure_ldp() if library == "pure-ldp" else multi_freq_ldpy()
    # As multi-freq-ldpy does, for both: no negative estimates, and a sum of 1.
    estimates = np.clip(estimates, 0, None)
    errors.append(float(np.mean((estimates / estimates.sum() - truth) ** 2)))
print(
    json.dumps(
        {
            "client_ns": client_s * 1e9 / reports,
            "aggregate_ns": aggregate_s * 1e9 / reports,
            "error": float(np.mean(errors)),
        }
    )
)

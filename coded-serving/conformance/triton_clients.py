"""The four Python clients of Triton, each against each server. Started by conformance.py."""

import asyncio
import gzip
import http.client
import inspect
import json
import logging
import queue
import random
import unittest
import zlib

import grpc
import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from subject import INPUT, MODEL, OUTPUT, QUERIES, SERVERS, same

SECONDS = 20


async def finished(result):
    """The result of a client that is asynchronous or not."""
    return await result if inspect.isawaitable(result) else result


class Checks:
    """What holds for all clients; the classes below say how they differ."""

    # The addresses of the server, and which of them the client takes.
    server = None
    port = None
    # Where the client is, and the module with its tensors.
    clients = None
    library = None
    # The statuses of errors.
    missing = None
    invalid = None
    too_late = None

    async def asyncSetUp(self):
        self.client = self.connect(self.server)

    def connect(self, server):
        client = self.clients.InferenceServerClient(server[self.port])

        async def close():
            await finished(client.close())

        self.addAsyncCleanup(close)
        return client

    def tensor(self, array, name=INPUT):
        tensor = self.library.InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        return tensor

    async def call(self, method, *arguments, **options):
        return await finished(getattr(self.client, method)(*arguments, **options))

    async def infer(self, array, **options):
        return await self.call("infer", MODEL, [self.tensor(array)], **options)

    async def refused(self, status, words, method, *arguments, **options):
        with self.assertRaises(InferenceServerException) as caught:
            await self.call(method, *arguments, **options)
        self.assertEqual(caught.exception.status(), status)
        for word in words:
            self.assertIn(word, caught.exception.message())

    async def test_live_and_ready(self):
        self.assertIs(await self.call("is_server_live"), True)
        self.assertIs(await self.call("is_server_ready"), True)
        self.assertIs(await self.call("is_model_ready", MODEL), True)
        self.assertIs(await self.call("is_model_ready", MODEL, "1"), True)

    async def test_metadata(self):
        server = await self.described("get_server_metadata")
        self.assertEqual(server["name"], "septet-coded-serving")
        self.assertIn("binary_tensor_data", server["extensions"])
        model = await self.described("get_model_metadata", MODEL)
        self.assertEqual((model["name"], model["versions"]), (MODEL, ["1"]))
        for side, name, width in (("inputs", INPUT, 256), ("outputs", OUTPUT, 10)):
            (tensor,) = model[side]
            self.assertEqual((tensor["name"], tensor["datatype"]), (name, "FP32"))
            self.assertEqual([int(n) for n in tensor["shape"]], [-1, width])

    async def test_answers_one_query_at_a_time(self):
        for row in range(len(QUERIES)):
            found = await self.infer(QUERIES[row : row + 1])
            same(self, found.as_numpy(OUTPUT), slice(row, row + 1))

    async def test_answers_a_batch_in_order(self):
        same(self, (await self.infer(QUERIES)).as_numpy(OUTPUT))

    async def test_answers_side_by_side(self):
        """Four requests of a client of its own each, in threads where the client blocks."""

        async def one(row):
            client = self.connect(self.server)
            tensors = [self.tensor(QUERIES[row : row + 1])]
            if inspect.iscoroutinefunction(client.infer):
                return await client.infer(MODEL, tensors)
            return await asyncio.to_thread(client.infer, MODEL, tensors)

        for row, found in enumerate(await asyncio.gather(*map(one, range(4)))):
            same(self, found.as_numpy(OUTPUT), slice(row, row + 1))

    async def test_gives_back_the_id_and_says_who_answers(self):
        found = self.response(await self.infer(QUERIES, request_id="an id of mine: 7"))
        self.assertEqual(found["id"], "an id of mine: 7")
        self.assertEqual((found["model_name"], found["model_version"]), (MODEL, "1"))

    async def test_takes_the_version(self):
        same(self, (await self.infer(QUERIES, model_version="1")).as_numpy(OUTPUT))
        await self.refused(self.missing, [MODEL, "2"], "get_model_metadata", MODEL, "2")

    async def test_takes_the_name_of_the_output(self):
        wanted = [self.library.InferRequestedOutput(OUTPUT)]
        same(self, (await self.infer(QUERIES, outputs=wanted)).as_numpy(OUTPUT))

    async def test_answers_in_time(self):
        same(self, (await self.infer(QUERIES, timeout=10_000_000)).as_numpy(OUTPUT))

    async def test_gives_up_in_time(self):
        tensors = [self.tensor(QUERIES[:1])]
        words = ["answer within"]
        await self.refused(self.too_late, words, "infer", MODEL, tensors, timeout=50_000)

    async def test_takes_parameters(self):
        for parameters in ({"approximate": "deny"}, {"approximate": "allow"}, {"unknown": 3}):
            found = await self.infer(QUERIES, parameters=parameters)
            same(self, found.as_numpy(OUTPUT))
            reconstructed = self.parameters(found)["reconstructed"]
            self.assertIsInstance(reconstructed, bool)
            self.assertFalse(reconstructed and parameters.get("approximate") == "deny")
        found = await self.infer(QUERIES, priority=1, sequence_id=7, sequence_start=True)
        same(self, found.as_numpy(OUTPUT))

    async def test_refuses_parameters_without_meaning(self):
        await self.refused(
            self.invalid,
            ["approximate", "deny"],
            "infer",
            MODEL,
            [self.tensor(QUERIES)],
            parameters={"approximate": "perhaps"},
        )

    async def test_counts(self):
        async def counts():
            (model,) = (await self.described("get_inference_statistics", MODEL))["model_stats"]
            self.assertEqual((model["name"], model["version"]), (MODEL, "1"))
            kinds = model["inference_stats"]
            # gRPC's JSON leaves out zeros, and gives long integers as texts.
            rows = int(model.get("inference_count", 0))
            return rows, *(int(kinds[kind].get("count", 0)) for kind in ("success", "fail"))

        rows, right, wrong = await counts()
        await self.infer(QUERIES)
        self.assertEqual(await counts(), (rows + len(QUERIES), right + 1, wrong))
        with self.assertRaises(InferenceServerException):
            await self.infer(QUERIES[:, 1:])
        self.assertEqual(await counts(), (rows + len(QUERIES), right + 1, wrong + 1))
        every = await self.described("get_inference_statistics")
        self.assertEqual([one["name"] for one in every["model_stats"]], [MODEL])

    async def test_does_not_find_other_models(self):
        tensors = [self.tensor(QUERIES)]
        await self.refused(self.missing, ["no model", "other"], "infer", "other", tensors)
        for method in ("get_model_metadata", "get_inference_statistics"):
            await self.refused(self.missing, ["no model", "other"], method, "other")

    async def test_refuses_what_does_not_fit(self):
        other_size = self.tensor(QUERIES[:1])
        other_size.set_shape([2, 256])
        of_integers = self.library.InferInput(INPUT, [1, 256], "INT32")
        of_integers.set_data_from_numpy(np.ones((1, 256), np.int32))
        of_doubles = self.library.InferInput(INPUT, [1, 256], "FP64")
        of_doubles.set_data_from_numpy(np.ones((1, 256), np.float64))
        of_texts = self.library.InferInput(INPUT, [1, 1], "BYTES")
        of_texts.set_data_from_numpy(np.array([[b"text"]], np.object_))
        fitting = self.tensor(QUERIES)
        wrong = {
            "width": ([self.tensor(QUERIES[:, 1:])], ["shape", "256", "255"]),
            "dimensions": ([self.tensor(QUERIES[0])], ["shape", "256"]),
            "no rows": ([self.tensor(QUERIES[:0])], [INPUT]),
            "bytes": ([other_size], [INPUT]),
            "integers": ([of_integers], ["datatype", "INT32", "FP32"]),
            "doubles": ([of_doubles], ["datatype", "FP64", "FP32"]),
            "texts": ([of_texts], ["datatype", "BYTES", "FP32"]),
            "name": ([self.tensor(QUERIES, "picture")], ["picture", INPUT]),
            "two": ([fitting, self.tensor(QUERIES, "picture")], ["picture", INPUT]),
            "none": ([], ["inputs", INPUT]),
        }
        for name, (tensors, words) in wrong.items():
            with self.subTest(name):
                await self.refused(self.invalid, words, "infer", MODEL, tensors)
        with self.subTest("output"):
            outputs = [self.library.InferRequestedOutput("picture")]
            await self.refused(
                self.invalid, ["picture", OUTPUT], "infer", MODEL, [fitting], outputs=outputs
            )
        # It goes on answering.
        same(self, (await self.infer(QUERIES)).as_numpy(OUTPUT))

    async def test_says_what_is_reconstructed(self):
        """Which worker takes which query changes; some time the late one takes one of two."""
        # A regular sequence can keep in step with the workers' turns, and never meet the late one.
        sizes = random.Random(1)
        for _ in range(200):
            rows = sizes.randint(1, 2)
            found = await self.infer(QUERIES[:rows])
            self.assertEqual(found.as_numpy(OUTPUT).shape, (rows, 10))
            provenance = self.parameters(found)
            if provenance["reconstructed"] and rows == 2:
                self.assertIn(provenance["reconstructed_rows"], ("0", "1", "0,1"))
                self.assertIn("coded-invnet", provenance["code"])
                self.assertEqual(provenance["group_fill"], 2)
                self.assertIsInstance(provenance["margin"], float)
                return
            await asyncio.sleep(0.05)
        self.fail("no answer was reconstructed")


class Http(Checks):
    """What holds for both clients of HTTP."""

    port = "http"
    library = tritonclient.http
    missing = "404"
    invalid = "400"
    too_late = "504"

    async def described(self, method, *arguments):
        return await self.call(method, *arguments)

    def response(self, found):
        return found.get_response()

    def parameters(self, found):
        return found.get_response()["parameters"]

    async def test_answers_in_json_and_bytes(self):
        for binary_input in (False, True):
            for binary_output in (False, True):
                tensor = self.library.InferInput(INPUT, list(QUERIES.shape), "FP32")
                tensor.set_data_from_numpy(QUERIES, binary_data=binary_input)
                outputs = [self.library.InferRequestedOutput(OUTPUT, binary_data=binary_output)]
                found = await self.call("infer", MODEL, [tensor], outputs=outputs)
                same(self, found.as_numpy(OUTPUT))
                self.assertEqual("data" in found.get_output(OUTPUT), not binary_output)

    async def test_refuses_json_that_does_not_fit(self):
        tensor = self.library.InferInput(INPUT, list(QUERIES.shape), "FP32")
        tensor.set_data_from_numpy(QUERIES, binary_data=False)
        tensor.set_shape([1, 256])
        await self.refused(self.invalid, [INPUT], "infer", MODEL, [tensor])

    async def test_takes_and_gives_compressed_bodies(self):
        kinds = (None, "gzip", "deflate")
        for request in kinds:
            for response in kinds:
                found = await self.infer(
                    QUERIES,
                    request_compression_algorithm=request,
                    response_compression_algorithm=response,
                )
                same(self, found.as_numpy(OUTPUT))

    async def test_lists_the_models(self):
        (model,) = await self.call("get_model_repository_index")
        self.assertEqual(
            (model["name"], model["version"], model["state"]), (MODEL, "1", "READY")
        )


class Grpc(Checks):
    """What holds for both clients of gRPC."""

    port = "grpc"
    library = tritonclient.grpc
    missing = "StatusCode.NOT_FOUND"
    invalid = "StatusCode.INVALID_ARGUMENT"
    too_late = "StatusCode.DEADLINE_EXCEEDED"

    async def described(self, method, *arguments):
        return await self.call(method, *arguments, as_json=True)

    def response(self, found):
        return found.get_response(as_json=True)

    def parameters(self, found):
        parameters = found.get_response().parameters
        return {
            name: getattr(value, value.WhichOneof("parameter_choice"))
            for name, value in parameters.items()
        }

    async def test_takes_compressed_messages(self):
        found = await self.infer(QUERIES, compression_algorithm="gzip")
        same(self, found.as_numpy(OUTPUT))


class HttpClient(Http, unittest.IsolatedAsyncioTestCase):
    """`tritonclient.http`"""

    clients = tritonclient.http

    async def test_answers_later(self):
        pending = [
            self.client.async_infer(MODEL, [self.tensor(QUERIES[row : row + 1])])
            for row in range(len(QUERIES))
        ]
        for row, one in enumerate(pending):
            found = one.get_result(timeout=SECONDS)
            same(self, found.as_numpy(OUTPUT), slice(row, row + 1))


class AsyncHttpClient(Http, unittest.IsolatedAsyncioTestCase):
    """`tritonclient.http.aio`"""

    clients = tritonclient.http.aio


class GrpcClient(Grpc, unittest.IsolatedAsyncioTestCase):
    """`tritonclient.grpc`"""

    clients = tritonclient.grpc

    async def test_answers_later(self):
        answers = queue.Queue()
        for row in range(len(QUERIES)):
            self.client.async_infer(
                MODEL,
                [self.tensor(QUERIES[row : row + 1])],
                lambda result, error: answers.put((result, error)),
                request_id=str(row),
            )
        rows = set()
        for _ in range(len(QUERIES)):
            result, error = answers.get(timeout=SECONDS)
            self.assertIsNone(error)
            row = int(result.get_response().id)
            same(self, result.as_numpy(OUTPUT), slice(row, row + 1))
            rows.add(row)
        self.assertEqual(rows, set(range(len(QUERIES))))


class AsyncGrpcClient(Grpc, unittest.IsolatedAsyncioTestCase):
    """`tritonclient.grpc.aio`"""

    clients = tritonclient.grpc.aio


class Wire(unittest.TestCase):
    """What the clients do not show."""

    server = None

    def test_responses_are_compressed(self):
        decompress = {"gzip": gzip.decompress, "deflate": zlib.decompress}
        question = {
            "inputs": [
                {"name": INPUT, "shape": [1, 256], "datatype": "FP32", "data": [0.5] * 256}
            ]
        }
        for kind, unpacked in decompress.items():
            connection = http.client.HTTPConnection(self.server["http"], timeout=SECONDS)
            self.addCleanup(connection.close)
            connection.request(
                "POST",
                f"/v2/models/{MODEL}/infer",
                json.dumps(question),
                {"accept-encoding": kind, "content-type": "application/json"},
            )
            answer = connection.getresponse()
            self.assertEqual(answer.getheader("content-encoding"), kind)
            (output,) = json.loads(unpacked(answer.read()))["outputs"]
            self.assertEqual(len(output["data"]), 10)

    def test_says_that_it_is_healthy(self):
        """`grpc.health.v1`, of whose messages only two fields matter here."""
        with grpc.insecure_channel(self.server["grpc"]) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            serving = b"\x08\x01"
            self.assertEqual(check(b"", timeout=SECONDS), serving)
            service = b"inference.GRPCInferenceService"
            named = b"\x0a" + bytes([len(service)]) + service
            self.assertEqual(check(named, timeout=SECONDS), serving)
            with self.assertRaises(grpc.RpcError) as caught:
                check(b"\x0a\x05other", timeout=SECONDS)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_describes_itself(self):
        """`grpc.reflection.v1`: the list of services (field 7 of the request)."""
        with grpc.insecure_channel(self.server["grpc"]) as channel:
            reflect = channel.stream_stream(
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
            )
            (answer,) = reflect(iter([b"\x3a\x01*"]), timeout=SECONDS)
            self.assertIn(b"inference.GRPCInferenceService", answer)


# The tests for the slow servers; all other tests run on all other servers.
OF_LATE_SERVERS = {
    "slow": "test_gives_up_in_time",
    "delayed": "test_says_what_is_reconstructed",
}


def load_tests(loader, _tests, _pattern):
    """Every client against every server."""
    # Blocking clients stall the event loop, which would log warnings.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    suite = unittest.TestSuite()
    for name, server in SERVERS.items():
        for case in (HttpClient, AsyncHttpClient, GrpcClient, AsyncGrpcClient, Wire):
            of_server = type(f"{case.__name__}_{name}", (case,), {"server": server})
            for test in loader.getTestCaseNames(case):
                only = OF_LATE_SERVERS.get(name)
                if test == only or (only is None and test not in OF_LATE_SERVERS.values()):
                    suite.addTest(of_server(test))
    return suite


if __name__ == "__main__":
    unittest.main()

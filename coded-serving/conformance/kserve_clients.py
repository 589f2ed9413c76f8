"""The two Python clients of KServe, each against each server. Started by conformance.py."""

import logging
import unittest

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from subject import INPUT, MODEL, OUTPUT, QUERIES, SERVERS, same


def request(array, *, binary=True, model=MODEL, **options):
    """A question with this array as its input."""
    tensor = InferInput(INPUT, list(array.shape), "FP32")
    tensor.set_data_from_numpy(array, binary_data=binary)
    return InferRequest(model, [tensor], **options)


class Checks:
    """What holds for both clients; the classes below say how they differ."""

    server = None

    async def test_live_and_ready(self):
        self.assertIs(await self.client.is_server_live(*self.base), True)
        self.assertIs(await self.client.is_server_ready(*self.base), True)
        self.assertIs(await self.client.is_model_ready(*self.base, MODEL), True)

    async def test_answers(self):
        for binary in (False, True):
            for row in range(len(QUERIES)):
                one = slice(row, row + 1)
                found = await self.infer(request(QUERIES[one], binary=binary))
                same(self, self.output(found), one)
            same(self, self.output(await self.infer(request(QUERIES, binary=binary))))

    async def test_gives_back_the_id_and_says_who_answers(self):
        found = await self.infer(request(QUERIES, request_id="an id of mine: 7"))
        self.assertEqual(found.id, "an id of mine: 7")
        self.assertEqual((found.model_name, found.model_version), (MODEL, self.version))

    async def test_takes_parameters(self):
        found = await self.infer(request(QUERIES, parameters={"approximate": "deny"}))
        same(self, self.output(found))
        self.assertIs(self.reconstructed(found), False)

    async def test_takes_the_name_of_the_output(self):
        found = await self.infer(request(QUERIES, request_outputs=[RequestedOutput(OUTPUT)]))
        same(self, self.output(found))

    async def test_refuses_what_does_not_fit(self):
        doubles = InferInput(INPUT, [1, 256], "FP64")
        doubles.set_data_from_numpy(np.ones((1, 256)))
        elsewhere = InferInput("picture", [1, 256], "FP32")
        elsewhere.set_data_from_numpy(QUERIES[:1])
        wrong = {
            "width": (request(QUERIES[:, 1:]), "255"),
            "dimensions": (request(QUERIES[0]), "shape"),
            "datatype": (InferRequest(MODEL, [doubles]), "FP64"),
            "name": (InferRequest(MODEL, [elsewhere]), "picture"),
        }
        for name, (question, word) in wrong.items():
            with self.subTest(name):
                await self.refused(self.invalid, word, self.infer(question))

    async def test_does_not_find_other_models(self):
        question = request(QUERIES, model="other")
        await self.refused(self.missing, "other", self.infer(question))

    @staticmethod
    def output(found):
        (output,) = found.outputs
        assert output.name == OUTPUT, output.name
        return output.as_numpy()


class RestClient(Checks, unittest.IsolatedAsyncioTestCase):
    """`kserve.InferenceRESTClient`"""

    missing = 404
    invalid = 400
    # This client does not read the version.
    version = None

    async def asyncSetUp(self):
        self.client = InferenceRESTClient(RESTConfig(protocol="v2"))
        self.addAsyncCleanup(self.client.close)
        self.base = [f"http://{self.server['http']}"]

    async def infer(self, question):
        return await self.client.infer(*self.base, question, model_name=question.model_name)

    async def refused(self, status, word, pending):
        with self.assertRaises(httpx.HTTPStatusError) as caught:
            await pending
        self.assertEqual(caught.exception.response.status_code, status)
        self.assertIn(word, str(caught.exception))

    @staticmethod
    def reconstructed(found):
        return found.parameters["reconstructed"]

    async def test_other_models_are_not_ready(self):
        self.assertIs(await self.client.is_model_ready(*self.base, "other"), False)

    async def test_answers_in_bytes(self):
        for outputs in (None, [RequestedOutput(OUTPUT, {"binary_data": True})]):
            every = {"binary_data_output": True} if outputs is None else None
            question = request(QUERIES, parameters=every, request_outputs=outputs)
            headers = {}
            found = await self.client.infer(
                *self.base, question, model_name=MODEL, response_headers=headers
            )
            same(self, self.output(found))
            self.assertIn("inference-header-content-length", headers)


class GrpcClient(Checks, unittest.IsolatedAsyncioTestCase):
    """`kserve.InferenceGRPCClient`"""

    missing = grpc.StatusCode.NOT_FOUND
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    version = "1"
    base = ()

    async def asyncSetUp(self):
        self.client = InferenceGRPCClient(self.server["grpc"])
        self.addAsyncCleanup(self.client.close)

    async def infer(self, question):
        return await self.client.infer(question)

    async def refused(self, status, word, pending):
        with self.assertRaises(grpc.RpcError) as caught:
            await pending
        self.assertEqual(caught.exception.code(), status)
        self.assertIn(word, caught.exception.details())

    @staticmethod
    def reconstructed(found):
        return found.parameters["reconstructed"].bool_param

    async def test_other_models_are_not_ready(self):
        self.assertIs(await self.client.is_model_ready("other"), False)


def load_tests(loader, _tests, _pattern):
    """Both clients against every server that is not late."""
    # The client logs every refusal, with its trace.
    logging.disable(logging.ERROR)
    suite = unittest.TestSuite()
    for name in sorted(SERVERS.keys() - {"delayed", "slow"}):
        for case in (RestClient, GrpcClient):
            of_server = type(f"{case.__name__}_{name}", (case,), {"server": SERVERS[name]})
            suite.addTests(loader.loadTestsFromTestCase(of_server))
    return suite


if __name__ == "__main__":
    unittest.main()

"""The perceptron that both servers serve, as MLServer runs it: NumPy, one row at a time."""

import json

import numpy as np
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Perceptron(MLModel):
    async def load(self) -> bool:
        blob = open(self.settings.parameters.uri, "rb").read()
        end = 8 + int.from_bytes(blob[:8], "little")  # safetensors: a header, then the bytes
        tensors = {}
        for name, about in json.loads(blob[8:end]).items():
            first, last = (end + offset for offset in about["data_offsets"])
            values = np.frombuffer(blob[first:last], "<f4").reshape(about["shape"])
            tensors[name] = values
        self.layers = [(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in range(3)]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        tensor = payload.inputs[0]
        x = np.asarray(tensor.data.root, np.float32).reshape(tensor.shape)
        for n, (weight, bias) in enumerate(self.layers):
            x = (np.maximum(x, 0) if n else x) @ weight.T + bias
        output = ResponseOutput(
            name="output", shape=list(x.shape), datatype="FP32", data=x.ravel().tolist()
        )
        return InferenceResponse(model_name=self.name, outputs=[output])

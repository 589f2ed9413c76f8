"""Samples of PyTorch on one thread: CPU milliseconds of a call.

Reads lines `<row> <milliseconds a sample should last>`, and answers each with a line of JSON:
`{variant: {pass: milliseconds a call}}`. Rows that this file does not know give `null`.
"""
import json
import math
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(1)


def variable(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).requires_grad_()


def operator(forward, *inputs):
    def total():
        result = forward()
        torch.autograd.grad(result, inputs, torch.ones_like(result))

    return {"torch": {"forward": forward, "forward+backward": total}}


def elementwise(function, *shape):
    x = variable(*shape)
    return operator(lambda: function(x), x)


def cross_entropy(classes):
    logits, labels = variable(1024, classes), torch.randint(classes, (1024,))
    return operator(lambda: F.cross_entropy(logits, labels), logits)


def layer_norm():
    x, weight, bias = variable(1024, 256), variable(256), variable(256)
    return operator(lambda: F.layer_norm(x, (256,), weight, bias, 1e-5), x, weight, bias)


def rms_norm():
    x, weight = variable(1024, 256), variable(256)
    return operator(lambda: F.rms_norm(x, (256,), weight, 1e-5), x, weight)


def soft_cross_entropy():
    logits, targets = variable(1024, 1000), torch.randn(1024, 1000).softmax(-1)
    return operator(lambda: F.cross_entropy(logits, targets), logits)


def huber():
    prediction, target = variable(1024, 1024), torch.randn(1024, 1024)
    return operator(lambda: F.huber_loss(prediction, target), prediction)


def embedding():
    ids, table = torch.randint(8192, (4096,)), variable(8192, 256)
    return operator(lambda: F.embedding(ids, table), table)


def linear(rows, inputs, outputs):
    x, weight, bias = variable(rows, inputs), variable(outputs, inputs), variable(outputs)
    return operator(lambda: F.linear(x, weight, bias), x, weight, bias)


def attention(batch, heads, length, width, causal):
    q, k, v = (variable(batch, heads, length, width) for _ in range(3))

    def fused():
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    hidden = torch.ones(length, length, dtype=torch.bool).triu(1) if causal else None

    def eager():
        scores = q @ k.transpose(-2, -1) * width**-0.5
        if causal:
            scores = scores.masked_fill(hidden, -math.inf)
        return scores.softmax(-1) @ v

    return {
        "eager": operator(eager, q, k, v)["torch"],
        "sdpa": operator(fused, q, k, v)["torch"],
    }


def self_attention(batch, heads, length, width):
    """From queries, keys and values in one tensor to the means of all heads in one tensor."""
    qkv = variable(batch, length, 3 * heads * width)

    def forward():
        parts = qkv.split(heads * width, 2)
        q, k, v = (p.view(batch, length, heads, width).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y.transpose(1, 2).reshape(batch, length, heads * width)

    return operator(forward, qkv)


def cell(gates):
    """One step of a recurrent cell with 64 hidden numbers for a batch of 256, after its products."""
    n, h = 256, 64
    x, hidden, state = variable(n, gates * h), variable(n, gates * h), variable(n, h)

    def lstm():
        i, f, g, o = x.chunk(4, 1)
        c = f.sigmoid() * state + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh()

    def gru():
        r_x, z_x, n_x = x.chunk(3, 1)
        r_h, z_h, n_h = hidden.chunk(3, 1)
        z = (z_x + z_h).sigmoid()
        candidate = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
        return candidate + z * (state - candidate)

    return operator(lstm, x, state) if gates == 4 else operator(gru, x, hidden, state)


def optimizer(kind, **options):
    variants = {}
    for name in ("single", "foreach", "fused"):
        # As many numbers as the reference GPT has, in tensors of its usual size.
        parameters = [variable(256, 1024) for _ in range(6)] + [variable(256) for _ in range(20)]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        form = {"foreach": name == "foreach"} | ({"fused": True} if name == "fused" else {})
        try:
            step = kind(parameters, lr=1e-3, **form, **options).step
            step()
        except (TypeError, RuntimeError):
            # Not every optimizer has a fused form on the CPU.
            continue
        variants[name] = {"step": step}
    return variants


def convolution(shape, kernel, stride=1, normalized=False, groups=1):
    outputs, flat = shape[1], len(shape) == 4
    layout = torch.channels_last if flat else torch.channels_last_3d
    padding = tuple(k // 2 for k in kernel)
    variants = {}
    for name in ("contiguous", "channels last"):
        x = torch.randn(shape)
        weight = torch.randn(outputs, shape[1] // groups, *kernel) * 0.1
        if name == "channels last":
            x, weight = x.to(memory_format=layout), weight.to(memory_format=layout)
        x.requires_grad_(), weight.requires_grad_()
        scale, shift = variable(outputs), variable(outputs)
        convolve = F.conv2d if flat else F.conv3d

        def forward(x=x, weight=weight, scale=scale, shift=shift):
            y = convolve(x, weight, None, stride, padding, 1, groups)
            return F.batch_norm(y, None, None, scale, shift, True) if normalized else y

        inputs = [x, weight] + ([scale, shift] if normalized else [])
        variants[name] = operator(forward, *inputs)["torch"]
    return variants


def images(function, *vectors):
    """A function of images in both layouts, and of vectors of a number for each channel."""
    variants = {}
    for name, layout in (("contiguous", torch.contiguous_format), ("channels last", torch.channels_last)):
        x = torch.randn(128, 16, 32, 32).to(memory_format=layout).requires_grad_()
        variants[name] = operator(lambda x=x: function(x, *vectors), x, *vectors)["torch"]
    return variants


def batch_norm():
    # Running statistics are updated on both sides.
    mean, variance = torch.zeros(16), torch.ones(16)
    return images(lambda x, w, b: F.batch_norm(x, mean, variance, w, b, True), variable(16), variable(16))


class Block(torch.nn.Module):
    def __init__(self, width, heads, fused):
        super().__init__()
        self.heads, self.fused = heads, fused
        self.first, self.second = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.projection = torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.qkv(self.first(x)).split(width, 2)
        q, k, v = (p.view(batch, length, self.heads, -1).transpose(1, 2) for p in parts)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
            y = scores.masked_fill(hidden, -math.inf).softmax(-1) @ v
        x = x + self.projection(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.second(x))))


class Gpt(torch.nn.Module):
    def __init__(self, fused, vocabulary=65, length=128, width=256, layers=2, heads=4):
        super().__init__()
        self.tokens = torch.nn.Embedding(vocabulary, width)
        self.positions = torch.nn.Embedding(length, width)
        self.blocks = torch.nn.ModuleList(Block(width, heads, fused) for _ in range(layers))
        self.norm = torch.nn.LayerNorm(width)
        self.head = torch.nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def gpt():
    variants = {}
    for name in ("eager", "sdpa"):
        model = Gpt(name == "sdpa")
        adam = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.01)
        ids, labels = torch.randint(65, (8, 128)), torch.randint(65, (1024,))

        def loss(model=model, ids=ids, labels=labels):
            return F.cross_entropy(model(ids).view(1024, 65), labels)

        def both(loss=loss, model=model):
            model.zero_grad()
            loss().backward()

        def step(both=both, model=model, adam=adam):
            both()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()

        variants[name] = {"forward": loss, "forward+backward": both, "step": step}
    return variants


ROWS = {
    "gelu": lambda: elementwise(F.gelu, 2048, 1024),
    "softmax": lambda: elementwise(lambda x: F.softmax(x, -1), 4096, 128),
    "log_softmax": lambda: elementwise(lambda x: F.log_softmax(x, -1), 4096, 128),
    "relu": lambda: elementwise(F.relu, 2048, 1024),
    "dropout": lambda: elementwise(lambda x: F.dropout(x, 0.1), 1024, 1024),
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "cross_entropy 65": lambda: cross_entropy(65),
    "cross_entropy 8192": lambda: cross_entropy(8192),
    "soft_cross_entropy": soft_cross_entropy,
    "huber": huber,
    "embedding": embedding,
    "linear": lambda: linear(1024, 256, 1024),
    "attention": lambda: attention(8, 4, 128, 64, True),
    "attention 512": lambda: attention(2, 4, 512, 64, True),
    "attention all": lambda: attention(8, 4, 128, 64, False),
    "self_attention": lambda: self_attention(8, 4, 128, 64),
    "lstm_cell": lambda: cell(4),
    "gru_cell": lambda: cell(3),
    "adamw": lambda: optimizer(torch.optim.AdamW),
    "sgd": lambda: optimizer(torch.optim.SGD, momentum=0.9),
    "rms_prop": lambda: optimizer(torch.optim.RMSprop),
    "conv2d 16x32": lambda: convolution((128, 16, 32, 32), (3, 3)),
    "conv2d 8x16": lambda: convolution((256, 8, 16, 16), (3, 3)),
    "conv2d 32x16": lambda: convolution((128, 32, 16, 16), (3, 3)),
    "conv2d 64x8": lambda: convolution((128, 64, 8, 8), (3, 3)),
    "conv3d 1x3x3 16": lambda: convolution((16, 16, 8, 32, 32), (1, 3, 3), normalized=True),
    "conv3d 3x1x1 16": lambda: convolution((16, 16, 8, 32, 32), (3, 1, 1), normalized=True),
    "conv3d 1x3x3 8": lambda: convolution((32, 8, 8, 16, 16), (1, 3, 3), normalized=True),
    "conv3d 3x1x1 8": lambda: convolution((32, 8, 8, 16, 16), (3, 1, 1), normalized=True),
    "conv3d 3x3x3": lambda: convolution((16, 16, 8, 32, 32), (3, 3, 3)),
    "depthwise": lambda: convolution((128, 16, 32, 32), (3, 3), groups=16),
    "batch_norm": batch_norm,
    "max_pool": lambda: images(lambda x: F.max_pool2d(x, 3, 2, 1)),
    "avg_pool": lambda: images(lambda x: F.avg_pool2d(x, 3, 2, 1)),
    "global_mean": lambda: images(lambda x: F.adaptive_avg_pool2d(x, 1)),
    "gpt": gpt,
}

current, work = None, None
calls = {}
for line in sys.stdin:
    name, milliseconds = line.rstrip("\n").rsplit(" ", 1)
    if name not in ROWS:
        print("null", flush=True)
        continue
    if name != current:
        current, work, calls = name, ROWS[name](), {}
    answer = {}
    for variant, passes in work.items():
        answer[variant] = {}
        for key, run in passes.items():
            if (variant, key) not in calls:
                run()
                start = time.process_time()
                run()
                once = max(time.process_time() - start, 1e-6)
                calls[variant, key] = max(1, math.ceil(float(milliseconds) / 1e3 / once))
            count = calls[variant, key]
            start = time.process_time()
            for _ in range(count):
                run()
            answer[variant][key] = (time.process_time() - start) * 1e3 / count
    print(json.dumps(answer), flush=True)

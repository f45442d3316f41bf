"""What ``test_cuda_kernels`` runs: each job compares the kernels with the reference on the CPU, or compiles them."""

import sys

import numpy as np
import torch
from small_models import small_checkpoint
from small_texts import small_text

from livesketch import backends
from livesketch.backends import cuda_batch, cuda_fused, cuda_text

DIVISOR, SPREAD = 0.8, 0.9


def opened(checkpoint, size, backend):
    batch = backends.load("reference").open(checkpoint, size) if backend == "reference" else kernels(checkpoint, size)
    condition = checkpoint.z_size + checkpoint.label_size
    for k in range(size):
        if condition:
            batch.condition(k, np.random.default_rng(k).normal(size=condition))
        batch.seat(k, 7, k)
        batch.heat(k, DIVISOR, SPREAD)
    return batch


def kernels(checkpoint, size):
    return cuda_batch.CudaBatch(checkpoint, size, torch.device("cpu"), fused=True)


def same(ours, theirs, near):
    for name in ("component", "pen", "drawing", "step", "ink", "last", "ended"):
        assert (ours[name] == theirs[name]).all(), name
    for name in ("x", "y", "dx", "dy"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=near)


def compare(checkpoint, size, steps, near):
    """Steps, over the ends of drawings; densities of forced rows; steps in one run."""
    ours, theirs = (opened(checkpoint, size, name) for name in ("kernels", "reference"))
    outputs = 3 + 6 * checkpoint.mixtures
    for _ in range(steps):
        same(ours.step(), theirs.step(), near * 1000)
    a, b = np.zeros((2, size, outputs)), np.zeros((2, size, outputs))
    rows = np.array([[3.0, 4.0, 0.0], [1.0, -2.0, 1.0]])
    for batch, density in ((ours, a), (theirs, b)):
        batch.follow(rows, density)
    assert np.abs(a - b).max() < near
    one, other = np.zeros((1, outputs)), np.zeros((1, outputs))
    for batch, density in ((ours, one), (theirs, other)):
        batch.force(0, rows[:1], density)
    assert np.abs(one - other).max() < near
    uniforms = np.random.default_rng(1).random((size, 4))
    same(ours.step(uniforms=uniforms), theirs.step(uniforms=uniforms), near * 1000)
    for came in ours.run(2):
        same(came, theirs.step(), near * 1000)
    looked, plain = (opened(checkpoint, size, "kernels") for _ in range(2))
    assert looked.step(density=a[0]).tobytes() == plain.step().tobytes()


def few():
    """The fused step for a few voices, int16 weights; float32 weights with a condition."""
    compare(small_checkpoint(hidden=4, mixtures=3, max_steps=2), 2, 3, 1e-5)


def many():
    """The matrix product for many voices in fp16: bf16 is not in Triton's interpreter."""
    cuda_batch.product_type = lambda precision, device: torch.float16
    compare(small_checkpoint(hidden=4, mixtures=3, max_steps=3, z_size=2), 2, 3, 1e-2)  # few, in fp16 too
    cuda_fused.FEW = 0
    compare(small_checkpoint(hidden=20, mixtures=3, max_steps=3), 5, 4, 1e-2)
    compare(small_checkpoint(hidden=20, mixtures=3, max_steps=3, z_size=4), 5, 4, 1e-2)


def cells():
    """Other cells, whose sampling alone is a kernel, and conditions with the fused step."""
    from small_models import stored_as

    for cell in ("layer_norm", "hyper"):
        compare(small_checkpoint(cell=cell, hidden=9, mixtures=2, max_steps=4, z_size=3), 3, 6, 1e-5)
    conditioned = small_checkpoint(hidden=9, mixtures=2, max_steps=4, z_size=3)
    compare(conditioned, 2, 6, 1e-5)
    compare(stored_as(conditioned, np.float32), 2, 3, 1e-5)
    cuda_fused.FEW = 0
    compare(conditioned, 35, 3, 1e-5)


def texts():
    """An LSTM's layers and the chance of texts: logits of given tokens, and tokens drawn."""
    for size, labels in ((1, ()), (3, ("a", "b"))):
        checkpoint = small_text(size=9, embedding=7, layers=2, tied=False, labels=labels, ends=0.2)
        tokens, found = np.array([3, 4, 0, 5]), []
        for make in (backends.load("reference").open_text, text_kernels):
            batch, density = make(checkpoint, size), np.zeros((5, len(checkpoint.vocabulary)))
            for k in range(size):
                batch.seat(k, 7, k)
                if labels:
                    batch.condition(k, checkpoint.tensors["label.w"].dense()[k % 2])
            batch.force(size - 1, tokens, density, end=True)
            found.append((density, np.array([batch.step()["token"].copy() for _ in range(6)])))
        assert np.abs(found[0][0] - found[1][0]).max() < 1e-5
        assert (found[0][1] == found[1][1]).all()


def text_kernels(checkpoint, size):
    return cuda_text.CudaTextBatch(checkpoint, size, torch.device("cpu"), fused=True)


def long():
    """Many units and mixtures: tiles that are filled and tiles that are not."""
    compare(small_checkpoint(hidden=130, mixtures=20, max_steps=6), 2, 8, 1e-5)


def compiled():
    """Every kernel as an H200 would run it; a product of matrices must become Hopper's own instruction."""
    from triton import compiler
    from triton.backends.compiler import GPUTarget

    from livesketch.backends import cuda_kernels

    floats = "scales", "rows", "x", "start_x", "cell", "starts", "bias", "given", "head", "token"
    types = dict.fromkeys(floats, "*fp32") | dict.fromkeys(("heat", "facts", "chance"), "*fp64")
    types |= dict.fromkeys(("which", "own", "live", "results"), "*i64")
    types |= dict.fromkeys(
        ("units", "state", "voices", "outputs", "mixtures", "max_steps", "x_step", "start_step"), "i32"
    )
    exact = types | {"weights": "*i16", "hidden": "*fp32", "fresh": "*fp32"}
    fast = types | dict.fromkeys(("weights", "of_x", "hidden", "fresh"), "*bf16")

    def go(name, types, warps, **constants):
        function = getattr(cuda_kernels, name)
        names = function.arg_names
        signature = {each: "constexpr" if each in constants else types[each] for each in names}
        whole = [each for each in names if each not in constants and signature[each][0] == "*"]
        source = compiler.ASTSource(
            fn=function, signature=signature, constexprs={(names.index(k),): v for k, v in constants.items()},
            attrs={(names.index(each),): [["tt.divisibility", 16]] for each in whole},
        )  # fmt: skip
        return compiler.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps}).asm["ptx"]

    for types_of in (exact, fast):
        go("lstm_few", types_of, 4, INPUTS=5, K=576, BK=64, BU=4)
        for act in (0, 1):
            go("head_few", types_of, 8, K=512, BK=16, WIDTH=128, STATE=512, MIXTURES=32, ACT=act)
    go("words", exact | {"out": "*fp64"}, 4, BM=128)
    go("begin_many", fast, 4, BM=4, STATE=512)
    for voices, warps, given in ((1, 1, 0), (1, 1, 1), (32, 4, 0), (32, 4, 1)):
        go("act_many", exact, warps, BM=voices, MIXTURES=32, GIVEN=given)
    # Triton takes an argument that is 1 for a constant.
    go("act_many", exact, 1, BM=1, MIXTURES=16, GIVEN=1, voices=1, mixtures=1)
    go("lstm_few", exact, 4, INPUTS=5, K=64, BK=64, BU=4, units=1, state=1, voices=1)
    ones = {"units": 1, "state": 1, "voices": 1, "mixtures": 1, "max_steps": 1}
    go("head_few", exact, 8, K=16, BK=16, WIDTH=16, STATE=16, MIXTURES=16, ACT=1, **ones)
    for conditioned, units in ((0, 64), (1, 32)):
        ptx = go("lstm_many", fast, 8, K=512, BM=128, BK=64, BU=units, CONDITIONED=conditioned)
        assert "wgmma" in ptx


JOBS = {"few": few, "many": many, "cells": cells, "long": long, "texts": texts, "compile": compiled}

if __name__ == "__main__":
    JOBS[sys.argv[1]]()
    print(f"{sys.argv[1]}: done")

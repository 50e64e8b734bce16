#!/usr/bin/env python3
"""Training steps of a B-MLP as a PyTorch user writes them: the yardstick of scripts/bench; scripts/peer_study.py takes its model and Lion.

Prints one JSON object with samples_per_second: the median over slices of a quarter of a second. The work is that of `sweep-worker bench`:
a random batch gathered from 60,000 examples of 784 bytes and normalised, forward and backward pass, Lion. bf16 is torch.autocast with the
normalisation in single precision."""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

EXAMPLES, INPUTS, CLASSES, EXPANSION = 60000, 784, 10, 4
SLICE_SECONDS = 0.25


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, EXPANSION * width)
        self.contract = nn.Linear(EXPANSION * width, width)

    def forward(self, stream):
        with torch.autocast("cpu", enabled=False):
            normed = self.norm(stream.float())
        return stream + self.contract(functional.gelu(self.expand(normed)))


def bmlp(depth, width):
    return nn.Sequential(nn.Linear(INPUTS, width), *[Block(width) for _ in range(depth)], nn.Linear(width, CLASSES))


class Lion(torch.optim.Optimizer):
    """One call for each operation over all tensors: the fastest form that this interface has."""

    def __init__(self, parameters, lr, beta1=0.9, beta2=0.99, weight_decay=1e-3):
        super().__init__(parameters, {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            parameters = group["params"]
            gradients = [parameter.grad for parameter in parameters]
            momenta = [self.state[parameter].setdefault("m", torch.zeros_like(parameter)) for parameter in parameters]
            updates = torch._foreach_mul(momenta, group["beta1"])
            torch._foreach_add_(updates, gradients, alpha=1 - group["beta1"])
            for update in updates:
                update.sign_()
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])
            torch._foreach_mul_(momenta, group["beta2"])
            torch._foreach_add_(momenta, gradients, alpha=1 - group["beta2"])


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--cpu-time", action="store_true", help="measure processor time")
    return parser.parse_args()


def main():
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = bmlp(arguments.depth, arguments.width)
    optimizer = Lion(model.parameters(), lr=1e-5)
    images = torch.randint(0, 256, (EXAMPLES, INPUTS), dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (EXAMPLES,))

    def step():
        chosen = torch.randint(0, EXAMPLES, (arguments.batch,))
        x = images[chosen].float().div_(255).sub_(0.28).div_(0.35)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arguments.precision == "bf16"):
            logits = model(x)
        functional.cross_entropy(logits.float(), labels[chosen]).backward()
        optimizer.step()

    step()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rates = []
    end = time.perf_counter() + arguments.seconds
    while not rates or time.perf_counter() < end:
        begun, steps = clock(), 0
        while steps == 0 or clock() - begun < SLICE_SECONDS:
            step()
            steps += 1
        rates.append(steps * arguments.batch / (clock() - begun))
    print(json.dumps({"schema_version": 1, "torch": torch.__version__, "samples_per_second": statistics.median(rates)}))


if __name__ == "__main__":
    main()

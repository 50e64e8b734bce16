#!/usr/bin/env python3
"""A study of B-MLPs on Fashion-MNIST as a PyTorch user writes it, without an orchestrator: the yardstick of scripts/bench-study.

usage: peer_study.py RUNS.csv PART PARTS [bf16]

RUNS.csv has the columns depth, width, examples, seed, epochs, batch and lr. Of its runs, dearest first, this process trains each PARTS-th from
PART on, with one thread: Lion, weight decay 0.1, cosine schedule after a warm-up of 5 % of the steps, label smoothing 0.1. Prints a row for each,
with the test error at its end. bf16 is torch.autocast."""
import csv
import gzip
import math
import os
import sys

import numpy
import torch
from torch.nn import functional

from peer_torch import CLASSES, INPUTS, Lion, bmlp

FOLDER = os.path.join(os.environ.get("SWEEPD_DATA") or "/usr/share/datasets", "fashion-mnist")
SMOOTHING, DECAY, WARMUP = 0.1, 0.1, 0.05


def read_bytes(name, header):
    with gzip.open(os.path.join(FOLDER, name)) as file:
        return torch.from_numpy(numpy.frombuffer(file.read(), numpy.uint8)[header:].copy())


def read_set(name):
    images = read_bytes(f"{name}-images-idx3-ubyte.gz", 16).view(-1, INPUTS).float().div_(255)
    return images.sub_(0.286).div_(0.353), read_bytes(f"{name}-labels-idx1-ubyte.gz", 8).long()


def rate(step, steps):
    """The share of the peak rate, of step 0 to steps - 1."""
    warmup = max(1, round(WARMUP * steps))
    return min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * step / steps)) / 2


def train(run, images, labels, half):
    examples, batch, epochs = run["examples"], min(run["batch"], run["examples"]), run["epochs"]
    torch.manual_seed(run["seed"])
    model = bmlp(run["depth"], run["width"])
    optimizer = Lion(model.parameters(), lr=run["lr"], weight_decay=DECAY)
    subset = torch.randperm(len(images))[:examples]
    images, labels = images[subset], labels[subset]
    a_pass = examples // batch
    for step in range(epochs * a_pass):
        if step % a_pass == 0:
            order = torch.randperm(examples)
        chosen = order[step % a_pass * batch:][:batch]
        optimizer.param_groups[0]["lr"] = run["lr"] * rate(step, epochs * a_pass)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            logits = model(images[chosen])
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(logits.float(), labels[chosen], label_smoothing=SMOOTHING).backward()
        optimizer.step()
    return model


def cost(run):
    return (INPUTS * run["width"] + 8 * run["depth"] * run["width"] ** 2 + CLASSES * run["width"]) * run["examples"] * run["epochs"]


def main():
    path, part, parts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    images, labels = read_set("train")
    test_images, test_labels = read_set("t10k")
    with open(path, encoding="utf-8") as file:
        runs = [{key: float(value) if key == "lr" else int(value) for key, value in row.items()} for row in csv.DictReader(file)]
    print("depth,width,examples,seed,test_error")
    for run in sorted(runs, key=cost, reverse=True)[part::parts]:
        model = train(run, images, labels, "bf16" in sys.argv[4:])
        with torch.no_grad():
            wrong = model(test_images).argmax(1) != test_labels
        print(f"{run['depth']},{run['width']},{run['examples']},{run['seed']},{wrong.float().mean().item():.6f}", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""A trainer for sweepd (docs/external-trainers.md): a ResNet-18, a ViT or an MLP-Mixer in PyTorch, scaled by the run's width and depth.

usage: images.py resnet18|vit|mixer

resnet18: width is the channels of the first stage (64 in the paper), depth the blocks of each of the four stages (2 in the paper).
vit:      patches of 4 x 4, width the size of a token, depth the blocks, a head for each 32 of width.
mixer:    patches of 4 x 4, width the size of a token, depth the blocks; tokens are mixed in half of the width, channels in four times it.

Training as the run says: AdamW or SGD, its schedule, label smoothing; what else a run may ask for (augmentation, bf16, dropout, ...) is refused.
Of an order that subset_seed shuffles the first `validation` examples are set apart, and the next `examples` are trained on.
FLOPs are those of convolutions and products, 2 for a multiply-add, backward as twice forward. State is kept at every point, and when the
program is told to stop; train_ metrics are those of the first 2000 examples."""
import json
import math
import os
import signal
import struct
import sys

import torch
from torch import nn
from torch.nn import functional as F

PACK_VERSION = 3
PATCH = 4
TRAIN_MEASURED = 2000


def load_pack(path):
    """(train images, train labels, test images, test labels, mean, deviation) of a packed data set, docs/packed-data.md."""
    raw = torch.from_file(path, shared=False, size=os.path.getsize(path), dtype=torch.uint8)
    head = bytes(raw[:4096].tolist())
    version = struct.unpack_from("<I", head, 8)[0]
    if version != PACK_VERSION:
        refuse(f"{path}: a pack of version {version}; this trainer reads version {PACK_VERSION}")
    classes, train, test = struct.unpack_from("<QQQ", head, 32)
    places = struct.unpack_from("<QQQQ", head, 64)
    height, width, channels = struct.unpack_from("<QQQ", head, 256)
    shape = (channels, height, width)
    moments = (struct.unpack_from("<4f", head, 296)[:channels], struct.unpack_from("<4f", head, 312)[:channels])

    def images(place, count):
        return raw[place:place + count * math.prod(shape)].view(count, *shape)

    def labels(place, count):
        if classes <= 256:
            return raw[place:place + count].long()
        return raw[place:place + 2 * count].view(torch.int16).long() & 0xFFFF

    return (images(places[0], train), labels(places[1], train), images(places[2], test), labels(places[3], test),
            torch.tensor(moments[0]).view(-1, 1, 1), torch.tensor(moments[1]).view(-1, 1, 1))


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                                  nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet18(channels, side, classes, width, depth):
    layers = [nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    inputs = width
    for stage in range(4):
        outputs = width << stage
        for block in range(depth):
            layers.append(Block(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def perceptron(width, hidden):
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.heads = next(heads for heads in range(max(1, width // 32), 0, -1) if width % heads == 0)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.macs = 0  # of the two products without weights, for one example

    def forward(self, x):
        batch, tokens, width = x.shape
        query, key, value = self.mix(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        self.macs = 2 * tokens * tokens * width
        scores = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(width // self.heads), -1)
        return self.out((scores @ value).transpose(1, 2).reshape(batch, tokens, width))


class TokenMixer(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.body = perceptron(tokens, max(1, width // 2))

    def forward(self, x):
        return self.body(x.transpose(1, 2)).transpose(1, 2)


class Tokens(nn.Module):
    """Patches -> blocks that mix tokens, then channels -> the mean token -> logits."""

    def __init__(self, channels, side, classes, width, depth, attention):
        super().__init__()
        tokens = (side // PATCH) ** 2
        self.patches = nn.Conv2d(channels, width, PATCH, PATCH)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, width)) if attention else None
        self.mixers = nn.ModuleList(Attention(width) if attention else TokenMixer(tokens, width) for _ in range(depth))
        self.perceptrons = nn.ModuleList(perceptron(width, 4 * width) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth + 1))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.position is not None:
            x = x + self.position
        for i, (mixer, channels) in enumerate(zip(self.mixers, self.perceptrons)):
            x = x + mixer(self.norms[2 * i](x))
            x = x + channels(self.norms[2 * i + 1](x))
        return self.head(self.norms[-1](x).mean(1))


def make_model(name, channels, side, classes, width, depth):
    if name == "resnet18":
        return resnet18(channels, side, classes, width, depth)
    return Tokens(channels, side, classes, width, depth, name == "vit")


def forward_macs(model, x):
    """Multiply-adds of convolutions and products for one example."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        model(x[:1])
    for hook in hooks:
        hook.remove()
    return total + sum(module.macs for module in model.modules() if isinstance(module, Attention))


def rate(schedule, step, steps):
    """What the peak rate is multiplied by at a step, as sweepd's own trainer does it: the decay runs from the first step to the last, and the
    warm-up multiplies it."""
    share = step / steps
    warm = min(1, (step + 1) / max(1, round(schedule["warmup"] * steps)))
    if schedule["name"] == "cosine":
        return warm * (1 + math.cos(math.pi * share)) / 2
    if schedule["name"] == "linear":
        return warm * (1 - share)
    if schedule["name"] == "wsd":
        return warm * (min(1, (1 - share) / schedule["decay"]) if schedule["decay"] > 0 else 1)
    return warm


def check_settings(spec):
    """What this trainer does not do must not look done."""
    known = {"": {"data", "examples", "model", "resources", "seed", "train", "trainer", "version"}, "data": {"digest", "name", "pack", "subset_seed", "validation"},
             "train": {"batch", "epochs", "evaluations", "label_smoothing", "optimizer", "precision", "schedule"}}
    for part, keys in known.items():
        for key in (spec[part] if part else spec).keys() - keys:
            refuse(f"{part + '.' if part else ''}{key}: this trainer has no such setting")
    if spec["train"].get("precision", "fp32") != "fp32":
        refuse(f"train.precision: {spec['train']['precision']}: this trainer has fp32")


def make_optimizer(model, settings):
    if settings["name"] == "sgd":
        return torch.optim.SGD(model.parameters(), settings["lr"], settings["momentum"], weight_decay=settings["weight_decay"])
    if settings["name"] == "adamw":
        return torch.optim.AdamW(model.parameters(), settings["lr"], (settings["beta1"], settings["beta2"]), settings["epsilon"],
                                 settings["weight_decay"])
    refuse(f"optimizer {settings['name']}: this trainer has adamw and sgd")


def measure(model, images, labels):
    """(loss, error)"""
    model.eval()
    loss = wrong = 0
    with torch.no_grad():
        for i in range(0, len(labels), 500):
            logits = model(images[i:i + 500])
            loss += F.cross_entropy(logits, labels[i:i + 500], reduction="sum").item()
            wrong += (logits.argmax(1) != labels[i:i + 500]).sum().item()
    model.train()
    return loss / len(labels), wrong / len(labels)


def refuse(text):
    print(text, file=sys.stderr)
    sys.exit(78)


def save(path, step, model, optimizer):
    torch.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}, path + ".new")
    os.replace(path + ".new", path)


def load(path, model, optimizer):
    """The step of the state that was kept, or 0."""
    if not os.path.exists(path):
        return 0
    state = torch.load(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return state["step"]


def tell(step, model, parts):
    """A point: the metrics of each part that has examples."""
    point = {"step": step}
    for name, part in parts.items():
        if len(part[1]):
            point[name + "_loss"], point[name + "_error"] = measure(model, *part)
    print(json.dumps(point), flush=True)


def main():
    name = sys.argv[1]
    spec = json.load(open(os.environ["SWEEPD_SPEC"]))
    check_settings(spec)
    train, count, told = spec["train"], spec["examples"], int(os.environ["SWEEPD_STEP"])
    torch.set_num_threads(int(os.environ["SWEEPD_THREADS"]))
    torch.manual_seed(spec["seed"])
    images, labels, test_images, test_labels, mean, deviation = load_pack(os.environ["SWEEPD_DATA"])
    channels, height, width = images.shape[1:]
    if height != width or (name != "resnet18" and height % PATCH):
        refuse(f"images of {width} x {height}: this trainer needs square ones, and for {name} a side that {PATCH} divides")

    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(spec["data"]["subset_seed"]))
    apart = spec["data"]["validation"]

    def part(images, labels):
        return (images.float() / 255 - mean) / deviation, labels

    x, y = part(images[order[apart:apart + count]], labels[order[apart:apart + count]])
    parts = {"test": part(test_images, test_labels), "validation": part(images[order[:apart]], labels[order[:apart]]),
             "train": (x[:TRAIN_MEASURED], y[:TRAIN_MEASURED])}
    model = make_model(name, channels, height, spec["model"]["classes"], spec["model"]["width"], spec["model"]["depth"])
    batch = min(train["batch"], count)
    an_epoch = count // batch
    steps = an_epoch * train["epochs"]
    flops = 6 * forward_macs(model, x) * batch * steps
    print(json.dumps({"params": sum(p.numel() for p in model.parameters()), "flops": flops, "steps": steps}), flush=True)

    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    optimizer = make_optimizer(model, train["optimizer"])
    points = {round(an_epoch * train["epochs"] ** (i / max(1, train["evaluations"] - 1))) for i in range(train["evaluations"] - 1)} | {steps}
    kept = os.path.join(os.environ["SWEEPD_RUN_DIR"], "state.pt")
    done = load(kept, model, optimizer)
    if done == steps > told:  # killed between its state and its last line
        tell(steps, model, parts)
    model.train()
    shuffled = None
    for step in range(done, steps):
        epoch, place = divmod(step, an_epoch)
        if place == 0 or shuffled is None:
            shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(spec["seed"] * 1000003 + epoch))
        chosen = shuffled[place * batch:(place + 1) * batch]
        for group in optimizer.param_groups:
            group["lr"] = train["optimizer"]["lr"] * rate(train["schedule"], step, steps)
        loss = F.cross_entropy(model(x[chosen]), y[chosen], label_smoothing=train["label_smoothing"])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step + 1 in points or stopping:
            save(kept, step + 1, model, optimizer)
        if step + 1 in points or not math.isfinite(loss.item()):
            tell(step + 1, model, parts)
        if stopping and step + 1 < steps:
            sys.exit(143)
    if os.path.exists(kept):
        os.remove(kept)


if __name__ == "__main__":
    main()

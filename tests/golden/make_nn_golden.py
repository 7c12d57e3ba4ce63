"""Writes tests/golden/nn/*: what PyTorch and numpy say that training steps give.

Usage: make_nn_golden.py

training.safetensors   six steps of a small student and its moving average, with each optimizer;
                       tests/unit/test_optimizer.c builds the same networks and compares
simsiam.safetensors    three steps of SimSiam; tests/unit/test_sdk.c
sinkhorn.safetensors   assignments; tests/unit/test_sdk.c
nt_xent.safetensors    SimCLR's loss with gradients, on one rank and on two; tests/unit/test_sdk_parts.c
patches.safetensors    pixels by patch, with gradients; tests/unit/test_sdk_parts.c
schedule.txt           values of schedules; tests/unit/test_schedule.c

Everything is computed in double precision from inputs that single precision holds exactly. Needs
torch; used only to make the dumps again.
"""

import copy
import math
import os

import numpy
import torch
from torch import nn
from torch.nn import functional as F

from make_ops_golden import nhwc, nchw, seed, values, write

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nn")
STEPS, STEPS_PER_EPOCH, BATCH = 6, 2, 5


def schedule(kind, value, end, warmup_start, warmup, gamma, milestones, length, per_epoch):
    """All values of a run, as training scripts write them: linspace, then the rest."""
    rest = length - warmup
    t = numpy.arange(rest)
    if kind == "cosine":
        tail = [end + 0.5 * (value - end) * (1 + math.cos(math.pi * i / rest)) for i in range(rest)]
    elif kind == "linear":
        tail = value + (end - value) * t / rest
    elif kind == "step":
        tail = [value * gamma ** sum(i + warmup >= m * per_epoch for m in milestones)
                for i in range(rest)]
    else:
        tail = numpy.full(rest, value)
    return numpy.concatenate((numpy.linspace(warmup_start, value, warmup), tail))


# --- a small network with its paths ---

class WeightNorm(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(n_out, 1))
        self.weight_v = nn.Parameter(torch.empty(n_out, n_in))

    def forward(self, x):
        return F.linear(x, torch._weight_norm(self.weight_v, self.weight_g, 0))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.dw = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6, bias=False)
        self.bn2 = nn.BatchNorm2d(6)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu6(self.bn2(self.dw(x))).mean((2, 3))


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.GELU(), nn.Linear(10, 4))
        self.proto = WeightNorm(4, 5)

    def forward(self, x):
        return self.proto(self.head(self.backbone(x)))


def fill(module):
    """First values that single precision holds."""
    for parameter in module.parameters():
        near_one = parameter.dim() == 1 or parameter.shape[-1] == 1 and parameter.dim() == 2
        low, high = (0.5, 1.5) if near_one else (-0.5, 0.5)
        parameter.data = values(*parameter.shape, low=low, high=high)


def tensors(prefix, module):
    return {prefix + name: x.float() for name, x in module.state_dict().items()
            if "num_batches" not in name}


class Lars(torch.optim.Optimizer):
    """You et al. 2017 as in the recipes of self-supervised learning."""

    def __init__(self, groups):
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0, "adapt": True})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = p.grad + group["weight_decay"] * p
                p_norm, d_norm = p.norm(), d.norm()
                if group["adapt"] and p_norm > 0 and d_norm > 0:
                    d = d * (0.001 * p_norm / d_norm)
                state = self.state[p]
                state["mu"] = 0.9 * state["mu"] + d if "mu" in state else d.clone()
                p -= group["lr"] * state["mu"]


def optimizer_of(kind, student):
    groups = [{"params": [p], "name": name, "adapt": p.dim() > 1}
              for name, p in student.named_parameters()]
    if kind == "lars":
        return Lars(groups)
    if kind == "adamw":
        # Shifts in front of a batch norm have a gradient of 0 but for rounding; with a tiny eps
        # Adam would make steps of that.
        return torch.optim.AdamW(groups, lr=0.0, eps=1e-2)
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)


def set_rates(optimizer, lr, decay):
    for group in optimizer.param_groups:
        p, in_head = group["params"][0], group["name"].startswith("head.")
        depthwise = p.dim() == 4 and p.shape[1] == 1
        group["lr"] = lr * (0.5 if in_head else 1)
        group["weight_decay"] = 0 if p.dim() <= 1 or depthwise else decay * (2 if in_head else 1)


def clip(kind, student):
    parameters = [p for p in student.parameters() if p.grad is not None]
    norm = torch.sqrt(sum((p.grad ** 2).sum() for p in parameters))
    if kind == "sgd_clip":
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
    if kind == "lars":
        for p in parameters:
            p.grad *= min(1.0, 0.3 / (p.grad.norm().item() + 1e-6))
    return norm


def train(kind, peak, student, x, labels):
    teacher = copy.deepcopy(student)
    optimizer = optimizer_of(kind, student)
    lr = schedule("cosine", peak, peak / 10, 0, STEPS_PER_EPOCH, 0, (), STEPS, STEPS_PER_EPOCH)
    decay = schedule("cosine", 0.01, 0.1, 0, 0, 0, (), STEPS, STEPS_PER_EPOCH)
    momentum = schedule("cosine", 0.9, 1.0, 0, 0, 0, (), STEPS, STEPS_PER_EPOCH)
    out = {"loss": [], "teacher": [], "grad_norm": []}
    for step in range(STEPS):
        set_rates(optimizer, lr[step], decay[step])
        loss = F.cross_entropy(2 * student(nchw(x[step])), labels[step])
        with torch.no_grad():
            out["teacher"].append((teacher(nchw(x[step])) ** 2).mean())
        optimizer.zero_grad()
        loss.backward()
        if step < STEPS_PER_EPOCH:
            for p in student.proto.parameters():
                p.grad = None
        out["grad_norm"].append(clip(kind, student))
        out["loss"].append(loss.detach())
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(teacher.parameters(), student.parameters()):
                p.mul_(momentum[step]).add_(q, alpha=1 - momentum[step])
    found = {f"{kind}/{name}": torch.stack(series) for name, series in out.items()}
    found |= tensors(f"{kind}/student.", student) | tensors(f"{kind}/teacher.", teacher)
    return found


def training():
    seed("training")
    student = Student().double()
    fill(student)
    x = values(STEPS, BATCH, 8, 8, 3)
    labels = torch.randint(0, 5, (STEPS, BATCH))
    found = {"x": x.float(), "labels": labels} | tensors("init/student.", student)
    for kind, peak in (("sgd", 0.1), ("sgd_clip", 0.1), ("lars", 4.0), ("adamw", 0.01)):
        found |= train(kind, peak, copy.deepcopy(student), x, labels)
    write(os.path.join(HERE, "training.safetensors"), found, {})


# --- SimSiam and Sinkhorn ---

class SimSiam(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.encoder.projector = nn.Sequential(
            nn.Linear(8, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(),
            nn.Linear(12, 12, bias=False), nn.BatchNorm1d(12, affine=False))
        self.predictor = nn.Module()
        self.predictor.mlp = nn.Sequential(
            nn.Linear(12, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 12))

    def encode(self, x):
        return self.encoder.projector(F.relu(self.encoder.conv(nchw(x))).mean((2, 3)))


def simsiam():
    seed("simsiam")
    net = SimSiam().double()
    fill(net)
    x = values(3, 2, BATCH, 6, 6, 3)
    found = {"x": x.float()} | tensors("init/", net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(3):
        z = [net.encode(x[step, v]) for v in range(2)]
        p = [net.predictor.mlp(z[v]) for v in range(2)]
        loss = -0.5 * (F.cosine_similarity(p[0], z[1].detach()).mean() +
                       F.cosine_similarity(p[1], z[0].detach()).mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    found |= {"loss": torch.stack(losses)} | tensors("end/", net)
    write(os.path.join(HERE, "simsiam.safetensors"), found, {})


def sinkhorn():
    seed("sinkhorn")
    scores = values(7, 5)
    q = numpy.exp(scores.numpy() / 0.05).T
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(axis=1, keepdims=True)
        q /= q.shape[0]
        q /= q.sum(axis=0, keepdims=True)
        q /= q.shape[1]
    q *= q.shape[1]
    write(os.path.join(HERE, "sinkhorn.safetensors"),
          {"scores": scores.float(), "q": torch.from_numpy(q.T.copy())}, {})


# --- SimCLR's loss and patches ---

def nt_xent(a, b, temperature):
    """Of each of the 2B rows: minus the log-probability of its other view among all other rows."""
    z = F.normalize(torch.cat((a, b)), dim=1)
    scores = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    return F.cross_entropy(scores, torch.arange(len(z)).roll(len(a)), reduction="none")


def nt_xents():
    found = {}
    for name, rows, dim, temperature in (("plain", 4, 6, 0.5), ("sharp", 3, 5, 0.07), ("pair", 1, 4, 0.2)):
        seed("nt_xent " + name)
        a, b = values(rows, dim).requires_grad_(), values(rows, dim).requires_grad_()
        loss = nt_xent(a, b, temperature).mean()
        loss.backward()
        found |= {f"{name}/{key}": x.detach() for key, x in
                  (("a", a.float()), ("b", b.float()), ("loss", loss), ("a.grad", a.grad), ("b.grad", b.grad))}
        found[f"{name}/temperature"] = torch.tensor(temperature, dtype=torch.float64)
        # Two ranks have half of the images each; a rank's loss is the mean over its own rows.
        if rows % 2 == 0:
            each = nt_xent(a, b, temperature).detach().view(2, 2, rows // 2)
            found[f"{name}/rank_losses"] = each.mean((0, 2))
    write(os.path.join(HERE, "nt_xent.safetensors"), found, {})


def patches():
    seed("patches")
    x, weights = values(2, 6, 4, 3).requires_grad_(), values(2, 6, 12)
    columns = F.unfold(nchw(x), 2, stride=2)  # (N, C * side * side, T)
    y = columns.view(2, 3, 4, 6).permute(0, 3, 2, 1).reshape(2, 6, 12)
    (y.square() * weights).sum().backward()
    write(os.path.join(HERE, "patches.safetensors"),
          {"x": x.detach().float(), "weights": weights.float(), "y": y.detach().float(), "x.grad": x.grad}, {})


# --- schedules ---

def schedules():
    """name kind per value end warmup_start warmup_epochs gamma milestones | epochs steps_per_epoch
    | step value ..."""
    rows = []

    def add(name, kind, per, epochs, per_epoch, every, value, end=0.0, start=0.0, warm=0,
            gamma=0.0, milestones=()):
        unit = per_epoch if per == "step" else 1
        table = schedule(kind, value, end, start, warm * unit, gamma, milestones, epochs * unit, unit)
        steps = list(range(0, epochs * per_epoch, every)) + [epochs * per_epoch - 1]
        at = " ".join(f"{s} {table[s if per == 'step' else s // per_epoch]!r}".replace(
            "np.float64(", "").replace(")", "") for s in steps)
        marks = ",".join(map(str, milestones)) or "-"
        rows.append(f"{name} {kind} {per} {value} {end} {start} {warm} {gamma} {marks} "
                    f"{epochs} {per_epoch} {len(steps)} {at}")

    add("sslight_cnn_lr", "cosine", "step", 200, 1251, 4999, 1.92, 0.0048, 0.0, 10)
    add("sslight_swav_lr", "cosine", "step", 200, 1251, 4999, 1.2, 0.0048, 0.075, 10)
    add("dino_vit_decay", "cosine", "step", 200, 1251, 9973, 0.04, 0.4)
    add("dino_momentum", "cosine", "step", 200, 1251, 9973, 0.996, 1.0)
    add("dino_temperature_cnn", "constant", "epoch", 200, 3, 1 * 3, 0.07, 0.0, 0.04, 50)
    add("dino_temperature_vit", "constant", "epoch", 100, 3, 4, 0.07, 0.0, 0.04, 30)
    add("probe_lr", "cosine", "epoch", 100, 3, 7, 0.8, 1e-6)
    add("detector_lr", "step", "step", 9, 11, 3, 0.02, 0.0, 0.0, 0, 0.1, (6, 8))
    add("linear_decay", "linear", "step", 5, 7, 2, 0.2, 0.05, 0.01, 1)
    add("one_step_warmup", "cosine", "step", 3, 1, 1, 1.0, 0.0, 0.25, 1)
    with open(os.path.join(HERE, "schedule.txt"), "w") as f:
        f.write("# made by tests/golden/make_nn_golden.py: " + schedules.__doc__.split("\n")[0])
        f.write(" ...\n" + "\n".join(rows) + "\n")


def main():
    os.makedirs(HERE, exist_ok=True)
    training()
    simsiam()
    sinkhorn()
    nt_xents()
    patches()
    schedules()


if __name__ == "__main__":
    main()

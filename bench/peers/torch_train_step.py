#!/usr/bin/env python3
"""The training step of bench/train_step in PyTorch: DINO with 2 global and 6 local views that are ready
in memory, as a careful user writes it today.

channels_last, autocast, fused scaled-dot-product attention, fused AdamW, multi-tensor EMA, cuDNN's
benchmark mode; --compile adds torch.compile to both networks and the loss. Needs torch; mobilenet_v2
needs torchvision. Times are those of --at-once steps and one wait for the device. Prints one JSON line.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class BasicBlock(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = None
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                                          nn.BatchNorm2d(channels_out))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


class ResNet(nn.Module):
    """ResNet18 or 34 of He et al. 2016, without the classifier."""

    def __init__(self, blocks):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        layers, width = [], 64
        for stage, count in enumerate(blocks):
            for i in range(count):
                out = 64 << stage
                layers.append(BasicBlock(width, out, 2 if i == 0 and stage else 1))
                width = out
        self.layers, self.dim = nn.Sequential(*layers), width

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv(x)), inplace=True), 3, 2, 1)
        return self.layers(x).mean((2, 3))


class VitBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, c))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class VitTiny(nn.Module):
    def __init__(self, dim=192, depth=12, heads=3, patch=16, size=224):
        super().__init__()
        self.dim, self.patch, self.grid = dim, patch, size // patch
        self.embed = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.randn(1, self.grid ** 2 + 1, dim) * 0.02)
        self.blocks = nn.Sequential(*[VitBlock(dim, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x):
        grid = x.shape[-1] // self.patch
        x = self.embed(x).flatten(2).transpose(1, 2)
        position = self.position
        if grid != self.grid:
            p = position[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
            p = F.interpolate(p, size=(grid, grid), mode="bicubic", align_corners=False)
            position = torch.cat((position[:, :1], p.flatten(2).transpose(1, 2)), 1)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), 1) + position
        return self.norm(self.blocks(x))[:, 0]


class DinoHead(nn.Module):
    def __init__(self, dim, out, hidden=2048, bottleneck=256):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
                                 nn.Linear(hidden, bottleneck))
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(bottleneck, out, bias=False))
        self.last.parametrizations.weight.original0.data.fill_(1)
        self.last.parametrizations.weight.original0.requires_grad = False

    def forward(self, x):
        return self.last(F.normalize(self.mlp(x), dim=-1))


class Network(nn.Module):
    def __init__(self, backbone, out):
        super().__init__()
        self.backbone, self.head = backbone, DinoHead(backbone.dim, out)

    def forward(self, groups):
        return self.head(torch.cat([self.backbone(x) for x in groups]))


def make_backbone(name):
    if name == "resnet18":
        return ResNet([2, 2, 2, 2])
    if name == "resnet34":
        return ResNet([3, 4, 6, 3])
    if name == "vit_tiny":
        return VitTiny()
    import torchvision
    model = torchvision.models.mobilenet_v2()
    model.classifier, model.dim = nn.Identity(), 1280
    return model


def dino_loss(student, teacher, center, views, batch):
    """Cross-entropy over all pairs of a teacher's global view and another view of the student."""
    log_p = F.log_softmax(student.float() / 0.1, -1).view(views, batch, -1)
    q = torch.softmax((teacher.float() - center) / 0.04, -1).view(2, batch, -1)
    both = q[0] + q[1]
    total = (log_p[0] * q[1]).sum() + (log_p[1] * q[0]).sum() + (log_p[2:] * both).sum()
    return -total / ((2 * views - 2) * batch)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18",
                        choices=["resnet18", "resnet34", "mobilenet_v2", "vit_tiny"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dtype", default="bf16", choices=["f32", "bf16"])
    parser.add_argument("--outputs", type=int, default=65536)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--device", default="cuda")
    a = parser.parse_args()
    torch.manual_seed(0)
    cuda = a.device == "cuda"
    torch.backends.cudnn.benchmark = not a.deterministic
    if a.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
    student, teacher = (Network(make_backbone(a.model), a.outputs).to(a.device)
                        .to(memory_format=torch.channels_last) for _ in range(2))
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    n_local = 6
    views = 2 + n_local
    global_views = torch.randn(2 * a.batch, 3, 224, 224, device=a.device)
    local_views = torch.randn(n_local * a.batch, 3, 96, 96, device=a.device)
    global_views, local_views = (x.to(memory_format=torch.channels_last)
                                 for x in (global_views, local_views))
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.04, fused=cuda)
    of_student = [p.detach() for p in student.parameters()]
    of_teacher = [p.detach() for p in teacher.parameters()]
    center = torch.zeros(1, a.outputs, device=a.device)
    run_student, run_teacher, loss_of = student, teacher, dino_loss
    if a.compile:
        run_student, run_teacher, loss_of = (torch.compile(f) for f in (student, teacher, dino_loss))

    def step():
        with torch.autocast(a.device, dtype=torch.bfloat16, enabled=a.dtype == "bf16"):
            with torch.no_grad():
                t = run_teacher([global_views])
            s = run_student([global_views, local_views])
        loss = loss_of(s, t, center, views, a.batch)
        center.mul_(0.9).add_(t.float().mean(0, keepdim=True), alpha=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        torch._foreach_lerp_(of_teacher, of_student, 0.004)
        return loss

    def wait():
        if cuda:
            torch.cuda.synchronize()

    started = time.perf_counter()
    for _ in range(5):
        loss = step()
    wait()
    warm = time.perf_counter() - started
    times = []
    for _ in range(a.rounds):
        started = time.perf_counter()
        for _ in range(a.at_once):
            loss = step()
        wait()
        times.append((time.perf_counter() - started) / a.at_once)
    median = statistics.median(times)
    print(json.dumps({
        "bench": "torch_train_step", "torch": torch.__version__, "model": a.model, "batch": a.batch,
        "dtype": a.dtype, "compile": a.compile, "deterministic": a.deterministic,
        "images_per_s": round(a.batch / median, 2), "images_per_s_min": round(a.batch / max(times), 2),
        "images_per_s_max": round(a.batch / min(times), 2), "ms_step": round(median * 1e3, 3),
        "peak_memory_mib": torch.cuda.max_memory_allocated() >> 20 if cuda else None,
        "warm_up_s": round(warm, 1), "loss_last": round(float(loss), 4)}))


main()

"""Writes tests/golden/resnet<depth>.safetensors: what torchvision's ResNet gives in double precision.

Weights, statistics and images come from formula.py; only results are stored. Embeddings and logits
in evaluation and in train mode, the channel means of each stage's map, and two running statistics
after one step in train mode. tests/unit/test_resnet.c compares.

Needs torch and torchvision; used only to make the files again.
"""

import os

import torch
import torchvision

from formula import fill, uniform
from make_ops_golden import HERE, write

IMAGES, SIZE, CLASSES = 8, 64, 10


def outputs(net, x):
    """Embedding, logits, and the channel means of the four stages."""
    y = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    stages = []
    for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
        y = layer(y)
        stages.append(y.mean((2, 3)))
    pooled = torch.flatten(net.avgpool(y), 1)
    return [pooled, net.fc(pooled)] + stages


def main():
    x = uniform("images", (IMAGES, SIZE, SIZE, 3), -2.0, 2.0).permute(0, 3, 1, 2)
    for depth in (18, 34, 50):
        net = getattr(torchvision.models, "resnet%d" % depth)(num_classes=CLASSES).double()
        fill(net)
        tensors = {}
        for mode in ("eval", "train"):
            net.train(mode == "train")
            with torch.no_grad():
                names = ["pooled", "logits", "stage1", "stage2", "stage3", "stage4"]
                for name, y in zip(names, outputs(net, x)):
                    tensors["%s.%s" % (mode, name)] = y
        last = "layer4.%d.bn%d.running_var" % (len(net.layer4) - 1, 3 if depth == 50 else 2)
        for name in ("bn1.running_mean", "layer2.0.downsample.1.running_var", last):
            tensors["after." + name] = net.state_dict()[name]
        tensors = {name: y.float().contiguous() for name, y in tensors.items()}
        path = os.path.join(HERE, "resnet%d.safetensors" % depth)
        write(path, tensors, {"depth": str(depth)})
        print(path, os.path.getsize(path), tensors["eval.pooled"].abs().max().item(),
              tensors["train.pooled"].abs().max().item())


if __name__ == "__main__":
    main()

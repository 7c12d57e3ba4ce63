"""Writes tests/golden/transfer/<library>_<model>.txt: what torchvision and timm call their tensors.

One line a tensor: name, type, shape; sorted by name; networks without a classifier, whose name
stands in the first line. tests/unit/test_exchange.c and tests/runs/transfer.sh compare with what
the backbones of wisp export.

Needs torch, torchvision and timm; used only to make the files again.
"""

import os

import timm
import torch
import torchvision

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {torch.float32: "f32", torch.int64: "i64"}


def write(name, model, classifier):
    path = os.path.join(HERE, "transfer", name + ".txt")
    with open(path, "w") as f:
        f.write("# classifier: %s\n" % classifier)
        for key, x in sorted(model.state_dict().items()):
            if not key.startswith(classifier + "."):
                f.write("%s %s %s\n" % (key, TYPES[x.dtype],
                                        "x".join(map(str, x.shape)) or "scalar"))


def main():
    vision, folder = torchvision.models, os.path.join(HERE, "transfer")
    os.makedirs(folder, exist_ok=True)
    for depth in (18, 34, 50):
        write("torchvision_resnet%d" % depth, getattr(vision, "resnet%d" % depth)(), "fc")
        write("timm_resnet%d" % depth, timm.create_model("resnet%d" % depth), "fc")
    for width, name in ((0.35, "035"), (1.0, "100"), (1.4, "140")):
        write("torchvision_mobilenetv2_" + name, vision.mobilenet_v2(width_mult=width),
              "classifier.1")
        write("timm_mobilenetv2_" + name, timm.create_model("mobilenetv2_" + name), "classifier")
    for size, dim, heads in (("tiny", 192, 3), ("small", 384, 6)):
        write("timm_vit_" + size, timm.create_model("vit_%s_patch16_224" % size), "head")
        write("torchvision_vit_" + size,
              vision.VisionTransformer(image_size=224, patch_size=16, num_layers=12,
                                       num_heads=heads, hidden_dim=dim, mlp_dim=4 * dim),
              "heads.head")


if __name__ == "__main__":
    main()

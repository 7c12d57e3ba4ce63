"""Shows that weights go over to torchvision and timm and back: with the libraries themselves.

Usage: compare_transfer.py BUILD_DIR [WORD]     (only networks that the word is part of)

For each network below: wisp trains it for a step, exports it, the library loads the file with
strict=True and gives the same embeddings; the library's own random weights are imported, and wisp
gives the library's embeddings. Where a probe learned beside, its classifier goes along and gives
the same logits. The largest difference relative to the largest value is printed; above LIMIT the
script fails.

Needs torch, torchvision, timm and safetensors, and so is not part of the test suite; what the suite
compares instead are the names and shapes that make_transfer_names.py wrote.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile

import safetensors.torch
import timm
import torch
import torchvision

LIMIT = 1e-4
HERE = os.path.dirname(os.path.abspath(__file__))
BASE = os.path.join(HERE, "..", "..", "configs", "smoke", "base.toml")

# The experiment that all extend has a small one.
RESNET = "use = \"resnet\"\nwidth = 1.0\nstem = \"imagenet\"\n"

# library, lines of [backbone], pixels of an image
NETWORKS = [
    ("torchvision", RESNET + "depth = 18", 64),
    ("torchvision", RESNET + "depth = 34", 64),
    ("torchvision", RESNET + "depth = 50", 64),
    ("torchvision", RESNET + "depth = 10", 64),
    ("timm", RESNET + "depth = 18", 64),
    ("timm", RESNET + "depth = 50", 64),
    ("torchvision", "use = \"mobilenet_v2\"", 64),
    ("torchvision", "use = \"mobilenet_v2\"\nwidth = 0.5", 64),
    ("torchvision", "use = \"mobilenet_v2\"\nwidth = 1.3", 64),
    ("timm", "use = \"mobilenet_v2\"", 64),
    ("timm", "use = \"mobilenet_v2\"\nwidth = 0.35", 64),
    ("timm", "use = \"mobilenet_v2\"\nwidth = 1.4", 64),
    ("timm", "use = \"vit\"", 224),
    ("timm", "use = \"vit\"\nsize = \"small\"", 224),
    ("timm", "use = \"vit\"\nsize = \"base\"", 224),
    ("timm", "use = \"vit\"\ndim = 96\ndepth = 3\nheads = 3\npatch_size = 8\nimage_size = 32\n"
             "mlp_ratio = 1.4\nqkv_bias = false\nnorm_eps = 1e-5\nmask_token = true", 32),
    ("torchvision", "use = \"vit\"", 224),
    ("torchvision", "use = \"vit\"\nsize = \"base\"", 224),
    ("torchvision", "use = \"vit\"\ndim = 96\ndepth = 3\nheads = 3\npatch_size = 8\n"
                    "image_size = 32\nmlp_ratio = 1.4\nnorm_eps = 1e-5", 32),
]


def difference(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def shaken(model):
    """Statistics and gains of a new network are zeros and ones: a name could be wrong unnoticed."""
    for name, x in model.state_dict().items():
        if name.endswith("running_var"):
            x.uniform_(0.5, 1.5)
        elif x.dim() == 1 and x.is_floating_point():
            x.add_(0.2 * torch.randn_like(x))
    return model.eval()


class Bench:
    def __init__(self, build, folder, library, backbone, size):
        self.build, self.library, self.size = build, library, size
        self.folder = folder
        self.wisp = os.path.join(build, "wisp")
        self.experiment = self.path("exp.toml")
        with open(self.experiment, "w") as f:
            f.write("extends = \"%s\"\n[run]\nout = \"%s\"\nsteps = 1\n"
                    "[backbone]\n%s\n[optimizer]\nuse = \"sgd\"\nlr = 0.01\n"
                    "[[probe]]\nuse = \"linear\"\n[test]\ncount = 16\n"
                    "[sampler]\nglobal = { count = 2, size = 32 }\n"
                    "local = { count = 2, size = 16 }\n"
                    % (BASE, self.path("runs"), backbone))

    def path(self, name):
        return os.path.join(self.folder, name)

    def call(self, *words):
        done = subprocess.run([self.wisp, *words], capture_output=True, text=True)
        if done.returncode:
            sys.exit("wisp %s: %s" % (" ".join(words), done.stderr))
        return done.stdout

    def embed(self, name, images):
        x = images.permute(0, 2, 3, 1).contiguous()
        safetensors.torch.save_file({"images": x}, self.path("images"))
        subprocess.run([os.path.join(self.build, "tests/tools/embedding_dump"),
                        os.path.join(self.build, "plugins"), self.path("runs/%s/0" % name),
                        self.path("images"), self.path("embedding")], check=True)
        return safetensors.torch.load_file(self.path("embedding"))["embedding"]

    def export(self, *words):
        """The model that the printed Python makes, with the exported weights."""
        report = json.loads(self.call("export", self.path("runs/trained/0"), self.path("out"),
                                      "--format", self.library, "--json", *words))
        scope = {"torch": torch, "torchvision": torchvision, "timm": timm, "functools": functools}
        exec("model = " + report["model"], scope)
        if report["headless"]:
            exec(report["headless"], scope)
        model = scope["model"].eval()
        model.load_state_dict(safetensors.torch.load_file(self.path("out")), strict=True)
        return model, report

    def there(self, images):
        """wisp's weights in the library."""
        self.call("run", self.experiment, "run.name=trained")
        stored = safetensors.torch.load_file(
            self.path("runs/trained/0/checkpoints/last.safetensors"))
        here = self.embed("trained", images)
        with torch.no_grad():
            model, report = self.export()
            found = [difference(model(images), here)]
            model, _ = self.export("--classifier", "probe0.classifier")
            logits = here @ stored["probe0.classifier.weight"].T + stored["probe0.classifier.bias"]
            found.append(difference(model(images), logits))
        return found, report

    def back(self, images, report):
        """The library's weights, with a classifier and without, in wisp."""
        found = []
        scope = {"torch": torch, "torchvision": torchvision, "timm": timm, "functools": functools}
        for classes in (7, 0):
            exec("model = " + report["model"].replace("num_classes=0", "num_classes=%d" % classes),
                 scope)
            model = shaken(scope["model"])
            if classes == 0 and report["headless"]:
                exec(report["headless"], scope)
            safetensors.torch.save_file(model.state_dict(), self.path("theirs"))
            self.call("import", self.path("theirs"), self.experiment, "--format", self.library,
                      "run.name=imported%d" % classes)
            here = self.embed("imported%d" % classes, images)
            if classes and report["headless"]:
                exec(report["headless"], scope)
            elif classes:
                model.reset_classifier(0)
            with torch.no_grad():
                found.append(difference(here, model(images)))
        return found


def sslight(build, images):
    """Checkpoints with SSLight's names, through tools/torch_to_safetensors.py."""
    vision = torchvision.models
    resnet, mobile = vision.resnet18(), vision.mobilenet_v2()
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    kinds = [
        ("student", RESNET, resnet, torch.nn.Sequential(*list(resnet.children())[:-2])),
        ("network", "use = \"mobilenet_v2\"", mobile, mobile.features),
        ("encoder_q", "use = \"mobilenet_v2\"", mobile, mobile.features),
        ("student", "use = \"vit\"", vit, None),
    ]
    found = []
    for network, backbone, model, encoder in kinds:
        shaken(model)
        part = {"encoder." + k: v for k, v in encoder.state_dict().items()} if encoder \
            else model.state_dict()
        names = {"module.%s.backbone.%s" % (network, k): v for k, v in part.items()}
        names["module.%s.head.mlp.0.weight" % network] = torch.zeros(4, 4)
        names["module.queue"] = torch.zeros(4, 4)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            bench = Bench(build, folder, "wisp", backbone, 224)
            torch.save({"epoch": 200, "state_dict": names}, bench.path("theirs.pth.tar"))
            subprocess.run([sys.executable, os.path.join(HERE, "../../tools/torch_to_safetensors.py"),
                            bench.path("theirs.pth.tar"), bench.path("theirs"), "--layout",
                            "sslight"], check=True, stdout=subprocess.DEVNULL)
            bench.call("import", bench.path("theirs"), bench.experiment, "--format", "wisp",
                       "run.name=theirs")
            for head in ("fc", "classifier"):
                if hasattr(model, head):
                    setattr(model, head, torch.nn.Identity())
            with torch.no_grad():
                found.append(difference(bench.embed("theirs", images), model(images)))
        print("checkpoint of SSLight, %-12s imported %.1e" % (network, found[-1]))
        sys.stdout.flush()
    return max(found)


def main():
    build = os.path.abspath(sys.argv[1])
    torch.manual_seed(0)
    worst = 0
    for library, backbone, size in NETWORKS:
        if len(sys.argv) > 2 and sys.argv[2] not in library + backbone:
            continue
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            bench = Bench(build, folder, library, backbone, size)
            images = torch.randn(2, 3, size, size)
            there, report = bench.there(images)
            back = bench.back(images, report)
            worst = max(worst, *there, *back)
            line = backbone.replace("\n", " ").replace("use = ", "").replace(" = ", "=")
            line = line.replace(" width=1.0 stem=\"imagenet\"", "")
            print("%-12s %-44s exported %.1e, logits %.1e; imported %.1e, without head %.1e"
                  % (library, line[:44], *there, *back))
            sys.stdout.flush()
    if len(sys.argv) < 3 or sys.argv[2] == "sslight":
        worst = max(worst, sslight(build, torch.randn(2, 3, 224, 224)))
    print("worst %.1e, limit %.0e" % (worst, LIMIT))
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()

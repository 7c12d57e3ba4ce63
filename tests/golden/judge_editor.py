"""Judges `wisp schema` by what editors use: every committed experiment must pass `taplo check` and `tombi lint`,
every planted error must not, and the language server of tombi must offer what is there to be written. By hand:
judge_editor.py SCHEMA.json SOURCE_DIR. Needs Python 3.11, jsonschema, and taplo 0.9 and tombi 1.9 in PATH (both from
PyPI, where taplo comes without its language server)."""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from judge_schema import PLANTED

HEAD = "#:schema ./wisp.schema.json\n#:tombi schema.strict = false\n"
# A text whose end is where the cursor stands, and some of what must be offered there.
OFFERED = [
    ("[", ["run", "method", "sampler", "optimizer"]),
    ("[run]\n", ["epochs", "batch", "precision", "seed"]),
    ("[run]\nprecision = ", ['"f32"', '"bf16"']),
    ("[method]\nuse = ", ['"dino"', '"moco"']),
    ("[method]\nuse = \"dino\"\n", ["out_dim", "teacher_momentum"]),
    ("[sampler]\nuse = \"multicrop\"\n", ["global", "local"]),
]


def passes(command, file):
    return subprocess.run([*command, file.name], cwd=file.parent, capture_output=True).returncode == 0


def judge_files(folder, source):
    wrong = 0
    files = [f for name in ("configs", "plugins") for f in pathlib.Path(source, name).rglob("*.toml")]
    cases = [(str(f), f.read_text(), True) for f in files] + [(text, text, False) for text in PLANTED]
    for command in (["taplo", "check"], ["tombi", "lint", "--offline"]):
        for what, text, is_good in cases:
            file = folder / "case.toml"
            file.write_text(HEAD + text + "\n")
            if passes(command, file) != is_good:
                print(f"{command[0]} {'refuses' if is_good else 'takes'}: {what}")
                wrong += 1
    print(f"{len(files)} files, {len(PLANTED)} planted errors")
    return wrong


class Server:
    """tombi lsp, asked one thing at a time."""

    def __init__(self, folder):
        self.server = subprocess.Popen(["tombi", "lsp", "--offline"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL)
        self.root, self.n = folder.as_uri(), 0
        self.ask("initialize", {"processId": None, "rootUri": self.root, "capabilities": {},
                                "workspaceFolders": [{"uri": self.root, "name": "x"}]})
        self.send({"method": "initialized", "params": {}})

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0"} | message).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.server.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.server.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self.server.stdout.read(length))

    def ask(self, method, params):
        self.n += 1
        self.send({"id": self.n, "method": method, "params": params})
        while True:
            message = self.receive()
            if message.get("id") == self.n and "method" not in message:
                return message.get("result")
            if "id" in message:  # the server asks
                items = (message.get("params") or {}).get("items", [])
                self.send({"id": message["id"], "result": [None] * len(items) if items else None})

    def offers(self, name, text):
        uri, lines = f"{self.root}/{name}", text.split("\n")
        self.send({"method": "textDocument/didOpen", "params": {"textDocument": {
            "uri": uri, "languageId": "toml", "version": 1, "text": text + "\n"}}})
        time.sleep(1)
        found = self.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": {
            "line": len(lines) - 1, "character": len(lines[-1])}})
        items = found.get("items", []) if isinstance(found, dict) else found or []
        return [item["label"] for item in items]


def judge_server(folder):
    wrong, server = 0, Server(folder)
    for i, (text, wanted) in enumerate(OFFERED):
        offered = server.offers(f"{i}.toml", HEAD + text)
        missing = [word for word in wanted if word not in offered]
        if missing:
            print(f"behind {text!r} tombi does not offer {missing}, but {offered[:20]}")
            wrong += 1
    server.server.kill()
    print(f"{len(OFFERED)} completions")
    return wrong


def main(schema, source):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        (folder / "wisp.schema.json").write_text(pathlib.Path(schema).read_text())
        wrong = judge_files(folder, source) + judge_server(folder)
    print("all as it should be" if wrong == 0 else f"{wrong} wrong")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Judges `wisp schema` by Python's jsonschema (draft 7): every committed experiment must pass, and every
planted error must not. By hand: judge_schema.py SCHEMA.json SOURCE_DIR. Needs Python 3.11 and jsonschema."""
import json
import pathlib
import sys
import tomllib

import jsonschema

PLANTED = [
    '[run]\nepoch = 3',
    '[run]\nepochs = "3"',
    '[run]\nepochs = 0',
    '[run]\nprecision = "f16"',
    '[method]\nuse = "dyno"',
    '[method]\nuse = "dino"\nqueue_length = 5',
    '[method]\nout_dimm = 5',
    '[method]\nuse = "dino"\nout_dim = "64"',
    '[sampler]\nuse = "multicrop"\nglobal = { cuont = 2 }',
    '[sampler]\nuse = "multicrop"\nglobal = { scale = [0.1, 0.5, 1.0] }',
    '[sampler]\nuse = "multicrop"\nglobal = { scale = [0.0, 1.0] }',
    '[optimizer]\nuse = "adam"',
    '[optimizer]\nuse = "sgd"\nmomentum = 1.0',
    '[schedule.lr]\nkind = "cosin"',
    '[task]\nuse = "knn"',
    '[[task]]\nuse = "knn"\nk = 0',
    '[[probe]]\nuse = "nearest"',
    '[smapler]\nuse = "multicrop"',
]


def main(schema_file, source):
    schema = json.loads(pathlib.Path(schema_file).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    judge = jsonschema.Draft7Validator(schema)
    wrong = 0
    files = [f for folder in ("configs", "plugins") for f in pathlib.Path(source, folder).rglob("*.toml")]
    for file in files:
        for error in judge.iter_errors(tomllib.loads(file.read_text())):
            print(f"{file}: {'.'.join(map(str, error.path))}: {error.message[:200]}")
            wrong += 1
    for text in PLANTED:
        if judge.is_valid(tomllib.loads(text)):
            print("passes, but should not:", repr(text))
            wrong += 1
    print(f"{len(files)} experiments and {len(PLANTED)} planted errors: {wrong} wrong verdicts")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

#!/usr/bin/env bash
# same_text.sh GOLDEN MADE TARGET: are both the same? TARGET is what writes GOLDEN anew.
set -euo pipefail
if ! diff -u "$1" "$2"; then
    echo "The public interface is not what ${1##*/} says. A change is meant? Then raise WISP_ABI_MINOR"
    echo "and build the target $3, which writes the file anew."
    exit 1
fi

#!/usr/bin/env bash
# every_op.sh BUILD_FOLDER DTYPE: every operation on the cuda backend against its reference; none may
# be without a kernel.
. "$(dirname "$0")/cuda_kit.sh" "$1"
run 0 ops test "*/*/$2" --backend cuda
tail -n 1 out
tail -n 1 out | grep -q " 0 failed, 0 skipped, 0 without a kernel" || fail "not every operation passed: $(tail -n 1 out)"

#!/usr/bin/env bash
# plugin_symbols_bites.sh BAD [sanitized]: does plugin_symbols.sh find what a plugin must not link, in
# plugins of tests/bad that do?
set -uo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
finds() { # PLUGIN WORDS
    rm -f "$work"/*.so
    cp "$1" "$work/wisp-method-planted.so"
    said=$("$(dirname "$0")/plugin_symbols.sh" "$work" "${@:3}") && { echo "$1 passes"; failed=1; }
    grep -qF "$2" <<<"$said" || { echo "$1: not found as \"$2\": $said"; failed=1; }
}
finds "$1/wisp-method-bad_thread.so" "starts threads of its own: pthread_create" "${@:2}"
if [ "${2:-}" != sanitized ]; then
    finds "$1/wisp-method-bad_two_symbols.so" "exports:"
    finds "$1/wisp-method-bad_unresolved.so" "function_that_is_nowhere"
fi
exit $failed

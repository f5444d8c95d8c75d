# Shared by the scripts in tools/: strict mode, the project's root, interpreters, environments.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

need_cargo() {
    command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"
    command -v cargo >/dev/null ||
        die "cargo is missing: install Rust, for example with https://rustup.rs, then run this again"
}

# oldest_python, newest_python [BELOW]: the path of an interpreter, of a version below 3.14 for example.
oldest_python() { python3 tools/pythons.py | sed -n '1s/^[^ ]* //p'; }
newest_python() { python3 tools/pythons.py "$@" | sed -n '$s/^[^ ]* //p'; }

# venv FOLDER PYTHON REQUIREMENTS...: a virtual environment with these requirement files installed;
# made anew where the interpreter or one of the files has changed since it was made.
venv() {
    local folder=$1 python=$2 file wanted
    shift 2
    wanted=$({ echo "$python"; "$python" -VV; cat "$@"; } | sha256sum)
    [ "$(cat "$folder/.made-from" 2>/dev/null)" = "$wanted" ] && return
    say "environment $folder ($("$python" -V))"
    rm -rf "$folder"
    "$python" -m venv "$folder"
    local options=()
    for file in "$@"; do options+=(-r "$file"); done
    "$folder/bin/python" -m pip install --quiet "${options[@]}"
    echo "$wanted" >"$folder/.made-from"
}

# dev_venv: .venv, with what builds, lints and serves.
dev_venv() {
    venv .venv "$(newest_python)" tools/requirements.txt tests/requirements.txt
}

# install_wheel FOLDER: the wheel that tools/wheel built last, in an environment that has its dependencies.
install_wheel() {
    "$1/bin/python" -m pip install --quiet --force-reinstall --no-deps dist/*.whl
}

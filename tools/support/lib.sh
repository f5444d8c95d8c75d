# Shared by the scripts in tools/: strict mode, the project's root, interpreters, environments.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

[ -w "$root" ] || die "$root cannot be written to by $(id -un): everything is built in it, so clone it elsewhere"

# need_number NAME VALUE: a verb's argument that has to be a whole number is one.
need_number() {
    [[ $2 =~ ^[0-9]+$ ]] || die "$1 has to be a whole number, not '$2'"
}

# need_cargo: a toolchain that can build the project is on PATH, or a sentence says what to do.
need_cargo() {
    local needed found update="install it with https://rustup.rs"
    command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"
    command -v cargo >/dev/null ||
        die "cargo is missing: install Rust, for example with https://rustup.rs, then run this again"
    command -v cc >/dev/null ||
        die "cc is missing, which Rust links with: sudo apt-get install gcc libc6-dev, or its like"
    found=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$found" ] || die "rustc does not run; with rustup: rustup default stable"
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    command -v rustup >/dev/null && update="rustup update"
    [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ] ||
        die "Rust $needed or newer is needed, this is $found: $update"
}

# models: what threads share in the engine, checked by models (crates/flask-caching-engine/tests/models);
# MODEL_RUNS or MODEL_SECONDS say for how long.
models() {
    say "models of what threads share"
    RUST_BACKTRACE=0 cargo test --locked --quiet --package flask-caching-engine --features shuttle --test models
}

# pythons [BELOW]: a line "3.11 /path/to/python" for each version there is, oldest first.
pythons() {
    local python
    for python in python3 python3.{11..30} python; do
        # Debian has names without a program behind them, pyenv has shims of versions that are off.
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null; then
            "$python" tools/support/pythons.py "$@"
            return
        fi
    done
    die "python3 is missing: install CPython 3.11 or newer"
}

# oldest_python, newest_python [BELOW]: the path of an interpreter, of a version below 3.14 for example.
oldest_python() { pythons | sed -n '1s/^[^ ]* //p'; }
newest_python() { pythons "$@" | sed -n '$s/^[^ ]* //p'; }

# venv FOLDER PYTHON REQUIREMENTS...: a virtual environment with these requirement files installed;
# made anew where the interpreter or one of the files has changed since it was made. Requirements that
# are compiled come from compiled_wheels where that has built them.
venv() {
    local folder=$1 python=$2 file wanted options=()
    shift 2
    wanted=$({ echo "$python"; "$python" -VV; cat "$@"; } | sha256sum)
    [ "$(cat "$folder/.made-from" 2>/dev/null)" = "$wanted" ] && return
    say "environment $folder ($("$python" -V))"
    rm -rf "$folder"
    "$python" -m venv "$folder" ||
        die "$python cannot make environments; on Debian: apt-get install python3-venv"
    for file in "$@"; do options+=(-r "$file"); done
    "$folder/bin/python" -m pip install --quiet --find-links "$(wheels_of "$python")" "${options[@]}" ||
        die "$folder: pip cannot install what $* ask for, see above"
    echo "$wanted" >"$folder/.made-from"
}

# wheels_of PYTHON: the folder of the wheels that compiled_wheels builds for this interpreter.
wheels_of() {
    local tag
    tag=$("$1" -c 'import sysconfig; print(sysconfig.get_config_var("SOABI"))')
    mkdir -p "$root/.cache/wheels/$tag"
    echo "$root/.cache/wheels/$tag"
}

# compiled_wheels PYTHON: builds what tests need that has to be compiled; once for an interpreter, not
# once for each environment.
compiled_wheels() {
    local python=$1 requirements=tests/requirements-compiled.txt folder wanted
    folder=$(wheels_of "$python")
    wanted=$({ "$python" -VV; cat "$requirements"; } | sha256sum)
    [ "$(cat "$folder/.made-from" 2>/dev/null)" = "$wanted" ] && return
    say "wheels for $("$python" -V): $(grep -v '^#' "$requirements" | tr '\n' ' ')"
    rm -rf "$folder"
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" -r "$requirements" ||
        die "what $requirements asks for cannot be compiled, see above; tools/support/install-system installs headers"
    rm -rf "$folder/venv"
    echo "$wanted" >"$folder/.made-from"
}

# wheel_of FOLDER: the wheel that was built into it.
wheel_of() {
    local wheels=("$1"/*.whl)
    [ -f "${wheels[0]}" ] || die "there is no wheel in $1: run tools/wheel"
    echo "${wheels[0]}"
}

# install_wheel FOLDER [DIST]: the package, in an environment that has its dependencies; from dist/.
install_wheel() {
    local wheel
    wheel=$(wheel_of "${2:-dist}")
    "$1/bin/python" -m pip install --quiet --force-reinstall --no-deps "$wheel" ||
        die "$wheel does not install into $1, see above"
}

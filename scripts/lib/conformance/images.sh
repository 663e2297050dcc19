#!/usr/bin/env bash
# images.sh KUBERNETES PROGRAMS ETCD : builds the images that the conformance tests start (test/utils/image/manifest.go) by the
# Docker engine at $DOCKER_HOST: nothing is pulled. KUBERNETES is upstream's source, PROGRAMS the directory of what was built of it.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
kubernetes="$1" programs="$2" etcd="$3"
work="$(mktemp -d)"
trap 'rm -r "$work"' EXIT

# image NAME DOCKERFILE FILE... [-- OPTION...] : DOCKERFILE may be - for standard input
image() {
    local name="$1" dockerfile="$2" context="$work/context"
    shift 2
    mkdir "$context"
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        cp -rL "$1" "$context/"
        shift
    done
    [ $# = 0 ] || shift
    if [ "$dockerfile" = - ]; then cat; else cat "$here/$dockerfile"; fi >"$context/Dockerfile"
    # it always says that its protocol is the older one
    docker build --quiet "$@" --tag "$name" "$context" >"$work/said" 2>&1 || {
        cat "$work/said" >&2
        return 1
    }
    rm -r "$context"
    echo "$name"
}

# copy_programs ROOT PROGRAM... : with the libraries that they are linked with
copy_programs() {
    local root="$1" program library
    shift
    for program in "$@"; do
        install -D -m 755 "$program" "$root/bin/$(basename "$program")"
        # of a static one none are told
        for library in $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true); do
            install -D -m 755 "$library" "$root$library"
        done
    done
}

# base_root ROOT : busybox, and before it what the tests want of a larger one
base_root() {
    local root="$1" name paths=()
    mkdir -p "$root"/{bin,etc,home,mnt,opt,proc,dev,root,run,sbin,sys,usr/bin,usr/sbin,usr/local/bin,var}
    mkdir -m 1777 "$root/tmp"
    echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
    echo nobody:x:65534:65534::/:/bin/sh >>"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    for name in bash busybox curl dig nslookup getent ip ss ipcs ipcmk nc.openbsd; do
        paths+=("$(command -v "$name")")
    done
    copy_programs "$root" "${paths[@]}" "$etcd"
    rm "$root/bin/etcd"
    mv "$root/bin/nc.openbsd" "$root/bin/nc"
    cp "$here/wget" "$root/bin/wget"
    ln -s bash "$root/bin/sh"
    for name in $("$root/bin/busybox" --list); do
        [ -e "$root/bin/$name" ] || ln -s busybox "$root/bin/$name"
    done
}

old=gcr.io/kubernetes-e2e-test-images
base_root "$work/root"
tar -C "$work/root" --owner 0 --group 0 -cf "$work/root.tar" .
image conformance/base:1 Dockerfile.base "$work/root.tar"

porter="$kubernetes/test/images/agnhost/porter"
image k8s.gcr.io/e2e-test-images/agnhost:2.21 Dockerfile.agnhost "$programs/agnhost" "$porter"/localhost.{crt,key}
for picture in nautilus kitten; do
    image $old/$picture:1.0 Dockerfile.page "$kubernetes/test/images/$picture/html" -- --build-arg PICTURE=$picture
done
image docker.io/library/busybox:1.29 - <<<'FROM conformance/base:1
RUN ln -sf busybox /bin/sh'
for name in jessie-dnsutils ipc-utils; do
    image $old/$name:1.0 - <<<'FROM conformance/base:1'
done
image $old/nonroot:1.0 - <<<'FROM conformance/base:1
USER 1234'
image $old/nonewprivs:1.0 Dockerfile.nonewprivs "$programs/nnp"
for version in httpd:2.4.38-alpine httpd:2.4.39-alpine nginx:1.14-alpine nginx:1.15-alpine; do
    site=/usr/local/apache2/htdocs
    [[ $version != nginx* ]] || site=/usr/share/nginx/html
    image docker.io/library/$version Dockerfile.web "$here/serve" -- --build-arg VERSION=$version --build-arg SITE=$site
done
image k8s.gcr.io/pause:3.2 - "$programs/pause" <<<'FROM scratch
COPY pause /pause
ENTRYPOINT ["/pause"]'
image $old/sample-apiserver:1.17 - "$programs/sample-apiserver" <<<'FROM conformance/base:1
COPY sample-apiserver /sample-apiserver
ENTRYPOINT ["/sample-apiserver"]'
image k8s.gcr.io/etcd:3.4.13-0 - "$etcd" <<<'FROM conformance/base:1
COPY etcd /usr/local/bin/etcd
CMD ["etcd"]'

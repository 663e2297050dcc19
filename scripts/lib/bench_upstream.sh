#!/usr/bin/env bash
# bench_upstream.sh DIRECTORY : measures upstream's API server with an etcd of its own; what it measured (JSON) is in DIRECTORY.
# Called by scripts/bench in a network namespace of its own, with $kube_apiserver and $etcd.
#
# Neither has a controller beside it: nothing but the API is measured. etcd is spoken to without TLS, and its one member waits for
# nobody but the disk: both are to upstream's advantage.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
out="$1"
# where the state of a cluster would be: /tmp may be memory, on which nobody waits for the disk
work="$(mktemp -d -p /var/lib)"
pids=()
patience=120 # seconds

# finish : both programs end before their data does
finish() {
    local pid
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -r "$work"
}

# until_ready NAME COMMAND... : or the last lines of NAME's log
until_ready() {
    local name="$1" i
    shift
    for ((i = 0; i < patience * 10; i++)); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    echo "$name is not ready after $patience s:" >&2
    tail -5 "$work/$name.log" >&2
    return 1
}

trap finish EXIT
ip link set lo up
# one certificate is the authority, the server's, the administrator's, and its key signs tokens
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /O=system:masters/CN=bench \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null

"$etcd" --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 >"$work/etcd.log" 2>&1 &
pids+=($!)
until_ready etcd bash -c '>/dev/tcp/127.0.0.1/2379'

# it makes no Secrets with tokens for accounts, as the plug-in ServiceAccount wants them: there is no controller
"$kube_apiserver" --etcd-servers http://127.0.0.1:2379 --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port 6443 \
    --client-ca-file "$work/cert.pem" --tls-cert-file "$work/cert.pem" --tls-private-key-file "$work/key.pem" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$work/cert.pem" \
    --service-account-signing-key-file "$work/key.pem" --service-cluster-ip-range 10.96.0.0/16 --authorization-mode Node,RBAC \
    --disable-admission-plugins ServiceAccount >"$work/kube-apiserver.log" 2>&1 &
# the first to end
pids=($! "${pids[@]}")

kubectl config --kubeconfig "$work/kubeconfig" set-cluster bench --server https://127.0.0.1:6443 \
    --certificate-authority "$work/cert.pem" --embed-certs >/dev/null
kubectl config --kubeconfig "$work/kubeconfig" set-credentials bench --client-certificate "$work/cert.pem" \
    --client-key "$work/key.pem" --embed-certs >/dev/null
kubectl config --kubeconfig "$work/kubeconfig" set-context bench --cluster bench --user bench >/dev/null
kubectl config --kubeconfig "$work/kubeconfig" use-context bench >/dev/null
until_ready kube-apiserver kubectl --kubeconfig "$work/kubeconfig" get --raw /readyz

# first what compares memory: the other leaves objects, which nobody removes with their namespace
python3 "$here/bench_growth.py" "$work/kubeconfig" "${pids[@]}" >"$out/growth.json"
python3 "$here/bench_api.py" "$work/kubeconfig" >"$out/api.json"

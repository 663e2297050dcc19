#!/usr/bin/env bash
# run.sh : the tests on a new cluster, which is deleted at the end. Called by scripts/conformance, in network and mount namespaces of
# its own, with $monopod, $kubectl, $docker, $etcd, $kubernetes, $programs, $out and $only.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
profile=conformance
home="$(mktemp -d)"
export HOME="$home" KUBECONFIG="$home/config" PATH="$(dirname "$docker"):$PATH"
# the client needs no plugin for the older protocol
export DOCKER_HOST="unix:///run/monopod/$profile/docker.sock" DOCKER_BUILDKIT=0

# lan : an address for the node and a way out of it, which ends at the neighbour
lan() {
    local ready
    coproc NEIGHBOUR { exec unshare --net sh -c 'echo ready && exec sleep infinity'; }
    neighbour=$NEIGHBOUR_PID
    read -r ready <&"${NEIGHBOUR[0]}"
    [ "$ready" = ready ]
    ip link set lo up
    ip link add lan type veth peer name lan netns "$neighbour"
    ip address add 203.0.113.1/24 dev lan
    ip link set lan up
    nsenter --net --target "$neighbour" -- sh -c \
        'ip link set lo up && ip address add 203.0.113.2/24 dev lan && ip link set lan up'
    ip route add default via 203.0.113.2
}

# finish : whatever was started ends
finish() {
    "$monopod" -p $profile delete >/dev/null 2>&1 || true
    [ -z "${tokens:-}" ] || kill "$tokens" || true
    [ -z "${neighbour:-}" ] || kill "$neighbour" || true
    rm -r "$home"
}

# shard NAME FOCUS [SKIP] : a part of the suite; its log and its report (JUnit) are in $out/NAME. Whether its tests passed the
# report says.
shard() {
    local name="$1" at="$out/$1"
    mkdir -p "$at"
    (
        cd "$at"
        "$programs/e2e.test" --provider=skeleton --kubeconfig="$KUBECONFIG" --repo-root="$kubernetes" --kubectl-path="$kubectl" \
            --ginkgo.focus="$2" ${3:+--ginkgo.skip="$3"} --ginkgo.noColor --ginkgo.slowSpecThreshold=600 \
            -report-dir="$at" -report-prefix="${name}_" -e2e-output-dir="$at" --num-nodes=1 --allowed-not-ready-nodes=0 \
            --minStartupPods=0 --delete-namespace-on-failure=true --disable-log-dump >log 2>&1 || true
    )
    echo "$name: $(grep -E '^(FAIL|SUCCESS)!' "$at/log" | tail -1 || true)"
}

trap finish EXIT
lan
"$monopod" -p $profile start --daemon-memory 4Gi
"$here/images.sh" "$kubernetes" "$programs" "$etcd"
python3 "$here/tokens.py" "$kubectl" >"$out/tokens.log" 2>&1 &
tokens=$!

# of a test that names two of them, one shard's
conformance='.*\[Conformance\]' serial='\[Serial\]' elsewhere='\[sig-(storage|cli|apps)\]'
if [ -n "$only" ]; then
    shard only "$only"
    exit
fi
# as many beside each other as a machine of two cores carries within the tests' own time limits
beside=()
shard machinery "\[sig-api-machinery\]$conformance" "$serial" & beside+=($!)
shard apps "\[sig-(apps|scheduling|auth|instrumentation)\]$conformance" "$serial" & beside+=($!)
shard cli "\[sig-cli\]$conformance" "$serial" & beside+=($!)
shard node-a "\[k8s\.io\] [A-L]$conformance" "$serial|$elsewhere" & beside+=($!)
shard node-b "\[k8s\.io\] [^A-L]$conformance|\[sig-node\]$conformance" "$serial|$elsewhere|\[k8s\.io\] [A-L]" & beside+=($!)
wait "${beside[@]}"
beside=()
shard network "\[sig-network\]$conformance" "$serial" & beside+=($!)
shard storage "\[sig-storage\]$conformance" "$serial" & beside+=($!)
wait "${beside[@]}"
# these change the node, and are alone
shard serial "$serial$conformance"

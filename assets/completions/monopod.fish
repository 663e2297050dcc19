# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_monopod_global_optspecs
    string join \n p/profile= h/help V/version
end

function __fish_monopod_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_monopod_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_monopod_using_subcommand
    set -l cmd (__fish_monopod_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c monopod -n "__fish_monopod_needs_command" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_needs_command" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_needs_command" -s V -l version -d 'Print version'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "start" -d 'Start the cluster, and point kubectl at it'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "stop" -d 'Stop the cluster; everything is there again after the next start'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "pause" -d 'Hold pods where they are, by the freezer, until `unpause` or the next `start`'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "unpause" -d 'Let them go on'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "status" -d 'Say whether the cluster runs (exit code 0), is stopped (3), broken (4) or paused (5)'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "delete" -d 'Remove the cluster and everything that it made'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "service" -d 'Print where a service can be reached, and open it'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "dashboard" -d 'Open the dashboard'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "demo" -d 'Take the tour: a ReplicationController, a service with an address, three pods, one replaced'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "docker-env" -d 'Print what points the docker command at this cluster: `eval $(monopod docker-env)`'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "image" -d 'Manage the images that pods and containers are made of'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "addons" -d 'Apply, remember and remove manifests of your own'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "datastore" -d 'Move the cluster\'s state into an etcd cluster, or back into a file'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "kubectl" -d 'Run the kubectl of the PATH with this cluster\'s context: `monopod kubectl get pods`'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "ip" -d 'Print the node\'s address'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "logs" -d 'Print what the daemon said'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "update-context" -d 'Put the cluster\'s context into the kubeconfig again'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "check" -d 'Look at this machine, and say what is missing and how to get it; ends with 0 where a cluster can be started'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "upgrade" -d 'Put a new program into the place of this one, under running pods'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "version" -d 'Print the version'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "completion" -d 'Print a completion script for a shell'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "shim" -d 'The process beside each pod; the daemon starts it'
complete -c monopod -n "__fish_monopod_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand start" -l apiserver-port -d 'The API server\'s port; chosen at the first start, 8443 where it is free' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l apiserver-name -d 'A name or an address that the API server\'s certificate holds beside this machine\'s own, for clients that come by it; kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l insecure-registry -d 'A registry (host or host:port) that may speak plain HTTP, or HTTPS with a certificate that nobody vouches for, or a network (10.0.0.0/24) of such registries; kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l registry-mirror -d 'Ask this registry before docker.io; kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l docker-socket -d 'Also listen for docker at PATH, or with "standard" at /var/run/docker.sock, where every docker command looks; "own" takes that back. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l daemon-memory -d 'What the daemon itself may have of the machine\'s memory (2Gi), so that no fault of its own takes all of it; "default" is half, "unlimited" takes the limit away. Containers are not under it. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l max-pods -d 'How many pods the node takes, 110 at first; kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l audit-policy -d 'Tell of requests to the API in an audit log, as this policy (audit.k8s.io/v1) says; "none" takes that back. The file is read at each start. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l audit-log -d 'Where the audit log is written, a line of JSON for each event; "none" is the profile\'s own directory. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l authentication-config -d 'Believe tokens of these OpenID Connect issuers, and anonymous requests or none (apiserver.config.k8s.io, kind AuthenticationConfiguration); "none" takes that back. The file is read when it changes. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l authorization-config -d 'Ask these whether somebody may do something, in their order: RBAC, webhooks (apiserver.config.k8s.io, kind AuthorizationConfiguration); "none" takes that back. The file is read when it changes. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l encryption-provider-config -d 'Encrypt Secrets, or what else this file names, where they are stored (apiserver.config.k8s.io/v1, kind EncryptionConfiguration). What is stored in another form is written anew by the start; "none" takes the file back, once nothing is encrypted any more. It is read at each start. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l scheduler-config -d 'Place pods by these profiles (kubescheduler.config.k8s.io/v1, kind KubeSchedulerConfiguration); "none" takes that back. The file is read at each start. Kept for later starts' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l datastore-endpoint -d 'Keep the cluster\'s state in an etcd cluster (https://HOST:2379,…) instead of a file of the profile; kept for later starts. A state that is there already is brought along by `monopod datastore copy`' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l datastore-cafile -d 'The authority (PEM) that etcd\'s certificate is of; the machine\'s own authorities without it' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand start" -l datastore-certfile -d 'The certificate (PEM) that etcd is shown' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand start" -l datastore-keyfile -d 'Its key (PEM)' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand start" -l no-kubernetes -d 'Start the Docker half alone, without Kubernetes beside it; kept for later starts, until `--no-kubernetes=false`' -r -f -a "true\t''
false\t''"
complete -c monopod -n "__fish_monopod_using_subcommand start" -l at-boot -d 'Start this profile with the machine from now on, by a systemd unit; `--at-boot=false` takes that back' -r -f -a "true\t''
false\t''"
complete -c monopod -n "__fish_monopod_using_subcommand start" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand start" -l driver -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l container-runtime -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l cpus -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l memory -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l disk-size -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand start" -l foreground -d 'Stay in this terminal instead of going to the background'
complete -c monopod -n "__fish_monopod_using_subcommand start" -l accept-loss -d 'Go on with what is there where the store has lost something that was acknowledged, and say what'
complete -c monopod -n "__fish_monopod_using_subcommand start" -l datastore-take-over -d 'Go on with the state that a profile of the same name on another machine has left in etcd'
complete -c monopod -n "__fish_monopod_using_subcommand start" -l no-kubeconfig -d 'Leave the user\'s kubeconfig alone'
complete -c monopod -n "__fish_monopod_using_subcommand start" -l keep-context -d 'Put the context into the kubeconfig, and keep the current one'
complete -c monopod -n "__fish_monopod_using_subcommand start" -l report -d 'Report each step as a JSON line on standard output: how the daemon talks to the `start` that waits for it'
complete -c monopod -n "__fish_monopod_using_subcommand start" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand stop" -l schedule -d 'Stop after this time (5m, 1h30m) instead of at once; it replaces what was scheduled before' -r
complete -c monopod -n "__fish_monopod_using_subcommand stop" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand stop" -l cancel-scheduled -d 'Take a scheduled stop back'
complete -c monopod -n "__fish_monopod_using_subcommand stop" -l pods -d 'End pods and containers too, as the machine\'s own end would: they are asked to, and have ten seconds for it. The next `start` brings back those that are to run'
complete -c monopod -n "__fish_monopod_using_subcommand stop" -l with-machine -d '`--pods` where the machine goes down, and nothing where it does not: how the unit is stopped'
complete -c monopod -n "__fish_monopod_using_subcommand stop" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand pause" -s n -l namespaces -d 'Only the pods of these namespaces; all without it' -r
complete -c monopod -n "__fish_monopod_using_subcommand pause" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand pause" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand unpause" -s n -l namespaces -d 'Only the pods of these namespaces; all without it' -r
complete -c monopod -n "__fish_monopod_using_subcommand unpause" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand unpause" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand status" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand status" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand status" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand delete" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand delete" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -s n -l namespace -d 'The service\'s namespace' -r
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -l wait -d 'How many seconds to wait until a ready pod stands behind it' -r
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -l url -d 'Print the address alone, one for each port'
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -a "list" -d 'List the services and where they can be reached'
complete -c monopod -n "__fish_monopod_using_subcommand service; and not __fish_seen_subcommand_from list help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand service; and __fish_seen_subcommand_from list" -s n -l namespace -d 'Only this namespace' -r
complete -c monopod -n "__fish_monopod_using_subcommand service; and __fish_seen_subcommand_from list" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand service; and __fish_seen_subcommand_from list" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand service; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the services and where they can be reached'
complete -c monopod -n "__fish_monopod_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand dashboard" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand dashboard" -l url -d 'Print the address instead of opening it'
complete -c monopod -n "__fish_monopod_using_subcommand dashboard" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand demo" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand demo" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand docker-env" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand docker-env" -s u -l unset -d 'Print what takes it back instead'
complete -c monopod -n "__fish_monopod_using_subcommand docker-env" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "pull" -d 'Fetch an image from its registry'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "push" -d 'Send an image to the registry that its name says'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "build" -d 'Build an image from a Dockerfile'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "tag" -d 'Give an image one more name'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "save" -d 'Write images into one docker-archive'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "prune" -d 'Remove images without a name, and what builds keep for the next one'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "load" -d 'Read images from a docker-archive, an OCI archive, or the directory of an OCI layout'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "ls" -d 'List the images'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "rm" -d 'Remove an image\'s name, and with its last name the image'
complete -c monopod -n "__fish_monopod_using_subcommand image; and not __fish_seen_subcommand_from pull push build tag save prune load ls rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from pull" -l platform -d 'For another machine than this one, like linux/arm64' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from pull" -s u -l username -d 'The user at the registry; without, what `docker login` left in ~/.docker/config.json' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from pull" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from pull" -s a -l all-tags -d 'Every tag that the registry has of it'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from pull" -l password-stdin -d 'Read the password from the standard input'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from push" -s u -l username -d 'The user at the registry; without, what `docker login` left in ~/.docker/config.json' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from push" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from push" -s a -l all-tags -d 'Every tag that is here of it'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from push" -l password-stdin -d 'Read the password from the standard input'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from push" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -s t -l tag -d 'Name the image; may be given several times' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -s f -l file -d 'The Dockerfile, `Dockerfile` in the directory where none is named' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l build-arg -d 'Set an ARG: NAME=VALUE, or NAME to take it from the environment' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l label -d 'Give the image a label: NAME=VALUE' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l target -d 'Stop at this stage' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l secret -d 'A file for `RUN --mount=type=secret`: id=NAME,src=FILE' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l ssh -d 'An agent for `RUN --mount=type=ssh`: `default` is the one of SSH_AUTH_SOCK, or id=SOCKET' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l platform -d 'What the image is to run on: os/arch[/variant]' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l network -d 'The network of RUN: default, none or host' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l add-host -d 'A name in /etc/hosts of RUN: NAME:ADDRESS' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l build-context -d 'What FROM and --from mean by a name: NAME=DIRECTORY or NAME=docker-image://IMAGE' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l no-cache -d 'Do every step again'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -l pull -d 'Ask the registry for a newer base image'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Print the image\'s id only'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from tag" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from tag" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from save" -s o -l output -d 'The file' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from save" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from save" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from prune" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from prune" -s a -l all -d 'Also those that have a name and no container'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from load" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from load" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from ls" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from ls" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from rm" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Fetch an image from its registry'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "push" -d 'Send an image to the registry that its name says'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "build" -d 'Build an image from a Dockerfile'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "tag" -d 'Give an image one more name'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "save" -d 'Write images into one docker-archive'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove images without a name, and what builds keep for the next one'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "load" -d 'Read images from a docker-archive, an OCI archive, or the directory of an OCI layout'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List the images'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove an image\'s name, and with its last name the image'
complete -c monopod -n "__fish_monopod_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and not __fish_seen_subcommand_from enable disable list help" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand addons; and not __fish_seen_subcommand_from enable disable list help" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and not __fish_seen_subcommand_from enable disable list help" -f -a "enable" -d 'Apply the manifests of a directory, a file or an http(s) URL, and remember them. Nothing is applied where something is wrong with one of them. `volumesnapshots` comes with the program: the kinds of snapshots, and a class of them'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and not __fish_seen_subcommand_from enable disable list help" -f -a "disable" -d 'Remove what an add-on\'s manifests made'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and not __fish_seen_subcommand_from enable disable list help" -f -a "list" -d 'What is enabled'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and not __fish_seen_subcommand_from enable disable list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from enable" -l name -d 'What it is called; the last part of the path without it' -r
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from enable" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from disable" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from disable" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from list" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from list" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "enable" -d 'Apply the manifests of a directory, a file or an http(s) URL, and remember them. Nothing is applied where something is wrong with one of them. `volumesnapshots` comes with the program: the kinds of snapshots, and a class of them'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "disable" -d 'Remove what an add-on\'s manifests made'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "list" -d 'What is enabled'
complete -c monopod -n "__fish_monopod_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and not __fish_seen_subcommand_from copy help" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and not __fish_seen_subcommand_from copy help" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and not __fish_seen_subcommand_from copy help" -f -a "copy" -d 'Copy the state from one to the other, look whether all of it arrived, and use the copy from then on. The cluster must be stopped. What is copied stays as it is'
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and not __fish_seen_subcommand_from copy help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -l to -d 'The etcd cluster to copy to (https://HOST:2379,…); the profile\'s own file without it' -r
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -l from -d 'The etcd cluster to copy from; what the profile uses now without it' -r
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -l datastore-cafile -d 'The authority (PEM) that etcd\'s certificate is of; the machine\'s own authorities without it' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -l datastore-certfile -d 'The certificate (PEM) that etcd is shown' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -l datastore-keyfile -d 'Its key (PEM)' -r -F
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -l overwrite -d 'Replace what is there already'
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from copy" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from help" -f -a "copy" -d 'Copy the state from one to the other, look whether all of it arrived, and use the copy from then on. The cluster must be stopped. What is copied stays as it is'
complete -c monopod -n "__fish_monopod_using_subcommand datastore; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand kubectl" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand kubectl" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand ip" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand ip" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand logs" -l tail -d 'How many of the last lines to print; all without it' -r
complete -c monopod -n "__fish_monopod_using_subcommand logs" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand logs" -s f -l follow -d 'Go on printing as it is said'
complete -c monopod -n "__fish_monopod_using_subcommand logs" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand update-context" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand update-context" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand check" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand check" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand check" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand upgrade" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand upgrade" -l force -d 'Take it where it is older as well'
complete -c monopod -n "__fish_monopod_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand version" -s o -l output -r -f -a "text\t''
json\t''"
complete -c monopod -n "__fish_monopod_using_subcommand version" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand version" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand completion" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand completion" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand shim" -s p -l profile -d 'Which cluster: everything on disk and in the kernel is named by it' -r
complete -c monopod -n "__fish_monopod_using_subcommand shim" -s h -l help -d 'Print help'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "start" -d 'Start the cluster, and point kubectl at it'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "stop" -d 'Stop the cluster; everything is there again after the next start'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "pause" -d 'Hold pods where they are, by the freezer, until `unpause` or the next `start`'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "unpause" -d 'Let them go on'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "status" -d 'Say whether the cluster runs (exit code 0), is stopped (3), broken (4) or paused (5)'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "delete" -d 'Remove the cluster and everything that it made'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "service" -d 'Print where a service can be reached, and open it'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "dashboard" -d 'Open the dashboard'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "demo" -d 'Take the tour: a ReplicationController, a service with an address, three pods, one replaced'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "docker-env" -d 'Print what points the docker command at this cluster: `eval $(monopod docker-env)`'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "image" -d 'Manage the images that pods and containers are made of'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "addons" -d 'Apply, remember and remove manifests of your own'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "datastore" -d 'Move the cluster\'s state into an etcd cluster, or back into a file'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "kubectl" -d 'Run the kubectl of the PATH with this cluster\'s context: `monopod kubectl get pods`'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "ip" -d 'Print the node\'s address'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "logs" -d 'Print what the daemon said'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "update-context" -d 'Put the cluster\'s context into the kubeconfig again'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "check" -d 'Look at this machine, and say what is missing and how to get it; ends with 0 where a cluster can be started'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "upgrade" -d 'Put a new program into the place of this one, under running pods'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "version" -d 'Print the version'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "completion" -d 'Print a completion script for a shell'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "shim" -d 'The process beside each pod; the daemon starts it'
complete -c monopod -n "__fish_monopod_using_subcommand help; and not __fish_seen_subcommand_from start stop pause unpause status delete service dashboard demo docker-env image addons datastore kubectl ip logs update-context check upgrade version completion shim help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "list" -d 'List the services and where they can be reached'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "pull" -d 'Fetch an image from its registry'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "push" -d 'Send an image to the registry that its name says'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "build" -d 'Build an image from a Dockerfile'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "tag" -d 'Give an image one more name'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "save" -d 'Write images into one docker-archive'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "prune" -d 'Remove images without a name, and what builds keep for the next one'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "load" -d 'Read images from a docker-archive, an OCI archive, or the directory of an OCI layout'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "ls" -d 'List the images'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "rm" -d 'Remove an image\'s name, and with its last name the image'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "enable" -d 'Apply the manifests of a directory, a file or an http(s) URL, and remember them. Nothing is applied where something is wrong with one of them. `volumesnapshots` comes with the program: the kinds of snapshots, and a class of them'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "disable" -d 'Remove what an add-on\'s manifests made'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "list" -d 'What is enabled'
complete -c monopod -n "__fish_monopod_using_subcommand help; and __fish_seen_subcommand_from datastore" -f -a "copy" -d 'Copy the state from one to the other, look whether all of it arrived, and use the copy from then on. The cluster must be stopped. What is copied stays as it is'

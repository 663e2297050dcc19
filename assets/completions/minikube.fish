# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_minikube_global_optspecs
    string join \n p/profile= alsologtostderr= logtostderr= log_file= log_dir= log_file_max_size= log_backtrace_at= add_dir_header= one_output= skip_headers= skip_log_headers= stderrthreshold= v/v= vmodule= user= skip-audit= rootless= interactive= b/bootstrapper= h/help
end

function __fish_minikube_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_minikube_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_minikube_using_subcommand
    set -l cmd (__fish_minikube_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c minikube -n "__fish_minikube_needs_command" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_needs_command" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_needs_command" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_needs_command" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_needs_command" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_needs_command" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_needs_command" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_needs_command" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_needs_command" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "start" -d 'Starts a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "status" -d 'Gets the status of a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "stop" -d 'Stops a running local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "delete" -d 'Deletes a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "dashboard" -d 'Access the Kubernetes dashboard running within the minikube cluster'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "service" -d 'Returns a URL to connect to a service'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "tunnel" -d 'Connect to LoadBalancer services'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "profile" -d 'Get or list the current profiles (clusters)'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "config" -d 'Modify persistent configuration values'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "addons" -d 'Enable or disable a minikube addon'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "docker-env" -d 'Provides instructions to point your terminal\'s docker-cli to the Docker Engine inside minikube'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "podman-env" -d 'Configure environment to use minikube\'s Podman service'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "image" -d 'Manage images'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "cache" -d 'Manage cache for images'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "kubectl" -d 'Run a kubectl binary matching the cluster version'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "ssh" -d 'Log into the minikube environment'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "ssh-key" -d 'Retrieve the ssh identity key path of the specified node'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "ssh-host" -d 'Retrieve the ssh host key of the specified node'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "cp" -d 'Copy the specified file into minikube'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "mount" -d 'Mounts the specified directory into minikube'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "ip" -d 'Retrieves the IP address of the specified node'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "node" -d 'Add, remove, or list additional nodes'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "logs" -d 'Returns logs to debug a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "pause" -d 'pause Kubernetes'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "unpause" -d 'unpause Kubernetes'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "update-context" -d 'Update kubeconfig in case of an IP or port change'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "update-check" -d 'Print current and latest version number'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "version" -d 'Print the version of minikube'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "license" -d 'Outputs the licenses of dependencies to a directory'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "options" -d 'Show a list of global command-line options (applies to all commands)'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "completion" -d 'Generate command completion for a shell'
complete -c minikube -n "__fish_minikube_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand start" -l addons -d 'Enable addons. see `minikube addons list` for a list of valid addon names' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l apiserver-ips -d 'Addresses that the apiserver\'s certificate holds beside this machine\'s own' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l apiserver-name -d 'A name that the apiserver\'s certificate holds beside this machine\'s own' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l apiserver-names -d 'Names that the apiserver\'s certificate holds beside this machine\'s own' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l apiserver-port -d 'The apiserver listening port' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l auto-pause-interval -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l auto-update-drivers -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l base-image -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l binary-mirror -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l cache-images -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l cert-expiration -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l cni -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s c -l container-runtime -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l cpus -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l cri-socket -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l delete-on-failure -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l disable-coredns-log -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l disable-driver-mounts -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l disable-metrics -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l disable-optimizations -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l disk-size -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l dns-domain -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l dns-proxy -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l docker-env -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l docker-opt -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l download-only -d 'Says that there is nothing to download, and stops there' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l driver -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l dry-run -d 'Checks what was typed, and changes nothing' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l embed-certs -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l enable-default-cni -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l extra-config -d 'kubelet.max-pods=N: how many pods the node takes' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l extra-disks -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l feature-gates -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l force -d 'Go on where minikube refuses a size of the machine' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l force-systemd -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s g -l gpus -d 'Only `none`: devices are not given to pods yet' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l ha -d 'Refused: there is one control plane' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l host-dns-resolver -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l host-only-cidr -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l host-only-nic-type -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l hyperkit-vpnkit-sock -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l hyperkit-vsock-ports -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l hyperv-external-adapter -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l hyperv-use-external-switch -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l hyperv-virtual-switch -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l image-mirror-country -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l image-repository -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l insecure-registry -d 'Registries that may speak plain HTTP or have a certificate that nobody vouches for' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l install-addons -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l iso-url -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l keep-context -d 'Keep the current kubectl context, and put the new one beside it' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l kubernetes-version -d 'The version that is served, `stable` or `latest`; another minor one is refused' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l kvm-gpu -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l kvm-hidden -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l kvm-network -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l kvm-numa-count -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l kvm-qemu-uri -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l listen-address -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l memory -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-9p-version -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-gid -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-ip -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-msize -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-options -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-port -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-string -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-type -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l mount-uid -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l namespace -d 'The namespace that kubectl is pointed at' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l nat-nic-type -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l native-ssh -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l network -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l network-plugin -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l nfs-share -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l nfs-shares-root -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l no-kubernetes -d 'Start the Docker engine alone, without Kubernetes' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l no-vtx-check -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s n -l nodes -d 'One: this machine' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s o -l output -d 'Format to print stdout in. Options include: [text,json]' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l ports -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l preload -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l preload-source -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l qemu-firmware-path -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l registry-mirror -d 'Registries to ask before docker.io' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l service-cluster-ip-range -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l socket-vmnet-client-path -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l socket-vmnet-path -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l ssh-ip-address -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l ssh-key -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l ssh-port -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l ssh-user -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l static-ip -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l subnet -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l trace -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l uuid -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l vm -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l vm-driver -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l wait -d 'Taken: a start always waits until the node is Ready' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l wait-timeout -d 'Taken: a start always waits until the node is Ready' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand start" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand status" -s f -l format -d 'Go template format string for the status output' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s o -l output -d 'minikube status --output OUTPUT. json, text' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s l -l layout -d 'output layout (JSON only): \'nodes\' or \'cluster\'' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s n -l node -d 'The node to check status for' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s w -l watch -d 'Continuously listing/getting the status with optional interval duration' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand status" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l schedule -d 'Set flag to stop cluster after a set amount of time (e.g. --schedule=5m)' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -s o -l output -d 'Format to print stdout in. Options include: [text,json]' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l all -d 'Set flag to stop all profiles (clusters)'
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l keep-context-active -d 'keep the kube-context active after cluster is stopped. Defaults to false'
complete -c minikube -n "__fish_minikube_using_subcommand stop" -l cancel-scheduled -d 'cancel any existing scheduled stop requests'
complete -c minikube -n "__fish_minikube_using_subcommand stop" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand delete" -s o -l output -d 'Format to print stdout in. Options include: [text,json]' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l all -d 'Set flag to delete all profiles'
complete -c minikube -n "__fish_minikube_using_subcommand delete" -l purge -d 'Set this flag to delete the \'.minikube\' directory from your user directory'
complete -c minikube -n "__fish_minikube_using_subcommand delete" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l port -d 'Exposed port of the proxyfied dashboard' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -l url -d 'Display dashboard URL instead of opening a browser'
complete -c minikube -n "__fish_minikube_using_subcommand dashboard" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -s n -l namespace -d 'The service namespace' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l wait -d 'Amount of time to wait for a service in seconds' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l interval -d 'The initial time interval for each check that wait performs in seconds' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l format -d 'Format to output service URL in. This format will be applied to each url individually and they will be printed one at a time' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l all -d 'Forwards all services in a namespace (defaults to "false")'
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l url -d 'Display the Kubernetes service URL in the CLI instead of opening it in the default browser'
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -l https -d 'Open the service URL with https instead of http'
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -a "list" -d 'Lists the URLs for the services in your local cluster'
complete -c minikube -n "__fish_minikube_using_subcommand service; and not __fish_seen_subcommand_from list help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -s n -l namespace -d 'The services namespace' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -s o -l output -d 'The output format. One of \'json\', \'table\'' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "list" -d 'Lists the URLs for the services in your local cluster'
complete -c minikube -n "__fish_minikube_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -s c -l cleanup -d 'call with cleanup=true to remove old tunnels' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l bind-address -d 'set tunnel bind address, empty or \'*\' indicates the tunnel should be available for all interfaces' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand tunnel" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -a "list" -d 'Lists all minikube profiles'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and not __fish_seen_subcommand_from list help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -s o -l output -d 'The output format. One of \'json\', \'table\'' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -s l -l light -d 'If true, returns list of profiles faster by skipping validating the status of the cluster'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -s d -l detailed -d 'If true, returns a detailed list of profiles'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "list" -d 'Lists all minikube profiles'
complete -c minikube -n "__fish_minikube_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -f -a "set" -d 'Sets an individual value in a minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -f -a "get" -d 'Gets the value of PROPERTY_NAME from the minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -f -a "unset" -d 'unsets an individual value in a minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -f -a "view" -d 'Display values currently set in the minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -f -a "defaults" -d 'Lists all valid default values for PROPERTY_NAME'
complete -c minikube -n "__fish_minikube_using_subcommand config; and not __fish_seen_subcommand_from set get unset view defaults help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from unset" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l format -d 'Go template format string for the config view output' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from view" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l output -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from defaults" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "set" -d 'Sets an individual value in a minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "get" -d 'Gets the value of PROPERTY_NAME from the minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "unset" -d 'unsets an individual value in a minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "view" -d 'Display values currently set in the minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "defaults" -d 'Lists all valid default values for PROPERTY_NAME'
complete -c minikube -n "__fish_minikube_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -f -a "list" -d 'Lists all available minikube addons as well as their current statuses (enabled/disabled)'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -f -a "enable" -d 'Enables the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -f -a "disable" -d 'Disables the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -f -a "images" -d 'List image names the addon w/ADDON_NAME used'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -f -a "open" -d 'Opens the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -f -a "configure" -d 'Configures the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and not __fish_seen_subcommand_from list enable disable images open configure help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -s o -l output -d 'minikube addons list --output OUTPUT. json, list' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -s d -l docs -d 'If true, print web links to addons\' documentation if using --output=list (default)'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l images -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l registries -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l force
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -l refresh
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from disable" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -s o -l output -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from images" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -l url
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from open" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from configure" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "list" -d 'Lists all available minikube addons as well as their current statuses (enabled/disabled)'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "enable" -d 'Enables the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "disable" -d 'Disables the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "images" -d 'List image names the addon w/ADDON_NAME used'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "open" -d 'Opens the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "configure" -d 'Configures the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand addons; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l shell -d 'Force environment to be configured for a specified shell: [fish, cmd, powershell, tcsh, bash, zsh], default is auto-detect' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -s o -l output -d 'One of \'text\', \'yaml\' or \'json\'' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -s u -l unset -d 'Unset variables instead of setting them' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l ssh-host -d 'Use SSH connection instead of HTTPS (port 2376)' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l ssh-add -d 'Add SSH identity key to SSH authentication agent' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l no-proxy -d 'Add machine IP to NO_PROXY environment variable' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand docker-env" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand podman-env" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "build" -d 'Build a container image in minikube'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "load" -d 'Load an image into minikube'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "save" -d 'Save a image from minikube'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "ls" -d 'List images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "pull" -d 'Pull images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "push" -d 'Push images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "rm" -d 'Remove one or more images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "tag" -d 'Tag images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and not __fish_seen_subcommand_from build load save ls pull push rm tag help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s t -l tag -d 'Tag to apply to the new image (optional)' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s f -l file -d 'Path to the Dockerfile to use (optional)' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l build-env -d 'Environment variables to pass to the build. (format: key=value)' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l build-opt -d 'Specify arbitrary flags to pass to the build. (format: key=value)' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s n -l node -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -l push -d 'Push the new image (requires tag)'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s a -l all
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l overwrite -d 'Overwrite image even if same image:tag name exists' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l pull -d 'Pull the remote image (no caching)'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l daemon -d 'Cache image from docker daemon'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -l remote -d 'Cache image from remote registry'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from load" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l daemon -d 'Cache image to docker daemon'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -l remote -d 'Cache image to remote registry'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from save" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l format -d 'Format output. One of: short|table|json|yaml' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from push" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from tag" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "build" -d 'Build a container image in minikube'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "load" -d 'Load an image into minikube'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "save" -d 'Save a image from minikube'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Pull images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "push" -d 'Push images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove one or more images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "tag" -d 'Tag images'
complete -c minikube -n "__fish_minikube_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -f -a "add" -d 'Add an image into minikube as a local cache, or delete, reload the cached images'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -f -a "delete" -d 'Delete an image from the local cache'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -f -a "list" -d 'List all available images from the local cache'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -f -a "reload" -d 'reload cached images'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and not __fish_seen_subcommand_from add delete list reload help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -l all
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l format -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from reload" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add an image into minikube as a local cache, or delete, reload the cached images'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete an image from the local cache'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all available images from the local cache'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "reload" -d 'reload cached images'
complete -c minikube -n "__fish_minikube_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -l ssh -d 'Use SSH for running kubernetes client on the node'
complete -c minikube -n "__fish_minikube_using_subcommand kubectl" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -s n -l node -d 'The node to ssh into' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l native-ssh -d 'Use native Golang SSH client' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-key" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand ssh-host" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand cp" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand cp" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l ip -d 'Specify the ip that the mount should be setup on' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l port -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l type -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l 9p-version -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l uid -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l gid -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l msize -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l options -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand mount" -l kill
complete -c minikube -n "__fish_minikube_using_subcommand mount" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand ip" -s n -l node -d 'The node to get IP. Defaults to the primary control plane' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand ip" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -f -a "list" -d 'List nodes'
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -f -a "add" -d 'Adds a node to the given cluster'
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -f -a "delete" -d 'Deletes a node from a cluster'
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -f -a "start" -d 'Starts a node'
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -f -a "stop" -d 'Stops a node in a cluster'
complete -c minikube -n "__fish_minikube_using_subcommand node; and not __fish_seen_subcommand_from list add delete start stop help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "list" -d 'List nodes'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "add" -d 'Adds a node to the given cluster'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Deletes a node from a cluster'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "start" -d 'Starts a node'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Stops a node in a cluster'
complete -c minikube -n "__fish_minikube_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand logs" -s n -l length -d 'Number of lines back to go within the log' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l node -d 'The node to get logs from' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l file -d 'If present, writes to the provided file instead of stdout' -r -F
complete -c minikube -n "__fish_minikube_using_subcommand logs" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand logs" -s f -l follow -d 'Show only the most recent journal entries, and continuously print new entries as they are appended to the journal'
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l problems -d 'Show only log entries which point to known problems'
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l audit -d 'Show only the audit logs'
complete -c minikube -n "__fish_minikube_using_subcommand logs" -l last-start-only -d 'Show only the last start logs'
complete -c minikube -n "__fish_minikube_using_subcommand logs" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand pause" -s n -l namespaces -d 'namespaces to pause' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -s A -l all-namespaces -d 'If set, pause all namespaces' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -s o -l output -d 'Format to print stdout in. Options include: [text,json]' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand pause" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -s n -l namespaces -d 'namespaces to pause' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -s A -l all-namespaces -d 'If set, pause all namespaces' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -s o -l output -d 'Format to print stdout in. Options include: [text,json]' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand unpause" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-context" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand update-check" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand version" -s o -l output -d 'One of \'yaml\' or \'json\'' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand version" -l short -d 'Print just the version number'
complete -c minikube -n "__fish_minikube_using_subcommand version" -l components -d 'list versions of all components included with minikube'
complete -c minikube -n "__fish_minikube_using_subcommand version" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand license" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand license" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand options" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand options" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand completion" -s p -l profile -d 'The name of the cluster: everything on disk and in the kernel is named by it' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l alsologtostderr -d 'Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l logtostderr -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l log_file -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l log_dir -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l log_file_max_size -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l log_backtrace_at -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l add_dir_header -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l one_output -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l skip_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l skip_log_headers -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l stderrthreshold -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -s v -l v -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l vmodule -d 'As --alsologtostderr' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l user -d 'Who runs the command, for the record of `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l skip-audit -d 'Leave no record of the command for `minikube logs --audit`' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l rootless -d 'Taken, and without effect: the daemon is root\'s' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -l interactive -d 'Taken, and without effect: nothing is asked' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -s b -l bootstrapper -d 'Taken, and without effect: the control plane is one process' -r
complete -c minikube -n "__fish_minikube_using_subcommand completion" -s h -l help -d 'Print help'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "start" -d 'Starts a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "status" -d 'Gets the status of a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "stop" -d 'Stops a running local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "delete" -d 'Deletes a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "dashboard" -d 'Access the Kubernetes dashboard running within the minikube cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "service" -d 'Returns a URL to connect to a service'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "tunnel" -d 'Connect to LoadBalancer services'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "profile" -d 'Get or list the current profiles (clusters)'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "config" -d 'Modify persistent configuration values'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "addons" -d 'Enable or disable a minikube addon'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "docker-env" -d 'Provides instructions to point your terminal\'s docker-cli to the Docker Engine inside minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "podman-env" -d 'Configure environment to use minikube\'s Podman service'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "image" -d 'Manage images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "cache" -d 'Manage cache for images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "kubectl" -d 'Run a kubectl binary matching the cluster version'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "ssh" -d 'Log into the minikube environment'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "ssh-key" -d 'Retrieve the ssh identity key path of the specified node'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "ssh-host" -d 'Retrieve the ssh host key of the specified node'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "cp" -d 'Copy the specified file into minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "mount" -d 'Mounts the specified directory into minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "ip" -d 'Retrieves the IP address of the specified node'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "node" -d 'Add, remove, or list additional nodes'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "logs" -d 'Returns logs to debug a local Kubernetes cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "pause" -d 'pause Kubernetes'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "unpause" -d 'unpause Kubernetes'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "update-context" -d 'Update kubeconfig in case of an IP or port change'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "update-check" -d 'Print current and latest version number'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "version" -d 'Print the version of minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "license" -d 'Outputs the licenses of dependencies to a directory'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "options" -d 'Show a list of global command-line options (applies to all commands)'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "completion" -d 'Generate command completion for a shell'
complete -c minikube -n "__fish_minikube_using_subcommand help; and not __fish_seen_subcommand_from start status stop delete dashboard service tunnel profile config addons docker-env podman-env image cache kubectl ssh ssh-key ssh-host cp mount ip node logs pause unpause update-context update-check version license options completion help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "list" -d 'Lists the URLs for the services in your local cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "list" -d 'Lists all minikube profiles'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "set" -d 'Sets an individual value in a minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "get" -d 'Gets the value of PROPERTY_NAME from the minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "unset" -d 'unsets an individual value in a minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "view" -d 'Display values currently set in the minikube config file'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "defaults" -d 'Lists all valid default values for PROPERTY_NAME'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "list" -d 'Lists all available minikube addons as well as their current statuses (enabled/disabled)'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "enable" -d 'Enables the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "disable" -d 'Disables the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "images" -d 'List image names the addon w/ADDON_NAME used'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "open" -d 'Opens the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from addons" -f -a "configure" -d 'Configures the addon w/ADDON_NAME within minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "build" -d 'Build a container image in minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "load" -d 'Load an image into minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "save" -d 'Save a image from minikube'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "ls" -d 'List images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "pull" -d 'Pull images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "push" -d 'Push images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "rm" -d 'Remove one or more images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "tag" -d 'Tag images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "add" -d 'Add an image into minikube as a local cache, or delete, reload the cached images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "delete" -d 'Delete an image from the local cache'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "list" -d 'List all available images from the local cache'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "reload" -d 'reload cached images'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "list" -d 'List nodes'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "add" -d 'Adds a node to the given cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "delete" -d 'Deletes a node from a cluster'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "start" -d 'Starts a node'
complete -c minikube -n "__fish_minikube_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "stop" -d 'Stops a node in a cluster'

//! A stock Prometheus, with the jobs that its chart has for Kubernetes.

mod common;

use common::{Appliance, appliance};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Debian's program; `scripts/test` sets it.
const PROMETHEUS: &str = "MONOPOD_PROMETHEUS";
const ADDRESS: &str = "127.0.0.1:9090";
const PATIENCE: Duration = Duration::from_secs(120);

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: shop
spec:
  containers:
  - name: web
    image: busybox:1
    command: [sh, -c, "mkdir /tmp/www && echo 'orders_total{kind=\"book\"} 3' >/tmp/www/metrics.txt && exec httpd -f -p 8080 -h /tmp/www"]
    ports: [{containerPort: 8080}]
    resources: {limits: {cpu: 500m, memory: 64Mi}}
"#;

/// In the manner of kube-prometheus: what its rules are made of must be there, with the labels that they select by. Its windows are
/// minutes, ours are seconds.
const RULES: &str = r#"
groups:
- name: api-server
  interval: 1s
  rules:
  - record: apiserver_request:burnrate30s
    labels: {verb: read}
    expr: |
      1 - sum(rate(apiserver_request_sli_duration_seconds_bucket{verb=~"LIST|GET",subresource!~"proxy|log|exec",scope=~"resource|namespace|cluster",le="30"}[30s]))
        / sum(rate(apiserver_request_sli_duration_seconds_count{verb=~"LIST|GET",subresource!~"proxy|log|exec"}[30s]))
  - record: cluster_quantile:apiserver_request_sli_duration_seconds:histogram_quantile
    labels: {verb: read, quantile: "0.99"}
    expr: histogram_quantile(0.99, sum by (le) (rate(apiserver_request_sli_duration_seconds_bucket{verb=~"LIST|GET"}[30s])))
  - record: verb:apiserver_request_duration_seconds:mean30s
    labels: {verb: LIST}
    expr: |
      sum(rate(apiserver_request_duration_seconds_sum{verb="LIST",component="apiserver",dry_run=""}[30s]))
        / sum(rate(apiserver_request_duration_seconds_count{verb="LIST",component="apiserver",dry_run=""}[30s]))
  - record: code_resource:apiserver_request_total:rate30s
    expr: sum by (code) (rate(apiserver_request_total{verb="LIST",resource="pods",scope="namespace",code=~"2.."}[30s]))
  - record: apiserver:apiserver_current_inflight_requests:sum
    expr: sum by (request_kind) (apiserver_current_inflight_requests)
  - record: resource:apiserver_storage_objects:max
    expr: max by (resource) (apiserver_storage_objects{resource="pods"}) > 0
  - record: instance:process_cpu:rate30s
    expr: rate(process_cpu_seconds_total{job="kubernetes-apiservers"}[30s])
  - alert: ClientCertificateEnds
    expr: apiserver_client_certificate_expiration_seconds_count > 0 and histogram_quantile(0.01, sum without (namespace) (rate(apiserver_client_certificate_expiration_seconds_bucket[30s]))) < 86400
  - alert: ExtensionIsAway
    expr: max by (name) (aggregator_unavailable_apiservice) > 0 or sum by (name, reason) (increase(aggregator_unavailable_apiservice_total[30s])) > 0
  - alert: Restarted
    expr: time() - process_start_time_seconds < 0 or process_open_fds >= process_max_fds
- name: controllers-and-scheduler
  interval: 1s
  rules:
  - record: name:workqueue_adds:rate30s
    expr: sum by (name) (rate(workqueue_adds_total{name="deployment"}[30s])) + sum by (name) (workqueue_depth{name="deployment"})
  - record: cluster_quantile:workqueue_queue_duration_seconds:histogram_quantile
    expr: histogram_quantile(0.99, sum by (le) (workqueue_queue_duration_seconds_bucket))
  - record: cluster_quantile:scheduler_scheduling_attempt_duration_seconds:histogram_quantile
    expr: histogram_quantile(0.99, sum by (le) (scheduler_scheduling_attempt_duration_seconds_bucket{result="scheduled"}))
  - record: queue:scheduler_pending_pods:sum
    expr: sum by (queue) (scheduler_pending_pods)
- name: nodes
  interval: 1s
  rules:
  - record: node_namespace_pod_container:container_cpu_usage_seconds_total:sum_irate
    expr: sum by (namespace, pod, container) (irate(container_cpu_usage_seconds_total{job="kubernetes-nodes-cadvisor",image!="",pod="shop"}[30s]))
  - record: node_namespace_pod_container:container_memory_working_set_bytes
    expr: container_memory_working_set_bytes{job="kubernetes-nodes-cadvisor",image!="",pod="shop"}
  - record: cluster:kubelet_running_pods:sum
    expr: sum(kubelet_running_pods{job="kubernetes-nodes"}) and on () kubelet_node_name > 0
"#;

/// What those rules record.
const RECORDED: [&str; 14] = [
    "apiserver_request:burnrate30s",
    "cluster_quantile:apiserver_request_sli_duration_seconds:histogram_quantile",
    "verb:apiserver_request_duration_seconds:mean30s",
    "code_resource:apiserver_request_total:rate30s",
    "apiserver:apiserver_current_inflight_requests:sum",
    "resource:apiserver_storage_objects:max",
    "instance:process_cpu:rate30s",
    "name:workqueue_adds:rate30s",
    "cluster_quantile:workqueue_queue_duration_seconds:histogram_quantile",
    "cluster_quantile:scheduler_scheduling_attempt_duration_seconds:histogram_quantile",
    "queue:scheduler_pending_pods:sum",
    "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_irate",
    "node_namespace_pod_container:container_memory_working_set_bytes",
    "cluster:kubelet_running_pods:sum",
];

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn of_user(at: &Appliance, field: &str, file: &Path) {
    let path = format!("jsonpath={{.users[0].user.{field}}}");
    let data = at.kubectl(&["config", "view", "--raw", "-o", &path]).ok("kubeconfig");
    let line = format!("echo {data} | base64 -d >{}", file.display());
    at.shell(&line).ok("decode");
}

fn node(at: &Appliance) -> String {
    at.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("node")
}

/// What the jobs `kubernetes-apiservers`, `-nodes`, `-nodes-cadvisor` and `-pods` come to. Debian's build has no discovery for
/// Kubernetes, so the targets are named.
fn config(at: &Appliance) -> String {
    let home = at.home();
    let (certificate, key) = (home.join("client.crt"), home.join("client.key"));
    of_user(at, "client-certificate-data", &certificate);
    of_user(at, "client-key-data", &key);
    let server = at.kubectl(&["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]).ok("server");
    let server = server.trim_start_matches("https://");
    let (certificate, key) = (certificate.display(), key.display());
    let secure = |job: &str, path: &str| {
        format!(
            "- {{job_name: kubernetes-{job}, scheme: https, metrics_path: {path}, static_configs: [{{targets: ['{server}']}}], \
             tls_config: {{cert_file: {certificate}, key_file: {key}, insecure_skip_verify: true}}}}\n"
        )
    };
    let node = node(at);
    let of_node = |job: &str, path: &str| secure(job, &format!("/api/v1/nodes/{node}/proxy{path}"));
    let pod = at.kubectl(&["get", "pod", "shop", "-o", "jsonpath={.status.podIP}"]).ok("address");
    // as the operator's ServiceMonitor does: at the node itself
    let said = |path: &str| {
        at.kubectl(&["get", "nodes", "-o", &format!("jsonpath={{.items[0].status.{path}}}")]).ok(path)
    };
    let address = said("addresses[?(@.type==\"InternalIP\")].address");
    let port = said("daemonEndpoints.kubeletEndpoint.Port");
    let kubelet = secure("kubelet", "/metrics/cadvisor").replace(server, &format!("{address}:{port}"));
    format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nrule_files: [rules.yml]\nscrape_configs:\n{kubelet}{}{}{}{}{}{}\
         - {{job_name: kubernetes-pods, metrics_path: /metrics.txt, static_configs: [{{targets: ['{pod}:8080']}}]}}\n",
        secure("apiservers", "/metrics"),
        of_node("nodes", "/metrics"),
        of_node("nodes-cadvisor", "/metrics/cadvisor"),
        of_node("nodes-resource", "/metrics/resource"),
        secure("apiservers-slis", "/metrics/slis"),
        of_node("nodes-slis", "/metrics/slis"),
    )
}

/// Asks until the expression has a value, and returns it.
fn value(at: &Appliance, expression: &str) -> f64 {
    value_while(at, expression, || {})
}

/// The same, where there is a value only as long as something goes on: `work` is done before each question.
fn value_while(at: &Appliance, expression: &str, work: impl Fn()) -> f64 {
    let began = Instant::now();
    loop {
        work();
        let line =
            format!("curl -sS --get http://{ADDRESS}/api/v1/query --data-urlencode 'query={expression}'");
        let answer = at.shell(&line);
        let said: serde_json::Value = serde_json::from_str(&answer.out()).unwrap_or_default();
        let value = said["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok());
        // of what nobody has asked for there is no latency
        if let Some(value) = value.filter(|value: &f64| value.is_finite()) {
            return value;
        }
        let why =
            || at.shell(&format!("curl -s http://{ADDRESS}/api/v1/targets; tail ~/prometheus.log")).out();
        assert!(began.elapsed() < PATIENCE, "{expression}: {} {}\n{}", answer.out(), answer.err(), why());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn its_chart_s_jobs_find_nodes_containers_api_server_and_pods() {
    let Ok(program) = std::env::var(PROMETHEUS) else {
        eprintln!("SKIPPED: {PROMETHEUS} says where Prometheus is; `scripts/test` sets it");
        return;
    };
    let Some(at) = appliance("prometheus") else { return };
    at.load_busybox();
    at.kubectl_with(&["apply"], PODS).ok("apply");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/shop", "--timeout=60s"]).ok("ready");
    std::fs::write(at.home().join("rules.yml"), RULES).unwrap();
    let file = at.home().join("prometheus.yml");
    std::fs::write(&file, config(&at)).unwrap();
    let data = at.home().join("prometheus");
    let mut command = at.command(&program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()));
    command.arg(format!("--web.listen-address={ADDRESS}")).stdout(Stdio::null());
    command.stderr(std::fs::File::create(at.home().join("prometheus.log")).unwrap());
    let prometheus = Prometheus(command.spawn().unwrap());

    assert_eq!(value(&at, r#"orders_total{job="kubernetes-pods"}"#) as i64, 3);
    let jobs = ["apiservers", "apiservers-slis", "kubelet", "nodes", "nodes-cadvisor", "nodes-resource"];
    for job in jobs.into_iter().chain(["nodes-slis", "pods"]) {
        value(&at, &format!(r#"up{{job="kubernetes-{job}"}} == 1"#));
    }
    for (job, check) in [("apiservers", "etcd"), ("nodes", "ping")] {
        let passes = format!(r#"kubernetes_healthcheck{{job="kubernetes-{job}-slis",name="{check}"}}"#);
        assert_eq!(value(&at, &passes) as i64, 1, "{passes}");
    }
    let of_web = r#"{namespace="default",pod="shop",container="web"}"#;
    let used = value(&at, &format!("container_memory_working_set_bytes{of_web}"));
    assert!((1.0..f64::from(64 << 20)).contains(&used), "{used}");
    assert_eq!(value(&at, &format!("container_spec_memory_limit_bytes{of_web}")) as u64, 64 << 20);
    assert_eq!(value(&at, &format!("container_spec_cpu_quota{of_web}")) as u64, 50_000);
    // as dashboards have it: the rate of a counter, and what came over a pod's network
    value(&at, &format!("sum(rate(container_cpu_usage_seconds_total{of_web}[10s])) >= 0"));
    value(&at, r#"container_network_receive_bytes_total{pod="shop",interface="eth0"} > 0"#);
    value(&at, "machine_cpu_cores >= 1");
    value(&at, "kubelet_running_pods >= 1");
    value(&at, "sum(rate(apiserver_request_total[10s])) > 0");
    value(&at, r#"kubelet_runtime_operations_total{operation_type="run_podsandbox"} >= 1"#);
    value(&at, "kubelet_pod_start_duration_seconds_count >= 1");
    value(&at, &format!("container_oom_events_total{of_web} == 0"));
    for rule in RECORDED {
        // latencies and rates are of those who ask meanwhile
        value_while(&at, rule, || {
            at.kubectl(&["get", "pods"]).ok("list");
        });
    }
    // nothing is wrong with this cluster
    value(&at, r#"absent(ALERTS{alertstate="firing"})"#);
    drop(prometheus);
    // beside it, what else asks a kubelet
    let node = node(&at);
    let raw =
        |page: &str| at.kubectl(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy{page}")]).ok(page);
    let summary: serde_json::Value = serde_json::from_str(&raw("/stats/summary")).unwrap();
    let pods = summary["pods"].as_array().unwrap();
    let shop = pods.iter().find(|pod| pod["podRef"]["name"] == "shop").unwrap();
    assert!(shop["containers"][0]["memory"]["workingSetBytes"].as_u64() > Some(0), "{shop}");
    assert_eq!((summary["node"]["nodeName"].as_str(), raw("/healthz").as_str()), (Some(&*node), "ok"));
}

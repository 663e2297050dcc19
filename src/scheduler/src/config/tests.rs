mod refusals;

use super::args::Candidates;
use super::*;
use crate::Plugin;
use crate::allocation::{Resource, Shape, Strategy, Weighed};
use crate::spread::DefaultSpread;

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

fn parse(text: &str) -> Result<Profiles, String> {
    Profiles::parse(&format!("{HEAD}{text}")).map_err(|why| why.to_string())
}

/// The one profile of a file, which says this of itself.
fn profile(fields: &str) -> Arc<Profile> {
    parse(&format!("profiles: [{fields}]")).unwrap().named("default-scheduler").unwrap().clone()
}

fn plugins(sets: &str) -> Arc<Profile> {
    profile(&format!("{{plugins: {{{sets}}}}}"))
}

fn args(plugin: &str, args: &str) -> Arc<Profile> {
    profile(&format!("{{pluginConfig: [{{name: {plugin}, args: {args}}}]}}"))
}

#[test]
fn what_is_not_said_is_upstreams() {
    let all = Profiles::default();
    assert_eq!(all.names().collect::<Vec<_>>(), ["default-scheduler"]);
    assert_eq!(all.backoff, Backoff { first: Duration::from_secs(1), last: Duration::from_secs(10) });
    let default = Profile::default();
    use Plugin::*;
    let filters = [
        NodeUnschedulable,
        NodeName,
        TaintToleration,
        NodeAffinity,
        NodeDeclaredFeatures,
        NodePorts,
        NodeResourcesFit,
        VolumeRestrictions,
        NodeVolumeLimits,
        VolumeBinding,
        VolumeZone,
        PodTopologySpread,
        InterPodAffinity,
    ];
    assert_eq!(default.filters(), filters);
    let scores = [
        (TaintToleration, 3),
        (NodeAffinity, 2),
        (NodeResourcesFit, 1),
        (PodTopologySpread, 2),
        (InterPodAffinity, 2),
        (NodeResourcesBalancedAllocation, 1),
        (ImageLocality, 1),
    ];
    assert_eq!(default.scores(), scores);
    let points = [
        (SchedulingGates, Point::PreEnqueue),
        (PrioritySort, Point::QueueSort),
        (DefaultPreemption, Point::PostFilter),
        (DefaultBinder, Point::Bind),
    ];
    assert!(points.into_iter().all(|(plugin, point)| default.has(plugin, point)));
    assert!(default.binds_volumes());
    for text in
        ["", "profiles: []", "profiles: [{}]", "profiles: null", "profiles: [{plugins: {filter: null}}]"]
    {
        let all = parse(text).unwrap();
        let read = all.named("default-scheduler").unwrap();
        assert_eq!((read.filters(), read.scores()), (default.filters(), default.scores()), "{text}");
        assert_eq!((all.backoff, read.percentage), (Backoff::default(), 0), "{text}");
        assert_eq!(read.args.fit.strategy, default.args.fit.strategy, "{text}");
    }
}

#[test]
fn what_is_said_of_a_point_stands_before_what_is_said_of_all() {
    use Plugin::*;
    let without = |gone: &[Plugin]| -> Vec<Plugin> {
        Profile::default().filters().iter().filter(|plugin| !gone.contains(plugin)).copied().collect()
    };
    let first = |first: &[Plugin]| [first.to_vec(), without(first)].concat();
    for (name, sets, want) in [
        ("nothing", "", without(&[])),
        ("one is disabled here", "filter: {disabled: [{name: NodePorts}]}", without(&[NodePorts])),
        ("everywhere", "multiPoint: {disabled: [{name: NodePorts}]}", without(&[NodePorts])),
        ("all here", "filter: {disabled: [{name: '*'}]}", vec![]),
        (
            "all but some, in their order",
            "filter: {disabled: [{name: '*'}], enabled: [{name: NodePorts}, {name: NodeUnschedulable}]}",
            vec![NodePorts, NodeUnschedulable],
        ),
        (
            "all everywhere but some",
            "multiPoint: {disabled: [{name: '*'}], enabled: [{name: NodePorts}, {name: PrioritySort}, {name: DefaultBinder}]}",
            vec![NodePorts],
        ),
        (
            "what is said anew comes first",
            "filter: {enabled: [{name: NodePorts}, {name: NodeName}]}",
            first(&[NodePorts, NodeName]),
        ),
        (
            "what is disabled everywhere and enabled here comes last",
            "multiPoint: {disabled: [{name: NodeName}]}, filter: {enabled: [{name: NodeName}]}",
            [without(&[NodeName]), vec![NodeName]].concat(),
        ),
        (
            "enabled stands before disabled",
            "multiPoint: {disabled: [{name: NodeName}], enabled: [{name: NodeName}]}",
            [without(&[NodeName]), vec![NodeName]].concat(),
        ),
        (
            "and so it does here",
            "filter: {disabled: [{name: NodeName}], enabled: [{name: NodeName}]}",
            [without(&[NodeName]), vec![NodeName]].concat(),
        ),
        ("what is not here is not missed", "filter: {disabled: [{name: DynamicResources}]}", without(&[])),
    ] {
        assert_eq!(plugins(sets).filters(), want, "{name}");
    }
}

#[test]
fn weights_are_those_that_are_said_last() {
    use Plugin::*;
    for (name, sets, want) in [
        ("the default", "", Some(3)),
        ("here", "score: {enabled: [{name: TaintToleration, weight: 7}]}", Some(7)),
        ("everywhere", "multiPoint: {enabled: [{name: TaintToleration, weight: 5}]}", Some(5)),
        (
            "here and everywhere",
            "score: {enabled: [{name: TaintToleration, weight: 7}]}, multiPoint: {enabled: [{name: TaintToleration, weight: 5}]}",
            Some(7),
        ),
        ("who says none has 1", "score: {enabled: [{name: TaintToleration}]}", Some(1)),
        ("so has who says 0", "score: {enabled: [{name: TaintToleration, weight: 0}]}", Some(1)),
        ("disabled", "score: {disabled: [{name: TaintToleration}]}", None),
    ] {
        let profile = plugins(sets);
        let found = profile.scores().iter().find(|(plugin, _)| *plugin == TaintToleration);
        assert_eq!(found.map(|(_, weight)| *weight), want, "{name}");
    }
    let only = plugins("score: {disabled: [{name: '*'}], enabled: [{name: ImageLocality, weight: 2}]}");
    assert_eq!(only.scores(), [(ImageLocality, 2)]);
}

#[test]
fn what_plug_ins_are_told() {
    let weighed = |all: &[(Resource, i64)]| -> Vec<Weighed> {
        all.iter().map(|(resource, weight)| Weighed { resource: resource.clone(), weight: *weight }).collect()
    };
    let both = || weighed(&[(Resource::Cpu, 1), (Resource::Memory, 1)]);
    let gpu = || Resource::Scalar("example.com/gpu".to_owned());
    for (text, want) in [
        ("{}", Strategy::Least(both())),
        ("{scoringStrategy: {type: MostAllocated}}", Strategy::Most(both())),
        (
            "{scoringStrategy: {type: LeastAllocated, resources: [{name: example.com/gpu, weight: 5}, {name: cpu}]}}",
            Strategy::Least(weighed(&[(gpu(), 5), (Resource::Cpu, 1)])),
        ),
        (
            "{apiVersion: kubescheduler.config.k8s.io/v1, kind: NodeResourcesFitArgs, scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}}}",
            Strategy::Ratio(Shape(vec![(0, 0), (100, 100)]), both()),
        ),
    ] {
        assert_eq!(args("NodeResourcesFit", text).args.fit.strategy, want, "{text}");
    }
    let balanced = args(
        "NodeResourcesBalancedAllocation",
        "{resources: [{name: cpu, weight: 1}, {name: example.com/gpu}]}",
    );
    assert_eq!(balanced.args.balanced.0, [Resource::Cpu, gpu()]);
    let others =
        args("InterPodAffinity", "{hardPodAffinityWeight: 0, ignorePreferredTermsOfExistingPods: true}");
    let want = PodAffinityArgs { required_by_others: 0, ignores_others: true };
    assert_eq!(others.args.pod_affinity, want);
    let few = args("DefaultPreemption", "{minCandidateNodesPercentage: 50, minCandidateNodesAbsolute: 7}");
    assert_eq!([few.args.candidates.of(4), few.args.candidates.of(40)], [7, 20]);
    assert_eq!(Candidates::default().of(5_000), 500);
    let none = args("PodTopologySpread", "{defaultingType: List}");
    assert!(matches!(&none.args.spread, DefaultSpread::List(all) if all.is_empty()));
    let added = args(
        "NodeAffinity",
        "{addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: Exists}]}]}}}",
    );
    assert!(added.args.added_affinity.is_some());
    args("VolumeBinding", "{bindTimeoutSeconds: 60}");
}

#[test]
fn a_profile_says_how_many_nodes_are_enough() {
    let all = parse(
        "percentageOfNodesToScore: 40\nprofiles: [{schedulerName: a}, {schedulerName: b, percentageOfNodesToScore: 7}]",
    )
    .unwrap();
    let percentage = |name: &str| all.named(name).unwrap().percentage;
    assert_eq!((percentage("a"), percentage("b")), (40, 7));
    assert!(all.named("default-scheduler").is_none());
}

#[test]
fn what_means_nothing_here_is_told() {
    let text = "parallelism: 4\nleaderElection: {leaderElect: true, leaseDuration: 15s}\nclientConnection: {qps: 50.5, burst: 100}\nprofiles: []";
    let all = parse(text).unwrap();
    assert_eq!(all.without_effect(), ["parallelism", "leaderElection", "clientConnection"]);
    assert!(parse("").unwrap().without_effect().is_empty());
}

#[test]
fn no_wait_is_longer_than_a_time_can_be() {
    let all = parse(&format!("podMaxBackoffSeconds: {0}\npodInitialBackoffSeconds: {0}", i64::MAX)).unwrap();
    let _ = tokio::time::Instant::now() + all.backoff.after(u32::MAX);
}

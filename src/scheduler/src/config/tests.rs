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

#[test]
fn what_is_no_configuration_is_refused() {
    for (text, want) in [
        ("{}", "its apiVersion is \"\" and not kubescheduler.config.k8s.io/v1"),
        ("[]", "its apiVersion is \"\" and not kubescheduler.config.k8s.io/v1"),
        (
            "{apiVersion: kubescheduler.config.k8s.io/v1beta3, kind: KubeSchedulerConfiguration}",
            "its apiVersion is \"kubescheduler.config.k8s.io/v1beta3\" and not kubescheduler.config.k8s.io/v1",
        ),
        (
            "{apiVersion: kubescheduler.config.k8s.io/v1, kind: Policy}",
            "its kind is \"Policy\" and not KubeSchedulerConfiguration",
        ),
    ] {
        assert_eq!(Profiles::parse(text).unwrap_err().to_string(), want, "{text}");
    }
    for text in ["{", "profiles: [}", "parallelism: 1\nparallelism: 2"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_has_another_form_is_refused() {
    for (text, want) in [
        ("profile: []", "unknown field \"profile\""),
        ("profiles: [{plugin: {}}]", "unknown field \"profiles[0].plugin\""),
        ("profiles: [{plugins: {filters: {}}}]", "unknown field \"profiles[0].plugins.filters\""),
        (
            "profiles: [{plugins: {filter: {enabled: [{plugin: NodePorts}]}}}]",
            "unknown field \"profiles[0].plugins.filter.enabled[0].plugin\"",
        ),
        ("leaderElection: {elect: true}", "unknown field \"leaderElection.elect\""),
        (
            "parallelism: many",
            "json: cannot unmarshal string into Go struct field KubeSchedulerConfiguration.parallelism of type int32",
        ),
        (
            "profiles: {}",
            "json: cannot unmarshal object into Go struct field KubeSchedulerConfiguration.profiles of type []v1.KubeSchedulerProfile",
        ),
        (
            "profiles: [{plugins: {score: {enabled: [{name: NodeName, weight: high}]}}}]",
            "json: cannot unmarshal string into Go struct field Plugin.profiles.plugins.score.enabled.weight of type int32",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoring: {}}}]}]",
            "profiles[0].pluginConfig[0].args: unknown field \"scoring\"",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {ignoredResources: example.com/gpu}}]}]",
            "profiles[0].pluginConfig[0].args: json: cannot unmarshal string into Go struct field NodeResourcesFitArgs.ignoredResources of type []string",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {required: {}}}}]}]",
            "profiles[0].pluginConfig[0].args: unknown field \"addedAffinity.required\"",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), want, "{text}");
    }
}

#[test]
fn what_can_not_be_meant_is_refused_by_field() {
    for (text, want) in [
        ("parallelism: 0", "parallelism: Invalid value: 0: should be an integer value greater than zero"),
        (
            "percentageOfNodesToScore: 101",
            "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]",
        ),
        (
            "profiles: [{percentageOfNodesToScore: -1}]",
            "profiles[0].percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]",
        ),
        ("podInitialBackoffSeconds: 0", "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
        (
            "podInitialBackoffSeconds: 20",
            "podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to PodInitialBackoffSeconds",
        ),
        (
            "extenders: [{urlPrefix: 'http://example.com'}]",
            "extenders: Forbidden: nobody outside of this process is asked about pods and nodes",
        ),
        ("profiles: [{schedulerName: ''}]", "profiles[0].schedulerName: Required value"),
        ("profiles: [{schedulerName: a}, {}]", "profiles[1].schedulerName: Required value"),
        (
            "profiles: [{schedulerName: a}, {schedulerName: a}]",
            "profiles[1].schedulerName: Duplicate value: \"a\"",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), want, "{text}");
    }
}

#[test]
fn plug_ins_that_can_not_be_enabled_so_are_refused() {
    for (sets, want) in [
        (
            "filter: {enabled: [{name: NodePort}]}",
            ".filter.enabled[0]: FilterPlugin \"NodePort\" does not exist",
        ),
        ("multiPoint: {enabled: [{name: '*'}]}", ".multiPoint.enabled[0]: plugin \"*\" does not exist"),
        (
            "multiPoint: {enabled: [{name: DynamicResources}]}",
            ".multiPoint.enabled[0]: plugin \"DynamicResources\" does not exist",
        ),
        (
            "score: {disabled: [{name: NodeResourcesLeastAllocated}]}",
            ".score.disabled[0]: plugin \"NodeResourcesLeastAllocated\" does not exist",
        ),
        (
            "score: {enabled: [{name: NodePorts}]}",
            ".score.enabled[0]: plugin \"NodePorts\" does not extend ScorePlugin plugin",
        ),
        (
            "filter: {disabled: [{name: ImageLocality}]}",
            ".filter.disabled[0]: plugin \"ImageLocality\" does not extend FilterPlugin plugin",
        ),
        (
            "permit: {enabled: [{name: NodePorts}]}",
            ".permit.enabled[0]: plugin \"NodePorts\" does not extend PermitPlugin plugin",
        ),
        (
            "score: {enabled: [{name: ImageLocality}, {name: ImageLocality}]}",
            ".score.enabled[1]: plugin \"ImageLocality\" already registered as \"ScorePlugin\"",
        ),
        (
            "multiPoint: {enabled: [{name: NodeName}, {name: NodeName}]}",
            ".multiPoint.enabled[1]: plugin \"NodeName\" already registered",
        ),
        (
            "queueSort: {disabled: [{name: '*'}]}",
            ".queueSort: only one queue sort plugin required for profile with scheduler name \"default-scheduler\", but got 0",
        ),
        (
            "bind: {disabled: [{name: DefaultBinder}]}",
            ".bind: at least one bind plugin is needed for profile with scheduler name \"default-scheduler\"",
        ),
        (
            "preFilter: {disabled: [{name: NodePorts}]}",
            ".preFilter: plugin \"NodePorts\" is enabled at filter, and works there by what it does here",
        ),
        (
            "preScore: {disabled: [{name: TaintToleration}]}",
            ".preScore: plugin \"TaintToleration\" is enabled at score, and works there by what it does here",
        ),
    ] {
        let why = parse(&format!("profiles: [{{plugins: {{{sets}}}}}]")).unwrap_err();
        assert_eq!(why, format!("profiles[0].plugins{want}"), "{sets}");
    }
    let differ = "profiles: [{schedulerName: a}, {schedulerName: b, plugins: {queueSort: {enabled: [{name: PrioritySort}]}}}]";
    let want = "profiles[1].plugins.queueSort: Invalid value: must be the same for all profiles";
    assert_eq!(parse(differ).unwrap_err(), want);
}

#[test]
fn what_plug_ins_can_not_be_told_is_refused() {
    let ratio = "scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: ";
    let of_ratio = ".args.scoringStrategy.requestedToCapacityRatio";
    let required = "addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{";
    let at_term = ".args.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]";
    let shape = |points: &str| format!("{{{ratio}{{shape: [{points}]}}}}}}");
    let rule = |rule: &str| format!("{{{required}matchExpressions: [{{{rule}}}]}}]}}}}}}");
    let cases: Vec<(&str, String, String)> = vec![
        ("NodeResource", "{}".into(), ".name: plugin \"NodeResource\" does not exist".into()),
        ("NodePorts", "{ports: 1}".into(), ".args: Forbidden: plugin \"NodePorts\" takes no arguments".into()),
        (
            "NodeResourcesFit",
            "{kind: NodeAffinityArgs}".into(),
            ".args: its kind is \"NodeAffinityArgs\" and not NodeResourcesFitArgs".into(),
        ),
        (
            "NodeResourcesFit",
            "{ignoredResourceGroups: [example.com/gpu]}".into(),
            ".args.ignoredResourceGroups[0]: Invalid value: \"example.com/gpu\": resource group name can't contain '/'".into(),
        ),
        (
            "NodeResourcesFit",
            "{scoringStrategy: {type: Even}}".into(),
            ".args.scoringStrategy.type: Unsupported value: \"Even\": supported values: \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\"".into(),
        ),
        (
            "NodeResourcesFit",
            "{scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 101}]}}".into(),
            ".args.scoringStrategy.resources[0].weight: Invalid value: 101: resource weight of cpu not in valid range (0, 100]".into(),
        ),
        (
            "NodeResourcesFit",
            "{scoringStrategy: {type: RequestedToCapacityRatio}}".into(),
            format!("{of_ratio}: Required value: must be specified when type is RequestedToCapacityRatio"),
        ),
        (
            "NodeResourcesFit",
            "{scoringStrategy: {type: MostAllocated, requestedToCapacityRatio: {}}}".into(),
            format!("{of_ratio}: Forbidden: must be nil when type is not RequestedToCapacityRatio"),
        ),
        (
            "NodeResourcesFit",
            shape(""),
            format!("{of_ratio}.shape: Required value: at least one point must be specified"),
        ),
        (
            "NodeResourcesFit",
            shape("{utilization: 5}, {utilization: 5}"),
            format!("{of_ratio}.shape[1].utilization: Invalid value: 5: values must be sorted in increasing order"),
        ),
        (
            "NodeResourcesFit",
            shape("{utilization: 101}"),
            format!("{of_ratio}.shape[0].utilization: Invalid value: 101: not in valid range [0, 100]"),
        ),
        (
            "NodeResourcesFit",
            shape("{utilization: 1, score: 11}"),
            format!("{of_ratio}.shape[0].score: Invalid value: 11: not in valid range [0, 10]"),
        ),
        (
            "NodeResourcesBalancedAllocation",
            "{resources: [{name: cpu, weight: 2}]}".into(),
            ".args.resources[0].weight: Invalid value: 2: must be 1".into(),
        ),
        (
            "NodeResourcesBalancedAllocation",
            "{resources: [{name: cpu}, {name: cpu}]}".into(),
            ".args.resources[1].name: Duplicate value: \"cpu\"".into(),
        ),
        (
            "PodTopologySpread",
            "{defaultingType: None}".into(),
            ".args.defaultingType: Unsupported value: \"None\": supported values: \"System\", \"List\"".into(),
        ),
        (
            "PodTopologySpread",
            "{defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}".into(),
            ".args.defaultingType: Invalid value: \"System\": when .defaultConstraints are not empty".into(),
        ),
        (
            "PodTopologySpread",
            "{defaultingType: List, defaultConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}".into(),
            ".args.defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, inf)".into(),
        ),
        (
            "PodTopologySpread",
            "{defaultingType: List, defaultConstraints: [{maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}]}".into(),
            ".args.defaultConstraints[0].topologyKey: Required value: can not be empty".into(),
        ),
        (
            "PodTopologySpread",
            "{defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: Never}]}".into(),
            ".args.defaultConstraints[0].whenUnsatisfiable: Unsupported value: \"Never\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"".into(),
        ),
        (
            "PodTopologySpread",
            "{defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {}}]}".into(),
            ".args.defaultConstraints[0].labelSelector: Forbidden: constraint must not define a selector, as they deduced for each pod".into(),
        ),
        (
            "PodTopologySpread",
            "{defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}, {maxSkew: 2, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}".into(),
            ".args.defaultConstraints[1]: Duplicate value: \"{zone, ScheduleAnyway}\"".into(),
        ),
        (
            "InterPodAffinity",
            "{hardPodAffinityWeight: 101}".into(),
            ".args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]".into(),
        ),
        (
            "DefaultPreemption",
            "{minCandidateNodesPercentage: 101}".into(),
            ".args.minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, 100]".into(),
        ),
        (
            "DefaultPreemption",
            "{minCandidateNodesAbsolute: -1}".into(),
            ".args.minCandidateNodesAbsolute: Invalid value: -1: not in valid range [0, inf)".into(),
        ),
        (
            "VolumeBinding",
            "{bindTimeoutSeconds: -1}".into(),
            ".args.bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be a negative value".into(),
        ),
        (
            "VolumeBinding",
            "{shape: [{utilization: 0, score: 1}]}".into(),
            ".args.shape: Forbidden: nodes are not scored by the sizes of their volumes".into(),
        ),
        (
            "NodeAffinity",
            rule("key: disk, operator: In"),
            format!("{at_term}.matchExpressions[0].values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"),
        ),
        (
            "NodeAffinity",
            rule("key: disk, operator: Like, values: [s]"),
            format!("{at_term}.matchExpressions[0].operator: Unsupported value: \"Like\": supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\", \"Gt\", \"Lt\""),
        ),
        (
            "NodeAffinity",
            rule("key: cores, operator: Gt, values: [many]"),
            format!("{at_term}.matchExpressions[0].values[0]: Invalid value: \"many\": for 'Gt', 'Lt' operators, the value must be an integer"),
        ),
        (
            "NodeAffinity",
            format!("{{{required}matchFields: [{{key: metadata.name, operator: In, values: [a, b]}}]}}]}}}}}}"),
            format!("{at_term}.matchFields[0].values: Invalid value: [\"a\",\"b\"]: must have one element"),
        ),
    ];
    for (plugin, args, want) in cases {
        let text = format!("profiles: [{{pluginConfig: [{{name: {plugin}, args: {args}}}]}}]");
        let why = parse(&text).unwrap_err();
        let want = format!("profiles[0].pluginConfig[0]{want}");
        // a name with a slash has the wrong form, too
        assert!(why == want || why.starts_with(&format!("{want}, ")), "{args}: {why}");
    }
    let twice = "profiles: [{pluginConfig: [{name: NodeAffinity}, {name: NodeAffinity}]}]";
    assert_eq!(parse(twice).unwrap_err(), "profiles[0].pluginConfig[1]: Duplicate value: \"NodeAffinity\"");
    // all that is wrong is told
    let several = parse("parallelism: 0\npodInitialBackoffSeconds: 0").unwrap_err();
    assert_eq!(several.matches("Invalid value").count(), 2, "{several}");
}

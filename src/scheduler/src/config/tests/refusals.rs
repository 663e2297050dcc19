//! What is refused of a file, in upstream's words, and of which field.

use super::*;

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

use super::*;
use crate::testing::store;

async fn check(text: &str, input: &CheckInput) -> Checked {
    let options = BuildOptions::default();
    store().store.check_dockerfile(text, &options, input).await.unwrap()
}

fn shown(checked: &Checked) -> Vec<String> {
    let line = |finding: &Finding| {
        let lines = &finding.lines;
        format!("{} {}-{}: {}", finding.rule.name, lines.start(), lines.end(), finding.detail)
    };
    checked.findings.iter().map(line).collect()
}

#[tokio::test]
async fn each_rule_finds_what_it_is_about() {
    for (text, want) in [
        ("FROM scratch\nCOPY a /a\nENTRYPOINT [\"/a\"]\nEXPOSE 80/udp\nWORKDIR /w\nWORKDIR x\n", ""),
        ("FROM scratch AS Base", "StageNameCasing 1-1: Stage name 'Base' should be lowercase"),
        ("FROM scratch as base", "FromAsCasing 1-1: 'as' and 'FROM' keywords' casing do not match"),
        ("FROM scratch\nCOPY a \\\n\n  /b\n", "NoEmptyContinuation 2-4: Empty continuation line"),
        (
            "FROM scratch\nuser 1\nCOPY a /",
            "ConsistentInstructionCasing 2-2: Command 'user' should match the case of the command majority (uppercase)",
        ),
        (
            "from scratch\nUser 1\n",
            "ConsistentInstructionCasing 2-2: Command 'User' should match the case of the command majority (lowercase)",
        ),
        ("arg V=1\nFROM scratch\nUSER 1\n", ""),
        (
            "FROM scratch AS a\nFROM scratch AS a",
            "DuplicateStageName 2-2: Duplicate stage name \"a\", stage names should be unique",
        ),
        (
            "FROM scratch AS context",
            "ReservedStageName 1-1: Stage name should not use the same name as reserved stage \"context\"",
        ),
        (
            "FROM scratch AS Context",
            "StageNameCasing 1-1: Stage name 'Context' should be lowercase\nReservedStageName 1-1: Stage name should not use the same name as reserved stage \"context\"",
        ),
        (
            "FROM scratch\nCMD run it",
            "JSONArgsRecommended 2-2: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        ),
        ("FROM scratch\nSHELL [\"/bin/ash\", \"-c\"]\nCMD run it", ""),
        (
            "FROM scratch\nMAINTAINER me",
            "MaintainerDeprecated 2-2: Maintainer instruction is deprecated in favor of using label",
        ),
        (
            "ARG VERSION=1\nFROM busybox:${VERSON}x",
            "UndefinedArgInFrom 2-2: FROM argument 'VERSON' is not declared (did you mean VERSION?)",
        ),
        (
            "FROM scratch\nWORKDIR app",
            "WorkdirRelativePath 2-2: Relative workdir \"app\" can have unexpected results if the base image changes",
        ),
        ("FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b", ""),
        (
            "FROM scratch\nARG NAME=x\nCOPY $NAMES /",
            "UndefinedVar 3-3: Usage of undefined variable '$NAMES' (did you mean $NAME?)",
        ),
        ("FROM scratch AS a\nENV D=/d\nFROM a\nCOPY x $D/${E:-e}/$PATH", ""),
        // what a base image that is not here brings is not known
        ("FROM nobody/knows:it\nCOPY x $D", ""),
        (
            "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]",
            "MultipleInstructionsDisallowed 2-2: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
        ),
        ("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]", ""),
        (
            "FROM scratch\nENV a b c",
            "LegacyKeyValueFormat 2-2: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
        ),
        (
            "FROM --platform=$TARGETPLATFORM scratch",
            "RedundantTargetPlatform 1-1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        ),
        (
            "FROM scratch\nARG DB_PASSWORD",
            "SecretsUsedInArgOrEnv 2-2: Do not use ARG or ENV instructions for sensitive data (ARG \"DB_PASSWORD\")",
        ),
        ("FROM scratch\nENV PUBLIC_KEY=x MONKEY=y DB_PASSWORD_FILE=/run/x TOKEN_VERSION=1", ""),
        (
            "ARG TAG\nFROM busybox:${TAG}",
            "InvalidDefaultArgInFrom 2-2: Default value for ARG busybox:${TAG} results in empty or invalid base image name",
        ),
        (
            "FROM --platform=linux/amd64 scratch",
            "FromPlatformFlagConstDisallowed 1-1: FROM --platform flag should not use constant value \"linux/amd64\"",
        ),
        ("FROM --platform=linux/amd64 scratch AS build_amd64", ""),
        ("FROM --platform=linux/amd64 scratch AS on-linux", ""),
        (
            "FROM scratch\nEXPOSE 80/TCP",
            "ExposeProtoCasing 2-2: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
        ),
        (
            "FROM scratch\nEXPOSE 127.0.0.1:80:80",
            "ExposeInvalidFormat 2-2: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
        ),
    ] {
        let options = BuildOptions {
            // FROM says it without a default
            args: [("TAG".to_owned(), Some("1".to_owned()))].into(),
            ..BuildOptions::default()
        };
        let checked = store().store.check_dockerfile(text, &options, &CheckInput::default()).await.unwrap();
        assert_eq!(shown(&checked).join("\n"), want, "{text}");
        assert_eq!(checked.error, None, "{text}");
    }
}

#[tokio::test]
async fn what_the_ignore_file_leaves_out_can_not_be_copied() {
    let text = "FROM scratch AS a\nCOPY ./dist/app src *.log /\nADD dist https://x.y/dist /\nFROM a\nCOPY --from=a dist /\n";
    let input = CheckInput { ignore: "dist\n".to_owned(), ..CheckInput::default() };
    assert_eq!(
        shown(&check(text, &input).await),
        [
            "CopyIgnoredFile 2-2: Attempting to Copy file \"dist/app\" that is excluded by .dockerignore",
            "CopyIgnoredFile 3-3: Attempting to Add file \"dist\" that is excluded by .dockerignore",
        ]
    );
    // src itself matches nothing that brings it back, and is copied all the same
    let input = CheckInput { ignore: "*\n!src/**\n".to_owned(), ..CheckInput::default() };
    assert_eq!(shown(&check("FROM scratch\nCOPY src /\n", &input).await), Vec::<String>::new());
}

#[tokio::test]
async fn rules_are_left_out_by_the_dockerfile_and_by_the_client() {
    let body = "FROM scratch as a\nCMD x\nMAINTAINER me\n";
    for (name, top, settings, want) in [
        ("nothing said", "", None, &["FromAsCasing", "JSONArgsRecommended", "MaintainerDeprecated"][..]),
        (
            "two",
            "# check=skip=FromAsCasing, jsonargsrecommended;error=true\n",
            None,
            &["MaintainerDeprecated"],
        ),
        ("all", "# syntax=docker/dockerfile:1\n# check=skip=all\n", None, &[]),
        (
            "the client's word counts",
            "# check=skip=all\n",
            Some("skip=MaintainerDeprecated"),
            &["FromAsCasing", "JSONArgsRecommended"],
        ),
        (
            "only error",
            "# check=error=true\n",
            None,
            &["FromAsCasing", "JSONArgsRecommended", "MaintainerDeprecated"],
        ),
    ] {
        let input = CheckInput { settings: settings.map(str::to_owned), ..CheckInput::default() };
        let checked = check(&format!("{top}{body}"), &input).await;
        let rules: Vec<&str> = checked.findings.iter().map(|finding| finding.rule.name).collect();
        assert_eq!(rules, want, "{name}");
    }
}

#[tokio::test]
async fn what_can_not_be_built_says_where() {
    let checked = check("FROM scratch\nRUNN x\n", &CheckInput::default()).await;
    let why = "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)";
    assert_eq!((checked.findings.len(), checked.error), (0, Some((why.to_owned(), 2))));
    let options = BuildOptions { target: "none".to_owned(), ..BuildOptions::default() };
    let here = store();
    let refused = here.store.check_dockerfile("FROM scratch", &options, &CheckInput::default()).await;
    assert_eq!(refused.unwrap_err().to_string(), "target stage \"none\" could not be found");
}

#[test]
fn a_page_for_each_rule() {
    let url = rules::JSON_ARGS.url();
    assert_eq!(url, "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
}

/// Found are so many as somebody reads, and stages do not hold each what all before them hold.
#[tokio::test]
async fn what_is_held_has_an_end() {
    let checked = check(&format!("FROM scratch\n{}", "CMD x\n".repeat(5000)), &CheckInput::default()).await;
    assert_eq!(checked.findings.len(), MOST_FINDINGS);
    let known = BaseVariables::new();
    let (mut stages, mut spent) = (vec![StageState::upon(Some(&Base::Scratch), &[], &known, &mut 0)], 0);
    let settings = Settings::default();
    let mut findings = Findings { settings: &settings, found: Vec::new() };
    let lines = lines::parse(&format!("ENV {}=x\nCOPY $UNKNOWN /", "A".repeat(1 << 20))).unwrap();
    let steps: Vec<Step> =
        lines.lines.iter().map(|line| instruction::parse(line, lines.escape).unwrap()).collect();
    let ignore = Ignore::default();
    stages[0].step(&steps[0], &lines.lines[0], lines.escape, &ignore, &mut findings);
    for number in 0..100 {
        let mut stage = StageState::upon(Some(&Base::Stage(number)), &stages, &known, &mut spent);
        stage.step(&steps[1], &lines.lines[1], lines.escape, &ignore, &mut findings);
        stages.push(stage);
    }
    // of the others it is not known what they have
    assert_eq!(findings.found.len(), 15);
}

#[tokio::test]
async fn what_was_found_may_end_a_build() {
    for (head, settings, want) in [
        ("", None, false),
        ("# check=error=true\n", None, true),
        ("# check=skip=StageNameCasing;error=true\n", None, true),
        ("# check=error=false\n", None, false),
        ("", Some("error=true"), true),
        // what the client says counts alone
        ("# check=error=true\n", Some("skip=StageNameCasing"), false),
    ] {
        let input = CheckInput { settings: settings.map(str::to_owned), ..CheckInput::default() };
        let checked = check(&format!("{head}FROM scratch AS Foo\n"), &input).await;
        assert_eq!(checked.is_fatal, want, "{head} {settings:?}");
    }
}

/// As in BuildKit, which looks at the instructions of what it makes alone; a question without a target is about all of them.
#[tokio::test]
async fn a_build_is_told_nothing_of_stages_that_it_does_not_need() {
    let text = "FROM scratch AS left\nMAINTAINER me\nCMD run it\nFROM scratch\nWORKDIR x\n";
    let all = ["MaintainerDeprecated", "JSONArgsRecommended", "WorkdirRelativePath"];
    for (name, is_for_build, target, want) in [
        ("asked without a target", false, "", &all[..]),
        ("asked about a target", false, "left", &all[..2]),
        ("built", true, "", &["MaintainerDeprecated", "WorkdirRelativePath"]),
        ("a target built", true, "left", &all[..2]),
    ] {
        let options = BuildOptions { target: target.to_owned(), ..BuildOptions::default() };
        let input = CheckInput { is_for_build, ..CheckInput::default() };
        let checked = store().store.check_dockerfile(text, &options, &input).await.unwrap();
        let rules: Vec<&str> = checked.findings.iter().map(|finding| finding.rule.name).collect();
        assert_eq!(rules, want, "{name}");
    }
}

use super::*;

fn instruction(text: &str) -> Result<Instruction, String> {
    let lines = crate::build::lines::parse(text).map_err(|e| e.to_string())?;
    parse(&lines.lines[0], lines.escape).map(|step| step.instruction).map_err(|e| e.to_string())
}

fn run(line: &str) -> Instruction {
    let command = Command::Shell(line.into());
    Instruction::Run(Run { command, mounts: vec![], network: None, script: None })
}

#[test]
fn a_script_with_an_interpreter_is_a_program() {
    let Ok(Instruction::Run(run)) = instruction("RUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF\n") else {
        panic!("not understood")
    };
    assert_eq!(run.command, Command::Exec(vec!["/dev/pipes/EOF".into()]));
    assert!(run.script.unwrap().content.starts_with("#!/usr/bin/env"));
}

#[test]
fn instructions_are_understood() {
    let s = |texts: &[&str]| texts.iter().map(|t| t.to_string()).collect::<Vec<_>>();
    let pairs = |texts: &[(&str, &str)]| {
        texts.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>()
    };
    for (text, want) in [
        ("from a AS B", Instruction::From { image: "a".into(), name: Some("b".into()), platform: None }),
        ("ENV A=1 B=\"x y\"", Instruction::Env(pairs(&[("A", "1"), ("B", "\"x y\"")]))),
        ("ENV OLD some value", Instruction::Env(pairs(&[("OLD", "some value")]))),
        ("ENTRYPOINT []", Instruction::Entrypoint(Command::Exec(vec![]))),
        ("CMD [\"a\", \"b\"]", Instruction::Cmd(Command::Exec(s(&["a", "b"])))),
        ("CMD [ -f x ]", Instruction::Cmd(Command::Shell("[ -f x ]".into()))),
        ("ARG A B=2", Instruction::Arg(vec![("A".into(), None), ("B".into(), Some("2".into()))])),
        ("VOLUME [\"/a\"]", Instruction::Volume(s(&["/a"]))),
        ("ONBUILD run x", Instruction::OnBuild("run x".into())),
        ("VOLUME /a \"/b\"", Instruction::Volume(s(&["/a", "\"/b\""]))),
        ("CMD", Instruction::Cmd(Command::Exec(vec![]))),
        ("CMD ['a']", Instruction::Cmd(Command::Shell("['a']".into()))),
        ("USER 1000:1000", Instruction::User("1000:1000".into())),
        ("WORKDIR /a b", Instruction::Workdir("/a b".into())),
        ("ONBUILD run <<E\nx\nE", Instruction::OnBuild("run <<E\nx\nE".into())),
        ("HEALTHCHECK none", {
            let check = Healthcheck { test: s(&["NONE"]), ..Healthcheck::default() };
            Instruction::Healthcheck { check, command: None }
        }),
        (
            "FROM --platform=$BUILDPLATFORM a",
            Instruction::From { image: "a".into(), name: None, platform: Some("$BUILDPLATFORM".into()) },
        ),
        (
            "RUN --mount=\"type=tmpfs,target=/x y\" --network=none echo",
            Instruction::Run(Run {
                command: Command::Shell("echo".into()),
                mounts: s(&["type=tmpfs,target=/x y"]),
                network: Some("none".into()),
                script: None,
            }),
        ),
        ("RUN <<E\na\nb\nE", run("a\nb\n")),
        ("RUN cat <<E > x\na\nE", run("cat <<E > x\na\nE\n")),
        ("RUN cat <<-'E' <<F\n\ta\n\tE\nf\nF", run("cat <<-'E' <<F\na\nE\nf\nF\n")),
        (
            "COPY --from=b --chown=1:2 [\"a b\", \"/c\"]",
            Instruction::Copy(CopyFiles {
                from: Some("b".into()),
                chown: Some("1:2".into()),
                sources: s(&["a b"]),
                dest: "/c".into(),
                ..CopyFiles::default()
            }),
        ),
        (
            "HEALTHCHECK --interval=1m30s --retries=3 CMD true",
            Instruction::Healthcheck {
                check: Healthcheck { interval: 90_000_000_000, retries: 3, ..Healthcheck::default() },
                command: Some(Command::Shell("true".into())),
            },
        ),
    ] {
        assert_eq!(instruction(text), Ok(want), "{text}");
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (text, want) in [
        ("FOOBAR x", "line 1: unknown instruction: FOOBAR"),
        ("\n\nFORM x", "line 3: unknown instruction: FORM (did you mean FROM?)"),
        (
            "\n\nCOPY a",
            "line 3: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("FROM", "line 1: FROM requires either one or three arguments"),
        ("FROM a b", "line 1: FROM requires either one or three arguments"),
        (
            "FROM a AS 1b",
            "line 1: invalid name for build stage: \"1b\", name can't start with a number or contain symbols",
        ),
        ("ENV A", "line 1: ENV must have two arguments"),
        ("ENV =x", "line 1: ENV names can not be blank"),
        ("ENV a=b c", "line 1: Syntax error - can't find = in \"c\". Must be of the form: name=value"),
        ("LABEL", "line 1: LABEL requires at least one argument"),
        ("ARG =x", "line 1: ARG names can not be blank"),
        ("COPY --frm=x a b", "line 1: unknown flag: --frm (did you mean from?)"),
        ("COPY --chown a b", "line 1: missing a value on flag: --chown"),
        ("COPY --link=x a b", "line 1: expecting boolean value for flag --link, not: x"),
        ("COPY --from=a --from=b a b", "line 1: duplicate flag specified: --from"),
        ("COPY a <<E\nE", "line 1: COPY cannot accept a heredoc as a destination"),
        ("CMD [1]", "line 1: when using JSON array syntax, arrays must be comprised of strings only"),
        ("SHELL sh", "line 1: SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "line 1: SHELL requires at least one argument"),
        ("VOLUME [\"\"]", "line 1: VOLUME specified can not be an empty string"),
        ("ONBUILD FROM x", "line 1: FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD onbuild RUN x", "line 1: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD RUNN x", "line 1: unknown instruction: RUNN (did you mean RUN?)"),
        ("HEALTHCHECK CURL x", "line 1: Unknown type \"CURL\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK CMD", "line 1: Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "line 1: HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=5 CMD x", "line 1: time: missing unit in duration \"5\""),
        ("HEALTHCHECK --interval=5us CMD x", "line 1: Interval \"interval\" cannot be less than 1ms"),
        ("HEALTHCHECK --retries=-1 CMD x", "line 1: --retries cannot be negative (-1)"),
        ("USER", "line 1: USER requires exactly one argument"),
        ("RUN --network=mine x", "line 1: invalid network mode \"mine\""),
        (
            "RUN --security=insecure x",
            "line 1: granting entitlement security.insecure is not allowed by build daemon configuration",
        ),
        ("RUN --mount=type=nothing x", "line 1: unsupported mount type \"nothing\""),
    ] {
        let why = instruction(text).expect_err(text);
        assert_eq!(why, format!("dockerfile parse error on {want}"), "{text}");
    }
}

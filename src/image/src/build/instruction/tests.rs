use super::*;

fn instruction(text: &str) -> Result<Instruction, String> {
    let lines = crate::build::lines::parse(text).map_err(|e| e.to_string())?;
    parse(&lines.lines[0], lines.escape).map(|step| step.instruction).map_err(|e| e.to_string())
}

#[test]
fn instructions_are_understood() {
    let s = |texts: &[&str]| texts.iter().map(|t| t.to_string()).collect::<Vec<_>>();
    let pairs = |texts: &[(&str, &str)]| {
        texts.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>()
    };
    for (text, want) in [
        ("from a AS B", Instruction::From { image: "a".into(), name: Some("b".into()) }),
        ("ENV A=1 B=\"x y\"", Instruction::Env(pairs(&[("A", "1"), ("B", "\"x y\"")]))),
        ("ENV OLD some value", Instruction::Env(pairs(&[("OLD", "some value")]))),
        ("ENTRYPOINT []", Instruction::Entrypoint(Command::Exec(vec![]))),
        ("CMD [\"a\", \"b\"]", Instruction::Cmd(Command::Exec(s(&["a", "b"])))),
        ("CMD [ -f x ]", Instruction::Cmd(Command::Shell("[ -f x ]".into()))),
        ("ARG A B=2", Instruction::Arg(vec![("A".into(), None), ("B".into(), Some("2".into()))])),
        ("VOLUME [\"/a\"]", Instruction::Volume(s(&["/a"]))),
        ("ONBUILD run x", Instruction::OnBuild("run x".into())),
        (
            "RUN --mount=type=tmpfs,target=/x --network=none echo",
            Instruction::Run { command: Command::Shell("echo".into()), mounts: s(&["type=tmpfs,target=/x"]) },
        ),
        ("RUN <<E\na\nb\nE", Instruction::Run { command: Command::Shell("a\nb\n".into()), mounts: vec![] }),
        (
            "RUN cat <<E > x\na\nE",
            Instruction::Run { command: Command::Shell("cat <<E > x\na\nE\n".into()), mounts: vec![] },
        ),
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
        ("FOO x", "dockerfile parse error on line 1: unknown instruction: FOO"),
        ("\n\nCOPY a", "line 3: COPY requires at least two arguments"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV =x", "names can not be blank"),
        ("COPY --frm=x a b", "unknown flag: frm"),
        ("SHELL sh", "JSON form"),
        ("ONBUILD FROM x", "isn't allowed"),
        ("HEALTHCHECK CURL x", "Unknown type"),
        ("USER a b", "exactly one argument"),
    ] {
        let why = instruction(text).expect_err(text);
        assert!(why.contains(want), "{text}: {why}");
    }
}

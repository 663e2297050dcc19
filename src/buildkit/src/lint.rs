//! What a build says of its Dockerfile: what `docker build --check` would find, as warnings, and the end of a build whose Dockerfile
//! (`# check=error=true`) or client wants none.

use crate::errors::SourceText;
use crate::progress::{Progress, VertexId};
use crate::proto::control::VertexWarning;
use crate::proto::ops::{Position, Range, SourceInfo};
use image::{BuildOptions, CheckInput, Checked, Finding, ImageStore};
use tonic::Status;

/// Of one build: each stays in memory until the build has ended.
const MOST_WARNINGS: usize = 100;
/// Bytes of a Dockerfile that goes along with each of its warnings; of a longer one the lines are named and not shown.
const MOST_SHOWN: usize = 16 << 10;
/// The builder warns of it in its own words, whoever asks it to build.
const TOLD_BY_BUILDER: &str = "NoEmptyContinuation";

/// Warns of what is found. What can not be built is for the build to say, with its step.
///
/// # Errors
/// Something is found where nothing may be.
pub(crate) async fn tell(
    images: &ImageStore,
    (progress, vertex): (&Progress, VertexId),
    source: &SourceText,
    options: &BuildOptions,
    input: &CheckInput,
) -> Result<(), Status> {
    let Ok(checked) = images.check_dockerfile(&source.text, options, input).await else { return Ok(()) };
    for warning in warnings(&checked, source) {
        progress.warn(Some(vertex), warning);
    }
    match refusal(&checked) {
        Some(why) => Err(Status::unknown(why)),
        None => Ok(()),
    }
}

fn warnings(checked: &Checked, source: &SourceText) -> Vec<VertexWarning> {
    let told = checked.findings.iter().filter(|finding| finding.rule.name != TOLD_BY_BUILDER);
    told.take(MOST_WARNINGS).map(|finding| warning(finding, source)).collect()
}

fn warning(finding: &Finding, source: &SourceText) -> VertexWarning {
    let position =
        |line: usize| Some(Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 });
    let (first, last) = (*finding.lines.start(), *finding.lines.end());
    let info = SourceInfo {
        filename: source.filename.clone(),
        data: source.text.clone().into_bytes(),
        language: "Dockerfile".to_owned(),
    };
    VertexWarning {
        level: 1,
        short: format!("{}: {} (line {first})", finding.rule.name, finding.detail).into_bytes(),
        detail: vec![finding.rule.description.as_bytes().to_vec()],
        url: finding.rule.url(),
        info: (source.text.len() <= MOST_SHOWN).then_some(info),
        ranges: vec![Range { start: position(first), end: position(last) }],
        ..VertexWarning::default()
    }
}

/// Why the build ends before it begins.
fn refusal(checked: &Checked) -> Option<String> {
    let mut rules: Vec<&str> = Vec::new();
    for finding in checked.findings.iter().filter(|_| checked.is_fatal) {
        if !rules.contains(&finding.rule.name) {
            rules.push(finding.rule.name);
        }
    }
    (!rules.is_empty()).then(|| format!("lint violation found for rules: {}", rules.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rule;

    static CASING: Rule = Rule::new("FromAsCasing", "from-as-casing", "As the other keyword");

    fn checked(is_fatal: bool, lines: &[usize]) -> Checked {
        let found = |line: &usize| Finding { rule: &CASING, detail: "no match".into(), lines: *line..=*line };
        Checked { findings: lines.iter().map(found).collect(), is_fatal, ..Checked::default() }
    }

    #[test]
    fn what_is_found_is_told_as_docker_tells_it() {
        let source = SourceText { filename: "Dockerfile".into(), text: "FROM a as b\n".into() };
        let told = warnings(&checked(false, &[1]), &source);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].short, b"FromAsCasing: no match (line 1)");
        assert_eq!(told[0].url, "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
        assert_eq!(told[0].info.as_ref().unwrap().data, source.text.as_bytes());
        assert_eq!(told[0].ranges[0].end.unwrap().line, 1);

        let long = SourceText { text: "#".repeat(MOST_SHOWN + 1), ..source };
        let told = warnings(&checked(false, &[1; MOST_WARNINGS + 1]), &long);
        assert_eq!((told.len(), told[0].info.is_none()), (MOST_WARNINGS, true));
    }

    #[test]
    fn a_build_ends_where_it_is_to_end() {
        for (is_fatal, lines, want) in [
            (false, &[1, 2][..], None),
            (true, &[][..], None),
            (true, &[1, 2][..], Some("lint violation found for rules: FromAsCasing")),
        ] {
            assert_eq!(refusal(&checked(is_fatal, lines)).as_deref(), want);
        }
    }
}

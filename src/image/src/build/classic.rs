//! A build as `docker build` has always told it: `Step 2/4 : RUN make`, top to bottom. Stages run side by side, so what
//! is told before its turn is kept until then.

use super::output::{BuildOutput, Channel};
use super::progress::{BuildEvent, BuildProgress, PlannedStep};
use super::{Removal, short};
use crate::ImageRef;
use crate::progress::PullEvent;
use cri::ImageInfo;
use parking_lot::Mutex;
use std::sync::Arc;

pub struct Classic {
    out: Arc<dyn BuildOutput>,
    screen: Mutex<Screen>,
}

/// What is not shown yet.
#[derive(Debug, Default)]
struct Screen {
    steps: Vec<Step>,
    /// All before it are shown to their end.
    due: usize,
    /// A failure was shown: what others still say is of no use.
    over: bool,
    removal: Removal,
}

#[derive(Debug, Default)]
struct Step {
    title: String,
    /// Its number.
    stage: usize,
    image: Option<String>,
    kept: Vec<Piece>,
    container: Option<String>,
    is_done: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Bytes(Channel, Vec<u8>),
    Pull(PullEvent),
    /// A stage's image.
    Stage(String),
}

fn text(text: impl Into<String>) -> Piece {
    Piece::Bytes(Channel::Builder, text.into().into_bytes())
}

impl Classic {
    pub fn new(out: Arc<dyn BuildOutput>) -> Classic {
        Classic::removing(out, Removal::default())
    }

    /// One that says what is removed.
    pub fn removing(out: Arc<dyn BuildOutput>, removal: Removal) -> Classic {
        Classic { out, screen: Mutex::new(Screen { removal, ..Screen::default() }) }
    }

    /// The last lines, once the image is there.
    pub fn built(&self, image: &ImageInfo) {
        self.out.say(&format!("Successfully built {}\n", short(&image.id)));
        for tag in image.repo_tags.iter().filter_map(|tag| ImageRef::parse(tag).ok()) {
            self.out.say(&format!("Successfully tagged {}\n", tag.familiar()));
        }
    }
}

impl BuildProgress for Classic {
    fn tell(&self, event: BuildEvent<'_>) {
        // shown under the lock, so that two tasks do not mix their pieces
        let mut screen = self.screen.lock();
        for piece in screen.hear(event) {
            match piece {
                Piece::Bytes(channel, bytes) => self.out.write(channel, &bytes),
                Piece::Pull(event) => self.out.pull(&event),
                Piece::Stage(image) => self.out.stage(&image),
            }
        }
    }
}

impl Screen {
    /// What can be shown now.
    fn hear(&mut self, event: BuildEvent<'_>) -> Vec<Piece> {
        if self.over {
            return Vec::new();
        }
        match event {
            BuildEvent::Planned(steps) => {
                self.steps = planned(steps);
                Vec::new()
            }
            BuildEvent::Note { step: None, text: note } => vec![text(format!("{note}\n"))],
            BuildEvent::Warning { step: None, text: warning } => {
                vec![text(format!("[Warning] {warning}\n"))]
            }
            BuildEvent::Failed { step, .. } => {
                self.over = true;
                // what stands above is of no interest any more, but what has begun to be shown is not torn
                let Some(step) = self.steps.get_mut(step) else { return Vec::new() };
                let mut shown = std::mem::take(&mut step.kept);
                shown.extend(removed(step, self.removal, true).map(text));
                shown
            }
            event => {
                self.keep(event);
                self.flush()
            }
        }
    }

    fn keep(&mut self, event: BuildEvent<'_>) {
        let (number, piece) = match event {
            BuildEvent::Started { step } => (step, self.steps.get(step).map(|step| text(step.title.clone()))),
            BuildEvent::Cached { step, .. } => (step, Some(text(" ---> Using cache\n"))),
            BuildEvent::Running { step, container } => {
                let id = short(container).to_owned();
                let said = text(format!(" ---> Running in {id}\n"));
                if let Some(step) = self.steps.get_mut(step) {
                    step.container = Some(id);
                }
                (step, Some(said))
            }
            BuildEvent::Log { step, channel, bytes } => (step, Some(Piece::Bytes(channel, bytes.to_vec()))),
            BuildEvent::Pull { step, event } => (step, Some(Piece::Pull(event.clone()))),
            BuildEvent::Note { step: Some(step), text: note } => (step, Some(text(format!("{note}\n")))),
            BuildEvent::Warning { step: Some(step), text: warning } => {
                (step, Some(text(format!("[Warning] {warning}\n"))))
            }
            BuildEvent::Done { step, image } => (step, self.end(step, image)),
            _ => return,
        };
        if let Some(step) = self.steps.get_mut(number) {
            step.kept.extend(piece);
        }
    }

    fn end(&mut self, step: usize, image: Option<&str>) -> Option<Piece> {
        let step = self.steps.get_mut(step)?;
        (step.is_done, step.image) = (true, image.map(str::to_owned));
        let removed = removed(step, self.removal, false);
        let result = format!(" ---> {}\n", image.map(short).unwrap_or_default());
        Some(text(removed.unwrap_or_default() + &result))
    }

    fn flush(&mut self) -> Vec<Piece> {
        let mut shown = Vec::new();
        while let Some(step) = self.steps.get_mut(self.due) {
            shown.append(&mut step.kept);
            if !step.is_done {
                break;
            }
            let (stage, image) = (step.stage, step.image.take());
            self.due += 1;
            if self.steps.get(self.due).is_none_or(|next| next.stage != stage) {
                shown.extend(image.map(Piece::Stage));
            }
        }
        shown
    }
}

fn removed(step: &mut Step, removal: Removal, has_failed: bool) -> Option<String> {
    let id = step.container.take().filter(|_| removal.takes(has_failed))?;
    Some(format!(" ---> Removed intermediate container {id}\n"))
}

fn planned(steps: &[PlannedStep]) -> Vec<Step> {
    let title = |(at, step): (usize, &PlannedStep)| Step {
        title: format!("Step {}/{} : {}\n", at + 1, steps.len(), step.text),
        stage: step.stage_number,
        ..Step::default()
    };
    steps.iter().enumerate().map(title).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::BuildError;

    fn plan() -> Vec<PlannedStep> {
        let texts = ["FROM a AS one", "RUN x", "FROM b", "COPY --from=one /x /"];
        let step = |(id, text): (usize, &&str)| PlannedStep {
            id,
            stage: "s".into(),
            stage_number: id / 2,
            number: 1,
            of: 2,
            text: (*text).into(),
            lines: None,
            inputs: Vec::new(),
        };
        texts.iter().enumerate().map(step).collect()
    }

    /// What was shown in the end, each event's part in a line of its own.
    fn shown(events: Vec<BuildEvent<'_>>, removal: Removal) -> Vec<String> {
        let (mut screen, plan) = (Screen { removal, ..Screen::default() }, plan());
        screen.hear(BuildEvent::Planned(&plan));
        let told = events.into_iter().map(|event| screen.hear(event));
        told.map(|pieces| {
            pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Bytes(_, bytes) => String::from_utf8(bytes).unwrap(),
                    Piece::Pull(_) => "(pull)".into(),
                    Piece::Stage(image) => format!("({image})"),
                })
                .collect()
        })
        .collect()
    }

    #[test]
    fn a_step_is_told_when_it_is_due() {
        let id = format!("sha256:{}", "ab".repeat(32));
        let log = |step, bytes: &'static str| BuildEvent::Log {
            step,
            channel: Channel::Stdout,
            bytes: bytes.as_bytes(),
        };
        let told = shown(
            vec![
                BuildEvent::Started { step: 0 },
                BuildEvent::Started { step: 2 },
                BuildEvent::Done { step: 2, image: None },
                BuildEvent::Done { step: 0, image: Some(&id) },
                BuildEvent::Started { step: 1 },
                BuildEvent::Running { step: 1, container: &"cd".repeat(32) },
                log(1, "hi\n"),
                BuildEvent::Done { step: 1, image: Some(&id) },
                BuildEvent::Started { step: 3 },
                BuildEvent::Cached { step: 3, image: &id },
                BuildEvent::Done { step: 3, image: Some(&id) },
                BuildEvent::Warning { step: None, text: "w" },
            ],
            Removal::default(),
        );
        assert_eq!(
            told,
            [
                "Step 1/4 : FROM a AS one\n",
                "",
                "",
                " ---> abababababab\n",
                "Step 2/4 : RUN x\n",
                " ---> Running in cdcdcdcdcdcd\n",
                "hi\n",
                " ---> Removed intermediate container cdcdcdcdcdcd\n ---> abababababab\n(ID)Step 3/4 : FROM b\n ---> \n",
                "Step 4/4 : COPY --from=one /x /\n",
                " ---> Using cache\n",
                " ---> abababababab\n(ID)",
                "[Warning] w\n",
            ]
            .map(|line| line.replace("ID", &id))
        );
    }

    #[test]
    fn a_failure_shows_its_own_step_and_ends_the_screen() {
        let why = BuildError::Failed("x".into());
        let told = shown(
            vec![
                BuildEvent::Started { step: 0 },
                BuildEvent::Started { step: 2 },
                BuildEvent::Log { step: 2, channel: Channel::Stderr, bytes: b"oh\n" },
                BuildEvent::Failed { step: 2, why: &why },
                BuildEvent::Log { step: 0, channel: Channel::Stdout, bytes: b"late\n" },
            ],
            Removal::default(),
        );
        assert_eq!(told, ["Step 1/4 : FROM a AS one\n", "", "", "Step 3/4 : FROM b\noh\n", ""]);
    }

    #[test]
    fn what_is_removed_is_said() {
        let id = "cd".repeat(32);
        let (why, said) =
            (BuildError::Failed("x".into()), " ---> Removed intermediate container cdcdcdcdcdcd\n");
        let run = |removal, last| {
            let begin = [
                BuildEvent::Done { step: 0, image: None },
                BuildEvent::Started { step: 1 },
                BuildEvent::Running { step: 1, container: &id },
            ];
            shown(begin.into_iter().chain([last]).collect(), removal).pop().unwrap()
        };
        for (removal, after_success, after_failure) in
            [(Removal::Successful, true, false), (Removal::Nothing, false, false), (Removal::All, true, true)]
        {
            let done = run(removal, BuildEvent::Done { step: 1, image: None });
            assert_eq!(done.starts_with(said), after_success, "{removal:?}: {done}");
            let failed = run(removal, BuildEvent::Failed { step: 1, why: &why });
            assert_eq!(failed == said, after_failure, "{removal:?}: {failed}");
        }
    }
}

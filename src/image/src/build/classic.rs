//! A build as `docker build` has always told it: `Step 2/4 : RUN make`, top to bottom. Stages run side by side, so what
//! is told before its turn is kept until then.

use super::output::{BuildOutput, Channel};
use super::progress::{BuildEvent, BuildProgress, PlannedStep};
use super::short;
use crate::ImageRef;
use crate::progress::PullEvent;
use cri::ImageInfo;
use std::sync::{Arc, Mutex, PoisonError};

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
}

#[derive(Debug, Default)]
struct Step {
    title: String,
    kept: Vec<Piece>,
    container: Option<String>,
    is_done: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Bytes(Channel, Vec<u8>),
    Pull(PullEvent),
}

fn text(text: impl Into<String>) -> Piece {
    Piece::Bytes(Channel::Builder, text.into().into_bytes())
}

impl Classic {
    pub fn new(out: Arc<dyn BuildOutput>) -> Classic {
        Classic { out, screen: Mutex::default() }
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
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in screen.hear(event) {
            match piece {
                Piece::Bytes(channel, bytes) => self.out.write(channel, &bytes),
                Piece::Pull(event) => self.out.pull(&event),
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
                self.steps.get_mut(step).map(|step| std::mem::take(&mut step.kept)).unwrap_or_default()
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
        step.is_done = true;
        let removed = step.container.take().map(|id| format!(" ---> Removed intermediate container {id}\n"));
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
            self.due += 1;
        }
        shown
    }
}

fn planned(steps: &[PlannedStep]) -> Vec<Step> {
    let title = |(at, step): (usize, &PlannedStep)| Step {
        title: format!("Step {}/{} : {}\n", at + 1, steps.len(), step.text),
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
    fn shown(events: Vec<BuildEvent<'_>>) -> Vec<String> {
        let (mut screen, plan) = (Screen::default(), plan());
        screen.hear(BuildEvent::Planned(&plan));
        let told = events.into_iter().map(|event| screen.hear(event));
        told.map(|pieces| {
            pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Bytes(_, bytes) => String::from_utf8(bytes).unwrap(),
                    Piece::Pull(_) => "(pull)".into(),
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
        let told = shown(vec![
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
        ]);
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
                " ---> Removed intermediate container cdcdcdcdcdcd\n ---> abababababab\nStep 3/4 : FROM b\n ---> \n",
                "Step 4/4 : COPY --from=one /x /\n",
                " ---> Using cache\n",
                " ---> abababababab\n",
                "[Warning] w\n",
            ]
        );
    }

    #[test]
    fn a_failure_shows_its_own_step_and_ends_the_screen() {
        let why = BuildError::Failed("x".into());
        let told = shown(vec![
            BuildEvent::Started { step: 0 },
            BuildEvent::Started { step: 2 },
            BuildEvent::Log { step: 2, channel: Channel::Stderr, bytes: b"oh\n" },
            BuildEvent::Failed { step: 2, why: &why },
            BuildEvent::Log { step: 0, channel: Channel::Stdout, bytes: b"late\n" },
        ]);
        assert_eq!(told, ["Step 1/4 : FROM a AS one\n", "", "", "Step 3/4 : FROM b\noh\n", ""]);
    }
}

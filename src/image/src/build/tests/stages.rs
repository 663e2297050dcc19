//! Stages side by side.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Barrier;

/// `meet` waits until two of them run; `hang` never ends, and says when it was given up.
struct Meeting {
    both: Barrier,
    given_up: Arc<AtomicBool>,
    hangs: tokio::sync::Notify,
}

struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl BuildRunner for Meeting {
    async fn run(&self, spec: RunSpec, _: &dyn BuildOutput) -> cri::Result<i32> {
        match spec.argv.last().map(String::as_str) {
            Some("meet") => {
                self.both.wait().await;
                Ok(0)
            }
            Some("hang") => {
                let _guard = GivenUp(self.given_up.clone());
                self.hangs.notify_one();
                std::future::pending().await
            }
            _ => {
                self.hangs.notified().await;
                Ok(3)
            }
        }
    }
}

fn meeting() -> Arc<Meeting> {
    Arc::new(Meeting { both: Barrier::new(2), given_up: Arc::default(), hangs: tokio::sync::Notify::new() })
}

async fn build(lab: &Lab, file: &str, runner: Arc<Meeting>) -> Result<BuildResult, BuildError> {
    let context = Tar::new().file("Dockerfile", file).bytes();
    let context = BuildContext::Tar(Box::new(Cursor::new(context)));
    let progress = Arc::new(Classic::new(lab.screen.clone()));
    lab.t.store.build(context, options(), runner, progress).await
}

fn one_core() -> bool {
    let alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    if alone {
        eprintln!("SKIPPED: one core does one step at a time");
    }
    alone
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_run_side_by_side_and_are_told_in_order() {
    if one_core() {
        return;
    }
    let lab = Lab::new().await;
    let file = "FROM base AS one\nRUN meet\nFROM base AS two\nRUN meet\nFROM base\nCOPY --from=one /etc/passwd /a\n\
                COPY --from=two /etc/passwd /b\n";
    build(&lab, file, meeting()).await.unwrap();
    let screen = lab.screen();
    let titles: Vec<&str> = screen.lines().filter(|line| line.starts_with("Step ")).collect();
    assert_eq!(titles[1..4], ["Step 2/7 : RUN meet", "Step 3/7 : FROM base AS two", "Step 4/7 : RUN meet"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_fails_ends_the_others() {
    if one_core() {
        return;
    }
    let lab = Lab::new().await;
    let file = "FROM base AS one\nRUN hang\nFROM base AS two\nRUN fail\nFROM base\nCOPY --from=one /a /\nCOPY --from=two /a /\n";
    let meeting = meeting();
    let why = build(&lab, file, meeting.clone()).await.unwrap_err().to_string();
    assert_eq!(why, "The command '/bin/sh -c fail' returned a non-zero code: 3");
    assert!(meeting.given_up.load(Ordering::SeqCst));
    assert!(lab.screen().contains("RUN fail"), "{}", lab.screen());
    assert_eq!(std::fs::read_dir(lab.t.dir.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_says_what_builds_upon_what() {
    struct Told(Mutex<Vec<PlannedStep>>);
    impl BuildProgress for Told {
        fn tell(&self, event: BuildEvent<'_>) {
            if let BuildEvent::Planned(steps) = event {
                self.0.lock().unwrap().extend_from_slice(steps);
            }
        }
    }
    let lab = Lab::new().await;
    let file = "FROM base AS one\nENV A=1\nRUN touch x\nFROM one\nCOPY --from=one \\\n  /x /y\n";
    let context = BuildContext::Tar(Box::new(Cursor::new(Tar::new().file("Dockerfile", file).bytes())));
    let told = Arc::new(Told(Mutex::default()));
    let labels = [("l".to_owned(), "1".to_owned())].into();
    let options = BuildOptions { labels, ..options() };
    lab.t.store.build(context, options, lab.runner.clone(), told.clone()).await.unwrap();
    let told = told.0.lock().unwrap();
    let facts: Vec<_> =
        told.iter().map(|s| (s.stage.as_str(), s.number, s.of, s.lines.clone(), s.inputs.clone())).collect();
    assert_eq!(
        facts,
        [
            ("one", 1, 2, Some(1..=1), vec![]),
            ("one", 0, 2, Some(2..=2), vec![0]),
            ("one", 2, 2, Some(3..=3), vec![1]),
            ("stage-1", 1, 2, Some(4..=4), vec![2]),
            ("stage-1", 2, 2, Some(5..=6), vec![3, 2]),
            ("stage-1", 0, 2, None, vec![4]),
        ]
    );
    assert_eq!(told[4].text, "COPY --from=one   /x /y");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_an_empty_stage_are_inherited() {
    let lab = Lab::new().await;
    let file = "FROM scratch AS nothing\nFROM base AS one\nARG V=1\nFROM one\nRUN touch $V\nCOPY --from=nothing . /here/\n";
    lab.build(file, Tar::new()).await.unwrap();
    let env = lab.runner.0.lock().unwrap()[0].env.clone();
    assert!(env.contains(&"V=1".to_owned()), "{env:?}");
    assert!(lab.find("here").unwrap().is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_with_names_stand_for_images_and_stages() {
    let lab = Lab::new().await;
    let directory = trees::TempDir::new().unwrap();
    std::fs::write(directory.path().join("f"), "named").unwrap();
    let file = "FROM mine AS x\nCOPY --from=files /f /f\nRUN --mount=from=files,target=/m touch x\n";
    let named_contexts = [
        ("files".to_owned(), NamedContext::Directory(Arc::new(directory))),
        ("mine".to_owned(), NamedContext::Image("docker-image://base".into())),
    ];
    let options = BuildOptions { named_contexts: named_contexts.into(), ..options() };
    lab.build_with(Tar::new().file("Dockerfile", file), options).await.unwrap();
    assert_eq!(lab.read("f"), "named");
    assert!(lab.find("etc/passwd").is_some());
}

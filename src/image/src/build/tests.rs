mod cache;
mod contexts;
mod facts;
mod hostile;
mod refusals;
mod stages;

use super::*;
use crate::testing::{Tar, TestStore, docker_archive, gzip, store};
use async_trait::async_trait;
use cri::ImageInfo;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

/// Understands `touch FILE` and `fail CODE`; everything else succeeds and changes nothing.
#[derive(Default)]
struct Runner(Mutex<Vec<RunSpec>>);

fn options() -> BuildOptions {
    BuildOptions { tags: vec!["made".into()], ..BuildOptions::default() }
}

#[async_trait]
impl BuildRunner for Runner {
    async fn run(&self, spec: RunSpec, output: &dyn BuildOutput) -> cri::Result<i32> {
        let line = spec.argv.last().cloned().unwrap_or_default();
        output.write(Channel::Stdout, format!("ran {line}\n").as_bytes());
        let words: Vec<&str> = line.split_whitespace().collect();
        let code = match words[..] {
            ["touch", file] => {
                std::fs::write(spec.upper.join(file), &line).unwrap();
                0
            }
            ["fail", code] => code.parse().unwrap(),
            _ => 0,
        };
        self.0.lock().unwrap().push(spec);
        Ok(code)
    }
}

#[derive(Default)]
struct Screen(Mutex<String>);

impl BuildOutput for Screen {
    fn write(&self, _: Channel, bytes: &[u8]) {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
    }
}

struct Lab {
    t: TestStore,
    runner: Arc<Runner>,
    screen: Arc<Screen>,
}

impl Lab {
    /// With an image `base`: a user in it, a CMD, a link.
    async fn new() -> Lab {
        let layer = Tar::new()
            .file("etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:101:102::/:/bin/sh\n")
            .file("etc/group", "staff:x:50:\n")
            .directory("run")
            .directory("var")
            .entry(tar::EntryType::Symlink, "var/run", "/run", b"")
            .bytes();
        let t = store();
        t.store.load(Cursor::new(docker_archive(&["base"], &[layer]))).await.unwrap();
        Lab { t, runner: Arc::default(), screen: Arc::default() }
    }

    async fn build_with(&self, context: Tar, options: BuildOptions) -> Result<ImageInfo, BuildError> {
        self.screen.0.lock().unwrap().clear();
        self.runner.0.lock().unwrap().clear();
        let context = BuildContext::Tar(Box::new(Cursor::new(context.bytes())));
        self.build_context(context, options).await
    }

    async fn build_context(
        &self,
        context: BuildContext,
        options: BuildOptions,
    ) -> Result<ImageInfo, BuildError> {
        let classic = Arc::new(Classic::new(self.screen.clone()));
        let built = self.t.store.build(context, options, self.runner.clone(), classic.clone()).await?;
        classic.built(&built.image);
        Ok(built.image)
    }

    async fn build(&self, dockerfile: &str, context: Tar) -> Result<ImageInfo, BuildError> {
        let options = BuildOptions { tags: vec!["made".into()], ..BuildOptions::default() };
        self.build_with(context.file("Dockerfile", dockerfile), options).await
    }

    fn screen(&self) -> String {
        self.screen.0.lock().unwrap().clone()
    }

    fn ran(&self) -> usize {
        self.runner.0.lock().unwrap().len()
    }

    fn config(&self) -> crate::RunConfig {
        self.t.store.details("made").unwrap().document.config
    }

    /// Where a file of the built image really lies.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let view = view::View { layers: self.t.store.rootfs("made").unwrap().layers };
        match view.resolve(std::path::Path::new(path)).unwrap().1 {
            view::Node::Missing => None,
            view::Node::Directory(parts) => parts.first().cloned(),
            view::Node::File(real) | view::Node::Symlink(real) => Some(real),
        }
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.find(path).unwrap_or_else(|| panic!("no {path}"))).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_reads_as_dockers_and_the_second_one_is_all_cache() {
    let lab = Lab::new().await;
    let file = "FROM base\nADD app.js /app.js\nRUN touch x\nENTRYPOINT [\"node\", \"app.js\"]\n";
    let context = || Tar::new().file("app.js", "serve()");
    let info = lab.build(file, context()).await.unwrap();
    assert_eq!(info.repo_tags, ["docker.io/library/made:latest"]);
    assert_eq!((lab.read("app.js"), lab.read("x")), ("serve()".into(), "touch x".into()));
    let screen = lab.screen();
    let mut rest = screen.as_str();
    for part in [
        "Step 1/4 : FROM base\n ---> ",
        "Step 2/4 : ADD app.js /app.js\n ---> ",
        "Step 3/4 : RUN touch x\n ---> Running in ",
        "ran touch x\n ---> Removed intermediate container ",
        "Step 4/4 : ENTRYPOINT [\"node\", \"app.js\"]\n ---> ",
        "Successfully built ",
        "Successfully tagged made:latest\n",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in order in\n{screen}"));
        rest = &rest[at + part.len()..];
    }
    assert_eq!(lab.t.store.images().len(), 2, "steps are not shown");
    let history = lab.t.store.history("made").unwrap();
    assert!(history[0].item.created_by.contains("ENTRYPOINT") && history[0].item.empty_layer);
    assert_eq!(history[1].item.created_by, "/bin/sh -c touch x");

    let again = lab.build(file, context()).await.unwrap();
    assert_eq!((again.id.as_str(), lab.ran()), (info.id.as_str(), 0));
    assert_eq!(lab.screen().matches(" ---> Using cache\n").count(), 3);

    lab.build(file, Tar::new().file("app.js", "changed")).await.unwrap();
    assert_eq!(lab.ran(), 1, "what stands on a changed file is done again");
    let options = BuildOptions { no_cache: true, ..BuildOptions::default() };
    lab.build_with(context().file("Dockerfile", file), options).await.unwrap();
    assert_eq!(lab.ran(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_what_the_instructions_say() {
    let lab = Lab::new().await;
    let file = "ARG BASE=base\nFROM $BASE\nARG WHO=me\nARG TARGETARCH\nENV A=1 B=\"$WHO ${A:-x}\"\nENV C $B!\nLABEL l=\"x $A\"\n\
                EXPOSE 80 53/UDP\nVOLUME /data\nUSER web\nWORKDIR /w\nWORKDIR sub/$A\nSTOPSIGNAL SIGINT\n\
                SHELL [\"/bin/bash\", \"-ec\"]\nHEALTHCHECK --interval=5s CMD check $A\nONBUILD RUN touch y\nMAINTAINER $WHO\n\
                ENTRYPOINT serve\nRUN echo";
    let args = [("WHO".to_owned(), Some("you".to_owned())), ("UNUSED".to_owned(), None)].into();
    let labels = [("from".to_owned(), "cli".to_owned())].into();
    let options = BuildOptions { tags: vec!["made".into()], args, labels, ..BuildOptions::default() };
    lab.build_with(Tar::new().file("Dockerfile", file), options).await.unwrap();
    let config = lab.config();
    assert_eq!(config.env, ["PATH=/bin", "A=1", "B=you x", "C=you x!"], "a line sees what was before it");
    assert_eq!(config.labels, [("from".into(), "cli".into()), ("l".into(), "x 1".into())].into());
    assert_eq!(config.exposed_ports.into_keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
    assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("web", "/w/sub/1"));
    assert_eq!(config.entrypoint.unwrap(), ["/bin/bash", "-ec", "serve"]);
    assert_eq!(config.cmd, None, "the base's CMD was for the base's entry point");
    let check = config.healthcheck.unwrap();
    assert_eq!((check.test, check.interval), (vec!["CMD-SHELL".into(), "check $A".into()], 5_000_000_000));
    assert_eq!(config.on_build, ["RUN touch y"]);
    assert!(lab.find("w/sub/1").unwrap().is_dir(), "WORKDIR makes its directory");
    assert!(lab.screen().contains("build-args [UNUSED] were not consumed"));
    let spec = lab.runner.0.lock().unwrap().pop().unwrap();
    assert_eq!((spec.cwd.as_str(), spec.user.as_str()), ("/w/sub/1", "web"));
    assert!(spec.env.contains(&"WHO=you".to_owned()), "arguments are in a RUN's environment: {:?}", spec.env);

    lab.build("FROM made\n", Tar::new()).await.unwrap();
    assert_eq!(lab.read("y"), "touch y", "the trigger went off");
    assert!(lab.config().on_build.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_where_docker_puts_them() {
    let lab = Lab::new().await;
    let file = "FROM base AS one\nRUN touch made-here\nFROM base\nWORKDIR /w\nCOPY a.txt b.txt dir/\nCOPY a.txt renamed\n\
                COPY --chown=web:staff --chmod=600 a.txt /owned\nCOPY tree /t/\nCOPY *.t[wx]t /glob/\nCOPY --from=one /made-here .\n\
                COPY a.txt /var/run/\nADD arch.tgz /un/\nCOPY arch.tgz /un/\nCOPY <<EOF /doc\nhi $HOME.\nEOF\nCOPY . /all/\n";
    let inner =
        Tar::new().file("./in/x", "unpacked").entry(tar::EntryType::Symlink, "l", "in/x", b"").bytes();
    let context = Tar::new()
        .file("a.txt", "a")
        .file("b.txt", "b")
        .file("tree/deep/f", "f")
        .with(tar::EntryType::Regular, "tree/run.sh", "", b"#!", |h| h.set_mode(0o755))
        .entry(tar::EntryType::Symlink, "tree/link", "deep/f", b"")
        .file("arch.tgz", gzip(&inner))
        .file("secret/key", "no")
        .file(".dockerignore", "secret\n");
    lab.build(file, context).await.unwrap();
    for (path, content) in [
        ("w/dir/a.txt", "a"),
        ("w/dir/b.txt", "b"),
        ("w/renamed", "a"),
        ("owned", "a"),
        ("t/deep/f", "f"),
        ("glob/a.txt", "a"),
        ("w/made-here", "touch made-here"),
        ("run/a.txt", "a"),
        ("un/in/x", "unpacked"),
        ("un/l", "unpacked"),
        ("doc", "hi .\n"),
        ("t/link", "f"),
        ("all/b.txt", "b"),
    ] {
        assert_eq!(lab.read(path), content, "{path}");
    }
    assert!(lab.find("all/secret").is_none() && lab.find("un/arch.tgz").is_some());
    let owned = std::fs::metadata(lab.find("owned").unwrap()).unwrap();
    assert_eq!(owned.mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(lab.find("t/run.sh").unwrap()).unwrap().permissions().mode() & 0o777, 0o755);
    if rustix::process::geteuid().is_root() {
        assert_eq!((owned.uid(), owned.gid()), (101, 50));
    } else {
        eprintln!("SKIPPED: owners need root");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_left_out_is_made_for_what_is_brought_back() {
    let lab = Lab::new().await;
    let context = Tar::new()
        .with(tar::EntryType::Directory, "d/", "", b"", |h| h.set_mode(0o700))
        .file("d/gone", "gone")
        .file("d/keep/f", "kept")
        .file("other/gone", "gone");
    let file = "FROM base\nCOPY --exclude=d --exclude=other --exclude=!d/keep . /x/\n";
    lab.build(file, context).await.unwrap();
    assert_eq!(lab.read("x/d/keep/f"), "kept");
    let made = std::fs::metadata(lab.find("x/d").unwrap()).unwrap();
    assert_eq!(made.mode() & 0o7777, 0o755, "what it is in the context says nothing");
    assert!(lab.find("x/d/gone").is_none() && lab.find("x/other").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_of_a_run_are_handed_to_the_runner() {
    let lab = Lab::new().await;
    let file = "FROM base AS one\nFROM base\nRUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t \
                --mount=type=bind,from=one,source=/etc,target=e --mount=type=secret,id=key --network=none x\n";
    let options = BuildOptions {
        secrets: Some(Arc::new(BTreeMap::from([("key".to_owned(), b"s3cret".to_vec())]))),
        ..BuildOptions::default()
    };
    lab.build_with(Tar::new().file("Dockerfile", file), options).await.unwrap();
    let spec = lab.runner.0.lock().unwrap().pop().unwrap();
    let targets: Vec<String> = spec.mounts.iter().map(|m| m.target.display().to_string()).collect();
    assert_eq!(targets, ["/c", "/t", "/e", "/run/secrets/key"]);
    assert!(matches!(&spec.mounts[0].source, MountSource::Host(directory) if directory.is_dir()));
    assert!(matches!(&spec.mounts[2].source, MountSource::Host(directory) if directory.ends_with("etc")));
    assert!(
        matches!(&spec.mounts[3].source, MountSource::Host(file) if !file.exists()),
        "the secret went with the step"
    );
    assert_eq!(spec.settings.network.as_deref(), Some("none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_can_be_taken_away_and_the_image_stays() {
    let lab = Lab::new().await;
    lab.build("FROM scratch\nCOPY a /\nCOPY b /\n", Tar::new().file("a", "aa").file("b", "b")).await.unwrap();
    assert_eq!(lab.t.store.rootfs("made").unwrap().layers.len(), 2);
    assert_eq!(lab.t.store.prune_build_cache().unwrap().removed.len(), 1);
    assert_eq!(lab.read("a"), "aa");
    lab.t.store.remove_image("made").unwrap();
    assert!(lab.t.store.prune_build_cache().unwrap().removed.is_empty());

    lab.build("FROM scratch\nCOPY a /\nCOPY b /\n", Tar::new().file("a", "aa").file("b", "b")).await.unwrap();
    let removed = lab.t.store.remove_image("made").unwrap();
    assert_eq!(
        removed.len(),
        5,
        "its name, itself, the step that led to it only, and two layers: {removed:?}"
    );
    lab.build("FROM base\nRUN touch x\nUSER web\n", Tar::new()).await.unwrap();
    lab.t.store.tag("made", "kept").unwrap();
    lab.build("FROM kept\nRUN touch y\n", Tar::new()).await.unwrap();
    lab.t.store.remove_image("made").unwrap();
    lab.build("FROM base\nRUN touch x\nUSER web\n", Tar::new()).await.unwrap();
    assert_eq!(lab.ran(), 0, "steps of an image that is still there stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_at_the_same_epoch_are_the_same_image() {
    let lab = Lab::new().await;
    let build = async |epoch: &str| {
        let args = [("SOURCE_DATE_EPOCH".to_owned(), Some(epoch.to_owned()))];
        let options =
            BuildOptions { args: args.into(), no_cache: true, dialect: Dialect::BuildKit, ..options() };
        let context = Tar::new().file("a", "a").file("Dockerfile", "FROM base\nCOPY a /a\nLABEL x=y\n");
        lab.build_with(context, options).await
    };
    let first = build("1700000000").await.unwrap();
    assert!(!lab.screen().contains("were not consumed"), "{}", lab.screen());
    let document = lab.t.store.details("made").unwrap().document;
    let at = jiff::Timestamp::from_second(1_700_000_000).ok();
    assert_eq!((document.created, document.history.last().unwrap().created), (at, at));
    assert_eq!(build("1700000000").await.unwrap().id, first.id);
    assert_ne!(build("1700000001").await.unwrap().id, first.id);
    let why = build("soon").await.unwrap_err().to_string();
    assert_eq!(why, "invalid SOURCE_DATE_EPOCH: soon");
}

/// Python packs no file that is older than 1980.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dockerfile_makes_itself_is_of_now_or_of_the_epoch() {
    let lab = Lab::new().await;
    let file = "FROM base\nWORKDIR /w\nCOPY <<E /made/f\nx\nE\n";
    let times = async |args: &[(&str, &str)]| {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        let dialect = Dialect::BuildKit;
        let options = BuildOptions { args: args.collect(), no_cache: true, dialect, ..options() };
        lab.build_with(Tar::new().file("Dockerfile", file), options).await.unwrap();
        ["w", "made", "made/f"].map(|path| lab.find(path).unwrap().metadata().unwrap().mtime())
    };
    let before = jiff::Timestamp::now().as_second();
    assert!(times(&[]).await.iter().all(|at| (before..before + 600).contains(at)));
    assert_eq!(times(&[("SOURCE_DATE_EPOCH", "1700000000")]).await, [1_700_000_000; 3]);
}

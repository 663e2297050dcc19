//! The frontend `dockerfile.v0`: fetches what the client has, and lets the image store's builder build it.

use crate::builds::Build;
use crate::errors::{self, SourceText};
use crate::frontend::{self, Context, Frontend, Named, NoCache};
use crate::meter::Meter;
use crate::progress::VertexId;
use crate::proto::ops::Definition;
use crate::sent;
use crate::session::files::{self, Wanted};
use crate::session::secrets::Secrets;
use crate::session::ssh::Agents;
use crate::session::{Logins, Session, upload};
use crate::subrequests::{Metadata, Question};
use crate::vertices::Vertices;
use crate::{BuildKit, lint, results, subrequests};
use image::{
    BuildContext, BuildError, BuildOptions, BuildResult, BuildSsh, CheckInput, Dialect, ImageError,
    NamedContext,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tonic::Status;

/// One build as it goes on.
struct Solving<'k> {
    kit: &'k BuildKit,
    build: &'k Build,
    frontend: Frontend,
    /// Of the client, where it has one.
    session: Option<Arc<Session>>,
    inputs: &'k HashMap<String, Definition>,
}

const IGNORE_VERTEX: &str = "[internal] load .dockerignore";
/// The entitlement by which a client lets a Dockerfile have the machine's network.
const NETWORK_HOST: &str = "network.host";

impl BuildKit {
    /// Builds what the attributes say. `inputs` are results of other builds.
    pub(crate) async fn dockerfile(
        &self,
        build: &Build,
        attrs: &HashMap<String, String>,
        inputs: &HashMap<String, Definition>,
    ) -> Result<BuildResult, Status> {
        let mut frontend = parse(attrs)?;
        // a question has no image for an answer: who asks drives the build, and comes by `answer`
        if let Some(question) = &frontend.question {
            return Err(Status::unimplemented(format!("unsupported request {question}")));
        }
        let session = self.sessions.of(&build.session).await?;
        if build.sent.lock().is_some() {
            frontend.context = Context::Sent;
            frontend.dockerfile = None;
        }
        Solving { kit: self, build, frontend, session, inputs }.carry_out().await
    }

    /// Says what is asked about the Dockerfile that the attributes name. Nothing is built.
    pub(crate) async fn answer(
        &self,
        build: &Build,
        attrs: &HashMap<String, String>,
        question: Question,
    ) -> Result<Metadata, Status> {
        let frontend = parse(attrs)?;
        let session = self.sessions.of(&build.session).await?;
        Solving { kit: self, build, frontend, session, inputs: &HashMap::new() }.answer(question).await
    }
}

fn parse(attrs: &HashMap<String, String>) -> Result<Frontend, Status> {
    let frontend = frontend::parse(attrs)?;
    if let Some(image) = attrs.get("source") {
        frontend::check_syntax(image)?;
    }
    Ok(frontend)
}

impl Solving<'_> {
    async fn carry_out(self) -> Result<BuildResult, Status> {
        let (definition, text, own_ignore) = self.load_definition().await?;
        let mut options = self.options(text.clone());
        options.named_contexts = self.load_named().await?;
        let ignore = self.ignore(own_ignore).await?;
        let filename = self.frontend.filename.clone();
        if let Some(text) = text.clone() {
            let source = SourceText { filename: filename.clone(), text };
            let settings = self.frontend.check.clone();
            let input = CheckInput { ignore: ignore.clone(), settings, is_for_build: true };
            let at = (&*self.build.progress, definition);
            lint::tell(&self.kit.images, at, &source, &options, &input).await?;
        }
        let paths = match &text {
            Some(text) => self.kit.images.context_paths(text, &options).await,
            None => None,
        };
        let (context, remote) = self.load_context(&ignore, paths).await?;
        let source = SourceText { filename, text: text.unwrap_or_default() };
        let named = self.frontend.contexts.iter().filter_map(|(name, context)| match context {
            Named::Image(image) => Some((name.clone(), image.clone())),
            Named::Directory(_) | Named::Input(_) | Named::Remote(_) => None,
        });
        let vertices =
            Arc::new(Vertices::new(self.build.progress.clone(), definition, named.collect(), remote));
        let built = self.kit.images.build(context, options, self.kit.runner.clone(), vertices.clone()).await;
        built.map_err(|error| self.refusal(&error, &source, &vertices))
    }

    fn refusal(&self, error: &BuildError, source: &SourceText, vertices: &Vertices) -> Status {
        vertices.not_begun(error);
        let lines = vertices.failed_lines();
        // an image that is not here can only have been named by the Dockerfile
        if let (BuildError::Image(inner), None) = (error, &lines)
            && matches!(inner.root(), ImageError::Refused(_))
        {
            return Status::unknown(error.to_string());
        }
        errors::of_build(error, source, lines)
    }

    /// The session that has a directory: bake lets several builds share one.
    async fn session_of(&self, directory: &str) -> Result<Arc<Session>, Status> {
        match self.frontend.sessions.get(directory) {
            Some(id) => self.kit.sessions.get(id).await,
            None => self.session(),
        }
    }

    /// The build's own, where something is needed of the client.
    fn session(&self) -> Result<Arc<Session>, Status> {
        self.session.clone().ok_or_else(|| Status::unavailable("no active sessions"))
    }

    async fn answer(self, question: Question) -> Result<Metadata, Status> {
        if question == Question::Describe {
            return Ok(subrequests::described());
        }
        let (_, text, own_ignore) = self.load_definition().await?;
        let text = text.ok_or_else(|| {
            Status::unimplemented(
                "of a Dockerfile that comes with a remote context nothing is told without a build",
            )
        })?;
        let mut options = self.options(Some(text.clone()));
        // those that have to be fetched are no part of the answer
        let images = self.frontend.contexts.iter().filter_map(|(name, context)| match context {
            Named::Image(image) => Some((name.clone(), NamedContext::Image(image.clone()))),
            Named::Directory(_) | Named::Input(_) | Named::Remote(_) => None,
        });
        options.named_contexts = images.collect();
        let source = SourceText { filename: self.frontend.filename.clone(), text };
        let images = &self.kit.images;
        let refused = |error: BuildError| errors::of_build(&error, &source, None);
        Ok(match question {
            Question::Check => {
                let ignore = self.ignore(own_ignore).await?;
                let settings = self.frontend.check.clone();
                let input = CheckInput { ignore, settings, is_for_build: false };
                let checked = images.check_dockerfile(&source.text, &options, &input).await;
                subrequests::checked(&checked.map_err(refused)?, &source)
            }
            Question::Outline => {
                let outline = images.outline_dockerfile(&source.text, &options).await.map_err(refused)?;
                subrequests::outline(&outline, &source)
            }
            Question::Targets => {
                let stages = images.dockerfile_targets(&source.text, &options).await.map_err(refused)?;
                subrequests::targets(&stages, &source)
            }
            Question::Describe => subrequests::described(),
        })
    }

    /// The Dockerfile, where it comes by itself, the ignore file that is its own, and the vertex that shows it.
    async fn load_definition(&self) -> Result<(VertexId, Option<String>, Option<String>), Status> {
        let progress = &self.build.progress;
        let filename = &self.frontend.filename;
        let base = filename.rsplit('/').next().unwrap_or(filename);
        let definition = progress.begin(&format!("[internal] load build definition from {base}"));
        let (text, own_ignore) = match &self.frontend.dockerfile {
            None => {
                progress.done(definition);
                (None, None)
            }
            Some(directory) => {
                let meter = Meter::new(progress, definition, "transferring dockerfile:");
                let (text, ignore) = self.load_dockerfile(directory, meter).await?;
                (Some(text), ignore)
            }
        };
        if let Some(image) = text.as_deref().and_then(frontend::syntax) {
            frontend::check_syntax(image)?;
        }
        Ok((definition, text, own_ignore))
    }

    /// The Dockerfile, and the ignore file that is its own.
    async fn load_dockerfile(
        &self,
        directory: &str,
        meter: Arc<Meter>,
    ) -> Result<(String, Option<String>), Status> {
        let name = self.frontend.filename.trim_start_matches("./").to_owned();
        let lower =
            name.rsplit_once('/').map_or("dockerfile".to_owned(), |(dir, _)| format!("{dir}/dockerfile"));
        let ignore = format!("{name}.dockerignore");
        let follow = vec![name.clone(), ignore.clone(), lower.clone()];
        let wanted = Wanted { directory: directory.to_owned(), follow, ..Wanted::default() };
        let mut found = files::small(self.session_of(directory).await?, &wanted, meter).await?;
        let is_default = name.rsplit('/').next() == Some("Dockerfile");
        let text = found.remove(&name).or_else(|| found.remove(&lower).filter(|_| is_default));
        let text = text.ok_or_else(|| {
            Status::unknown(format!("failed to read dockerfile: open {name}: no such file or directory"))
        })?;
        let as_text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((as_text(text), found.remove(&ignore).map(as_text)))
    }

    /// The context, of a directory only these paths where they are known, and the vertex of one that the builder will fetch
    /// itself.
    async fn load_context(
        &self,
        ignore: &str,
        paths: Option<Vec<String>>,
    ) -> Result<(BuildContext, Option<VertexId>), Status> {
        let progress = &self.build.progress;
        let directory = match &self.frontend.context {
            Context::Directory(directory) => directory,
            Context::Sent => {
                let vertex = progress.begin("[internal] load remote build context");
                let meter = Meter::new(progress, vertex, "transferring context:");
                let pieces = self
                    .build
                    .sent
                    .lock()
                    .take()
                    .ok_or_else(|| Status::unknown("the build context was read already"))?;
                return Ok((BuildContext::Tar(Box::new(sent::reader(pieces, meter))), None));
            }
            Context::Upload(url) => {
                let vertex = progress.begin("[internal] load remote build context");
                let meter = Meter::new(progress, vertex, "transferring context:");
                let tar = upload::pull(self.session()?, url, meter).await?;
                return Ok((BuildContext::Tar(Box::new(tar)), None));
            }
            Context::Remote(url) => {
                let vertex = progress.begin(&format!("[internal] load remote build context from {url}"));
                return Ok((BuildContext::Url(url.clone()), Some(vertex)));
            }
        };
        if paths.as_ref().is_some_and(Vec::is_empty) {
            return Ok((BuildContext::Empty, None));
        }
        let vertex = progress.begin("[internal] load build context");
        let meter = Meter::new(progress, vertex, "transferring context:");
        let exclude = frontend::ignore_patterns(ignore);
        let wanted = Wanted { directory: directory.clone(), exclude, follow: paths.unwrap_or_default() };
        let tar = files::receive(self.session_of(directory).await?, &wanted, meter).await?;
        Ok((BuildContext::Tar(Box::new(tar)), None))
    }

    /// The ignore file that counts: the Dockerfile's own, or that of a context which is a directory of the client.
    async fn ignore(&self, own: Option<String>) -> Result<String, Status> {
        match (&self.frontend.context, own) {
            (Context::Directory(directory), None) => self.load_ignore(directory).await,
            (Context::Directory(_), Some(text)) => {
                let progress = &self.build.progress;
                progress.done(progress.begin(IGNORE_VERTEX));
                Ok(text)
            }
            (Context::Upload(_) | Context::Remote(_) | Context::Sent, own) => Ok(own.unwrap_or_default()),
        }
    }

    /// The ignore file of a context, empty where there is none.
    async fn load_ignore(&self, directory: &str) -> Result<String, Status> {
        let progress = &self.build.progress;
        let vertex = progress.begin(IGNORE_VERTEX);
        let follow = vec![".dockerignore".to_owned()];
        let wanted = Wanted { directory: directory.to_owned(), follow, ..Wanted::default() };
        let meter = Meter::new(progress, vertex, "transferring context:");
        let found = files::small(self.session_of(directory).await?, &wanted, meter).await?;
        Ok(found.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect())
    }

    async fn load_named(&self) -> Result<BTreeMap<String, NamedContext>, Status> {
        let mut named = BTreeMap::new();
        for (name, context) in &self.frontend.contexts {
            let context = match context {
                Named::Image(image) => NamedContext::Image(image.clone()),
                Named::Input(input) => NamedContext::Image(self.input(name, input)?),
                Named::Directory(directory) => self.load_directory(name, directory).await?,
                Named::Remote(url) => self.fetch_named(name, url).await?,
            };
            named.insert(name.clone(), context);
        }
        Ok(named)
    }

    fn input(&self, name: &str, input: &str) -> Result<String, Status> {
        let definition = self.inputs.get(input);
        definition.and_then(results::image_of).ok_or_else(|| {
            Status::unknown(format!("build context {name}: an LLB definition of others is not offered"))
        })
    }

    async fn load_directory(&self, name: &str, directory: &str) -> Result<NamedContext, Status> {
        let progress = &self.build.progress;
        let session = self.session_of(directory).await?;
        let vertex = progress.begin(&format!("[context {name}] load .dockerignore"));
        let follow = vec![".dockerignore".to_owned()];
        let wanted = Wanted { directory: directory.to_owned(), follow, ..Wanted::default() };
        let meter = Meter::new(progress, vertex, &format!("transferring {name}:"));
        let ignore = files::small(session.clone(), &wanted, meter).await?;
        let ignore: String =
            ignore.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        let vertex = progress.begin(&format!("[context {name}] load from client"));
        let meter = Meter::new(progress, vertex, &format!("transferring {name}:"));
        let exclude = frontend::ignore_patterns(&ignore);
        let wanted = Wanted { directory: directory.to_owned(), exclude, ..Wanted::default() };
        let tar = files::receive(session, &wanted, meter).await?;
        let unpacked = self.kit.images.unpack_context(tar).await;
        Ok(NamedContext::Directory(Arc::new(unpacked.map_err(errors::of_image)?)))
    }

    async fn fetch_named(&self, name: &str, url: &str) -> Result<NamedContext, Status> {
        let progress = &self.build.progress;
        let vertex = progress.begin(&format!("[context {name}] load from {url}"));
        let agents = self.agents();
        let ssh = agents.as_ref().map(|agents| agents as &dyn BuildSsh);
        let fetched = self.kit.images.fetch_context(url, ssh).await;
        let fetched = progress.end(vertex, fetched.map_err(|error| Status::unknown(error.to_string())))?;
        Ok(NamedContext::Directory(Arc::new(fetched)))
    }

    fn agents(&self) -> Option<Agents> {
        let session = self.session.clone()?;
        Some(Agents { session, directory: self.kit.config.state_dir.join("agents") })
    }

    fn options(&self, dockerfile_text: Option<String>) -> BuildOptions {
        let (frontend, session) = (&self.frontend, self.session.clone());
        BuildOptions {
            dockerfile: frontend.filename.clone(),
            dockerfile_text,
            args: frontend.args.clone(),
            target: frontend.target.clone(),
            no_cache: frontend.no_cache == NoCache::All,
            no_cache_stages: match &frontend.no_cache {
                NoCache::Stages(stages) => stages.clone(),
                NoCache::No | NoCache::All => Vec::new(),
            },
            pull: frontend.pull,
            labels: frontend.labels.clone(),
            // it gets its names when the client says that it is done
            hidden: true,
            platform: frontend.platform.clone(),
            secrets: session.clone().map(|session| Arc::new(Secrets(session)) as _),
            ssh: self.agents().map(|agents| Arc::new(agents) as _),
            credentials: session.map(|session| Arc::new(Logins(session)) as _),
            run: frontend.run.clone(),
            dialect: Dialect::BuildKit,
            may_use_host_network: self.build.entitlements.iter().any(|granted| granted == NETWORK_HOST),
            ..BuildOptions::default()
        }
    }
}

//! The service `moby.buildkit.v1.frontend.LLBBridge`: the client drives its build from its own side.

use crate::builds::Build;
use crate::proto::control::VertexWarning;
use crate::proto::gateway::{
    EvaluateRequest, EvaluateResponse, InputsRequest, InputsResponse, PingRequest, PongResponse, Ref,
    ResolveImageConfigRequest, ResolveImageConfigResponse, ResultRef, ReturnRequest, ReturnResponse,
    SolveRequest, SolveResponse, SolveResult, WarnRequest, WarnResponse,
};
use crate::subrequests::{Question, REQUEST};
use crate::{BuildKit, control, errors, results, worker};
use image::Silent;
use std::collections::HashMap;
use std::sync::Arc;
use tonic::{Request, Status};

/// Which build a call belongs to.
const BUILD: &str = "buildkit-controlapi-buildid";
/// The image's configuration beside a result.
const CONFIG: &str = "containerimage.config";

impl BuildKit {
    pub(crate) async fn build_of<T>(&self, request: &Request<T>) -> Result<Arc<Build>, Status> {
        let id = request.metadata().get(BUILD).and_then(|id| id.to_str().ok());
        self.builds.get(id.ok_or_else(|| Status::invalid_argument("no buildid found in context"))?).await
    }

    pub(crate) async fn ping(self: Arc<Self>, request: Request<PingRequest>) -> Result<PongResponse, Status> {
        self.build_of(&request).await?;
        Ok(PongResponse {
            frontend_api_caps: worker::gateway_caps(),
            llb_caps: worker::build_caps(),
            workers: vec![worker::record(&self.config)],
        })
    }

    pub(crate) async fn bridge_solve(
        self: Arc<Self>,
        request: Request<SolveRequest>,
    ) -> Result<SolveResponse, Status> {
        let build = self.build_of(&request).await?;
        let request = request.into_inner();
        let (frontend, attrs) = (request.frontend.as_str(), &request.frontend_opt);
        match frontend {
            "dockerfile.v0" | "gateway.v0" => {}
            "" => return Err(Status::unknown(control::DEFINITION)),
            other => return Err(Status::unknown(format!("invalid frontend: {other}"))),
        }
        self.history.attributes(&build.reference, frontend, attrs);
        if let Some(question) = attrs.get(REQUEST).filter(|question| !question.is_empty()) {
            let question = Question::parse(question)?;
            let metadata = build.within(self.answer(&build, attrs, question)).await?;
            let result = SolveResult { result: None, metadata };
            return Ok(SolveResponse { r#ref: String::new(), result: Some(result) });
        }
        let built = build.within(self.dockerfile(&build, attrs, &request.frontend_inputs)).await?;
        let image = built.image.id.clone();
        let config = self.images.config_bytes(&image).map_err(errors::of_image)?;
        let id = build.keep(built);
        let reference = Ref { id, def: Some(results::definition(&image)) };
        let result = SolveResult {
            result: Some(ResultRef::Ref(reference)),
            metadata: HashMap::from([(CONFIG.to_owned(), config)]),
        };
        Ok(SolveResponse { r#ref: String::new(), result: Some(result) })
    }

    pub(crate) async fn give_back(
        self: Arc<Self>,
        request: Request<ReturnRequest>,
    ) -> Result<ReturnResponse, Status> {
        let build = self.build_of(&request).await?;
        let request = request.into_inner();
        let outcome = match (request.error, request.result) {
            (Some(error), _) => Err(errors::of_client(error)),
            (None, result) => match result.and_then(|result| single(result.result)) {
                Some(name) => build.result(&name).map(Some),
                None => Ok(None),
            },
        };
        build.give_back(outcome)?;
        Ok(ReturnResponse {})
    }

    pub(crate) async fn evaluate(
        self: Arc<Self>,
        request: Request<EvaluateRequest>,
    ) -> Result<EvaluateResponse, Status> {
        let build = self.build_of(&request).await?;
        // a result is there only when it is built
        build.result(&request.into_inner().r#ref)?;
        Ok(EvaluateResponse {})
    }

    pub(crate) async fn inputs(
        self: Arc<Self>,
        request: Request<InputsRequest>,
    ) -> Result<InputsResponse, Status> {
        self.build_of(&request).await?;
        Ok(InputsResponse::default())
    }

    pub(crate) async fn warn(self: Arc<Self>, request: Request<WarnRequest>) -> Result<WarnResponse, Status> {
        let build = self.build_of(&request).await?;
        let WarnRequest { digest, level, short, detail, url, info, ranges } = request.into_inner();
        build.progress.warn(None, VertexWarning { vertex: digest, level, short, detail, url, info, ranges });
        Ok(WarnResponse {})
    }

    pub(crate) async fn resolve_image_config(
        self: Arc<Self>,
        request: Request<ResolveImageConfigRequest>,
    ) -> Result<ResolveImageConfigResponse, Status> {
        let build = self.build_of(&request).await?;
        let asked = request.into_inner();
        let known = self.images.image(&asked.r#ref).map_err(errors::of_image)?;
        if asked.resolve_mode == "pull" || known.is_none() {
            let credentials = self.credentials(&build.session, &asked.r#ref).await?;
            let pulled = self.images.pull_with(&asked.r#ref, &credentials, Arc::new(Silent)).await;
            pulled.map_err(errors::of_image)?;
        }
        let image = self.images.image(&asked.r#ref).map_err(errors::of_image)?;
        let image = image.ok_or_else(|| Status::not_found(format!("{}: not found", asked.r#ref)))?;
        let config = self.images.config_bytes(&image.id).map_err(errors::of_image)?;
        Ok(ResolveImageConfigResponse { digest: image.id, config, r#ref: asked.r#ref })
    }
}

fn single(result: Option<ResultRef>) -> Option<String> {
    let name = match result? {
        ResultRef::RefDeprecated(name) => name,
        ResultRef::Ref(reference) => reference.id,
        // one platform, perhaps by its name
        ResultRef::Refs(map) => map.refs.into_values().next()?.id,
    };
    Some(name).filter(|name| !name.is_empty())
}

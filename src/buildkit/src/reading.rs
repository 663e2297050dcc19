//! Files of a result, for clients that look into it: ReadFile, ReadDir, StatFile of LLBBridge.

use crate::proto::gateway::{
    ReadDirRequest, ReadDirResponse, ReadFileRequest, ReadFileResponse, StatFileRequest, StatFileResponse,
};
use crate::session::export::{Item, stat};
use crate::{BuildKit, errors};
use cri::blocking;
use image::FoundPath;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use tonic::{Request, Status};

/// No message is larger.
const MAX_FILE: u64 = 15 << 20;

impl BuildKit {
    pub(crate) async fn read_file(
        self: Arc<Self>,
        request: Request<ReadFileRequest>,
    ) -> Result<ReadFileResponse, Status> {
        let build = self.build_of(&request).await?;
        let asked = request.into_inner();
        let (_held, found) = self.found(build.result(&asked.r#ref)?, &asked.file_path).await?;
        let range = asked.range.unwrap_or_default();
        let (offset, length) =
            (u64::try_from(range.offset).unwrap_or(0), u64::try_from(range.length).unwrap_or(0));
        let limit = if length == 0 { MAX_FILE } else { length.min(MAX_FILE) };
        read(asked.file_path, move || {
            let mut file = std::fs::File::open(&found.source)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut data = Vec::new();
            file.take(limit).read_to_end(&mut data)?;
            Ok(ReadFileResponse { data })
        })
        .await
    }

    pub(crate) async fn read_dir(
        self: Arc<Self>,
        request: Request<ReadDirRequest>,
    ) -> Result<ReadDirResponse, Status> {
        let build = self.build_of(&request).await?;
        let asked = request.into_inner();
        if !asked.include_pattern.is_empty() {
            return Err(Status::unimplemented("ReadDir with a pattern is not offered"));
        }
        let (_held, found) = self.found(build.result(&asked.r#ref)?, &asked.dir_path).await?;
        read(asked.dir_path, move || {
            let entries = found.entries.into_iter().map(|(path, source)| stat(&Item { path, source }));
            Ok(ReadDirResponse { entries: entries.collect::<std::io::Result<_>>()? })
        })
        .await
    }

    pub(crate) async fn stat_file(
        self: Arc<Self>,
        request: Request<StatFileRequest>,
    ) -> Result<StatFileResponse, Status> {
        let build = self.build_of(&request).await?;
        let asked = request.into_inner();
        let (_held, found) = self.found(build.result(&asked.r#ref)?, &asked.path).await?;
        let name = asked.path.rsplit('/').next().unwrap_or_default().to_owned();
        read(asked.path, move || {
            Ok(StatFileResponse { stat: Some(stat(&Item { path: name, source: found.source })?) })
        })
        .await
    }

    /// The result stays as long as it is looked at.
    async fn found<T: std::ops::Deref<Target = image::BuildResult>>(
        &self,
        result: T,
        path: &str,
    ) -> Result<(T, FoundPath), Status> {
        let (images, id, at) = (self.images.clone(), result.image.id.clone(), path.to_owned());
        let found = blocking(move || images.find(&id, &at)).await.map_err(errors::of_image)?;
        let found = found.ok_or_else(|| Status::not_found(format!("{path}: no such file or directory")))?;
        Ok((result, found))
    }
}

async fn read<T: Send + 'static>(
    path: String,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Status> {
    blocking(work).await.map_err(|e| Status::unknown(format!("{path}: {e}")))
}

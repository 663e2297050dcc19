//! Sits between a layer and the tar reader, and keeps the recipe by which the same tar is made again of the unpacked files.

use super::headers;
use crate::tar_split::TarSplitWriter;
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Goes into the recipe, and into the tar reader's memory.
    Headers,
    /// Goes into the recipe; streamed.
    Verbatim,
    /// Content of a file: comes back from the file.
    Content,
}

/// Sits under the tar reader and keeps the recipe of what goes by.
pub(super) struct Tee<R> {
    inner: R,
    state: Rc<RefCell<TeeState>>,
}

pub(super) struct TeeState {
    mode: Mode,
    headers: u64,
    recipe: TarSplitWriter,
}

impl TeeState {
    pub(super) fn new(recipe: TarSplitWriter) -> Rc<RefCell<TeeState>> {
        Rc::new(RefCell::new(TeeState { mode: Mode::Headers, headers: 0, recipe }))
    }

    pub(super) fn file_follows(&mut self, path: &[u8], length: u64) -> io::Result<()> {
        self.recipe.file(path, length)?;
        self.mode = Mode::Content;
        Ok(())
    }

    pub(super) fn set(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// An entry is done: its headers no longer count.
    pub(super) fn next_entry(&mut self) {
        self.mode = Mode::Headers;
        self.headers = 0;
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.recipe.finish()
    }

    fn passed(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.mode {
            Mode::Content => return Ok(()),
            Mode::Verbatim => {}
            Mode::Headers => self.headers += bytes.len() as u64,
        }
        headers::check(self.headers)?;
        self.recipe.raw(bytes)
    }
}

impl<R> Tee<R> {
    pub(super) fn new(inner: R, state: Rc<RefCell<TeeState>>) -> Tee<R> {
        Tee { inner, state }
    }
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.state.borrow_mut().passed(&buffer[..got])?;
        Ok(got)
    }
}

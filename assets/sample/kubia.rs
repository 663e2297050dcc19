//! The program in the sample image: answers every request on port 8080 with the name of the host that it runs on.
//!
//! Its own small program and not a crate of the workspace: it is compiled by the build script with nothing but `std`.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

const PORT: u16 = 8080;
/// Who has not asked by then is not going to.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST_HEAD: usize = 16 * 1024;
const SIGTERM: i32 = 15;
const SIGINT: i32 = 2;

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(code: i32) -> !;
}

/// The first process of a container gets no signal that it does not ask for: without this a stop would last its whole grace.
extern "C" fn end(_: i32) {
    // SAFETY: _exit is async-signal-safe and takes any number.
    unsafe { _exit(0) }
}

fn main() -> ExitCode {
    // SAFETY: the handler is a function of the right type that calls only what is async-signal-safe.
    unsafe {
        signal(SIGTERM, end);
        signal(SIGINT, end);
    }
    let listener = match TcpListener::bind(("0.0.0.0", PORT)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("listen on port {PORT}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("Kubia server starting...");
    for stream in listener.incoming().flatten() {
        // a client that sends nothing must not keep the others waiting
        let answered = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || answer(stream));
        if let Err(error) = answered {
            eprintln!("answer a request: {error}");
        }
    }
    ExitCode::SUCCESS
}

/// One connection, which may ask again and again.
fn answer(mut stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let from = stream.peer_addr().map_or_else(|_| "somebody".to_owned(), |peer| peer.ip().to_string());
    let Ok(input) = stream.try_clone() else { return };
    let mut input = BufReader::new(input);
    while let Some(close) = read_head(&mut input) {
        println!("Received request from {from}");
        let body = format!("You've hit {}\n", host_name());
        let connection = if close { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).is_err() || close {
            return;
        }
    }
}

/// Whether the client wants the connection closed afterwards; `None` where there is no whole request.
fn read_head(input: &mut impl BufRead) -> Option<bool> {
    let (mut close, mut size, mut lines) = (false, 0, 0);
    loop {
        let mut line = String::new();
        let read = input.read_line(&mut line).ok()?;
        size += read;
        if read == 0 || size > LONGEST_HEAD {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() && lines > 0 {
            return Some(close);
        }
        // a body is not read: whoever sends one is answered and let go
        close |=
            line == "connection: close" || line.ends_with("http/1.0") || line.starts_with("content-length:");
        lines += 1;
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

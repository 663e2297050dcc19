//! A line to a server that can be made to stand still in the middle of an answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

/// Bytes of an answer that come through a line that stands still: manifests and small layers do.
const BEFORE: usize = 300_000;

pub struct Tap {
    still: Arc<AtomicBool>,
}

impl Tap {
    /// Listens at one address and hands on to the other; stands still from the start.
    pub fn between(from: &str, to: &'static str) -> Tap {
        let still = Arc::new(AtomicBool::new(true));
        let (listener, flag) = (TcpListener::bind(from).unwrap(), still.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(to).unwrap();
                let (up_from, up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let flag = flag.clone();
                std::thread::spawn(move || hand_on(up_from, up_to, None));
                std::thread::spawn(move || hand_on(server, client, Some(&flag)));
            }
        });
        Tap { still }
    }

    pub fn flow(&self) {
        self.still.store(false, SeqCst);
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, still: Option<&AtomicBool>) {
    let (mut block, mut through) = (vec![0; 64 << 10], 0);
    while let Ok(got @ 1..) = from.read(&mut block) {
        through += got;
        while through > BEFORE && still.is_some_and(|still| still.load(SeqCst)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if to.write_all(&block[..got]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

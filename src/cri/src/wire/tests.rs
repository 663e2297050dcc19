//! Frames however they are cut, every message, and nonsense.

use super::*;

fn calls() -> Vec<Call> {
    let container = ContainerId("c".repeat(64));
    let requests = vec![
        Request::Hello,
        Request::Start { container: container.clone() },
        Request::Signal { container: container.clone(), signal: 15, all: true },
        Request::Attach { container: container.clone(), stdin: true, stdout: true, stderr: false },
        Request::Exec(ExecRequest { exec: 7, container: Some(container), tty: true, ..Default::default() }),
        Request::Shutdown,
    ];
    requests.into_iter().zip(1..).map(|(request, seq)| Call { seq, request }).collect()
}

#[test]
fn frames_come_back_whole_however_they_are_cut() {
    let stream: Vec<u8> = calls().iter().flat_map(encode).collect();
    for step in [1, 2, 3, 7, 64, stream.len()] {
        let (mut buffer, mut got) = (Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(call) = decode::<Call>(&mut buffer).unwrap() {
                got.push(call);
            }
        }
        assert_eq!(got, calls(), "in pieces of {step}");
        assert!(buffer.is_empty(), "in pieces of {step}");
    }
}

#[test]
fn every_message_survives_the_way() {
    let exit = ExitRecord {
        exit_code: 137,
        oom_killed: true,
        finished_at: jiff::Timestamp::UNIX_EPOCH,
        message: "x".into(),
    };
    let container = ContainerId("a".into());
    let record = ContainerRecord { pid: Some(3), started_at: None, exit: Some(exit.clone()) };
    for message in [
        Message::Reply { seq: 1, result: Ok(Reply::Done) },
        Message::Reply { seq: 2, result: Err("no such container".into()) },
        Message::Reply { seq: 3, result: Ok(Reply::Containers(vec![(container.clone(), record)])) },
        Message::Reply { seq: 4, result: Ok(Reply::Streams { pid: 9, fds: vec![StreamFd::Terminal] }) },
        Message::Event(ShimEvent::Exited { container: container.clone(), exit }),
        Message::Event(ShimEvent::OutOfMemory { container }),
        Message::Event(ShimEvent::ExecExited { exec: 5, exit_code: 1 }),
    ] {
        assert_eq!(decode::<Message>(&mut encode(&message)), Ok(Some(message)));
    }
}

#[test]
fn nonsense_is_refused() {
    assert!(decode::<Call>(&mut b"GET / HTTP/1.1\r\n\r\n".to_vec()).is_err());
    assert!(decode::<Call>(&mut [&[0, 0, 0, 2][..], b"{}"].concat()).is_err());
    assert_eq!(decode::<Call>(&mut vec![0, 0, 0]), Ok(None));
}

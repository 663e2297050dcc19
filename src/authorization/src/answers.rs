//! Answers of a webhook that are good still.

use crate::webhook::Answer;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Upstream's number.
const MOST: usize = 8192;
/// Whoever asks for a long name again and again fills no memory with it: upstream's length.
const LONGEST_QUESTION: usize = 10_000;

/// By the question, as it is sent.
#[derive(Default)]
pub struct Answers(Mutex<HashMap<Vec<u8>, (Answer, Instant)>>);

impl Answers {
    pub fn known(&self, question: &[u8], now: Instant) -> Option<Answer> {
        self.all().get(question).filter(|(_, until)| now < *until).map(|(answer, _)| answer.clone())
    }

    /// Those that are good no longer make room; where there is none, all go.
    pub fn keep(&self, question: Vec<u8>, answer: &Answer, good_for: Duration, now: Instant) {
        if question.len() > LONGEST_QUESTION {
            return;
        }
        let mut all = self.all();
        if all.len() >= MOST {
            all.retain(|_, (_, until)| now < *until);
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(question, (answer.clone(), now + good_for));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Vec<u8>, (Answer, Instant)>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::Ruling;

    #[test]
    fn an_answer_is_known_for_its_time_and_there_are_never_too_many() {
        let (answers, now) = (Answers::default(), Instant::now());
        let answer = Answer { ruling: Ruling::Allow, reason: String::new() };
        let second = Duration::from_secs(1);
        answers.keep(b"a".to_vec(), &answer, second, now);
        assert_eq!(answers.known(b"a", now), Some(answer.clone()));
        assert_eq!(answers.known(b"a", now + second), None);
        answers.keep(vec![b'x'; LONGEST_QUESTION + 1], &answer, second, now);
        assert_eq!(answers.known(&vec![b'x'; LONGEST_QUESTION + 1], now), None);
        for number in 0..MOST * 2 {
            answers.keep(number.to_string().into_bytes(), &answer, second, now);
            assert!(answers.all().len() <= MOST);
        }
    }
}

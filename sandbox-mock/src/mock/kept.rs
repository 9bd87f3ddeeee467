//! Answers that were made before: reading the same thing again makes nothing anew.
//!
//! Owns what an answer depends on and how many answers are kept. Only answers that come from the document alone are:
//! what a tenant has created is looked up every time.

use super::{Call, Context};
use crate::request::Request;
use crate::response::Response;
use crate::scenario::Scenario;
use crate::state::Recall;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Everything that such an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    operation: usize,
    seed: u64,
    history: u64,
    tenant: String,
    path: String,
    query: String,
    accept: String,
    scenario: Scenario,
}

/// An answer, and what the log says of it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) response: Response,
    pub(super) media: Option<(String, Option<u32>)>,
    pub(super) example: Option<String>,
}

/// Longer bodies are made anew.
const LONGEST_BODY: usize = 64 * 1024;
/// The answers of one generation; there are two of them at most.
const MOST_BYTES: usize = 2 * 1024 * 1024;
const MOST_ANSWERS: usize = 1_000;
/// What an answer needs besides its body, roughly.
const AROUND_BODY: usize = 1_024;

/// The answers in two generations: when the recent one is full, the older one goes.
#[derive(Debug, Default)]
pub(super) struct Answers {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    recent: HashMap<Question, Kept>,
    older: HashMap<Question, Kept>,
    bytes: usize,
}

impl Question {
    /// The question of a request whose answer depends on nothing else.
    pub(super) fn of(
        call: &Call<'_>,
        request: &Request<'_>,
        context: &Context,
        scenario: &Scenario,
        recall: &Recall,
    ) -> Option<Question> {
        let asks_only = request.method == "GET" && call.accepted.body.is_none();
        if !asks_only || !recall.is_empty() {
            return None;
        }
        Some(Question {
            operation: call.operation.index,
            seed: context.seed,
            history: recall.history,
            tenant: context.tenant.clone(),
            path: request.path.to_owned(),
            query: request.query.to_owned(),
            accept: request.header("accept").unwrap_or_default().to_owned(),
            scenario: scenario.clone(),
        })
    }
}

impl Answers {
    pub(super) fn find(&self, question: &Question) -> Option<Kept> {
        let mut generations = self.lock();
        if let Some(kept) = generations.recent.get(question) {
            return Some(kept.clone());
        }
        let kept = generations.older.remove(question)?;
        generations.keep(question.clone(), kept.clone());
        Some(kept)
    }

    pub(super) fn keep(&self, question: Question, kept: Kept) {
        if kept.response.body.len() <= LONGEST_BODY {
            self.lock().keep(question, kept);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn keep(&mut self, question: Question, kept: Kept) {
        let bytes = kept.response.body.len() + question.path.len() + question.query.len();
        if self.bytes + bytes > MOST_BYTES || self.recent.len() >= MOST_ANSWERS {
            self.older = std::mem::take(&mut self.recent);
            self.bytes = 0;
        }
        self.bytes += bytes + AROUND_BODY;
        self.recent.insert(question, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(path: usize) -> Question {
        Question {
            operation: 1,
            seed: 1,
            history: 0,
            tenant: "app_one".to_owned(),
            path: format!("/pets/{path}"),
            query: String::new(),
            accept: String::new(),
            scenario: Scenario::default(),
        }
    }

    fn kept(bytes: usize) -> Kept {
        Kept {
            response: Response {
                status: 200,
                headers: Vec::new(),
                body: vec![b'x'; bytes],
            },
            media: None,
            example: None,
        }
    }

    #[test]
    fn what_is_asked_for_again_stays_and_the_rest_goes() {
        let answers = Answers::default();
        for path in 0..10 * MOST_ANSWERS {
            answers.keep(question(path), kept(10));
            assert!(answers.find(&question(0)).is_some(), "after {path}");
        }
        assert!(answers.find(&question(MOST_ANSWERS)).is_none());
        let generations = answers.lock();
        assert!(generations.recent.len() + generations.older.len() <= 2 * MOST_ANSWERS);
    }

    #[test]
    fn large_answers_are_bounded_in_their_bytes() {
        let answers = Answers::default();
        for path in 0..200 {
            answers.keep(question(path), kept(LONGEST_BODY));
        }
        let generations = answers.lock();
        let all = generations
            .recent
            .values()
            .chain(generations.older.values());
        let bytes: usize = all.map(|kept| kept.response.body.len()).sum();
        assert!(bytes <= 2 * MOST_BYTES, "{bytes}");
        drop(generations);
        answers.keep(question(1_000), kept(LONGEST_BODY + 1));
        assert!(answers.find(&question(1_000)).is_none());
    }
}

//! One action on several objects: which ones, what became of each, and what takes it back.
//!
//! Owns no action. A desk reads its own change from a form or from JSON and acts on one object at a
//! time, by the function that the single action uses: each object has its own transaction and its own
//! audit records, and one that is refused stops no other.

use schemars::JsonSchema;
use serde::Serialize;

use super::forms::{Form, Shown};
use super::{Failure, FieldError};
use crate::context::Context;

/// The most objects of one request.
const MOST: usize = 100;

/// A change of one object.
#[derive(Debug, Clone)]
pub struct Task<C> {
    /// The object.
    pub id: String,
    /// What to do to it.
    pub change: C,
}

/// An object that was acted on.
#[derive(Debug, Default)]
pub struct Done {
    /// How people know it.
    pub name: String,
    /// The fields of the form that takes the change back; none where nothing does.
    pub undo: Option<Vec<(&'static str, String)>>,
}

impl Done {
    /// For good.
    pub fn for_good(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            undo: None,
        }
    }

    /// Until a form with these fields takes it back.
    pub fn until(name: impl Into<String>, undo: Vec<(&'static str, String)>) -> Self {
        Self {
            name: name.into(),
            undo: Some(undo),
        }
    }
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ObjectResult {
    /// The object.
    pub id: String,
    /// How people know it; its id where it was refused before it was found.
    pub name: String,
    /// `done`, `refused`, or `failed`: then send it again.
    pub outcome: &'static str,
    /// Why it was refused, as the single action's error has it; empty if it was done.
    pub code: String,
    /// The same in words.
    pub detail: String,
}

/// What became of every object, in the order given.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BulkResults {
    /// How many were done.
    pub done: usize,
    /// Each of them.
    pub results: Vec<ObjectResult>,
}

/// What a page shows of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// What became of every object.
    pub told: BulkResults,
    /// Where a form takes it back.
    pub path: String,
    /// One value of the field `undo` for each object that can be taken back.
    pub undo: Vec<String>,
}

/// The objects of an API request, each once.
pub fn tasks_of<C: Clone>(ids: &[String], change: &C) -> Result<Vec<Task<C>>, Failure> {
    let mut tasks: Vec<Task<C>> = Vec::new();
    for id in ids.iter().map(|id| id.trim()) {
        if !id.is_empty() && tasks.iter().all(|known| known.id != id) {
            tasks.push(Task {
                id: id.to_owned(),
                change: change.clone(),
            });
        }
    }
    match tasks.len() {
        0 => Err(Failure::field("ids", "required", "Choose at least one.")),
        1..=MOST => Ok(tasks),
        _ => Err(Failure::field(
            "ids",
            "too_many",
            "Choose at most 100 at once.",
        )),
    }
}

/// The objects of a posted list: those chosen, or all that were shown; or those whose change is taken
/// back, each with its own change.
pub fn tasks_of_form<C: Clone>(
    form: &Form,
    read: impl Fn(&Form) -> Result<C, Failure>,
) -> Result<Vec<Task<C>>, Failure> {
    let undone = form.all("undo");
    if undone.is_empty() {
        let name = if form.is_ticked("everything") {
            "shown"
        } else {
            "id"
        };
        return tasks_of(&form.all(name), &read(form)?);
    }
    let mut tasks = Vec::new();
    for text in undone.iter().take(MOST) {
        let form = Form::parse(text.as_bytes());
        tasks.push(Task {
            id: form.text("id"),
            change: read(&form)?,
        });
    }
    Ok(tasks)
}

impl Report {
    /// Of one object, where a page of its own acts on it.
    pub fn of_one(id: &str, done: Done, path: &str) -> Self {
        let mut undo = Vec::new();
        if let Some(fields) = done.undo {
            undo.push(undo_of(id, fields));
        }
        let result = ObjectResult {
            id: id.to_owned(),
            name: done.name,
            outcome: "done",
            code: String::new(),
            detail: String::new(),
        };
        Self {
            told: BulkResults {
                done: 1,
                results: vec![result],
            },
            path: path.to_owned(),
            undo,
        }
    }
}

fn undo_of(id: &str, fields: Vec<(&'static str, String)>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("id", id).extend_pairs(fields).finish()
}

/// Acts on each object.
pub async fn run<C>(
    context: &Context,
    tasks: &[Task<C>],
    path: &str,
    act: impl AsyncFn(&str, &C) -> Result<Done, Failure>,
) -> Report {
    let mut results = Vec::with_capacity(tasks.len());
    let mut undo = Vec::new();
    for task in tasks {
        let mut result = ObjectResult {
            id: task.id.clone(),
            name: task.id.clone(),
            outcome: "done",
            code: String::new(),
            detail: String::new(),
        };
        match act(&task.id, &task.change).await {
            Ok(done) => {
                result.name = done.name;
                if let Some(fields) = done.undo {
                    undo.push(undo_of(&task.id, fields));
                }
            }
            Err(failure) if failure.status.is_server_error() => {
                result.outcome = "failed"; // shown
                "internal".clone_into(&mut result.code);
                result.detail = "The portal could not store this. Send it again.".to_owned();
            }
            Err(failure) => {
                result.outcome = "refused"; // shown
                (result.code, result.detail) = reason(context, &failure);
            }
        }
        results.push(result);
    }
    let done = results.iter().filter(|one| one.outcome == "done").count();
    Report {
        told: BulkResults { done, results },
        path: path.to_owned(),
        undo,
    }
}

/// Code and words of a refusal; of its first field, where it is about one.
fn reason(context: &Context, failure: &Failure) -> (String, String) {
    let mut errors = failure.errors_in(context.language);
    if errors.is_empty() {
        return (failure.code.clone(), failure.detail_in(context.language));
    }
    let FieldError { code, detail, .. } = errors.remove(0);
    (code, detail)
}

/// The form again, with everything that is wrong with it on top.
pub fn refused(form: Form, failure: Failure) -> Result<Shown, Failure> {
    let details: Vec<String> = failure.errors.iter().map(|e| e.detail.clone()).collect();
    let general = if details.is_empty() {
        failure.detail.clone()
    } else {
        details.join(" ")
    };
    Ok(Shown::again(form, failure)?.with_general(&general))
}

/// Words of a field, separated by spaces or commas.
pub fn words(text: &str) -> Vec<String> {
    text.split([' ', ',', '\n', '\r'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Why an object stays as it is when it is so already.
pub fn no_change() -> Failure {
    Failure::conflict("no_change", "It is like that already.")
}

/// Tags with some added and some removed.
pub fn retagged(tags: &[String], added: &[String], removed: &[String]) -> Vec<String> {
    let same = |one: &String, other: &String| one.to_lowercase() == other.to_lowercase();
    let kept = tags
        .iter()
        .filter(|tag| !removed.iter().any(|gone| same(tag, gone)));
    let mut all: Vec<String> = kept.cloned().collect();
    for tag in added {
        if !all.iter().any(|known| same(known, tag)) {
            all.push(tag.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes())
    }

    fn ids(text: &str) -> Result<Vec<(String, String)>, String> {
        let tasks = tasks_of_form(&form(text), |form| Ok(form.text("tag")));
        let pair = |task: Task<String>| (task.id, task.change);
        tasks
            .map(|tasks| tasks.into_iter().map(pair).collect())
            .map_err(|failure| failure.errors[0].code.clone())
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn chosen_rows_are_taken_once_and_all_shown_ones_when_asked_for() {
        let few = ids("tag=x&id=a&id=b&id=a&shown=a&shown=b&shown=c");
        assert_eq!(few.unwrap(), pairs(&[("a", "x"), ("b", "x")]));
        let all = ids("everything=yes&id=a&shown=a&shown=b");
        assert_eq!(all.unwrap(), pairs(&[("a", ""), ("b", "")]));
        assert_eq!(ids("tag=x&shown=a").unwrap_err(), "required");
        let many: String = (0..=MOST).map(|n| format!("id={n}&")).collect();
        assert_eq!(ids(&many).unwrap_err(), "too_many");
    }

    #[test]
    fn what_is_taken_back_has_a_change_for_each_object() {
        let back = ids("undo=id%3Da%26tag%3Dold&undo=id%3Db%26tag%3D&tag=ignored&id=c");
        assert_eq!(back.unwrap(), pairs(&[("a", "old"), ("b", "")]));
    }

    #[test]
    fn tags_are_added_once_and_removed_in_any_case() {
        let own = |text: &str| words(text);
        let tags = retagged(&own("docs pilot"), &own("Docs,new"), &own("PILOT none"));
        assert_eq!(tags, own("docs new"));
    }
}

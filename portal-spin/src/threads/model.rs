//! Threads and messages as they are given and shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::web::paging::PageOf;
use crate::web::{Failure, FieldError};

/// The longest message.
const LONGEST_MESSAGE: usize = 4_000;

/// One message of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Message {
    /// Whether the operator's staff wrote it.
    pub is_from_operator: bool,
    /// What it says.
    pub body: String,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub sent_at: i64,
}

/// A message is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBody {
    /// 1 to 4 000 characters.
    #[serde(default)]
    pub body: String,
}

/// A thread is opened.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewThreadBody {
    /// What it is about, in at most 120 characters.
    #[serde(default)]
    pub subject: String,
    /// The first message.
    #[serde(default)]
    pub body: String,
    /// The app that it is about; without, it is about the partner.
    #[serde(default)]
    pub app_id: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A thread is sorted or closed; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadChangeBody {
    /// All of its tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Whether it is closed. A new message of the partner opens it again.
    #[serde(default)]
    pub is_closed: Option<bool>,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ThreadView {
    /// The thread.
    pub id: String,
    /// The partner.
    pub organisation_id: String,
    /// Its name.
    pub organisation_name: String,
    /// The app that it is about; null: about the partner.
    pub app_id: Option<String>,
    /// Its name.
    pub app_name: Option<String>,
    /// The submission that it is about: it is answered there.
    pub submission_id: Option<String>,
    /// What it is about.
    pub subject: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// `waiting` for the operator, `answered`, or `closed`.
    pub state: &'static str,
    /// When it was opened.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub opened_at: i64,
    /// When the last message was written.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub last_message_at: i64,
    /// How many messages.
    pub message_count: i64,
    /// The messages, oldest first; in lists, none.
    pub messages: Vec<Message>,
}

/// A page of threads.
pub type ThreadList = PageOf<ThreadView>;

/// A message without the space around it, if it has a length that is kept.
pub fn clean_message(body: &str) -> Result<String, Failure> {
    let body = body.trim();
    if body.is_empty() || body.chars().count() > LONGEST_MESSAGE {
        return Err(Failure::field(
            "body",
            "length",
            "Write 1 to 4 000 characters.",
        ));
    }
    Ok(body.to_owned())
}

/// Subject and first message, or what is wrong with both.
pub fn clean_opening(new: &NewThreadBody) -> Result<(String, String), Failure> {
    let subject = new.subject.trim();
    let body = clean_message(&new.body);
    let mut errors = Vec::new();
    if !(1..=120).contains(&subject.chars().count()) {
        errors.push(FieldError {
            field: "subject".to_owned(),
            code: "length".to_owned(),
            detail: "Say what it is about, in at most 120 characters.".to_owned(),
        });
    }
    match body {
        Ok(body) if errors.is_empty() => Ok((subject.to_owned(), body)),
        Ok(_) => Err(Failure::fields(errors)),
        Err(failure) => {
            errors.extend(failure.errors);
            Err(Failure::fields(errors))
        }
    }
}

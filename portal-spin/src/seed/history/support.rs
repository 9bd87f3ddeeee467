//! What partners ask the operator, how it is answered, and the tiers that the operator has made.
//!
//! Who asks much is not who brings much: the partner with most of the revenue writes nothing at all.

use serde_json::{Value as Json, json};

use super::dice::Dice;
use super::stage::{Known, Stage};
use super::stories::{Act, Course, DAY_MS, Story};
use crate::database::DatabaseError;
use crate::params;
use crate::web::Failure;

const HOUR_MS: i64 = 3_600_000;

/// A question of a partner's, and the answer to it.
#[derive(Debug)]
pub struct Question {
    /// What operators sort it under.
    tag: &'static str,
    subject: &'static str,
    body: &'static str,
    answer: &'static str,
}

const QUESTIONS: [Question; 8] = [
    Question {
        tag: "agreements",
        subject: "Who has to accept the data sharing agreement?",
        body: "Our lawyer reads it before we accept. Can one of us accept for all, and may we accept the terms first?",
        answer: "An owner accepts for the organisation, once. The sandbox needs the terms only; the data sharing agreement is asked for when you go live.",
    },
    Question {
        tag: "keys",
        subject: "Where do I see my key again?",
        body: "I closed the page after making the key. Is it shown anywhere else?",
        answer: "It is shown once. Rotate it: the new one works at once and the old one for as long as you choose.",
    },
    Question {
        tag: "sandbox",
        subject: "Orders in the sandbox do not stay",
        body: "What we create on Monday is gone on Tuesday. Is that meant to be so?",
        answer: "Yes: what you write in the sandbox is kept for a day. Begin your tests by creating what they need.",
    },
    Question {
        tag: "limits",
        subject: "429 every night at two",
        body: "Our nightly job runs into the limit although we are far below the month's quota.",
        answer: "The limit is by the second: spread the job, or read the RateLimit header and wait as long as it says. Starter allows five times as much.",
    },
    Question {
        tag: "billing",
        subject: "Two lines for one month?",
        body: "The invoice has the fee twice, for different days. Have we been charged twice?",
        answer: "No: you changed plan within the month, so each plan is charged for its own days. The explanation stands under each line.",
    },
    Question {
        tag: "price",
        subject: "A better price for more calls",
        body: "We expect four times the volume next year. What would that cost?",
        answer: "Compare the plans on your billing page with your own usage: above 250 000 calls a month Scale costs less.",
    },
    Question {
        tag: "errors",
        subject: "404 for a customer that exists",
        body: "getCustomer answers 404 for an id that listCustomers has just given us.",
        answer: "Lists know a customer some seconds before it can be read. Try again after the time that Retry-After says.",
    },
    Question {
        tag: "integration",
        subject: "Cursor or page number?",
        body: "How do we walk all orders of a year without losing any that come meanwhile?",
        answer: "With the cursor: it stays where it is while orders come. The guide on lists has an example in four languages.",
    },
];

/// What a course asks about, and how many days lie between two questions; none that asks nothing.
const fn habit(course: Course) -> Option<(&'static [usize], i64)> {
    Some(match course {
        Course::NeverVerifies
        | Course::OnlyLooks
        | Course::QuietGiant
        | Course::Steady
        | Course::Seasonal => return None,
        Course::Loud => (&[7, 6, 3, 5, 4, 2, 1], 9),
        Course::HitsLimits => (&[3, 5, 3], 70),
        Course::HalfAgreed => (&[0, 0], 30),
        Course::NeverCalls => (&[1], 400),
        Course::Sandbox => (&[2, 7], 120),
        Course::PaysLate | Course::NeverPays => (&[4], 110),
        Course::Leaves | Course::GoesQuiet => (&[6, 5], 90),
        Course::Listed => (&[7], 200),
        Course::OwnPrice | Course::Waits | Course::Large => (&[5, 4], 130),
        Course::Grows | Course::Pays => (&[3], 240),
    })
}

/// Adds questions and answers to a story. Some of the newest wait for their answer.
pub fn write(story: &mut Story, end_ms: i64) {
    let Some((about, every)) = habit(story.course) else {
        return;
    };
    let is_set_up = |act: &Act| matches!(act, Act::Accept { .. } | Act::CreateApp | Act::Verify);
    let Some(from_ms) = story
        .acts
        .iter()
        .filter(|(_, act)| is_set_up(act))
        .map(|(at_ms, _)| *at_ms)
        .max()
    else {
        return;
    };
    let leaves_ms = story
        .acts
        .iter()
        .find(|(_, act)| matches!(act, Act::Cancel(_)))
        .map_or(end_ms, |(at_ms, _)| *at_ms);
    // Dice of their own: what else happens stays as it is.
    let mut dice = Dice::of(&[story.number, 8]);
    let mut at_ms = from_ms;
    for question in about.iter().cycle() {
        let days = dice.between(every / 2, every + every / 2).max(1);
        at_ms += days * DAY_MS / if at_ms == from_ms { 4 } else { 1 };
        if at_ms >= leaves_ms {
            break;
        }
        story.acts.push((at_ms, Act::AskSupport(*question)));
        let answered_ms = at_ms + dice.between(1, 50) * HOUR_MS;
        story
            .acts
            .push((answered_ms, Act::AnswerSupport(*question)));
    }
    story.acts.sort_by_key(|(at_ms, _)| *at_ms);
}

/// Opens a thread, on the partner's app where it has one.
pub async fn ask(stage: &mut Stage, known: &Known, question: usize) -> Result<(), Failure> {
    let Some(question) = QUESTIONS.get(question) else {
        return Ok(());
    };
    stage.as_owner(known);
    let path = format!("/api/v1/organisations/{}/threads", known.organisation_id);
    let body = json!({
        "subject": question.subject, "body": question.body,
        "app_id": known.app_id.map(|id| id.to_string()),
    });
    stage.send("POST", &path, &body).await.map(drop)
}

/// Answers what the partner asked last, sorts it and closes it.
pub async fn answer(stage: &mut Stage, known: &Known, question: usize) -> Result<(), Failure> {
    let Some(question) = QUESTIONS.get(question) else {
        return Ok(());
    };
    let Some(thread_id) = waiting_thread(stage, known).await? else {
        return Ok(());
    };
    stage.as_operator().await?;
    let path = format!("/api/v1/operator/threads/{thread_id}");
    let answer = json!({ "body": question.answer });
    stage
        .send("POST", &format!("{path}/messages"), &answer)
        .await?;
    let sorted = json!({ "tags": [question.tag], "is_closed": true });
    stage.send("PATCH", &path, &sorted).await.map(drop)
}

async fn waiting_thread(stage: &Stage, known: &Known) -> Result<Option<String>, DatabaseError> {
    stage
        .context
        .connection
        .query_optional(
            "SELECT thread_id FROM threads WHERE organisation_id = $1 AND waits_since_ms IS NOT NULL
                AND closed_at_ms IS NULL ORDER BY waits_since_ms LIMIT 1",
            params![known.organisation_id],
        )
        .await?
        .map(|row| row.get(0))
        .transpose()
}

/// Makes the tiers above the usual one, with what they take and grant; the clock moves partners.
pub async fn make_tiers(stage: &mut Stage, first_day: i64) -> Result<(), Failure> {
    stage.go_to(first_day * DAY_MS);
    stage.as_operator().await?;
    let known = stage
        .send("GET", "/api/v1/operator/tiering", &Json::Null)
        .await?;
    if known.get("is_automatic") == Some(&Json::Bool(true)) {
        return Ok(());
    }
    let silver = json!({
        "rules": { "min_calls": 20_000, "max_error_percent": 10, "min_tenure_days": 45 },
        "grants": { "review_priority": 1 },
    });
    let gold = json!({
        "rules": { "min_revenue": "400", "max_error_percent": 5, "min_tenure_days": 90 },
        "grants": { "review_priority": 2 },
    });
    for (tier, name, position, body) in
        [("silver", "Silver", 10, silver), ("gold", "Gold", 20, gold)]
    {
        let path = format!("/api/v1/operator/tiers/{tier}");
        let named = json!({ "name": name, "position": position });
        stage.send("PUT", &path, &named).await?;
        stage.send("PUT", &format!("{path}/rules"), &body).await?;
    }
    let automatic = json!({ "is_automatic": true, "window_days": 90 });
    stage
        .send("PUT", "/api/v1/operator/tiering", &automatic)
        .await
        .map(drop)
}

//! The past of the demonstration programme: `POST /dev/seed/history`, in development only.
//!
//! Owns about sixty partners and what became of them in the months up to yesterday. The stories are
//! drawn from their numbers, so that they are the same every time; they are played through the handlers
//! and services that requests use, at the story's own time, and usage comes in as a gateway's reports
//! do. Nothing derived is written by hand.
//!
//! A story takes longer than a request may: each request plays some days and answers how many are left.
//! The place is kept with every step, so whoever is cut short goes on. One request plays at a time; who asks
//! meanwhile is told the place. While it runs, the tick leaves the
//! programme's jobs alone: the story does them, day by day.

mod acts;
mod courses;
mod days;
mod dice;
mod listing;
mod stage;
mod stories;
mod support;
#[cfg(test)]
mod tests;
mod traffic;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use acts::PASSWORD;
use stage::Stage;
use stories::{DAY_MS, Span, in_order, tell};

use super::LogIn;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};

const SEED: &str = "history";
/// A request plays days for so long.
const SLICE_MS: i64 = 300;
/// Under which name it is kept until when somebody plays …
const PLAYER: &str = "history_player";
/// … and for how long, should they be cut short.
const TERM_MS: i64 = 30_000;
/// So many months at most.
const MOST_MONTHS: i64 = 36;

/// The place in the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    first_day: i64,
    last_day: i64,
    /// The day that is played.
    day: i64,
    /// The act that comes next.
    act: usize,
    is_done: bool,
    /// What the portal refused, for whoever changes the stories.
    refused: Vec<String>,
}

/// How far the story is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryView {
    /// Whether all is told.
    pub done: bool,
    /// Days that are left.
    pub days_left: i64,
    /// What the portal refused on the way.
    pub refused: Vec<String>,
}

async fn find_place(connection: &Connection) -> Result<Option<Place>, DatabaseError> {
    let row = connection
        .query_optional("SELECT made FROM seeds WHERE name = $1", params![SEED])
        .await?;
    row.map(|row| {
        serde_json::from_str(&row.get::<String>(0)?).map_err(|error| {
            DatabaseError::Shape(format!(
                "the place in the demo's story does not parse: {error}"
            ))
        })
    })
    .transpose()
}

async fn keep_place(connection: &Connection, place: &Place) -> Result<(), DatabaseError> {
    let text = serde_json::to_string(place).map_err(|error| {
        DatabaseError::Shape(format!(
            "the place in the demo's story does not serialise: {error}"
        ))
    })?;
    connection
        .execute(
            "INSERT INTO seeds (name, made) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET made = excluded.made",
            params![SEED, text],
        )
        .await?;
    Ok(())
}

/// Takes the stage, unless somebody has it.
async fn take_stage(context: &Context) -> Result<bool, DatabaseError> {
    let now_ms = context.app.clock.now_ms();
    let taken = context
        .connection
        .execute(
            "INSERT INTO seeds (name, made) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET made = excluded.made WHERE seeds.made < $3",
            params![PLAYER, (now_ms + TERM_MS).to_string(), now_ms.to_string()],
        )
        .await?;
    Ok(taken == 1)
}

async fn leave_stage(context: &Context) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "UPDATE seeds SET made = '0' WHERE name = $1",
            params![PLAYER],
        )
        .await?;
    Ok(())
}

/// When the programme of so many months began, if it is to have a past: only one that is new and empty.
pub async fn plan(context: &Context, months: i64) -> Result<Option<i64>, Failure> {
    let connection = &context.connection;
    if let Some(place) = find_place(connection).await? {
        return Ok(Some(place.first_day * DAY_MS));
    }
    let taken: i64 = connection
        .query_one(
            "SELECT (SELECT COUNT(*) FROM products) + (SELECT COUNT(*) FROM organisations)",
            params![],
        )
        .await?
        .get(0)?;
    if months <= 0 || taken > 0 {
        return Ok(None);
    }
    let span = Span::up_to(context.now_ms, months.min(MOST_MONTHS));
    let place = Place {
        first_day: span.first_day,
        last_day: span.last_day,
        day: span.first_day,
        act: 0,
        is_done: false,
        refused: Vec::new(),
    };
    keep_place(connection, &place).await?;
    Ok(Some(span.first_day * DAY_MS))
}

/// The owner of a partner who is worth looking at: the first that pays and stays.
pub fn best_known() -> LogIn {
    let span = Span {
        first_day: 0,
        last_day: stories::FULL_MONTHS * 61 / 2,
    };
    let email = tell(span)
        .into_iter()
        .find(|story| story.course == stories::Course::Grows)
        .map_or_else(String::new, |story| story.email);
    LogIn {
        email,
        password: PASSWORD.to_owned(),
    }
}

/// Whether a story is being told: only in development.
pub async fn is_running(context: &Context) -> Result<bool, DatabaseError> {
    if !context.configuration().development {
        return Ok(false);
    }
    let place = find_place(&context.connection).await?;
    Ok(place.is_some_and(|place| !place.is_done))
}

/// `POST /dev/seed/history`: plays the next days.
pub async fn play_history(context: &Context) -> Outcome {
    if is_running(context).await? && take_stage(context).await? {
        let played = play_days(context).await;
        leave_stage(context).await?;
        played?;
    }
    let place = find_place(&context.connection).await?;
    let view = place.map_or(
        HistoryView {
            done: true,
            days_left: 0,
            refused: Vec::new(),
        },
        |place| HistoryView {
            done: place.is_done,
            days_left: (place.last_day + 1 - place.day).max(0),
            refused: place.refused,
        },
    );
    response::ok(&view)
}

async fn play_days(context: &Context) -> Result<(), Failure> {
    let Some(mut place) = find_place(&context.connection).await? else {
        return Ok(());
    };
    let span = Span {
        first_day: place.first_day,
        last_day: place.last_day,
    };
    let stories = tell(span);
    let acts = in_order(&stories, span);
    let mut stage = Stage::new(context).await?;
    let until_ms = context.app.clock.now_ms() + SLICE_MS;
    while !place.is_done && context.app.clock.now_ms() < until_ms {
        if place.day > span.last_day {
            // The last hours are over by now.
            stage.go_to(context.now_ms);
            place.is_done = !days::roll_up(&stage).await?;
            keep_place(&context.connection, &place).await?;
            continue;
        }
        if place.day == span.first_day {
            days::note_costs(&mut stage, span.first_day).await?;
            support::make_tiers(&mut stage, span.first_day).await?;
        }
        let end_ms = (place.day + 1) * DAY_MS;
        while let Some((at_ms, number, act)) = acts.get(place.act).filter(|(at, _, _)| *at < end_ms)
        {
            if let Some(story) = stories.get(*number)
                && let Err(failure) = acts::play(&mut stage, story, *at_ms, act).await
            {
                if failure.status.is_server_error() {
                    return Err(failure);
                }
                place
                    .refused
                    .push(format!("{} {act:?}: {}", story.organisation, failure.code));
            }
            place.act += 1;
            keep_place(&context.connection, &place).await?;
        }
        days::report(&mut stage, &stories, span, place.day).await?;
        days::run_jobs(&mut stage, &stories, place.day).await?;
        place.day += 1;
        keep_place(&context.connection, &place).await?;
    }
    Ok(())
}

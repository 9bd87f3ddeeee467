//! What becomes of each partner of the demonstration programme: who they are and which course they take.
//!
//! Pure: the same span of days gives the same stories. What a course does day by day is in `courses`, how
//! much it calls in `traffic`.

use super::courses;
use super::dice::Dice;
use super::support;

/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;
/// Partners of a whole programme of [`FULL_MONTHS`].
const FULL_PARTNERS: i64 = 62;
/// The months that the programme has by default.
pub const FULL_MONTHS: i64 = 14;

/// The days of a programme, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Days since 1970.
    pub first_day: i64,
    /// Days since 1970.
    pub last_day: i64,
}

impl Span {
    /// The days up to yesterday.
    pub fn up_to(now_ms: i64, months: i64) -> Self {
        let last_day = now_ms.div_euclid(DAY_MS) - 1;
        Self {
            first_day: last_day - months * 61 / 2,
            last_day,
        }
    }

    fn days(self) -> i64 {
        self.last_day - self.first_day + 1
    }
}

/// The plans that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanName {
    /// A fee and what is above it.
    Starter,
    /// For the large ones; a person decides.
    Scale,
    /// A variant of Scale for one partner.
    Own,
}

impl PlanName {
    /// As in the catalogue.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starter => "Starter",
            Self::Scale => "Scale",
            Self::Own => "Scale for one",
        }
    }
}

/// The course that a partner takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Never opens the e-mail.
    NeverVerifies,
    /// Looks around, makes nothing.
    OnlyLooks,
    /// Has a key and never calls.
    NeverCalls,
    /// Accepts the terms, not the data sharing agreement, and so never goes live.
    HalfAgreed,
    /// Builds and stays in the sandbox.
    Sandbox,
    /// Live on the free plan, much the same every week.
    Steady,
    /// Live on the free plan and above its limits.
    HitsLimits,
    /// Pays for Starter.
    Pays,
    /// Pays for Starter, weeks too late.
    PaysLate,
    /// Has stopped paying.
    NeverPays,
    /// Grows month by month.
    Grows,
    /// Sells most before the year's end.
    Seasonal,
    /// Was live and calls less and less.
    GoesQuiet,
    /// Was live and cancelled.
    Leaves,
    /// Writes and calls about everything, and pays little.
    Loud,
    /// Publishes an app that customers install.
    Listed,
    /// Has a price of its own.
    OwnPrice,
    /// Large, and asks for nothing: about two fifths of the revenue.
    QuietGiant,
    /// On Scale.
    Large,
    /// Waits for a decision about Scale.
    Waits,
}

/// Courses in the order in which partners arrive; then the same again, with [`SECOND`] in some places.
const FIRST: [Course; 31] = [
    Course::QuietGiant,
    Course::NeverVerifies,
    Course::Steady,
    Course::Grows,
    Course::NeverCalls,
    Course::Sandbox,
    Course::Pays,
    Course::Pays,
    Course::OnlyLooks,
    Course::Seasonal,
    Course::Leaves,
    Course::HitsLimits,
    Course::Listed,
    Course::Sandbox,
    Course::Steady,
    Course::NeverVerifies,
    Course::Grows,
    Course::GoesQuiet,
    Course::NeverCalls,
    Course::Pays,
    Course::Leaves,
    Course::OwnPrice,
    Course::Loud,
    Course::Steady,
    Course::Listed,
    Course::NeverVerifies,
    Course::Sandbox,
    Course::Waits,
    Course::PaysLate,
    Course::HalfAgreed,
    Course::Large,
];
const SECOND: [(usize, Course); 5] = [
    (0, Course::Pays),
    (7, Course::NeverPays),
    (21, Course::Pays),
    (28, Course::Grows),
    (30, Course::Steady),
];

/// Something that happens to a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Looks at the sign-up page.
    Visit,
    /// Registers.
    Register,
    /// Types the code of the e-mail.
    Verify,
    /// Accepts agreements: all of them, or only the terms of service.
    Accept {
        /// Whether all.
        all: bool,
    },
    /// Makes an app.
    CreateApp,
    /// Issues a key.
    IssueKey(&'static str),
    /// Asks to go live.
    GoLive,
    /// Asks for another plan.
    Ask(PlanName),
    /// The operator makes a variant of Scale for this partner.
    MakeOwnPlan,
    /// The operator decides about what waits.
    Decide(&'static str),
    /// The operator notes something about the partner.
    Tag(&'static [&'static str]),
    /// Cancels, and says why.
    Cancel(&'static str),
    /// Asks the operator something: which question.
    AskSupport(usize),
    /// The operator answers it.
    AnswerSupport(usize),
    /// Fills the listing and hands it in.
    HandIn,
    /// The operator asks for changes.
    AskForChanges,
    /// The operator reviews and approves.
    Approve,
    /// The partner publishes.
    Publish,
    /// A customer looks at the listing.
    View,
    /// A customer installs the app.
    Install(i64),
    /// A customer removes it.
    Remove(i64),
}

/// How much a partner calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// From when the sandbox is called, Unix milliseconds.
    pub test_from_ms: Option<i64>,
    /// Calls of a day in the sandbox.
    pub test_daily: i64,
    /// Live calls of the first day.
    pub daily: i64,
    /// From this day on so many instead.
    pub then: Option<(i64, i64)>,
    /// Growth in a month, in thousandths.
    pub growth: i64,
    /// Whether it sells most in November and December.
    pub is_seasonal: bool,
    /// From this day on it fades.
    pub fades_from: Option<i64>,
    /// Answers 4xx, in thousandths.
    pub client_errors: i64,
    /// Calls over the rate limit, in thousandths.
    pub rate_limited: i64,
    /// Calls of a billing period, above which the quota refuses.
    pub quota: Option<i64>,
}

/// A partner and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Its place among all.
    pub number: i64,
    /// The organisation.
    pub organisation: String,
    /// The person who registers.
    pub person: &'static str,
    /// Their address.
    pub email: String,
    /// Where they came from.
    pub source: &'static str,
    /// The course.
    pub course: Course,
    /// What happens, in order.
    pub acts: Vec<(i64, Act)>,
    /// How much it calls.
    pub demand: Demand,
    /// So many days after an invoice it is paid; never without.
    pub pays_after_days: Option<i64>,
}

const NAMES: [&str; 16] = [
    "Harbour",
    "Juniper",
    "Cobalt",
    "Larkspur",
    "Granite",
    "Saffron",
    "Tidewater",
    "Northgate",
    "Bramble",
    "Quarry",
    "Lantern",
    "Meadow",
    "Copper",
    "Willow",
    "Summit",
    "Orchard",
];
const TRADES: [&str; 8] = [
    "Logistics",
    "Retail Tools",
    "Analytics",
    "Accounting",
    "Fulfilment",
    "Marketing",
    "Labs",
    "Commerce",
];
const PEOPLE: [&str; 12] = [
    "Ada Winter",
    "Bela Kovacs",
    "Chidi Obi",
    "Dana Reyes",
    "Elif Demir",
    "Finn Larsen",
    "Grace Mbeki",
    "Hugo Blanc",
    "Ines Costa",
    "Jonas Weber",
    "Keiko Mori",
    "Lena Novak",
];
const SOURCES: [&str; 7] = [
    "search",
    "docs",
    "conference",
    "search",
    "referral",
    "newsletter",
    "",
];

fn pick<T: Copy>(list: &[T], place: i64) -> Option<T> {
    let length = i64::try_from(list.len()).ok()?;
    list.get(usize::try_from(place.rem_euclid(length)).ok()?)
        .copied()
}

fn course_of(number: i64) -> Course {
    let round = i64::try_from(FIRST.len()).unwrap_or(1);
    let place = usize::try_from(number.rem_euclid(round)).unwrap_or(0);
    let second = SECOND
        .iter()
        .find(|(at, _)| *at == place && number >= round);
    match second {
        Some((_, course)) => *course,
        None => FIRST.get(place).copied().unwrap_or(Course::Steady),
    }
}

/// Every story of a programme of these days.
pub fn tell(span: Span) -> Vec<Story> {
    let partners = (FULL_PARTNERS * span.days() / (FULL_MONTHS * 61 / 2)).max(4);
    (0..partners)
        .map(|number| {
            let mut dice = Dice::of(&[number]);
            let arrival = span.first_day + 4 + (span.days() - 14) * number / partners;
            let name = pick(&NAMES, number).unwrap_or("Harbour");
            let trade = pick(&TRADES, number + number / 16).unwrap_or("Labs");
            let organisation = format!("{name} {trade}");
            let mut story = Story {
                number,
                email: format!(
                    "hello@{}.example",
                    organisation.to_lowercase().replace(' ', "-")
                ),
                organisation,
                person: pick(&PEOPLE, number * 5 + number / 12).unwrap_or("Ada Winter"),
                source: pick(&SOURCES, number * 3 + number / 7).unwrap_or(""),
                course: course_of(number),
                acts: Vec::new(),
                demand: Demand {
                    client_errors: dice.between(4, 25),
                    ..Demand::default()
                },
                pays_after_days: Some(dice.between(1, 12)),
            };
            courses::write(&mut story, span, arrival + dice.between(0, 5), &mut dice);
            support::write(&mut story, (span.last_day + 1) * DAY_MS);
            story
        })
        .collect()
}

/// What happens, in order, with the story it belongs to.
pub fn in_order(stories: &[Story], span: Span) -> Vec<(i64, usize, Act)> {
    let end_ms = (span.last_day + 1) * DAY_MS;
    let mut acts: Vec<(i64, usize, Act)> = stories
        .iter()
        .enumerate()
        .flat_map(|(place, story)| {
            story
                .acts
                .iter()
                .map(move |(at_ms, act)| (*at_ms, place, act.clone()))
        })
        .filter(|(at_ms, _, _)| *at_ms < end_ms)
        .collect();
    acts.sort_by_key(|(at_ms, place, _)| (*at_ms, *place));
    acts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_programme_has_sixty_partners_of_every_course_and_no_name_twice() {
        let span = Span::up_to(1_793_000_000_000, FULL_MONTHS);
        let stories = tell(span);
        assert_eq!(stories, tell(span));
        assert_eq!(stories.len(), 62);
        let emails: BTreeSet<&str> = stories.iter().map(|story| story.email.as_str()).collect();
        assert_eq!(emails.len(), 62);
        for course in FIRST.into_iter().chain(SECOND.map(|(_, course)| course)) {
            assert!(
                stories.iter().any(|story| story.course == course),
                "{course:?}"
            );
        }
    }

    #[test]
    fn every_story_begins_with_a_visit_and_goes_forward() {
        for months in [2, 5, 14] {
            let span = Span::up_to(1_793_000_000_000, months);
            for story in tell(span) {
                assert_eq!(story.acts.first().map(|(_, act)| act), Some(&Act::Visit));
                assert!(
                    story.acts.is_sorted_by_key(|(at_ms, _)| *at_ms),
                    "{story:?}"
                );
                assert!(
                    story
                        .acts
                        .iter()
                        .all(|(at_ms, _)| *at_ms >= span.first_day * DAY_MS)
                );
            }
        }
    }
}

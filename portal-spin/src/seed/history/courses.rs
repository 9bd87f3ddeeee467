//! The courses: what each kind of partner does, and when.

use super::dice::Dice;
use super::stories::{Act, Course, DAY_MS, PlanName, Span, Story};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// Goes through a story and notes what happens.
struct Pen<'a> {
    story: &'a mut Story,
    dice: &'a mut Dice,
    at_ms: i64,
}

impl Pen<'_> {
    /// Some minutes later.
    fn minutes(&mut self, least: i64, end: i64) -> &mut Self {
        self.at_ms += self.dice.between(least, end) * MINUTE_MS + self.dice.between(0, MINUTE_MS);
        self
    }

    /// Some days later, in working hours.
    fn days(&mut self, least: i64, end: i64) -> &mut Self {
        let day = self.at_ms.div_euclid(DAY_MS) + self.dice.between(least, end);
        let then_ms = day * DAY_MS + 8 * HOUR_MS + self.dice.between(0, 9 * HOUR_MS);
        self.at_ms = then_ms.max(self.at_ms + MINUTE_MS);
        self
    }

    fn note(&mut self, act: Act) -> &mut Self {
        self.story.acts.push((self.at_ms, act));
        self
    }

    /// Registers and verifies.
    fn arrive(&mut self) {
        for _ in 0..self.dice.between(1, 9) {
            self.note(Act::Visit).minutes(1, 9);
        }
        self.note(Act::Visit).minutes(1, 4).note(Act::Register);
    }

    fn verify(&mut self) {
        self.minutes(1, 14);
        if self.dice.happens(15) {
            self.days(1, 2);
        }
        self.note(Act::Verify);
    }

    /// Accepts everything, makes an app and a key.
    fn set_up(&mut self) {
        self.verify();
        self.minutes(1, 12).note(Act::Accept { all: true });
        self.minutes(1, 9).note(Act::CreateApp);
        self.minutes(0, 4).note(Act::IssueKey("test"));
    }

    /// Calls the sandbox: most of them within minutes, others after days.
    fn build(&mut self) {
        self.set_up();
        if self.dice.happens(70) {
            self.minutes(2, 25);
        } else {
            self.days(1, 9);
        }
        self.story.demand.test_from_ms = Some(self.at_ms);
        self.story.demand.test_daily = self.dice.between(12, 90);
    }

    /// Builds and goes live some days later.
    fn go_live(&mut self, least: i64, end: i64, daily: i64) {
        self.build();
        self.days(least, end).note(Act::GoLive);
        self.minutes(1, 9).note(Act::IssueKey("live"));
        self.story.demand.daily = daily;
    }

    /// Some days later to Starter, which the rules decide.
    fn take_starter(&mut self, least: i64, end: i64, daily: i64) {
        self.days(least, end).note(Act::Ask(PlanName::Starter));
        self.story.demand.then = Some((self.at_ms.div_euclid(DAY_MS), daily));
    }

    /// Asks for Scale; a person says yes a day later.
    fn take_scale(&mut self, least: i64, end: i64, daily: i64) {
        self.days(least, end).note(Act::Ask(PlanName::Scale));
        self.days(1, 3).note(Act::Decide("approved"));
        self.story.demand.then = Some((self.at_ms.div_euclid(DAY_MS), daily));
    }
}

/// Writes a story from the day of its arrival.
pub fn write(story: &mut Story, span: Span, arrival: i64, dice: &mut Dice) {
    let course = story.course;
    let at_ms = arrival * DAY_MS + 8 * HOUR_MS + dice.between(0, 9 * HOUR_MS);
    let mut pen = Pen { story, dice, at_ms };
    pen.arrive();
    match course {
        Course::NeverVerifies => {}
        Course::OnlyLooks => pen.verify(),
        Course::NeverCalls => pen.set_up(),
        Course::HalfAgreed => {
            pen.verify();
            pen.minutes(1, 12).note(Act::Accept { all: false });
            pen.minutes(1, 9).note(Act::CreateApp);
            pen.minutes(0, 4).note(Act::IssueKey("test"));
            pen.minutes(3, 20);
            pen.story.demand.test_from_ms = Some(pen.at_ms);
            pen.story.demand.test_daily = 20;
            // Asks and is told what is missing.
            pen.days(2, 5).note(Act::GoLive);
        }
        Course::Sandbox => pen.build(),
        Course::Steady => {
            let daily = pen.dice.between(40, 220);
            pen.go_live(2, 20, daily);
        }
        Course::HitsLimits => {
            pen.go_live(1, 4, 520);
            pen.story.demand.rate_limited = 60;
            pen.story.demand.quota = Some(10_000);
        }
        Course::Pays | Course::PaysLate | Course::NeverPays => {
            pen.go_live(2, 12, 150);
            let daily = pen.dice.between(2_500, 8_000);
            pen.take_starter(6, 20, daily);
            pen.story.demand.growth = pen.dice.between(-10, 40);
            pen.story.pays_after_days = match course {
                Course::PaysLate => Some(24),
                Course::NeverPays => None,
                _ => pen.story.pays_after_days,
            };
        }
        Course::Grows => {
            pen.go_live(1, 5, 120);
            pen.take_starter(10, 25, 260);
            pen.story.demand.growth = 300;
        }
        Course::Seasonal => {
            pen.go_live(3, 12, 200);
            pen.take_starter(8, 20, 3_000);
            pen.story.demand.is_seasonal = true;
        }
        Course::GoesQuiet => {
            pen.go_live(2, 9, 150);
            pen.take_starter(6, 14, 4_000);
            pen.story.demand.fades_from = Some(span.last_day - 24);
        }
        Course::Leaves => leave(&mut pen),
        Course::Loud => be_loud(&mut pen, span),
        Course::Listed => publish_app(&mut pen, span),
        Course::OwnPrice => {
            pen.go_live(3, 9, 200);
            pen.days(4, 9).note(Act::MakeOwnPlan);
            pen.days(1, 3).note(Act::Ask(PlanName::Own));
            pen.days(1, 2).note(Act::Decide("approved"));
            pen.story.demand.then = Some((pen.at_ms.div_euclid(DAY_MS), 21_000));
        }
        Course::QuietGiant => {
            pen.go_live(1, 3, 2_000);
            pen.take_scale(4, 9, 185_000);
            pen.story.demand.growth = 45;
        }
        Course::Large => {
            pen.go_live(4, 12, 900);
            pen.take_scale(9, 16, 64_000);
        }
        Course::Waits => {
            pen.go_live(3, 9, 180);
            pen.take_starter(6, 15, 7_500);
            pen.at_ms = pen.at_ms.max((span.last_day - 1) * DAY_MS);
            pen.days(0, 1).note(Act::Ask(PlanName::Scale));
        }
    }
}

const LEFT_BECAUSE: [&str; 4] = [
    "Too expensive for what we call.",
    "The shipments API we need is not there yet.",
    "The documentation left us guessing about refunds.",
    "We merged with another shop system and no longer need it.",
];

fn leave(pen: &mut Pen<'_>) {
    pen.go_live(2, 9, 160);
    pen.take_starter(5, 12, 2_200);
    pen.days(55, 95);
    let place = usize::try_from(pen.story.number.rem_euclid(4)).unwrap_or(0);
    let reason = LEFT_BECAUSE.get(place).copied().unwrap_or_default();
    pen.note(Act::Cancel(reason));
}

/// Small, and known to everyone at the operator's.
fn be_loud(pen: &mut Pen<'_>, span: Span) {
    pen.go_live(2, 9, 90);
    pen.take_starter(8, 14, 900);
    for tags in [
        &["asks-for-discount"][..],
        &["asks-for-discount", "called-twice"],
        &["asks-for-discount", "called-twice", "wants-webhooks"],
        &["asks-for-discount", "wants-webhooks", "escalated"],
        &["escalated", "wants-webhooks"],
    ] {
        pen.days(6, 22).note(Act::Tag(tags));
    }
    // Asked for, refused, asked for again.
    pen.days(3, 9).note(Act::Ask(PlanName::Scale));
    pen.days(1, 3).note(Act::Decide("refused"));
    if pen.at_ms < (span.last_day - 60) * DAY_MS {
        pen.days(20, 40).note(Act::Ask(PlanName::Scale));
        pen.days(1, 3).note(Act::Decide("refused"));
    }
}

fn publish_app(pen: &mut Pen<'_>, span: Span) {
    pen.go_live(3, 9, 140);
    pen.take_starter(6, 14, 3_200);
    pen.story.demand.growth = 35;
    pen.days(4, 12).note(Act::HandIn);
    if pen.story.number % 2 == 1 {
        pen.days(2, 4).note(Act::AskForChanges);
        pen.days(1, 5).note(Act::HandIn);
    }
    if pen.story.number > 45 {
        // The youngest one waits in the queue.
        return;
    }
    pen.days(2, 5).note(Act::Approve);
    pen.days(0, 2);
    pen.minutes(30, 90).note(Act::Publish);
    let mut customer = 0;
    while pen.at_ms < span.last_day * DAY_MS && customer < 24 {
        pen.days(3, 13);
        for _ in 0..pen.dice.between(1, 5) {
            pen.minutes(1, 30).note(Act::View);
        }
        pen.minutes(1, 9).note(Act::Install(customer));
        if pen.dice.happens(14) {
            pen.days(1, 3).note(Act::Remove(customer));
        }
        customer += 1;
    }
}

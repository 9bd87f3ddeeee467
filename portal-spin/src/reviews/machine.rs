//! The states of a submission and who may move it. No I/O.

use crate::text_enum::text_enum;
use crate::web::Failure;

text_enum! {
    /// Where a submission is.
    #[schemars(rename = "SubmissionState")]
    State {
        /// Taken back by the partner.
        Draft = "draft",
        /// Handed in; the rules run.
        Submitted = "submitted",
        /// Waits for an earlier version's decision.
        Queued = "queued",
        /// Four tracks look at it.
        InReview = "in_review",
        /// The partner must change something.
        ChangesRequested = "changes_requested",
        /// May be published.
        Approved = "approved",
        /// May be published; something must be mended by a deadline.
        ProvisionallyApproved = "provisionally_approved",
        /// Refused; one appeal is open.
        Rejected = "rejected",
        /// Customers see it.
        Published = "published",
        /// Not in the directory; who knows its address may install it.
        Unlisted = "unlisted",
        /// Its tokens are refused until a reviewer releases it.
        Suspended = "suspended",
        /// Its tokens are refused for good.
        Revoked = "revoked",
        /// A newer version took its place.
        Superseded = "superseded",
    }
}

text_enum! {
    /// What happens to a submission.
    Event {
        /// The partner hands it in.
        Submit = "submit",
        /// No blocking rule is broken.
        RulesPass = "rules_pass",
        /// A blocking rule is broken.
        RulesFail = "rules_fail",
        /// An earlier version is not decided yet.
        Queue = "queue",
        /// The earlier version is decided.
        Dequeue = "dequeue",
        /// Scopes, URLs, pricing and data use are those of the published version.
        PassUnchanged = "pass_unchanged",
        /// A reviewer asks for changes.
        RequestChanges = "request_changes",
        /// The partner hands in the changes.
        Resubmit = "resubmit",
        /// A reviewer approves.
        Approve = "approve",
        /// A reviewer approves with a deadline.
        ApproveProvisionally = "approve_provisionally",
        /// A reviewer refuses.
        Reject = "reject",
        /// The partner asks another reviewer.
        Appeal = "appeal",
        /// The partner takes it back.
        Withdraw = "withdraw",
        /// The partner puts it into the directory.
        Publish = "publish",
        /// The partner takes it out of the directory.
        Unlist = "unlist",
        /// The partner puts it back.
        Relist = "relist",
        /// A reviewer stops it.
        Suspend = "suspend",
        /// A reviewer lets it go on.
        Release = "release",
        /// A reviewer stops it for good.
        Revoke = "revoke",
        /// A reviewer confirms that what a provisional approval asked for is mended.
        Confirm = "confirm",
        /// The deadline of a provisional approval has passed.
        DeadlinePassed = "deadline_passed",
        /// A newer version is published.
        Supersede = "supersede",
        /// A reviewer takes it, or hands it or a track of it to another.
        Assign = "assign",
        /// A reviewer says what a track finds.
        Judge = "judge",
    }
}

impl Event {
    /// Whether a reviewer decides by it: it has grounds, and the partner is told.
    pub const fn is_decision(self) -> bool {
        matches!(
            self,
            Self::RequestChanges
                | Self::Approve
                | Self::ApproveProvisionally
                | Self::Reject
                | Self::Suspend
                | Self::Release
                | Self::Revoke
                | Self::Confirm
        )
    }
}

text_enum! {
    /// Who acts.
    Role {
        /// The partner.
        Partner = "partner",
        /// The operator's reviewer.
        Reviewer = "reviewer",
        /// The portal.
        System = "system",
    }
}

/// The state after an event by a role; `None` if that must not happen.
pub const fn transition(state: State, event: Event, role: Role) -> Option<State> {
    use {Event as E, State as S};
    Some(match (role, state, event) {
        (Role::Partner, S::Draft, E::Submit) => S::Submitted,
        (Role::System, S::Submitted, E::RulesPass) => S::InReview,
        (Role::System, S::Submitted, E::RulesFail) => S::Draft,
        (Role::System, S::Submitted, E::Queue) => S::Queued,
        (Role::System, S::Submitted, E::PassUnchanged) => S::Published,
        (Role::System, S::Queued, E::Dequeue) | (Role::Reviewer, S::InReview, E::Judge) => {
            S::InReview
        }
        (Role::Reviewer, S::Queued | S::InReview | S::ChangesRequested, E::Assign) => state,
        (Role::Reviewer, S::InReview, E::RequestChanges) => S::ChangesRequested,
        (Role::Reviewer, S::InReview, E::Approve) => S::Approved,
        (Role::Reviewer, S::InReview, E::ApproveProvisionally) => S::ProvisionallyApproved,
        (Role::Reviewer, S::InReview, E::Reject) => S::Rejected,
        (Role::Partner, S::ChangesRequested, E::Resubmit)
        | (Role::Partner, S::Rejected, E::Appeal) => S::InReview,
        (
            Role::Partner,
            S::Submitted | S::Queued | S::InReview | S::ChangesRequested,
            E::Withdraw,
        ) => S::Draft,
        (Role::Partner, S::Approved | S::ProvisionallyApproved, E::Publish)
        | (Role::Partner, S::Unlisted, E::Relist)
        | (Role::Reviewer, S::Suspended, E::Release)
        | (Role::Reviewer, S::Published, E::Confirm) => S::Published,
        (Role::Partner, S::Published, E::Unlist) | (Role::Reviewer, S::Unlisted, E::Confirm) => {
            S::Unlisted
        }
        (Role::Reviewer, S::ProvisionallyApproved, E::Confirm) => S::Approved,
        (Role::Reviewer, S::Published | S::Unlisted, E::Suspend)
        | (Role::System, S::Published | S::Unlisted, E::DeadlinePassed) => S::Suspended,
        (Role::System, S::ProvisionallyApproved, E::DeadlinePassed) => S::ChangesRequested,
        (Role::Reviewer, S::Suspended, E::Revoke) => S::Revoked,
        (Role::System, S::Published | S::Unlisted, E::Supersede) => S::Superseded,
        _ => return None,
    })
}

/// As [`transition`], with the sentence for whoever tried.
pub fn move_on(state: State, event: Event, role: Role) -> Result<State, Failure> {
    transition(state, event, role).ok_or_else(|| {
        let possible: Vec<&str> = Event::ANY
            .iter()
            .filter(|event| transition(state, **event, role).is_some())
            .map(|event| event.as_str())
            .collect();
        let possible = if possible.is_empty() {
            "nothing".to_owned()
        } else {
            possible.join(", ")
        };
        Failure::conflict(
            "wrong_state",
            format!(
                "The submission is {state}: {event} is not possible now. Possible is: {possible}."
            ),
        )
    })
}

/// Whether the review of it is still open: a second version waits behind such a one.
pub const fn is_open(state: State) -> bool {
    matches!(
        state,
        State::Submitted | State::InReview | State::ChangesRequested
    )
}

/// What a reviewer's decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The reviewer is a member of the organisation whose app it is.
    pub is_own_organisation: bool,
    /// The reviewer is the one whose rejection is appealed against.
    pub is_appealed_reviewer: bool,
    /// A published rule is cited.
    pub cites_rule: bool,
    /// Every track has passed.
    pub all_tracks_passed: bool,
    /// How many different people have judged, this one included.
    pub judges: usize,
    /// The operator wants two people behind every approval.
    pub needs_two_persons: bool,
    /// A deadline in the future is given.
    pub has_deadline: bool,
}

/// What keeps a reviewer from this decision: a stable code and a sentence.
pub const fn objection(event: Event, standing: &Standing) -> Option<(&'static str, &'static str)> {
    if standing.is_own_organisation {
        return Some((
            "conflict_of_interest",
            "Nobody reviews an app of their own organisation.",
        ));
    }
    if standing.is_appealed_reviewer {
        return Some((
            "appeal_needs_another_reviewer",
            "An appeal is decided by another reviewer.",
        ));
    }
    match event {
        Event::RequestChanges
        | Event::Reject
        | Event::Suspend
        | Event::Revoke
        | Event::ApproveProvisionally
            if !standing.cites_rule =>
        {
            Some((
                "rule_missing",
                "Cite at least one published rule, with evidence.",
            ))
        }
        Event::ApproveProvisionally | Event::Suspend if !standing.has_deadline => {
            Some(("deadline_missing", "Give a deadline in the future."))
        }
        Event::Approve if !standing.all_tracks_passed => Some((
            "tracks_open",
            "Every track must have passed before the submission is approved.",
        )),
        Event::Approve | Event::ApproveProvisionally
            if standing.needs_two_persons && standing.judges < 2 =>
        {
            Some((
                "second_person_missing",
                "The operator wants two people behind every approval: someone else must judge a track.",
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that may happen, written down once more as the issue says it.
    const ALLOWED: &str = "
        partner draft submit submitted
        system submitted rules_pass in_review
        system submitted rules_fail draft
        system submitted queue queued
        system submitted pass_unchanged published
        system queued dequeue in_review
        reviewer queued assign queued
        reviewer in_review assign in_review
        reviewer changes_requested assign changes_requested
        reviewer in_review judge in_review
        reviewer in_review request_changes changes_requested
        reviewer in_review approve approved
        reviewer in_review approve_provisionally provisionally_approved
        reviewer in_review reject rejected
        partner changes_requested resubmit in_review
        partner rejected appeal in_review
        partner submitted withdraw draft
        partner queued withdraw draft
        partner in_review withdraw draft
        partner changes_requested withdraw draft
        partner approved publish published
        partner provisionally_approved publish published
        partner published unlist unlisted
        partner unlisted relist published
        reviewer published suspend suspended
        reviewer unlisted suspend suspended
        reviewer suspended release published
        reviewer suspended revoke revoked
        reviewer published confirm published
        reviewer unlisted confirm unlisted
        reviewer provisionally_approved confirm approved
        system provisionally_approved deadline_passed changes_requested
        system published deadline_passed suspended
        system unlisted deadline_passed suspended
        system published supersede superseded
        system unlisted supersede superseded
    ";

    #[test]
    fn every_state_event_and_role_does_what_the_table_says_and_nothing_else() {
        let allowed: Vec<Vec<&str>> = ALLOWED
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<&str>| !row.is_empty())
            .collect();
        let mut moved = 0;
        for state in State::ANY {
            for event in Event::ANY {
                for role in Role::ANY {
                    let expected = allowed
                        .iter()
                        .find(|row| row[..3] == [role.as_str(), state.as_str(), event.as_str()])
                        .map(|row| row[3].parse::<State>().unwrap());
                    let got = transition(*state, *event, *role);
                    assert_eq!(got, expected, "{role} {state} {event}");
                    assert_eq!(move_on(*state, *event, *role).is_ok(), got.is_some());
                    moved += usize::from(got.is_some());
                }
            }
        }
        assert_eq!(moved, allowed.len());
    }

    #[test]
    fn a_decision_is_what_moves_a_submission_by_a_reviewers_hand() {
        for event in Event::ANY {
            let moves = |state: &State| {
                transition(*state, *event, Role::Reviewer)
                    .is_some_and(|next| next != *state || *event == Event::Confirm)
            };
            assert_eq!(event.is_decision(), State::ANY.iter().any(moves), "{event}");
        }
    }

    #[test]
    fn what_is_revoked_or_superseded_never_moves_again() {
        for state in [State::Revoked, State::Superseded] {
            for event in Event::ANY {
                for role in Role::ANY {
                    assert_eq!(transition(state, *event, *role), None);
                }
            }
        }
    }

    #[test]
    fn decisions_need_what_they_rest_on() {
        let good = Standing {
            cites_rule: true,
            all_tracks_passed: true,
            judges: 2,
            needs_two_persons: true,
            has_deadline: true,
            ..Standing::default()
        };
        for event in Event::ANY {
            assert_eq!(objection(*event, &good), None, "{event}");
        }
        type Spoil = fn(&mut Standing);
        let spoilt: &[(Event, Spoil, &str)] = &[
            (
                Event::Approve,
                |s| s.is_own_organisation = true,
                "conflict_of_interest",
            ),
            (
                Event::Reject,
                |s| s.is_appealed_reviewer = true,
                "appeal_needs_another_reviewer",
            ),
            (
                Event::Judge,
                |s| s.is_own_organisation = true,
                "conflict_of_interest",
            ),
            (
                Event::Assign,
                |s| s.is_own_organisation = true,
                "conflict_of_interest",
            ),
            (
                Event::Assign,
                |s| s.is_appealed_reviewer = true,
                "appeal_needs_another_reviewer",
            ),
            (Event::Reject, |s| s.cites_rule = false, "rule_missing"),
            (
                Event::RequestChanges,
                |s| s.cites_rule = false,
                "rule_missing",
            ),
            (Event::Suspend, |s| s.cites_rule = false, "rule_missing"),
            (Event::Revoke, |s| s.cites_rule = false, "rule_missing"),
            (
                Event::Suspend,
                |s| s.has_deadline = false,
                "deadline_missing",
            ),
            (
                Event::ApproveProvisionally,
                |s| s.has_deadline = false,
                "deadline_missing",
            ),
            (
                Event::Approve,
                |s| s.all_tracks_passed = false,
                "tracks_open",
            ),
            (Event::Approve, |s| s.judges = 1, "second_person_missing"),
        ];
        for (event, spoil, code) in spoilt {
            let mut standing = good;
            spoil(&mut standing);
            let found = objection(*event, &standing).map(|(code, _)| code);
            assert_eq!(found, Some(*code), "{event}");
        }
        let alone = Standing {
            judges: 1,
            needs_two_persons: false,
            ..good
        };
        assert_eq!(objection(Event::Approve, &alone), None);
    }
}

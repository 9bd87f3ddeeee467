//! Roles and the rules about names and addresses.

use super::passwords;
use crate::text_enum::text_enum;
use crate::web::FieldError;
use crate::web::forms::read_name;

text_enum! {
    /// What a member may do in an organisation.
    MemberRole {
        /// Everything, and binds the organisation.
        Owner = "owner",
        /// Apps, credentials, subscriptions.
        Developer = "developer",
        /// Billing details, invoices, payment.
        Billing = "billing",
        /// Sees all, changes nothing.
        Reader = "reader",
    }
}

text_enum! {
    /// What a person of the operator's staff may do.
    OperatorRole {
        /// Partners, approvals, products.
        Manager = "manager",
        /// App review.
        Reviewer = "reviewer",
        /// Agreements.
        Lawyer = "lawyer",
        /// Invoices and prices.
        Finance = "finance",
        /// Everything, and the staff list.
        Administrator = "administrator",
    }
}

impl OperatorRole {
    /// Whether someone with the roles `held` may do what asks for one of `wanted`. An administrator
    /// may do everything.
    pub fn any_of(held: &[Self], wanted: &[Self]) -> bool {
        held.iter()
            .any(|role| *role == Self::Administrator || wanted.contains(role))
    }
}

/// RFC 5321, section 4.5.3.1.3, less the brackets.
const LONGEST_EMAIL_BYTES: usize = 254;

/// An address as stored and compared: trimmed, lower case. `None` if no mail could reach it.
pub fn normalise_email(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.rsplit_once('@')?;
    let is_plausible = !local.is_empty()
        && !local.contains('@')
        && domain.len() >= 3
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && email.len() <= LONGEST_EMAIL_BYTES
        && !email
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "<>,;\"()".contains(c));
    is_plausible.then_some(email)
}

/// Collects what is wrong with a form, field by field.
#[derive(Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes a fault.
    pub fn add(&mut self, field: &str, code: &str, detail: &str) {
        self.0.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        });
    }

    /// An e-mail address, normalised.
    pub fn email(&mut self, field: &str, text: &str) -> String {
        normalise_email(text).unwrap_or_else(|| {
            if text.trim().len() > LONGEST_EMAIL_BYTES {
                self.add(
                    field,
                    "too_long",
                    "No address is longer than 254 characters.",
                );
            } else {
                self.add(
                    field,
                    "invalid_email",
                    "Give an address like ada@example.com.",
                );
            }
            String::new()
        })
    }

    /// A name that people read: 1 to 100 characters, by the rule for all names.
    pub fn name(&mut self, field: &str, text: &str) -> String {
        read_name(field, text, 100).unwrap_or_else(|fault| {
            self.0.push(fault);
            String::new()
        })
    }

    /// A password: 8 to 256 characters, any of them (ASVS 5.0, 6.2.1, 6.2.5, 6.2.9), not one that
    /// everybody tries first (6.2.4) or a breach has shown (6.2.12), not made of the person's own words
    /// (6.2.11).
    pub fn password(&mut self, field: &str, password: &str, own_words: &[&str]) {
        let length = password.chars().count();
        let lower = password.to_lowercase();
        let is_own = own_words
            .iter()
            .flat_map(|words| words.split(|c: char| !c.is_alphanumeric()))
            .map(str::to_lowercase)
            .any(|word| {
                word.len() >= 4 && lower.trim_end_matches(|c: char| !c.is_alphabetic()) == word
            });
        if length < 8 {
            self.add(
                field,
                "too_short",
                "Use at least 8 characters; 15 or more is better.",
            );
        } else if length > 256 {
            self.add(field, "too_long", "Use at most 256 characters.");
        } else if is_own {
            self.add(
                field,
                "too_common",
                "This is a word of your own name, address or organisation with little behind it, which attackers try early. Choose another.",
            );
        } else if passwords::is_common(&lower) || passwords::is_breached(&lower) {
            self.add(
                field,
                "too_common",
                "This password is among the first that attackers try. Choose another.",
            );
        }
    }

    /// Fails if anything was noted.
    pub fn check(self) -> Result<(), crate::web::Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(crate::web::Failure::fields(self.0))
        }
    }
}

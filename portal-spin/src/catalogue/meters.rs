//! Meters: what is counted of a product's calls, and out of what.
//!
//! Owns where a quantity comes from and which of it edges are told. What an edge counts comes in usage
//! cells of the meter; distinct installations are derived from the cells of the meter that counts calls.

use serde::{Deserialize, Serialize};
use shared::ids::{MeterId, ProductId};
use shared::plan;

use super::products::list_meters;
use crate::billing::charges::Charge;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::web::{Failure, FieldError};

/// A product has no more.
const MOST_METERS: usize = 20;

/// A meter of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// The meter.
    pub id: MeterId,
    /// Its name on pages and invoices; names it in charges.
    pub name: String,
    /// Where its quantity comes from.
    pub source: MeterSource,
}

/// Where a meter's quantity comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum MeterSource {
    /// One per call.
    Calls,
    /// The operation's weight.
    Weight,
    /// Bytes of request and response bodies.
    Bytes,
    /// A whole number in a response header; absent or malformed counts 0.
    ResponseHeader {
        /// The header's name.
        name: String,
    },
    /// Installations with at least one call that counts, each once in a billing period.
    DistinctInstallations,
}

impl MeterSource {
    /// What edges count for the meter; nothing where it is derived from the calls.
    pub fn at_edges(&self) -> Option<plan::MeterSource> {
        Some(match self {
            Self::Calls => plan::MeterSource::Calls,
            Self::Weight => plan::MeterSource::Weight,
            Self::Bytes => plan::MeterSource::Bytes,
            Self::ResponseHeader { name } => {
                plan::MeterSource::ResponseHeader { name: name.clone() }
            }
            Self::DistinctInstallations => return None,
        })
    }

    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Calls => "calls".to_owned(),
            Self::Weight => "weights of operations".to_owned(),
            Self::Bytes => "bytes of request and response bodies".to_owned(),
            Self::ResponseHeader { name } => format!("response header {name}"),
            Self::DistinctInstallations => "distinct installations".to_owned(),
        }
    }

    /// As edges compare it: a header's name in lower case, if it is one.
    fn checked(self) -> Result<Self, &'static str> {
        let Self::ResponseHeader { name } = self else {
            return Ok(self);
        };
        http::HeaderName::from_bytes(name.trim().as_bytes())
            .map(|name| Self::ResponseHeader {
                name: name.as_str().to_owned(),
            })
            .map_err(|_| "Give the header's name, such as `x-rows`.")
    }
}

/// The meter whose units a quota counts: the weights where they are metered, else calls.
pub fn quota_meter(meters: &[Meter]) -> Option<MeterId> {
    meters
        .iter()
        .find(|meter| meter.source == MeterSource::Weight)
        .or_else(|| meters.first())
        .map(|meter| meter.id)
}

/// A new product's meters: calls, and those that are asked for.
pub(super) fn new_meters(
    context: &Context,
    wanted: Vec<(String, MeterSource)>,
) -> Result<Vec<Meter>, Failure> {
    if wanted.len() >= MOST_METERS {
        let detail = format!("A product has at most {MOST_METERS} meters, that of calls included.");
        return Err(Failure::field("meters", "out_of_range", detail));
    }
    let mut meters = vec![Meter {
        id: context.new_id(MeterId::new),
        name: "Calls".to_owned(),
        source: MeterSource::Calls,
    }];
    for (index, (name, source)) in wanted.into_iter().enumerate() {
        let name = name.trim().to_owned();
        let field = |name: &str| format!("meters[{index}].{name}");
        if !(1..=80).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            let detail = "Name it, in at most 80 characters: invoices and charges do.";
            return Err(Failure::field(&field("name"), "malformed", detail));
        }
        if meters
            .iter()
            .any(|known| known.name.eq_ignore_ascii_case(&name))
        {
            let detail = "Another meter of the product has this name.";
            return Err(Failure::field(&field("name"), "taken", detail));
        }
        let source = source
            .checked()
            .map_err(|detail| Failure::field(&field("source.name"), "malformed", detail))?;
        meters.push(Meter {
            id: context.new_id(MeterId::new),
            name,
            source,
        });
    }
    Ok(meters)
}

/// Charges for usage that name a meter which the product does not have: they would bill nothing, in silence.
pub(super) async fn unknown_meters(
    context: &Context,
    product_id: ProductId,
    charges: &[Charge],
) -> Result<Vec<FieldError>, DatabaseError> {
    let named: Vec<(usize, &String)> = charges
        .iter()
        .enumerate()
        .filter_map(|(index, charge)| match charge {
            Charge::Usage { meter, .. } => Some((index, meter.as_ref()?)),
            _ => None,
        })
        .collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let meters = list_meters(&context.connection, product_id).await?;
    let names: Vec<&str> = meters.iter().map(|meter| meter.name.as_str()).collect();
    Ok(named
        .into_iter()
        .filter(|(_, name)| !names.contains(&name.as_str()))
        .map(|(index, _)| FieldError {
            field: format!("terms.charges[{index}].meter"),
            code: "unknown_value".to_owned(),
            detail: format!("The product's meters are: {}.", names.join(", ")),
        })
        .collect())
}

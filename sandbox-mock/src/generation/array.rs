//! Arrays: how many entries, and which.

use super::choices::{Flat, bounds};
use super::{Generator, Place};
use crate::json::Value;
use crate::schema::{ArrayRules, SchemaId};
use crate::text::singular;
use crate::validation::schema::has_equal_entries;

impl<'g> Generator<'g> {
    pub(super) fn array(
        &mut self,
        flat: &Flat,
        place: &Place<'_>,
        overlay: Option<&Value>,
    ) -> Option<Value> {
        let schemas = self.schemas;
        let rules: Vec<&'g ArrayRules> = flat.rules(schemas, |schema| schema.array.as_deref());
        let (min, max) = bounds(&rules, |rules| rules.min_items, |rules| rules.max_items);
        let max = max.unwrap_or(usize::MAX);
        if min > max || min > 20_000 {
            return self.fail(|| format!("{} would need {min} entries", place.name));
        }
        let unique = rules.iter().any(|rules| rules.unique);
        let given = overlay.and_then(Value::as_array);
        let fixed = rules
            .iter()
            .map(|rules| rules.prefix.len())
            .max()
            .unwrap_or(0);
        let contained: Vec<(SchemaId, usize)> = rules
            .iter()
            .filter_map(|rules| {
                rules
                    .contains
                    .map(|id| (id, rules.min_contains.unwrap_or(1)))
            })
            .collect();
        let needed = contained.iter().map(|(_, count)| *count).sum::<usize>();
        let count = match given {
            Some(entries) => entries.len().clamp(min, max),
            None => self
                .usual_count(&rules, place)
                .max(fixed.min(max))
                .max(min)
                .max(needed)
                .min(max),
        };
        let name = singular(place.name);
        let name = if matches!(
            place.name,
            "data" | "items" | "results" | "entries" | "records" | "list" | ""
        ) {
            self.wish.resource.clone()
        } else {
            name
        };
        let allowance = if self.lean {
            0
        } else {
            place.allowance.saturating_sub(count) / count.max(1)
        };
        let mut entries: Vec<Value> = Vec::with_capacity(count.min(64));
        for index in 0..count {
            let mut ids: Vec<SchemaId> = rules
                .iter()
                .filter_map(|rules| rules.prefix.get(index).copied().or(rules.items))
                .collect();
            let mut before = 0;
            for (id, count) in &contained {
                if (before..before + count).contains(&index) {
                    ids.push(*id);
                }
                before += count;
            }
            let inner = Place {
                name: &name,
                parent: place.parent,
                depth: place.depth + 1,
                index,
                in_list: true,
                allowance,
            };
            match self.entry(
                &ids,
                &inner,
                given.and_then(|given| given.get(index)),
                &entries,
                unique,
            ) {
                Some(value) => entries.push(value),
                None if entries.len() >= min && index >= needed => break,
                None => return None,
            }
        }
        Some(Value::Array(entries))
    }

    fn usual_count(&self, rules: &[&ArrayRules], place: &Place<'_>) -> usize {
        let never = rules.iter().filter_map(|rules| rules.items).any(|id| {
            let schema = self.schemas.get(id);
            schema.height == u8::MAX || schema.never || self.is_open(id)
        });
        if never || self.lean || place.allowance == 0 || place.depth > 6 {
            return 0;
        }
        // An error is about one thing.
        if !self.wish.said.is_empty() {
            return 1;
        }
        // The list that an answer is about shows more than lists inside of things.
        if place.depth <= 1 { 3 } else { 1 }
    }

    fn entry(
        &mut self,
        ids: &[SchemaId],
        place: &Place<'_>,
        given: Option<&Value>,
        before: &[Value],
        unique: bool,
    ) -> Option<Value> {
        let variant = self.variant;
        for round in 0..12 {
            self.variant = variant
                + if unique {
                    u32::try_from(before.len()).unwrap_or(0) + round
                } else {
                    0
                };
            let place = if round > 0 {
                Place {
                    index: place.index + 1,
                    ..place.clone()
                }
            } else {
                place.clone()
            };
            let value = self.place(ids, &place, given, false);
            self.variant = variant;
            let value = value?;
            if !unique
                || before
                    .iter()
                    .all(|other| !has_equal_entries(&[other.clone(), value.clone()]))
            {
                return Some(value);
            }
        }
        None
    }
}

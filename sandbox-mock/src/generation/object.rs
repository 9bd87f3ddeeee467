//! Objects: which members they get, and in which order.

use super::choices::{Flat, bounds};
use super::{Generator, Place};
use crate::json::Value;
use crate::schema::{Additional, Name, ObjectRules, SchemaId, Types};
use crate::text::plain_name;
use crate::validation::Direction;
use crate::validation::schema::is_marked;

/// Below this depth only what is required, except plain members.
const OPTIONAL_DEPTH: usize = 4;

struct Member<'g> {
    key: Name,
    name: &'g str,
    ids: Ids,
}

/// The schemas of a member: nearly always one.
enum Ids {
    One([SchemaId; 1]),
    Many(Vec<SchemaId>),
}

impl std::ops::Deref for Ids {
    type Target = [SchemaId];

    fn deref(&self) -> &[SchemaId] {
        match self {
            Ids::One(one) => one,
            Ids::Many(many) => many,
        }
    }
}

impl<'g> Generator<'g> {
    pub(super) fn object(
        &mut self,
        flat: &Flat,
        place: &Place<'_>,
        overlay: Option<&Value>,
    ) -> Option<Value> {
        let schemas = self.schemas;
        let rules: Vec<&'g ObjectRules> = flat.rules(schemas, |schema| schema.object.as_deref());
        let opened = self.open.len();
        self.open.extend(
            flat.ids
                .iter()
                .filter(|id| schemas.get(**id).object.is_some()),
        );
        let made = self.members_of(flat, &rules, place, overlay);
        self.open.truncate(opened);
        made.map(Value::Object)
    }

    fn members_of(
        &mut self,
        flat: &Flat,
        rules: &[&'g ObjectRules],
        place: &Place<'_>,
        overlay: Option<&Value>,
    ) -> Option<Vec<(String, Value)>> {
        let (min, max) = bounds(
            rules,
            |rules| rules.min_properties,
            |rules| rules.max_properties,
        );
        let max = max.unwrap_or(usize::MAX);
        let declared = self.declared_members(rules);
        let mut wanted: Vec<usize> = Vec::new();
        let needed = self.needed_names(rules);
        for (index, member) in declared.iter().enumerate() {
            if self.is_against_direction(member) {
                continue;
            }
            let overlaid = || overlay.is_some_and(|overlay| overlay.get(member.name).is_some());
            if needed.contains(&member.key)
                || ((self.wants_optional(member, place) || overlaid())
                    && self.may_have(rules, member.name))
            {
                wanted.push(index);
            }
        }
        if wanted.len() > max {
            let mut spare = wanted.len() - max;
            wanted.reverse();
            wanted.retain(|index| {
                let keep = spare == 0
                    || declared
                        .get(*index)
                        .is_some_and(|member| needed.contains(&member.key));
                spare -= usize::from(!keep);
                keep
            });
            wanted.reverse();
        }
        if wanted.len() < min {
            let spare = (0..declared.len()).filter(|index| {
                !wanted.contains(index)
                    && declared.get(*index).is_some_and(|member| {
                        self.may_have(rules, member.name) && !self.is_against_direction(member)
                    })
            });
            let more: Vec<usize> = spare.take(min - wanted.len()).collect();
            wanted.extend(more);
            wanted.sort_unstable();
        }
        let heavy = wanted
            .iter()
            .filter(|index| {
                declared
                    .get(**index)
                    .is_some_and(|member| !self.is_plain(&member.ids))
            })
            .count();
        let allowance = if self.lean {
            0
        } else {
            place.allowance.saturating_sub(heavy) / heavy.max(1)
        };
        let parent = if place.in_list || place.depth == 0 {
            place.name
        } else {
            crate::generation::words::carrier(place.name, place.parent)
        };
        let mut members: Vec<(String, Value)> = Vec::with_capacity(wanted.len());
        for index in wanted {
            let Some(member) = declared.get(index) else {
                continue;
            };
            let inner = Place {
                name: member.name,
                parent,
                depth: place.depth + 1,
                index: place.index,
                in_list: place.in_list,
                allowance,
            };
            match self.member(flat, member, &inner, place, overlay) {
                Some(value) => members.push((member.name.to_owned(), value)),
                None if needed.contains(&member.key) => {
                    return self
                        .fail(|| format!("{} is required and cannot be met", member.name))
                        .and(None);
                }
                None => {}
            }
        }
        // What a member that is there needs as well.
        for (key, others) in rules.iter().flat_map(|rules| &rules.dependent_required) {
            let name = self.schemas.name(*key);
            let is_there = members.iter().any(|(known, _)| known == name);
            let lacks = others.iter().any(|other| {
                members
                    .iter()
                    .all(|(known, _)| known != self.schemas.name(*other))
            });
            if is_there && lacks && !needed.contains(key) {
                members.retain(|(known, _)| known != name);
            }
        }
        self.free_members(rules, place, min, max, &mut members);
        Some(members)
    }

    /// Every member that some schema knows, in the order of the document, the merely required ones last.
    fn declared_members(&self, rules: &[&'g ObjectRules]) -> Vec<Member<'g>> {
        let schemas = self.schemas;
        let merely_required = rules
            .iter()
            .flat_map(|rules| rules.required.iter().copied());
        let dependent = rules.iter().flat_map(|rules| {
            let lists = rules.dependent_required.iter();
            lists.flat_map(|(_, names)| names.iter().copied())
        });
        let others = merely_required.chain(dependent);
        let mut declared: Vec<Member<'g>> = Vec::new();
        // One schema that gives each member by its name: nothing to look up.
        if let [only] = rules
            && only.patterns.is_empty()
        {
            declared.extend(only.properties.iter().map(|(key, id)| Member {
                key: *key,
                name: schemas.name(*key),
                ids: Ids::One([*id]),
            }));
            for key in others {
                self.declare(&mut declared, rules, key);
            }
            return declared;
        }
        let properties = rules
            .iter()
            .flat_map(|rules| rules.properties.iter().map(|(name, _)| *name));
        for key in properties.chain(others) {
            self.declare(&mut declared, rules, key);
        }
        declared
    }

    fn declare(&self, declared: &mut Vec<Member<'g>>, rules: &[&'g ObjectRules], key: Name) {
        if declared.iter().any(|known| known.key == key) {
            return;
        }
        let name = self.schemas.name(key);
        let mut ids: Vec<SchemaId> = rules
            .iter()
            .flat_map(|rules| self.schemas.member_rules(rules, name).0)
            .collect();
        ids.dedup();
        declared.push(Member {
            key,
            name,
            ids: Ids::Many(ids),
        });
    }

    /// The names that have to be there, with what they need in turn.
    fn needed_names(&self, rules: &[&'g ObjectRules]) -> Vec<Name> {
        let mut needed: Vec<Name> = rules
            .iter()
            .flat_map(|rules| rules.required.iter().copied())
            .collect();
        for _ in 0..4 {
            for (name, others) in rules.iter().flat_map(|rules| &rules.dependent_required) {
                if needed.contains(name) {
                    needed.extend(others);
                }
            }
        }
        needed
    }

    fn may_have(&self, rules: &[&ObjectRules], name: &str) -> bool {
        rules.iter().all(|rules| {
            rules.additional != Additional::Refused || self.schemas.member_rules(rules, name).1
        })
    }

    fn is_against_direction(&self, member: &Member<'_>) -> bool {
        member.ids.iter().any(|id| match self.wish.direction {
            Direction::Response => is_marked(self.schemas, *id, |schema| schema.write_only),
            Direction::Request => is_marked(self.schemas, *id, |schema| schema.read_only),
        })
    }

    /// Whether the values of these schemas are scalars.
    fn is_plain(&self, ids: &[SchemaId]) -> bool {
        ids.iter().all(|id| {
            let schema = self.schemas.get(*id);
            let types = schema.types.or_all();
            schema.allowed.is_some()
                || (schema.logic.is_none()
                    && schema.object.is_none()
                    && schema.array.is_none()
                    && !types.has(Types::OBJECT)
                    && !types.has(Types::ARRAY))
        })
    }

    fn wants_optional(&self, member: &Member<'_>, place: &Place<'_>) -> bool {
        if self.lean
            || member
                .ids
                .iter()
                .any(|id| self.schemas.get(*id).height == u8::MAX || self.is_open(*id))
        {
            return false;
        }
        if self.is_plain(&member.ids) {
            return place.depth <= OPTIONAL_DEPTH + 1;
        }
        place.allowance > 0 && place.depth <= OPTIONAL_DEPTH
    }

    fn member(
        &mut self,
        flat: &Flat,
        member: &Member<'_>,
        inner: &Place<'_>,
        outer: &Place<'_>,
        overlay: Option<&Value>,
    ) -> Option<Value> {
        let overlaid = overlay.and_then(|overlay| overlay.get(member.name));
        let mut candidates: Vec<Value> = Vec::new();
        for (property, key) in &flat.discriminators {
            if self.schemas.name(*property) == member.name {
                candidates.push(Value::from(key.as_str()));
            }
        }
        candidates.extend(self.echo(member.name, outer));
        let has_example = self.examples
            && member.ids.iter().any(|id| {
                let notes = self.schemas.get(*id).notes.as_ref();
                notes.is_some_and(|notes| !notes.examples.is_empty())
            });
        // The document's example words an error best, but it is about another status.
        let said = self.said(inner);
        candidates.extend(
            said.filter(|said| self.wish.insists || !has_example || said.as_i64().is_some()),
        );
        if let Some(value) = candidates
            .into_iter()
            .find(|value| self.follows(&member.ids, value))
        {
            return Some(value);
        }
        self.place(&member.ids, inner, overlaid, false)
    }

    /// The path parameter that a member repeats.
    fn echo(&self, name: &str, outer: &Place<'_>) -> Vec<Value> {
        if outer.depth > 2 || (self.wish.echo.is_empty() && self.wish.item.is_none()) {
            return Vec::new();
        }
        let plain = plain_name(name);
        let of_item = !outer.in_list && outer.depth <= 1 && matches!(plain.as_str(), "id" | "sid");
        let own = self.wish.item.iter().filter(|_| of_item);
        let named = self
            .wish
            .echo
            .iter()
            .filter(|(known, _)| outer.depth <= 2 && *known == plain)
            .map(|(_, value)| value);
        named
            .chain(own)
            .flat_map(|text| {
                [
                    Some(Value::from(text.as_str())),
                    text.parse().ok().map(Value::Int),
                ]
            })
            .flatten()
            .collect()
    }

    /// Puts the path parameters into an example.
    pub(super) fn echoed(&self, value: Value, place: &Place<'_>) -> Value {
        let Value::Object(members) = value else {
            return value;
        };
        Value::Object(
            members
                .into_iter()
                .map(|(name, member)| {
                    let echo = self
                        .echo(&name, place)
                        .into_iter()
                        .find(|echo| echo.type_name() == member.type_name());
                    (name, echo.unwrap_or(member))
                })
                .collect(),
        )
    }

    /// Members of names that no schema lists: as many as a map needs to be one.
    fn free_members(
        &mut self,
        rules: &[&'g ObjectRules],
        place: &Place<'_>,
        min: usize,
        max: usize,
        members: &mut Vec<(String, Value)>,
    ) {
        let schemas = self.schemas;
        let is_map = rules.iter().any(|rules| {
            rules.properties.is_empty()
                && (matches!(rules.additional, Additional::Schema(_)) || !rules.patterns.is_empty())
        });
        let closed = rules
            .iter()
            .any(|rules| rules.additional == Additional::Refused && rules.patterns.is_empty());
        if closed {
            return;
        }
        let show = usize::from(is_map && members.is_empty() && place.allowance > 0 && !self.lean);
        let count = min
            .saturating_sub(members.len())
            .max(show)
            .min(max.saturating_sub(members.len()));
        let mut tries = 0;
        while tries < count * 8 && members.len() < min.max(show) {
            tries += 1;
            let Some(name) = self.free_name(rules, tries) else {
                return;
            };
            let (ids, allowed) =
                rules
                    .iter()
                    .fold((Vec::new(), true), |(mut ids, allowed), rules| {
                        let (more, may) = schemas.member_rules(rules, &name);
                        ids.extend(more);
                        (ids, allowed && may)
                    });
            let fits = rules
                .iter()
                .filter_map(|rules| rules.names)
                .all(|id| self.follows(&[id], &Value::from(name.as_str())));
            if !allowed || !fits || members.iter().any(|(known, _)| *known == name) {
                continue;
            }
            if ids
                .iter()
                .any(|id| self.schemas.get(*id).height == u8::MAX || self.is_open(*id))
                && members.len() >= min
            {
                return;
            }
            let inner = Place {
                name: &name,
                parent: place.name,
                depth: place.depth + 1,
                index: place.index,
                in_list: place.in_list,
                allowance: place.allowance / 2,
            };
            if let Some(value) = self.place(&ids, &inner, None, false) {
                members.push((name, value));
            }
        }
    }

    fn free_name(&mut self, rules: &[&'g ObjectRules], round: usize) -> Option<String> {
        if let Some(id) = rules.iter().find_map(|rules| rules.names) {
            let flat = self.flatten(&[id]);
            let place = Place {
                name: "key",
                parent: "",
                depth: 1,
                index: round,
                in_list: false,
                allowance: 0,
            };
            let made = self.solve(flat, &[id], &place, None, &mut 8)?;
            return made.as_str().map(str::to_owned);
        }
        if let Some((pattern, _)) = rules.iter().flat_map(|rules| &rules.patterns).next()
            && rules
                .iter()
                .all(|rules| rules.additional == Additional::Refused || rules.properties.is_empty())
        {
            let pattern = self.schemas.pattern(*pattern)?;
            return pattern.generate(&mut self.random, 1, Some(60));
        }
        const KEYS: [&str; 8] = [
            "reference",
            "source",
            "channel",
            "region",
            "campaign",
            "group",
            "label",
            "note",
        ];
        Some(match KEYS.get(round - 1) {
            Some(key) => (*key).to_owned(),
            None => format!("key{round}"),
        })
    }
}

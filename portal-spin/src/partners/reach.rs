//! What a partner may see and get: the matrix, read for one organisation or one visitor.

use std::collections::BTreeMap;

use shared::ids::{OrganisationId, PersonId, ProductId};

use crate::catalogue::Plan;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row};
use crate::params;

/// The column of the matrix that holds for one partner type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// What holds where no cell says otherwise.
    pub is_open_by_default: bool,
    /// Cells; an empty slug is the product as a whole.
    pub cells: BTreeMap<(ProductId, String), bool>,
}

impl Column {
    /// Whether partners of the type see the product.
    pub fn opens_product(&self, product_id: ProductId) -> bool {
        let cell = self.cells.get(&(product_id, String::new()));
        cell.copied().unwrap_or(self.is_open_by_default)
    }

    /// Whether they get the plan: the product must be open, and no cell closes the plan.
    pub fn opens_plan(&self, product_id: ProductId, plan_slug: &str) -> bool {
        let cell = self.cells.get(&(product_id, plan_slug.to_owned()));
        self.opens_product(product_id) && cell.copied().unwrap_or(true)
    }

    /// As [`Column::opens_plan`]; a plan made for one organisation needs no cell of its own.
    pub fn opens_plan_of(&self, plan: &Plan) -> bool {
        match plan.private_organisation_id {
            Some(_) => self.opens_product(plan.product_id),
            None => self.opens_plan(plan.product_id, &plan.slug),
        }
    }
}

/// What someone may see and get: of all the organisations they act for, the widest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    sees_all: bool,
    parts: Vec<(Option<OrganisationId>, Column)>,
}

impl Reach {
    /// Whether the product exists for them.
    pub fn sees(&self, product_id: ProductId) -> bool {
        self.sees_all
            || self
                .parts
                .iter()
                .any(|(_, column)| column.opens_product(product_id))
    }

    /// Whether they can subscribe to the plan.
    pub fn offers(&self, plan: &Plan) -> bool {
        if self.sees_all && plan.is_offered_to(None) {
            return true;
        }
        self.parts.iter().any(|(organisation_id, column)| {
            plan.is_offered_to(*organisation_id) && column.opens_plan_of(plan)
        })
    }

    /// Whether a subscription to the plan may be used; a withdrawn plan keeps its subscribers.
    pub fn keeps(&self, plan: &Plan) -> bool {
        self.parts
            .iter()
            .any(|(_, column)| column.opens_plan_of(plan))
    }

    /// An organisation's.
    pub async fn of_organisation(
        connection: &Connection,
        organisation_id: OrganisationId,
    ) -> Result<Self, DatabaseError> {
        let rows = connection
            .query(
                "SELECT o.organisation_id, t.is_open_by_default, c.product_id, c.plan_slug, c.is_open
                 FROM organisations o JOIN partner_types t ON t.partner_type = o.partner_type
                 LEFT JOIN access_cells c ON c.partner_type = t.partner_type
                 WHERE o.organisation_id = $1",
                params![organisation_id],
            )
            .await?;
        Self::read(&rows)
    }

    /// Of whoever asks: the staff see all, a person what any of their organisations sees, a visitor
    /// what a new organisation would.
    pub async fn of_caller(context: &Context) -> Result<Self, DatabaseError> {
        let Some(person) = context.person_optional() else {
            return Self::of_visitor(&context.connection).await;
        };
        let mut reach = Self::of_person(&context.connection, person.person_id).await?;
        reach.sees_all = !person.operator_roles.is_empty();
        if reach.parts.is_empty() {
            reach.parts = Self::of_visitor(&context.connection).await?.parts;
        }
        Ok(reach)
    }

    async fn of_visitor(connection: &Connection) -> Result<Self, DatabaseError> {
        let rows = connection
            .query(
                "SELECT NULL, t.is_open_by_default, c.product_id, c.plan_slug, c.is_open
                 FROM partner_types t LEFT JOIN access_cells c ON c.partner_type = t.partner_type
                 WHERE t.is_default = 1",
                vec![],
            )
            .await?;
        Self::read(&rows)
    }

    async fn of_person(
        connection: &Connection,
        person_id: PersonId,
    ) -> Result<Self, DatabaseError> {
        let rows = connection
            .query(
                "SELECT o.organisation_id, t.is_open_by_default, c.product_id, c.plan_slug, c.is_open
                 FROM members m JOIN organisations o ON o.organisation_id = m.organisation_id
                 JOIN partner_types t ON t.partner_type = o.partner_type
                 LEFT JOIN access_cells c ON c.partner_type = t.partner_type
                 WHERE m.person_id = $1 ORDER BY o.organisation_id",
                params![person_id],
            )
            .await?;
        Self::read(&rows)
    }

    fn read(rows: &[Row]) -> Result<Self, DatabaseError> {
        let mut reach = Self::default();
        for row in rows {
            let organisation_id: Option<OrganisationId> = row.parse_optional(0)?;
            if reach
                .parts
                .last()
                .is_none_or(|(known, _)| *known != organisation_id)
            {
                let column = Column {
                    is_open_by_default: row.get(1)?,
                    cells: BTreeMap::new(),
                };
                reach.parts.push((organisation_id, column));
            }
            if let Some(product_id) = row.parse_optional(2)?
                && let Some((_, column)) = reach.parts.last_mut()
            {
                column.cells.insert((product_id, row.get(3)?), row.get(4)?);
            }
        }
        Ok(reach)
    }
}

/// The column of one partner type.
pub async fn of_type(connection: &Connection, partner_type: &str) -> Result<Column, DatabaseError> {
    let rows = connection
        .query(
            "SELECT NULL, t.is_open_by_default, c.product_id, c.plan_slug, c.is_open
             FROM partner_types t LEFT JOIN access_cells c ON c.partner_type = t.partner_type
             WHERE t.partner_type = $1",
            params![partner_type],
        )
        .await?;
    let column = Reach::read(&rows)?.parts.pop();
    Ok(column.map(|(_, column)| column).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn product(number: u8) -> ProductId {
        ProductId::new(1, &[number; 10])
    }

    proptest! {
        #[test]
        fn no_plan_of_a_closed_product_is_open(
            is_open_by_default: bool,
            cells in proptest::collection::btree_map((0..3_u8, 0..3_usize), any::<bool>(), 0..9),
        ) {
            let slugs = ["", "free", "pro"];
            let column = Column {
                is_open_by_default,
                cells: cells.iter().map(|((number, slug), is_open)| {
                    ((product(*number), slugs[*slug].to_owned()), *is_open)
                }).collect(),
            };
            for number in 0..3 {
                let whole = cells.get(&(number, 0)).copied().unwrap_or(is_open_by_default);
                prop_assert_eq!(column.opens_product(product(number)), whole);
                for (slug, name) in slugs.iter().enumerate().skip(1) {
                    let is_open = column.opens_plan(product(number), name);
                    let own = cells.get(&(number, slug)).copied().unwrap_or(true);
                    prop_assert_eq!(is_open, whole && own);
                }
            }
        }
    }
}

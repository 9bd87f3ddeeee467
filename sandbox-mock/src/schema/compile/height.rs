//! How deep the smallest value of every schema is, so that generation knows which alternatives end.

use super::Compiler;
use crate::schema::{Schema, SchemaId, Schemas, Types};

impl Compiler<'_> {
    /// Finds for every schema how deep its smallest value is, from the leaves up.
    pub(super) fn measure_heights(&mut self) {
        for schema in &mut self.schemas.list {
            schema.height = u8::MAX;
        }
        for _ in 0..60 {
            let mut changed = false;
            for index in 0..self.schemas.list.len() {
                let Some(schema) = self.schemas.list.get(index) else {
                    break;
                };
                let height = height(&self.schemas, schema);
                if height < schema.height {
                    changed = true;
                    if let Some(schema) = self.schemas.list.get_mut(index) {
                        schema.height = height;
                    }
                }
            }
            if !changed {
                return;
            }
        }
    }
}

fn height(schemas: &Schemas, schema: &Schema) -> u8 {
    let of = |id: &SchemaId| schemas.get(*id).height;
    let mut height = 0_u8;
    if let Some(logic) = &schema.logic {
        let lowest = |ids: &[SchemaId]| ids.iter().map(of).min().unwrap_or(0);
        height = logic.all_of.iter().map(of).max().unwrap_or(0);
        height = height.max(lowest(&logic.any_of)).max(lowest(&logic.one_of));
    }
    if schema.nullable || schema.allowed.is_some() || schema.types.has(Types::NULL) {
        return height;
    }
    let only = |types| schema.types.is_empty() || schema.types == types;
    let deeper = |height: u8| height.saturating_add(1);
    if let Some(object) = schema.object.as_ref().filter(|_| only(Types::OBJECT)) {
        for name in &object.required {
            if let Some((_, id)) = object.properties.iter().find(|(key, _)| key == name) {
                height = height.max(deeper(of(id)));
            }
        }
    }
    if let Some(array) = schema.array.as_ref().filter(|_| only(Types::ARRAY))
        && array.min_items.unwrap_or(0) > 0
    {
        let ids = array
            .items
            .iter()
            .chain(&array.prefix)
            .chain(&array.contains);
        height = height.max(deeper(ids.map(of).max().unwrap_or(0)));
    }
    height
}
